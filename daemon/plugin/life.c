/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/life.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/log.h"
#include "conf/conf.h"
#include "core/router.h"
#include "plugin/cap_auth.h"
#include "plugin/cap_config.h"
#include "plugin/cap_dial.h"
#include "plugin/cap_node.h"
#include "plugin/cap_proxy.h"
#include "plugin/cap_store.h"
#include "plugin/cap_stream.h"
#include "plugin/capabilities.h"
#include "plugin/metrics.h"

enum { SECTION_SIZE = 64 };

static const struct sm_state table[LIFE_COUNT] = {
	[LIFE_FOUND] = { "found", SM_TO(LIFE_REFUSED) | SM_TO(LIFE_WAITING) },
	[LIFE_REFUSED] = { "refused", SM_TO(LIFE_WAITING) | SM_TO(LIFE_REFUSED) },
	[LIFE_WAITING] = { "waiting", SM_TO(LIFE_CREATED) | SM_TO(LIFE_REFUSED) | SM_TO(LIFE_FAILED) },
	[LIFE_CREATED] = { "created",
	        SM_TO(LIFE_STARTING) | SM_TO(LIFE_RUNNING) | SM_TO(LIFE_STOPPING) | SM_TO(LIFE_FAILED) },
	[LIFE_STARTING] = { "starting", SM_TO(LIFE_RUNNING) | SM_TO(LIFE_STOPPING) },
	[LIFE_RUNNING] = { "running", SM_TO(LIFE_STOPPING) },
	[LIFE_STOPPING] = { "stopping", SM_TO(LIFE_STOPPED) | SM_TO(LIFE_FAILED) },
	[LIFE_STOPPED] = { "stopped", SM_TO(LIFE_WAITING) },
	[LIFE_FAILED] = { "failed", SM_TO(LIFE_WAITING) },
};

void plugin_set_reason(struct plugin *plugin, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(plugin->reason.text, sizeof(plugin->reason.text), format, args);
	va_end(args);
}

static const char *name_of(const struct plugin *plugin)
{
	return plugin->image ? plugin->image->plugin.name : plugin->file;
}

static void move(struct plugin *plugin, enum life state)
{
	sm_move(&plugin->life, state);
	plugins_changed(plugin->plugins);
}

void plugin_undeclare(struct plugin *plugin)
{
	char section[SECTION_SIZE];
	if (!plugin->declared)
		return;
	snprintf(section, sizeof(section), "plugins.%s", name_of(plugin));
	conf_undeclare(plugin->plugins->deps.conf, section);
	plugin->declared = false;
}

static void refuse(struct plugin *plugin)
{
	plugin_undeclare(plugin);
	move(plugin, LIFE_REFUSED);
	log_warning("plugins", "%s is refused: %s", plugin->path, plugin->reason.text);
}

static void fail(struct plugin *plugin)
{
	move(plugin, LIFE_FAILED);
	log_error("plugins", "%s (%s) failed: %s", name_of(plugin), plugin->path, plugin->reason.text);
}

/* --- finding and judging --- */

struct plugin *plugin_find(struct plugins *plugins, const char *folder, const char *file)
{
	struct plugin *plugin = calloc(1, sizeof(*plugin));
	if (!plugin || asprintf(&plugin->path, "%s/%s", folder, file) < 0) {
		free(plugin);
		return NULL;
	}
	plugin->plugins = plugins;
	plugin->folder = folder;
	plugin->file = plugin->path + strlen(folder) + 1;
	list_init(&plugin->link);
	list_init(&plugin->running);
	sm_init(&plugin->life, table, LIFE_COUNT, LIFE_FOUND);
	if (lstat(plugin->path, &plugin->status))
		plugin->status = (struct stat){ 0 };
	if (image_load(folder, file, &plugin->image, &plugin->reason))
		refuse(plugin);
	return plugin;
}

void plugin_free(struct plugin *plugin)
{
	if (!plugin)
		return;
	assert(!plugin->context);
	plugin_undeclare(plugin);
	list_remove(&plugin->link);
	plugin_free(plugin->former);
	image_free(plugin->image);
	free(plugin->path);
	free(plugin);
}

