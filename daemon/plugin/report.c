/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/report.h"

#include <stdio.h>
#include <string.h>
#include "plugin/capabilities.h"
#include "plugin/life.h"

/* --- why a plugin waits --- */

/* The plugin that would offer it, whatever state it is in. */
static struct plugin *would_offer(const struct plugins *plugins, const char *capability)
{
	list_each (node, &plugins->all) {
		struct plugin *plugin = list_entry(node, struct plugin, link);
		const char *const *offers = plugin->image ? plugin->image->plugin.offers : NULL;
		for (size_t i = 0; offers && offers[i]; i++)
			if (strcmp(offers[i], capability) == 0)
				return plugin;
	}
	return NULL;
}

/* Do the needs lead from `plugin` back to it? Writes the way: "a -> b -> a". */
static bool circle(const struct plugin *plugin, char *way, size_t size)
{
	const struct plugin *at = plugin;
	size_t used = (size_t)snprintf(way, size, "%s", plugin->image->plugin.name);
	for (unsigned i = 0; i <= plugin->plugins->count && used < size; i++) {
		const char *lack = at->life.state == LIFE_WAITING ? plugin_lacks(at, NULL) : NULL;
		at = lack ? would_offer(plugin->plugins, lack) : NULL;
		if (!at)
			return false;
		used += (size_t)snprintf(way + used, size - used, " -> %s", at->image->plugin.name);
		if (at == plugin)
			return true;
	}
	return false;
}

static void explain(struct plugin *plugin)
{
	char way[512];
	const char *lack = plugin_lacks(plugin, NULL);
	if (!lack)
		return;
	const struct plugin *from = would_offer(plugin->plugins, lack);
	if (!from)
		plugin_set_reason(
		        plugin, "it needs %s, which nothing here offers: install a plugin that does", lack);
	else if (circle(plugin, way, sizeof(way)))
		plugin_set_reason(plugin, "it needs %s, and the needs go in a circle: %s", lack, way);
	else
		plugin_set_reason(plugin, "it needs %s, and plugin %s, which offers it, is %s", lack,
		        from->image->plugin.name, sm_name(&from->life));
}

void plugins_explain(struct plugins *plugins)
{
	list_each (node, &plugins->all) {
		struct plugin *plugin = list_entry(node, struct plugin, link);
		if (plugin->life.state == LIFE_WAITING)
			explain(plugin);
	}
}

/* --- readiness --- */

/* Waiting plugins hold nothing up by themselves: either what they need starts, or it never comes. */
bool plugins_ready(const struct plugins *plugins, struct buf *ret_why)
{
	bool ready = plugins->started && !plugins->settling;
	const char *comma = "";
	if (ret_why)
		buf_add_str(ret_why, "[");
	list_each (node, &plugins->all) {
		const struct plugin *plugin = list_entry(node, struct plugin, link);
		if (!plugin->initial || plugin->life.state != LIFE_STARTING)
			continue;
		ready = false;
		if (ret_why)
			buf_addf(ret_why, "%s{\"plugin\":\"%s\",\"state\":\"%s\"}", comma,
			        plugin->image->plugin.name, sm_name(&plugin->life));
		comma = ",";
	}
	if (ret_why)
		buf_add_str(ret_why, "]");
	return ready;
}

/* --- lists --- */

static int add_member(struct buf *out, const char *name, const char *value)
{
	if (!value || !*value)
		return 0;
	int r = buf_addf(out, ",\"%s\":", name);
	return r ? r : buf_add_json(out, edged_str(value));
}

static int add_names(struct buf *out, const char *name, const char *const *names)
{
	if (!names || !names[0])
		return 0;
	int r = buf_addf(out, ",\"%s\":[", name);
	for (size_t i = 0; !r && names[i]; i++) {
		r = i ? buf_add_str(out, ",") : 0;
		if (!r)
			r = buf_add_json(out, edged_str(names[i]));
	}
	return r ? r : buf_add_str(out, "]");
}

static int add_held(struct buf *out, const struct plugin_context *context)
{
	if (!context)
		return 0;
	return buf_addf(out, ",\"holds\":{\"timers\":%u,\"posts\":%u,\"storeCalls\":%u}",
	        ledger_count(context->ledger, LEDGER_TIMERS), ledger_count(context->ledger, LEDGER_POSTS),
	        ledger_count(context->ledger, LEDGER_STORE_CALLS));
}

