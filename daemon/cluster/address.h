/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as others may dial them. */
#ifndef CLUSTER_ADDRESS_H
#define CLUSTER_ADDRESS_H

#include "edged/slice.h"
#include "base/err.h"

/* What a listener's address ("0.0.0.0:8443", "[::]:8443", "192.0.2.7:8443") is from elsewhere: a wildcard
 * becomes all addresses of the machine, loopback last and IPv6 link-local ones left out, since their zone
 * means nothing elsewhere. Appends up to max - count; returns the new count. */
unsigned address_expand(const char *listener, char (*ret)[64], unsigned count, unsigned max);
/* Whom to count an address to that sent something: without port, IPv6 cut to its /64. */
void address_source(const char *address, char ret[64]);

#endif
