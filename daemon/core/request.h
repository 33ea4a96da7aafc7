/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests and answers, whoever brings them (libmicrohttpd for clients, HTTP/2 for other nodes). Pure: no I/O
 * here. A front end makes a request with `requests_open`, the router sends it to a route, and the answer goes
 * back through the front end's `struct request_front`. Everything happens on the main loop.
 */
#ifndef CORE_REQUEST_H
#define CORE_REQUEST_H

#include <stdbool.h>
#include "edged/peer.h"
#include "edged/cap_http.h" /* EDGED_HTTP_FULL */
#include "edged/cap_stream.h"
#include "edged/plugin.h"
#include "base/err.h"

struct header {
	struct edged_slice name, value;
};

/* What a request for a WebSocket (RFC 6455) becomes. */
struct request_upgrade {
	const struct edged_stream_handler *handler; /* gets the stream */
	void *self;
	const char *protocol; /* the subprotocol agreed on; "": none */
	bool raw; /* the handler passes frames on as they are; else it gets the bytes of messages */
};

/* What a front end does with an answer. `front` is its own object for the request. Every request gets exactly
 * one head() and one end(). Called from within requests_* calls; must not call back into them for the same
 * request. */
struct request_front {
	/* length < 0: unknown, the body is streamed. An answer to HEAD has the length that GET would have,
	 * and no body() follows. The headers are valid during the call; among them is no Content-Length. */
	void (*head)(void *front, int status, const struct header *headers, size_t count, int64_t length);
	/* Bytes are copied by the front. Returns bytes now waiting to be sent, for back-pressure; called with
	 * no bytes just to ask for that. */
	size_t (*body)(void *front, struct edged_slice bytes);
	/* ok false: the answer is broken off; the client must be able to tell. `front` is not used any more.
	 */
	void (*end)(void *front, bool ok);
	/* For a body that comes bit by bit: somebody reads it, and has taken `n` more bytes of what requests_body()
	 * gave. Called first with 0, before which no body is to be given. */
	void (*body_wanted)(void *front, size_t n);
	/* The request was for a WebSocket, and becomes one: instead of head() and end(). On failure it is still to be
	 * answered. */
	int (*upgrade)(void *front, const struct request_upgrade *upgrade);
};

struct requests;

/* Bodies of a known length up to this are had whole before the request is brought to the router: such a request can be made
 * again, and what follows it is found. */
enum { REQUEST_SMALL_BODY = 64 * 1024 };

struct request_limits {
	uint32_t open;       /* requests at once, beyond: 503 */
	uint32_t streams;    /* streamed answers at once, beyond: 503 */
	uint64_t answer_ms;  /* time to answer, beyond: 504 */
	size_t stream_mark;  /* bytes waiting from which stream_write says FULL */
	size_t stream_limit; /* hard limit of the same */
	size_t body;         /* bytes of a body that is collected, beyond: 413 */
	size_t bodies;       /* of all that are being collected, beyond: 503 */
};

/* `now` gives milliseconds, monotonic. */
EDGED_MUST_CHECK int requests_new(const struct request_limits *limits, uint64_t (*now)(void *arg),
        void *now_arg, struct requests **ret);
/* From now on; requests that are open keep the time they were given. */
void requests_set_limits(struct requests *requests, const struct request_limits *limits);
void requests_free(struct requests *requests); /* all answered or gone before */
/* `wake` asks for a call of requests_expire() in `ms`; later ones are asked for by what requests_expire()
 * returns. */
void requests_on_wake(struct requests *requests, void (*wake)(void *arg, uint64_t ms), void *arg);

/* What a front end tells about a new request; slices and peer must live until end() or requests_gone(). */
struct request_init {
	struct edged_slice method;
	struct edged_slice target; /* as on the wire: path and query, percent-encoded, at most 4 KiB */
	const struct header *headers;
	size_t header_count;
	struct edged_slice body;
	bool body_comes;     /* instead, bit by bit, by requests_body() */
	int64_t body_length; /* of such a one; < 0: unknown */
	const struct edged_peer *peer;
	const struct request_front *front;
	void *front_data;
	unsigned hops;  /* how many nodes have passed it on */
	bool websocket; /* it asks for one; its handshake was judged as far as all of them are alike */
};
/* -EINVAL: malformed target; -ENOSPC: at the limit. On failure the front end answers by itself. */
EDGED_MUST_CHECK int requests_open(
        struct requests *requests, const struct request_init *init, edged_handle *ret);
/* The client left: whoever works on it learns (on_gone), the handle is stale from now on; front is not called
 * again. */
void requests_gone(struct requests *requests, edged_handle handle);
/* More of a body that comes, after body_wanted() only and not from within it. `last`: that was all. */
void requests_body(struct requests *requests, edged_handle handle, struct edged_slice bytes, bool last);
/* The front end has sent some: a full stream may have room again. */
void requests_room(struct requests *requests, edged_handle handle, size_t waiting);
/* Answers 504 to those whose time ran out; returns ms until the next one, or UINT64_MAX. */
uint64_t requests_expire(struct requests *requests);
/* Ends all that belong to `owner` (a plugin that has stopped: its on_gone is not called) with 503, a streamed
 * answer by breaking it off; returns how many there were. NULL: all, and on_gone is called, since the plugins
 * still run. */
