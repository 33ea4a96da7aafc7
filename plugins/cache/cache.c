/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache plugin: objects with a life, on the disk, bounded. Each node has its own; `/any/cache/v1/...` is that of the
 * node which holds the cluster's cache role. And in memory what other nodes answered to requests that went through this one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "edged/cap_config.h"
#include "rest.h"
#include "shared_rest.h"

struct cache {
	struct edged_host *host;
	struct objects *objects;
	struct rest rest;
	struct shared shared;
	struct shared_rest shared_rest;
};

static uint64_t wall_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void destroy(void *self)
{
	struct cache *cache = self;
	objects_free(cache->objects);
	shared_fini(&cache->shared);
	free(cache);
}

static void make_shared(
        struct cache *cache, const struct edged_config_1 *config, const struct edged_metrics_1 *metrics)
{
	struct edged_host *host = cache->host;
	struct shared *shared = &cache->shared;
	shared_init(shared, host->v1->node_id(host), (size_t)config->integer(host, "http.answers"),
	        (size_t)config->integer(host, "http.bytes"), (size_t)config->integer(host, "http.answer"));
	const struct {
		int64_t **figure;
		enum edged_metric_type type;
		const char *name, *text;
	} figures[] = {
		{ &shared->count, EDGED_GAUGE, "cache_answers", "Answers of other nodes in memory" },
		{ &shared->bytes, EDGED_GAUGE, "cache_answers_bytes", "Memory that they take" },
		{ &shared->hits, EDGED_COUNTER, "cache_answers_hits_total",
		        "Requests to other nodes that were answered without asking them" },
		{ &shared->misses, EDGED_COUNTER, "cache_answers_misses_total",
		        "GET and HEAD that other nodes were asked" },
		{ &shared->validated, EDGED_COUNTER, "cache_answers_validated_total",
		        "Those of which the other node said that the kept answer still holds" },
		{ &shared->stale, EDGED_COUNTER, "cache_answers_stale_total",
		        "Stale answers that were given since the other node could not" },
		{ &shared->stored, EDGED_COUNTER, "cache_answers_stored_total", "Answers that were stored" },
		{ &shared->invalidated, EDGED_COUNTER, "cache_answers_invalidated_total",
		        "Answers that went since a request changed what they were about, or by DELETE" },
		{ &shared->evicted, EDGED_COUNTER, "cache_answers_evicted_total",
		        "Answers that went because room was needed" },
	};
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		*figures[i].figure =
		        metrics->figure(host, figures[i].type, figures[i].name, NULL, figures[i].text);
	cache->shared_rest = (struct shared_rest){ host, edged_cap(host, EDGED_HTTP_1), shared };
}

static int create(struct edged_host *host, void **ret_self)
{
	struct cache *cache = calloc(1, sizeof(*cache));
	if (!cache)
		return -ENOMEM;
	const struct edged_config_1 *config = edged_cap(host, EDGED_CONFIG_1);
	const struct edged_metrics_1 *metrics = edged_cap(host, EDGED_METRICS_1);
	const struct objects_deps deps = { .host = host,
		.log = edged_cap(host, EDGED_LOG_1),
		.store = edged_cap(host, EDGED_STORE_1),
		.metrics = metrics,
		.bytes = (size_t)config->integer(host, "bytes"),
		.count = (size_t)config->integer(host, "objects"),
		.wall = wall_ms };
	int r = objects_new(&deps, &cache->objects);
	if (r) {
		free(cache);
		return r;
	}
	cache->host = host;
	cache->rest = (struct rest){ .host = host,
		.http = edged_cap(host, EDGED_HTTP_1),
		.objects = cache->objects,
		.object_bytes = (size_t)config->integer(host, "object"),
		.life_ms = (uint64_t)config->integer(host, "life"),
		.most_ms = (uint64_t)config->integer(host, "life_max"),
		.wall = wall_ms,
		.hits = metrics->figure(
		        host, EDGED_COUNTER, "cache_hits_total", NULL, "Objects asked for and found"),
		.misses = metrics->figure(
		        host, EDGED_COUNTER, "cache_misses_total", NULL, "Objects asked for and not found") };
	if (cache->rest.object_bytes > deps.bytes)
		cache->rest.object_bytes = deps.bytes;
	if (cache->rest.life_ms > cache->rest.most_ms)
		cache->rest.life_ms = cache->rest.most_ms;
	make_shared(cache, config, metrics);
	*ret_self = cache;
	return 0;
}

static void loaded(void *arg, int result)
{
	const struct cache *cache = arg;
	cache->host->v1->started(cache->host, result, result ? "the stored objects cannot be read" : NULL);
}

/* Without room for anything it stays out of the way of requests. */
static void serve_proxy(struct cache *cache)
{
	struct edged_host *host = cache->host;
	const struct edged_proxy_1 *proxy = edged_cap(host, EDGED_PROXY_1);
	if (!proxy || !cache->shared.answers.most_bytes)
		return;
	int r = proxy->cache(host, shared_functions(), &cache->shared);
	if (r == -EEXIST)
		((const struct edged_log_1 *)edged_cap(host, EDGED_LOG_1))
		        ->log(host, EDGED_WARNING,
		                "another plugin keeps answers of other nodes; this one does not");
}

