/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One link as HTTP/2 (RFC 9113, by nghttp2): bytes in, bytes out, requests and answers. Knows no sockets and
 * no loops; cluster/link_conn.h drives it. One side is the client and sends requests, the other serves them.
 * One owner, no locks.
 *
 * Flow control: the bytes of a body, be it of a request or of an answer, count against its window until
 * link_stream_consume(); so at most limits.window bytes of each are held here and by whoever got them.
 *
 * An answer may be complete before its request is: the rest of the request's body is then not sent.
 *
 * Callbacks are called from link_session_input(), link_session_output() and link_session_free(); they may use
 * any function here but those three.
 */
#ifndef CLUSTER_LINK_SESSION_H
#define CLUSTER_LINK_SESSION_H

#include "core/request.h"
#include "base/buf.h"

struct link_session;
struct link_stream;

struct link_limits {
	uint32_t streams;    /* requests at once from one peer; those beyond wait at the sender */
	uint32_t headers;    /* headers of one message */
	size_t header_bytes; /* names and values of one message */
	uint32_t window;     /* bytes of one body under way; REQUEST_SMALL_BODY at least */
};
#define LINK_LIMITS_DEFAULT                                                                                  \
	{                                                                                                    \
		100, 100, 32 * 1024, 128 * 1024                                                              \
	}

/* A request or the head of an answer that came in. Names are lower case; pseudo-headers and
 * Content-Length are not among the headers. All texts are terminated. Valid as long as the stream. */
struct link_message {
	struct edged_slice method, target; /* of a request */
	struct edged_slice protocol; /* of a request with the method CONNECT: what to speak (RFC 8441) */
	int status;                  /* of an answer */
	const struct header *headers;
	size_t header_count;
	int64_t length; /* of the body, by Content-Length; -1: unknown */
	bool ended;     /* no body follows */
	bool expects;   /* its sender waits until the body is wanted, see link_stream_want() */
};

/* How a call ended. */
enum link_end {
	LINK_END_OK,      /* the whole answer came */
	LINK_END_REFUSED, /* the other side did not begin to work on it: may be sent again */
	LINK_END_BROKEN,  /* broken off by the other side */
	LINK_END_LOST,    /* the connection ended */
	LINK_END_LIMIT,   /* the answer's headers are beyond the limits */
};

/* Client side of one request. No callback after end(), which comes exactly once, or after
 * link_stream_cancel(). */
struct link_call_events {
	void (*head)(void *user, const struct link_message *answer);
	void (*data)(void *user, struct edged_slice bytes);
	void (*end)(void *user, enum link_end how);
	/* For a body that comes: the other side wants it now. Only then link_stream_send() may be called. */
	void (*wanted)(void *user);
	/* n bytes of it have left, `waiting` have not. */
	void (*sent)(void *user, size_t n, size_t waiting);
};
/* Server side of one request. No callback after link_stream_finish() or gone(). */
struct link_serve_events {
	void (*room)(void *user, size_t waiting); /* some of the answer was sent */
	void (*gone)(void *user); /* the client does not want it any more, or the connection ended */
	/* More of the request's body; counts against the window until link_stream_consume(). */
	void (*body)(void *user, struct edged_slice bytes, bool last);
};

struct link_session_owner {
	void (*wants_output)(void *arg); /* something is to be sent: call link_session_output() soon */
	/* Server: the head of a request has come. Take it with link_stream_serve(), or it is answered with 503. */
	void (*request)(void *arg, struct link_stream *stream, const struct link_message *request);
	void *arg;
};

EDGED_MUST_CHECK int link_session_new(bool server, const struct link_limits *limits,
        const struct link_session_owner *owner, struct link_session **ret);
void link_session_free(struct link_session *session); /* ends what is open */

/* Bytes from the peer. -EPROTO: it does not speak HTTP/2 as it should; send what is to be sent and close. */
EDGED_MUST_CHECK int link_session_input(struct link_session *session, const uint8_t *bytes, size_t n);
/* The next bytes to send, valid until the next call; 0: none now; -EPROTO, -ENOMEM. */
EDGED_MUST_CHECK ssize_t link_session_output(struct link_session *session, const uint8_t **ret);
/* Nothing will be read or sent any more: the connection may be closed. */
bool link_session_over(const struct link_session *session);
/* May new requests be sent? Not after the peer said that it goes away. */
bool link_session_open(const struct link_session *session);
unsigned link_session_streams(const struct link_session *session);
/* Bytes of bodies that came and were not consumed, and of those that wait to leave. */
uint64_t link_session_held(const struct link_session *session);
/* Finish what is open, begin nothing new. */
void link_session_shutdown(struct link_session *session);
void link_session_ping(struct link_session *session);
/* Server, every second or so: ends requests whose bodies are wanted and of which no byte has come for `ms`; not `patient`:
 * which are not whole `ms` after they were first looked at. */
void link_session_expire(struct link_session *session, uint64_t now, uint64_t ms, bool patient);
void link_stream_consume(struct link_stream *stream, size_t n); /* by either side */

/* --- client --- */
struct link_send {
	struct edged_slice method, target, authority;
	struct edged_slice protocol;  /* with the method CONNECT (RFC 8441); else empty */
	const struct header *headers; /* without hop-by-hop ones and Content-Length */
	size_t header_count;
	struct edged_slice body; /* must live until end() or cancel */
	bool body_comes;         /* instead, by link_stream_send() */
	int64_t body_length;     /* of such a one; -1: unknown */
	bool expects_continue;   /* of such a one: wanted() not before the other side says so */
};
EDGED_MUST_CHECK int link_session_call(struct link_session *session, const struct link_send *send,
        const struct link_call_events *events, void *user, struct link_stream **ret);
/* Tells the other side that nobody waits for the answer. */
void link_stream_cancel(struct link_stream *stream);
/* More of a body that comes; `last`: that was all. -ENOMEM: the call must be cancelled. */
EDGED_MUST_CHECK int link_stream_send(struct link_stream *stream, struct edged_slice bytes, bool last);

/* --- server --- */
void link_stream_serve(struct link_stream *stream, const struct link_serve_events *events, void *user);
/* The body is wanted: tells a client that waits for that. */
void link_stream_want(struct link_stream *stream);
/* As the functions of struct request_front. */
void link_stream_head(
        struct link_stream *stream, int status, const struct header *headers, size_t count, int64_t length);
size_t link_stream_body(struct link_stream *stream, struct edged_slice bytes);
void link_stream_finish(struct link_stream *stream, bool ok);

#endif
