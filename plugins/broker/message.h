/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A published message: immutable, counted, shared by all its receivers and loops.
 *
 * Its bytes are laid out so that topic and payload form the PUBLISH packet of QoS 0 in MQTT 3.1.1, which is
 * sent as it is; packets of other kinds take topic, properties and payload out of the same bytes.
 */
#ifndef BROKER_MESSAGE_H
#define BROKER_MESSAGE_H

#include "codec.h"
#include "edged/blob.h"
#include "edged/cap_auth.h"

struct message;

/* What stored messages take, see home.h. */
struct home;

struct message {
	struct edged_blob blob; /* first member; its bytes are those behind this struct */
	struct home *home;      /* when it has a row; see message_settle() */
	uint64_t row;           /* its number in the store, 0: not stored */
	uint64_t arrived;       /* wall time in ms */
	uint64_t expires;       /* wall time in ms, 0: never */
	uint64_t stamp;         /* retained: see stamp.h; 0: of a former version */
	uint32_t written;       /* atomic: the compaction (compact.h) in or before which it was stored last */
	uint32_t payload_len;
	uint16_t topic_len;
	uint16_t publisher_len; /* client id, behind the properties */
	uint8_t packet_at;      /* where the packet of QoS 0 begins */
	uint8_t qos;            /* as published */
	bool retain;            /* as published */
	bool will : 1;
	bool authored : 1; /* there is a struct author at the end */
	bool scarce : 1; /* memory was short when it came: who would have to wait does not get it, see publish.c */
};

/* Who published it, when that is somebody whose rights may be taken away: then it goes to nobody any more. */
struct author {
	const struct edged_auth_1 *auth;
	struct edged_identity *who; /* held */
	uint32_t judged;            /* atomic: the generation in which it was allowed last */
};

/* What a message is made of; slices are copied. */
struct message_parts {
	struct edged_slice topic, payload, publisher;
	struct edged_slice props; /* of MQTT 5, as they came: only what goes to receivers is kept */
	uint64_t arrived, expires, stamp;
	uint8_t qos;
	bool retain, will;
	uint32_t
	        share; /* not 0: for the shared subscription of that filter_number() alone, and not to be retained */
	struct author author; /* who NULL: nobody to be judged */
};

/* It was stored, and has that number. Before others see the message. */
void message_settle(struct message *message, struct home *home, uint64_t row);
struct message *message_new(const struct message_parts *parts); /* one reference; NULL: no memory */

/* One that nobody else has seen yet, without a row. NULL: no memory. */
struct message *message_copy(const struct message *message);

static inline struct message *message_ref(struct message *message)
{
	edged_blob_ref(&message->blob);
	return message;
}

static inline void message_unref(struct message *message)
{
	if (message)
		edged_blob_unref(&message->blob);
}

/* Whether the caller's reference is the only one. */
static inline bool message_alone(const struct message *m)
{
	return __atomic_load_n(&m->blob.refs, __ATOMIC_ACQUIRE) == 1;
}

#define MESSAGE_HEAD 7 /* room in front of the topic for fixed header and topic length */

static inline struct edged_slice message_topic(const struct message *m)
{
	return edged_slice(m->blob.data + MESSAGE_HEAD, m->topic_len);
}

static inline size_t message_payload_at(const struct message *m)
{
	return MESSAGE_HEAD + m->topic_len;
}

static inline struct edged_slice message_payload(const struct message *m)
{
	return edged_slice(m->blob.data + message_payload_at(m), m->payload_len);
}

/* What is left between payload and publisher. */
static inline struct edged_slice message_props(const struct message *m)
{
	size_t at = message_payload_at(m) + m->payload_len;
	return edged_slice(m->blob.data + at, m->blob.len - m->publisher_len - at);
}

static inline struct edged_slice message_publisher(const struct message *m)
{
	return edged_slice(m->blob.data + m->blob.len - m->publisher_len, m->publisher_len);
}

/* NULL: it is not to be judged. */
static inline struct author *message_author(const struct message *m)
{
	size_t at = (m->blob.len + 7u) & ~(size_t)7;
	return m->authored ? (struct author *)(void *)(m->blob.data + at) : NULL;
}

/* What it counts for in limits. */
static inline size_t message_size(const struct message *m)
{
	return m->blob.len - MESSAGE_HEAD - m->publisher_len;
}

uint64_t wall_ms(void); /* since 1970; broker.c */

static inline bool message_expired(const struct message *m, uint64_t wall_ms)
{
	return m->expires && m->expires <= wall_ms;
}

/* Now; the clock is only looked at when that matters. */
static inline bool message_over(const struct message *m)
{
	return m->expires && message_expired(m, wall_ms());
}

#endif
