/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network of simulated nodes: each is a real core/swarm.h, with a virtual clock, and a network that loses, delays and
 * blocks from a seed. The same seed gives the same run.
 */
#ifndef TESTS_SIM_H
#define TESTS_SIM_H

#include <stdbool.h>
#include "core/swarm.h"

enum { SIM_MAX = 256 };

struct sim_event;
struct sim_datagram;

struct sim_node {
	struct sim *sim;
	unsigned index;
	struct swarm *swarm; /* NULL: not running */
	unsigned key;        /* nodes with the same number have the same key: duplicates */
	uint64_t instance, saved_epoch;
	uint64_t started_at;
	uint64_t tick_at;   /* on the simulated clock */
	uint64_t queued_at; /* the event that looks whether it is time */
	uint64_t offset;    /* its clock is that much ahead */
	uint64_t paused_until;
	struct node_description record;
	/* what it reported */
	unsigned joined, left, failed, supernodes, roles, duplicates, own_duplicates;
	uint64_t sent, sent_bytes, ticks;
	unsigned shares_with; /* the higher of two that lead one epoch, 0: none */
	uint64_t shares_since;
	bool save_fails;
	bool trusting; /* takes all for its kin, whatever they are */
};

struct sim {
	uint64_t now, seed;
	unsigned count;
	struct sim_node nodes[SIM_MAX];
	uint8_t ids[SIM_MAX + 1][GOSSIP_ID]; /* by the number of the key */
	struct sim_event *heap;
	struct sim_datagram *unused;
	unsigned queued, heap_cap;
	uint64_t order;
	unsigned loss_permille, delay_min, delay_max;
	unsigned late_permille;         /* of the datagrams come up to 10 s later than others */
	uint8_t group[SIM_MAX];         /* nodes of different groups cannot reach each other */
	bool blocked[SIM_MAX][SIM_MAX]; /* one way */
	bool barred[SIM_MAX];           /* all others refuse it */
	struct swarm_options options;
	uint64_t leader_changes;
	/* epochs that two nodes led at the same time and hearing each other: how often, now, and how long at most */
	uint64_t shared_epochs, shared_now, shared_longest;
	uint64_t node_ms; /* that nodes have run; see sim_node_ms() */
	/* Told of all that nodes report; may be NULL. Reading is allowed there. */
	void (*told)(void *arg, unsigned node, const struct swarm_event *event);
	void *told_arg;
};

struct sim *sim_new(uint64_t seed, unsigned nodes);
void sim_free(struct sim *sim);
uint64_t sim_random(struct sim *sim);

void sim_start(struct sim *sim, unsigned i);
void sim_kill(struct sim *sim, unsigned i);
void sim_leave(struct sim *sim, unsigned i);
void sim_pause(struct sim *sim, unsigned i, uint64_t ms);
void sim_jump(struct sim *sim, unsigned i, uint64_t ms); /* its clock, forward */
void sim_describe(struct sim *sim, unsigned i);          /* tells the changed record */
/* i learns where j is, as discovery would tell. */
void sim_hint(struct sim *sim, unsigned i, unsigned j);
void sim_hint_all(struct sim *sim, unsigned i); /* everybody of its group, both ways */
void sim_run(struct sim *sim, uint64_t ms);
void sim_expel(struct sim *sim, unsigned i, unsigned j); /* i is told that j was removed */
/* Hands a datagram to a node as if `from` had sent it. */
void sim_inject(struct sim *sim, unsigned from, unsigned to, const struct gossip_message *message);

/* How long all nodes together have run, in their milliseconds. */
uint64_t sim_node_ms(const struct sim *sim);
/* The node that i takes for the supernode, -1: none. */
int sim_leader(const struct sim *sim, unsigned i);
unsigned sim_live(const struct sim *sim, unsigned i);
/* All running nodes of a group name the same one of them, and it leads; nobody else does. */
bool sim_one_leader(const struct sim *sim, uint8_t group);
/* All running nodes of a group: one leader, everyone known to everyone, same digest. */
bool sim_agrees(const struct sim *sim, uint8_t group);
/* Runs until it agrees; ms it took, or UINT64_MAX after `limit`. */
uint64_t sim_until_agreed(struct sim *sim, uint8_t group, uint64_t limit);
void sim_id(const struct sim *sim, unsigned i, uint8_t ret[GOSSIP_ID]);
void sim_key(const struct sim *sim, unsigned i, uint8_t ret[GOSSIP_KEY]);
struct member *sim_member(const struct sim *sim, unsigned i, unsigned j); /* j as i sees it */

#endif
