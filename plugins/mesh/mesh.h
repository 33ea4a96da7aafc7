/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the plugin share. Main loop only. */
#ifndef MESH_MESH_H
#define MESH_MESH_H

#include "edged/cap_channel.h"
#include "edged/cap_config.h"
#include "edged/cap_dial.h"
#include "edged/cap_http.h"
#include "edged/cap_log.h"
#include "edged/cap_loop.h"
#include "edged/cap_metrics.h"
#include "edged/cap_node.h"
#include "edged/cap_pubsub.h"
#include "edged/cap_session.h"
#include "edged/cap_store.h"
#include "figures.h"
#include "digest.h"
#include "interest.h"
#include "travel.h"

#define MESH_ID 56 /* characters of a node's id */

struct peer;

struct mesh_settings {
	uint16_t in_flight;
	uint32_t nodes, message, filters;
	uint32_t queue_messages;
	uint64_t queue_bytes;
	bool drop_oldest;
	uint64_t keep_ms;
	struct travel travel;
};

struct mesh {
	struct edged_host *host;
	const struct edged_log_1 *log;
	const struct edged_loop_1 *loop;
	const struct edged_config_1 *config;
	const struct edged_http_1 *http;
	const struct edged_metrics_1 *metrics;
	const struct edged_stream_1 *stream;
	const struct edged_dial_1 *dial;
	const struct edged_store_1 *store;
	const struct edged_session_1 *session;
	const struct edged_pubsub_1 *pubsub;
	const struct edged_node_1 *node;
	const struct edged_channel_1 *channel;
	struct mesh_settings settings;
	struct json_t *topics; /* that the filters of settings.travel point into */
	char id[MESH_ID + 1];
	uint64_t epoch;           /* of our store */
	struct epoch_row *epochs; /* of the others', as they said last; see epochs.h */
	bool begun;               /* it runs */
	bool asked; /* what is subscribed to here: once there is another node, as it costs memory for each filter */
	struct interest *interest; /* ours */
	struct words *figures;     /* of each node */
	int64_t *nodes_figure, *refused_figure;
	struct edged_timer *tick; /* NULL: it stops */
	bool resting;             /* the next tick is far away */
	bool due;                 /* the next tick is at once */
	struct peer **peers;      /* in the order of their ids */
	size_t peer_count, peer_size;
	unsigned dialling;    /* of them, at once */
	unsigned syncing;     /* have been told our digest, and have not sent all that differs */
	struct digest digest; /* of our retained messages */
	bool full_told;       /* that there are too many nodes */
	bool untold;          /* some shared subscriptions: said so */
	void (*loaded)(struct mesh *mesh, int result);
};

/* Something has begun: peers are ticked within a second. */
void mesh_wake(struct mesh *mesh);
/* Peers are ticked at once. */
void mesh_look(struct mesh *mesh);
/* The peer of that id; NULL: there is none. */
struct peer *mesh_find(const struct mesh *mesh, const char *node_id);
/* The peer of that id, made when there is none: it has proven that it is of this account. NULL: too many, or no memory. */
struct peer *mesh_peer(struct mesh *mesh, const char *node_id);

#endif