static int start(void *self)
{
	struct cache *cache = self;
	serve_proxy(cache);
	int r = objects_load(cache->objects, loaded, cache);
	return r ? r : EDGED_LATER;
}

static int serve_get(void *self, edged_handle request)
{
	return rest_get(&((struct cache *)self)->rest, request);
}

static int serve_put(void *self, edged_handle request)
{
	return rest_put(&((struct cache *)self)->rest, request);
}

static int serve_delete(void *self, edged_handle request)
{
	return rest_delete(&((struct cache *)self)->rest, request);
}

static int serve_list(void *self, edged_handle request)
{
	return rest_list(&((struct cache *)self)->rest, request);
}

static int serve_answers(void *self, edged_handle request)
{
	return shared_rest_list(&((struct cache *)self)->shared_rest, request);
}

static int serve_purge(void *self, edged_handle request)
{
	return shared_rest_purge(&((struct cache *)self)->shared_rest, request);
}

/* Parameters beyond those of the path, as OpenAPI writes them. */
#define PARAMETER(in, name, type, text)                                                                      \
	"{\"name\":\"" name "\",\"in\":\"" in "\",\"schema\":{\"type\":\"" type                              \
	"\"},\"description\":\"" text "\"}"
#define PARAMETERS(...) "{\"parameters\":[" __VA_ARGS__ "]}"
#define MATCH           PARAMETER("header", "If-Match", "string", "The ETag that it must have, or *")
#define NONE            PARAMETER("header", "If-None-Match", "string", "An ETag that it must not have, or *")

static const struct edged_route routes[] = {
	{ "GET", "/cache/v1/{key...}", serve_get, "An object", PARAMETERS(NONE), EDGED_SCOPE_ACCOUNT, 0 },
	{ "PUT", "/cache/v1/{key...}", serve_put, "Store an object",
	        PARAMETERS(PARAMETER(
	                "header", "Cache-Control", "string", "max-age=SECONDS: its life") "," MATCH "," NONE),
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "DELETE", "/cache/v1/{key...}", serve_delete, "Remove an object", PARAMETERS(MATCH),
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "GET", "/cache/v1", serve_list, "Objects that are here, by key",
	        PARAMETERS(PARAMETER("query", "prefix", "string", "What their keys begin with") "," PARAMETER(
	                "query", "limit", "integer",
	                "Objects on a page, up to 1,000; default 100") "," PARAMETER("query", "cursor",
	                "string", "Of the page before")),
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "GET", "/cache/http/v1", serve_answers, "Answers of other nodes that are kept here, by URI",
	        PARAMETERS(PARAMETER("query", "prefix", "string",
	                "What their URIs begin with, as /nodes/{id}/ or /any/{service}/") "," PARAMETER("quer"
	                                                                                                "y",
	                "limit", "integer",
	                "Answers on a page, up to 1,000; default 100") "," PARAMETER("query", "cursor",
	                "string", "Of the page before")),
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "DELETE", "/cache/http/v1", serve_purge, "Forget answers of other nodes",
	        PARAMETERS(
	                PARAMETER("query", "prefix", "string", "What their URIs begin with; all without it")),
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ 0 },
};

static const struct edged_setting settings[] = {
	{ "object", EDGED_TYPE_SIZE, "\"1M\"", 1024, 16777216, "bytes", NULL,
	        "Largest object; http.body must allow it, too" },
	{ "bytes", EDGED_TYPE_SIZE, "\"64M\"", 65536, 1099511627776, "bytes", NULL,
	        "All objects together; beyond, those used least recently go" },
	{ "objects", EDGED_TYPE_INT, "10000", 1, 1000000, "objects", NULL,
	        "Objects; beyond, those used least recently go" },
	{ "life", EDGED_TYPE_DURATION, "\"1d\"", 1000, 315360000000, "ms", NULL,
	        "Life of an object that comes without max-age" },
	{ "life_max", EDGED_TYPE_DURATION, "\"30d\"", 1000, 315360000000, "ms", NULL,
	        "Longest life of an object" },
	{ "http.bytes", EDGED_TYPE_SIZE, "\"4M\"", 0, 1073741824, "bytes", NULL,
	        "Memory for answers of other nodes (RFC 9111); beyond, those used least recently go; 0: none "
	        "are kept" },
	{ "http.answer", EDGED_TYPE_SIZE, "\"256k\"", 1024, 16777216, "bytes", NULL,
	        "Largest answer of another node that is kept, headers included" },
	{ "http.answers", EDGED_TYPE_INT, "1000", 1, 100000, "answers", NULL,
	        "Answers of other nodes; beyond, those used least recently go" },
	{ 0 },
};

static const char *const needs[] = { EDGED_LOG_1, EDGED_CONFIG_1, EDGED_STORE_1, EDGED_HTTP_1,
	EDGED_METRICS_1, NULL };

EDGED_PLUGIN(.name = "cache", .version = EDGED_VERSION,
        .summary = "Objects with a life, for all nodes, and a shared cache of HTTP", .needs = needs,
        .settings = settings, .routes = routes, .create = create, .start = start, .destroy = destroy);
