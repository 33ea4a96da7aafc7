/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin host: finds plugin files, judges, loads, starts in the order of needs and offers, watches the folders,
 * replaces and stops. One `struct plugins` in a daemon, on the main loop.
 */
#ifndef PLUGIN_HOST_H
#define PLUGIN_HOST_H

#include "edged/cap_auth.h"
#include "edged/plugin.h"
#include "base/buf.h"
#include "base/err.h"
#include "plugin/ledger.h"

struct dial;
struct dial_options;
struct edged_proxy_cache;
struct plugins;
struct loops;
struct listeners;
struct requests;
struct router;
struct store;
struct conf;
struct conf_findings;
struct metrics;

/* What each plugin may hold and take. */
struct plugin_limits {
	struct ledger_limits ledger;
	uint64_t start_ms; /* how long a start() that returned EDGED_LATER may take */
	unsigned workers;  /* threads for slow work; read once */
};

/* Everything that capabilities are made from; borrowed, outlives the host. To judge plugins without starting any
 * (`edged --check`), conf, metrics and findings are enough. */
struct plugins_deps {
	struct loops *loops;
	struct listeners *listeners;
	struct requests *requests;
	struct router *router;
	struct store *store; /* NULL: `edged.store/1` is not there */
	struct conf *conf;   /* sections "plugins.<name>" are declared here */
	struct conf_findings
	        *findings; /* what is wrong with the plugins' sections is added here, too; may be NULL */
	struct metrics *metrics;
	const char *node_id;
	const char *state; /* the state folder; plugins get STATE/plugins/<name> */
	struct plugin_limits limits;
	/* Something changed (a plugin started, stopped, failed): for events and readiness. May be NULL. */
	void (*changed)(void *arg);
	/* Appends what `edged.node/1` tells of the node, a JSON object. NULL: the capability is not there. */
	int (*node_json)(void *arg, struct buf *out);
	/* As edged_http_1.elsewhere, for that service. NULL: there are no other nodes. */
	int (*elsewhere)(void *arg, edged_handle request, const char *service, const char *probe,
	        const char *type, const char *title, const char *detail);
	/* Other nodes of the account and who holds a role, as `edged.node/1` tells, and dialling: addresses and TLS are filled in.
	 * NULL: there are none. */
	void (*peers)(
	        void *arg, void (*each)(void *each_arg, const char *node_id, bool there), void *each_arg);
	void (*holders)(void *arg, const char *role, void (*each)(void *each_arg, const char *node_id),
	        void *each_arg);
	int (*dial_node)(void *arg, const char *node_id, struct dial_options *options, struct dial **ret);
	/* As edged_proxy_1.cache; `cache` NULL: there is none any more. NULL: there is no proxy. */
	int (*proxy_cache)(void *arg, const char *plugin, const struct edged_proxy_cache *cache, void *self);
	void *arg;
};

EDGED_MUST_CHECK int plugins_new(const struct plugins_deps *deps, struct plugins **ret);
/* Adds a folder. A missing folder is created (0755) when `create`, else -ENOENT. Judges every *.so in it, declares
 * their configuration tables, and starts nothing yet. */
EDGED_MUST_CHECK int plugins_add_folder(
        struct plugins *plugins, const char *folder, bool create, struct err *err);
/* Starts all that can start, in dependency order, and watches the folders from now on. */
EDGED_MUST_CHECK int plugins_start(struct plugins *plugins);
/* Stops all in reverse order. */
void plugins_stop(struct plugins *plugins);
void plugins_free(struct plugins *plugins);
/* Declares the sections of all plugins in `fresh`, to be judged for a reload. */
EDGED_MUST_CHECK int plugins_declare_in(
        const struct plugins *plugins, struct conf *fresh, struct conf_findings *findings);
/* The configuration was loaded anew: values of plugins' sections may have changed. Main loop. */
void plugins_reloaded(struct plugins *plugins);
/* From now on, also for those that run. Main loop. */
void plugins_set_limits(struct plugins *plugins, const struct plugin_limits *limits);
/* Other nodes of the account have come, gone or proven who they are, or a role has another holder: those that watch hear it.
 * Main loop. */
void plugins_peers_changed(struct plugins *plugins);
/* Who signed the request, as the plugin that decides says (struct edged_decider). Main loop. */
enum edged_login_outcome plugins_signer(
        struct plugins *plugins, const struct edged_http_message *message, char ret[EDGED_SIGNER_MAX]);
/* True once every plugin that was found at plugins_start() has started or failed. *ret_why (may be NULL) gets JSON array
 * text of reasons why not: [{"plugin":"broker","state":"starting"}]. */
bool plugins_ready(const struct plugins *plugins, struct buf *ret_why);
/* GET /edge/v1/plugins: array of {"name","version","file","state","reason",...}, also for files that were refused. */
EDGED_MUST_CHECK int plugins_json(const struct plugins *plugins, struct buf *out);
/* GET /edge/v1/services: array of {"id","name","version","serviceType","self","scope",...} of what serves. */
EDGED_MUST_CHECK int plugins_services_json(const struct plugins *plugins, struct buf *out);

#endif
