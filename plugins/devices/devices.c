/* SPDX-License-Identifier: Apache-2.0 */
/* The devices plugin: every thing of the registry is a service, with properties, calls and events. */
#include <errno.h>
#include <stdlib.h>

#include "edged/cap_config.h"
#include "rest.h"

struct devices {
	struct edged_host *host;
	struct gate gate;
	struct calls *calls;
	struct feeds *feeds;
	struct rest rest;
	bool watching;
};

static int make_calls(struct devices *devices, const struct edged_metrics_1 *metrics)
{
	struct edged_host *host = devices->host;
	const struct edged_config_1 *config = edged_cap(host, EDGED_CONFIG_1);
	uint64_t ms = (uint64_t)config->integer(host, "call_time"),
	         most_ms = (uint64_t)config->integer(host, "call_time_max");
	const struct calls_deps deps = { .host = host,
		.http = devices->rest.http,
		.loop = edged_cap(host, EDGED_LOOP_1),
		.pubsub = devices->rest.pubsub,
		.metrics = metrics,
		.in_flight = (unsigned)config->integer(host, "calls"),
		.of_a_thing = (unsigned)config->integer(host, "calls_of_a_thing"),
		.payload = (size_t)config->integer(host, "payload"),
		.ms = ms < most_ms ? ms : most_ms,
		.most_ms = most_ms };
	return calls_new(&deps, &devices->calls);
}

static int make_feeds(struct devices *devices, const struct edged_metrics_1 *metrics)
{
	const struct edged_config_1 *config = edged_cap(devices->host, EDGED_CONFIG_1);
	const struct feeds_deps deps = { .host = devices->host,
		.http = devices->rest.http,
		.pubsub = devices->rest.pubsub,
		.gate = &devices->gate,
		.figure = metrics->figure(devices->host, EDGED_GAUGE, "devices_event_streams", NULL,
		        "Open event streams of devices"),
		.limit = (unsigned)config->integer(devices->host, "streams"),
		.limit_is = "\"streams\" of the devices plugin" };
	return feeds_new(&deps, &devices->feeds);
}

static void destroy(void *self)
{
	struct devices *devices = self;
	feeds_free(devices->feeds);
	calls_free(devices->calls);
	free(devices);
}

static int create(struct edged_host *host, void **ret_self)
{
	struct devices *devices = calloc(1, sizeof(*devices));
	if (!devices)
		return -ENOMEM;
	const struct edged_config_1 *config = edged_cap(host, EDGED_CONFIG_1);
	const struct edged_metrics_1 *metrics = edged_cap(host, EDGED_METRICS_1);
	devices->host = host;
	devices->rest = (struct rest){ .host = host,
		.http = edged_cap(host, EDGED_HTTP_1),
		.pubsub = edged_cap(host, EDGED_PUBSUB_1),
		.things = edged_cap(host, EDGED_THINGS_1),
		.shadows = edged_cap(host, EDGED_SHADOW_1),
		.gate = &devices->gate,
		.scan = (size_t)config->integer(host, "scan") };
	devices->gate = (struct gate){
		.host = host, .http = devices->rest.http, .auth = edged_cap(host, EDGED_AUTH_1)
	};
	LIST_INIT(&devices->gate.visits);
	LIST_INIT(&devices->rest.asks);
	int r = EDGED_HAS(devices->rest.http, elsewhere) && EDGED_HAS(devices->rest.pubsub, connected)
	                ? 0
	                : -ENOSYS;
	if (!r)
		r = make_calls(devices, metrics);
	if (!r)
		r = make_feeds(devices, metrics);
	if (r) {
		destroy(devices);
		return r;
	}
	devices->rest.calls = devices->calls;
	devices->rest.feeds = devices->feeds;
	*ret_self = devices;
	return 0;
}

static bool is_gone(void *arg, const char *thing)
{
	const struct devices *devices = arg;
	const struct edged_things_1 *things = devices->rest.things;
	return !things->exists(things->ctx, devices->host, edged_str(thing));
}

static void things_changed(void *arg, struct edged_slice thing)
{
	struct devices *devices = arg;
	(void)thing; /* few streams are open */
	feeds_end(devices->feeds, is_gone, devices);
}

static void rights_changed(void *self)
{
	feeds_judge(((struct devices *)self)->feeds);
}

static void stop(void *self)
{
	struct devices *devices = self;
	const struct edged_things_1 *things = devices->rest.things;
	gate_stop(&devices->gate);
	rest_stop(&devices->rest);
	calls_stop(devices->calls);
	feeds_stop(devices->feeds);
	if (devices->watching)
		things->unwatch(things->ctx, devices->host, devices);
	devices->watching = false;
}

static int start(void *self)
{
	struct devices *devices = self;
	const struct edged_things_1 *things = devices->rest.things;
	const struct edged_auth_1 *auth = devices->gate.auth;
	int r = calls_start(devices->calls);
	if (!r)
		r = things->watch(things->ctx, devices->host, things_changed, devices);
	devices->watching = !r;
	if (!r && auth)
		r = auth->watch(devices->host, rights_changed, devices);
	if (r)
		stop(devices);
	return r;
}

/* --- routes ----------------------------------------------------------------------------------------------------------------- */

static int ask(struct devices *devices, edged_handle request, gate_done *done)
{
	return gate_ask(&devices->gate, request, done, &devices->rest);
}

static int serve_list(void *self, edged_handle request)
{
	return ask(self, request, rest_list);
}

static int serve_device(void *self, edged_handle request)
{
	return ask(self, request, rest_device);
}

