/* SPDX-License-Identifier: Apache-2.0 */
/* What cluster.c and cluster_api.c share. Nobody else includes this. */
#ifndef CLUSTER_CLUSTER_IMPL_H
#define CLUSTER_CLUSTER_IMPL_H

#include "cluster/cluster.h"
#include "cluster/discovery.h"
#include "cluster/wishes.h"

/* Two hosts with one node id, as it was last seen. */
struct cluster_warning {
	char id[NODE_ID_LEN + 1]; /* "": none */
	char text[512];
	uint64_t since_ms, seen_ms; /* loop time */
};

/* How long a warning is shown after it was last seen: those of one id meet each other rarely when nobody else is there. */
enum { CLUSTER_WARNED_MS = 600000 };

struct cluster {
	struct cluster_options options;
	struct cluster_deps deps;
	struct swarm *swarm;
	struct gossip *gossip;
	struct discovery *discovery;
	struct timer *timer;
	uint64_t armed_ms; /* when the timer fires, UINT64_MAX: it does not */
	struct timer *age; /* at the next step of the stability class */
	struct node_description record;
	struct wishes wishes;
	uint64_t instance, saved_epoch;
	uint64_t born_ms;   /* of this process */
	struct bound bound; /* where it listens for links */
	struct cluster_warning duplicate;
	uint64_t told_duplicate_ms;
	bool started, routed;
	void (*left)(void *arg);
	void *left_arg;
};

/* What the operator wishes of a role on this node, from now on; durable on return. */
EDGED_MUST_CHECK int cluster_wish(struct cluster *cluster, enum role role, enum wish wish, struct err *err);
/* Wall clock of a moment on the loop's clock. */
uint64_t cluster_wall_ms(const struct cluster *cluster, uint64_t ms);
/* Where the secure port of a member is, best first; returns how many. */
unsigned cluster_addresses(
        const struct cluster *cluster, const struct member *m, struct peer_addr *ret, unsigned max);
/* A member's id as text. */
void cluster_member_id(const struct member *m, char ret[NODE_ID_LEN + 1]);

#endif
