/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An MQTT 3.1.1 client of a broker on a host in memory (fake_host.h), with a session that stays: what it has sent at QoS 1 and 2
 * and has not heard of goes again when it is back, and a message of QoS 2 is handed on once.
 */
#ifndef TESTS_SIM_CLIENT_H
#define TESTS_SIM_CLIENT_H

#include "fake_host.h"

enum { CLIENT_OPEN = 100 };

struct client_message {
	const char *topic; /* not terminated */
	size_t topic_len;
	const uint8_t *payload;
	size_t len;
	uint8_t qos;
	bool retain, dup;
};

struct client {
	char name[24];
	struct fake_peer *peer; /* NULL: away */
	bool joined;            /* CONNACK has come */
	uint8_t *in;
	size_t in_len;
	uint16_t next_id, subscribes; /* subscribes: SUBACKs that are to come */
	struct client_own {           /* sent, not acknowledged, in order */
		uint16_t id;
		uint8_t qos;
		bool received;   /* PUBREC has come */
		uint8_t *packet; /* PUBLISH, to be sent again */
		size_t len;
		uint64_t tag;
	} own[CLIENT_OPEN];
	unsigned own_count;
	uint16_t held[CLIENT_OPEN]; /* ids of QoS 2 messages that were handed on and not released */
	unsigned held_count;
	const char *wrong; /* what the broker did that it must not, NULL: nothing */
	void *arg;
	void (*got)(struct client *client, const struct client_message *message);
	void (*again)(struct client *client, uint64_t tag); /* it goes again */
	void (*done)(struct client *client,
	        uint64_t tag); /* PUBACK or PUBCOMP came; at QoS 0 it is never called */
};

void client_join(struct client *client, struct fake_peer *peer); /* a new connection */
void client_leave(struct client *client, bool politely);
void client_lost(struct client *client); /* its broker is gone, and the connection with it */
void client_subscribe(struct client *client, const char *filter, uint8_t qos);
/* False: there is no room, or it is away. tag: for done(). */
bool client_publish(struct client *client, const char *topic, const void *payload, size_t n, uint8_t qos,
        bool retain, uint64_t tag);
/* Takes what has come, and answers. */
void client_look(struct client *client);
void client_free(struct client *client);

#endif
