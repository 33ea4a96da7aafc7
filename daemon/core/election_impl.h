/* SPDX-License-Identifier: Apache-2.0 */
/* What election.c and election_text.c share. Nobody else includes this. */
#ifndef CORE_ELECTION_IMPL_H
#define CORE_ELECTION_IMPL_H

#include "core/election.h"

struct election {
	struct election_options options;
	struct election_env env;
	struct members *members;

	enum election_phase phase;
	enum election_reason reason;
	bool has_leader;
	uint8_t leader[GOSSIP_ID];
	uint64_t epoch; /* of the leader */
	uint64_t since;

	uint64_t floor; /* saved by an earlier life: we may have announced up to here */
	uint64_t seen;  /* highest that anybody announced */
	uint64_t saved; /* on disk */

	uint64_t now, wanted;
	uint64_t lease_until; /* FOLLOWING */
	uint64_t heard_ms;    /* FOLLOWING: the last beacon */
	uint64_t wait_until;  /* LISTENING, WAITING */
	uint64_t ask_until;   /* ASKING */
	uint64_t asked_ms;    /* FOLLOWING: when the supernode was last asked for a beacon */
	unsigned asked, refusals, strangers;

	uint64_t next_beacon;    /* LEADING */
	uint64_t announce_until; /* LEADING: all get all beacons */
	unsigned beacons;        /* counts the rounds of them */
	uint64_t met_ms;         /* when this reign got its first follower, 0: none yet */
	bool lone;               /* became leader for want of others and led nobody yet */
	uint8_t better[GOSSIP_ID];
	uint64_t better_since; /* 0: nobody is better */
	uint8_t hand_to[GOSSIP_ID];
	uint64_t hand_until; /* 0: not handing over */
	unsigned hand_tries;

	bool leaving;
	uint64_t leave_until;
	struct election_counts counts;
};

/* Is it there, and of this node's account? */
bool election_is_peer(const struct election *election, const struct member *member);
/* NULL is this node. */
bool election_fitter(const struct election *election, const struct member *a, const struct member *b);
/* The fittest of the others that may lead, or NULL. */
const struct member *election_fittest(const struct election *election);

#endif
