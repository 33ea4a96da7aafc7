/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "notify.h"

enum { RETRY_MS = 5000 };

struct service {
	struct service_deps deps;
	struct ledger ledger;
	struct rollout rollout;
	struct busy busy;
	bool begun; /* the store was read once */
	int64_t *requests[JOBS_VERBS], *refused;
};

/* A request, while its answer waits for the disk. */
struct operation {
	struct service *service;
	struct jobs_request request;
	struct jobs_error error;
	const struct execution *told; /* its state is in the refusal */
	jobs_answer *answer;
	void *arg;
	char *body; /* for answer() */
	char thing[THING_NAME_MAX + 1];
	bool busy;
	char topic[]; /* of the request, or "" */
};

/* --- life ------------------------------------------------------------------------------------------------------------------ */

static void loaded(void *arg, int result)
{
	struct service *service = arg;
	const struct service_deps *deps = &service->deps;
	bool first = !service->begun;
	service->begun = true;
	if (!result) {
		rollout_wake(&service->rollout);
	} else if (!first) {
		deps->log->log(deps->host, EDGED_ERROR, "the stored jobs cannot be read: %s; trying again",
		        strerror(-result));
		rollout_wake_at(&service->rollout, deps->loop->now(deps->host) + RETRY_MS);
	}
	if (first)
		deps->loaded(deps->arg, result); /* comes last: it may be the end of the service */
}

int service_new(const struct service_deps *deps, struct service **ret)
{
	static const char *const labels[JOBS_VERBS] = { "verb=\"get-pending\"", "verb=\"start-next\"",
		"verb=\"describe\"", "verb=\"update\"" };
	struct service *service = calloc(1, sizeof(*service));
	if (!service)
		return -ENOMEM;
	service->deps = *deps;
	const struct ledger_deps ledger = { .host = deps->host,
		.log = deps->log,
		.loop = deps->loop,
		.store = deps->store,
		.pubsub = deps->pubsub,
		.wall = deps->wall,
		.loaded = loaded,
		.arg = service };
	busy_init(&service->busy, deps->in_flight, 0);
	ledger_init(&service->ledger, &ledger);
	for (unsigned i = 0; i < JOBS_VERBS; i++)
		service->requests[i] = deps->metrics->figure(
		        deps->host, EDGED_COUNTER, "jobs_requests_total", labels[i], "Requests of devices");
	service->refused = deps->metrics->figure(deps->host, EDGED_COUNTER, "jobs_refused_total", NULL,
	        "Requests of devices that were refused");
	int r = rollout_init(
	        &service->rollout, &service->ledger, deps->registry, deps->metrics, deps->executions);
	if (r) {
		busy_fini(&service->busy);
		free(service);
		return r;
	}
	*ret = service;
	return 0;
}

int service_start(struct service *service)
{
	int r = rollout_start(&service->rollout);
	return r ? r : ledger_load(&service->ledger);
}

void service_stop(struct service *service)
{
	rollout_stop(&service->rollout);
}

void service_free(struct service *service)
{
	if (!service)
		return;
	ledger_fini(&service->ledger);
	busy_fini(&service->busy);
	free(service);
}

const struct book *service_book(const struct service *service)
{
	return service->ledger.state == LEDGER_READY ? &service->ledger.book : NULL;
}

/* --- answers --------------------------------------------------------------------------------------------------------------- */

static void operation_free(struct operation *operation)
{
	if (operation->busy)
		busy_remove(&operation->service->busy, operation->thing);
	jobs_request_fini(&operation->request);
	free(operation->body);
	free(operation);
}

static struct frame frame_of(const struct operation *operation)
{
	return (struct frame){ .http = operation->answer != NULL,
		.token = operation->request.token,
		.now = ledger_now(&operation->service->ledger) };
}

static void reply_topic(const struct operation *operation, char *topic, size_t size)
{
	snprintf(topic, size, "%s/%s", operation->topic, operation->error.code ? "rejected" : "accepted");
}

