/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in the store. Numbers in keys are big-endian, so that rows sort by them.
 *
 *   table      key                    value
 *   sessions   client id              session, and whose it is
 *   subs       session row, filter    options, subscription identifier
 *   retained   topic                  message
 *   users      name                   what proves the password, see users.h
 *   clock      "stamp"                what stamp_reserve() said last, see stamp.h
 *
 * Messages that wait (and who wrote them), and what became of them, are in the log "messages" (record.h): they come and go often, and are in
 * memory as well. The log is read at start only. Session rows, messages and queue entries are numbered in one row.
 *
 * Functions return 0 or a negative errno of the store; the shard is the calling loop's.
 */
#ifndef BROKER_PERSIST_H
#define BROKER_PERSIST_H

#include "record.h"
#include "session.h"

#define MESSAGE_LOG "messages"
#define ENTRY_LIVE  24 /* bytes of an entry in the log, about */

struct broker;
struct removal;

int persist_session(struct session *session);
/* Its row alone, when nothing else of it can be missing: at the start. */
int persist_session_row(struct session *session);
/* The row of a session that is not in memory. */
int persist_session_row_gone(struct shard *shard, struct edged_slice id);
/* Once more. */
/* A packet id whose message could not be stored is forgotten, on the disk as well: other shards may have refused what this one
 * had stored. */
void persist_incoming_refused(struct session *session, uint16_t id);
int persist_removal(struct shard *shard, const struct removal *removal);
int persist_session_gone(struct session *session); /* with all that belongs to it */
int persist_sub(struct session *session, struct edged_slice filter, uint8_t options, uint32_t id);
int persist_sub_gone(struct session *session, struct edged_slice filter);
/* Stores a message that nobody else has seen yet, and gives it a row. */
int persist_message(struct broker *broker, struct message *message);
int persist_entry(struct session *session, struct entry *entry);
void persist_entry_gone(struct session *session, const struct entry *entry);
/* All sessions of which some may be missing. */
int persist_unsaved(struct shard *shard);
int persist_incoming(struct session *session, uint16_t id, bool gone);
/* For a compaction: what is stored of them once more; a message that this generation has stored is left out. */
int persist_entry_again(struct session *session, struct entry *entry, uint32_t generation);
/* The same of the packet ids that it has sent: those whose messages are on the disk, and (saving) on their way there. One
 * without its message would make that be taken for known when it comes again after a restart. */
int persist_incoming_again(struct session *session, bool saving);
int persist_retained(struct broker *broker, const struct message *message);
int persist_retained_gone(struct broker *broker, struct edged_slice topic);

/* --- reading back; false: damaged --- */
struct session_row {
	uint64_t row, away_since;
	uint32_t expiry;
	uint8_t version;
	struct edged_slice principal; /* whose it is; empty: nobody's in particular */
};
bool read_session_row(struct edged_slice value, struct session_row *ret);
struct sub_row {
	uint64_t session;
	struct edged_slice filter;
	uint32_t id;
	uint8_t options;
};
bool read_sub_row(struct edged_slice key, struct edged_slice value, struct sub_row *ret);
bool read_clock_row(struct edged_slice value, uint64_t *ret_reserved);

#endif