/* Is its name or something it offers taken by another one? */
static int judge_against(struct plugin *plugin, const struct plugin *other)
{
	const struct edged_plugin *ours = &plugin->image->plugin, *theirs = &other->image->plugin;
	if (strcmp(ours->name, theirs->name) == 0)
		return err_set(
		        &plugin->reason, -EEXIST, "the name %s is taken by %s", ours->name, other->path);
	for (size_t i = 0; ours->offers && ours->offers[i]; i++)
		for (size_t k = 0; theirs->offers && theirs->offers[k]; k++)
			if (strcmp(ours->offers[i], theirs->offers[k]) == 0)
				return err_set(&plugin->reason, -EEXIST,
				        "it offers %s, which %s (%s) offers already", ours->offers[i],
				        theirs->name, other->path);
	return 0;
}

static int judge_clashes(struct plugin *plugin, const struct plugin *instead_of)
{
	struct plugin *none;
	const char *const *offers = plugin->image->plugin.offers;
	for (size_t i = 0; offers && offers[i]; i++)
		if (plugins_offering(plugin->plugins, offers[i], &none) && !none)
			return err_set(&plugin->reason, -EINVAL, "it offers %s, which is the daemon's own",
			        offers[i]);
	list_each (node, &plugin->plugins->all) {
		const struct plugin *other = list_entry(node, struct plugin, link);
		if (other == plugin || other == instead_of || !other->image ||
		        other->life.state == LIFE_REFUSED || other->life.state == LIFE_FOUND)
			continue;
		int r = judge_against(plugin, other);
		if (r)
			return r;
	}
	return 0;
}

/* Line ends become "; ": a reason is one line. */
static void join_lines(const struct buf *text, struct err *ret)
{
	size_t n = text->len < sizeof(ret->text) ? text->len : sizeof(ret->text) - 1;
	while (n && text->ptr[n - 1] == '\n')
		n--;
	size_t used = 0;
	for (size_t i = 0; i < n && used + 2 < sizeof(ret->text); i++) {
		ret->text[used++] = text->ptr[i] == '\n' ? ';' : text->ptr[i];
		if (text->ptr[i] == '\n')
			ret->text[used++] = ' ';
	}
	ret->text[used] = 0;
}

static void pass_on(const struct conf_findings *from, struct conf_findings *to)
{
	if (!to || !from->text.len)
		return;
	to->errors += from->errors;
	buf_add(&to->text, from->text.ptr, from->text.len);
}

int plugin_declare_in(const struct plugin *plugin, struct conf *conf, struct conf_findings *findings)
{
	const struct edged_plugin *image = &plugin->image->plugin;
	static const struct edged_setting none = { 0 };
	char section[SECTION_SIZE];
	snprintf(section, sizeof(section), "plugins.%s", image->name);
	int r = conf_declare(conf, section, image->settings ? image->settings : &none,
	        image->settings ? image->setting_size : (uint32_t)sizeof(none), image->check, findings);
	if (!r) {
		r = conf_reloadable(conf, section, image->reload_settings, findings);
		if (r)
			conf_undeclare(conf, section);
	}
	return r;
}

void plugin_reloaded(struct plugin *plugin)
{
	if (!plugin->context)
		return;
	cap_config_reload(plugin->context);
	if (!plugin_is_live(plugin) || !plugin->image->plugin.reloaded)
		return;
	struct loop_charge charge;
	loop_enter(&charge, plugin->context->name);
	plugin->image->plugin.reloaded(plugin->self);
	loop_leave(&charge);
}

int plugin_declare(struct plugin *plugin)
{
	struct conf *conf = plugin->plugins->deps.conf;
	if (!conf)
		return 0;
	struct conf_findings findings = { 0 };
	int r = plugin_declare_in(plugin, conf, &findings);
	plugin->declared = r == 0;
	if (r && findings.text.len)
		join_lines(&findings.text, &plugin->reason);
	else if (r)
		plugin_set_reason(plugin, "its configuration table cannot be used: %s", strerror(-r));
	pass_on(&findings, plugin->plugins->deps.findings);
	conf_findings_fini(&findings);
	return r;
}

void plugin_admit(struct plugin *plugin, const struct plugin *instead_of)
{
	plugin->retry = false;
	plugin->reason.text[0] = 0;
	int r = judge_clashes(plugin, instead_of);
	plugin->retry = r == -EEXIST;
	if (!r)
		r = plugin_declare(plugin);
	if (r)
		refuse(plugin);
	else
		move(plugin, LIFE_WAITING);
}

/* --- the host's own functions --- */

static const void *host_cap(struct edged_host *host, const char *name)
{
	return plugins_capability(context_of(host)->plugin, name);
}

