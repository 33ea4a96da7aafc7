/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listeners: listening sockets and what their connections become.
 *
 * A listener is written PROTOCOL=ADDRESS:PORT. Protocols: `http`, `mqtt`, `auto` (told apart by the first bytes), and
 * over TLS `https`, `mqtts`, `tls` (told apart by ALPN, else by the first bytes). ADDRESS may be [IPv6], `*` (all, both
 * families), or for a Unix socket `http=unix:/path`. Port 0 takes a free one. PROTOCOL+proxy is one that only proxies
 * connect to: each connection begins with a header that says who the client is (io/proxy_header.h), within the time for
 * the handshake. Such a client is never on loopback, and has no uid. Who is no proxy of listeners_set_proxies(), or on a
 * Unix socket not root or our own user, or sends no sound header, is closed and counted.
 */
#ifndef IO_LISTENER_H
#define IO_LISTENER_H

#include <stdbool.h>
#include "edged/cap_stream.h"
#include "base/err.h"
#include "io/loop.h"

struct listeners;
struct network;
struct tls_context;

struct listener_limits {
	unsigned connections;            /* all listeners together, default 1,000 for a Pi; refused beyond */
	unsigned connections_per_source; /* one IP address (IPv6: /64); loopback is exempt */
	unsigned accepts_per_second;     /* for one source, with a burst of as many; loopback is exempt */
	uint64_t handshake_ms;           /* TLS handshake and first bytes, absolute */
};

EDGED_MUST_CHECK int listeners_new(
        struct loops *loops, const struct listener_limits *limits, struct listeners **ret);
void listeners_free(struct listeners *listeners);

/* Who serves a protocol: "http", "mqtt", "edged-link/1". -EEXIST. A connection whose protocol nobody serves is closed. */
EDGED_MUST_CHECK int listeners_serve(struct listeners *listeners, const char *protocol,
        const struct edged_stream_handler *handler, void *self);
void listeners_unserve(struct listeners *listeners, const char *protocol); /* aborts its streams */
/* The handler of a protocol, or NULL. For WebSocket hand-over. */
const struct edged_stream_handler *listeners_handler(
        const struct listeners *listeners, const char *protocol, void **ret_self);

/* Opens one. `tls` serves https, mqtts and tls. Errors say which address and why, with the process that holds the port
 * where that can be known. */
EDGED_MUST_CHECK int listeners_open(
        struct listeners *listeners, const char *spec, struct tls_context *tls, struct err *err);
/* From now on. Main loop. */
void listeners_set_limits(struct listeners *listeners, const struct listener_limits *limits);
/* Networks whose PROXY headers are believed, from now on; copied. None at first. Main loop. -ENOMEM: as before. */
EDGED_MUST_CHECK int listeners_set_proxies(
        struct listeners *listeners, const struct network *proxies, size_t count);
/* Closes the one that was opened with this spec; its open streams go on. False: there is none. */
bool listeners_close_one(struct listeners *listeners, const char *spec);
/* Stops accepting; open streams go on. */
void listeners_close(struct listeners *listeners);

struct listener_info {
	const char *spec;     /* as given */
	const char *protocol; /* "http", "mqtt", "auto", "https", "mqtts", "tls", or "http+proxy" and so on */
	char address[128];    /* with the real port: "127.0.0.1:41234", "[::]:8443", "unix:/run/edged.sock" */
	bool tls;
	uint16_t port; /* 0 for a Unix socket */
};
/* The i-th open listener; false when there are not that many. */
bool listeners_info(const struct listeners *listeners, unsigned i, struct listener_info *ret);
/* Is this a well-formed spec? For the configuration check. */
EDGED_MUST_CHECK int listener_spec_check(const char *spec, struct err *err);

#endif
