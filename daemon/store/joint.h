/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of several loops that go into one transaction. The parts come to the queue one after the other; until the last
 * one is there, they and what their loops queued behind them stay in the queue. A part never waits for the result of
 * another, so that each joint is complete in the end, or has failed.
 */
#ifndef STORE_JOINT_H
#define STORE_JOINT_H

#include <stdbool.h>
#include "base/err.h"
#include "base/list.h"

struct store;

/* All under the store's mutex, but joint_new() and joint_release(). */
struct edged_joint {
	unsigned parts, come; /* how many there will be, how many are in the queue */
	unsigned holds;       /* atomic: parts whose operation has not ended */
	bool failed;          /* one of them does not come: none is kept */
	bool held;            /* used by joints_take() */
};

EDGED_MUST_CHECK int joint_new(unsigned parts, struct edged_joint **ret);
void joint_release(struct edged_joint *joint); /* takes NULL */
/* Moves from the store's queue all that may go into a transaction now; incomplete joints fail when the store closes. */
void joints_take(struct store *store, struct list *group);

#endif
