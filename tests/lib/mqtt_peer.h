/* SPDX-License-Identifier: Apache-2.0 */
/* A small MQTT client over a Unix socket, for tests with many of them: it waits, answers what it gets, and asserts nothing. */
#ifndef TESTS_MQTT_PEER_H
#define TESTS_MQTT_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mqtt_got {
	const char *topic, *payload;
	size_t topic_len, payload_len;
	uint8_t qos;
	bool retain;
};

struct mqtt_peer {
	int fd; /* -1: not connected */
	uint8_t version, in[16384];
	size_t have;
	uint16_t id,
	        wanted_id; /* of the last packet that wants an answer; of the answer that is waited for */
	uint8_t wanted;    /* its type */
	bool answered;     /* it has come */
	uint8_t reason;    /* of CONNACK */
	bool present, answers_not; /* answers_not: it does not acknowledge */
	void (*got)(void *arg, const struct mqtt_got *got);
	void *arg;
};

/* Connects and waits for CONNACK. version 4 or 5; will: a topic, with its payload "will", QoS 1, or NULL. false: refused. */
bool mqtt_open(struct mqtt_peer *peer, const char *path, const char *name, uint8_t version, bool clean,
        bool durable, const char *will);
void mqtt_close(struct mqtt_peer *peer, bool politely);
/* These wait for the answer; false: it did not come, or the connection has ended. */
bool mqtt_subscribe(struct mqtt_peer *peer, const char *filter, uint8_t qos);
bool mqtt_unsubscribe(struct mqtt_peer *peer, const char *filter);
bool mqtt_publish(struct mqtt_peer *peer, const char *topic, const char *payload, uint8_t qos, bool retain);
/* This does not: what is answered meanwhile is answered in any mqtt_read(). */
bool mqtt_publish_soon(
        struct mqtt_peer *peer, const char *topic, const char *payload, uint8_t qos, bool retain);
/* Takes what comes within that time; false: the connection has ended. */
bool mqtt_read(struct mqtt_peer *peer, int ms);

#endif
