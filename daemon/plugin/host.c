/* SPDX-License-Identifier: Apache-2.0 */
/* All plugins of a daemon: in which order they start and stop, and what follows from changes in the folders.
 */
#include "plugin/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "plugin/auth.h"
#include "plugin/cap_node.h"
#include "plugin/cap_stream.h"
#include "plugin/metrics.h"
#include "plugin/life.h"
#include "plugin/plugins.h"
#include "plugin/report.h"
#include "plugin/work.h"

void plugins_changed(struct plugins *plugins)
{
	if (plugins->deps.changed)
		plugins->deps.changed(plugins->deps.arg);
}

static struct plugin *find_file(const struct plugins *plugins, const char *folder, const char *file)
{
	list_each (node, &plugins->all) {
		struct plugin *plugin = list_entry(node, struct plugin, link);
		if (strcmp(plugin->file, file) == 0 && strcmp(plugin->folder, folder) == 0)
			return plugin;
	}
	return NULL;
}

/* --- settling --- */

static bool begin_one(struct plugins *plugins)
{
	list_each (node, &plugins->all) {
		struct plugin *plugin = list_entry(node, struct plugin, link);
		if (plugin->life.state != LIFE_WAITING || plugin_lacks(plugin, NULL))
			continue;
		plugin_begin(plugin);
		return true;
	}
	return false;
}

/* Puts `plugin` where `old` was in the list. */
static void take_place(struct plugin *plugin, struct plugin *old)
{
	list_insert_before(&old->link, &plugin->link);
	list_remove(&old->link);
}

/* The new file does not work: what ran before it comes back and says why. */
static void take_back(struct plugin *plugin)
{
	struct plugin *former = TAKE(plugin->former);
	struct err why = plugin->reason;
	take_place(former, plugin);
	plugin_free(plugin);
	if (plugin_declare(former)) {
		log_error("plugins", "%s cannot come back: %s", former->path, former->reason.text);
		return;
	}
	plugin_wait(former);
	plugin_begin(former);
	if (plugin_is_live(former))
		plugin_set_reason(former, "the new file did not work (%s), the former one goes on", why.text);
}

static bool finish_replacement(struct plugins *plugins)
{
	list_each (node, &plugins->all) {
		struct plugin *plugin = list_entry(node, struct plugin, link);
		if (!plugin->former)
			continue;
		if (plugin->life.state == LIFE_RUNNING) {
			plugin_free(TAKE(plugin->former));
		} else if (plugin->life.state == LIFE_FAILED || plugin->life.state == LIFE_REFUSED) {
			take_back(plugin);
			return true;
		}
	}
	return false;
}

void plugins_settle(struct plugins *plugins)
{
	if (!plugins->started || plugins->stopping)
		return;
	plugins->settling = true;
	do {
		while (begin_one(plugins))
			;
	} while (finish_replacement(plugins));
	plugins->settling = false;
	plugins_explain(plugins);
	plugins_changed(plugins);
}

static void work(struct deferred *deferred)
{
	struct plugins *plugins = CONTAINER_OF(deferred, struct plugins, work);
	list_each (node, &plugins->all)
		plugin_go_on(list_entry(node, struct plugin, link));
	plugins_settle(plugins);
}

/* --- files --- */

/* Something has gone: what was refused because of it gets another chance. */
static void retry_refused(struct plugins *plugins)
{
	list_each (node, &plugins->all) {
		struct plugin *plugin = list_entry(node, struct plugin, link);
		if (plugin->life.state == LIFE_REFUSED && plugin->retry)
			plugin_admit(plugin, NULL);
	}
}

static void add(struct plugins *plugins, struct plugin *plugin)
{
	list_append(&plugins->all, &plugin->link);
	plugins->count++;
	if (plugin->image)
		plugin_admit(plugin, NULL);
}

static void forget(struct plugins *plugins, struct plugin *plugin)
{
	if (plugin_is_live(plugin))
		plugin_stop(plugin);
	plugin_free(plugin);
	plugins->count--;
}

