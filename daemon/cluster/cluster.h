/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This node's place among the others: discovery, membership, election and roles on real sockets, and their REST routes
 * (GET /mds/v1/nodes, /edge/v1/cluster, /edge/v1/cluster/election, /edge/v1/roles). See nodes.h for those who want to
 * reach others. Main loop only.
 */
#ifndef CLUSTER_CLUSTER_H
#define CLUSTER_CLUSTER_H

#include "cluster/gossip.h"
#include "cluster/mdns.h"
#include "cluster/nodes.h"
#include "core/router.h"
#include "core/swarm.h"

struct cluster;

struct cluster_options {
	bool enabled;                  /* false: no sockets; the node is a cluster of one */
	bool mdns;                     /* look for others by multicast DNS */
	bool eligible;                 /* may become supernode */
	uint8_t pin;                   /* 0..255; the highest eligible one is preferred */
	const char *name;              /* "" or NULL: the host's */
	const char *const *seeds;      /* "HOST:PORT", NULL-terminated, or NULL */
	const char *const *interfaces; /* names for multicast DNS, NULL-terminated; NULL or empty: all */
	struct swarm_options swarm;
};
struct cluster_options cluster_defaults(void);

struct cluster_deps {
	struct loop *loop;
	struct identity *identity;
	struct requests *requests;
	struct router *router;
	const char *folder; /* private; made when it is not there */
	void *arg;          /* of all that follow; each may be NULL */
	/* Addresses of the listeners for links, as listeners_info() tells them; returns how many. */
	unsigned (*secure_addresses)(void *arg, char (*ret)[64], unsigned max);
	/* Appends this node's services as a JSON array. */
	int (*services)(void *arg, struct buf *out);
	/* Has that node proven to be of this node's account? */
	bool (*trusted)(void *arg, const char *node_id);
	/* The services of another node as a JSON array, empty when they are not known. Valid until the next call. */
	struct edged_slice (*services_of)(void *arg, const char *node_id);
	/* SWARM_JOINED, SWARM_UPDATED, SWARM_LEFT and SWARM_FORGOTTEN, for those who keep something of each node. */
	void (*member)(void *arg, enum swarm_event_type what, const struct member *member);
	/* nodeJoined, nodeLeft, nodeDuplicate, supernodeChanged, roleGranted; `json` is an object. */
	void (*event)(void *arg, const char *type, struct edged_slice json);
};

/* Options and deps are copied, but not what they point to, which outlives the cluster. */
EDGED_MUST_CHECK int cluster_new(const struct cluster_deps *deps, const struct cluster_options *options,
        struct cluster **ret, struct err *err);
/* Once the listeners are open: opens sockets and begins. The UDP port gets the number of the first listener for links when
 * it is free. When those are on loopback only, so is everything here, and nobody off this host hears of the node. */
EDGED_MUST_CHECK int cluster_start(struct cluster *cluster, struct err *err);
/* Hands over and says goodbye; `done` is called once, at the latest after 300 ms, perhaps from within. It must not free
 * the cluster. */
void cluster_leave(struct cluster *cluster, void (*done)(void *arg), void *arg);
void cluster_free(struct cluster *cluster);

/* That node was removed from the account: it is forgotten, and no datagram of it is taken any more. */
void cluster_expel(struct cluster *cluster, const uint8_t id[GOSSIP_ID]);
/* A member of this account, by its word, that has a newer list of removed nodes than `above`; when there are several, any but
 * `but` ("": none). False: there is none. */
bool cluster_newer_removals(
        const struct cluster *cluster, uint64_t above, const char *but, char ret_id[NODE_ID_LEN + 1]);
/* Account, services, listeners or the list of removed nodes have changed: the others are told. */
void cluster_refresh(struct cluster *cluster);
/* Other members may have proven now that they are of this account, or not any more. */
void cluster_kin_changed(struct cluster *cluster);

/* Each holder of that role, this node included. */
void cluster_role_holders(const struct cluster *cluster, struct edged_slice role,
        void (*each)(void *arg, const char *node_id), void *arg);
/* As roles_holder_for(). False: there is no role of that name, or nobody holds it. */
bool cluster_role_holder(const struct cluster *cluster, struct edged_slice role, struct edged_slice key,
        char ret_id[NODE_ID_LEN + 1]);
bool cluster_is_supernode(const struct cluster *cluster);
/* For /metrics and tests. */
const struct swarm *cluster_swarm(const struct cluster *cluster);
struct gossip_counts cluster_counts(const struct cluster *cluster);
struct mdns_counts cluster_mdns_counts(const struct cluster *cluster);
uint16_t cluster_port(const struct cluster *cluster); /* UDP, 0: not started */

#endif
