/* SPDX-License-Identifier: Apache-2.0 */
#include "spec.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(char why[SPEC_WHY_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));
static int refuse(char why[SPEC_WHY_MAX], const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why, SPEC_WHY_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

/* --- reading ------------------------------------------------------------------------------------------------------------ */

static int read_targets(struct job *job, json_t *value, size_t unused, char why[SPEC_WHY_MAX])
{
	size_t i;
	json_t *target;
	(void)unused;
	if (!json_is_array(value) || json_array_size(value) < 1 || json_array_size(value) > TARGETS_MAX)
		return refuse(why, "targets is a list of 1 to %d things or groups", TARGETS_MAX);
	json_array_foreach(value, i, target)
	{
		if (!target_valid(target))
			return refuse(why, "targets[%zu] is no name of a thing, and no group:NAME", i);
	}
	job->targets = json_incref(value);
	return 0;
}

static int read_document(struct job *job, json_t *value, size_t most, char why[SPEC_WHY_MAX])
{
	if (!json_is_object(value))
		return refuse(why, "document is an object");
	job->document = json_incref(value);
	job->document_bytes = json_dumpb(value, NULL, 0, JSON_COMPACT);
	if (!job->document_bytes)
		return -ENOMEM;
	if (job->document_bytes > most)
		return refuse(
		        why, "document has %zu bytes of JSON; it may have %zu", job->document_bytes, most);
	return 0;
}

static int read_description(struct job *job, json_t *value, size_t unused, char why[SPEC_WHY_MAX])
{
	(void)unused;
	if (!json_is_string(value) || json_string_length(value) > DESCRIPTION_MAX ||
	        strlen(json_string_value(value)) != json_string_length(value))
		return refuse(why, "description is a text of at most %d bytes", DESCRIPTION_MAX);
	job->description = strdup(json_string_value(value));
	return job->description ? 0 : -ENOMEM;
}

static int read_selection(struct job *job, json_t *value, size_t unused, char why[SPEC_WHY_MAX])
{
	const char *text = json_string_value(value);
	(void)unused;
	job->continuous = text && strcmp(text, "CONTINUOUS") == 0;
	return job->continuous || (text && strcmp(text, "SNAPSHOT") == 0)
	               ? 0
	               : refuse(why, "targetSelection is SNAPSHOT or CONTINUOUS");
}

static int read_number(
        const char *name, const json_t *value, int64_t most, int64_t *ret, char why[SPEC_WHY_MAX])
{
	*ret = json_integer_value(value);
	if (json_is_integer(value) && *ret >= 1 && *ret <= most)
		return 0;
	return refuse(why, "%s is a number from 1 to %lld", name, (long long)most);
}

static int read_timeout(struct job *job, json_t *value, size_t unused, char why[SPEC_WHY_MAX])
{
	(void)unused;
	return read_number("inProgressTimeoutInMinutes", value, TIMEOUT_MAX, &job->timeout, why);
}

static int read_rate(struct job *job, json_t *value, size_t unused, char why[SPEC_WHY_MAX])
{
	(void)unused;
	return read_number("maximumPerMinute", value, RATE_MAX, &job->rate, why);
}

static int read_members(struct job *job, const json_t *spec, size_t document, char why[SPEC_WHY_MAX])
{
	static const struct {
		const char *name;
		int (*read)(struct job *job, json_t *value, size_t most, char why[SPEC_WHY_MAX]);
	} members[] = { { "id", NULL } /* the job has it */, { "targets", read_targets },
		{ "document", read_document }, { "description", read_description },
		{ "targetSelection", read_selection }, { "inProgressTimeoutInMinutes", read_timeout },
		{ "maximumPerMinute", read_rate } };
	const char *name;
	json_t *value;
	int r = 0;
	json_object_foreach((json_t *)(uintptr_t)spec, name, value)
	{
		size_t i = 0;
		while (i < sizeof(members) / sizeof(members[0]) && strcmp(name, members[i].name) != 0)
			i++;
		if (i == sizeof(members) / sizeof(members[0]))
			return refuse(why, "a job has no member %.60s", name);
		r = members[i].read ? members[i].read(job, value, document, why) : 0;
		if (r)
			return r;
	}
	if (!job->targets || !job->document)
		return refuse(why, "a job has targets and a document");
	return 0;
}

int spec_parse(const json_t *spec, size_t document_bytes, struct job **ret, char why[SPEC_WHY_MAX])
{
	const json_t *id = json_object_get(spec, "id");
	struct edged_slice text = edged_slice(json_string_value(id), json_string_length(id));
	if (!json_is_string(id) || !job_id_valid(text))
		return refuse(why, "id is 1 to 64 characters of a-z, A-Z, 0-9, '_' and '-'");
	struct job *job = job_new(text);
	if (!job)
		return -ENOMEM;
	job->rate = RATE_MAX;
	int r = read_members(job, spec, document_bytes, why);
	if (r)
		job_free(job);
	else
		*ret = job;
	return r;
}

/* --- showing ------------------------------------------------------------------------------------------------------------ */

static json_t *counts(const struct job *job)
{
	json_t *ret = json_object();
	for (unsigned i = 0; i < EXECUTION_STATUSES; i++)
		(void)json_object_set_new(
		        ret, execution_status_text(i), json_integer((json_int_t)job->by_status[i]));
	(void)json_object_set_new(ret, "waiting", json_integer((json_int_t)job_waiting(job)));
	return ret;
}

/* A member that is there when it is not 0. */
static int set_int(json_t *object, const char *name, int64_t value)
{
	return value ? json_object_set_new(object, name, json_integer(value)) : 0;
}

json_t *spec_job(const struct job *job, bool whole)
{
	json_t *ret = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "id", job->id, "status",
	        job_status_text(job->status), "targetSelection", job->continuous ? "CONTINUOUS" : "SNAPSHOT",
	        "maximumPerMinute", (json_int_t)job->rate, "createdAt", (json_int_t)job->created,
	        "lastUpdatedAt", (json_int_t)job->updated, "executions", counts(job));
	int r = ret ? set_int(ret, "completedAt", job->completed) : -ENOMEM;
	if (!r)
		r = set_int(ret, "inProgressTimeoutInMinutes", job->timeout);
	if (!r && job->description)
		r = json_object_set_new(ret, "description", json_string(job->description));
	if (!r && job->comment)
		r = json_object_set_new(ret, "comment", json_string(job->comment));
	if (!r && whole)
		r = json_object_set(ret, "targets", job->targets);
	if (!r && whole)
		r = json_object_set(ret, "document", job->document);
	if (!r)
		return ret;
	json_decref(ret);
	return NULL;
}

json_t *spec_execution(const struct execution *execution)
{
	json_t *ret = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:O*}", "job", execution->job->id,
	        "thing", execution->thing, "status", execution_status_text(execution->status), "queuedAt",
	        (json_int_t)execution->queued, "lastUpdatedAt", (json_int_t)execution->updated,
	        "versionNumber", (json_int_t)execution->version, "executionNumber",
	        (json_int_t)execution->number, "statusDetails", execution->details);
	if (ret && set_int(ret, "startedAt", execution->started)) {
		json_decref(ret);
		return NULL;
	}
	return ret;
}
