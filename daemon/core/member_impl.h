/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of membership share among themselves: member.c (messages), member_table.c, member_probe.c,
 * member_rival.c. Nobody else includes this. */
#ifndef CORE_MEMBER_IMPL_H
#define CORE_MEMBER_IMPL_H

#include "base/map.h"
#include "core/member.h"
#include "core/member_probe.h"
#include "core/member_rival.h"
#include "core/member_table.h"

enum {
	RELAYS = 32,        /* probes made for others at once */
	ACCUSE_FANOUT = 16, /* others told of one suspicion */
	HEALTH_MAX = 8,
	CONTACTS_A_TICK = 32,
	CONTACT_TRIES = 8
};

/* A probe on behalf of another member. */
struct relay {
	uint64_t seq, their_seq;
	uint8_t requester[GOSSIP_ID], target[GOSSIP_ID];
	uint64_t deadline; /* 0: free */
};

struct members {
	struct members_options options;
	struct members_env env;
	uint8_t key[GOSSIP_KEY], id[GOSSIP_ID];
	uint64_t instance;
	uint32_t incarnation;
	struct node_description self;

	struct member **all; /* in the order of the present round of probes */
	unsigned count, cap, heard, live, suspects, cursor;
	struct map by_id;
	struct relay relays[RELAYS];
	unsigned relaying;                    /* of them */
	uint64_t digest_all, digest_to_hosts; /* of the table: with and without those on loopback only */

	uint64_t now;
	uint64_t wanted;                /* when tick asked to be called */
	uint64_t next_probe;            /* of the round: not before */
	bool ring_last;                 /* the last probe was the successor's */
	uint64_t next_call;             /* of a dead member */
	uint64_t refuted_ms;            /* when all were last told that we live */
	uint64_t health_ms;             /* when an accusation last counted against our health */
	uint64_t sync_tokens8, sync_ms; /* lists we may still send, in eighths */
	uint64_t own_rival_seq, own_rival_ms, own_rival_told_ms;
	struct members_counts counts;
};

/* --- member.c --- */
void members_send_to(struct members *ms, const uint8_t key[GOSSIP_KEY], const struct peer_addr *addr,
        struct gossip_message *message);
/* Asks "are you there?" with its present number; asks for its record too when that is not known. */
void member_ping(struct members *ms, struct member *m, const struct peer_addr *addr);
void member_new_seq(struct members *ms, struct member *m);
void members_health(struct members *ms, int change);

/* The process `instance` has proven itself: it is the member now. */
void member_verified(struct members *ms, struct member *m, uint64_t instance, const struct peer_addr *addr);

#endif
