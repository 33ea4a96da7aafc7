/* SPDX-License-Identifier: Apache-2.0 */
/* The shadow plugin: AWS IoT device shadows, over MQTT and REST, without Internet. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "edged/cap_config.h"
#include "edged/plugin.h"
#include "rest.h"
#include "service.h"

/* Requests come on these; not on `#`, so that our own answers do not come back to us. */
static const char *const filters[] = {
	"$aws/things/+/shadow/get",
	"$aws/things/+/shadow/update",
	"$aws/things/+/shadow/delete",
	"$aws/things/+/shadow/name/+/get",
	"$aws/things/+/shadow/name/+/update",
	"$aws/things/+/shadow/name/+/delete",
};
enum { FILTERS = sizeof(filters) / sizeof(filters[0]) };

struct shadow {
	struct edged_host *host;
	const struct edged_pubsub_1 *pubsub;
	struct service *service;
	struct rest rest;
	edged_handle subscriptions[FILTERS];
};

static int64_t wall_seconds(void)
{
	return (int64_t)time(NULL);
}

static void deliver(void *arg, const struct edged_message *message)
{
	struct shadow *shadow = arg;
	struct shadow_name name;
	enum shadow_verb verb;
	/* A last will does not speak for its thing here (AWS: reserved topics ignore wills). A retained
	 * request would be carried out again at every start. */
	if (message->will || message->retain || !shadow_topic_parse(message->topic, &name, &verb))
		return;
	service_run(shadow->service, &name, verb, message->payload, true, NULL, NULL);
}

static int create(struct edged_host *host, void **ret_self)
{
	struct shadow *shadow = calloc(1, sizeof(*shadow));
	if (!shadow)
		return -ENOMEM;
	const struct edged_config_1 *config = edged_cap(host, EDGED_CONFIG_1);
	shadow->host = host;
	shadow->pubsub = edged_cap(host, EDGED_PUBSUB_1);
	const struct service_deps deps = {
		.host = host,
		.log = edged_cap(host, EDGED_LOG_1),
		.store = edged_cap(host, EDGED_STORE_1),
		.pubsub = shadow->pubsub,
		.metrics = edged_cap(host, EDGED_METRICS_1),
		.limits = { .bytes = (size_t)config->integer(host, "document"),
		        .depth = (unsigned)config->integer(host, "depth") },
		.in_flight = (unsigned)config->integer(host, "in_flight"),
		.cache_bytes = (size_t)config->integer(host, "cache"),
		.payload = (size_t)config->integer(host, "payload"),
		.now = wall_seconds,
	};
	int r = service_new(&deps, &shadow->service);
	if (r) {
		free(shadow);
		return r;
	}
	shadow->rest = (struct rest){
		.host = host, .http = edged_cap(host, EDGED_HTTP_1), .service = shadow->service
	};
	*ret_self = shadow;
	return 0;
}

static void stop(void *self)
{
	struct shadow *shadow = self;
	for (unsigned i = 0; i < FILTERS; i++)
		if (shadow->subscriptions[i])
			(void)shadow->pubsub->unsubscribe(
			        shadow->pubsub->ctx, shadow->host, shadow->subscriptions[i]);
}

static int start(void *self)
{
	struct shadow *shadow = self;
	for (unsigned i = 0; i < FILTERS; i++) {
		int r = shadow->pubsub->subscribe(shadow->pubsub->ctx, shadow->host, filters[i], 1, deliver,
		        shadow, &shadow->subscriptions[i]);
		if (r) {
			stop(shadow);
			return r;
		}
	}
	return 0;
}

static void destroy(void *self)
{
	struct shadow *shadow = self;
	service_free(shadow->service);
	free(shadow);
}

static int serve_get(void *self, edged_handle request)
{
	return rest_get(&((struct shadow *)self)->rest, request);
}

static int serve_update(void *self, edged_handle request)
{
	return rest_update(&((struct shadow *)self)->rest, request);
}

static int serve_delete(void *self, edged_handle request)
{
	return rest_delete(&((struct shadow *)self)->rest, request);
}

static int serve_list(void *self, edged_handle request)
{
	return rest_list(&((struct shadow *)self)->rest, request);
}

#define NAME_PARAMETER                                                                                       \
	"{\"parameters\":[{\"name\":\"name\",\"in\":\"query\",\"schema\":{\"type\":\"string\"},"             \
	"\"description\":\"A named shadow; without it the classic one\"}]}"

static const struct edged_route routes[] = {
	{ "GET", "/things/{thing}/shadow", serve_get, "A shadow with state, metadata, version and delta",
	        NAME_PARAMETER, EDGED_SCOPE_ACCOUNT, 0 },
	{ "POST", "/things/{thing}/shadow", serve_update,
	        "Merge into a shadow: {\"state\": {\"desired\": ..}}", NAME_PARAMETER, EDGED_SCOPE_ACCOUNT,
	        0 },
	{ "DELETE", "/things/{thing}/shadow", serve_delete, "Delete a shadow", NAME_PARAMETER,
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "GET", "/api/things/shadow/ListNamedShadowsForThing/{thing}", serve_list,
	        "Names of a thing's named shadows", NULL, EDGED_SCOPE_ACCOUNT, 0 },
	{ 0 },
};

static const struct edged_setting settings[] = {
	{ "document", EDGED_TYPE_SIZE, "\"8k\"", 1024, 1048576, "bytes", NULL,
	        "Largest document: desired and reported together, metadata not counted" },
	{ "depth", EDGED_TYPE_INT, "8", 1, 32, "levels", NULL,
	        "Levels of objects and arrays in desired and in reported" },
	{ "payload", EDGED_TYPE_SIZE, "\"128k\"", 1024, 1048576, "bytes", NULL, "Largest request" },
	{ "in_flight", EDGED_TYPE_INT, "10", 1, 1000, "requests", NULL,
	        "Requests that may wait for one shadow; further ones get 429" },
	{ "cache", EDGED_TYPE_SIZE, "\"1M\"", 0, 1073741824, "bytes", NULL, "Shadows kept in memory" },
	{ 0 },
};

static const char *const needs[] = { EDGED_LOG_1, EDGED_CONFIG_1, EDGED_STORE_1, EDGED_PUBSUB_1, EDGED_HTTP_1,
	EDGED_METRICS_1, NULL };

EDGED_PLUGIN(.name = "shadow", .version = EDGED_VERSION, .summary = "AWS IoT device shadows", .needs = needs,
        .settings = settings, .routes = routes, .create = create, .start = start, .stop = stop,
        .destroy = destroy);
