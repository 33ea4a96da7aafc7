/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 for clients: libmicrohttpd behind a guard of our own. Serves streams of the protocol "http", whatever
 * carries them, and brings their requests to the router. Main loop.
 *
 *     stream --> guard --> socket pair --> libmicrohttpd --> requests --> router
 *
 * Every byte of a client passes the guard (core/http_guard.h) first, and deadlines are absolute and the stream's own. That
 * the client left is seen by the stream, at once, while the library would learn it only when it next writes.
 */
#ifndef IO_HTTP_SERVER_H
#define IO_HTTP_SERVER_H

#include "core/router.h"
#include "io/listener.h"

struct http_server;

/* What is known of a request when its head has come, to be admitted or not. */
struct http_admission {
	struct edged_slice method;
	struct edged_slice path;          /* decoded, as the router will see it */
	struct edged_slice host;          /* the Host header; .ptr NULL: none */
	struct edged_slice authorization; /* the header; .ptr NULL: none */
	const struct edged_peer *peer;
};

struct http_server_options {
	struct loop *loop; /* the main loop */
	struct listeners *listeners;
	struct requests *requests;
	struct router *router;
	/* Absolute, from the first byte: the head; the body, which may take longer when it comes with 1 kB/s or more;
	 * and how long a connection may be without request. */
	uint64_t header_ms, body_ms, idle_ms;
	size_t head_bytes, headers, body_bytes; /* limits of one request */
	/* 0, or the status of a refusal (401, 403, ...) with a title and a detail, which outlive the call. */
	int (*admit)(void *arg, const struct http_admission *admission, const char **ret_title,
	        const char **ret_detail);
	void *admit_arg;
};

/* Serves "http" from now on, and lets requests expire in time. */
EDGED_MUST_CHECK int http_server_new(
        const struct http_server_options *options, struct http_server **ret, struct err *err);
/* Every connection ends once the request it works on is answered, at once when there is none. While the loops run. */
void http_server_stop(struct http_server *server);
/* Ends all its connections; requests that are still open are gone. */
void http_server_free(struct http_server *server);

/* For /metrics. */
struct http_server_counts {
	uint64_t connections; /* open now */
	uint64_t refused;     /* requests refused before any service saw them */
	uint64_t timeouts;    /* connections that took too long */
	uint64_t upgraded;    /* to WebSocket */
};
struct http_server_counts http_server_counts(const struct http_server *server);

#endif
