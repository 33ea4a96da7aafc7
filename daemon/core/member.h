/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Membership: who is there. SWIM with the Lifeguard parts, with one change that lets nodes of different
 * owners share a network: a node believes only what it saw itself. What others say (lists, accusations) makes
 * it look, no more.
 *
 *  - A node is a member once it answered a random number that we sent it: its datagrams may be replays until
 * then.
 *  - Every datagram of a member proves that it lives. Members not heard lately are probed in shuffled rounds:
 * directly, then through three others. One that fails is suspected: it is told first, others look for
 * themselves, and their findings shorten its time. Whoever is accused speaks up with a higher incarnation.
 *  - What failed here may be this node's own fault: local health stretches periods when probes fail without a
 * nack, when accused, and when ticks come late.
 *  - Digests of the tables ride on every message; where they differ, lists are exchanged.
 *  - Gone members leave tombstones, and are called now and then, so that a healed network becomes one again.
 *
 * Pure: sees milliseconds, random numbers and a send function. Silent and without wake-ups while alone.
 */
#ifndef CORE_MEMBER_H
#define CORE_MEMBER_H

#include "core/gossip_wire.h"

struct members;

#define MEMBER_STATES(X)                                                                                     \
	X(HEARD, "heard") /* somebody spoke of it; it has not answered yet */                                \
	X(ALIVE, "alive")                                                                                    \
	X(SUSPECT, "suspect") /* still a member */                                                           \
	X(DEAD, "dead")       /* tombstone */                                                                \
	X(LEFT, "left")       /* tombstone, by its own wish */

enum member_state {
#define MEMBER_ENUM(name, text) MEMBER_##name,
	MEMBER_STATES(MEMBER_ENUM)
#undef MEMBER_ENUM
};
const char *member_state_name(enum member_state state);

enum { MEMBER_TRIES = 4, MEMBER_ACCUSERS = 4, MEMBER_HELPERS = 3 };

/* Another process that uses the same key. */
struct member_rival {
	uint64_t deadline; /* of the answer to check_seq; 0: not asked */
	uint64_t instance; /* 0: none */
	struct peer_addr addr;
	uint64_t seq; /* it must answer this to be taken for real */
	uint64_t asked_ms;
	uint64_t check_seq;   /* the process we know must answer this, or the rival takes its place */
	uint64_t quiet_until; /* decided: not looked at again before */
};

/* One other node. Readable by all of core/ and the driver; written by member*.c only. */
struct member {
	/* what every tick looks at, in one place */
	enum member_state state;
	bool indirect; /* others have been asked */
	bool accused;  /* somebody says it is silent: look soon */
	uint16_t retries;
	uint64_t due_ms;         /* from when it may be probed again */
	uint64_t probe_deadline; /* 0: none out */
	uint64_t suspect_deadline;
	uint64_t retry_ms;      /* HEARD and DEAD: when to call it again */
	uint64_t challenged_ms; /* when a process of it that had not proven to be live was last asked to */
	uint64_t since_ms;      /* in this state */
	uint64_t heard_ms;      /* last proof of life */
	struct member_rival rival;

	uint8_t id[GOSSIP_ID], key[GOSSIP_KEY];
	struct peer_addr addr;                /* of its gossip port, as it last answered from there */
	struct peer_addr tries[MEMBER_TRIES]; /* where it may be */
	uint8_t try_count;
	uint64_t instance; /* its process; 0: not verified */
	uint32_t incarnation;
	struct node_description record; /* record.version == 0: not there yet */
	unsigned failures;              /* how often it was declared dead */

	/* the probe that is out */
	uint64_t seq, sent_ms;
	uint8_t nacks_wanted, nacks;
	uint64_t asked_ms;                /* when others were asked */
	uint64_t helpers[MEMBER_HELPERS]; /* who (start of the id) */
	uint32_t rtt_ms8, rtt_var8;       /* smoothed, in 1/8 ms; 0: not measured */

	uint64_t suspect_from;
	uint64_t accusers[MEMBER_ACCUSERS]; /* who else found it silent (start of the id) */
	uint8_t accuser_count;

	uint64_t synced_ms, synced_digest; /* the last list it got from us, and for which table of its */
	uint32_t version_seen;             /* of its record: ours is older when they differ */
};

enum member_change {
	MEMBER_JOINED = 1,
	MEMBER_BACK,      /* dead or left before */
	MEMBER_UPDATED,   /* its record changed */
	MEMBER_FAILED,    /* declared dead */
	MEMBER_GONE,      /* it said so, or was removed */
	MEMBER_FORGOTTEN, /* its tombstone ends: the pointer dies */
	MEMBER_DUPLICATE  /* two hosts use its id: addr and rival.addr */
};

