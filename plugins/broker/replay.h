/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the records of the log "messages" to queues in memory, at start: collects what holds in the end, then gives it to the
 * sessions, each queue in its order. Main loop.
 */
#ifndef BROKER_REPLAY_H
#define BROKER_REPLAY_H

#include "record.h"

struct broker;
struct replay;
struct session;

/* `session_of` finds a session by its row; NULL: it has none. NULL: no memory. */
struct replay *replay_new(
        struct broker *broker, struct session *(*session_of)(void *arg, uint64_t row), void *arg);
void replay_free(struct replay *replay);
/* -ENOMEM. */
int replay_record(struct replay *replay, struct edged_slice bytes);
/* Fills the queues. *ret_strange: records that made no sense, and were left out. *ret_highest: of all numbers. -ENOMEM. */
int replay_finish(struct replay *replay, unsigned *ret_strange, uint64_t *ret_highest);

#endif