static void host_started(struct edged_host *host, int result, const char *why)
{
	struct plugin *plugin = context_of(host)->plugin;
	if (plugin->told)
		return;
	plugin->told = true;
	plugin->told_result = result;
	snprintf(plugin->told_why.text, sizeof(plugin->told_why.text), "%s", why ? why : "");
	loop_defer(loops_at(plugin->plugins->deps.loops, 0), &plugin->plugins->work);
}

static const char *host_folder(struct edged_host *host)
{
	struct plugin_context *context = context_of(host);
	char *path;
	if (context->folder || !context->deps->state)
		return context->folder;
	if (asprintf(&path, "%s/plugins/%s", context->deps->state, context->name) < 0)
		return NULL;
	char *name = path + strlen(path) - strlen(context->name) - 1;
	*name = 0;
	bool ok = mkdir(path, 0700) == 0 || errno == EEXIST;
	*name = '/';
	ok = ok && (mkdir(path, 0700) == 0 || errno == EEXIST);
	if (!ok) {
		log_error(context->name, "the folder %s cannot be made: %s", path, strerror(errno));
		free(path);
		return NULL;
	}
	context->folder = path;
	return path;
}

static const char *host_node_id(struct edged_host *host)
{
	const char *id = context_of(host)->deps->node_id;
	return id ? id : "";
}

static const struct edged_host_1 host_functions = { .struct_size = sizeof(host_functions),
	.cap = host_cap,
	.started = host_started,
	.folder = host_folder,
	.node_id = host_node_id };

/* --- down --- */

static void context_free(struct plugin *plugin)
{
	struct plugin_context *context = TAKE(plugin->context);
	metrics_remove(plugin->plugins->deps.metrics, context);
	cap_config_fini(context);
	ledger_free(context->ledger);
	free(context->folder);
	free(context);
	free(TAKE(plugin->uses));
	plugin->use_count = 0;
	plugin->self = NULL;
}

/* What is still there although the plugin has stopped is its bug, and people should know. */
static void report_left(struct plugin *plugin, const unsigned left[LEDGER_KINDS], unsigned requests)
{
	char text[256] = "";
	size_t used = 0;
	unsigned all = requests;
	for (int kind = 0; kind < LEDGER_KINDS; kind++) {
		all += left[kind];
		if (left[kind])
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u %s",
			        used ? ", " : "", left[kind], ledger_kind_name((enum ledger_kind)kind));
	}
	if (requests)
		snprintf(text + used, sizeof(text) - used, "%s%u unanswered requests", used ? ", " : "",
		        requests);
	plugin->plugins->left_behind += (int64_t)all;
	if (all)
		log_warning("plugins", "%s left %s behind when it stopped: a bug of that plugin",
		        name_of(plugin), text);
}

/* Takes everything away from a plugin that stopped, or whose start() failed, and destroys it. */
static void unwind(struct plugin *plugin)
{
	struct plugin_context *context = plugin->context;
	const struct plugins_deps *deps = context->deps;
	unsigned left[LEDGER_KINDS];
	timer_free(TAKE(plugin->limit));
	list_remove(&plugin->running);
	cap_auth_fini(context);
	cap_node_stop(context);
	cap_proxy_stop(context);
	cap_stream_fini(context);
	cap_dial_fini(context);
	router_remove(deps->router, context);
	unsigned requests = requests_abandon(deps->requests, context);
	cap_store_fini(context);
	ledger_close(context->ledger, left);
	report_left(plugin, left, requests);
	/* while it still waits, create() has not worked, and destroy() is not called */
	if (plugin->life.state != LIFE_WAITING && plugin->image->plugin.destroy) {
		struct loop_charge charge;
		loop_enter(&charge, context->name);
		plugin->image->plugin.destroy(plugin->self);
		loop_leave(&charge);
	}
	context_free(plugin);
}

/* Stops it by itself; state `stopping` afterwards. */
static void bring_down(struct plugin *plugin)
{
	move(plugin, LIFE_STOPPING);
	cap_auth_fini(plugin->context);
	cap_node_stop(plugin->context);
	cap_proxy_stop(plugin->context);
	cap_stream_fini(plugin->context); /* their closed() comes while the plugin is still whole */
	cap_dial_fini(plugin->context);
	ledger_settle(plugin->context->ledger); /* the streams' last words (wills) reach other loops */
	if (plugin->image->plugin.stop) {
		struct loop_charge charge;
		loop_enter(&charge, plugin->context->name);
		plugin->image->plugin.stop(plugin->self);
		loop_leave(&charge);
	}
	unwind(plugin);
}

