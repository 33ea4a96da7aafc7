/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nodes say to each other in datagrams: the plain text inside the sealed envelope of cluster/gossip.c.
 * Numbers are big-endian. A record is a list of tag, length, value, so that newer nodes may add to it; a
 * message with a type or a trailer that this version does not know is skipped. Pure.
 *
 *     message:  type 1 | incarnation 4 | record version 4 | digest 8 | body by type | [record]
 *
 * Everything here says something about its sender (which the envelope has proven), or is a hint to go and
 * look for oneself: nobody is believed about somebody else.
 */
#ifndef CORE_GOSSIP_WIRE_H
#define CORE_GOSSIP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "core/peer_addr.h"
#include "core/rank.h"

enum {
	GOSSIP_MAX = 1100,       /* bytes of one message; with the envelope at most 1200 */
	GOSSIP_KEY = 33,         /* a compressed public key */
	GOSSIP_ID = 32,          /* its hash */
	GOSSIP_SHORT = 16,       /* start of an id, where only known nodes are named */
	GOSSIP_ADDRESSES = 8,    /* of one node */
	GOSSIP_GRANTS = 8,       /* roles in one message */
	GOSSIP_REASON = 96,      /* longest reason of a grant, with its NUL */
	GOSSIP_SYNC_ENTRIES = 18 /* of one page */
};

/* What a node says about itself. */
struct node_description {
	uint32_t version; /* grows with every change */
	char name[64];
	char account[57]; /* "" for none */
	char os[24], kernel[40], cpu[40], edged[24];
	struct peer_addr addresses[GOSSIP_ADDRESSES]; /* of its secure port */
	uint8_t address_count;
	struct rank rank;
	uint16_t cores;
	uint32_t memory_mib, storage_mib;
	uint64_t services;                  /* hash of its list of services: differs when the list does */
	uint8_t roles_pinned, roles_vetoed; /* by its operator; a bit for each enum role (core/roles.h) */
	uint64_t removals; /* version of its list of nodes that were removed from its account, 0: none */
};

#define GOSSIP_TYPES(X)                                                                                      \
	X(PING, 1)       /* seq, flags: are you there? */                                                    \
	X(ACK, 2)        /* seq */                                                                           \
	X(PING_REQ, 3)   /* seq, target: ask it for me */                                                    \
	X(RELAY_ACK, 4)  /* seq, target, its incarnation: it answered me */                                  \
	X(NACK, 5)       /* seq, target: it did not answer me, but I am here */                              \
	X(ACCUSE, 6)     /* target, its incarnation, flags: it does not answer me */                         \
	X(TELL, 7)       /* nothing but the header and the record: I am here, this is me */                  \
	X(SYNC, 8)       /* flags, entries: whom I know */                                                   \
	X(LEAVE, 9)      /* I go */                                                                          \
	X(DUPLICATE, 10) /* address: somebody there has your id */                                           \
	X(BEACON, 11)    /* epoch, lease, [grants or their hash]: I am the supernode */                      \
	X(LEADER, 12)    /* epoch, target, lease left: whom I hear as supernode (0 left: nobody) */          \
	X(PREVOTE, 13)   /* epoch, 0: I have had no supernode so far: whom do you hear as supernode? */      \
	X(HANDOVER, 14)  /* epoch, grants: be the supernode after me */                                      \
	X(RESIGN, 15)    /* epoch, target: I am no longer the supernode, it is to be */                      \
	X(ROLES, 16)     /* epoch: I do not have the grants of that hash, tell me */

enum gossip_type {
#define GOSSIP_ENUM(name, number) GOSSIP_##name = (number),
	GOSSIP_TYPES(GOSSIP_ENUM)
#undef GOSSIP_ENUM
};

enum {
	GOSSIP_WANT = 1,     /* PING: answer with your record. SYNC: answer with your list */
	GOSSIP_DEAD = 2,     /* ACCUSE: I have given it up */
	GOSSIP_GRANTED = 4,  /* BEACON: the list of grants follows */
	GOSSIP_RENEWED = 32, /* BEACON: the grants of this hash go on */
	GOSSIP_HANDED = 16,  /* BEACON: the former supernode handed over to me */
	GOSSIP_LONE = 8      /* BEACON: I became supernode for want of others, and led nobody so far */
};

struct gossip_entry {
	uint8_t key[GOSSIP_KEY];
	struct peer_addr addr; /* of its gossip port */
	uint32_t version;      /* of its record */
};

struct gossip_grant {
	uint8_t role;
	bool held; /* false: nobody is fit */
	uint8_t holder[GOSSIP_SHORT];
	char reason[GOSSIP_REASON];
};

/* One message, decoded; which members count depends on the type. */
struct gossip_message {
	enum gossip_type type;
	uint32_t incarnation, version; /* of the sender */
	uint64_t digest;               /* of the sender's table */
	uint64_t seq;
	uint8_t flags;
	uint8_t target[GOSSIP_SHORT];
	uint32_t target_incarnation;
	uint64_t epoch;
	uint16_t lease_ms;
	struct peer_addr addr;
	uint8_t entry_count, grant_count;
	struct gossip_entry entries[GOSSIP_SYNC_ENTRIES];
	struct gossip_grant grants[GOSSIP_GRANTS];
	uint32_t grants_hash;
	bool has_record;
	struct node_description record;
};

/* Bytes written to `out`, which has room for GOSSIP_MAX; reasons are cut so that it always fits. */
size_t gossip_encode(const struct gossip_message *message, uint8_t *out);
/* -EINVAL: malformed; -ENOTSUP: a type this version does not know. *ret may be partly written then. */
EDGED_MUST_CHECK int gossip_decode(const uint8_t *bytes, size_t len, struct gossip_message *ret);

const char *gossip_type_name(enum gossip_type type);

#endif
