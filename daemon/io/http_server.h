/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 for clients: libmicrohttpd behind a guard of our own. Serves streams of the protocol "http", whatever
 * carries them, and brings their requests to the router. Main loop.
 *
 *     stream --> guard --> requests --> router
 *     stream <-- socket pair <-- libmicrohttpd <-- answers
 *
 * Every byte of a client passes the guard (core/http_guard.h), and deadlines are absolute and the stream's own. The library
 * gets a head that says no more than what an answer depends on: it never sees what the client wrote. That the client left is
 * seen by the stream, at once, while the library would learn it only when it next writes.
 *
 * A body goes to a route that reads it as it comes (EDGED_ROUTE_STREAMED_BODY) bit by bit, for others it is kept until it is
 * whole; so are small ones, and those of signed requests, whose signature covers them. "100 Continue" is sent once the body is
 * wanted. An answer that comes before the end of a body ends the connection, unless little of it is left.
 */
#ifndef IO_HTTP_SERVER_H
#define IO_HTTP_SERVER_H

#include "core/router.h"
#include "edged/cap_auth.h"
#include "io/listener.h"

struct http_server;

/* What is known of a request when its head has come, to be admitted or not. */
struct http_admission {
	struct edged_slice method;
	struct edged_slice path;          /* decoded, as the router will see it */
	struct edged_slice segments;      /* the same as segments, see core/target.h */
	struct edged_slice host;          /* the Host header; .ptr NULL: none */
	struct edged_slice authorization; /* the header; .ptr NULL: none */
	const struct edged_peer *peer;
	bool websocket; /* it wants to become a stream for MQTT, here or on another node: the broker judges it */
};

/* Let in as whoever it is: what it asks for is for anybody, or judges its clients itself. */
#define HTTP_ANYBODY 1

struct http_server_limits {
	/* Absolute, from the first byte: the head; the body, which may take longer when it comes with 1 kB/s or more;
	 * and how long a connection may be without request. */
	uint64_t header_ms, body_ms, idle_ms;
	size_t headers, body_bytes; /* of one request; the latter when its service takes it whole */
	size_t body_window;         /* bytes kept of a body that is read as it comes */
};

struct http_server_options {
	struct loop *loop; /* the main loop */
	struct listeners *listeners;
	struct requests *requests;
	struct router *router;
	struct http_server_limits limits;
	size_t head_bytes; /* of one request, request line included */
	/* 0: trusted, whether its certificate says so or not; HTTP_ANYBODY; or the status of a refusal (401, 403, ...) with
	 * a title and a detail, which outlive the call. */
	int (*admit)(void *arg, const struct http_admission *admission, const char **ret_title,
	        const char **ret_detail);
	/* Who signed a request that has come whole: as signer() of struct edged_decider. NULL: nobody could say. */
	enum edged_login_outcome (*signer)(
	        void *arg, const struct edged_http_message *message, char ret[EDGED_SIGNER_MAX]);
	void *arg; /* of both */
};

/* Serves "http" from now on, and lets requests expire in time. */
EDGED_MUST_CHECK int http_server_new(
        const struct http_server_options *options, struct http_server **ret, struct err *err);
/* From now on; what is under way keeps the deadline that it has. */
void http_server_set_limits(struct http_server *server, const struct http_server_limits *limits);
/* Every connection ends once the request it works on is answered, at once when there is none. While the loops run. */
void http_server_stop(struct http_server *server);
/* Ends all its connections; requests that are still open are gone. */
void http_server_free(struct http_server *server);

/* Why a request was refused before any service saw it: the last part of the problem's type. */
#define HTTP_REFUSALS(X)                                                                                     \
	X("bad-request")                                                                                     \
	X("bad-target")                                                                                      \
	X("target-too-long")                                                                                 \
	X("headers-too-large")                                                                               \
	X("too-many-headers")                                                                                \
	X("body-too-large")                                                                                  \
	X("http-version")                                                                                    \
	X("expectation-failed")                                                                              \
	X("timeout")                                                                                         \
	X("unauthorized")                                                                                    \
	X("forbidden")                                                                                       \
	X("misdirected")                                                                                     \
	X("not-admitted")                                                                                    \
	X("websocket-version")                                                                               \
	X("websocket-handshake")                                                                             \
	X("limit-reached")
#define HTTP_REFUSAL_ONE(name) +1
enum { HTTP_REFUSAL_COUNT = HTTP_REFUSALS(HTTP_REFUSAL_ONE) };

/* What took too long: the head, the body, the next request, or the client's reading of its answer. */
enum http_late { HTTP_LATE_HEADER, HTTP_LATE_BODY, HTTP_LATE_IDLE, HTTP_LATE_READER, HTTP_LATE_COUNT };

/* For /metrics. */
struct http_server_counts {
	uint64_t connections; /* open now */
	uint64_t half_closed; /* of clients that shut down their side before the answer, ever */
	uint64_t upgraded;    /* to WebSocket */
	uint64_t refused[HTTP_REFUSAL_COUNT];
	uint64_t late[HTTP_LATE_COUNT];
};
const char *http_refusal_name(size_t i);
const char *http_late_name(enum http_late late);
struct http_server_counts http_server_counts(const struct http_server *server);

#endif
