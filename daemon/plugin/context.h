/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the capabilities know of the plugin that calls them. A plugin sees of it the `host` only. Made before
 * create(), freed after destroy(); its address is the plugin's identity with the router, the requests and the
 * figures.
 */
#ifndef PLUGIN_CONTEXT_H
#define PLUGIN_CONTEXT_H

#include "edged/plugin.h"
#include "base/cleanup.h"
#include "base/list.h"
#include "plugin/host.h"
#include "plugin/ledger.h"

enum { CONTEXT_PROTOCOLS = 8 };

struct plugin;

struct plugin_context {
	struct edged_host host;
	struct plugin *plugin; /* the host's record of it; the capabilities leave it alone */
	const char *name;      /* in the plugin's code, which is never unmapped */
	const struct plugins_deps *deps;
	struct ledger *ledger;
	struct held {
		const struct ledger *ledger;
		enum ledger_kind kind;
	} held[LEDGER_KINDS];                     /* life.c: for /metrics */
	struct list config;                       /* cap_config.c: copies of what was read */
	const char *protocols[CONTEXT_PROTOCOLS]; /* cap_stream.c: served; copies */
	struct list dials;                        /* cap_dial.c: under way */
	struct list dialled;                      /* cap_dial.c: handlers that may have streams */
	edged_handle last_dial;
	bool dials_over;                  /* no new ones */
	void (*peers_changed)(void *arg); /* cap_node.c; NULL unless it watches */
	void *peers_arg;
	bool is_cache;             /* cap_proxy.c: the proxy's */
	struct store_space *space; /* cap_store.c; NULL unless asked for */
	char *folder;              /* NULL unless asked for */
};

static inline struct plugin_context *context_of(struct edged_host *host)
{
	return CONTAINER_OF(host, struct plugin_context, host);
}

#endif