/* Could the new file run in the place of the old one? Nothing has been stopped yet. */
static int judge_replacement(struct plugin *plugin, struct plugin *old)
{
	if (!plugin->image)
		return -EINVAL;
	const char *lack = plugin_lacks(plugin, old);
	if (lack)
		return err_set(&plugin->reason, -ENOENT, "it needs %s, which is not there", lack);
	plugin_undeclare(old);
	plugin_admit(plugin, old);
	if (plugin->life.state != LIFE_REFUSED)
		return 0;
	struct err keep = old->reason;
	if (plugin_declare(old))
		log_error("plugins", "%s lost its configuration: %s", old->path, old->reason.text);
	old->reason = keep;
	return -EINVAL;
}

static void replace_live(struct plugin *plugin, struct plugin *old)
{
	struct plugins *plugins = old->plugins;
	if (judge_replacement(plugin, old)) {
		plugin_set_reason(
		        old, "the new file is refused (%s), the former one goes on", plugin->reason.text);
		old->status = plugin->status;
		plugin_free(plugin);
		plugins_changed(plugins);
		return;
	}
	bool proven = old->life.state == LIFE_RUNNING;
	plugin_stop(old);
	take_place(plugin, old);
	plugin->initial = old->initial;
	plugin->former = proven ? old : TAKE(old->former);
	if (!proven)
		plugin_free(old);
	plugin_begin(plugin);
	if (plugin->life.state == LIFE_RUNNING)
		retry_refused(plugins);
}

static void written(struct plugins *plugins, const char *folder, const char *file)
{
	struct plugin *old = find_file(plugins, folder, file);
	struct plugin *plugin = plugin_find(plugins, folder, file);
	if (!plugin) {
		log_error("plugins", "no memory for %s/%s", folder, file);
		return;
	}
	if (old && plugin_is_live(old)) {
		replace_live(plugin, old);
	} else {
		if (old)
			forget(plugins, old);
		add(plugins, plugin);
		if (old)
			retry_refused(plugins);
	}
}

static void gone(struct plugins *plugins, const char *folder, const char *file)
{
	list_each_safe (node, &plugins->all) {
		struct plugin *plugin = list_entry(node, struct plugin, link);
		struct stat st;
		if (strcmp(plugin->folder, folder) != 0 || (file && strcmp(plugin->file, file) != 0))
			continue;
		if (file || lstat(plugin->path, &st)) {
			log_info("plugins", "%s has gone", plugin->path);
			forget(plugins, plugin);
		}
	}
	retry_refused(plugins);
}

static bool is_known(const struct plugins *plugins, const char *folder, const char *file)
{
	const struct plugin *plugin = find_file(plugins, folder, file);
	struct stat st;
	return plugin && plugin->image && lstat(plugin->path, &st) == 0 &&
	       st.st_ino == plugin->status.st_ino && st.st_size == plugin->status.st_size &&
	       memcmp(&st.st_ctim, &plugin->status.st_ctim, sizeof(st.st_ctim)) == 0;
}

static void told(void *arg, const char *folder, const char *file, enum folder_event event)
{
	struct plugins *plugins = arg;
	const struct plugin *plugin = file ? find_file(plugins, folder, file) : NULL;
	switch (event) {
	case FOLDER_SEEN:
		if (!is_known(plugins, folder, file))
			written(plugins, folder, file);
		break;
	case FOLDER_TOUCHED: /* perhaps what it was refused for has been put right */
		if (plugin && !plugin->image)
			written(plugins, folder, file);
		break;
	case FOLDER_WRITTEN:
		written(plugins, folder, file);
		break;
	case FOLDER_GONE:
		gone(plugins, folder, file);
		break;
	}
	plugins_settle(plugins);
}

/* --- the whole --- */

static int64_t count_running(void *arg)
{
	const struct plugins *plugins = arg;
	int64_t n = 0;
	list_each (node, &plugins->running)
		n += list_entry(node, struct plugin, running)->life.state == LIFE_RUNNING;
	return n;
}

static int64_t count_troubled(void *arg)
{
	const struct plugins *plugins = arg;
	int64_t n = 0;
	list_each (node, &plugins->all) {
		uint32_t state = list_entry(node, struct plugin, link)->life.state;
		n += state == LIFE_REFUSED || state == LIFE_FAILED || state == LIFE_WAITING;
	}
	return n;
}

