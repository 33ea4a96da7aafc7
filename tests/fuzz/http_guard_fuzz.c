/* layers: base core */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard in front of the HTTP library. The first two bytes choose how the rest is cut into pieces; whole,
 * in those pieces and byte by byte the guard must say the same. What it lets through must read as valid once
 * more.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/http_guard.h"

static const struct http_head_limits limits = { .target = 256, .head = 1024, .headers = 16, .body = 4096 };

/* All that the guard says about the input, as text. */
static void note(struct buf *story, const char *what, struct edged_slice text)
{
	buf_addf(story, "[%s %zu]", what, text.len);
	buf_add(story, text.ptr, text.len);
}

static void note_head(struct buf *story, const struct http_head *head)
{
	note(story, "method", head->method);
	note(story, "target", head->target);
	note(story, "host", head->host);
	for (size_t i = 0; i < head->header_count; i++) {
		note(story, "name", head->headers[i].name);
		note(story, "value", head->headers[i].value);
	}
	buf_addf(story, "[minor %u chunked %d length %llu]", head->minor, head->chunked,
	        (unsigned long long)head->length);
}

static void demand(bool fact)
{
	if (!fact)
		__builtin_trap();
}

/* Feeds one piece; false: refused. */
static bool feed(struct http_guard *guard, struct edged_slice piece, struct buf *story, struct buf *clean)
{
	while (piece.len) {
		size_t used;
		enum http_guard_event event = http_guard_feed(guard, piece, clean, &used);
		demand(used <= piece.len);
		piece = edged_slice(piece.ptr + used, piece.len - used);
		if (event == HTTP_GUARD_MORE)
			demand(piece.len == 0);
		if (event == HTTP_GUARD_HEAD) {
			demand(guard->text.len <= limits.head && guard->head->header_count <= limits.headers);
			note_head(story, guard->head);
			/* a request without body is complete with its head */
			event = http_guard_feed(guard, edged_str(NULL), clean, &used);
		}
		if (event == HTTP_GUARD_COMPLETE) {
			demand(guard->body <= limits.body);
			note(story, "body", buf_slice(clean));
			buf_clear(clean);
			http_guard_next(guard);
		}
		if (event == HTTP_GUARD_REFUSED) {
			CLEANUP(buf_fini) struct buf answer = BUF_EMPTY;
			demand(http_guard_answer(guard, "", &answer) == 0);
			note(story, "refused", buf_slice(&answer));
			return false;
		}
	}
	return true;
}

static void tell(const uint8_t *data, size_t n, size_t first, size_t step, struct buf *story)
{
	struct http_guard guard;
	http_guard_init(&guard, &limits);
	CLEANUP(buf_fini) struct buf clean = BUF_EMPTY;
	for (size_t at = 0, len = first; at < n; at += len, len = step) {
		if (len > n - at)
			len = n - at;
		/* a piece of its own, so that reading past its end is noticed */
		char *piece = malloc(len);
		demand(piece != NULL);
		memcpy(piece, data + at, len);
		bool more = feed(&guard, edged_slice(piece, len), story, &clean);
		free(piece);
		if (!more)
			break;
	}
	http_guard_fini(&guard);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 3)
		return 0;
	size_t first = (size_t)data[0] + 1, step = (size_t)data[1] + 1;
	CLEANUP(buf_fini) struct buf whole = BUF_EMPTY;
	CLEANUP(buf_fini) struct buf pieces = BUF_EMPTY;
	CLEANUP(buf_fini) struct buf bytes = BUF_EMPTY;
	tell(data + 2, n - 2, n, n, &whole);
	tell(data + 2, n - 2, first, step, &pieces);
	tell(data + 2, n - 2, 1, 1, &bytes);
	demand(edged_slice_eq(buf_slice(&whole), buf_slice(&pieces)));
	demand(edged_slice_eq(buf_slice(&whole), buf_slice(&bytes)));
	return 0;
}
