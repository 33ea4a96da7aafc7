/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability "edged.loop/1": timers, and posting work to a loop.
 *
 * The daemon runs loop_count() loops, one thread each; loop 0 is the main loop. Times are milliseconds of
 * CLOCK_MONOTONIC. Callbacks of a timer run on the loop that made it; those of a post on the loop it was posted to.
 */
#ifndef EDGED_CAP_LOOP_H
#define EDGED_CAP_LOOP_H

#include "edged/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDGED_LOOP_1 "edged.loop/1"

struct edged_timer; /* opaque; belongs to the loop that made it and is used on that loop only */

struct edged_loop_1 {
	uint32_t struct_size;
	unsigned (*loop_count)(struct edged_host *host);
	/* The number of the loop that the caller runs on. */
	unsigned (*loop_self)(struct edged_host *host);
	/* Milliseconds of CLOCK_MONOTONIC, read once a loop turn: cheap. */
	uint64_t (*now)(struct edged_host *host);
	/* A timer that is not armed. NULL: no memory, or over the plugin's limit of timers. */
	struct edged_timer *(*timer_new)(struct edged_host *host, void (*fire)(void *arg), void *arg);
	/* Fires once, in `ms` from now; arming an armed timer moves it. */
	void (*timer_set)(struct edged_timer *timer, uint64_t ms);
	void (*timer_cancel)(struct edged_timer *timer);
	void (*timer_free)(struct edged_timer *timer); /* NULL is fine; may be called in its own callback */
	/* Run fn(arg) soon on loop `loop`, after what was posted to it before from this thread. Any thread. Posts that
	 * are still waiting when the plugin has stopped are dropped: `drop(arg)` (may be NULL) frees what they own.
	 * -ENOSPC: over the limit of waiting posts; nothing was posted. */
	EDGED_MUST_CHECK int (*post)(struct edged_host *host, unsigned loop, void (*fn)(void *arg),
	        void (*drop)(void *arg), void *arg);
	/* Run fn(arg) at the end of this turn of the calling loop, once, however often asked with the same arg; for
	 * work that is cheaper in a batch. cancel with defer_cancel before arg is freed. */
	int (*defer)(struct edged_host *host, void (*fn)(void *arg), void *arg);
	void (*defer_cancel)(struct edged_host *host, void *arg);
};

#ifdef __cplusplus
}
#endif

#endif
