/* SPDX-License-Identifier: Apache-2.0 */
/* The shadow plugin: AWS IoT device shadows, over MQTT and REST, without Internet. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "edged/cap_config.h"
#include "edged/cap_things.h"
#include "edged/plugin.h"
#include "homes.h"
#include "offer.h"
#include "peers.h"
#include "rest.h"
#include "service.h"
#include "strict.h"

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
	const struct edged_things_1 *things; /* in strict mode, once they are there; see registered() */
	struct others *others;
	struct asks *asks;
	struct peers *peers;
	struct service *service;
	struct lists *lists;
	struct feeds *feeds;
	struct gate gate;
	struct rest rest;
	struct homes homes;
	struct offer *offer;
	edged_handle subscriptions[FILTERS];
};

/* Strict mode. Whoever keeps no registry of things, or begins to after this, lets any have shadows. */
static bool registered(void *arg, const char *thing)
{
	struct shadow *shadow = arg;
	if (!shadow->things)
		shadow->things = edged_cap(shadow->host, EDGED_THINGS_1);
	return !shadow->things || shadow->things->exists(shadow->things->ctx, shadow->host, edged_str(thing));
}

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
	const struct shadow_call call = {
		.verb = verb, .payload = message->payload, .match = SHADOW_MATCH_NONE, .mirror = true
	};
	service_run(shadow->service, &name, &call);
}

static void destroy(void *self)
{
	struct shadow *shadow = self;
	offer_free(shadow->offer);
	feeds_free(shadow->feeds);
	lists_free(shadow->lists);
	service_free(shadow->service);
	peers_free(shadow->peers);
	asks_free(shadow->asks);
	others_free(shadow->others);
	free(shadow);
}

static int make_feeds(struct shadow *shadow, const struct service_deps *service, unsigned limit)
{
	const struct feeds_deps deps = { .host = shadow->host,
		.http = shadow->gate.http,
		.pubsub = shadow->pubsub,
		.gate = &shadow->gate,
		.figure = service->metrics->figure(
		        shadow->host, EDGED_GAUGE, "shadow_event_streams", NULL, "Open event streams"),
		.limit = limit,
		.limit_is = "\"streams\" of the shadow plugin" };
	return feeds_new(&deps, &shadow->feeds);
}

static int make_peers(struct shadow *shadow, const struct service_deps *service)
{
	const struct edged_config_1 *config = edged_cap(shadow->host, EDGED_CONFIG_1);
	const struct others_deps others = { .host = shadow->host,
		.log = service->log,
		.store = service->store,
		.metrics = service->metrics,
		.count = (size_t)config->integer(shadow->host, "elsewhere.shadows"),
		.bytes = (size_t)config->integer(shadow->host, "elsewhere.copies") };
	const struct asks_deps asks = { .host = shadow->host,
		.loop = service->loop,
		.metrics = service->metrics,
		.count = (size_t)config->integer(shadow->host, "elsewhere.requests"),
		.time_ms = (uint64_t)config->integer(shadow->host, "elsewhere.answer") };
	int r = others_new(&others, &shadow->others);
	if (!r)
		r = asks_new(&asks, &shadow->asks);
	const struct peers_deps peers = { .service = *service,
		.channel = edged_cap(shadow->host, EDGED_CHANNEL_1),
		.node = edged_cap(shadow->host, EDGED_NODE_1),
		.others = shadow->others,
		.asks = shadow->asks,
		.keep_ms = (uint64_t)config->integer(shadow->host, "elsewhere.keep") };
	return r ? r : peers_new(&peers, &shadow->peers);
}

