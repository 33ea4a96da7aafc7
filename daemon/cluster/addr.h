/* SPDX-License-Identifier: Apache-2.0 */
/* End points between their three forms: plain data (core/peer_addr.h), socket address, text. */
#ifndef CLUSTER_ADDR_H
#define CLUSTER_ADDR_H

#include <sys/socket.h>
#include "base/err.h"
#include "core/peer_addr.h"

enum { ADDR_TEXT = 64 };

/* "192.0.2.7:8443", "[fe80::1%eth0]:8443" */
void addr_format(const struct peer_addr *addr, char ret[ADDR_TEXT]);
/* Without the port: "192.0.2.7", "fe80::1%eth0". */
void addr_format_host(const struct peer_addr *addr, char ret[ADDR_TEXT]);
/* -EINVAL: no such form; names are not resolved. */
EDGED_MUST_CHECK int addr_parse(const char *text, struct peer_addr *ret);
socklen_t addr_to_socket(const struct peer_addr *addr, struct sockaddr_storage *ret);
/* IPv4 mapped into IPv6 becomes IPv4. -EAFNOSUPPORT. */
EDGED_MUST_CHECK int addr_from_socket(const struct sockaddr *socket, struct peer_addr *ret);

#endif
