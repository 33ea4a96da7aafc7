/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One node's part in a cluster: membership, election and roles put together, behind datagrams, a clock and a
 * few callbacks. cluster/ drives it with sockets, tests drive hundreds of them with a simulator. Pure.
 */
#ifndef CORE_SWARM_H
#define CORE_SWARM_H

#include "core/election.h"
#include "core/member.h"
#include "core/roles.h"

struct swarm;

enum swarm_event_type {
	SWARM_JOINED = 1,   /* member */
	SWARM_LEFT,         /* member; its state tells how */
	SWARM_UPDATED,      /* member: its record */
	SWARM_FORGOTTEN,    /* member: the pointer dies */
	SWARM_SUPERNODE,    /* swarm_election() tells */
	SWARM_ROLE,         /* grant */
	SWARM_DUPLICATE,    /* member: two hosts have its id, at addr and rival.addr */
	SWARM_OWN_DUPLICATE /* addr: somebody there has this node's key */
};

struct swarm_event {
	enum swarm_event_type type;
	const struct member *member;
	const struct role_grant *grant;
	const struct peer_addr *addr;
};

struct swarm_env {
	void *arg;
	uint64_t (*random)(void *arg);
	void (*send)(void *arg, const uint8_t key[GOSSIP_KEY], const struct peer_addr *to,
	        const uint8_t *bytes, size_t len);
	void (*identify)(void *arg, const uint8_t key[GOSSIP_KEY], uint8_t ret_id[GOSSIP_ID]);
	int (*save_epoch)(void *arg, uint64_t epoch);
	/* Must not call back into the swarm, but for reading. */
	void (*event)(void *arg, const struct swarm_event *event);
	/* As in members_env; NULL: nobody is barred. */
	bool (*barred)(void *arg, const uint8_t id[GOSSIP_ID]);
	/* As in members_env; NULL: all are. */
	bool (*kin)(void *arg, const struct member *member);
};

struct swarm_options {
	struct members_options members;
	struct election_options election;
};

EDGED_MUST_CHECK int swarm_new(const struct swarm_options *options, const struct swarm_env *env,
        const uint8_t key[GOSSIP_KEY], uint64_t instance, uint64_t saved_epoch, struct swarm **ret);
void swarm_free(struct swarm *swarm);

/* All of these return when swarm_tick() wants to be called, UINT64_MAX: not before something happens. */
uint64_t swarm_start(struct swarm *swarm, uint64_t now, const struct node_description *record);
uint64_t swarm_describe(struct swarm *swarm, uint64_t now, const struct node_description *record);
uint64_t swarm_hint(
        struct swarm *swarm, uint64_t now, const uint8_t key[GOSSIP_KEY], const struct peer_addr *addr);
uint64_t swarm_receive(
        struct swarm *swarm, uint64_t now, const struct gossip_from *from, const uint8_t *bytes, size_t len);
uint64_t swarm_tick(struct swarm *swarm, uint64_t now);
uint64_t swarm_wake(struct swarm *swarm, uint64_t now); /* the network changed */
uint64_t swarm_expel(
        struct swarm *swarm, uint64_t now, const uint8_t id[GOSSIP_ID]); /* see members_expel() */
/* kin() may say otherwise now. */
uint64_t swarm_kin_changed(struct swarm *swarm, uint64_t now);
/* Hands over and says goodbye. Done at the latest 300 ms later, when swarm_left() says so. */
uint64_t swarm_leave(struct swarm *swarm, uint64_t now);
bool swarm_left(const struct swarm *swarm);

struct members *swarm_members(const struct swarm *swarm);
struct election *swarm_election(const struct swarm *swarm);
struct roles *swarm_roles(const struct swarm *swarm);
uint64_t swarm_malformed(const struct swarm *swarm); /* datagrams of proven senders that made no sense */

#endif
