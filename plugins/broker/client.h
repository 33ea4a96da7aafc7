/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client: one connection, from its first byte to its end. It lives on the loop of its stream. client.c has its life
 * and what it sends, connect.c its CONNECT, receive.c the packets after that.
 */
#ifndef BROKER_CLIENT_H
#define BROKER_CLIENT_H

#include "aliases.h"
#include "rate.h"
#include "session.h"

struct broker;
struct login;
struct edged_stream;
struct edged_stream_handler;

struct client {
	struct broker *broker;
	struct shard *shard; /* of the loop that the stream is on */
	struct edged_stream *stream;
	struct client *next, **link; /* of the shard\'s clients; link NULL: in none */
	struct session *session;     /* NULL before CONNECT was accepted, and after the end */
	struct edged_slice
	        *aliases;    /* topic aliases of the client, aliases[alias - 1]; texts are malloc'ed */
	struct aliases told; /* topic aliases for it */
	struct login *login; /* see auth.c */
	struct rate *rate;   /* see rate.c; NULL: it is as fast as it can */
	uint8_t *connect;    /* CONNECT packet while the stream moves to the session's loop */
	size_t connect_len;
	uint64_t since;       /* when it was accepted, wall time in ms */
	uint32_t heard;       /* when something came last, in seconds */
	uint32_t max_packet;  /* it accepts */
	uint32_t stored_at;   /* s: when more of what waited for it may go out, see stored.h */
	uint16_t stored_left; /* so much of it until then */
	uint16_t window;      /* messages on the way to it at once */
	uint16_t keep_alive;
	uint8_t version; /* 0 before CONNECT */
	bool muted;      /* accepted, but CONNACK waits for the store: nothing may be sent yet */
	bool closing;
	bool held;      /* reading is paused until acknowledgements are out */
	bool terse;     /* it wants no reason strings */
	bool framed;    /* over WebSocket: each packet gets a frame */
	bool bridge;    /* of mosquitto's kind: its subscriptions have no local and retain as published */
	bool named;     /* it brought a user name */
	bool asked;     /* the plugin that decides was asked who it is */
	bool parted;    /* the end has a reason: */
	uint8_t reason; /* its own DISCONNECT's, or the one it was told */
	bool inside;    /* no stream: a plugin, see inside.h */
	/* for CONNACK: */
	bool present, assigned, tell_expiry, tell_keep_alive, tell_response, tell_node;
};

/* The handler of protocol "mqtt"; self is the broker. */
extern const struct edged_stream_handler client_handler;

/* The client belongs to that shard, which is its loop's. */
void client_enter(struct client *client, struct shard *shard);
void client_leave(struct client *client);
/* When the plugin ends: streams end without a word to their handler. */
void clients_free(struct shard *shard);
/* Ends the connection; MQTT 5 clients are told why. */
void client_close(struct client *client, uint8_t reason);
/* The session was told to go (taken over, kicked): the connection ends, the session stays as it is. */
void client_part(struct client *client, uint8_t reason);

bool client_has_room(const struct client *client);
/* One whole packet. */
void client_write(struct client *client, const void *bytes, size_t n);
/* A PUBLISH packet. id 0 at QoS 0. False when the packet is larger than the client accepts: count it as delivered. */
bool client_send(struct client *client, const struct delivery *delivery, uint16_t id, bool dup);
void client_send_ack(struct client *client, uint8_t packet, uint16_t id, uint8_t reason);
/* Acknowledges now, or when what was written for it is durable and earlier acknowledgements are out. */
void client_ack(struct client *client, uint8_t packet, uint16_t id, uint8_t reason, bool wait);
/* The time for which it was not read is over. */
void client_read_on(struct client *client);
/* An acknowledgement has gone out: read on when that was what it waited for. */
void client_relieved(struct client *client);
/* What CONNECT waited for, see auth.c, is there. */
void client_go_on(struct client *client);
/* Keeps the CONNECT packet for later. -ENOMEM. */
int client_keep_connect(struct client *client, const struct frame *frame);
/* CONNACK and all that was waiting for it. */
void client_accepted(struct client *client, int result);

#endif
