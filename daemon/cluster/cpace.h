/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPace: two sides that know the same short secret agree on a key; who does not know it may guess once for each run, and
 * learns nothing that would help to guess elsewhere. The suite CPACE-RISTR255-SHA512 in the setting with an initiator (A)
 * and a responder (B), and its key confirmation, as in draft-irtf-cfrg-cpace-21 (sections 6, 7.3 and 9.4 and appendix B.3),
 * on libsodium's ristretto255. Functions without state; any thread.
 */
#ifndef CLUSTER_CPACE_H
#define CLUSTER_CPACE_H

#include <stdbool.h>
#include <stdint.h>
#include "edged/slice.h"
#include "base/err.h"

enum { CPACE_SCALAR = 32, CPACE_POINT = 32, CPACE_ISK = 64, CPACE_TAG = 64 };

/* What both sides put in; they get the same key only when they agree on all of it. */
struct cpace_input {
	struct edged_slice secret; /* PRS: what only the two know */
	struct edged_slice
	        channel; /* CI: what connects them, with the names of both, the initiator's first */
	struct edged_slice session; /* sid: of this run and no other */
};

/* What one side has sent: its share (Y), and what is authenticated with it (AD). */
struct cpace_sent {
	const uint8_t *share; /* CPACE_POINT bytes */
	struct edged_slice data;
};

/* -EIO: the library cannot be used. */
EDGED_MUST_CHECK int cpace_generator(const struct cpace_input *input, uint8_t ret[CPACE_POINT]);
/* A fresh one for each run. */
EDGED_MUST_CHECK int cpace_scalar(uint8_t ret[CPACE_SCALAR]);
/* scalar * point, to be sent. -EINVAL: the point is none, or the product is the neutral element. */
EDGED_MUST_CHECK int cpace_share(
        const uint8_t scalar[CPACE_SCALAR], const uint8_t generator[CPACE_POINT], uint8_t ret[CPACE_POINT]);
/* The key, from our scalar and the other side's share, which is that of `a` or `b`. -EINVAL as above: break off. */
EDGED_MUST_CHECK int cpace_isk(const uint8_t scalar[CPACE_SCALAR], const uint8_t theirs[CPACE_POINT],
        struct edged_slice session, const struct cpace_sent *a, const struct cpace_sent *b,
        uint8_t ret[CPACE_ISK]);
/* Proves to the other side that the sender of `sent` has the key. */
EDGED_MUST_CHECK int cpace_tag(const uint8_t isk[CPACE_ISK], struct edged_slice session,
        const struct cpace_sent *sent, uint8_t ret[CPACE_TAG]);
/* In a time that does not tell how much of it is right. */
bool cpace_tag_fits(const uint8_t right[CPACE_TAG], struct edged_slice tag);

#endif
