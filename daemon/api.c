/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include <errno.h>
#include <stdlib.h>

#include "conf/conf.h"
#include "core/openapi.h"
#include "core/router.h"
#include "events.h"
#include "plugin/host.h"
#include "plugin/metrics.h"

struct api {
	struct api_deps deps;
};

static int reply_json(struct api *api, edged_handle request, int status, const struct buf *body)
{
	return request_reply(api->deps.requests, request, status, "application/json", buf_slice(body));
}

/* Wraps what `print` writes into {"data": ...}. */
static int reply_list(
        struct api *api, edged_handle request, int (*print)(const struct plugins *plugins, struct buf *out))
{
	CLEANUP(buf_fini) struct buf body = BUF_EMPTY;
	int r = buf_add_str(&body, "{\"data\":");
	if (!r)
		r = print(api->deps.plugins, &body);
	if (!r)
		r = buf_add_str(&body, "}\n");
	return r ? r : reply_json(api, request, 200, &body);
}

static int serve_health(void *self, edged_handle request)
{
	struct api *api = self;
	return request_reply(
	        api->deps.requests, request, 200, "application/json", edged_str("{\"status\":\"ok\"}\n"));
}

static int serve_ready(void *self, edged_handle request)
{
	struct api *api = self;
	CLEANUP(buf_fini) struct buf own = BUF_EMPTY;
	CLEANUP(buf_fini) struct buf plugins = BUF_EMPTY;
	bool ready = api->deps.ready(api->deps.arg, &own);
	ready = plugins_ready(api->deps.plugins, &plugins) && ready;
	CLEANUP(buf_fini) struct buf body = BUF_EMPTY;
	int r = buf_addf(&body, "{\"status\":\"%s\",\"node\":[%s],\"plugins\":%s}\n",
	        ready ? "ready" : "not ready", own.ptr ? own.ptr : "", plugins.len ? plugins.ptr : "[]");
	return r ? r : reply_json(api, request, ready ? 200 : 503, &body);
}

static int serve_metrics(void *self, edged_handle request)
{
	struct api *api = self;
	CLEANUP(buf_fini) struct buf body = BUF_EMPTY;
	int r = metrics_print(api->deps.metrics, &body);
	if (r)
		return r;
	return request_reply(api->deps.requests, request, 200, "text/plain; version=0.0.4; charset=utf-8",
	        buf_slice(&body));
}

static int serve_openapi(void *self, edged_handle request)
{
	struct api *api = self;
	CLEANUP(buf_fini) struct buf body = BUF_EMPTY;
	int r = openapi_print(api->deps.router, EDGED_VERSION, &body);
	return r ? r : reply_json(api, request, 200, &body);
}

static int serve_node(void *self, edged_handle request)
{
	struct api *api = self;
	CLEANUP(buf_fini) struct buf body = BUF_EMPTY;
	int r = buf_add_str(&body, "{");
	if (!r)
		r = api->deps.node_json(api->deps.arg, &body);
	if (!r)
		r = buf_add_str(&body, "}\n");
	return r ? r : reply_json(api, request, 200, &body);
}

static int serve_services(void *self, edged_handle request)
{
	return reply_list(self, request, plugins_services_json);
}

static int serve_plugins(void *self, edged_handle request)
{
	return reply_list(self, request, plugins_json);
}

static int serve_config(void *self, edged_handle request)
{
	struct api *api = self;
	CLEANUP(buf_fini) struct buf body = BUF_EMPTY;
	int r = conf_print_json(api->deps.conf, &body);
	return r ? r : reply_json(api, request, 200, &body);
}

static int serve_events(void *self, edged_handle request)
{
	struct api *api = self;
	return events_serve(api->deps.events, request);
}

#define SSE                                                                                                  \
	"{\"responses\":{\"200\":{\"description\":\"A stream of server-sent "                                \
	"events\",\"content\":{\"text/event-stream\":{}}}}}"

static const struct edged_route routes[] = {
	{ "GET", "/healthz", serve_health, "Is the daemon alive? Needs no key", NULL, EDGED_SCOPE_ACCOUNT,
	        0 },
	{ "GET", "/readyz", serve_ready, "Is everything started, and if not, what is missing? Needs no key",
	        NULL, EDGED_SCOPE_ACCOUNT, 0 },
	{ "GET", "/metrics", serve_metrics, "Figures in the Prometheus text format", NULL,
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "GET", "/openapi.json", serve_openapi, "This document: what is loaded right now", NULL,
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "GET", "/edge/v1/node", serve_node, "This node: id, name, version, account, addresses", NULL,
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "GET", "/edge/v1/services", serve_services, "The microservices that run here", NULL,
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "GET", "/edge/v1/plugins", serve_plugins,
	        "All plugin files with their state, and why a file was refused", NULL, EDGED_SCOPE_ACCOUNT,
	        0 },
	{ "GET", "/edge/v1/config", serve_config,
	        "The configuration in effect, with the origin of each value", NULL, EDGED_SCOPE_ACCOUNT, 0 },
	{ "GET", "/edge/v1/events", serve_events, "What happens on this node and in its cluster", SSE,
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ 0 },
};

int api_new(const struct api_deps *deps, struct api **ret, struct err *err)
{
	struct api *api = calloc(1, sizeof(*api));
	if (!api)
		return -ENOMEM;
	api->deps = *deps;
	struct route_owner owner = { .name = "edged", .owner = api, .self = api, .core = true };
	int r = router_add(deps->router, &owner, routes, sizeof(routes[0]), err);
	if (r) {
		free(api);
		return r;
	}
	*ret = api;
	return 0;
}

void api_free(struct api *api)
{
	if (!api)
		return;
	router_remove(api->deps.router, api);
	free(api);
}
