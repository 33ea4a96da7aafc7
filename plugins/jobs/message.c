/* SPDX-License-Identifier: Apache-2.0 */
#include "message.h"

#include <stdint.h>
#include <stdlib.h>

/* Takes the object; NULL is passed on. */
static char *print(json_t *root)
{
	char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	return text;
}

static char *finish(json_t *root, const struct frame *frame)
{
	if (!frame->http && root &&
	        (json_object_set_new(root, "timestamp", json_integer(frame->now.wall)) ||
	                (frame->token &&
	                        json_object_set_new(root, "clientToken", json_string(frame->token))))) {
		json_decref(root);
		root = NULL;
	}
	return print(root);
}

/* Sets a member; takes both. NULL: no memory. */
static json_t *with(json_t *object, const char *name, json_t *value)
{
	if (object && value && json_object_set_new(object, name, value) == 0)
		return object;
	json_decref(object);
	return NULL;
}

static json_t *with_int(json_t *object, const char *name, int64_t value)
{
	return with(object, name, json_integer(value));
}

/* JobExecutionSummary; with more members: JobExecution. */
static json_t *summary(const struct execution *e)
{
	json_t *ret = json_pack("{s:s, s:I, s:I, s:I, s:I}", "jobId", e->job->id, "queuedAt",
	        (json_int_t)e->queued, "lastUpdatedAt", (json_int_t)e->updated, "versionNumber",
	        (json_int_t)e->version, "executionNumber", (json_int_t)e->number);
	return e->started ? with_int(ret, "startedAt", e->started) : ret;
}

static json_t *document_of(const struct execution *e, bool as_text)
{
	if (!as_text)
		return json_incref(e->job->document);
	char *text = json_dumps(e->job->document, JSON_COMPACT);
	json_t *ret = text ? json_string(text) : NULL;
	free(text);
	return ret;
}

static json_t *with_state(json_t *object, const struct execution *e)
{
	object = with(object, "status", json_string(execution_status_text(e->status)));
	return e->details ? with(object, "statusDetails", json_incref(e->details)) : object;
}

static json_t *whole(const struct execution *e, bool document, bool as_text, struct moment now)
{
	uint64_t until = execution_deadline(e);
	json_t *ret = with_state(summary(e), e);
	ret = with(ret, "thingName", json_string(e->thing));
	if (until)
		ret = with_int(ret, "approximateSecondsBeforeTimedOut",
		        until > now.mono ? (int64_t)((until - now.mono) / 1000) : 0);
	return document ? with(ret, "jobDocument", document_of(e, as_text)) : ret;
}

/* Those of one state, in the order of the line, at most so many. */
static json_t *list_of(const struct line *line, enum execution_status status, size_t most)
{
	json_t *list = json_array();
	const struct execution *e;
	if (line)
		TAILQ_FOREACH(e, &line->executions, in_line)
	if (e->status == status && json_array_size(list) < most && json_array_append_new(list, summary(e))) {
		json_decref(list);
		return NULL;
	}
	return list;
}

char *message_pending(const struct line *line, const struct frame *frame)
{
	json_t *root = with(json_object(), "inProgressJobs", list_of(line, EXECUTION_IN_PROGRESS, SIZE_MAX));
	return finish(with(root, "queuedJobs", list_of(line, EXECUTION_QUEUED, SIZE_MAX)), frame);
}

char *message_execution(const struct execution *execution, bool document, const struct frame *frame)
{
	json_t *root = json_object();
	if (execution)
		root = with(root, "execution", whole(execution, document, frame->http, frame->now));
	return finish(root, frame);
}

static json_t *state_of(const struct execution *e)
{
	return with_int(with_state(json_object(), e), "versionNumber", e->version);
}

char *message_updated(
        const struct execution *execution, const struct jobs_request *request, const struct frame *frame)
{
	json_t *root = json_object();
	if (request->with_state)
		root = with(root, "executionState", state_of(execution));
	if (request->with_document)
		root = with(root, "jobDocument", document_of(execution, frame->http));
	return finish(root, frame);
}

char *message_rejected(
        const struct jobs_error *error, const struct execution *execution, const struct frame *frame)
{
	json_t *root =
	        json_pack("{s:s, s:s}", "code", jobs_code_text(error->code), "message", error->message);
	if (execution)
		root = with(root, "executionState", state_of(execution));
	return finish(root, frame);
}

char *message_changed(const struct line *line, struct moment now)
{
	static const enum execution_status states[] = { EXECUTION_IN_PROGRESS, EXECUTION_QUEUED };
	json_t *jobs = json_object();
	size_t left = NOTIFY_MAX;
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		json_t *list = list_of(line, states[i], left);
		size_t n = json_array_size(list);
		left -= n;
		if (list && n == 0)
			json_decref(list);
		else
			jobs = with(jobs, execution_status_text(states[i]), list);
	}
	return print(with_int(with(json_object(), "jobs", jobs), "timestamp", now.wall));
}

char *message_next(const struct execution *execution, struct moment now)
{
	json_t *root = json_object();
	if (execution)
		root = with(root, "execution", whole(execution, true, false, now));
	return print(with_int(root, "timestamp", now.wall));
}
