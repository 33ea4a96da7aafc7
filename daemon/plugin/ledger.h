/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger of one plugin: the timers, posts, deferred calls, unanswered store calls, open logins and work that it holds. When
 * a plugin has stopped, ledger_close() ends what is left, on whatever loop it is, and tells how much of it stop() should
 * have ended: what belongs to the main loop. What other loops hold, and post meanwhile, is out of its reach.
 *
 * Entries belong to the loop they were made on and are touched there only, without locks; posts, which cross
 * loops, are under a lock of their own.
 */
#ifndef PLUGIN_LEDGER_H
#define PLUGIN_LEDGER_H

#include <stdbool.h>
#include "base/err.h"
#include "base/list.h"
#include "io/loop.h"

enum ledger_kind {
	LEDGER_TIMERS,
	LEDGER_STORE_CALLS,
	LEDGER_POSTS,
	LEDGER_DEFERRED,
	LEDGER_LOGINS,
	LEDGER_WORK,
	LEDGER_KINDS
};

struct ledger;

/* Embedded in what is held. A plugin may still free in destroy() what it held when it stopped, so that an entry ends in two
 * steps. */
struct ledger_entry {
	struct list link;
	struct ledger *ledger;
	enum ledger_kind kind;
	bool (*silence)(
	        struct ledger_entry *entry); /* on its loop: never calls back again. Was it still to? */
	void (*release)(struct ledger_entry *entry); /* main loop, after destroy(): removes and frees it */
};

/* How many of each kind a plugin may hold, of deferred calls on each loop. Read whenever one is added: whoever changes
 * them does so with ledger_limits_set(). */
struct ledger_limits {
	unsigned most[LEDGER_KINDS];
};
void ledger_limits_set(struct ledger_limits *limits, const struct ledger_limits *to);

/* `owner` must live for ever: a plugin's name in its code does. `limits` is borrowed. */
EDGED_MUST_CHECK int ledger_new(
        struct loops *loops, const char *owner, const struct ledger_limits *limits, struct ledger **ret);
/* Before stop(): what is posted and deferred is done, and what follows from that, on all loops. Main loop. */
void ledger_settle(struct ledger *ledger);
/* Nothing is called any more when it returns. ret_left gets how many of each kind stop() has left behind. Main loop. */
void ledger_close(struct ledger *ledger, unsigned ret_left[LEDGER_KINDS]);
void ledger_free(struct ledger *ledger); /* closed before; what is left is released */

const char *ledger_owner(const struct ledger *ledger);
const char *ledger_kind_name(enum ledger_kind kind); /* "timers" */
/* How many it holds now. Any thread. */
unsigned ledger_count(const struct ledger *ledger, enum ledger_kind kind);
/* How often the limit said no. Any thread. */
unsigned ledger_refused(const struct ledger *ledger, enum ledger_kind kind);

/* On the loop of the caller: -EINVAL: not on a loop; -ENOSPC: limit; -ESHUTDOWN: closed. */
EDGED_MUST_CHECK int ledger_add(struct ledger *ledger, enum ledger_kind kind, struct ledger_entry *entry,
        bool (*silence)(struct ledger_entry *entry), void (*release)(struct ledger_entry *entry));
void ledger_remove(struct ledger_entry *entry);

/* As edged_loop_1.post. */
EDGED_MUST_CHECK int ledger_post(
        struct ledger *ledger, struct loop *loop, void (*fn)(void *arg), void (*drop)(void *arg), void *arg);
/* As edged_loop_1.defer. */
EDGED_MUST_CHECK int ledger_defer(struct ledger *ledger, void (*fn)(void *arg), void *arg);
void ledger_defer_cancel(struct ledger *ledger, const void *arg);

#endif
