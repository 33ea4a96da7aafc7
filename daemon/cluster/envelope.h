/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealed datagrams between nodes. Whoever knows a node's public key can speak to it; every datagram proves which
 * key sent it, and that only the addressee can read it. No trust is needed before: who may do what is decided elsewhere.
 *
 *     'E' 'G' version type | sender's compressed public key 33 | instance 8 | counter 8 | AES-256-GCM | tag 16
 *
 * The key is HMAC-SHA-256(ECDH secret of the pair, sender's key | instance), so each direction of each process has its
 * own, and the counter as nonce is never used twice. A window of 128 numbers for each sender's process refuses repeats.
 *
 * Costs that a stranger can cause are bounded: secrets are made at a limited rate, and a stranger takes a place in
 * the cache only after a datagram that was really sealed for us.
 */
#ifndef CLUSTER_ENVELOPE_H
#define CLUSTER_ENVELOPE_H

#include <stddef.h>
#include "cluster/identity.h"
#include "core/gossip_wire.h"

struct envelope;

enum {
	ENVELOPE_MAX = 1200,
	ENVELOPE_HEAD = 4 + GOSSIP_KEY + 8 + 8,
	ENVELOPE_TAG = 16,
	ENVELOPE_OVERHEAD = ENVELOPE_HEAD + ENVELOPE_TAG
};
_Static_assert(GOSSIP_MAX + ENVELOPE_OVERHEAD <= ENVELOPE_MAX, "a message fits into a datagram");

struct envelope_limits {
	unsigned peers; /* secrets kept, default 1024 */
	unsigned
	        per_second; /* secrets made for unknown senders; as many again for unknown addressees. Default 100 */
};

struct envelope_counts {
	uint64_t held; /* now: secrets kept */
	uint64_t opened, sealed, secrets, replayed, forged, limited, malformed;
};

/* `identity` outlives it. `instance` names this process; random. */
EDGED_MUST_CHECK int envelope_new(const struct identity *identity, uint64_t instance,
        const struct envelope_limits *limits, struct envelope **ret);
void envelope_free(struct envelope *envelope);

/* Seals `len` <= GOSSIP_MAX bytes into `out` (ENVELOPE_MAX). Returns the size, or -EINVAL (no key), -EBUSY (too many new
 * addressees), -EIO. */
EDGED_MUST_CHECK int envelope_seal(struct envelope *envelope, uint64_t now, const uint8_t key[GOSSIP_KEY],
        const uint8_t *bytes, size_t len, uint8_t *out);
/* Opens a datagram into `out` (ENVELOPE_MAX). Returns the size, or -EINVAL (none of ours), -EBUSY (too many new senders),
 * -EBADMSG (forged), -EALREADY (seen before, or too old to tell). */
EDGED_MUST_CHECK int envelope_open(struct envelope *envelope, uint64_t now, const uint8_t *datagram,
        size_t len, uint8_t *out, uint8_t ret_key[GOSSIP_KEY], uint64_t *ret_instance);
/* That process is the member: what replays of its forerunners do to the cache does not touch its window. */
void envelope_keep(struct envelope *envelope, const uint8_t key[GOSSIP_KEY], uint64_t instance);
/* The id of a key: its SHA-256. */
void envelope_identify(struct envelope *envelope, const uint8_t key[GOSSIP_KEY], uint8_t ret_id[GOSSIP_ID]);
struct envelope_counts envelope_counts(const struct envelope *envelope);

#endif
