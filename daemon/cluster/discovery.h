/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How nodes get to know of each other: DNS-SD `_edged._tcp`, configured seeds, and peers of earlier days. Whoever is found
 * is only a hint (a key and an address) for membership, which looks for itself. Main loop only.
 */
#ifndef CLUSTER_DISCOVERY_H
#define CLUSTER_DISCOVERY_H

#include "cluster/mdns.h"
#include "core/member.h"

struct discovery;
struct gossip;

/* What is told to the network. */
struct discovery_self {
	const uint8_t *key; /* GOSSIP_KEY bytes */
	uint64_t instance;
	const char *id, *name, *account; /* account id or "" */
	uint16_t gossip_port;
	const struct bound *bound; /* where it listens for links */
	uint64_t epoch;
	bool supernode;
};

struct discovery_deps {
	struct loop *loop;
	struct gossip *gossip;
	const char *folder; /* for the file of peers */
	bool mdns;
	const char *const *seeds, *const *interfaces; /* NULL-terminated or NULL; outlive it */
	void (*hint)(void *arg, const uint8_t key[GOSSIP_KEY], const struct peer_addr *addr);
	/* Is a node of this gossip address a live member? */
	bool (*connected)(void *arg, const struct peer_addr *addr);
	void (*network_changed)(void *arg);
	void *arg;
};

EDGED_MUST_CHECK int discovery_new(const struct discovery_deps *deps, const struct discovery_self *self,
        struct discovery **ret, struct err *err);
void discovery_free(struct discovery *discovery); /* says goodbye */
/* Epoch, role, ports or account have changed. */
void discovery_update(struct discovery *discovery, const struct discovery_self *self);
/* Somebody came or went: keeps the live members for the next start, and looks at the seeds again. */
void discovery_members_changed(struct discovery *discovery, const struct members *members);
void discovery_save(struct discovery *discovery, const struct members *members);

struct mdns_counts discovery_counts(const struct discovery *discovery);

#endif
