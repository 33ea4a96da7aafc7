/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What two nodes say to each other, inside mutual TLS 1.3 (ALPN "edged-mesh/1"). Pure.
 *
 * A frame is the length of its body (4 bytes), its type (1 byte) and the body; numbers are big-endian. Each side begins with
 * HELLO and all its filters, up to COMPLETE; then MESSAGEs may come. Filters that change are told with another COMPLETE.
 * Messages of QoS 1 and 2 are acknowledged as in MQTT, in the order in which they came.
 */
#ifndef MESH_FRAMES_H
#define MESH_FRAMES_H

#include "../broker/wire.h"

#define MESH_PROTOCOL "edged-mesh/1"
#define FRAME_HEAD    5
#define FILTERS_BODY  16384 /* a FILTERS frame is no longer than this and one filter */

enum frame_type {
	FRAME_HELLO = 1,
	FRAME_FILTERS,
	FRAME_COMPLETE,
	FRAME_MESSAGE,
	FRAME_ACK,
	FRAME_PING, /* what the digest comes to, see digest.h; of former versions without body. Answered with */
	FRAME_PONG,
	FRAME_DIGEST,  /* of the retained messages; who has others than that sends them */
	FRAME_CHANNEL, /* what a plugin says to that of the other node, see edged/cap_channel.h */
	FRAME_SYNCED   /* without body: what differed from the digest has been sent */
};

struct mesh_frame {
	uint8_t type;
	struct edged_slice body;
	size_t size; /* of all of it */
};

/* 0; FRAME_PARTIAL: more bytes are needed; -EMSGSIZE: its body is longer than `most`. */
#define FRAME_PARTIAL 1
int mesh_frame_read(const uint8_t *bytes, size_t n, size_t most, struct mesh_frame *ret);
void write_frame_head(struct writer *w, enum frame_type type, size_t body);

/* --- bodies; reading gives false for what is malformed --- */
struct mesh_hello {
	uint16_t window; /* messages of QoS 1 and 2 that may be on the way to who says this */
	uint32_t most;   /* the longest MESSAGE it takes */
	uint64_t epoch;  /* of what it knows of us: another one when it has lost that */
};
#define HELLO_BODY 14
void write_mesh_hello(struct writer *w, const struct mesh_hello *hello);
bool read_mesh_hello(struct edged_slice body, struct mesh_hello *ret);

#define FILTER_HEAD 3
void write_filter(struct writer *w, struct edged_slice filter, uint8_t level);
/* The next one of a FILTERS body; false at the end, or with r->failed. */
bool read_filter(struct reader *r, struct edged_slice *ret, uint8_t *ret_level);

struct mesh_complete {
	uint32_t count;
	uint64_t digest;
};
#define COMPLETE_BODY 12
void write_mesh_complete(struct writer *w, const struct mesh_complete *complete);
bool read_mesh_complete(struct edged_slice body, struct mesh_complete *ret);

struct mesh_message {
	uint64_t number; /* see window.h */
	uint32_t expiry; /* s that are left, 0: never */
	uint16_t id;     /* 0 at QoS 0 */
	uint64_t stamp;  /* of a retained one, see edged/cap_session.h */
	uint8_t qos;
	bool retain;
	uint32_t share; /* see edged/cap_session.h; only on the wire when it is not 0 */
	bool newer; /* it is retained and was missed: to be taken if it is newer. Not acknowledged, so of QoS 0 here */
	struct edged_slice topic, props, payload;
};
/* The body without topic, properties and payload, which follow in this order; with share. */
#define MESSAGE_FIXED (1 + 2 + 8 + 4 + 8 + 2 + 4 + 4)
void write_mesh_message_head(struct writer *w, const struct mesh_message *message);
bool read_mesh_message(struct edged_slice body, struct mesh_message *ret);

#define PING_BODY 8
void write_mesh_ping(struct writer *w, uint64_t sum);
bool read_mesh_ping(struct edged_slice body, uint64_t *ret_sum);

#define DIGEST_PARTS 256
#define DIGEST_BODY  (8 * DIGEST_PARTS)
void write_mesh_digest(struct writer *w, const uint64_t parts[DIGEST_PARTS]);
bool read_mesh_digest(struct edged_slice body, uint64_t ret[DIGEST_PARTS]);

/* The body without the bytes, which follow. */
#define CHANNEL_NAME_MAX 30
#define CHANNEL_HEAD     (1 + CHANNEL_NAME_MAX)
void write_mesh_channel_head(struct writer *w, struct edged_slice name, size_t bytes);
bool read_mesh_channel(struct edged_slice body, struct edged_slice *ret_name, struct edged_slice *ret_bytes);

/* The numbers are those of MQTT. */
enum ack_kind { ACK_PUBACK = 4, ACK_PUBREC, ACK_PUBREL, ACK_PUBCOMP };
struct mesh_ack {
	uint8_t kind, reason;
	uint16_t id;
};
#define ACK_BODY 4
void write_mesh_ack(struct writer *w, const struct mesh_ack *ack);
bool read_mesh_ack(struct edged_slice body, struct mesh_ack *ret);

#endif