unsigned requests_abandon(struct requests *requests, const void *owner);
/* Who works on it; the router sets it. */
void request_set_owner(struct requests *requests, edged_handle handle, const void *owner);
const void *request_owner(struct requests *requests, edged_handle handle);

/* --- for the router --- */
/* The decoded path as segments, see core/target.h. */
struct edged_slice request_segments(struct requests *requests, edged_handle handle);
/* What request_param() finds; `name` must live as long as the request. -ENOSPC, -ENOENT. */
int request_add_param(
        struct requests *requests, edged_handle handle, struct edged_slice name, size_t offset, size_t len);
/* The request is for another target from now on, no longer than it was, that lives as long; counts as a hop. To be
 * dispatched again. After -EINVAL (malformed, longer) it must be answered. */
int request_retarget(struct requests *requests, edged_handle handle, struct edged_slice target);
/* Has a body coming that nobody reads yet? */
bool request_body_comes(struct requests *requests, edged_handle handle);
/* Reads it: whole(arg, handle) is called when it is there for request_body(). A body that is too long is answered with 413. */
void request_collect_body(struct requests *requests, edged_handle handle,
        void (*whole)(void *arg, edged_handle handle), void *arg);
/* How the request was answered when serve() failed with `error`, a negative errno. */
int request_fail(struct requests *requests, edged_handle handle, int error);

/* --- reading: as edged/cap_http.h says --- */
struct edged_slice request_method(struct requests *requests, edged_handle handle);
struct edged_slice request_path(struct requests *requests, edged_handle handle);
struct edged_slice request_target(struct requests *requests, edged_handle handle); /* raw */
struct edged_slice request_param(struct requests *requests, edged_handle handle, const char *name);
struct edged_slice request_query(struct requests *requests, edged_handle handle, const char *name);
struct edged_slice request_header(struct requests *requests, edged_handle handle, const char *name);
const struct header *request_headers(struct requests *requests, edged_handle handle, size_t *ret_count);
struct edged_slice request_body(struct requests *requests, edged_handle handle);
const struct edged_peer *request_peer(struct requests *requests, edged_handle handle);
unsigned request_hops(struct requests *requests, edged_handle handle);

/* --- reading a body as it comes: as edged/cap_http.h says --- */
int request_read_body(struct requests *requests, edged_handle handle,
        void (*on_body)(void *arg, struct edged_slice bytes, bool last), void *arg);
int request_body_taken(struct requests *requests, edged_handle handle, size_t n);
/* Of a body that comes: -1 when nobody knows. */
int64_t request_body_length(struct requests *requests, edged_handle handle);

/* --- answering: as edged/cap_http.h says. -ENOENT: gone; -EALREADY: a streamed answer has begun; -EINVAL ---
 */
/* -EINVAL also for headers that the front ends write themselves: Content-Length, Connection and their kin. */
int request_set_header(struct requests *requests, edged_handle handle, const char *name, const char *value);
int request_reply(struct requests *requests, edged_handle handle, int status, const char *content_type,
        struct edged_slice body);
/* `type` becomes "urn:edged:problem:<type>"; `instance` is the path. */
int request_problem(struct requests *requests, edged_handle handle, int status, const char *type,
        const char *title, const char *detail);
int request_problemf(struct requests *requests, edged_handle handle, int status, const char *type,
        const char *title, const char *detail_format, ...) __attribute__((format(printf, 6, 7)));
/* -ENOSPC: too many streams, it was answered with 503. */
int request_stream_begin(struct requests *requests, edged_handle handle, int status, const char *content_type,
        void (*on_room)(void *arg), void (*on_gone)(void *arg), void *arg);
int request_stream_write(struct requests *requests, edged_handle handle, struct edged_slice bytes);
int request_stream_end(struct requests *requests, edged_handle handle);
/* Breaks a streamed answer off, so that the client can tell that it is not whole. on_gone is not called. */
int request_stream_abort(struct requests *requests, edged_handle handle);
/* Before the answer has begun: `on_gone` is called when the client leaves or somebody else answered (time ran out, the
 * daemon stops). request_stream_begin() replaces it by its own. -EALREADY: it has begun. */
int request_on_gone(struct requests *requests, edged_handle handle, void (*on_gone)(void *arg), void *arg);

/* --- becoming a WebSocket --- */
bool request_is_websocket(struct requests *requests, edged_handle handle);
/* 0: the request is over, and the handler's open() follows. -EINVAL: it does not ask for that; -ENOENT. */
int request_upgrade(struct requests *requests, edged_handle handle, const struct request_upgrade *upgrade);

/* Figures for /metrics. */
struct request_counts {
	uint64_t open, streams, total, answered_2xx, answered_3xx, answered_4xx, answered_5xx, gone, expired;
	uint64_t bodies_open;  /* now: bodies that come and are read */
	uint64_t body_waiting; /* bytes of those that who reads has not taken */
	uint64_t collected;    /* bytes of bodies that are not whole yet */
};
struct request_counts requests_counts(const struct requests *requests);

#endif
