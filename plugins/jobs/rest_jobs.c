/* SPDX-License-Identifier: Apache-2.0 */
#include "rest_jobs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../shadow/query.h"
#include "spec.h"

enum { PAGE_DEFAULT = 100, PAGE_MAX = 1000, ANSWERED = 1 };

/* --- answers --------------------------------------------------------------------------------------------------------------- */

/* Takes the body. */
static int reply(struct rest *rest, edged_handle request, int status, json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	json_decref(body);
	if (!text)
		return -ENOMEM;
	int r = rest->http->reply(rest->host, request, status, "application/json", edged_str(text));
	free(text);
	return r;
}

static int problem(struct rest *rest, edged_handle request, int status, const char *type, const char *title,
        const char *detail)
{
	int r = rest->http->problem(rest->host, request, status, type, title, detail);
	return r ? r : ANSWERED;
}

static int done(int r)
{
	return r < 0 ? r : 0;
}

/* Why a change was refused. */
static int refuse(struct rest *rest, edged_handle request, int result)
{
	static const struct {
		int result, status;
		const char *type, *title, *detail;
	} rows[] = {
		{ -EEXIST, 409, "exists", "There is a job of this id",
		        "Take another id, or delete that job." },
		{ -ENOSPC, 409, "too-many", "There would be too many jobs or executions",
		        "Delete jobs that have ended, or raise jobs or executions in the section jobs of the "
		        "configuration." },
		{ -EALREADY, 409, "ended", "It has ended already", "There is nothing to cancel." },
		{ -EINPROGRESS, 409, "in-progress", "It is in progress", "Cancel it first, or use force." },
		{ -EBUSY, 503, "busy", "The store is being read", "Try again." },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].result == result)
			return done(problem(
			        rest, request, rows[i].status, rows[i].type, rows[i].title, rows[i].detail));
	return done(problem(rest, request, 503, "not-stored", "The change could not be stored",
	        "What was before is in force. The daemon's log says why."));
}

/* --- changes that wait for the disk ------------------------------------------------------------------------------------------ */

struct change {
	struct rest *rest;
	edged_handle request;
	int status; /* of the answer */
	char job[JOB_ID_MAX + 1];
	char thing[THING_NAME_MAX + 1]; /* "": it is about the job */
};

static json_t *outcome(const struct change *change)
{
	const struct book *book = service_book(change->rest->service);
	const struct job *job = book ? book_find(book, edged_str(change->job)) : NULL;
	if (!job)
		return json_pack(
		        "{s:s, s:s}", "id", change->job, "status", job_status_text(JOB_DELETION_IN_PROGRESS));
	if (!*change->thing)
		return spec_job(job, true);
	const struct execution *execution = job_find(job, edged_str(change->thing));
	return execution ? spec_execution(execution) : json_object();
}

static void stored(void *arg, int result)
{
	struct change *change = arg;
	if (result)
		(void)refuse(change->rest, change->request, result);
	else
		(void)reply(change->rest, change->request, change->status, outcome(change));
	free(change);
}

static struct change *change_new(
        struct rest *rest, edged_handle request, int status, const char *job, const char *thing)
{
	struct change *change = calloc(1, sizeof(*change));
	if (!change)
		return NULL;
	*change = (struct change){ .rest = rest, .request = request, .status = status };
	snprintf(change->job, sizeof(change->job), "%s", job);
	snprintf(change->thing, sizeof(change->thing), "%s", thing);
	return change;
}

/* After the attempt: 0, or it could not even begin. */
static int begun(struct change *change, int r)
{
	if (!r)
		return 0;
	struct rest *rest = change->rest;
	edged_handle request = change->request;
	free(change);
	return r == -ENOMEM ? r : refuse(rest, request, r);
}

/* --- requests ------------------------------------------------------------------------------------------------------------ */

/* Each 0, ANSWERED or a negative errno. */

static int read_body(struct rest *rest, edged_handle request, bool optional, json_t **ret)
{
	struct edged_slice body = rest->http->body(rest->host, request);
	*ret = body.len || !optional
	               ? json_loadb(body.ptr ? body.ptr : "", body.len, JSON_REJECT_DUPLICATES, NULL)
	               : json_object();
	if (json_is_object(*ret))
		return 0;
	json_decref(*ret);
	*ret = NULL;
	return problem(rest, request, 400, "bad-json", "The body is no JSON object", "Send a JSON object.");
}

static int read_book(struct rest *rest, edged_handle request, const struct book **ret)
{
	*ret = service_book(rest->service);
	if (*ret)
		return 0;
	int r = refuse(rest, request, -EBUSY);
	return r ? r : ANSWERED;
}

