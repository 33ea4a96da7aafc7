/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a retained message was published, for nodes that have to agree which one is the newest: a hybrid logical clock, which is
 * the wall clock in ms and a count in the low 16 bits, and never behind a stamp that was seen. So what is published after
 * something else was seen is newer, whatever the clocks of the two nodes say. Any loop.
 *
 * It does not go back when the daemon dies: a number ahead of it is on the disk, and it goes on from there. What a power cut
 * took with it, after other nodes or clients had it, was older.
 */
#ifndef BROKER_STAMP_H
#define BROKER_STAMP_H

#include "broker.h"

#define STAMP_MS 16 /* bits below the ms */

/* Now; larger than all before. */
uint64_t stamp_new(struct broker *broker);
/* It came from elsewhere. False: it is so far ahead that it must be a mistake, and is not taken. */
bool stamp_seen(struct broker *broker, uint64_t stamp);
/* The number to be written with a message of this stamp, 0: none. */
uint64_t stamp_reserve(struct broker *broker, uint64_t stamp);
/* Some of what was written could not be stored: the number is written again. */
void stamp_reserve_again(struct broker *broker);
/* At the start: the stamp of a message that was on the disk, whatever the wall clock says now, and that number. */
void stamp_restore(struct broker *broker, uint64_t stamp);
void stamp_restore_reserved(struct broker *broker, uint64_t reserved);

#endif
