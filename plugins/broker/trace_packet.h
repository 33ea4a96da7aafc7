/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a trace shows of packets and messages. The functions are called on any loop, only while tracing() is true: without a
 * trace they cost one load and a branch that is never taken.
 */
#ifndef BROKER_TRACE_PACKET_H
#define BROKER_TRACE_PACKET_H

#include "client.h"
#include "shard.h"

static inline bool tracing(const struct broker *broker)
{
	return __builtin_expect(__atomic_load_n(&broker->tracing, __ATOMIC_RELAXED) != 0, 0);
}

/* Any packet from a client but PUBLISH. */
void trace_received(const struct client *client, const struct frame *frame);
/* A PUBLISH from a client, its topic resolved. */
void trace_publish(const struct client *client, const struct publish *publish);
/* Any packet to a client but PUBLISH: the bytes of one. */
void trace_sent(const struct client *client, const void *bytes, size_t n);
void trace_delivery(const struct client *client, const struct delivery *delivery, uint16_t id, bool dup);
/* A CONNECT was refused. */
void trace_refused(const struct client *client, struct edged_slice id, uint8_t reason);
/* A message that the session does not get. */
void trace_dropped(const struct session *session, const struct message *message, const char *why);
/* A message that a plugin or the REST interface published ("plugin"), or a will ("will"). */
void trace_message(struct broker *broker, const struct message_parts *parts, const char *by);

#endif