static int read_job(struct rest *rest, edged_handle request, struct job **ret)
{
	const struct book *book;
	int r = read_book(rest, request, &book);
	if (r)
		return r;
	*ret = book_find(book, rest->http->param(rest->host, request, "job"));
	return *ret ? 0
	            : problem(rest, request, 404, "no-such-job", "There is no such job",
	                      "GET /jobs/v1/jobs lists all.");
}

static int read_execution(struct rest *rest, edged_handle request, struct execution **ret)
{
	struct job *job;
	int r = read_job(rest, request, &job);
	if (r)
		return r;
	*ret = job_find(job, rest->http->param(rest->host, request, "thing"));
	return *ret ? 0
	            : problem(rest, request, 404, "no-such-execution",
	                      "There is no execution of this job for this thing",
	                      "GET /jobs/v1/jobs/{job}/executions lists all.");
}

static int read_limit(struct rest *rest, edged_handle request, size_t *ret)
{
	struct edged_slice limit = rest->http->query(rest->host, request, "limit");
	if (query_number(limit, PAGE_MAX, PAGE_DEFAULT, ret))
		return 0;
	return problem(rest, request, 400, "bad-parameter", "A parameter is not valid",
	        "The query parameter limit is a number from 1 to 1,000.");
}

/* --- making -------------------------------------------------------------------------------------------------------------- */

static int check_targets(struct rest *rest, edged_handle request, const struct job *job)
{
	const struct edged_things_1 *registry = rest->registry;
	for (size_t i = 0; i < json_array_size(job->targets); i++) {
		bool group;
		const char *target = json_string_value(json_array_get(job->targets, i));
		struct edged_slice name = target_name(target, &group);
		if ((group ? registry->group : registry->exists)(registry->ctx, rest->host, name))
			continue;
		char why[SPEC_WHY_MAX];
		snprintf(why, sizeof(why), "There is no %s %.*s in the registry (plugin things).",
		        group ? "group" : "thing", EDGED_SLICE_FMT(name));
		return problem(rest, request, 400, "no-such-target", "A target does not exist", why);
	}
	return 0;
}

int jobs_create(struct rest *rest, edged_handle request)
{
	char why[SPEC_WHY_MAX];
	json_t *body = NULL;
	struct job *job = NULL;
	int r = read_body(rest, request, false, &body);
	if (!r)
		r = spec_parse(body, rest->document, &job, why);
	json_decref(body);
	if (r == -EINVAL)
		r = problem(rest, request, 400, "bad-job", "The job is not valid", why);
	if (!r)
		r = check_targets(rest, request, job);
	struct change *change = r ? NULL : change_new(rest, request, 201, job->id, "");
	if (!r && !change)
		r = -ENOMEM;
	if (r) {
		job_free(job);
		return done(r);
	}
	return begun(change, service_create(rest->service, job, stored, change));
}

/* --- reading ------------------------------------------------------------------------------------------------------------- */

/* {"data": [...], "cursor": "..."}; the cursor is there when there is more. Takes the list. */
static int reply_page(struct rest *rest, edged_handle request, json_t *list, const char *cursor)
{
	return reply(rest, request, 200, json_pack("{s:o, s:s*}", "data", list, "cursor", cursor));
}

int jobs_list(struct rest *rest, edged_handle request)
{
	const struct book *book;
	size_t limit;
	int r = read_book(rest, request, &book);
	if (!r)
		r = read_limit(rest, request, &limit);
	if (r)
		return done(r);
	struct edged_slice cursor = rest->http->query(rest->host, request, "cursor");
	size_t i = book_place(book, cursor);
	if (i < book->count && cursor.len && edged_slice_is(cursor, book->jobs[i]->id))
		i++;
	json_t *list = json_array();
	for (; i < book->count && json_array_size(list) < limit; i++)
		if (json_array_append_new(list, spec_job(book->jobs[i], false))) {
			json_decref(list);
			return -ENOMEM;
		}
	return reply_page(rest, request, list, i < book->count ? book->jobs[i - 1]->id : NULL);
}

int jobs_show(struct rest *rest, edged_handle request)
{
	struct job *job;
	int r = read_job(rest, request, &job);
	return r ? done(r) : reply(rest, request, 200, spec_job(job, true));
}

