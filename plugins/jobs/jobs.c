/* SPDX-License-Identifier: Apache-2.0 */
/* The jobs plugin: AWS IoT Jobs, over MQTT and HTTP, without Internet. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "edged/cap_config.h"
#include "edged/plugin.h"
#include "rest_jobs.h"

/* Requests come on these; not on `#`, so that our own answers do not come back to us. */
static const char *const filters[] = {
	"$aws/things/+/jobs/get",
	"$aws/things/+/jobs/start-next",
	"$aws/things/+/jobs/+/get",
	"$aws/things/+/jobs/+/update",
};
enum { FILTERS = sizeof(filters) / sizeof(filters[0]) };

struct jobs {
	struct edged_host *host;
	const struct edged_pubsub_1 *pubsub;
	struct service *service;
	struct gate gate;
	struct rest rest;
	edged_handle subscriptions[FILTERS];
};

static int64_t wall_seconds(void)
{
	return (int64_t)time(NULL);
}

static void deliver(void *arg, const struct edged_message *message)
{
	struct jobs *jobs = arg;
	struct jobs_call call = { .payload = message->payload, .topic = message->topic };
	/* As with shadows: a last will does not speak for its thing, and what is retained would be carried out at every start. */
	if (message->will || message->retain ||
	        !jobs_topic_parse(message->topic, &call.thing, &call.job, &call.verb))
		return;
	service_run(jobs->service, &call);
}

static int subscribe(struct jobs *jobs)
{
	for (unsigned i = 0; i < FILTERS; i++) {
		int r = jobs->pubsub->subscribe(
		        jobs->pubsub->ctx, jobs->host, filters[i], 1, deliver, jobs, &jobs->subscriptions[i]);
		if (r)
			return r;
	}
	return 0;
}

static void loaded(void *arg, int result)
{
	struct jobs *jobs = arg;
	int r = result ? result : subscribe(jobs);
	jobs->host->v1->started(jobs->host, r, result ? "the stored jobs cannot be read" : NULL);
}

static void destroy(void *self)
{
	struct jobs *jobs = self;
	service_free(jobs->service);
	free(jobs);
}

static int make_service(struct jobs *jobs)
{
	struct edged_host *host = jobs->host;
	const struct edged_config_1 *config = edged_cap(host, EDGED_CONFIG_1);
	const struct service_deps deps = { .host = host,
		.log = edged_cap(host, EDGED_LOG_1),
		.loop = edged_cap(host, EDGED_LOOP_1),
		.store = edged_cap(host, EDGED_STORE_1),
		.pubsub = jobs->pubsub,
		.metrics = edged_cap(host, EDGED_METRICS_1),
		.registry = edged_cap(host, EDGED_THINGS_1),
		.details = { (unsigned)config->integer(host, "details_pairs"),
		        (size_t)config->integer(host, "details") },
		.jobs = (size_t)config->integer(host, "jobs"),
		.executions = (size_t)config->integer(host, "executions"),
		.in_flight = (unsigned)config->integer(host, "in_flight"),
		.wall = wall_seconds,
		.loaded = loaded,
		.arg = jobs };
	return service_new(&deps, &jobs->service);
}

static int create(struct edged_host *host, void **ret_self)
{
	struct jobs *jobs = calloc(1, sizeof(*jobs));
	if (!jobs)
		return -ENOMEM;
	const struct edged_config_1 *config = edged_cap(host, EDGED_CONFIG_1);
	const struct edged_http_1 *http = edged_cap(host, EDGED_HTTP_1);
	jobs->host = host;
	jobs->pubsub = edged_cap(host, EDGED_PUBSUB_1);
	jobs->gate = (struct gate){ .host = host, .http = http, .auth = edged_cap(host, EDGED_AUTH_1) };
	LIST_INIT(&jobs->gate.visits);
	int r = make_service(jobs);
	if (r) {
		destroy(jobs);
		return r;
	}
	jobs->rest = (struct rest){ .host = host,
		.http = http,
		.registry = edged_cap(host, EDGED_THINGS_1),
		.service = jobs->service,
		.gate = &jobs->gate,
		.document = (size_t)config->integer(host, "document") };
	*ret_self = jobs;
	return 0;
}

