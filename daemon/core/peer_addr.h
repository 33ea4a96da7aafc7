/* SPDX-License-Identifier: Apache-2.0 */
/* A UDP or TCP end point as plain data, for the pure parts that know no sockets. */
#ifndef CORE_PEER_ADDR_H
#define CORE_PEER_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct peer_addr {
	uint8_t family; /* 4, 6, or 0: none */
	uint16_t port;
	uint32_t scope; /* interface index of an IPv6 link-local address as this host counts them; never sent
	                 */
	uint8_t ip[16]; /* network order; IPv4 uses the first four, the others are 0 */
};

static inline bool peer_addr_eq(const struct peer_addr *a, const struct peer_addr *b)
{
	return a->family == b->family && a->port == b->port && a->scope == b->scope &&
	       !memcmp(a->ip, b->ip, 16);
}

/* The same host, whatever the port? */
static inline bool peer_addr_same_host(const struct peer_addr *a, const struct peer_addr *b)
{
	return a->family == b->family && a->scope == b->scope && !memcmp(a->ip, b->ip, 16);
}

static inline bool peer_addr_is_any(const struct peer_addr *a)
{
	static const uint8_t zeroes[16];
	return !memcmp(a->ip, zeroes, 16);
}

static inline bool peer_addr_is_loopback(const struct peer_addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };
	return a->family == 4 ? a->ip[0] == 127 : a->family == 6 && !memcmp(a->ip, one, 16);
}

static inline bool peer_addr_is_link_local(const struct peer_addr *a)
{
	return a->family == 6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

#endif
