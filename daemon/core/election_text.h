/* SPDX-License-Identifier: Apache-2.0 */
/* The election in words. */
#ifndef CORE_ELECTION_TEXT_H
#define CORE_ELECTION_TEXT_H

#include "base/buf.h"
#include "core/election.h"

/* In one sentence or two: who is the supernode, why, and what the next fittest lacks. */
EDGED_MUST_CHECK int election_explain(const struct election *election, struct buf *out);

#endif
