/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the host share (host, life, capabilities, report): the plugins of a daemon, and one of them. */
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
	struct auth *auth;         /* behind edged.auth/1 */
	struct work_pool *workers; /* behind edged.work/1 */
	unsigned count;
	bool started, stopping;
	bool settling;       /* in plugins_settle(): what waits may be about to start */
	int64_t left_behind; /* by plugins that stopped */
};

/* --- host.c --- */
void plugins_changed(struct plugins *plugins);
/* All that can start starts; replacements that did not work are taken back. */
void plugins_settle(struct plugins *plugins);

#endif
