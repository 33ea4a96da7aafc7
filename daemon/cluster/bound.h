/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where this node listens for others by TLS, and what that means to them: only addresses at which somebody would answer
 * are told. A node that listens on loopback alone is there for others of its host only. Pure but for the host's
 * addresses.
 */
#ifndef CLUSTER_BOUND_H
#define CLUSTER_BOUND_H

#include "core/peer_addr.h"

enum { BOUND_MAX = 16 };

struct bound {
	struct peer_addr at[BOUND_MAX]; /* a wildcard has an ip of zeroes; that of IPv6 takes IPv4 too */
	unsigned count;
};

/* From addresses as listeners_info() tells them; those that are none are passed over. */
void bound_read(struct bound *ret, char (*listeners)[64], unsigned count);
uint16_t bound_port(const struct bound *bound); /* of the first, 0: none */
/* On loopback and nowhere else? */
bool bound_is_local(const struct bound *bound);
/* Would a listener answer at this address of the host, whatever the port? */
bool bound_covers(const struct bound *bound, const struct peer_addr *host);
/* What others may dial, best first: global addresses, then those of one link, without zone; loopback only when there is
 * nothing else. Returns how many, at most `max`. */
unsigned bound_addresses(const struct bound *bound, struct peer_addr *ret, unsigned max);

#endif
