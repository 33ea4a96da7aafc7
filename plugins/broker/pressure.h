/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the broker keeps within `limits.memory`. The nearer it comes, the more it sheds, in this order, each step on top
 * of those before it:
 *
 *   from 80 %  nobody new is let in: CONNACK 0x97, to older clients 3
 *   from 85 %  QoS 0 is dropped for receivers that have bytes waiting, not only for those that are full
 *   from 90 %  nothing is kept: retained messages, and what would wait for a client, are refused before they are
 *              acknowledged (0x97; older clients are closed); see publish.c
 *   from 95 %  publishers are not read
 *   from 100 % what waits for clients that are away is dropped, of the one that left first to begin with, down to 95 %;
 *              when there is nothing left of that, what plugins (bridges) have spooled that are away
 *
 * What counts: messages that wait for clients, retained messages, bytes that wait in sockets' queues, and what
 * connections, sessions and subscriptions take.
 */
#ifndef BROKER_PRESSURE_H
#define BROKER_PRESSURE_H

#include <stddef.h>
#include <stdint.h>

struct broker;
struct shard;

enum pressure { PRESSURE_NONE, PRESSURE_CONNECT, PRESSURE_SLOW, PRESSURE_KEEP, PRESSURE_READ, PRESSURE_AWAY };
#define PRESSURE_STEPS 5

#define PRESSURE_SAY_MS    10000 /* one line in the log */
#define PRESSURE_PAUSE_MS  100   /* so long a publisher is not read, then looked at again */
#define PRESSURE_SLOW_FROM 16384 /* bytes that wait for a receiver, from which on it is a slow one */

/* Estimates for glibc on 64 bits. */
#define CONNECTION_BYTES   1024
#define SESSION_BYTES      400
#define SUBSCRIPTION_BYTES 160

int64_t pressure_memory(const struct broker *broker); /* bytes */
/* Looks anew; see pressure_of() in broker.h for the step. Any loop. */
void pressure_update(struct broker *broker);
/* Something was shed at this step. */
void pressure_count(struct broker *broker, enum pressure step);
/* The last step: for the sessions of this shard, and of the others if that is not enough. Not inside a delivery. */
void pressure_relieve(struct shard *shard);

#endif