/* The outcome is known, and nothing stands between it and the one who asked. */
static void settled(void *arg, int result)
{
	struct operation *operation = arg;
	struct service *service = operation->service;
	if (result) {
		(void)jobs_refuse(&operation->error, JOBS_INTERNAL, "The request could not be carried out");
		operation->told = NULL;
	}
	if (operation->error.code)
		edged_metric_add(service->refused, 1);
	if (operation->answer)
		operation->answer(operation->arg, &operation->error, edged_str(operation->body));
	else if (result && result != -ECANCELED) { /* that is the end of the service */
		const struct frame frame = frame_of(operation);
		size_t size = strlen(operation->topic) + sizeof("/rejected");
		char *topic = malloc(size), *text = message_rejected(&operation->error, NULL, &frame);
		if (topic && text) {
			reply_topic(operation, topic, size);
			ledger_publish(&service->ledger, topic, text);
		}
		free(topic);
		free(text);
	}
	operation_free(operation);
}

/* Takes the body of the answer. */
static void reply(struct operation *operation, struct batch *batch, char *body)
{
	const struct frame frame = frame_of(operation);
	if (operation->error.code) {
		free(body);
		body = message_rejected(&operation->error, operation->told, &frame);
	}
	operation->told = NULL;
	if (operation->answer) {
		operation->body = body;
		if (!body)
			(void)jobs_refuse(&operation->error, JOBS_INTERNAL, "No memory");
	} else {
		size_t size = strlen(operation->topic) + sizeof("/rejected");
		char *topic = malloc(size);
		if (topic)
			reply_topic(operation, topic, size);
		batch_tell(batch, topic ? topic : "", topic ? body : NULL);
		if (!topic)
			free(body);
		free(topic);
	}
	batch_end(batch, settled, operation);
}

/* --- what devices ask ------------------------------------------------------------------------------------------------------ */

/* Each returns the body of the answer; NULL: no memory, or operation->error says why not. */

static char *get_pending(struct operation *operation, const struct jobs_call *call, struct batch *batch)
{
	const struct frame frame = frame_of(operation);
	(void)call;
	(void)batch;
	return message_pending(
	        book_line(&operation->service->ledger.book, edged_str(operation->thing)), &frame);
}

static void set_step(struct operation *operation, struct execution *execution)
{
	const struct ledger *ledger = &operation->service->ledger;
	if (operation->request.step != STEP_NONE)
		execution_set_step(execution, operation->request.step, ledger_now(ledger));
}

static char *start_next(struct operation *operation, const struct jobs_call *call, struct batch *batch)
{
	struct service *service = operation->service;
	struct execution *execution =
	        line_next(book_line(&service->ledger.book, edged_str(operation->thing)));
	const struct frame frame = frame_of(operation);
	(void)call;
	if (execution) {
		set_step(operation, execution);
		if (execution->status == EXECUTION_QUEUED) {
			if (operation->request.details)
				execution_set_details(execution, operation->request.details);
			change_execution(batch, &service->ledger, execution, EXECUTION_IN_PROGRESS);
		} else if (operation->request.step != STEP_NONE) {
			batch_put(batch, execution);
		}
		rollout_wake_at(&service->rollout, execution_deadline(execution));
	}
	return message_execution(execution, true, &frame);
}

/* The execution that is named; NULL and operation->error: there is none. */
static struct execution *find(struct operation *operation, struct edged_slice id)
{
	const struct job *job = book_find(&operation->service->ledger.book, id);
	struct execution *execution = job && job->status != JOB_DELETION_IN_PROGRESS
	                                      ? job_find(job, edged_str(operation->thing))
	                                      : NULL;
	if (execution && operation->request.number && operation->request.number != execution->number)
		execution = NULL;
	if (!execution)
		(void)jobs_refuse(&operation->error, JOBS_NOT_FOUND,
		        "There is no execution of job %.*s for this thing", EDGED_SLICE_FMT(id));
	return execution;
}

