/* SPDX-License-Identifier: Apache-2.0 */
/* The proof that a node was invited, and the open invites that it is checked against. Pure but for the random
 * secrets. */
#ifndef CLUSTER_JOIN_PROOF_H
#define CLUSTER_JOIN_PROOF_H

#include <stdbool.h>
#include <stdint.h>
#include "edged/slice.h"
#include "base/err.h"
#include "cluster/join.h"
#include "cluster/token.h"

enum { PROOF_LEN = 32, PROOF_EXPORT = 32 };
#define PROOF_LABEL "EXPORTER-edged-join"

/* `exported` is the connection's keying material for PROOF_LABEL. */
EDGED_MUST_CHECK int proof_make(const uint8_t secret[TOKEN_SECRET], const uint8_t exported[PROOF_EXPORT],
        struct edged_slice request, uint8_t ret[PROOF_LEN]);

struct invites {
	unsigned tries; /* as in struct join_limits */
	uint64_t penalty_ms;
	struct invite {
		uint8_t secret[TOKEN_SECRET];
		uint64_t until; /* 0: free */
	} open[JOIN_INVITES];
	struct invite_source {
		char address[64];
		unsigned wrong;
		uint64_t latest;
	} sources[JOIN_SOURCES];
};

/* -ENOSPC: as many as there may be. */
EDGED_MUST_CHECK int invites_add(
        struct invites *invites, uint64_t now, uint64_t until, uint8_t ret[TOKEN_SECRET]);
/* The invite that the proof fits, or NULL. Wrong proofs are counted to the source. */
struct invite *invites_match(struct invites *invites, uint64_t now, const char *source,
        const uint8_t exported[PROOF_EXPORT], struct edged_slice request, struct edged_slice proof);
/* Has the source been wrong too often lately? */
bool invites_shut(const struct invites *invites, uint64_t now, const char *source);
/* How many invites are open, and how many sources are shut out. */
void invites_count(const struct invites *invites, uint64_t now, uint64_t *ret_open, uint64_t *ret_shut);
/* It was used, or must not be any more. */
void invite_close(struct invite *invite);

#endif
