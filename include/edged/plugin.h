/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin ABI of edged, version 1.
 *
 * A plugin is one shared object that exports ONE const data symbol, `edged_plugin_v1`, written with EDGED_PLUGIN():
 *
 *     EDGED_PLUGIN(.name = "hello", .version = "1.0", .create = create, .routes = routes);
 *
 * The daemon judges that symbol before any code of the plugin runs, and exports no symbol itself: everything a
 * plugin may do is handed in as a capability (`edged/cap_*.h`), a size-stamped vtable asked for by name.
 *
 * Growth: structs only ever get members appended. Each side stamps the size it was built with, and a member beyond
 * the other side's size is absent (zero). A break would be a new symbol, `edged_plugin_v2`.
 *
 * Errors: functions that return int return 0 when done, a negative errno when failed (-ENOENT, -ENOSPC, ...), and a
 * positive outcome only where it is documented.
 *
 * Threads: all callbacks run on the main loop, one at a time, unless a capability says otherwise. A callback must not
 * block: one that holds the loop for more than 50 ms is logged with the plugin's name and counted.
 *
 * No types of other libraries appear here. Configuration and bodies are bytes (JSON where they are JSON).
 */
#ifndef EDGED_PLUGIN_H
#define EDGED_PLUGIN_H

#include <stdint.h>
#include "edged/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The daemon's side of one plugin: opaque, valid from create() until destroy() returned. First argument of every
 * function of a capability, so that what a plugin holds is charged to it. */
struct edged_host;

/* Names something that may have gone meanwhile: a request, a subscription, a timer. Never reused within 2^32 uses of
 * one slot; 0 is never a valid handle. A call with a stale handle returns -ENOENT. */
typedef uint64_t edged_handle;

#ifndef EDGED_MUST_CHECK
#define EDGED_MUST_CHECK __attribute__((warn_unused_result))
#endif

/* --- configuration table --- */

enum edged_type {
	EDGED_TYPE_BOOL = 1,
	EDGED_TYPE_INT,      /* min..max */
	EDGED_TYPE_DURATION, /* milliseconds as a number, or text such as "5s", "2m", "1h", "7d"; min..max in ms */
	EDGED_TYPE_SIZE, /* bytes as a number, or text such as "64k", "1M" (powers of 1024); min..max in bytes */
	EDGED_TYPE_STRING,  /* min..max is its length in bytes */
	EDGED_TYPE_CHOICE,  /* one of `choices` */
	EDGED_TYPE_STRINGS, /* array of strings; min..max is the number of items */
	EDGED_TYPE_JSON     /* any object or array, judged by the plugin's check() */
};

/* One row of a configuration table; a row whose name is NULL ends the table. From the table come parsing, checks,
 * `edged --check`, `--print-config`, the JSON Schema and the manual. min == max == 0 means no range. */
struct edged_setting {
	const char *
	        name; /* key below the plugin's section; "limits.packet" is the key packet in the object limits */
	enum edged_type type;
	const char *def; /* the default, as JSON text */
	int64_t min, max;
	const char *unit;    /* "ms", "bytes", "messages", ... or NULL; for people */
	const char *choices; /* "a|b|c" for EDGED_TYPE_CHOICE */
	const char *text;    /* what it is for, one sentence without final period */
};

/* --- routes --- */

/* Who may call a route through other nodes, widest first for the reader: the owner's account is the default. */
enum edged_scope {
	EDGED_SCOPE_ACCOUNT = 0, /* nodes of the same account */
	EDGED_SCOPE_NODE,        /* this node's own clients only */
	EDGED_SCOPE_LINK_LOCAL,  /* any node on the same network */
	EDGED_SCOPE_PROXIMITY    /* any node nearby */
};

/* One row of the route table; a row whose method is NULL ends it. */
struct edged_route {
	const char *method; /* "GET", "POST", ...; "*" for all */
	/* Path template. {name} matches one segment, {name...} as last part matches the rest (also empty). A plugin
	 * may use any path that is not the daemon's (/edge, /mds, /nodes, /any, /healthz, /readyz, /metrics,
	 * /openapi.json) and not taken; /{plugin}/v1/... is the usual one. */
	const char *path;
	/* Called once for each request. It answers through `edged.http/1` with the handle, now or later; a request not
	 * answered within the time limit gets 504. A non-zero return (a negative errno) before any answer makes a
	 * problem document. */
	int (*serve)(void *self, edged_handle request);
	const char *summary; /* one line for /openapi.json */
	/* Optional: members of an OpenAPI 3.1 operation object as JSON text ("{...}"), merged into the generated one. */
	const char *openapi;
	enum edged_scope scope;
	uint32_t flags; /* EDGED_ROUTE_... */
};

/* Also served over TLS to whom the daemon does not trust (edged_peer.trusted): the plugin itself judges who may have an
 * answer, through `edged.auth/1` or by what is in the request. The scope holds for what other nodes pass on; who connects to
 * this node is served whatever it is. */