static int serve_get(void *self, edged_handle request)
{
	return ask(self, request, rest_get_properties);
}

static int serve_patch(void *self, edged_handle request)
{
	return ask(self, request, rest_patch_properties);
}

static int serve_put(void *self, edged_handle request)
{
	return ask(self, request, rest_put_properties);
}

static int serve_call(void *self, edged_handle request)
{
	return ask(self, request, rest_call);
}

static int serve_events(void *self, edged_handle request)
{
	return ask(self, request, rest_events);
}

/* Parameters beyond those of the path, as OpenAPI writes them. */
#define PARAMETER(in, name, type, text)                                                                      \
	"{\"name\":\"" name "\",\"in\":\"" in "\",\"schema\":{\"type\":\"" type                              \
	"\"},\"description\":\"" text "\"}"
#define PARAMETERS(...) "{\"parameters\":[" __VA_ARGS__ "]}"
#define NAME            PARAMETER("query", "name", "string", "A named shadow; without it the classic one")
#define MATCH           PARAMETER("header", "If-Match", "string", "The version that they must have, in quotes, or *")
#define LIST                                                                                                 \
	PARAMETER("query", "connected", "boolean", "Only those that are, or are not")                        \
	"," PARAMETER("query", "type", "string", "Only those of this type") "," PARAMETER(                   \
	        "query", "group", "string", "Only those of this group") "," PARAMETER("query", "limit",      \
	        "integer", "Devices on a page, up to 1,000; default 100") "," PARAMETER("query", "cursor",   \
	        "string", "Of the page before")
#define CALL                                                                                                 \
	"{\"parameters\":[" PARAMETER("query", "timeout", "number",                                          \
	        "Seconds to wait for the answer") "],\"requestBody\":{\"description\":\"What the device "    \
	                                          "gets, of any "                                            \
	                                          "type\",\"content\":{\"*/*\":{}}},\"responses\":{"         \
	                                          "\"200\":{\"description\":\"What the device answered\"},"  \
	                                          "\"204\":{\"description\":\"It answered nothing more\"},"  \
	                                          "\"429\":{\"description\":\"Too many calls of it wait\"}," \
	                                          "\"502\":{\"description\":\"It left meanwhile\"},"         \
	                                          "\"503\":{\"description\":\"It cannot be called now\"},"   \
	                                          "\"504\":{\"description\":\"It did not answer in "         \
	                                          "time\"}}}"

static const struct edged_route routes[] = {
	{ "GET", "/devices/v1", serve_list, "The devices of this node, each a service", PARAMETERS(LIST),
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "GET", "/devices/v1/{thing}", serve_device,
	        "A device: what it is, whether it is connected, where its parts are", NULL,
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "GET", "/devices/v1/{thing}/properties", serve_get,
	        "What a device reports, and what is desired of it", PARAMETERS(NAME), EDGED_SCOPE_ACCOUNT,
	        0 },
	{ "PATCH", "/devices/v1/{thing}/properties", serve_patch,
	        "Change properties by a JSON merge patch: {\"desired\": ..}", PARAMETERS(NAME "," MATCH),
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "PUT", "/devices/v1/{thing}/properties", serve_put,
	        "Replace properties, desired or reported or both", PARAMETERS(NAME "," MATCH),
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "POST", "/devices/v1/{thing}/call/{name}", serve_call,
	        "Have a device do something, and get its answer", CALL, EDGED_SCOPE_ACCOUNT, 0 },
	{ "GET", "/devices/v1/{thing}/events", serve_events,
	        "What a device tells and what happens with it, as server-sent events",
	        PARAMETERS(NAME "," PARAMETER("query", "only", "string",
	                "A list of event, update, delta, delete, connected, disconnected")),
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ 0 },
};

static const struct edged_setting settings[] = {
	{ "call_time", EDGED_TYPE_DURATION, "\"10s\"", 1, 3600000, "ms", NULL,
	        "Time for a device to answer a call that does not say how long it waits" },
	{ "call_time_max", EDGED_TYPE_DURATION, "\"20s\"", 1, 3600000, "ms", NULL,
	        "Longest time a call may wait; http.answer_time is another limit, and three quarters of it "
	        "between nodes" },
	{ "calls", EDGED_TYPE_INT, "1000", 1, 100000, "calls", NULL,
	        "Calls that wait for answers; further ones get 503" },
	{ "calls_of_a_thing", EDGED_TYPE_INT, "8", 1, 1000, "calls", NULL,
	        "Calls of one device that wait; further ones get 429" },
	{ "payload", EDGED_TYPE_SIZE, "\"128k\"", 0, 16777216, "bytes", NULL, "Largest call" },
	{ "scan", EDGED_TYPE_INT, "250", 1, 100000, "things", NULL,
	        "Things looked at for one page of devices" },
	{ "streams", EDGED_TYPE_INT, "32", 0, 1000, "streams", NULL,
	        "Open answers of /devices/v1/{thing}/events" },
	{ 0 },
};

static const char *const needs[] = { EDGED_CONFIG_1, EDGED_LOOP_1, EDGED_HTTP_1, EDGED_METRICS_1,
	EDGED_PUBSUB_1, EDGED_THINGS_1, EDGED_SHADOW_1, NULL };

EDGED_PLUGIN(.name = "devices", .version = EDGED_VERSION,
        .summary = "Every device a service: properties, calls, events", .needs = needs, .settings = settings,
        .routes = routes, .create = create, .start = start, .stop = stop, .destroy = destroy);
