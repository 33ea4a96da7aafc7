/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache plugin: objects with a life, on the disk, bounded. Each node has its own; `/any/cache/v1/...` is that of the
 * node which holds the cluster's cache role.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "edged/cap_config.h"
#include "rest.h"

struct cache {
	struct edged_host *host;
	struct objects *objects;
	struct rest rest;
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
	free(cache);
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
	*ret_self = cache;
	return 0;
}

static void loaded(void *arg, int result)
{
	const struct cache *cache = arg;
	cache->host->v1->started(cache->host, result, result ? "the stored objects cannot be read" : NULL);
}

static int start(void *self)
{
	struct cache *cache = self;
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
	{ 0 },
};

static const char *const needs[] = { EDGED_LOG_1, EDGED_CONFIG_1, EDGED_STORE_1, EDGED_HTTP_1,
	EDGED_METRICS_1, NULL };

EDGED_PLUGIN(.name = "cache", .version = EDGED_VERSION, .summary = "Objects with a life, for all nodes",
        .needs = needs, .settings = settings, .routes = routes, .create = create, .start = start,
        .destroy = destroy);
