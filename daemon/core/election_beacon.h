/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beacons: whom the supernode tells how often that it is there. Its deputies, the fittest of the others, hear it every
 * beacon_ms and hold a short lease: they notice its silence, and one of them takes over and tells all. The others hear it
 * rarely and hold a long lease, so that a supernode of many costs its network little. For a while after it became
 * supernode, all hear it often. Within election only; see election_impl.h.
 */
#ifndef CORE_ELECTION_BEACON_H
#define CORE_ELECTION_BEACON_H

#include "core/election.h"

enum { ELECTION_DEPUTIES = 3 };

/* One to that member, with all grants of roles or only what is due. */
void election_send_beacon(struct election *e, const struct member *to, bool whole);
/* To all whose turn it is; sets when the next ones go out. */
void election_send_beacons(struct election *e);
/* To all, for a while: now, or with the next beacons. */
void election_announce(struct election *e);
void election_announce_soon(struct election *e);
/* The fittest of those that may lead but `not`, best first; returns how many. */
unsigned election_deputies(
        const struct election *e, const struct member * not, struct member *ret[ELECTION_DEPUTIES]);

#endif
