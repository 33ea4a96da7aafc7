/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops: one thread and one libevent base each. Loop 0 is the main loop and runs on the thread that calls loops_run().
 * An object belongs to one loop; from elsewhere it is reached by loop_post(). No periodic wake-ups: an idle loop sleeps.
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/list.h"

struct event_base;
struct loop;
struct loops;

EDGED_MUST_CHECK int loops_new(unsigned count, struct loops **ret);
void loops_free(struct loops *loops); /* after loops_run() returned; waiting posts are dropped */
unsigned loops_count(const struct loops *loops);
struct loop *loops_at(struct loops *loops, unsigned i);
/* Starts threads for loops 1.. and runs loop 0 until loops_stop(); joins the threads. */
EDGED_MUST_CHECK int loops_run(struct loops *loops);
void loops_stop(
        struct loops *loops); /* any thread, also a signal-safe context through the loop's own signal watch */
/* Calls fn on each loop's own thread, one after the other, and returns when all have. From the main loop, or while no
 * loop runs. The main loop stands still meanwhile: for rare things that must be over when the caller goes on. */
void loops_each(struct loops *loops, void (*fn)(struct loop *loop, void *arg), void *arg);

/* Of the calling thread; NULL on other threads. The thread that made the loops is the main loop's, also before it runs. */
struct loop *loop_self(void);
struct loops *loop_all(const struct loop *loop);
unsigned loop_index(const struct loop *loop);
struct event_base *loop_base(struct loop *loop);
/* CLOCK_MONOTONIC in milliseconds, cached for the turn. */
uint64_t loop_now(struct loop *loop);
/* Turns that the loop has completed; the watchdog watches that it moves when poked. Any thread. */
uint64_t loop_turns(const struct loop *loop);

/* What streams keep for each loop; `fini` frees it with the loop. */
void *loop_local(const struct loop *loop);
void loop_set_local(struct loop *loop, void *local, void (*fini)(void *local));

/* --- work from other threads --- */
/* One posted piece of work, embedded by its owner or allocated by loop_post_new(). */
struct post {
	struct post *next;
	void (*fn)(struct post *post);   /* runs on the loop */
	void (*drop)(struct post *post); /* the loop ends without running it; may be NULL */
};
/* Never fails, never blocks; order is kept for each posting thread. A post may be posted again once fn was entered. */
void loop_post(struct loop *loop, struct post *post);

/* --- at the end of this turn --- */
struct deferred {
	struct list link; /* list_init()ed; in a list while it waits */
	void (*fn)(struct deferred *deferred);
};
void deferred_init(struct deferred *deferred, void (*fn)(struct deferred *deferred));
void loop_defer(struct loop *loop, struct deferred *deferred); /* waiting already: nothing changes */
void deferred_cancel(struct deferred *deferred);

/* --- timers: one-shot, in milliseconds from now --- */
struct timer;
EDGED_MUST_CHECK int timer_new(struct loop *loop, void (*fire)(void *arg), void *arg, struct timer **ret);
void timer_free(struct timer *timer);
void timer_set(struct timer *timer, uint64_t ms);
void timer_cancel(struct timer *timer);

/* --- file descriptors and signals --- */
enum { WATCH_READ = 1, WATCH_WRITE = 2 };
struct watch;
/* Level-triggered and persistent. The fd stays the caller's. */
EDGED_MUST_CHECK int watch_new(struct loop *loop, int fd, int what, void (*ready)(void *arg, int what),
        void *arg, struct watch **ret);
EDGED_MUST_CHECK int watch_signal(
        struct loop *loop, int signo, void (*ready)(void *arg, int signo), void *arg, struct watch **ret);
int watch_change(struct watch *watch, int what); /* 0 pauses it */
void watch_free(struct watch *watch);

/* --- how long callbacks hold a loop --- */
/* Callbacks between enter and leave are charged to `owner` (static text); over 50 ms is logged and counted. They nest. */
struct loop_charge {
	const char *owner;
	uint64_t start_us;
};
void loop_enter(struct loop_charge *charge, const char *owner);
void loop_leave(struct loop_charge *charge);
uint64_t loop_slow_count(void); /* of the whole daemon, for /metrics */

#endif
