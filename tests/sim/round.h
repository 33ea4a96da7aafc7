/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One simulated cluster that goes through troubles, and what must hold all the time (watch.c):
 *  - one leader per epoch: where two led the same at once, for want of hearing each other, it ends within
 *    SHARED_MS of their hearing each other; and nobody leads an epoch that another one led before its ears;
 *  - one leader in a network that is stable again, within LEADER_MS; one table, of everybody and of nobody else, and
 *    one set of grants, within SETTLE_MS;
 *  - while leader and links are well, no other leader, no other epoch, no death (but for suspicions from before, which end
 *    within AFTERMATH_MS);
 *  - no grant and no leader of an epoch below one that was obeyed before.
 */
#ifndef TESTS_SIM_ROUND_H
#define TESTS_SIM_ROUND_H

#include "sim.h"

/* So long after a copy of a node was refused another process with its key is, too (member_rival.c): a restart is one. */
enum { COPIED_MS = 10000 };
enum { SHARED_MS = 5000, LEADER_MS = 10000, SETTLE_MS = 30000, AFTERMATH_MS = 5000, REIGNS = 256 };

struct reign {
	uint64_t epoch, from, until; /* until 0: goes on */
	unsigned node;
};

struct round {
	struct sim *sim;
	unsigned n;       /* nodes; there is one more, for duplicates of a key */
	int leader;       /* before the trouble */
	uint64_t epoch;   /* its */
	bool leader_well; /* the trouble does not touch it, nor its links, nor who is better */
	const char *trouble;
	const char *broken; /* what did not hold, NULL: all did */
	/* watch.c */
	struct reign reigns[REIGNS];
	unsigned reign_count;
	uint64_t quiet_since[SIM_MAX];  /* since when the node and its links are undisturbed */
	uint64_t copied_until[SIM_MAX]; /* the node has a copy, or had one until lately: it may be met late */
	uint64_t obeyed[SIM_MAX];       /* highest epoch that it followed, in its present life */
	uint64_t slowest_leader, slowest_table;
};

void watch_start(struct round *round);
void watch_born(struct round *round, unsigned node); /* it starts anew */
void watch_disturb(struct round *round);             /* whatever was, it is otherwise from now on */
void watch_unwell(struct round *round); /* links lose or lead one way only, until watch_disturb() */
/* The trouble is over: waits for agreement, and judges. */
void watch_settle(struct round *round);
/* Nothing happens for a while: nothing may change. */
void watch_peace(struct round *round, uint64_t ms);

/* One trouble, chosen by the seed; sets trouble and leader_well. */
void trouble_any(struct round *round);

#endif
