/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the daemon over its Unix socket (libcurl). */
#ifndef CTL_HTTP_H
#define CTL_HTTP_H

#include "base/buf.h"

#define HTTP_ANSWER_LIMIT (64u << 20)

struct http;

/* `socket` NULL: the first of the usual places where there is one. */
EDGED_MUST_CHECK int http_new(const char *socket, struct http **ret, struct err *err);
void http_free(struct http *http);

struct http_request {
	const char *method;
	const char *path; /* with query, percent-encoded */
	const char *content_type;
	struct edged_slice body;
	/* For answers that go on: called with bytes of a 2xx answer as they come, instead of keeping them. A
	 * non-zero return ends the request. There is no time limit then. */
	int (*bytes)(void *arg, struct edged_slice bytes);
	void *arg;
};

struct http_answer {
	long status;
	struct buf body; /* all of it, or of an answer that is no 2xx */
};
void http_answer_fini(struct http_answer *answer);

/* -ECONNREFUSED and other errors with a sentence when the daemon cannot be reached or breaks off. */
EDGED_MUST_CHECK int http_call(
        struct http *http, const struct http_request *request, struct http_answer *answer, struct err *err);
/* Several answers that go on, until one ends or is refused. `*ret_which` is that one, `answer` its refusal.
 */
EDGED_MUST_CHECK int http_stream(struct http *http, const struct http_request *requests, size_t count,
        size_t *ret_which, struct http_answer *answer, struct err *err);

/* Appends text percent-encoded; '/' stays when `path`. */
EDGED_MUST_CHECK int http_add_encoded(struct buf *buf, struct edged_slice text, bool path);
/* What the daemon said when it refused: title and detail of a problem document, the message of an AWS error,
 * or the status alone. */
void http_refusal(const struct http_answer *answer, struct err *ret);

#endif