static int start(void *self)
{
	int r = service_start(((struct jobs *)self)->service);
	return r ? r : EDGED_LATER;
}

static void stop(void *self)
{
	struct jobs *jobs = self;
	gate_stop(&jobs->gate);
	service_stop(jobs->service);
	for (unsigned i = 0; i < FILTERS; i++)
		if (jobs->subscriptions[i])
			(void)jobs->pubsub->unsubscribe(
			        jobs->pubsub->ctx, jobs->host, jobs->subscriptions[i]);
}

/* --- routes ---------------------------------------------------------------------------------------------------------------- */

static int ask(struct jobs *jobs, edged_handle request, gate_done *done)
{
	return gate_ask(&jobs->gate, request, done, &jobs->rest);
}

static int serve_pending(void *self, edged_handle request)
{
	return ask(self, request, rest_pending);
}

static int serve_start_next(void *self, edged_handle request)
{
	return ask(self, request, rest_start_next);
}

static int serve_describe(void *self, edged_handle request)
{
	return ask(self, request, rest_describe);
}

static int serve_update(void *self, edged_handle request)
{
	return ask(self, request, rest_update);
}

/* Those of operators are not open: the daemon has judged who comes here. */
#define OPERATOR_ROUTES(ROW)                                                                                 \
	ROW(create)                                                                                          \
	ROW(list)                                                                                            \
	ROW(show)                                                                                            \
	ROW(cancel)                                                                                          \
	ROW(delete)                                                                                          \
	ROW(list_executions)                                                                                 \
	ROW(show_execution)                                                                                  \
	ROW(cancel_execution)
#define ROW(name)                                                                                            \
	static int operate_##name(void *self, edged_handle request)                                          \
	{                                                                                                    \
		return jobs_##name(&((struct jobs *)self)->rest, request);                                   \
	}
OPERATOR_ROUTES(ROW)
#undef ROW

#define QUERY(name, type, text)                                                                              \
	"{\"name\":\"" name "\",\"in\":\"query\",\"schema\":{\"type\":\"" type "\"},\"description\":\"" text \
	"\"}"
#define PARAMETERS(...) "{\"parameters\":[" __VA_ARGS__ "]}"
#define PAGE                                                                                                 \
	QUERY("limit", "integer", "On a page, up to 1,000; default 100")                                     \
	"," QUERY("cursor", "string", "Of the page before")
#define JSON_BODY(description, properties)                                                                   \
	"{\"requestBody\":{\"description\":\"" description "\",\"content\":{\"application/json\":{"          \
	"\"schema\":{\"type\":\"object\",\"properties\":{" properties "}}}}}}"
#define MEMBER(name, type) "\"" name "\":{\"type\":\"" type "\"}"
#define TARGETS            "\"targets\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"
#define STEP               MEMBER("statusDetails", "object") "," MEMBER("stepTimeoutInMinutes", "integer")