struct members_env {
	void *arg;
	uint64_t (*random)(void *arg);
	/* One datagram of at most GOSSIP_MAX bytes. May fail silently. */
	void (*send)(void *arg, const uint8_t key[GOSSIP_KEY], const struct peer_addr *to,
	        const uint8_t *bytes, size_t len);
	void (*identify)(void *arg, const uint8_t key[GOSSIP_KEY], uint8_t ret_id[GOSSIP_ID]);
	void (*changed)(void *arg, const struct member *member, enum member_change change);
	/* Another process, reached at addr, has our own key. At most once a minute. */
	void (*own_duplicate)(void *arg, const struct peer_addr *addr);
	/* Nothing of that node is taken, nor sent to it. NULL: there is no such node. */
	bool (*barred)(void *arg, const uint8_t id[GOSSIP_ID]);
	/* Is that member of this node's account? NULL: all are. */
	bool (*kin)(void *arg, const struct member *member);
};

struct members_options {
	uint32_t probe_ms;     /* 500 */
	uint32_t suspicion_ms; /* 1500: at least, once others agree; three times that without them */
	uint32_t tombstone_ms; /* 24 h */
	uint16_t max;          /* members and tombstones: 512 */
	uint16_t max_heard;    /* nodes only heard of: 256 */
};
struct members_options members_defaults(void);

/* Who speaks: the envelope has proven the key, and that this process (instance) never sent these bytes
 * before. */
struct gossip_from {
	uint8_t key[GOSSIP_KEY];
	uint64_t instance;
	struct peer_addr addr;
};

EDGED_MUST_CHECK int members_new(const struct members_options *options, const struct members_env *env,
        const uint8_t key[GOSSIP_KEY], uint64_t instance, struct members **ret);
void members_free(struct members *members);

/* What this node says of itself from now on; all members are told. Its version is set here. */
void members_describe(struct members *members, uint64_t now, const struct node_description *record);
const struct node_description *members_self(const struct members *members);
const uint8_t *members_self_id(const struct members *members);

/* Discovery or a cached list says that a node may be at addr. */
void members_hint(
        struct members *members, uint64_t now, const uint8_t key[GOSSIP_KEY], const struct peer_addr *addr);
/* Takes a decoded message. Returns the verified member that sent it, for the layers above, or NULL: not for
 * them. */
struct member *members_receive(struct members *members, uint64_t now, const struct gossip_from *from,
        const struct gossip_message *message);
/* Does what is due and returns when to be called again, UINT64_MAX: not before something comes. `sending`: the node is
 * awake to send now; what would be due shortly goes out with it, so that sender and receivers wake up once. */
uint64_t members_tick(struct members *members, uint64_t now, bool sending);
/* The network changed: call everybody we do not hear, now. */
void members_wake(struct members *members, uint64_t now);
/* Forgets a member at once: it was removed, and barred() says so from now on. */
void members_expel(struct members *members, uint64_t now, const uint8_t id[GOSSIP_ID]);
/* Says goodbye to everyone; call once, then free. */
void members_leave(struct members *members, uint64_t now);

/* Fills the header and sends to one member. */
void members_send(struct members *members, const struct member *to, struct gossip_message *message);

struct member *members_find(const struct members *members, const uint8_t id[GOSSIP_ID]);
struct member *members_find_short(const struct members *members, const uint8_t short_id[GOSSIP_SHORT]);
/* All known nodes but this one, in any order; NULL at the end. */
struct member *members_at(const struct members *members, unsigned i);
static inline bool member_is_live(const struct member *m)
{
	return m->state == MEMBER_ALIVE || m->state == MEMBER_SUSPECT;
}
unsigned members_live(const struct members *members); /* without this node */
/* Nodes of other accounts are members like others; elections and roles are among kin. */
bool members_kin(const struct members *members, const struct member *member);
unsigned members_live_kin(const struct members *members); /* without this node */
uint64_t members_digest(const struct members *members);
/* Does it listen on its host's loopback only? */
bool member_is_local(const struct member *member);

struct members_counts {
	uint64_t received, sent, dropped, barred, probes, failed_probes, suspicions, refuted, deaths, syncs,
	        duplicates;
	uint32_t health; /* 0: well, 8: worst */
};
struct members_counts members_counts(const struct members *members);

#endif
