/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many absolute deadlines on one timer. Made for deadlines that move later all the time and seldom pass
 * (keep-alive): moving one later is a store, and the heap hears of it only when the old time comes. One loop.
 */
#ifndef IO_DEADLINE_H
#define IO_DEADLINE_H

#include "io/loop.h"

enum {
	DEADLINE_LATE_MS = 500, /* the timer fired so late that this process must have stood still ... */
	DEADLINE_HEAR_MS = 50,  /* ... then nothing passes for so long, in which sockets are read */
};

struct deadline {
	uint64_t due;   /* ms of CLOCK_MONOTONIC; 0: none */
	uint32_t place; /* in the heap, + 1; 0: not in it */
};

struct deadline_slot {
	uint64_t due; /* not later than the deadline's own */
	struct deadline *deadline;
};

struct deadlines {
	struct loop *loop;
	struct timer *timer;
	uint64_t armed; /* when the timer fires; 0: not armed */
	bool hearing;   /* it fired late, and fires again */
	struct deadline_slot *heap;
	uint32_t count, size;
	void (*passed)(struct deadline *deadline); /* its due is 0 again */
};

EDGED_MUST_CHECK int deadlines_init(
        struct deadlines *deadlines, struct loop *loop, void (*passed)(struct deadline *deadline));
void deadlines_fini(struct deadlines *deadlines);
/* Room for `count` deadlines, so that deadline_set() cannot fail. -ENOMEM. */
EDGED_MUST_CHECK int deadlines_reserve(struct deadlines *deadlines, uint32_t count);
/* `due` in ms of CLOCK_MONOTONIC. */
void deadline_set(struct deadlines *deadlines, struct deadline *deadline, uint64_t due);
void deadline_clear(struct deadlines *deadlines, struct deadline *deadline);

#endif
