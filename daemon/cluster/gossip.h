/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The datagram sockets of a node: IPv4 and IPv6 on one port number, sealed by envelope.h. For addresses without a known
 * key (configured seeds) there is a question in clear, "who are you?", answered with the public key; what follows is
 * sealed, so a wrong answer leads nowhere. Question and answer have the same size. Main loop only.
 */
#ifndef CLUSTER_GOSSIP_H
#define CLUSTER_GOSSIP_H

#include "cluster/envelope.h"
#include "core/member.h"
#include "io/loop.h"

struct gossip;

struct gossip_deps {
	struct loop *loop;
	const struct identity *identity;
	uint64_t instance;
	unsigned peers; /* nodes whose keys are kept */
	bool local;     /* on loopback only */
	/* A proven datagram. */
	void (*received)(void *arg, const struct gossip_from *from, const uint8_t *bytes, size_t len);
	/* The node at addr says that its key is this (not proven). */
	void (*answered)(void *arg, const uint8_t key[GOSSIP_KEY], const struct peer_addr *addr);
	void *arg;
};

struct gossip_counts {
	uint64_t received, sent, send_failures;
	uint64_t received_bytes, sent_bytes; /* payload of UDP */
	struct envelope_counts envelope;
};

/* Opens the sockets on `port` when it is free for both families, else on any. At least one family must work. */
EDGED_MUST_CHECK int gossip_new(
        const struct gossip_deps *deps, uint16_t port, struct gossip **ret, struct err *err);
void gossip_free(struct gossip *gossip);
uint16_t gossip_port(const struct gossip *gossip);
void gossip_send(struct gossip *gossip, const uint8_t key[GOSSIP_KEY], const struct peer_addr *to,
        const uint8_t *bytes, size_t len);
void gossip_ask(struct gossip *gossip, const struct peer_addr *who);
struct envelope *gossip_envelope(const struct gossip *gossip);
struct gossip_counts gossip_counts(const struct gossip *gossip);

#endif
