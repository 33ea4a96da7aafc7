/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the command line to a judged configuration: what --check and --print-... do, and how a start and a reload load it.
 */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <stdbool.h>
#include "args.h"
#include "base/err.h"
#include "conf/conf.h"

#include "core/request.h"
#include "io/http_server.h"
#include "io/listener.h"
#include "plugin/host.h"

/* The daemon's tables, then file and command line. Plugins add their tables afterwards, then comes conf_finish(). Values
 * that make no sense are findings, not a failure: defaults stand in for them, so that all else is judged too. */
EDGED_MUST_CHECK int settings_load(
        const struct args *args, struct conf **ret, struct conf_findings *findings);
/* The folders that the configuration names, or the one edged was built for. */
EDGED_MUST_CHECK int settings_add_plugins(
        struct conf *conf, struct plugins *plugins, bool create, struct err *err);
/* Prints the findings; an error among them makes the result -EINVAL with a sentence. */
int settings_fault(struct conf_findings *findings, int r, struct err *err);
/* Sections as the parts want them. */
void settings_log(const struct conf *conf); /* sets it at once */
struct listener_limits settings_listeners(const struct conf *conf);
/* Tells the listeners whom net.proxies lists. */
EDGED_MUST_CHECK int settings_proxies(const struct conf *conf, struct listeners *listeners);
struct request_limits settings_requests(const struct conf *conf);
struct http_server_limits settings_http(const struct conf *conf);
struct plugin_limits settings_plugins(const struct conf *conf);
/* --check, --print-...: judges the configuration with the tables of all plugins, touches no state. Returns the exit
 * code of the process. */
int settings_inspect(const struct args *args);

#endif