bool plugin_is_live(const struct plugin *plugin)
{
	return plugin->life.state == LIFE_STARTING || plugin->life.state == LIFE_RUNNING;
}

static bool uses(const struct plugin *plugin, const struct plugin *other)
{
	for (size_t i = 0; i < plugin->use_count; i++)
		if (plugin->uses[i] == other)
			return true;
	return false;
}

const char *plugin_lacks(const struct plugin *plugin, const struct plugin *without)
{
	const char *const *needs = plugin->image->plugin.needs;
	struct plugin *from;
	for (size_t i = 0; needs && needs[i]; i++)
		if (!plugins_offering(plugin->plugins, needs[i], &from) ||
		        (without && from && (from == without || uses(from, without))))
			return needs[i];
	return NULL;
}

static struct plugin *last_user(const struct plugin *plugin)
{
	const struct list *running = &plugin->plugins->running;
	for (const struct list *node = running->prev; node != running; node = node->prev) {
		struct plugin *other = list_entry((struct list *)node, struct plugin, running);
		if (uses(other, plugin))
			return other;
	}
	return NULL;
}

void plugin_wait(struct plugin *plugin)
{
	move(plugin, LIFE_WAITING);
}

void plugin_stop(struct plugin *plugin)
{
	struct plugin *user;
	while ((user = last_user(plugin))) {
		plugin_stop(user);
		plugin_wait(user);
	}
	bring_down(plugin);
	move(plugin, LIFE_STOPPED);
	log_info("plugins", "%s has stopped", name_of(plugin));
}

/* Ends one whose start went wrong after create(). */
static void give_up(struct plugin *plugin, bool stop)
{
	if (stop)
		bring_down(plugin);
	else
		unwind(plugin);
	fail(plugin);
}

/* --- up
 * ---------------------------------------------------------------------------------------------------------
 */

static int64_t read_held(void *arg)
{
	const struct held *held = arg;
	return ledger_count(held->ledger, held->kind);
}

static int64_t read_refused(void *arg)
{
	const struct held *held = arg;
	return ledger_refused(held->ledger, held->kind);
}

static int add_figures(struct plugin_context *context)
{
	struct metrics *metrics = context->deps->metrics;
	char labels[128];
	int r = 0;
	for (int kind = 0; kind < LEDGER_KINDS && !r; kind++) {
		struct held *held = &context->held[kind];
		*held = (struct held){ context->ledger, (enum ledger_kind)kind };
		snprintf(labels, sizeof(labels), "plugin=\"%s\",kind=\"%s\"", context->name,
		        ledger_kind_name(held->kind));
		r = metrics_read(metrics, context, EDGED_GAUGE, "plugin_held", labels,
		        "What a plugin holds; its limits are in section plugin", read_held, held);
		if (!r)
			r = metrics_read(metrics, context, EDGED_COUNTER, "plugin_limit_reached_total",
			        labels, "How often a plugin wanted more than its limit", read_refused, held);
	}
	return r;
}

static int context_new(struct plugin *plugin)
{
	struct plugin_context *context = calloc(1, sizeof(*context));
	if (!context)
		return -ENOMEM;
	context->host.v1 = &host_functions;
	context->name = plugin->image->plugin.name;
	context->plugin = plugin;
	context->deps = &plugin->plugins->deps;
	list_init(&context->config);
	list_init(&context->dials);
	list_init(&context->dialled);
	int r = ledger_new(
	        context->deps->loops, context->name, &context->deps->limits.ledger, &context->ledger);
	if (r) {
		free(context);
		return r;
	}
	plugin->context = context; /* whoever made it unwinds it, whatever comes */
	return add_figures(context);
}

static struct route_owner owner_of(const struct plugin *plugin)
{
	return (struct route_owner){
		.name = plugin->image->plugin.name, .owner = plugin->context, .self = plugin->self
	};
}

static int add_routes(struct plugin *plugin)
{
	struct route_owner owner = owner_of(plugin);
	return router_add(plugin->plugins->deps.router, &owner, plugin->image->routes,
	        sizeof(*plugin->image->routes), &plugin->reason);
}

/* Could its routes be served? Found out before any of its code runs. */
static int try_routes(struct plugin *plugin)
{
	int r = add_routes(plugin);
	if (!r)
		router_remove(plugin->plugins->deps.router, plugin->context);
	return r;
}

