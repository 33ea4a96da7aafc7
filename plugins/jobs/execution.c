/* SPDX-License-Identifier: Apache-2.0 */
#include "execution.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const texts[EXECUTION_STATUSES] = {
#define ROW(name) #name,
	EXECUTION_STATES(ROW)
#undef ROW
};

const char *execution_status_text(enum execution_status status)
{
	return texts[status];
}

bool execution_status_parse(const char *text, enum execution_status *ret)
{
	for (unsigned i = 0; i < EXECUTION_STATUSES; i++)
		if (strcmp(text, texts[i]) == 0) {
			*ret = (enum execution_status)i;
			return true;
		}
	return false;
}

bool execution_may_report(enum execution_status status)
{
	return status == EXECUTION_IN_PROGRESS || status == EXECUTION_SUCCEEDED ||
	       status == EXECUTION_FAILED || status == EXECUTION_REJECTED;
}

bool execution_pending(enum execution_status status)
{
	return status == EXECUTION_QUEUED || status == EXECUTION_IN_PROGRESS;
}

struct execution *execution_new(struct job *job, struct edged_slice thing, struct moment now)
{
	struct execution *e = calloc(1, sizeof(*e) + thing.len + 1);
	if (!e)
		return NULL;
	*e = (struct execution){
		.job = job, .queued = now.wall, .updated = now.wall, .version = 1, .number = 1
	};
	memcpy(e->thing, thing.ptr, thing.len);
	return e;
}

void execution_free(struct execution *execution)
{
	if (!execution)
		return;
	json_decref(execution->details);
	free(execution);
}

/* --- the store --------------------------------------------------------------------------------------------------------- */

enum { MINUTE = 60, MS = 1000 };

/* The moment of the calendar that is as far away; 0 stays 0. */
static json_int_t to_wall(uint64_t until, struct moment now)
{
	if (!until)
		return 0;
	return now.wall + (until > now.mono ? (json_int_t)((until - now.mono + MS - 1) / MS) : 0);
}

static uint64_t to_mono(json_int_t until, struct moment now)
{
	if (!until)
		return 0;
	return now.mono + (until > now.wall ? (uint64_t)(until - now.wall) * MS : 0) + !now.mono;
}

char *execution_print(const struct execution *e, struct moment now)
{
	json_t *root = json_pack("{s:s, s:O*, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "status",
	        execution_status_text(e->status), "details", e->details, "queued", (json_int_t)e->queued,
	        "started", (json_int_t)e->started, "updated", (json_int_t)e->updated, "version",
	        (json_int_t)e->version, "number", (json_int_t)e->number, "place", (json_int_t)e->place,
	        "until", to_wall(e->until, now), "stepUntil", to_wall(e->step_until, now));
	char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	return text;
}

/* No number of ours is larger; what is calculated with them cannot overflow. */
static bool sane(const json_int_t *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (numbers[i] < 0 || numbers[i] > (json_int_t)1 << 53)
			return false;
	return true;
}

static int unpack(struct execution *e, const json_t *root, struct moment now)
{
	enum { QUEUED, STARTED, UPDATED, VERSION, NUMBER, PLACE, UNTIL, STEP, NUMBERS };
	const char *status;
	json_t *details = NULL;
	json_int_t n[NUMBERS];
	if (json_unpack((json_t *)(uintptr_t)root, "{s:s, s?o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
	            "status", &status, "details", &details, "queued", &n[QUEUED], "started", &n[STARTED],
	            "updated", &n[UPDATED], "version", &n[VERSION], "number", &n[NUMBER], "place", &n[PLACE],
	            "until", &n[UNTIL], "stepUntil", &n[STEP]) ||
	        !execution_status_parse(status, &e->status) || (details && !json_is_object(details)) ||
	        !sane(n, NUMBERS) || !n[VERSION] || !n[NUMBER] || !n[PLACE])
		return -EINVAL;
	e->details = json_incref(details);
	e->queued = n[QUEUED];
	e->started = n[STARTED];
	e->updated = n[UPDATED];
	e->version = n[VERSION];
	e->number = n[NUMBER];
	e->place = (uint64_t)n[PLACE];
	e->until = to_mono(n[UNTIL], now);
	e->step_until = to_mono(n[STEP], now);
	return 0;
}

int execution_parse(struct job *job, struct edged_slice thing, struct edged_slice text, struct moment now,
        struct execution **ret)
{
	json_t *root = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
	if (!root)
		return -EINVAL;
	struct execution *e = execution_new(job, thing, now);
	int r = e ? unpack(e, root, now) : -ENOMEM;
	json_decref(root);
	if (r)
		execution_free(e);
	else
		*ret = e;
	return r;
}

/* --- changes ----------------------------------------------------------------------------------------------------------- */

void execution_move(
        struct execution *execution, enum execution_status status, int64_t timeout, struct moment now)
{
	if (status == EXECUTION_IN_PROGRESS && !execution->started) {
		execution->started = now.wall;
		execution->until = timeout ? now.mono + (uint64_t)timeout * MINUTE * MS : 0;
	}
	if (!execution_pending(status))
		execution->until = execution->step_until = 0;
	execution->status = status;
	execution->updated = now.wall;
	execution->version++;
}

void execution_again(struct execution *execution, struct moment now)
{
	execution_set_details(execution, NULL);
	execution->status = EXECUTION_QUEUED;
	execution->queued = execution->updated = now.wall;
	execution->started = 0;
	execution->version = 1;
	execution->number++;
}

void execution_set_details(struct execution *execution, json_t *details)
{
	json_incref(details);
	json_decref(execution->details);
	execution->details = details;
}

void execution_set_step(struct execution *execution, int64_t minutes, struct moment now)
{
	execution->step_until = minutes > 0 ? now.mono + (uint64_t)minutes * MINUTE * MS : 0;
}

uint64_t execution_deadline(const struct execution *execution)
{
	if (!execution->until || !execution->step_until)
		return execution->until | execution->step_until;
	return execution->until < execution->step_until ? execution->until : execution->step_until;
}

size_t execution_bytes(const struct execution *execution)
{
	size_t bytes = 0, len;
	const char *name;
	json_t *value;
	json_object_keylen_foreach(execution->details, name, len, value)
	{
		(void)name;
		bytes += len + json_string_length(value);
	}
	return bytes;
}