static int add_image(struct buf *out, const struct edged_plugin *image)
{
	int r = add_member(out, "name", image->name);
	if (!r)
		r = add_member(out, "version", image->version);
	if (!r)
		r = add_member(out, "summary", image->summary);
	if (!r)
		r = buf_addf(out, ",\"abi\":\"1.%u\"", image->abi_minor);
	if (!r)
		r = add_names(out, "needs", image->needs);
	if (!r)
		r = add_names(out, "offers", image->offers);
	return r;
}

static int add_plugin(struct buf *out, const struct plugin *plugin)
{
	int r = buf_add_str(out, "{\"file\":");
	if (!r)
		r = buf_add_json(out, edged_str(plugin->path));
	if (!r && plugin->image)
		r = add_image(out, &plugin->image->plugin);
	if (!r)
		r = add_member(out, "state", sm_name(&plugin->life));
	if (!r)
		r = add_member(out, "reason", plugin->reason.text);
	if (!r)
		r = add_held(out, plugin->context);
	return r ? r : buf_add_str(out, "}");
}

int plugins_json(const struct plugins *plugins, struct buf *out)
{
	int r = buf_add_str(out, "[");
	bool first = true;
	list_each (node, &plugins->all) {
		if (!r && !first)
			r = buf_add_str(out, ",");
		if (!r)
			r = add_plugin(out, list_entry(node, struct plugin, link));
		first = false;
	}
	return r ? r : buf_add_str(out, "]");
}

/* --- services --- */

/* Where a service's routes begin: "/hello/v1" if it has routes there, else the fixed start of its first
 * route. */
static void service_path(const struct edged_plugin *plugin, char *ret, size_t size)
{
	struct edged_route row;
	snprintf(ret, size, "/%s/v1", plugin->name);
	size_t n = strlen(ret);
	for (size_t i = 0; image_route(plugin, i, &row); i++)
		if (strncmp(row.path, ret, n) == 0 && (!row.path[n] || row.path[n] == '/'))
			return;
	if (!image_route(plugin, 0, &row))
		return;
	const char *parameter = strstr(row.path, "/{");
	n = parameter ? (size_t)(parameter - row.path) : strlen(row.path);
	snprintf(ret, size, "%.*s", (int)n, row.path);
}

/* How far its widest route reaches. */
static const char *service_scope(const struct edged_plugin *plugin)
{
	static const struct {
		unsigned width;
		const char *name;
	} scopes[] = {
		[EDGED_SCOPE_NODE] = { 0, "node" },
		[EDGED_SCOPE_ACCOUNT] = { 1, "account" },
		[EDGED_SCOPE_LINK_LOCAL] = { 2, "linkLocal" },
		[EDGED_SCOPE_PROXIMITY] = { 3, "proximity" },
	};
	struct edged_route row;
	unsigned widest = EDGED_SCOPE_NODE;
	for (size_t i = 0; image_route(plugin, i, &row); i++)
		if (scopes[row.scope].width > scopes[widest].width)
			widest = row.scope;
	return scopes[widest].name;
}

static int add_service(struct buf *out, const struct edged_plugin *plugin)
{
	char path[256];
	service_path(plugin, path, sizeof(path));
	int r = buf_addf(out, "{\"id\":\"edged-%s\",\"name\":\"%s\",\"serviceType\":\"edged-%s-v1\"",
	        plugin->name, plugin->name, plugin->name);
	if (!r)
		r = add_member(out, "version", plugin->version);
	if (!r)
		r = add_member(out, "summary", plugin->summary);
	if (!r)
		r = add_member(out, "self", path);
	if (!r)
		r = add_member(out, "scope", service_scope(plugin));
	if (!r)
		r = add_names(out, "offers", plugin->offers);
	return r ? r : buf_add_str(out, "}");
}

int plugins_services_json(const struct plugins *plugins, struct buf *out)
{
	int r = buf_add_str(out, "[");
	bool first = true;
	list_each (node, &plugins->all) {
		const struct plugin *plugin = list_entry(node, struct plugin, link);
		if (plugin->life.state != LIFE_RUNNING)
			continue;
		if (!r && !first)
			r = buf_add_str(out, ",");
		if (!r)
			r = add_service(out, &plugin->image->plugin);
		first = false;
	}
	return r ? r : buf_add_str(out, "]");
}
