/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What waits for subscribers inside the process, on shard 0. Messages are delivered at the end of the turn, in the order in
 * which they came, by reference; those of a subscriber that has paused wait in a queue of its own within the limits
 * that clients have.
 */
#ifndef BROKER_INBOX_H
#define BROKER_INBOX_H

#include "shard.h"

struct inbox;
struct letter;

/* A subscriber. */
struct local {
	struct target target; /* first member */
	struct inbox *inbox;
	void (*deliver)(void *arg, const struct edged_message *message);
	void *arg;
	struct letter *first, **last; /* its own queue */
	uint32_t count;               /* in it */
	size_t bytes;
	uint32_t lost;
	uint32_t slot;
	bool paused;
};

int inbox_new(struct broker *broker, struct inbox **ret); /* -ENOMEM */
void inbox_free(struct inbox *inbox);                     /* with the locals that are left */
/* Takes the local in: it has a handle from now on. -ENOSPC: 4,096 are there; -ENOMEM. */
int inbox_enter(struct inbox *inbox, struct local *local);
/* Ends its subscriptions, forgets what waits for it, and frees it. */
void inbox_leave(struct local *local);
edged_handle inbox_handle(const struct local *local);
struct local *inbox_find(const struct inbox *inbox, edged_handle handle); /* NULL: none */
/* A message for it. -ENOSPC or -ENOMEM: it was dropped and counted. */
int inbox_put(struct local *local, const struct delivery *delivery);
void inbox_pause(struct local *local);
int inbox_resume(struct local *local); /* -ENOMEM */

#endif
