/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the host share: the plugins of a daemon, and one of them. */
#ifndef PLUGIN_PLUGINS_H
#define PLUGIN_PLUGINS_H

#include <sys/stat.h>
#include "base/list.h"
#include "base/sm.h"
#include "edged/cap_stream.h"
#include "plugin/context.h"
#include "plugin/folders.h"
#include "plugin/host.h"
#include "plugin/loader.h"

enum life {
	LIFE_FOUND,    /* its file is there */
	LIFE_REFUSED,  /* and cannot be used: see reason */
	LIFE_WAITING,  /* for something that it needs */
	LIFE_CREATED,  /* create() is done */
	LIFE_STARTING, /* start() goes on in the background */
	LIFE_RUNNING,  /* serves */
	LIFE_STOPPING, /* on the way down */
	LIFE_STOPPED,  /* in order */
	LIFE_FAILED,   /* create() or start() did not work: see reason */
	LIFE_COUNT
};

/* One file, and what it became. */
struct plugin {
	struct list link;    /* in plugins->all, in order of finding */
	struct list running; /* in plugins->running, in order of starting */
	struct plugins *plugins;
	struct sm life;
	const char *folder; /* the folders' own */
	char *path;
	const char *file;    /* the last part of path */
	struct stat status;  /* of the file when it was judged */
	struct image *image; /* NULL when the file was refused before its code was mapped */
	struct err reason;   /* why it is refused, waits or failed; "" when there is nothing to say */
	bool retry;          /* refused because of another plugin: try again when one has gone */
	bool declared;       /* its section of the configuration */
	bool initial;        /* found at plugins_start() */

	/* Between create() and destroy() */
	struct plugin_context *context;
	void *self;
	struct plugin **uses; /* plugins whose capabilities it holds */
	size_t use_count;

	/* While it starts */
	struct timer *limit;
	bool told; /* started() was called */
	int told_result;
	struct err told_why;
	struct plugin *former; /* what this one replaces: comes back when this one fails */
};

struct plugins {
	struct plugins_deps deps;
	struct folders *folders;
	struct list all;
	struct list running;
	struct deferred work; /* life goes on at the end of a turn, never from within a plugin's call */
	struct edged_stream_1 stream;
	unsigned count;
	bool started, stopping;
	bool settling; /* in plugins_settle(): what waits may be about to start */
	int64_t left_behind; /* by plugins that stopped */
};

/* --- life.c --- */
/* A new record for a file, judged: refused, or waiting. NULL: no memory. */
struct plugin *plugin_find(struct plugins *plugins, const char *folder, const char *file);
void plugin_free(struct plugin *plugin); /* not running */
/* Judges again what was refused because of others. */
void plugin_admit(struct plugin *plugin, const struct plugin *instead_of);
/* Its section of the configuration. A failure leaves its sentence as the reason. */
EDGED_MUST_CHECK int plugin_declare(struct plugin *plugin);
void plugin_undeclare(struct plugin *plugin);
/* Creates and starts one that waits. */
void plugin_begin(struct plugin *plugin);
/* Ends what start() has begun, once it told. */
void plugin_go_on(struct plugin *plugin);
/* Stops it, those that use it first; they wait then. It is left in state `stopped`. */
void plugin_stop(struct plugin *plugin);
/* One that has stopped or failed, or was refused, may start again. */
void plugin_wait(struct plugin *plugin);
bool plugin_is_live(const struct plugin *plugin); /* starting or running */
/* The first capability it needs that is not there (or only from `without`), or NULL. */
const char *plugin_lacks(const struct plugin *plugin, const struct plugin *without);
void plugin_set_reason(struct plugin *plugin, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- capabilities.c --- */
/* Who offers the capability: the daemon (*ret_plugin NULL), or a plugin that runs. False: nobody right now.
 */
bool plugins_offering(const struct plugins *plugins, const char *capability, struct plugin **ret_plugin);
bool plugins_denied(const struct plugins *plugins, const char *plugin, const char *capability);
/* The capability's vtable for a plugin, or NULL. */
const void *plugins_capability(struct plugin *plugin, const char *capability);

/* --- host.c --- */
void plugins_changed(struct plugins *plugins);
/* All that can start starts; replacements that did not work are taken back. */
void plugins_settle(struct plugins *plugins);

/* --- report.c --- */
/* Says of each waiting plugin what it waits for. */
void plugins_explain(struct plugins *plugins);

#endif
