/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands guard over the bytes of one HTTP/1.1 connection before the HTTP library sees any: frames requests,
 * enforces limits, refuses what is malformed or ambiguous, and holds the next request back until the current
 * one was answered. What comes in may be cut into pieces in any way; what comes out does not depend on it.
 * Pure.
 */
#ifndef CORE_HTTP_GUARD_H
#define CORE_HTTP_GUARD_H

#include "base/buf.h"
#include "core/http_head.h"

enum http_guard_event {
	HTTP_GUARD_MORE, /* all bytes were used up; more are needed */
	HTTP_GUARD_HEAD, /* a head is complete, see guard->head and guard->text; call again with the rest */
	HTTP_GUARD_COMPLETE, /* the request is complete; nothing more is used up until http_guard_next() */
	HTTP_GUARD_REFUSED   /* see guard->refusal; nothing more is used up, ever */
};

enum http_guard_state {
	HTTP_GUARD_IDLE, /* between requests: nothing of the next one has come */
	HTTP_GUARD_IN_HEAD,
	HTTP_GUARD_IN_LENGTH, /* body with Content-Length */
	HTTP_GUARD_IN_SIZE,   /* chunked: the line with the size, ... */
	HTTP_GUARD_IN_EXTENSION,
	HTTP_GUARD_IN_SIZE_LF,
	HTTP_GUARD_IN_CHUNK,
	HTTP_GUARD_IN_CHUNK_CR,
	HTTP_GUARD_IN_CHUNK_LF,
	HTTP_GUARD_IN_TRAILER, /* ... and what may follow the last chunk */
	HTTP_GUARD_AT_END,
	HTTP_GUARD_AT_REFUSAL
};

struct http_guard {
	const struct http_head_limits *limits; /* borrowed */
	enum http_guard_state state;
	struct buf text; /* the head as it came; slices of `head` point into it until http_guard_next() */
	struct http_head *head; /* NULL until the first one is complete */
	struct http_refusal refusal;
	uint64_t body_max; /* of the current request; the owner may change it when the head has come */
	uint64_t left;     /* bytes of the body or chunk to come */
	uint64_t body;     /* bytes of the body so far */
	size_t overhead;   /* bytes of chunk extensions and trailers so far */
	unsigned digits;   /* of the chunk's size so far */
	unsigned trailers; /* trailer lines so far */
	unsigned empty;    /* empty lines in front of the request */
	struct buf line;   /* the trailer line so far */
};

void http_guard_init(struct http_guard *guard, const struct http_head_limits *limits);
void http_guard_fini(struct http_guard *guard);
/* Reads from `bytes`, says in *ret_used how many were used up, and appends the bytes of the body, without their framing, to
 * `body`. */
enum http_guard_event http_guard_feed(
        struct http_guard *guard, struct edged_slice bytes, struct buf *body, size_t *ret_used);
/* The request was answered: the next one may come. */
void http_guard_next(struct http_guard *guard);
/* Refuses from outside, e.g. for lack of a permission. */
void http_guard_refuse(struct http_guard *guard, int status, const char *type, const char *detail);
/* Appends the whole answer to a refused request: head with "Connection: close" and problem document. `more`
 * are further header lines, each with its CR LF, or "". */
EDGED_MUST_CHECK int http_guard_answer(const struct http_guard *guard, const char *more, struct buf *out);

#endif