static int create(struct edged_host *host, void **ret_self)
{
	struct shadow *shadow = calloc(1, sizeof(*shadow));
	if (!shadow)
		return -ENOMEM;
	const struct edged_config_1 *config = edged_cap(host, EDGED_CONFIG_1);
	shadow->host = host;
	shadow->pubsub = edged_cap(host, EDGED_PUBSUB_1);
	struct service_deps deps = {
		.host = host,
		.log = edged_cap(host, EDGED_LOG_1),
		.store = edged_cap(host, EDGED_STORE_1),
		.pubsub = shadow->pubsub,
		.metrics = edged_cap(host, EDGED_METRICS_1),
		.limits = { .bytes = (size_t)config->integer(host, "document"),
		        .depth = (unsigned)config->integer(host, "depth") },
		.loop = edged_cap(host, EDGED_LOOP_1),
		.in_flight = (unsigned)config->integer(host, "in_flight"),
		.rate = (unsigned)config->integer(host, "rate"),
		.cache_bytes = (size_t)config->integer(host, "cache"),
		.payload = (size_t)config->integer(host, "payload"),
		.now = wall_seconds,
	};
	if (strcmp(config->string(host, "strict"), "aws") == 0) {
		strict_limits(&deps);
		deps.registered = registered;
		deps.registered_arg = shadow;
	}
	const struct edged_http_1 *http = edged_cap(host, EDGED_HTTP_1);
	shadow->gate = (struct gate){ .host = host, .http = http, .auth = edged_cap(host, EDGED_AUTH_1) };
	LIST_INIT(&shadow->gate.visits);
	int r = make_peers(shadow, &deps);
	if (!r) {
		deps.away = &shadow->peers->away;
		r = service_new(&deps, &shadow->service);
	}
	if (!r)
		r = lists_new(&deps, &shadow->gate, (size_t)config->integer(host, "scan"), &shadow->lists);
	if (!r)
		r = make_feeds(shadow, &deps, (unsigned)config->integer(host, "streams"));
	if (!r)
		r = offer_new(shadow->service, &shadow->offer);
	if (r) {
		destroy(shadow);
		return r;
	}
	shadow->rest = (struct rest){ .host = host,
		.http = http,
		.pubsub = shadow->pubsub,
		.service = shadow->service,
		.lists = shadow->lists,
		.feeds = shadow->feeds,
		.gate = &shadow->gate };
	shadow->homes = (struct homes){ .rest = &shadow->rest, .peers = shadow->peers };
	*ret_self = shadow;
	return 0;
}

static void stop(void *self)
{
	struct shadow *shadow = self;
	gate_stop(&shadow->gate);
	feeds_stop(shadow->feeds);
	peers_stop(shadow->peers);
	for (unsigned i = 0; i < FILTERS; i++)
		if (shadow->subscriptions[i])
			(void)shadow->pubsub->unsubscribe(
			        shadow->pubsub->ctx, shadow->host, shadow->subscriptions[i]);
}

static void rights_changed(void *self)
{
	feeds_judge(((struct shadow *)self)->feeds);
}

static void look(void *self)
{
	peers_look(((struct shadow *)self)->peers);
}

static int begin(struct shadow *shadow)
{
	const struct edged_node_1 *node = edged_cap(shadow->host, EDGED_NODE_1);
	const struct edged_auth_1 *auth = shadow->gate.auth;
	int r = 0;
	for (unsigned i = 0; i < FILTERS && !r; i++)
		r = shadow->pubsub->subscribe(shadow->pubsub->ctx, shadow->host, filters[i], 1, deliver,
		        shadow, &shadow->subscriptions[i]);
	if (!r && auth)
		r = auth->watch(shadow->host, rights_changed, shadow);
	if (!r)
		r = node->watch(shadow->host, look, shadow);
	return r ? r : peers_start(shadow->peers, shadow->service);
}

static void loaded(void *self, int result)
{
	struct shadow *shadow = self;
	int r = result ? result : begin(shadow);
	shadow->host->v1->started(shadow->host, r, r ? "the store, or another plugin, is in the way" : NULL);
}

/* Where the shadows of other nodes are is known before anybody asks for one. */
static int start(void *self)
{
	struct shadow *shadow = self;
	int r = others_load(shadow->others, loaded, shadow);
	return r ? r : EDGED_LATER;
}

static const void *offer(void *self, const char *name)
{
	(void)name; /* there is one */
	return offer_capability(((struct shadow *)self)->offer);
}

static int ask(struct shadow *shadow, edged_handle request, gate_done *done)
{
	return gate_ask(&shadow->gate, request, done, &shadow->rest);
}

static int serve_get(void *self, edged_handle request)
{
	return ask(self, request, rest_get);
}

