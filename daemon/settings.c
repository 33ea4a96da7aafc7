/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "conf/tables.h"
#include "io/network.h"
#include "plugin/metrics.h"

#ifndef EDGED_PLUGIN_FOLDER
#define EDGED_PLUGIN_FOLDER "/usr/lib/edged/plugins"
#endif

/* What the table of net.listen cannot judge by itself. */
static void judge_listeners(struct conf *conf, struct conf_findings *findings)
{
	struct err why = { "" };
	for (int i = 0; conf_strings(conf, "net.listen", (size_t)i); i++)
		if (listener_spec_check(conf_strings(conf, "net.listen", (size_t)i), &why))
			(void)conf_complain(conf, "net.listen", i, findings, "%s", why.text);
}

static void judge_proxies(struct conf *conf, struct conf_findings *findings)
{
	struct err why = { "" };
	struct network network;
	for (int i = 0; conf_strings(conf, "net.proxies", (size_t)i); i++)
		if (network_parse(conf_strings(conf, "net.proxies", (size_t)i), &network, &why))
			(void)conf_complain(conf, "net.proxies", i, findings, "%s", why.text);
}

int settings_load(const struct args *args, struct conf **ret, struct conf_findings *findings)
{
	struct conf *conf;
	int r = conf_new(&conf);
	if (r)
		return r;
	r = conf_declare_daemon(conf, findings);
	if (!r)
		r = args_configure(args, conf, findings);
	if (r && !(r == -EINVAL && findings->errors)) {
		conf_free(conf);
		return r;
	}
	judge_listeners(conf, findings);
	judge_proxies(conf, findings);
	*ret = conf;
	return 0;
}

int settings_add_plugins(struct conf *conf, struct plugins *plugins, bool create, struct err *err)
{
	if (!conf_strings(conf, "plugin.folders", 0))
		return plugins_add_folder(plugins, EDGED_PLUGIN_FOLDER, false, NULL) == -ENOMEM ? -ENOMEM : 0;
	for (size_t i = 0; conf_strings(conf, "plugin.folders", i); i++) {
		int r = plugins_add_folder(plugins, conf_strings(conf, "plugin.folders", i), create, err);
		if (r)
			return r;
	}
	return 0;
}

int settings_fault(struct conf_findings *findings, int r, struct err *err)
{
	if (findings->text.len)
		fputs(findings->text.ptr, stderr);
	buf_clear(&findings->text);
	if (findings->errors)
		return err_set(err, -EINVAL, "the configuration has %u error%s", findings->errors,
		        findings->errors == 1 ? "" : "s");
	return r && err && !*err->text ? err_set(err, r, "cannot load the configuration: %s", strerror(-r))
	                               : r;
}

int settings_inspect(const struct args *args)
{
	static int (*const print[])(const struct conf *conf, struct buf *out) = {
		[ARGS_PRINT_CONFIG] = conf_print,
		[ARGS_PRINT_SAMPLE] = conf_print_sample,
		[ARGS_PRINT_SCHEMA] = conf_print_schema,
		[ARGS_PRINT_MANUAL] = conf_print_manual,
		[ARGS_HELP] = NULL,
	};
	struct conf_findings findings = { 0 };
	struct conf *conf = NULL;
	struct plugins *plugins = NULL;
	struct metrics *metrics = NULL;
	struct err err = { "" };
	CLEANUP(buf_fini) struct buf out = BUF_EMPTY;
	log_set_level(EDGED_ERROR); /* the findings say all there is to say */
	int r = settings_load(args, &conf, &findings);
	if (!r)
		r = metrics_new(&metrics);
	if (!r)
		r = plugins_new(
		        &(struct plugins_deps){ .conf = conf, .findings = &findings, .metrics = metrics },
		        &plugins);
	if (!r)
		r = settings_add_plugins(conf, plugins, false, &err);
	if (!r)
		r = conf_finish(conf, &findings);
	r = settings_fault(&findings, r, &err);
	if (!r && print[args->mode])
		r = print[args->mode](conf, &out);
	if (r)
		fprintf(stderr, "edged: %s\n", *err.text ? err.text : strerror(-r));
	else if (args->mode == ARGS_CHECK)
		puts("the configuration is fine");
	else
		fputs(out.ptr ? out.ptr : "", stdout);
	plugins_free(plugins);
	metrics_free(metrics);
	conf_free(conf);
	conf_findings_fini(&findings);
	return r ? EXIT_FAILURE : EXIT_SUCCESS;
}

