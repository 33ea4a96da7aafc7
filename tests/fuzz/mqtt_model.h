/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a broker owes its clients, as the specifications of MQTT say it: plain arrays and linear scans, to be read beside
 * the text. It is told what clients do, in order, and judges what the broker answers. Where the specification leaves
 * something open, all that it allows is accepted, unless the broker promises more (plugins/broker/README.md).
 *
 * Clauses named in complaints are those of MQTT 5.0; what they say holds for 3.1.1 as well, if it has the feature.
 *
 * The state of the broker is in one struct, so that a crash is the assignment of an older copy.
 */
#ifndef TESTS_MQTT_MODEL_H
#define TESTS_MQTT_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CLIENTS = 3,
	TOPICS = 5,
	FILTERS = 12,
	MESSAGES = 300,
	QUEUE = 120,
	SHARES = 120,
	INCOMING = 32,
	IDS = 8
};
enum { ANSWERS = 64, NOBODY = -1 };

extern const char *const model_topics[TOPICS];
extern const char *const model_filters[FILTERS]; /* as in SUBSCRIBE */
bool model_is_shared(uint8_t filter);

/* A message that was, or will be, published. */
struct model_message {
	uint8_t topic, publisher, qos;
	bool retain, empty, will;
	uint64_t expires; /* ms, 0: never */
};

enum tri { NO, YES, EITHER };

/* How one PUBLISH to a client looks. */
struct model_look {
	uint8_t qos, retain, id_count; /* retain: enum tri */
	uint32_t ids[IDS];             /* subscription identifiers, in any order */
};

/* EXPIRED: at QoS 2 the packet id may be on the disk, so that it seems to have been sent if there is a crash. */
enum model_state { WAITING, SENT, RELEASED, EXPIRED };

/* One message for one session: at QoS 1 and 2 until it is acknowledged, at QoS 0 until it has come. */
struct model_entry {
	uint16_t message, id;
	uint32_t serial; /* never used again */
	struct model_look look;
	uint8_t state;
	bool sent;      /* on this connection: PUBLISH, or PUBREL */
	bool optional;  /* it may come or not */
	bool unordered; /* retained, or picked for a shared subscription */
	bool retained;  /* it was there when the client subscribed */
	bool held;      /* it had to wait */
	bool unsure;    /* after a crash: nobody knows whether it had been sent */
};

struct model_sub {
	bool on, no_local, retain_as_published;
	uint8_t qos;
	uint32_t id;
};

struct model_answer {
	uint8_t type, code;
	uint16_t id;
	bool no_match; /* 0x10 will do as well */
	bool stored;   /* not before what it confirms is on the disk */
};

struct model_will {
	bool on;
	uint16_t message;
	uint32_t delay; /* s */
};

struct model_session {
	bool exists, connected;
	uint8_t version;
	uint16_t window;
	uint32_t expiry; /* s */
	uint64_t away;   /* ms: since when */
	struct model_will will;
	struct model_sub subs[FILTERS];
	struct model_entry queue[QUEUE];
	unsigned count;
	struct {
		uint16_t id;
		bool stored;
	} incoming[INCOMING]; /* QoS 2 messages taken, not released */
	unsigned incoming_count;
	struct model_answer answers[ANSWERS]; /* to this connection */
	unsigned answer_count;
};

/* A message that one member of a shared subscription gets. */
struct model_share {
	uint16_t message;
	bool optional, held, unsure; /* as in an entry */
	bool taken, doubt;           /* doubt: or it was something else that looks the same */
	bool member[CLIENTS];
	struct model_look look[CLIENTS];
	uint8_t taker;
	struct model_look taken_as;
};

struct model {
	uint64_t now; /* ms */
	bool storing; /* what is written is on the disk at once; false: not yet */
	struct model_message messages[MESSAGES];
	unsigned message_count;
	int retained[TOPICS]; /* message, or NOBODY */
	struct model_session sessions[CLIENTS];
	bool on_disk[CLIENTS]; /* there was a session for the disk when all was written last */
	struct model_share shares[SHARES];
	unsigned share_count;
	uint32_t serial;
};

struct model_connect {
	uint8_t version;
	bool clean;
	uint32_t expiry; /* s */
	uint16_t window;
	struct model_will will;
};

void model_init(struct model *m);
/* Is there room for what one more action may bring? */
bool model_has_room(const struct model *m);
uint16_t model_message(struct model *m, const struct model_message *message);

/* --- what clients do --- */
/* True: the session was there. Whoever was connected with that id has been cut off. */
bool model_connect(struct model *m, uint8_t who, const struct model_connect *how);
/* The end of a connection; with_will: not in order. */
void model_part(struct model *m, uint8_t who, bool with_will);
void model_subscribe(struct model *m, uint8_t who, uint8_t filter, const struct model_sub *sub,
        uint8_t handling, uint16_t id);
void model_unsubscribe(struct model *m, uint8_t who, uint8_t filter, uint16_t id);
void model_publish(struct model *m, uint8_t who, uint16_t message, uint16_t id);
void model_pubrel(struct model *m, uint8_t who, uint16_t id);
/* PUBACK, PUBREC, PUBCOMP by a client that has got what it names; refused: with an error. */
void model_acknowledge(struct model *m, uint8_t who, uint8_t type, uint16_t id, bool refused);
/* Time passes. Call it for spans in which at most one thing ends. */
void model_pass(struct model *m, uint64_t ms);
/* The broker stops at once and comes back with what was on the disk: `saved` is the model of then. */
void model_crash(struct model *m, const struct model *saved);

/* --- what the broker does: NULL, or what is wrong with it --- */
struct model_heard {
	uint8_t topic;
	int message; /* by its payload; NOBODY: it is empty */
	bool dup, has_expiry;
	uint16_t id;
	uint32_t expiry;
	struct model_look look;
};
/* *ret_serial: which entry it was. */
const char *model_hear(struct model *m, uint8_t who, const struct model_heard *heard, uint32_t *ret_serial);
const char *model_hear_pubrel(struct model *m, uint8_t who, uint16_t id);
const char *model_hear_answer(struct model *m, uint8_t who, uint8_t type, uint16_t id, uint8_t code);
/* Nothing is under way any more, and all is on the disk. */
const char *model_settled(struct model *m);

#endif