static int judge_denied(struct plugin *plugin)
{
	const char *const *needs = plugin->image->plugin.needs;
	for (size_t i = 0; needs && needs[i]; i++)
		if (plugins_denied(plugin->plugins, name_of(plugin), needs[i]))
			return err_set(&plugin->reason, -EACCES,
			        "it needs %s, which the configuration denies it (plugin.deny)", needs[i]);
	return 0;
}

static int create(struct plugin *plugin)
{
	struct loop_charge charge;
	loop_enter(&charge, plugin->context->name);
	int r = plugin->image->plugin.create(&plugin->context->host, &plugin->self);
	loop_leave(&charge);
	return r;
}

static void on_limit(void *arg)
{
	struct plugin *plugin = arg;
	plugin_set_reason(plugin, "its start was not over after %llu ms",
	        (unsigned long long)plugin->plugins->deps.limits.start_ms);
	give_up(plugin, true);
	loop_defer(loops_at(plugin->plugins->deps.loops, 0), &plugin->plugins->work);
}

static int arm_limit(struct plugin *plugin)
{
	int r = timer_new(loops_at(plugin->plugins->deps.loops, 0), on_limit, plugin, &plugin->limit);
	if (!r)
		timer_set(plugin->limit, plugin->plugins->deps.limits.start_ms);
	return r;
}

static int judge_offers(struct plugin *plugin)
{
	const struct edged_plugin *image = &plugin->image->plugin;
	for (size_t i = 0; image->offers && image->offers[i]; i++)
		if (!image->offer(plugin->self, image->offers[i]))
			return err_set(&plugin->reason, -EINVAL, "it offers %s, but its offer() gives none",
			        image->offers[i]);
	return 0;
}

/* It has started: from now on it serves. */
static void run(struct plugin *plugin)
{
	timer_free(TAKE(plugin->limit));
	int r = judge_offers(plugin);
	if (!r)
		r = add_routes(plugin);
	if (r) {
		give_up(plugin, true);
		return;
	}
	list_remove(&plugin->running); /* those that started later may use it, those before do not */
	list_append(&plugin->plugins->running, &plugin->running);
	plugin->reason.text[0] = 0;
	move(plugin, LIFE_RUNNING);
	log_info("plugins", "%s %s runs", name_of(plugin), plugin->image->plugin.version);
}

static void start(struct plugin *plugin)
{
	int r = 0;
	if (plugin->image->plugin.start) {
		struct loop_charge charge;
		loop_enter(&charge, plugin->context->name);
		r = plugin->image->plugin.start(plugin->self);
		loop_leave(&charge);
	}
	if (r == 0) {
		run(plugin);
	} else if (r == EDGED_LATER) {
		move(plugin, LIFE_STARTING);
		list_append(&plugin->plugins->running, &plugin->running);
		if (arm_limit(plugin)) {
			plugin_set_reason(plugin, "there is no memory to start it");
			give_up(plugin, true);
		}
	} else {
		plugin_set_reason(plugin, "its start() failed: %s", r < 0 ? strerror(-r) : "unknown outcome");
		give_up(plugin, false);
	}
}

void plugin_begin(struct plugin *plugin)
{
	plugin->told = false;
	plugin->reason.text[0] = 0;
	int r = judge_denied(plugin);
	if (!r && context_new(plugin))
		r = err_set(&plugin->reason, -ENOMEM, "there is no memory to start it");
	if (!r)
		r = try_routes(plugin);
	if (r) {
		plugin->retry = r == -EEXIST;
		if (plugin->context)
			unwind(plugin);
		refuse(plugin);
		return;
	}
	r = create(plugin);
	if (r) {
		plugin_set_reason(
		        plugin, "its create() failed: %s", r < 0 ? strerror(-r) : "unknown outcome");
		unwind(plugin);
		fail(plugin);
		return;
	}
	move(plugin, LIFE_CREATED);
	start(plugin);
}

void plugin_go_on(struct plugin *plugin)
{
	if (plugin->life.state != LIFE_STARTING || !plugin->told)
		return;
	if (plugin->told_result == 0) {
		run(plugin);
		return;
	}
	const char *why = plugin->told_why.text;
	plugin_set_reason(plugin, "its start failed: %s", *why ? why : strerror(abs(plugin->told_result)));
	give_up(plugin, true);
}
