/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast clients may be. Who sends more than its rate is not read for a while: nothing is lost, the client's own
 * socket fills up. What it may send in one go is a second's worth. Who is ahead of its rate without a break for
 * `rates.patience` is disconnected: with 0x96 for messages, with 0x97 for bytes or when its user or its address is.
 *
 * Programs on this machine (loopback, Unix socket) have no rates; they can be stopped in other ways. How often a client id may
 * connect holds for them, too: that is what a device meets at AWS IoT, wherever it runs while it is tested.
 */
#ifndef BROKER_RATE_H
#define BROKER_RATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "edged/peer.h"
#include "edged/slice.h"

struct broker;
struct client;
struct edged_timer;
struct frame;
struct shard;

/* With whom a client shares a rate: those that logged in with one name, those of one address (IPv6: one /64). */
enum rate_share { RATE_USER, RATE_ADDRESS, RATE_SHARES };

struct rate_limit {
	uint64_t messages, bytes; /* a second; 0: any */
};

/* By what CONNECTs are counted: the address (IPv6: one /64) that they come from, the client id that they bring. */
enum rate_connects { RATE_CONNECTS_ADDRESS, RATE_CONNECTS_ID, RATE_CONNECTS };

/* From the configuration. */
struct rate_limits {
	struct rate_limit client, shared[RATE_SHARES];
	uint64_t connects[RATE_CONNECTS]; /* CONNECTs a second; 0: any */
	uint32_t patience;                /* s; 0: for ever */
};

#define RATE_DEBTORS_MAX                                                                                     \
	4096 /* users, and addresses, whose last client left in debt; those with clients come on top */
#define RATE_PLACES                                                                                          \
	4096 /* addresses, and client ids, that are remembered; beyond, those go whose rate has recovered the most */

struct rate_place {
	uint64_t name; /* hash of it */
	uint64_t due;  /* ns: when what came is paid for */
};

/* What all shards share. */
struct rates {
	pthread_mutex_t lock;
	struct {
		struct shared_rate *chains[256];
		size_t count;
	} tables[RATE_SHARES];
	struct rate_place places[RATE_CONNECTS][RATE_PLACES];
};

void rates_init(struct rates *rates);
void rates_fini(struct rates *rates);

/* A CONNECT has come, with this client id. 0, or a reason: too many of them come from there, or with it. Any loop. */
int rate_connect(struct client *client, struct edged_slice id);
/* The client was let in. 0, or a reason: no room to count for its user or its address. */
int rate_begin(struct client *client, struct edged_slice user);
void rate_end(struct client *client);
/* A packet was taken. The client may have been paused, or ended, after it. */
void rate_charge(struct client *client, const struct frame *packet);
/* A message comes over HTTP from this principal, which has the rate of a client. False: it is faster; not counted then. */
bool rate_request(
        struct broker *broker, const struct edged_peer *peer, struct edged_slice principal, size_t bytes);
/* Does not read the client for so long. -ENOMEM. */
int rate_pause(struct client *client, uint64_t ms);
bool rate_paused(const struct client *client);

/* The clients of one shard that are paused, behind one timer. */
struct rate_gate {
	struct rate *paused;
	struct edged_timer *timer;
	uint64_t due; /* ms; 0: not armed */
};
void rate_gate_fini(struct shard *shard);

#endif
