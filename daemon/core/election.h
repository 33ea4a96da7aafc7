/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which node of an account is the supernode: available, leased, fenced by epochs; no quorum. Members of other accounts are
 * not heard, nor told; they have one of their own.
 *
 *  - The supernode sends beacons with a lease, often to a few and rarely to the others
 * (election_beacon.h); followers whose lease runs out wait by rank, ask a few others
 * whether they still hear it, and else announce themselves with the next epoch. The highest (epoch, rank, id)
 * wins.
 *  - A supernode that works stays, until a pin or a better class has held for a while; then it hands over as
 * planned.
 *  - No epoch is announced before a number at least as high is on disk. Disk writes come in steps of 16
 * epochs.
 *  - Without followers there are no beacons and no wake-ups.
 *
 * Pure. It reads the members and sends through them.
 */
#ifndef CORE_ELECTION_H
#define CORE_ELECTION_H

#include "core/member.h"

struct election;

#define ELECTION_PHASES(X)                                                                                   \
	X(LISTENING, "listening") /* just started: is there one already? */                                  \
	X(FOLLOWING, "following")                                                                            \
	X(WAITING, "waiting") /* the lease ran out; fitter ones go first */                                  \
	X(ASKING, "asking")   /* do others still hear it? */                                                 \
	X(LEADING, "leading")                                                                                \
	X(OFF, "off") /* has left */

enum election_phase {
#define ELECTION_ENUM(name, text) ELECTION_##name,
	ELECTION_PHASES(ELECTION_ENUM)
#undef ELECTION_ENUM
};
const char *election_phase_name(enum election_phase phase);

/* Why there is the present supernode. */
#define ELECTION_REASONS(X)                                                                                  \
	X(NONE, "there is no supernode yet")                                                                 \
	X(FOUND, "it was the supernode when this node came")                                                 \
	X(ALONE, "no other node is known")                                                                   \
	X(FITTEST, "nobody was the supernode, and it is the fittest")                                        \
	X(SILENCE, "the former supernode fell silent, and it was the first of the others to be ready")       \
	X(HANDED, "the former supernode handed over to it")                                                  \
	X(MERGED, "two clusters met, and it had the higher claim")

enum election_reason {
#define ELECTION_ENUM(name, text) ELECTION_BY_##name,
	ELECTION_REASONS(ELECTION_ENUM)
#undef ELECTION_ENUM
};

struct election_options {
	uint32_t lease_ms;  /* 700 */
	uint32_t beacon_ms; /* 200 */
	uint32_t listen_ms; /* 1000: after the start, before a node without news elects itself */
	uint32_t step_ms;   /* 50: each fitter node ahead */
	uint32_t ask_ms;    /* 100: for answers of others */
	uint32_t better_ms; /* 60 s: how long a better class must have held */
	uint32_t pin_ms;    /* 2 s: the same for a pin */
};
struct election_options election_defaults(void);

struct election_env {
	void *arg;
	uint64_t (*random)(void *arg);
	/* Durable when it returns 0. */
	int (*save_epoch)(void *arg, uint64_t epoch);
	/* There is another supernode, or none; election_leader() tells. */
	void (*changed)(void *arg);
	/* Adds the grants of roles to a message that goes out: `whole`, or as is due. */
	void (*add_grants)(void *arg, struct gossip_message *message, bool whole);
	/* Takes those of a message from the supernode or from the one that hands over. False: they are not known here; they
	 * must come whole. */
	bool (*take_grants)(void *arg, const struct gossip_message *message);
};

/* `saved`: the epoch that save_epoch() was last given, 0 at the first start. */
EDGED_MUST_CHECK int election_new(const struct election_options *options, const struct election_env *env,
        struct members *members, uint64_t saved, struct election **ret);
void election_free(struct election *election);

void election_start(struct election *election, uint64_t now);
/* A message of a verified member of this node's account. */
void election_receive(
        struct election *election, uint64_t now, struct member *from, const struct gossip_message *message);
/* A member failed, left or came (back). */
void election_member(
        struct election *election, uint64_t now, const struct member *member, enum member_change change);
/* Members may be of this node's account now that were not, or the other way round. */
void election_kin_changed(struct election *election, uint64_t now);
uint64_t election_tick(struct election *election, uint64_t now);
/* Will the next tick send beacons? */
bool election_beacon_due(const struct election *election, uint64_t now);

/* Leaving: hands over when this node is the supernode. True: done, or nothing to wait for; else call
 * election_tick() and ask election_leaving() again. It never takes longer than 300 ms. */
void election_leave(struct election *election, uint64_t now);
bool election_left(const struct election *election);

bool election_leads(const struct election *election);
/* The id of the supernode (perhaps our own), NULL: none known now. */
const uint8_t *election_leader(const struct election *election);
uint64_t election_epoch(const struct election *election); /* of the present supernode */
uint64_t election_since(const struct election *election); /* ms, on the clock of tick() */
enum election_phase election_phase(const struct election *election);
enum election_reason election_reason(const struct election *election);
/* How fit this node and a member are, for those who list them. */
struct rank election_rank(const struct election *election, const struct member *member); /* NULL: this node */
struct election_counts {
	uint64_t changes, elections, handovers, resignations,
	        refused; /* refused: claims lower than what is known */
};
struct election_counts election_counts(const struct election *election);

#endif