static int serve_update(void *self, edged_handle request)
{
	return ask(self, request, rest_update);
}

static int serve_delete(void *self, edged_handle request)
{
	return ask(self, request, rest_delete);
}

static int serve_list(void *self, edged_handle request)
{
	return ask(self, request, rest_list);
}

static int serve_things(void *self, edged_handle request)
{
	return ask(self, request, rest_things);
}

static int serve_thing(void *self, edged_handle request)
{
	return ask(self, request, rest_thing);
}

static int serve_patch(void *self, edged_handle request)
{
	return ask(self, request, rest_patch);
}

static int serve_events(void *self, edged_handle request)
{
	return ask(self, request, rest_events);
}

static int serve_homes(void *self, edged_handle request)
{
	struct shadow *shadow = self;
	return gate_ask(&shadow->gate, request, homes_list, &shadow->homes);
}

static int serve_takeover(void *self, edged_handle request)
{
	struct shadow *shadow = self;
	return gate_ask(&shadow->gate, request, homes_take, &shadow->homes);
}

/* Parameters beyond those of the path, as OpenAPI writes them. */
#define PARAMETER(in, name, type, text)                                                                      \
	"{\"name\":\"" name "\",\"in\":\"" in "\",\"schema\":{\"type\":\"" type                              \
	"\"},\"description\":\"" text "\"}"
#define NAME            PARAMETER("query", "name", "string", "A named shadow; without it the classic one")
#define MATCH           PARAMETER("header", "If-Match", "string", "The version that it must have, in quotes, or *")
#define PARAMETERS(...) "{\"parameters\":[" __VA_ARGS__ "]}"
#define PAGE                                                                                                 \
	PARAMETER("query", "pageSize", "integer", "Names on a page, up to 100; default 25")                  \
	"," PARAMETER("query", "nextToken", "string", "Of the page before")
#define THINGS                                                                                                      \
	PARAMETER("query", "clusters", "string",                                                                    \
	        "account: also those of the other nodes of the account, without what they say; else those "         \
	        "of this node")                                                                                     \
	"," PARAMETER("query", "filter", "string",                                                                  \
	        "Such as connected=false,reported.battery<20: paths (thing, connected, version, timestamp, "        \
	        "desired.KEY, reported.KEY), =, !=, <, <=, >, >= and values; all must hold") "," PARAMETER("query", \
	        "state", "boolean", "Tell the states, too") "," PARAMETER("query", "limit", "integer",              \
	        "Things on a page, up to 1,000; default 100") "," PARAMETER("query", "cursor", "string",            \
	        "Of the page before")

static const struct edged_route routes[] = {
	{ "GET", "/things/{thing}/shadow", serve_get, "A shadow with state, metadata, version and delta",
	        PARAMETERS(NAME), EDGED_SCOPE_ACCOUNT, EDGED_ROUTE_OPEN },
	{ "POST", "/things/{thing}/shadow", serve_update,
	        "Merge into a shadow: {\"state\": {\"desired\": ..}}", PARAMETERS(NAME "," MATCH),
	        EDGED_SCOPE_ACCOUNT, EDGED_ROUTE_OPEN },
	{ "DELETE", "/things/{thing}/shadow", serve_delete, "Delete a shadow", PARAMETERS(NAME "," MATCH),
	        EDGED_SCOPE_ACCOUNT, EDGED_ROUTE_OPEN },
	{ "GET", "/api/things/shadow/ListNamedShadowsForThing/{thing}", serve_list,
	        "Names of a thing's named shadows", PARAMETERS(PAGE), EDGED_SCOPE_ACCOUNT, EDGED_ROUTE_OPEN },
	{ "GET", "/shadow/v1/things", serve_things, "Things that have a shadow, by what it says",
	        PARAMETERS(NAME "," THINGS), EDGED_SCOPE_ACCOUNT, 0 },
	{ "GET", "/shadow/v1/things/{thing}", serve_thing, "A shadow, and whether its thing is connected",
	        PARAMETERS(NAME), EDGED_SCOPE_ACCOUNT, 0 },
	{ "PATCH", "/shadow/v1/things/{thing}", serve_patch,
	        "Change the state of a shadow by a JSON merge patch: {\"desired\": ..}",
	        PARAMETERS(NAME "," MATCH), EDGED_SCOPE_ACCOUNT, 0 },
	{ "GET", "/shadow/v1/things/{thing}/events", serve_events,
	        "A shadow and its changes, as server-sent events", PARAMETERS(NAME), EDGED_SCOPE_ACCOUNT, 0 },
	{ "GET", "/shadow/v1/homes", serve_homes, "Other nodes that have shadows, and copies of those here",
	        NULL, EDGED_SCOPE_ACCOUNT, 0 },
	{ "POST", "/shadow/v1/homes/{node}/takeover", serve_takeover,
	        "Become the home of all shadows of a node that does not come back, from the copies here",
	        NULL, EDGED_SCOPE_ACCOUNT, 0 },
	{ 0 },
};

