/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/capabilities.h"

#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "conf/conf.h"
#include "plugin/cap_auth.h"
#include "plugin/cap_config.h"
#include "plugin/cap_dial.h"
#include "plugin/cap_http.h"
#include "plugin/cap_log.h"
#include "plugin/cap_loop.h"
#include "plugin/cap_metrics.h"
#include "plugin/cap_node.h"
#include "plugin/cap_proxy.h"
#include "plugin/cap_store.h"
#include "plugin/cap_stream.h"
#include "plugin/cap_work.h"

static bool always(const struct plugins *plugins)
{
	return plugins != NULL;
}

static bool has_conf(const struct plugins *plugins)
{
	return plugins->deps.conf != NULL;
}

static bool has_listeners(const struct plugins *plugins)
{
	return plugins->deps.listeners != NULL;
}

static bool has_node(const struct plugins *plugins)
{
	return plugins->deps.node_json != NULL;
}

static bool has_store(const struct plugins *plugins)
{
	return plugins->deps.store != NULL;
}

static const struct own {
	const char *name;
	bool (*there)(const struct plugins *plugins);
	const void *functions; /* NULL: struct plugins' own stream */
} own[] = {
	{ EDGED_LOG_1, always, &cap_log },
	{ EDGED_CONFIG_1, has_conf, &cap_config },
	{ EDGED_LOOP_1, always, &cap_loop },
	{ EDGED_METRICS_1, always, &cap_metrics },
	{ EDGED_HTTP_1, always, &cap_http },
	{ EDGED_STREAM_1, has_listeners, NULL },
	{ EDGED_DIAL_1, always, &cap_dial },
	{ EDGED_STORE_1, has_store, &cap_store },
	{ EDGED_AUTH_1, always, &cap_auth },
	{ EDGED_NODE_1, has_node, &cap_node },
	{ EDGED_WORK_1, always, &cap_work },
	{ EDGED_PROXY_1, always, &cap_proxy },
};

static const struct own *find_own(const struct plugins *plugins, const char *capability)
{
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (strcmp(own[i].name, capability) == 0)
			return own[i].there(plugins) ? &own[i] : NULL;
	return NULL;
}

bool plugins_offering(const struct plugins *plugins, const char *capability, struct plugin **ret_plugin)
{
	*ret_plugin = NULL;
	if (find_own(plugins, capability))
		return true;
	list_each (node, &plugins->running) {
		struct plugin *plugin = list_entry(node, struct plugin, running);
		const char *const *offers = plugin->image->plugin.offers;
		for (size_t i = 0; plugin->life.state == LIFE_RUNNING && offers && offers[i]; i++)
			if (strcmp(offers[i], capability) == 0) {
				*ret_plugin = plugin;
				return true;
			}
	}
	return false;
}

/* "edged.store/1" denies it to all, "hello:edged.store/1" to one. */
bool plugins_denied(const struct plugins *plugins, const char *plugin, const char *capability)
{
	const char *row;
	size_t n = strlen(plugin);
	for (size_t i = 0; plugins->deps.conf && (row = conf_strings(plugins->deps.conf, "plugin.deny", i));
	        i++)
		if (strcmp(row, capability) == 0 || (strncmp(row, plugin, n) == 0 && row[n] == ':' &&
		                                            strcmp(row + n + 1, capability) == 0))
			return true;
	return false;
}

static const void *own_functions(struct plugin *plugin, const struct own *found)
{
	if (!found->functions)
		return &plugin->plugins->stream;
	if (found->functions == &cap_store && cap_store_open(plugin->context)) {
		log_error("plugins", "no memory for the store of %s", plugin->context->name);
		return NULL;
	}
	return found->functions;
}

/* `plugin` holds something of `from`, so it must stop before it. */
static bool remember(struct plugin *plugin, struct plugin *from)
{
	for (size_t i = 0; i < plugin->use_count; i++)
		if (plugin->uses[i] == from)
			return true;
	struct plugin **uses = realloc(plugin->uses, (plugin->use_count + 1) * sizeof(struct plugin *));
	if (!uses)
		return false;
	plugin->uses = uses;
	uses[plugin->use_count++] = from;
	return true;
}

static const void *ask(struct plugin *from, const char *capability)
{
	struct loop_charge charge;
	loop_enter(&charge, from->context->name);
	const void *functions = from->image->plugin.offer(from->self, capability);
	loop_leave(&charge);
	return functions;
}

const void *plugins_capability(struct plugin *plugin, const char *capability)
{
	const struct plugins *plugins = plugin->plugins;
	struct plugin *from;
	if (plugins_denied(plugins, plugin->context->name, capability))
		return NULL;
	const struct own *found = find_own(plugins, capability);
	if (found)
		return own_functions(plugin, found);
	if (!plugins_offering(plugins, capability, &from) || from == plugin || !remember(plugin, from))
		return NULL;
	return ask(from, capability);
}
