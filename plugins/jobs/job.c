/* SPDX-License-Identifier: Apache-2.0 */
#include "job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const texts[JOB_STATUSES] = {
#define ROW(name) #name,
	JOB_STATES(ROW)
#undef ROW
};

const char *job_status_text(enum job_status status)
{
	return texts[status];
}

bool job_status_parse(const char *text, enum job_status *ret)
{
	for (unsigned i = 0; i < JOB_STATUSES; i++)
		if (strcmp(text, texts[i]) == 0) {
			*ret = (enum job_status)i;
			return true;
		}
	return false;
}

struct job *job_new(struct edged_slice id)
{
	struct job *job = calloc(1, sizeof(*job));
	if (!job)
		return NULL;
	memcpy(job->id, id.ptr, id.len);
	job->waiting = json_array();
	if (job->waiting)
		return job;
	free(job);
	return NULL;
}

void job_free(struct job *job)
{
	if (!job)
		return;
	for (size_t i = 0; i < job->count; i++)
		execution_free(job->list[i]);
	free(job->list);
	json_decref(job->targets);
	json_decref(job->document);
	json_decref(job->waiting);
	free(job->description);
	free(job->comment);
	free(job);
}

/* --- the store --------------------------------------------------------------------------------------------------------- */

char *job_print(const struct job *job)
{
	json_t *root = json_pack("{s:s, s:O, s:O, s:s*, s:s*, s:b, s:b, s:I, s:I, s:I, s:I, s:I}", "status",
	        job_status_text(job->status), "targets", job->targets, "document", job->document,
	        "description", job->description, "comment", job->comment, "continuous", job->continuous,
	        "force", job->force, "timeout", (json_int_t)job->timeout, "rate", (json_int_t)job->rate,
	        "created", (json_int_t)job->created, "updated", (json_int_t)job->updated, "completed",
	        (json_int_t)job->completed);
	char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	return text;
}

static int copy(const char *text, char **ret)
{
	*ret = text ? strdup(text) : NULL;
	return text && !*ret ? -ENOMEM : 0;
}

static int measure(struct job *job)
{
	job->document_bytes = json_dumpb(job->document, NULL, 0, JSON_COMPACT);
	return job->document_bytes ? 0 : -ENOMEM;
}

static bool all_valid(const json_t *targets)
{
	size_t i;
	const json_t *target;
	json_array_foreach(targets, i, target)
	{
		if (!target_valid(target))
			return false;
	}
	return json_is_array(targets);
}

static int unpack(struct job *job, json_t *root)
{
	const char *status, *description = NULL, *comment = NULL;
	json_t *targets, *document;
	int continuous, force;
	json_int_t timeout, rate, created, updated, completed;
	if (json_unpack(root, "{s:s, s:o, s:o, s?s, s?s, s:b, s:b, s:I, s:I, s:I, s:I, s:I}", "status",
	            &status, "targets", &targets, "document", &document, "description", &description,
	            "comment", &comment, "continuous", &continuous, "force", &force, "timeout", &timeout,
	            "rate", &rate, "created", &created, "updated", &updated, "completed", &completed) ||
	        !job_status_parse(status, &job->status) || !all_valid(targets) || !json_is_object(document) ||
	        timeout < 0 || timeout > TIMEOUT_MAX || rate < 1 || rate > RATE_MAX)
		return -EINVAL;
	job->targets = json_incref(targets);
	job->document = json_incref(document);
	job->continuous = continuous;
	job->force = force;
	job->timeout = timeout;
	job->rate = rate;
	job->created = created;
	job->updated = updated;
	job->completed = completed;
	int r = copy(description, &job->description);
	if (!r)
		r = copy(comment, &job->comment);
	return r ? r : measure(job);
}

int job_parse(struct edged_slice id, struct edged_slice text, struct job **ret)
{
	json_t *root = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
	if (!root || !job_id_valid(id)) {
		json_decref(root);
		return -EINVAL;
	}
	struct job *job = job_new(id);
	int r = job ? unpack(job, root) : -ENOMEM;
	json_decref(root);
	if (r)
		job_free(job);
	else
		*ret = job;
	return r;
}

/* --- executions -------------------------------------------------------------------------------------------------------- */

size_t job_place(const struct job *job, struct edged_slice thing)
{
	size_t low = 0, high = job->count;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (name_compare(job->list[mid]->thing, thing) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct execution *job_find(const struct job *job, struct edged_slice thing)
{
	size_t at = job_place(job, thing);
	return at < job->count && name_compare(job->list[at]->thing, thing) == 0 ? job->list[at] : NULL;
}

int job_add(struct job *job, struct execution *execution)
{
	if (job->count == job->size) {
		size_t size = job->size * 2 + 8;
		struct execution **list = realloc(job->list, size * sizeof(struct execution *));
		if (!list)
			return -ENOMEM;
		job->list = list;
		job->size = size;
	}
	size_t at = job_place(job, edged_str(execution->thing));
	memmove(job->list + at + 1, job->list + at, (job->count - at) * sizeof(struct execution *));
	job->list[at] = execution;
	job->count++;
	job->by_status[execution->status]++;
	return 0;
}

void job_remove(struct job *job, struct execution *execution)
{
	size_t at = job_place(job, edged_str(execution->thing));
	job->by_status[execution->status]--;
	memmove(job->list + at, job->list + at + 1, (--job->count - at) * sizeof(struct execution *));
	execution_free(execution);
}

void job_recount(struct job *job, enum execution_status before, enum execution_status after)
{
	job->by_status[before]--;
	job->by_status[after]++;
}

size_t job_pending(const struct job *job)
{
	return job->by_status[EXECUTION_QUEUED] + job->by_status[EXECUTION_IN_PROGRESS];
}

size_t job_waiting(const struct job *job)
{
	return json_array_size(job->waiting) - job->waiting_next;
}

struct edged_slice target_name(const char *target, bool *ret_group)
{
	static const char group[] = "group:", thing[] = "thing:";
	*ret_group = strncmp(target, group, sizeof(group) - 1) == 0;
	if (*ret_group || strncmp(target, thing, sizeof(thing) - 1) == 0)
		return edged_str(target + sizeof(group) - 1);
	return edged_str(target);
}

bool target_valid(const json_t *target)
{
	struct shadow_name unused;
	bool group;
	return json_is_string(target) && strlen(json_string_value(target)) == json_string_length(target) &&
	       shadow_name_set(&unused, target_name(json_string_value(target), &group), edged_slice("", 0));
}