static int64_t count_left(void *arg)
{
	const struct plugins *plugins = arg;
	return plugins->left_behind;
}

static int add_figures(struct plugins *plugins)
{
	struct metrics *metrics = plugins->deps.metrics;
	int r = metrics_read(metrics, plugins, EDGED_GAUGE, "plugins_running", NULL, "Plugins that serve",
	        count_running, plugins);
	if (!r)
		r = metrics_read(metrics, plugins, EDGED_GAUGE, "plugins_troubled", NULL,
		        "Plugin files that are refused, failed or wait for something", count_troubled,
		        plugins);
	if (!r)
		r = metrics_read(metrics, plugins, EDGED_COUNTER, "plugin_leftovers_total", NULL,
		        "Timers, calls and requests that plugins left behind when they stopped", count_left,
		        plugins);
	return r;
}

int plugins_new(const struct plugins_deps *deps, struct plugins **ret)
{
	struct plugins *plugins = calloc(1, sizeof(*plugins));
	if (!plugins)
		return -ENOMEM;
	plugins->deps = *deps;
	list_init(&plugins->all);
	list_init(&plugins->running);
	deferred_init(&plugins->work, work);
	cap_stream_init(&plugins->stream);
	struct loop *loop = deps->loops ? loops_at(deps->loops, 0) : NULL;
	int r = folders_new(loop, told, plugins, &plugins->folders);
	if (!r)
		r = add_figures(plugins);
	if (!r)
		r = auth_new(deps->loops, deps->conf, deps->metrics, &plugins->auth);
	if (!r)
		r = work_pool_new(deps->limits.workers, &plugins->workers);
	if (r)
		plugins_free(plugins);
	else
		*ret = plugins;
	return r;
}

int plugins_add_folder(struct plugins *plugins, const char *folder, bool create, struct err *err)
{
	return folders_add(plugins->folders, folder, create, err);
}

int plugins_start(struct plugins *plugins)
{
	int r = folders_watch(plugins->folders);
	if (r)
		return r;
	list_each (node, &plugins->all)
		list_entry(node, struct plugin, link)->initial = true;
	plugins->started = true;
	plugins_settle(plugins);
	return 0;
}

void plugins_stop(struct plugins *plugins)
{
	plugins->stopping = true;
	deferred_cancel(&plugins->work);
	while (!list_empty(&plugins->running))
		plugin_stop(list_entry(plugins->running.prev, struct plugin, running));
}

int plugins_declare_in(const struct plugins *plugins, struct conf *fresh, struct conf_findings *findings)
{
	int r = 0;
	list_each (node, &plugins->all) {
		const struct plugin *plugin = list_entry(node, struct plugin, link);
		if (!plugin->declared)
			continue;
		r = plugin_declare_in(plugin, fresh, findings);
		if (r && r != -EINVAL)
			return r;
	}
	return 0;
}

void plugins_reloaded(struct plugins *plugins)
{
	list_each (node, &plugins->all) {
		struct plugin *plugin = list_entry(node, struct plugin, link);
		if (plugin->declared)
			plugin_reloaded(plugin);
	}
}

void plugins_peers_changed(struct plugins *plugins)
{
	list_each (node, &plugins->all) {
		const struct plugin *plugin = list_entry(node, struct plugin, link);
		if (plugin->context)
			cap_node_peers_changed(plugin->context);
	}
}

enum edged_login_outcome plugins_signer(
        struct plugins *plugins, const struct edged_http_message *message, char ret[EDGED_SIGNER_MAX])
{
	return auth_signer(plugins->auth, message, ret);
}

void plugins_set_limits(struct plugins *plugins, const struct plugin_limits *limits)
{
	ledger_limits_set(&plugins->deps.limits.ledger, &limits->ledger);
	plugins->deps.limits.start_ms = limits->start_ms;
}

void plugins_free(struct plugins *plugins)
{
	if (!plugins)
		return;
	plugins_stop(plugins);
	metrics_remove(plugins->deps.metrics, plugins);
	list_each_safe (node, &plugins->all)
		plugin_free(list_entry(node, struct plugin, link));
	folders_free(plugins->folders);
	work_pool_free(plugins->workers);
	auth_free(plugins->auth);
	free(plugins);
}