static const struct edged_route routes[] = {
	{ "GET", "/things/{thing}/jobs", serve_pending, "Executions of jobs that a thing has before it", NULL,
	        EDGED_SCOPE_PROXIMITY, EDGED_ROUTE_OPEN },
	{ "PUT", "/things/{thing}/jobs/{job}", serve_start_next,
	        "Starts the next execution; the job is $next", JSON_BODY("May be empty", STEP),
	        EDGED_SCOPE_PROXIMITY, EDGED_ROUTE_OPEN },
	{ "GET", "/things/{thing}/jobs/{job}", serve_describe,
	        "An execution that is pending; the job $next: the next one",
	        PARAMETERS(QUERY("includeJobDocument", "boolean", "Tell it, too; default false") "," QUERY(
	                "executionNumber", "integer", "No other than this one")),
	        EDGED_SCOPE_PROXIMITY, EDGED_ROUTE_OPEN },
	{ "POST", "/things/{thing}/jobs/{job}", serve_update, "Reports how far an execution is",
	        JSON_BODY("status: IN_PROGRESS, SUCCEEDED, FAILED or REJECTED",
	                MEMBER("status", "string") "," STEP "," MEMBER(
	                        "expectedVersion", "integer") "," MEMBER("executionNumber",
	                        "integer") "," MEMBER("includeJobExecutionState",
	                        "boolean") "," MEMBER("includeJobDocument", "boolean")),
	        EDGED_SCOPE_PROXIMITY, EDGED_ROUTE_OPEN },
	{ "POST", "/jobs/v1/jobs", operate_create, "A new job",
	        JSON_BODY("targets: names of things, and group:NAME; targetSelection: SNAPSHOT or CONTINUOUS",
	                MEMBER("id", "string") "," TARGETS "," MEMBER("document", "object") "," MEMBER(
	                        "description", "string") "," MEMBER("targetSelection",
	                        "string") "," MEMBER("inProgressTimeoutInMinutes",
	                        "integer") "," MEMBER("maximumPerMinute", "integer")),
	        EDGED_SCOPE_NODE, 0 },
	{ "GET", "/jobs/v1/jobs", operate_list, "Jobs, by id", PARAMETERS(PAGE), EDGED_SCOPE_ACCOUNT, 0 },
	{ "GET", "/jobs/v1/jobs/{job}", operate_show, "A job, and how far it is", NULL, EDGED_SCOPE_ACCOUNT,
	        0 },
	{ "POST", "/jobs/v1/jobs/{job}/cancel", operate_cancel,
	        "Ends a job; by force also what is in progress",
	        JSON_BODY("May be empty", MEMBER("force", "boolean") "," MEMBER("comment", "string")),
	        EDGED_SCOPE_NODE, 0 },
	{ "DELETE", "/jobs/v1/jobs/{job}", operate_delete, "Deletes a job and its executions",
	        PARAMETERS(QUERY("force", "boolean", "Even if it is in progress")), EDGED_SCOPE_NODE, 0 },
	{ "GET", "/jobs/v1/jobs/{job}/executions", operate_list_executions, "Executions of a job, by thing",
	        PARAMETERS(PAGE "," QUERY("status", "string", "Only those in this state")),
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "GET", "/jobs/v1/jobs/{job}/executions/{thing}", operate_show_execution, "An execution", NULL,
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "POST", "/jobs/v1/jobs/{job}/executions/{thing}/cancel", operate_cancel_execution,
	        "Ends an execution; by force also one in progress",
	        JSON_BODY("May be empty", MEMBER("force", "boolean")), EDGED_SCOPE_NODE, 0 },
	{ 0 },
};

static const struct edged_setting settings[] = {
	{ "jobs", EDGED_TYPE_INT, "1000", 1, 100000, "jobs", NULL,
	        "Most jobs; those that have ended count until they are deleted" },
	{ "executions", EDGED_TYPE_INT, "10000", 1, 1000000, "executions", NULL,
	        "Most executions of all jobs; each takes half a kilobyte of memory and what its device "
	        "says" },
	{ "document", EDGED_TYPE_SIZE, "\"32k\"", 1024, 131072, "bytes", NULL,
	        "Largest job document, as compact JSON" },
	{ "details_pairs", EDGED_TYPE_INT, "10", 0, 100, "pairs", NULL,
	        "Most names and values in the status details of an execution" },
	{ "details", EDGED_TYPE_SIZE, "\"12k\"", 0, 131072, "bytes", NULL,
	        "Most bytes of these names and values together" },
	{ "in_flight", EDGED_TYPE_INT, "10", 1, 1000, "requests", NULL,
	        "Requests of one thing that may be in flight; further ones are throttled" },
	{ 0 },
};

static const char *const needs[] = { EDGED_LOG_1, EDGED_CONFIG_1, EDGED_LOOP_1, EDGED_STORE_1, EDGED_PUBSUB_1,
	EDGED_THINGS_1, EDGED_HTTP_1, EDGED_METRICS_1, NULL };

EDGED_PLUGIN(.name = "jobs", .version = EDGED_VERSION,
        .summary = "AWS IoT Jobs: what devices are told to do, and how far they are", .needs = needs,
        .settings = settings, .routes = routes, .create = create, .start = start, .stop = stop,
        .destroy = destroy);
