/* SPDX-License-Identifier: Apache-2.0 */
#include "reload.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "settings.h"

struct changes {
	const struct reload_parts *parts;
	struct buf now, later; /* keys, one behind the other */
	bool listen;
};

static void note(void *arg, const char *key, bool now)
{
	struct changes *changes = arg;
	struct buf *list = now ? &changes->now : &changes->later;
	(void)buf_addf(list, "%s%s", list->len ? ", " : "", key);
	if (strcmp(key, "net.listen") == 0)
		changes->listen = true;
}

/* --- listeners --- */

static bool is_listed(const struct conf *conf, const char *spec)
{
	const char *row;
	for (size_t i = 0; (row = conf_strings(conf, "net.listen", i)); i++)
		if (strcmp(row, spec) == 0)
			return true;
	return false;
}

static bool is_open(const struct listeners *listeners, const char *spec)
{
	struct listener_info info;
	for (unsigned i = 0; listeners_info(listeners, i, &info); i++)
		if (strcmp(info.spec, spec) == 0)
			return true;
	return false;
}

/* The first one is the control socket, which stays. Those that go give their ports free for those that come. */
static void reopen(const struct reload_parts *parts)
{
	struct listener_info info;
	struct err err = { "" };
	const char *spec;
	for (unsigned i = 1; listeners_info(parts->listeners, i, &info);)
		if (is_listed(parts->conf, info.spec) || !listeners_close_one(parts->listeners, info.spec))
			i++;
	for (size_t i = 0; (spec = conf_strings(parts->conf, "net.listen", i)); i++)
		if (!is_open(parts->listeners, spec) &&
		        listeners_open(parts->listeners, spec, parts->tls, &err))
			log_error("edged", "reload: %s", err.text);
}

/* --- the whole --- */

static void apply(const struct reload_parts *parts, const struct changes *changes)
{
	const struct conf *conf = parts->conf;
	const struct listener_limits listeners = settings_listeners(conf);
	const struct request_limits requests = settings_requests(conf);
	const struct http_server_limits http = settings_http(conf);
	const struct plugin_limits plugins = settings_plugins(conf);
	settings_log(conf);
	listeners_set_limits(parts->listeners, &listeners);
	if (settings_proxies(conf, parts->listeners))
		log_error("edged", "reload: no memory for net.proxies, the old ones stay");
	requests_set_limits(parts->requests, &requests);
	http_server_set_limits(parts->http, &http);
	plugins_set_limits(parts->plugins, &plugins);
	if (changes->listen)
		reopen(parts);
	plugins_reloaded(parts->plugins);
}

static int load(const struct reload_parts *parts, struct conf **ret, struct conf_findings *findings)
{
	int r = settings_load(parts->args, ret, findings);
	if (!r)
		r = plugins_declare_in(parts->plugins, *ret, findings);
	if (!r)
		r = conf_finish(*ret, findings);
	return r ? r : findings->errors ? -EINVAL : 0;
}

/* A finding a line. */
static void log_findings(const struct conf_findings *findings, int r)
{
	struct edged_slice rest = buf_slice(&findings->text);
	log_error("edged", "reload: nothing was changed, the configuration cannot be used%s%s",
	        rest.len ? "" : ": ", rest.len ? "" : strerror(-r));
	while (rest.len) {
		const char *end = memchr(rest.ptr, '\n', rest.len);
		size_t n = end ? (size_t)(end - rest.ptr) : rest.len;
		log_error("edged", "%.*s", (int)n, rest.ptr);
		rest = edged_slice(rest.ptr + n + (end != NULL), rest.len - n - (end != NULL));
	}
}

static const char *text_of(const struct buf *list)
{
	return list->len ? list->ptr : "nothing";
}

bool reload(const struct reload_parts *parts)
{
	struct conf_findings findings = { 0 };
	struct changes changes = { .parts = parts, .now = BUF_EMPTY, .later = BUF_EMPTY };
	struct conf *fresh = NULL;
	int r = load(parts, &fresh, &findings);
	if (!r)
		r = conf_adopt(parts->conf, fresh, note, &changes);
	if (r) {
		log_findings(&findings, r);
	} else {
		apply(parts, &changes);
		log_notice("edged", "reloaded: %s changed; %s%s", text_of(&changes.now),
		        changes.later.len ? "these need a restart: " : "nothing needs a restart",
		        changes.later.len ? changes.later.ptr : "");
	}
	conf_free(fresh);
	conf_findings_fini(&findings);
	buf_fini(&changes.now);
	buf_fini(&changes.later);
	return !r && changes.listen;
}