static char *describe(struct operation *operation, const struct jobs_call *call, struct batch *batch)
{
	const struct frame frame = frame_of(operation);
	const struct execution *execution;
	(void)batch;
	if (edged_slice_is(call->job, JOBS_NEXT)) {
		execution =
		        line_next(book_line(&operation->service->ledger.book, edged_str(operation->thing)));
	} else {
		execution = find(operation, call->job);
		if (!execution)
			return NULL;
		if (!execution_pending(execution->status)) {
			(void)jobs_refuse(&operation->error, JOBS_TERMINAL, "The execution is %s",
			        execution_status_text(execution->status));
			return NULL;
		}
	}
	return message_execution(execution, operation->request.with_document, &frame);
}

static char *update(struct operation *operation, const struct jobs_call *call, struct batch *batch)
{
	struct service *service = operation->service;
	const struct jobs_request *request = &operation->request;
	const struct frame frame = frame_of(operation);
	struct execution *execution = find(operation, call->job);
	if (!execution)
		return NULL;
	operation->told = execution;
	if (request->expected && request->expected != execution->version) {
		(void)jobs_refuse(&operation->error, JOBS_VERSION, "The version is %lld, not %lld",
		        (long long)execution->version, (long long)request->expected);
		return NULL;
	}
	if (!execution_pending(execution->status)) {
		(void)jobs_refuse(&operation->error, JOBS_INVALID_STATE, "The execution is %s already",
		        execution_status_text(execution->status));
		return NULL;
	}
	if (request->details)
		execution_set_details(execution, request->details);
	set_step(operation, execution);
	change_execution(batch, &service->ledger, execution, request->status);
	(void)rollout_settle(&service->rollout, batch, execution->job);
	rollout_wake_at(&service->rollout, execution_deadline(execution));
	return message_updated(execution, request, &frame);
}

static bool job_named(const struct jobs_call *call)
{
	switch (call->verb) {
	case JOBS_PENDING:
	case JOBS_START_NEXT:
	case JOBS_VERBS:
		return true;
	case JOBS_DESCRIBE:
		return edged_slice_is(call->job, JOBS_NEXT) || job_id_valid(call->job);
	case JOBS_UPDATE:
		return job_id_valid(call->job);
	}
	return false;
}

static int judge(struct operation *operation, const struct jobs_call *call)
{
	const struct service *service = operation->service;
	const struct edged_things_1 *registry = service->deps.registry;
	struct jobs_error *error = &operation->error;
	struct shadow_name name;
	if (!shadow_name_set(&name, call->thing, edged_slice("", 0)) || !job_named(call))
		return jobs_refuse(error, JOBS_INVALID_TOPIC, "There can be no such thing or job");
	memcpy(operation->thing, name.thing, sizeof(name.thing));
	int r = busy_add(&operation->service->busy, operation->thing, 0);
	operation->busy = r == 0;
	if (r == -EBUSY)
		return jobs_refuse(error, JOBS_THROTTLED, "%u requests of this thing are in flight",
		        service->deps.in_flight);
	if (r || service->ledger.state != LEDGER_READY)
		return jobs_refuse(error, JOBS_INTERNAL, "Try again");
	r = jobs_request_parse(&operation->request, call->verb, call->payload, &service->deps.details, error);
	if (!r && !registry->exists(registry->ctx, service->deps.host, call->thing))
		r = jobs_refuse(error, JOBS_NOT_FOUND, "There is no thing of this name");
	return r;
}

static struct operation *operation_new(struct service *service, const struct jobs_call *call)
{
	struct operation *operation = calloc(1, sizeof(*operation) + call->topic.len + 1);
	if (!operation)
		return NULL;
	operation->service = service;
	operation->answer = call->answer;
	operation->arg = call->arg;
	if (call->topic.len)
		memcpy(operation->topic, call->topic.ptr, call->topic.len);
	return operation;
}

