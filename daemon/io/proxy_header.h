/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header by which a proxy says for whom it connects: the PROXY protocol, versions 1 and 2 (haproxy,
 * doc/proxy-protocol.txt, sections 2.1 and 2.2). Pure.
 */
#ifndef IO_PROXY_HEADER_H
#define IO_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "base/err.h"

/* The longest header that is read. Version 1 needs 107 bytes, version 2 with a client's certificate among its
 * extensions a few thousand. */
#define PROXY_HEADER_MAX 4096

struct proxy_header {
	size_t len;   /* bytes of the header */
	bool relayed; /* `client` is known; else the proxy speaks for itself */
	struct sockaddr_storage client;
	socklen_t client_len;
};

/* More bytes are wanted, and all that came belong to the header. */
#define PROXY_HEADER_MORE 1

/* Reads a header at the start of `bytes`, which may go on behind it. 0 and *ret; PROXY_HEADER_MORE; -EPROTO: that is no
 * such header, seen as early as the bytes allow; -EMSGSIZE: it would be longer than PROXY_HEADER_MAX; -EBADMSG: its
 * check sum (CRC32C, section 2.2.3) is wrong. */
EDGED_MUST_CHECK int proxy_header_read(const uint8_t *bytes, size_t n, struct proxy_header *ret);

#endif
