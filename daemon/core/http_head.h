/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of an HTTP/1.1 request, read strictly (RFC 9112): what two readers could understand differently is
 * refused, so that nothing can be smuggled past one of them. Pure.
 */
#ifndef CORE_HTTP_HEAD_H
#define CORE_HTTP_HEAD_H

#include <stdbool.h>
#include "core/request.h" /* struct header */

enum { HTTP_HEADERS_MAX = 128 };

/* Why a request is refused, as a problem document will say it; status 0: it is not. */
struct http_refusal {
	int status;
	const char *type, *detail; /* text that outlives it */
	const char *title;         /* NULL: the status' phrase */
};

struct http_head_limits {
	size_t target;    /* bytes; beyond: 414 */
	size_t head;      /* bytes of request line and headers; beyond: 431 */
	unsigned headers; /* at most HTTP_HEADERS_MAX; beyond: 431 */
	uint64_t body;    /* bytes; beyond: 413, unless guard->body_max says otherwise */
};

struct http_head {
	struct edged_slice method, target;
	unsigned minor; /* HTTP/1.minor */
	struct header headers[HTTP_HEADERS_MAX];
	size_t header_count;
	bool chunked;
	bool has_length;
	bool expects_continue;
	uint64_t length;
	struct edged_slice host; /* .ptr NULL: none */
};

/* `text` is the whole head with the empty line that ends it; slices of *ret point into it. False: refused. On
 * refusal *ret holds what was read so far. */
bool http_head_parse(struct edged_slice text, const struct http_head_limits *limits, struct http_head *ret,
        struct http_refusal *refusal);
/* Forgets all headers whose names begin with `prefix`, in any case. */
void http_head_drop(struct http_head *head, const char *prefix);
/* The value of the first header of that name; .ptr NULL when there is none. */
struct edged_slice http_head_header(const struct http_head *head, const char *name);
/* Is `word` one of the comma-separated words of the value (in any case)? */
bool http_has_word(struct edged_slice value, const char *word);
/* One "name: value" line without its end; the value without blanks around. False: malformed. */
bool http_field_parse(struct edged_slice line, struct header *ret);

#endif