void service_run(struct service *service, const struct jobs_call *call)
{
	static char *(*const verbs[JOBS_VERBS])(struct operation * operation, const struct jobs_call *call,
	        struct batch *batch) = { get_pending, start_next, describe, update };
	static const struct jobs_error no_memory = { JOBS_INTERNAL, "No memory" };
	edged_metric_add(service->requests[call->verb], 1);
	struct operation *operation = operation_new(service, call);
	struct batch *batch = operation ? batch_new(&service->ledger) : NULL;
	if (!batch) {
		if (operation)
			settled(operation, -ENOMEM);
		else if (call->answer)
			call->answer(call->arg, &no_memory, edged_slice(NULL, 0));
		return;
	}
	char *body = judge(operation, call) ? NULL : verbs[call->verb](operation, call, batch);
	reply(operation, batch, body);
}

/* --- what operators do ------------------------------------------------------------------------------------------------------- */

static int begin(struct service *service, struct batch **ret)
{
	if (service->ledger.state != LEDGER_READY)
		return -EBUSY;
	*ret = batch_new(&service->ledger);
	return *ret ? 0 : -ENOMEM;
}

int service_create(struct service *service, struct job *job, void (*done)(void *arg, int result), void *arg)
{
	struct book *book = &service->ledger.book;
	struct batch *batch = NULL;
	int r = service->ledger.state == LEDGER_READY ? 0 : -EBUSY;
	if (!r && book_find(book, edged_str(job->id)))
		r = -EEXIST;
	if (!r && book->count >= service->deps.jobs)
		r = -ENOSPC;
	if (!r)
		r = rollout_expand(&service->rollout, job);
	if (!r)
		r = begin(service, &batch);
	job->created = job->updated = service->deps.wall();
	if (!r) {
		r = book_add(book, job);
		if (r)
			batch_drop(batch);
	}
	if (r) {
		job_free(job);
		return r;
	}
	batch_put_job(batch, job);
	if (!job->continuous)
		batch_put_waiting(batch, job);
	batch_end(batch, done, arg);
	rollout_wake(&service->rollout);
	return 0;
}

int service_cancel(struct service *service, struct job *job, bool force, const char *comment,
        void (*done)(void *arg, int result), void *arg)
{
	struct batch *batch;
	bool more = force && job->status == JOB_CANCELED && !job->force;
	if (job->status != JOB_IN_PROGRESS && !more)
		return -EALREADY;
	char *text = comment ? strdup(comment) : NULL;
	int r = comment && !text ? -ENOMEM : begin(service, &batch);
	if (r) {
		free(text);
		return r;
	}
	free(job->comment);
	job->comment = text;
	job->status = JOB_CANCELED;
	job->force = force;
	job->updated = job->completed = service->deps.wall();
	json_array_clear(job->waiting);
	job->waiting_next = 0;
	batch_delete_waiting(batch, job);
	batch_put_job(batch, job);
	batch_end(batch, done, arg);
	rollout_wake(&service->rollout);
	return 0;
}

int service_delete(
        struct service *service, struct job *job, bool force, void (*done)(void *arg, int result), void *arg)
{
	struct batch *batch;
	if (!force && (job->status == JOB_IN_PROGRESS || job->by_status[EXECUTION_IN_PROGRESS]))
		return -EINPROGRESS;
	int r = begin(service, &batch);
	if (r)
		return r;
	job->status = JOB_DELETION_IN_PROGRESS;
	job->updated = service->deps.wall();
	batch_put_job(batch, job);
	batch_end(batch, done, arg);
	rollout_wake(&service->rollout);
	return 0;
}

int service_cancel_execution(struct service *service, struct execution *execution, bool force,
        void (*done)(void *arg, int result), void *arg)
{
	struct batch *batch;
	if (!execution_pending(execution->status))
		return -EALREADY;
	if (!force && execution->status == EXECUTION_IN_PROGRESS)
		return -EINPROGRESS;
	int r = begin(service, &batch);
	if (r)
		return r;
	change_execution(batch, &service->ledger, execution, EXECUTION_CANCELED);
	(void)rollout_settle(&service->rollout, batch, execution->job);
	batch_end(batch, done, arg);
	return 0;
}
