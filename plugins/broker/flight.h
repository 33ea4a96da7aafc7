/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a session has to get at QoS 1 and 2, in order: messages on their way (sent, not acknowledged) in front, those
 * that wait for room behind them. And the packet ids of QoS 2 messages that it is sending to us. Pure; one owner.
 *
 * Kept apart from the session because most sessions of a quiet broker have none.
 */
#ifndef BROKER_FLIGHT_H
#define BROKER_FLIGHT_H

#include "message.h"

enum entry_state {
	ENTRY_QUEUED,    /* waits for room in the window */
	ENTRY_SAVING,    /* QoS 2 of a durable session: its packet id goes to the disk, then it is sent */
	ENTRY_SAVED,     /* the same, saved, while the client was away: not sent yet */
	ENTRY_SENT,      /* waits for PUBACK or PUBREC */
	ENTRY_RELEASING, /* PUBREC came and goes to the disk, then PUBREL is sent */
	ENTRY_RELEASED   /* PUBREL was sent, or is to be sent again; waits for PUBCOMP */
};

struct entry {
	struct message *message; /* NULL once released */
	uint64_t seq;            /* of a durable session: rises from the first entry to the last */
	uint32_t *more_ids;      /* count and further subscription identifiers, or NULL */
	uint32_t subscription_id;
	uint32_t since; /* s: has waited since then for a client that is there; only with limits.retry */
	uint16_t id;    /* packet id, 0: none yet */
	uint8_t qos;
	uint8_t state;
	bool retain, stored;
	bool saving; /* ENTRY_SAVING, ENTRY_RELEASING: on its way; false: it failed, and is tried again */
};

enum incoming_kept {
	INCOMING_KEPT, /* or nothing of its session is */
	INCOMING_SAVING,
	INCOMING_FAILED /* its message comes again, and is known */
};

struct flight {
	struct entry *ring;
	uint32_t head, count, size; /* size is a power of two */
	uint32_t sent;              /* entries in front that this connection has been sent */
	uint32_t stored; /* behind those: some that it found here, and is sent by and by (stored.h) */
	uint32_t ahead;  /* behind these: newer ones that it has been sent already */
	size_t bytes;    /* of the messages held */
	uint16_t last_id;
	uint16_t clear; /* ids after last_id that are known to be free */
	uint16_t incoming_count, incoming_size;
	/* Packet ids of QoS 2 messages received, not yet released. */
	struct incoming {
		uint16_t id;
		uint8_t kept; /* enum incoming_kept: is it on the disk, with its message? Else it must not get there */
		bool again; /* a new connection has sent it, and is answered when that is known */
	} * incoming;
};

struct flight *flight_new(void);
void flight_free(struct flight *flight);

static inline struct entry *flight_at(const struct flight *flight, uint32_t i)
{
	return &flight->ring[(flight->head + i) & (flight->size - 1)];
}

/* A new last entry, zeroed; NULL: no memory. */
struct entry *flight_push(struct flight *flight);
void entry_fini(struct entry *entry);
/* Takes entry i out; the order of the others stays. */
void flight_remove(struct flight *flight, uint32_t i);
/* Place of the entry with that packet id among those that this connection was sent, or -1. */
int64_t flight_find(const struct flight *flight, uint16_t id);
/* A packet id that no entry has; 0: none left. */
uint16_t flight_take_id(struct flight *flight);
/* Has this connection been sent entry i? */
static inline bool flight_is_sent(const struct flight *flight, uint32_t i)
{
	uint32_t ahead = flight->sent + flight->stored;
	return i < flight->sent || (i >= ahead && i < ahead + flight->ahead);
}
/* The first of the stored ones is sent. */
void flight_next_stored(struct flight *flight);
/* The connection is gone: what was sent is to be sent again to the next one. */
void flight_rewind(struct flight *flight);

/* NULL: there is none of that id. */
struct incoming *flight_incoming(const struct flight *flight, uint16_t id);
int flight_add_incoming(struct flight *flight, uint16_t id, enum incoming_kept kept); /* -ENOMEM */
bool flight_drop_incoming(struct flight *flight, uint16_t id);

#endif
