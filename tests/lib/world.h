/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small daemon for tests of the plugin host: two loops on threads of their own, requests, router, configuration,
 * store and figures. The test's thread asks and waits; what touches the host runs on the main loop.
 */
#ifndef TESTS_WORLD_H
#define TESTS_WORLD_H

#include <pthread.h>
#include "base/buf.h"
#include "conf/conf.h"
#include "core/router.h"
#include "place.h"
#include "io/loop.h"
#include "plugin/host.h"
#include "plugin/metrics.h"
#include "store/store.h"

struct world {
	struct place place; /* plugins and, below "state", what they keep */
	char log[256];      /* what the test plugins write down */
	struct loops *loops;
	struct requests *requests;
	struct router *router;
	struct conf *conf;
	struct store *store;
	struct metrics *metrics;
	struct plugins_deps deps;
	struct plugins *plugins;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool running;
};

struct answer {
	int status;
	bool ended, ok;
	struct buf body;
};

void world_init(struct world *world);
/* Folder in the place, as the host gets it; "" for the place itself. */
void world_add_folder(struct world *world, const char *name);
void world_start(struct world *world);
void world_stop(struct world *world);
void world_fini(struct world *world);
/* Runs fn(arg) on the main loop and waits for it. */
void world_call(struct world *world, void (*fn)(void *arg), void *arg);
/* plugins_json() (or services, metrics, log) until it holds `words`; else fails the test. */
void world_wait(struct world *world, const char *words);
void world_wait_log(struct world *world, const char *words);
char *world_plugins(struct world *world); /* to be freed */
char *world_services(struct world *world);
char *world_metrics(struct world *world);
char *world_log(struct world *world);
/* Sends a request and waits for its answer. */
void world_get(struct world *world, const char *target, struct answer *ret);
/* Sends one and does not wait. */
void world_ask(struct world *world, const char *target, struct answer *answer);
void answer_fini(struct answer *answer);

#endif
