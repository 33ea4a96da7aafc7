/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets of MQTT 3.1, 3.1.1 and 5.0: bytes to structs and back. Pure; slices point into the packet.
 *
 * Parsers return 0 or the reason code of MQTT 5.0 (section 2.4) for what is wrong with the packet.
 */
#ifndef BROKER_CODEC_H
#define BROKER_CODEC_H

#include "props.h"

enum packet_type {
	CONNECT = 1,
	CONNACK,
	PUBLISH,
	PUBACK,
	PUBREC,
	PUBREL,
	PUBCOMP,
	SUBSCRIBE,
	SUBACK,
	UNSUBSCRIBE,
	UNSUBACK,
	PINGREQ,
	PINGRESP,
	DISCONNECT,
	AUTH
};

/* Protocol levels. */
enum { MQTT_3_1 = 3, MQTT_3_1_1 = 4, MQTT_5 = 5 };

enum reason {
	REASON_OK = 0x00,
	REASON_WITH_WILL = 0x04,
	REASON_NO_MATCH = 0x10,
	REASON_NO_SUBSCRIPTION = 0x11,
	REASON_CONTINUE = 0x18,
	REASON_AGAIN = 0x19,
	REASON_UNSPECIFIED = 0x80,
	REASON_MALFORMED = 0x81,
	REASON_PROTOCOL = 0x82,
	REASON_IMPLEMENTATION = 0x83,
	REASON_VERSION = 0x84,
	REASON_CLIENT_ID = 0x85,
	REASON_PASSWORD = 0x86,
	REASON_NOT_AUTHORIZED = 0x87,
	REASON_UNAVAILABLE = 0x88,
	REASON_SHUTTING_DOWN = 0x8b,
	REASON_AUTH_METHOD = 0x8c,
	REASON_KEEP_ALIVE = 0x8d,
	REASON_TAKEN_OVER = 0x8e,
	REASON_FILTER = 0x8f,
	REASON_TOPIC = 0x90,
	REASON_ID_IN_USE = 0x91,
	REASON_ID_NOT_FOUND = 0x92,
	REASON_RECEIVE_MAX = 0x93,
	REASON_ALIAS = 0x94,
	REASON_TOO_LARGE = 0x95,
	REASON_MESSAGE_RATE = 0x96,
	REASON_QUOTA = 0x97,
	REASON_ADMIN = 0x98,
	REASON_FORMAT = 0x99,
	REASON_QOS = 0x9b,
	REASON_NO_SHARED = 0x9e,
	REASON_RATE = 0x9f,
	REASON_CONNECT_TIME = 0xa0,
	REASON_NO_SUBSCRIPTION_IDS = 0xa1
};

/* --- a packet in a row of bytes --- */

struct frame {
	uint8_t type, flags;
	const uint8_t *body;
	size_t len;  /* of the body */
	size_t size; /* of all of it */
};

#define FRAME_MORE -1 /* not all of it is there */
/* 0, FRAME_MORE, or a reason (malformed; too large when the body is over `max`). */
int frame_read(const uint8_t *bytes, size_t n, size_t max, struct frame *ret);

/* --- from clients --- */

/* Mosquitto's bridges set it in the protocol level, unless their "try_private" is false (mosquitto.conf(5)): no
 * specification knows it. */
#define BRIDGE_BIT 0x80

struct connect {
	uint8_t version;
	uint8_t will_qos;
	bool clean, will, will_retain, has_user, has_password;
	bool bridge;         /* MQTT 3: another broker, see BRIDGE_BIT */
	uint16_t keep_alive; /* seconds */
	struct edged_slice client_id, user, password, will_topic, will_payload;
	struct props props, will_props;
};

/* REASON_VERSION leaves ret->version as the client gave it. */
int parse_connect(const struct frame *frame, unsigned max_users, struct connect *ret);

