/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shadow plugins of other nodes. peers.c has who is there, pull.c what they have, push.c what they are told and asked for,
 * hand.c what becomes of a shadow that two nodes have, away.c requests to shadows that are not here. Main loop only.
 */
#ifndef SHADOW_PEERS_H
#define SHADOW_PEERS_H

#include "edged/cap_channel.h"
#include "edged/cap_node.h"
#include "asks.h"

#define PEERS_CHANNEL "shadow"

struct peers;

/* One of them. It stays until the daemon ends. */
struct peer {
	LIST_ENTRY(peer) link;
	struct peers *peers;
	struct home *home;
	bool joined;  /* the channel reaches its node */
	bool greeted; /* its plugin is there */
	bool there;   /* the cluster sees its node */
	bool was;     /* before the last look */
	bool keeper;  /* it wants copies */
	bool behind;  /* it was too slow for some */
	/* pull.c: what it has */
	uint32_t round; /* of SYNC; what belongs to an older one is dropped */
	bool synced;    /* all of it is known here, and of a keeper's copies none is old */
	bool last;      /* page */
	struct shadow_name after;
	struct shadow_name *wants; /* FRAME_ROWS; NULL: no copies */
	size_t want_count, want_next, waiting;
	/* push.c: copies of others' shadows that it is given */
	struct shadow_name *relayed;
	size_t relay_count, relay_next;
	bool relaying, relay_again; /* one is being read; all of it once more */
};

struct peers_deps {
	struct service_deps service; /* host, log, loop, store, now */
	const struct edged_channel_1 *channel;
	const struct edged_node_1 *node;
	struct others *others;
	struct asks *asks;
	uint64_t keep_ms; /* copies, when this node keeps none any more */
};

struct peers {
	struct peers_deps deps;
	struct service *service;
	struct away away;
	const char *id; /* of this node */
	bool keeper;    /* it keeps copies of all shadows */
	LIST_HEAD(, peer) list;
	LIST_HEAD(, peers_memory) memory; /* that waits */
	struct edged_timer *purge;
	uint8_t *scratch; /* the frame that is being written */
	size_t scratch_size;
	int64_t *copy_reads;
	bool size_told; /* that a frame was too long for a node */
};

EDGED_MUST_CHECK int peers_new(const struct peers_deps *deps, struct peers **ret);
void peers_free(struct peers *peers);
EDGED_MUST_CHECK int peers_start(struct peers *peers, struct service *service);
void peers_stop(struct peers *peers);
/* Who is there, or who keeps copies, may have changed. */
void peers_look(struct peers *peers);

/* Can that node be asked now? */
bool peer_available(const struct home *home);
/* Zeroed memory for something that waits for the store, which does not call back once the plugin stops; NULL: none. */
void *peers_alloc(struct peers *peers, size_t n);
void peers_release(void *memory);
/* As edged_channel_1.say(); -ENOMEM. */
int peer_say(struct peer *peer, const struct frame *frame);

#endif
