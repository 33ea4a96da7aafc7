/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of the log "messages": what changed in the queues of durable sessions, in the order in which it did. Pure.
 *
 *   message        number, flags, arrived, expires, lengths, topic, payload, properties, publisher, and who wrote it if that
 *                  one is judged
 *   entry          session, number, message, QoS, state, packet id, subscription identifiers: new, or changed
 *   entry gone     session, number; number 0: all of that session so far
 *   incoming       session, packet id of a QoS 2 message that it has sent
 *   incoming gone  session, packet id that it has released
 *
 * Each says by itself what holds from then on, so that one may come twice, and all up to any point may be missing: then
 * what those after it refer to is not known, and they mean nothing. A message nobody waits for and a queue whose session
 * has no row are over without a word.
 */
#ifndef BROKER_RECORD_H
#define BROKER_RECORD_H

#include "flight.h"

#define MAX_SUBSCRIPTIONS 1000 /* the highest limit of subscriptions for one client */

struct broker;

/* Numbers of sessions, messages and entries go up to this. A damaged one beyond would let those of new ones begin at 0. */
#define ROW_MAX (UINT64_C(1) << 62)

enum record_type {
	RECORD_MESSAGE = 1,
	RECORD_ENTRY,
	RECORD_ENTRY_GONE,
	RECORD_INCOMING,
	RECORD_INCOMING_GONE
};

#define RECORD_ENTRY_MAX (40 + 5 * MAX_SUBSCRIPTIONS)
#define RECORD_SMALL_MAX 32

size_t message_bytes_max(const struct message *message); /* of a record, without its author */
/* Of the principal who wrote it; empty: it is not judged. */
struct edged_slice message_author_text(const struct message *message);
/* Without type and number: also the value of a retained message's row. */
void write_message(struct writer *w, const struct message *message);
void write_message_record(struct writer *w, uint64_t row, const struct message *message);
void write_entry_record(struct writer *w, uint64_t session, const struct entry *entry);
void write_entry_gone(struct writer *w, uint64_t session, uint64_t seq);
void write_incoming(struct writer *w, uint64_t session, uint16_t id, bool gone);

/* What a record says. */
struct record {
	enum record_type type;
	uint64_t session, seq, message; /* numbers */
	struct edged_slice body;        /* RECORD_MESSAGE: for read_message() */
	struct reader ids;              /* RECORD_ENTRY: subscription identifiers, each a number */
	uint16_t id;
	uint8_t qos, state;
	bool retain;
};
bool read_record(struct edged_slice bytes, struct record *ret); /* false: it makes no sense */
/* NULL: damaged or no memory. Main loop. */
struct message *read_message(struct broker *broker, struct edged_slice value);

#endif
