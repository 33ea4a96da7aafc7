/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin: its tables and its life, and which bridges there are. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "edged/cap_config.h"
#include "edged/cap_http.h"
#include "link.h"
#include "rest.h"

struct bridge {
	struct edged_host *host;
	const struct edged_config_1 *config;
	const struct edged_http_1 *http;
	const struct edged_metrics_1 *metrics;
	struct link_deps deps;
	struct words *figures; /* of each bridge */
	struct link *links[BRIDGES_MOST];
	size_t count;
};

static const struct edged_setting settings[] = {
	{ "bridges", EDGED_TYPE_JSON, "{}", 0, 0, NULL, NULL,
	        "Bridges to other brokers by name, each an object with address, topics and more; see the "
	        "plugin's "
	        "README" },
	{ .name = NULL },
};
static const char *const reload_settings[] = { "bridges", NULL };

static int check(struct edged_slice config, char *why, size_t why_size)
{
	struct bridges_settings all = { 0 };
	json_t *root = json_loadb(config.ptr, config.len, 0, NULL);
	char *text = json_dumps(json_object_get(root, "bridges"), JSON_COMPACT);
	int r = text ? settings_parse(edged_str(text), &all, why, why_size) : 0;
	settings_free(&all);
	free(text);
	json_decref(root);
	return r ? -EINVAL : 0;
}

/* --- which there are -------------------------------------------------------------------------------------------------------- */

static struct link *find(const struct bridge *b, struct edged_slice name)
{
	for (size_t i = 0; i < b->count; i++)
		if (edged_slice_is(name, b->links[i]->settings.name))
			return b->links[i];
	return NULL;
}

static void add(struct bridge *b, struct bridge_settings *s)
{
	char name[40];
	snprintf(name, sizeof(name), "%s", s->name);
	struct figures *figures = figures_get(&b->figures, b->host, b->metrics, name);
	int r = figures ? link_new(&b->deps, s, figures, &b->links[b->count]) : -ENOMEM;
	if (!r)
		b->count++;
	else
		b->deps.log->log(b->host, EDGED_ERROR,
		        "the bridge %s cannot start: %s; nothing is kept for it meanwhile if it is new. "
		        "Reload "
		        "the configuration to try again",
		        name, strerror(-r));
}

static const struct bridge_settings *wanted(const struct bridges_settings *all, const struct link *l)
{
	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->all[i].name, l->settings.name) == 0)
			return &all->all[i];
	return NULL;
}

static void end(struct bridge *b, struct link *l, bool comes_again)
{
	link_show(l);
	if (!comes_again)
		b->deps.log->log(b->host, EDGED_NOTICE,
		        "the bridge %s goes, and with it the %lld messages of its queue", l->settings.name,
		        (long long)(figure(l->figures->waiting) + figure(l->figures->in_flight)));
	link_free(l, !comes_again);
}

/* Those that are no longer wanted go with their queues; those that changed begin anew and keep them. */
static void settle(struct bridge *b, struct bridges_settings *all)
{
	size_t kept = 0;
	for (size_t i = 0; i < b->count; i++) {
		struct link *l = b->links[i];
		const struct bridge_settings *s = wanted(all, l);
		if (s && strcmp(s->text, l->settings.text) == 0)
			b->links[kept++] = l;
		else
			end(b, l, s != NULL);
	}
	b->count = kept;
	for (size_t i = 0; i < all->count; i++)
		if (!find(b, edged_str(all->all[i].name)))
			add(b, &all->all[i]);
}

/* What a bridge of former times has left. */
struct leftover {
	struct bridge *bridge;
	const struct bridges_settings *all;
};

static void forget_if_unwanted(void *arg, const char *name)
{
	const struct leftover *left = arg;
	const struct edged_session_1 *session = left->bridge->deps.session;
	for (size_t i = 0; i < left->all->count; i++)
		if (strcmp(left->all->all[i].name, name + strlen("bridge/")) == 0)
			return;
	left->bridge->deps.log->log(left->bridge->host, EDGED_NOTICE,
	        "the queue of %s goes: the configuration has no such bridge any more", name);
	(void)session->forget(session->ctx, name);
	link_tell(&left->bridge->deps, name + strlen("bridge/"), "");
}

static int read_settings(struct bridge *b, struct bridges_settings *ret)
{
	char why[600];
	int r = settings_parse(b->config->json(b->host, "bridges"), ret, why, sizeof(why));
	if (r) /* the daemon has asked check() before */
		b->deps.log->log(b->host, EDGED_ERROR, "%s", why);
	return r;
}

