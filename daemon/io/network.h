/* SPDX-License-Identifier: Apache-2.0 */
/* Networks of addresses, as operators write them: "192.0.2.7", "10.0.0.0/8", "2001:db8::/32". Pure. */
#ifndef IO_NETWORK_H
#define IO_NETWORK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include "base/err.h"

struct network {
	uint8_t bytes[16]; /* IPv4 as ::ffff:0:0/96 */
	uint8_t bits;      /* of them, 0 to 128 */
};

/* Bits behind the prefix must be zero: "10.1.0.0/8" is a slip. -EINVAL with a sentence. */
EDGED_MUST_CHECK int network_parse(const char *text, struct network *ret, struct err *err);
/* IPv6 addresses that stand for IPv4 ones match those. A Unix socket is in no network. */
bool network_has(const struct network *network, const struct sockaddr_storage *address);

#endif
