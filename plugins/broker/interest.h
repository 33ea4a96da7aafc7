/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What anybody here is subscribed to, for one who tells other nodes of it (edged_pubsub_1.interest). Costs nothing until
 * somebody asks: then each shard tells of all its subscriptions, and from then on of each that begins or ends. All of it comes
 * together on the main loop.
 */
#ifndef BROKER_INTEREST_H
#define BROKER_INTEREST_H

#include "edged/slice.h"

struct broker;

struct interest {
	void (*changed)(void *arg, struct edged_slice filter, uint8_t qos, int by); /* NULL: nobody asks */
	void *arg;
	uint32_t epoch; /* of the one who asks: what former ones were still to be told is dropped */
	bool on;        /* atomic: the same for other loops */
};

/* Main loop. changed NULL: ends. -EEXIST: somebody asks already; -ENOSPC: a loop cannot be reached. */
int interest_watch(struct broker *broker,
        void (*changed)(void *arg, struct edged_slice filter, uint8_t qos, int by), void *arg);

#endif