static void reloaded(void *self)
{
	struct bridge *b = self;
	struct bridges_settings all;
	if (read_settings(b, &all) == 0)
		settle(b, &all);
	settings_free(&all);
}

/* --- REST ------------------------------------------------------------------------------------------------------------------ */

static int answer(struct bridge *b, edged_handle request, char *json)
{
	int r = json ? b->http->reply(b->host, request, 200, "application/json", edged_str(json)) : -ENOMEM;
	free(json);
	return r;
}

static int serve_list(void *self, edged_handle request)
{
	struct bridge *b = self;
	return answer(b, request, rest_bridges(b->links, b->count));
}

static int serve_one_with(struct bridge *b, edged_handle request, void (*act)(struct link *link))
{
	struct edged_slice name = b->http->param(b->host, request, "name");
	struct link *l = find(b, name);
	if (!l) {
		char detail[200];
		snprintf(detail, sizeof(detail),
		        "There is no bridge \"%.*s\"; GET /bridge/v1/bridges lists those that there are.",
		        name.len > 64 ? 64 : (int)name.len, name.ptr ? name.ptr : "");
		return b->http->problem(b->host, request, 404, "bridge-not-found", "No such bridge", detail);
	}
	if (act)
		act(l);
	return answer(b, request, rest_bridge(l));
}

static int serve_one(void *self, edged_handle request)
{
	return serve_one_with(self, request, NULL);
}

static int serve_pause(void *self, edged_handle request)
{
	return serve_one_with(self, request, link_pause);
}

static int serve_resume(void *self, edged_handle request)
{
	return serve_one_with(self, request, link_resume);
}

static const struct edged_route routes[] = {
	{ "GET", "/bridge/v1/bridges", serve_list, "Bridges to other brokers, their state and queues", NULL,
	        0, 0 },
	{ "GET", "/bridge/v1/bridges/{name}", serve_one, "One bridge", NULL, 0, 0 },
	{ "POST", "/bridge/v1/bridges/{name}/pause", serve_pause,
	        "Disconnect a bridge; its queue goes on to fill, until resume or a restart", NULL, 0, 0 },
	{ "POST", "/bridge/v1/bridges/{name}/resume", serve_resume, "Connect a bridge that was paused", NULL,
	        0, 0 },
	{ 0 },
};

/* --- life ------------------------------------------------------------------------------------------------------------------ */

static int create(struct edged_host *host, void **ret_self)
{
	struct bridge *b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->host = host;
	b->config = edged_cap(host, EDGED_CONFIG_1);
	b->http = edged_cap(host, EDGED_HTTP_1);
	b->metrics = edged_cap(host, EDGED_METRICS_1);
	b->deps = (struct link_deps){ .host = host,
		.log = edged_cap(host, EDGED_LOG_1),
		.loop = edged_cap(host, EDGED_LOOP_1),
		.stream = edged_cap(host, EDGED_STREAM_1),
		.dial = edged_cap(host, EDGED_DIAL_1),
		.session = edged_cap(host, EDGED_SESSION_1),
		.pubsub = edged_cap(host, EDGED_PUBSUB_1),
		.store = edged_cap(host, EDGED_STORE_1) };
	if (EDGED_HAS(host->v1, node_id))
		snprintf(b->deps.node, sizeof(b->deps.node), "%s", host->v1->node_id(host));
	*ret_self = b;
	return 0;
}

static int start(void *self)
{
	struct bridge *b = self;
	struct bridges_settings all;
	int r = read_settings(b, &all);
	if (!r) {
		struct leftover left = { b, &all };
		b->deps.session->names(b->deps.session->ctx, "bridge/", forget_if_unwanted, &left);
		settle(b, &all);
	}
	settings_free(&all);
	return r;
}

static void stop(void *self)
{
	struct bridge *b = self;
	for (size_t i = 0; i < b->count; i++)
		link_free(b->links[i], false);
	b->count = 0;
}

static void destroy(void *self)
{
	struct bridge *b = self;
	words_free(b->figures);
	free(b);
}

static const char *const needs[] = { EDGED_LOG_1, EDGED_LOOP_1, EDGED_CONFIG_1, EDGED_HTTP_1, EDGED_METRICS_1,
	EDGED_STREAM_1, EDGED_DIAL_1, EDGED_STORE_1, EDGED_PUBSUB_1, EDGED_SESSION_1, NULL };

EDGED_PLUGIN(.name = "bridge", .version = EDGED_VERSION, .summary = "Bridges to other MQTT brokers",
        .needs = needs, .settings = settings, .check = check, .routes = routes, .create = create,
        .start = start, .stop = stop, .destroy = destroy, .reload_settings = reload_settings,
        .reloaded = reloaded);