#define EDGED_ROUTE_OPEN 1u
/* serve() is called when the head of the request is there; its body, if one comes, is read with edged_http_1.read_body(), or
 * was whole by then and is there for body(). Other routes are served once the body is whole, of http.body bytes at most. */
#define EDGED_ROUTE_STREAMED_BODY 2u

/* --- the plugin --- */

/* start() returns this when it goes on in the background and will call edged_host_1.started() later. */
#define EDGED_LATER 1

struct edged_plugin {
	uint32_t struct_size;  /* stamped by EDGED_PLUGIN, as are the next two */
	uint32_t setting_size; /* sizeof(struct edged_setting) at build time */
	uint32_t route_size;   /* sizeof(struct edged_route) at build time */
	uint32_t abi_minor;    /* EDGED_ABI_MINOR at build time; for people */
	/* [a-z][a-z0-9-]{0,30}; unique in a daemon; the name of its section in the configuration and of its service */
	const char *name;
	const char *version;
	const char *summary; /* one line for people */
	const char *const
	        *needs; /* capabilities it cannot do without, NULL-terminated: "edged.store/1", ... */
	const char *const *offers; /* capabilities it offers to other plugins, NULL-terminated, or NULL */
	const struct edged_setting *settings;
	const struct edged_route *routes;
	/* Life: check -> create -> start -> serve... -> stop -> destroy. All but create may be NULL.
	 * check: pure judgement of the section's JSON beyond the table; write a sentence into why and return -EINVAL. */
	int (*check)(struct edged_slice config, char *why, size_t why_size);
	/* create: allocate; ask the host for capabilities. When it fails, destroy is not called. */
	int (*create)(struct edged_host *host, void **ret_self);
	/* start: begin to work. 0, EDGED_LATER, or a negative errno: then stop is not called, but destroy is. Routes are
	 * served once it has started. */
	int (*start)(void *self);
	/* stop: end timers, requests, subscriptions; streams have been closed before, with closed(-ESHUTDOWN), in which
	 * each still takes last words; what was posted and deferred by then has been done. Nothing of the plugin is called
	 * after it returned, but destroy, and the drop() of posts. What other loops still hold ends by itself; what is left
	 * on the main loop is ended, too, but reported as a bug. Also called when a start() that returned EDGED_LATER failed
	 * or took too long. */
	void (*stop)(void *self);
	/* destroy: free what is left. Capabilities may be called, but nothing new is begun. */
	void (*destroy)(void *self);
	/* The vtable of a capability listed in offers; valid from the return of start() (or started()) to stop(). */
	const void *(*offer)(void *self, const char *name);
	/* Names of the settings that take effect when the configuration is loaded anew (SIGHUP), NULL-terminated, or NULL. The
	 * others keep their values until the plugin starts anew. */
	const char *const *reload_settings;
	/* The configuration was loaded anew: values of those may have changed, and what is in files that they name;
	 * `edged.config/1` gives the new ones, texts got from it before stay valid. May be NULL. Main loop. */
	void (*reloaded)(void *self);
};

#define EDGED_ABI_MINOR 3

#define EDGED_PLUGIN(...)                                                                                    \
	__attribute__((visibility("default"))) extern const struct edged_plugin edged_plugin_v1;             \
	const struct edged_plugin edged_plugin_v1 = { .struct_size = (uint32_t)sizeof(struct edged_plugin),  \
		.setting_size = (uint32_t)sizeof(struct edged_setting),                                      \
		.route_size = (uint32_t)sizeof(struct edged_route),                                          \
		.abi_minor = EDGED_ABI_MINOR,                                                                \
		__VA_ARGS__ }

/* --- the host --- */

/* What every plugin has without asking: the first member of the opaque edged_host points here. */
struct edged_host_1 {
	uint32_t struct_size;
	/* The capability of that name, or NULL when it is unknown, not granted by the configuration, or its offering
	 * plugin does not run. Ask in create(), on the main loop later for what one can do without; those named in needs are
	 * never NULL. Valid until destroy() returns: whoever holds something of another plugin is stopped before it. */
	const void *(*cap)(struct edged_host *host, const char *name);
	/* Ends a start() that returned EDGED_LATER: 0, or a negative errno with a sentence that says why (or NULL). */
	void (*started)(struct edged_host *host, int result, const char *why);
	/* A folder of the plugin's own, created with mode 0700; absolute path, valid until destroy(). */
	const char *(*folder)(struct edged_host *host);
	/* The id of this node, the hash of its public key: the same for as long as its state folder is. */
	const char *(*node_id)(struct edged_host *host);
};

struct edged_host {
	const struct edged_host_1 *v1;
};

static inline const void *edged_cap(struct edged_host *host, const char *name)
{
	return host->v1->cap(host, name);
}

/* Is `member` there in the capability `cap`, which an older daemon or plugin may have handed out? */
#define EDGED_HAS(cap, member)                                                                               \
	((cap)->struct_size >= offsetof(__typeof__(*(cap)), member) + sizeof((cap)->member) && (cap)->member)

#ifdef __cplusplus
}
#endif

#endif