/* EXECUTION_STATUSES: any. */
static int read_status(struct rest *rest, edged_handle request, enum execution_status *ret)
{
	struct edged_slice text = rest->http->query(rest->host, request, "status");
	*ret = EXECUTION_STATUSES;
	for (unsigned i = 0; text.ptr && i < EXECUTION_STATUSES; i++)
		if (edged_slice_is(text, execution_status_text(i)))
			*ret = (enum execution_status)i;
	if (!text.ptr || *ret != EXECUTION_STATUSES)
		return 0;
	return problem(rest, request, 400, "bad-parameter", "A parameter is not valid",
	        "The query parameter status is a state of executions, such as FAILED.");
}

int jobs_list_executions(struct rest *rest, edged_handle request)
{
	struct job *job;
	size_t limit;
	enum execution_status status;
	int r = read_job(rest, request, &job);
	if (!r)
		r = read_limit(rest, request, &limit);
	if (!r)
		r = read_status(rest, request, &status);
	if (r)
		return done(r);
	struct edged_slice cursor = rest->http->query(rest->host, request, "cursor");
	size_t i = job_place(job, cursor);
	if (i < job->count && cursor.len && edged_slice_is(cursor, job->list[i]->thing))
		i++;
	json_t *list = json_array();
	for (; i < job->count && json_array_size(list) < limit; i++)
		if ((status == EXECUTION_STATUSES || status == job->list[i]->status) &&
		        json_array_append_new(list, spec_execution(job->list[i]))) {
			json_decref(list);
			return -ENOMEM;
		}
	return reply_page(rest, request, list, i < job->count ? job->list[i - 1]->thing : NULL);
}

int jobs_show_execution(struct rest *rest, edged_handle request)
{
	struct execution *execution;
	int r = read_execution(rest, request, &execution);
	return r ? done(r) : reply(rest, request, 200, spec_execution(execution));
}

/* --- ending ---------------------------------------------------------------------------------------------------------------- */

/* {"force": true, "comment": ".."}, both optional; the comment is borrowed from *ret_body. */
static int read_cancel(
        struct rest *rest, edged_handle request, json_t **ret_body, bool *ret_force, const char **ret_comment)
{
	int r = read_body(rest, request, true, ret_body);
	if (r)
		return r;
	const json_t *force = json_object_get(*ret_body, "force"),
	             *comment = json_object_get(*ret_body, "comment");
	*ret_force = json_is_true(force);
	*ret_comment = json_string_value(comment);
	if ((!force || json_is_boolean(force)) &&
	        (!comment || (json_is_string(comment) && json_string_length(comment) <= DESCRIPTION_MAX)))
		return 0;
	return problem(rest, request, 400, "bad-member", "The request is not valid",
	        "force is true or false, comment a text of at most 2,028 bytes.");
}

int jobs_cancel(struct rest *rest, edged_handle request)
{
	struct job *job;
	json_t *body = NULL;
	bool force = false;
	const char *comment = NULL;
	int r = read_job(rest, request, &job);
	if (!r)
		r = read_cancel(rest, request, &body, &force, &comment);
	struct change *change = r ? NULL : change_new(rest, request, 200, job->id, "");
	if (!r && !change)
		r = -ENOMEM;
	r = r ? done(r) : begun(change, service_cancel(rest->service, job, force, comment, stored, change));
	json_decref(body);
	return r;
}

int jobs_cancel_execution(struct rest *rest, edged_handle request)
{
	struct execution *execution;
	json_t *body = NULL;
	bool force = false;
	const char *unused = NULL;
	int r = read_execution(rest, request, &execution);
	if (!r)
		r = read_cancel(rest, request, &body, &force, &unused);
	json_decref(body);
	struct change *change =
	        r ? NULL : change_new(rest, request, 200, execution->job->id, execution->thing);
	if (!r && !change)
		r = -ENOMEM;
	return r ? done(r)
	         : begun(change, service_cancel_execution(rest->service, execution, force, stored, change));
}

int jobs_delete(struct rest *rest, edged_handle request)
{
	struct job *job;
	int r = read_job(rest, request, &job);
	struct edged_slice force = rest->http->query(rest->host, request, "force");
	if (!r && force.ptr && !edged_slice_is(force, "true") && !edged_slice_is(force, "false"))
		r = problem(rest, request, 400, "bad-parameter", "A parameter is not valid",
		        "The query parameter force is true or false.");
	struct change *change = r ? NULL : change_new(rest, request, 202, job->id, "");
	if (!r && !change)
		r = -ENOMEM;
	return r ? done(r)
	         : begun(change,
	                   service_delete(rest->service, job, edged_slice_is(force, "true"), stored, change));
}