static const struct edged_setting settings[] = {
	{ "document", EDGED_TYPE_SIZE, "\"8k\"", 1024, 1048576, "bytes", NULL,
	        "Largest document: desired and reported together, metadata not counted" },
	{ "depth", EDGED_TYPE_INT, "8", 1, 32, "levels", NULL,
	        "Levels of objects and arrays in desired and in reported" },
	{ "payload", EDGED_TYPE_SIZE, "\"128k\"", 1024, 1048576, "bytes", NULL, "Largest request" },
	{ "in_flight", EDGED_TYPE_INT, "10", 1, 1000, "requests", NULL,
	        "Requests of one thing that may be in flight; further ones get 429" },
	{ "rate", EDGED_TYPE_INT, "0", 0, 100000, "requests", NULL,
	        "Requests of one thing in a second, and in one go; further ones get 429. 0 means any" },
	{ "strict", EDGED_TYPE_CHOICE, "\"no\"", 0, 0, NULL, "no|aws",
	        "Take only what AWS IoT takes; see the plugin's README" },
	{ "cache", EDGED_TYPE_SIZE, "\"4M\"", 0, 1073741824, "bytes", NULL,
	        "Memory for shadows that nobody works on; others are read from the disk" },
	{ "scan", EDGED_TYPE_INT, "2000", 1, 100000, "shadows", NULL,
	        "Shadows looked at for one page of things" },
	{ "streams", EDGED_TYPE_INT, "32", 0, 1000, "streams", NULL,
	        "Open answers of /shadow/v1/things/{thing}/events" },
	{ "elsewhere.shadows", EDGED_TYPE_INT, "20000", 0, 1000000, "shadows", NULL,
	        "Shadows of other nodes of which this node knows where they are; about 250 bytes of memory "
	        "each" },
	{ "elsewhere.copies", EDGED_TYPE_SIZE, "\"64M\"", 0, 1099511627776, "bytes", NULL,
	        "Copies of shadows of other nodes, on the disk, when this node holds the cache role" },
	{ "elsewhere.keep", EDGED_TYPE_DURATION, "\"1h\"", 1000, 31536000000, "ms", NULL,
	        "How long copies stay when this node holds the cache role no longer" },
	{ "elsewhere.requests", EDGED_TYPE_INT, "1000", 1, 100000, "requests", NULL,
	        "Requests that may wait for the answers of other nodes at once; further ones get 429" },
	{ "elsewhere.answer", EDGED_TYPE_DURATION, "\"5s\"", 100, 60000, "ms", NULL,
	        "How long another node may take for an answer; then 504" },
	{ 0 },
};

static const char *const needs[] = { EDGED_LOG_1, EDGED_CONFIG_1, EDGED_STORE_1, EDGED_PUBSUB_1, EDGED_HTTP_1,
	EDGED_LOOP_1, EDGED_METRICS_1, EDGED_NODE_1, EDGED_CHANNEL_1, NULL };
static const char *const offers[] = { EDGED_SHADOW_1, NULL };

EDGED_PLUGIN(.name = "shadow", .version = EDGED_VERSION, .summary = "AWS IoT device shadows", .needs = needs,
        .offers = offers, .settings = settings, .routes = routes, .create = create, .start = start,
        .stop = stop, .destroy = destroy, .offer = offer);