void settings_log(const struct conf *conf)
{
	static const struct {
		const char *name;
		enum edged_level level;
	} levels[] = { { "error", EDGED_ERROR }, { "warning", EDGED_WARNING }, { "notice", EDGED_NOTICE },
		{ "info", EDGED_INFO }, { "debug", EDGED_DEBUG } };
	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		if (strcmp(levels[i].name, conf_string(conf, "log.level")) == 0)
			log_set_level(levels[i].level);
}

struct listener_limits settings_listeners(const struct conf *conf)
{
	return (struct listener_limits){
		.connections = (unsigned)conf_int(conf, "net.connections"),
		.connections_per_source = (unsigned)conf_int(conf, "net.connections_per_source"),
		.accepts_per_second = (unsigned)conf_int(conf, "net.accepts_per_second"),
		.handshake_ms = (uint64_t)conf_int(conf, "net.handshake"),
	};
}

int settings_proxies(const struct conf *conf, struct listeners *listeners)
{
	struct network networks[256]; /* as many as the table allows */
	size_t n = 0;
	const char *text;
	int r = 0;
	for (; n < ARRAY_LEN(networks) && !r && (text = conf_strings(conf, "net.proxies", n)); n++)
		r = network_parse(text, &networks[n], NULL);
	return r ? r : listeners_set_proxies(listeners, networks, n);
}

struct request_limits settings_requests(const struct conf *conf)
{
	return (struct request_limits){
		.open = (uint32_t)conf_int(conf, "http.requests"),
		.streams = (uint32_t)conf_int(conf, "http.streams"),
		.answer_ms = (uint64_t)conf_int(conf, "http.answer_time"),
		.stream_mark = (size_t)conf_int(conf, "http.stream_mark"),
		.stream_limit = (size_t)conf_int(conf, "http.stream_limit"),
		.body = (size_t)conf_int(conf, "http.body"),
		.bodies = (size_t)conf_int(conf, "http.bodies"),
	};
}

struct http_server_limits settings_http(const struct conf *conf)
{
	return (struct http_server_limits){
		.header_ms = (uint64_t)conf_int(conf, "http.header_time"),
		.body_ms = (uint64_t)conf_int(conf, "http.body_time"),
		.idle_ms = (uint64_t)conf_int(conf, "http.idle_time"),
		.headers = (size_t)conf_int(conf, "http.headers"),
		.body_bytes = (size_t)conf_int(conf, "http.body"),
		.body_window = (size_t)conf_int(conf, "http.body_window"),
	};
}

struct plugin_limits settings_plugins(const struct conf *conf)
{
	struct plugin_limits limits = { .start_ms = (uint64_t)conf_int(conf, "plugin.start_time") };
	limits.ledger.most[LEDGER_TIMERS] = (unsigned)conf_int(conf, "plugin.timers");
	limits.ledger.most[LEDGER_STORE_CALLS] = (unsigned)conf_int(conf, "plugin.store_calls");
	limits.ledger.most[LEDGER_POSTS] = (unsigned)conf_int(conf, "plugin.posts");
	limits.ledger.most[LEDGER_DEFERRED] = (unsigned)conf_int(conf, "plugin.deferred");
	limits.ledger.most[LEDGER_LOGINS] = (unsigned)conf_int(conf, "plugin.logins");
	limits.ledger.most[LEDGER_WORK] = (unsigned)conf_int(conf, "plugin.works");
	limits.workers = (unsigned)conf_int(conf, "plugin.workers");
	return limits;
}