struct publish {
	uint8_t qos;
	bool dup, retain;
	uint16_t id; /* 0 at QoS 0 */
	struct edged_slice topic, payload;
	struct props props;
};
int parse_publish(const struct frame *frame, uint8_t version, unsigned max_users, struct publish *ret);

struct ack {
	uint16_t id;
	uint8_t reason;
	struct props props;
};
/* PUBACK, PUBREC, PUBREL, PUBCOMP. */
int parse_ack(const struct frame *frame, uint8_t version, unsigned max_users, struct ack *ret);

/* SUBSCRIBE and UNSUBSCRIBE: the list has been checked, walk it with filters_next(). */
struct filters {
	uint16_t id;
	unsigned count;
	struct props props;
	struct reader list;
	bool options; /* SUBSCRIBE: each filter has options */
};
int parse_filters(const struct frame *frame, uint8_t version, unsigned max_users, struct filters *ret);

enum { OPT_QOS = 3, OPT_NO_LOCAL = 4, OPT_RETAIN_AS_PUBLISHED = 8, OPT_RETAIN_HANDLING = 0x30 };
bool filters_next(struct filters *f, struct edged_slice *ret_filter, uint8_t *ret_options);

struct farewell {
	uint8_t reason;
	struct props props;
};
/* DISCONNECT and AUTH. */
int parse_farewell(const struct frame *frame, uint8_t version, unsigned max_users, struct farewell *ret);

/* --- to clients --- */

/* What a CONNACK tells an MQTT 5 client; members with their absent value are left out. */
struct connack {
	bool present;   /* session present */
	uint8_t reason; /* MQTT 5 code; older versions get the nearest of theirs */
	bool limits;    /* the members below are to be sent */
	uint32_t session_expiry;
	bool has_session_expiry;
	uint16_t receive_max, alias_max;
	uint32_t max_packet;
	bool shared;
	bool strict; /* no QoS 2, no subscription identifiers */
	struct edged_slice assigned_id;
	uint16_t keep_alive;
	bool has_keep_alive;
	struct edged_slice text; /* reason string */
	struct edged_slice response_info;
	struct edged_slice auth_method, auth_data;
	struct edged_slice node; /* for a bridge that has said which node it is of */
};
/* User property of CONNECT and CONNACK by which a bridge and a broker tell each other the ids of their nodes. */
#define NODE_PROPERTY "edged-node"
#define CONNACK_MAX   2000 /* room for any */
void write_connack(struct writer *w, uint8_t version, const struct connack *connack);
void write_ack(struct writer *w, uint8_t version, enum packet_type type, uint16_t id, uint8_t reason);
/* SUBACK and UNSUBACK. */
void write_codes(struct writer *w, uint8_t version, enum packet_type type, uint16_t id, const uint8_t *codes,
        size_t n);
void write_auth(struct writer *w, uint8_t reason, struct edged_slice method, struct edged_slice data);
void write_disconnect(struct writer *w, uint8_t reason, struct edged_slice text); /* MQTT 5 only */

/* A PUBLISH to be sent. */
struct outgoing {
	uint8_t version, qos;
	bool dup, retain, has_expiry;
	uint16_t id;
	uint16_t alias;           /* 0: none */
	uint32_t expiry;          /* seconds left */
	struct edged_slice topic; /* empty when the alias says it */
	struct edged_slice props; /* as props_forward() gave them */
	const uint32_t *subscription_ids;
	size_t subscription_count;
	size_t payload_len;
};
/* Properties without those in `props` and without the length in front. */
size_t outgoing_own_props(const struct outgoing *out);
size_t outgoing_body(const struct outgoing *out); /* the remaining length */
/* The packet in three parts, so that topic and payload may come from elsewhere. */
void write_publish_start(
        struct writer *w, const struct outgoing *out); /* fixed header and length of the topic */
/* behind the topic: packet id, length of the properties, and the properties that are not in `props` */
void write_publish_middle(struct writer *w, const struct outgoing *out);

#endif
