/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one plugin has put off to the end of the turn of one loop. A pair of function and argument waits once,
 * however often it is added; finding it costs the same with one as with thousands waiting. Touched on its
 * loop only, but for turn_count().
 */
#ifndef PLUGIN_TURN_H
#define PLUGIN_TURN_H

#include "base/err.h"
#include "base/list.h"
#include "io/loop.h"

struct turn {
	struct deferred deferred;
	const char *owner; /* whom the time is charged to; static */
	struct list waiting;
	struct list spare; /* used calls, kept for the next */
	struct list *buckets;
	unsigned size;         /* of buckets: 0 or a power of two */
	unsigned count;        /* written on its loop, read by any */
	const unsigned *limit; /* borrowed; atomic */
};

void turn_init(struct turn *turn, const char *owner, const unsigned *limit);
unsigned turn_count(const struct turn *turn); /* any thread */
/* Drops what waits; returns how many. */
unsigned turn_fini(struct turn *turn);
/* 0 (also when it waits already), -ENOSPC, -ENOMEM. */
EDGED_MUST_CHECK int turn_add(struct turn *turn, struct loop *loop, void (*fn)(void *arg), void *arg);
void turn_cancel(struct turn *turn, const void *arg);
/* Does now what waits, instead of at the end of the turn. */
void turn_run(struct turn *turn);

#endif
