/* SPDX-License-Identifier: Apache-2.0 */
/* Reading PROTOCOL=ADDRESS:PORT, and addresses as text. */
#ifndef IO_LISTEN_SPEC_H
#define IO_LISTEN_SPEC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include "base/err.h"

struct listen_spec {
	const char *
	        protocol; /* static: "http", "mqtt", "auto", "https", "mqtts", "tls", or one of them + "+proxy" */
	const char *serves; /* static: "http", "mqtt", or NULL when it is told apart */
	bool tls;
	bool proxied; /* the first thing on each connection is the header of a proxy */
	bool any;     /* "*" */
	struct sockaddr_storage address;
	socklen_t address_len;
};

EDGED_MUST_CHECK int listen_spec_parse(const char *text, struct listen_spec *ret, struct err *err);
/* "192.0.2.7:8443" or "[fe80::1%eth0]:8443"; numbers only. -EINVAL. */
EDGED_MUST_CHECK int address_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len);
#define ADDRESS_TEXT 128
void address_text(const struct sockaddr_storage *address, socklen_t len, char ret[ADDRESS_TEXT]);
uint16_t address_port(const struct sockaddr_storage *address);
bool address_is_loopback(const struct sockaddr_storage *address); /* Unix sockets too */

#endif
