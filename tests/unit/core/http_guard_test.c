/* SPDX-License-Identifier: Apache-2.0 */
/* core/: the guard in front of the HTTP library. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/http_guard.h"
#include "heap.h"

#define LINE "GET /a HTTP/1.1\r\n"
#define HOST "Host: h\r\n"
#define POST "POST /a HTTP/1.1\r\nHost: h\r\n"

static const struct http_head_limits limits = { .target = 100, .head = 400, .headers = 8, .body = 20 };

/* Feeds all of it in pieces of `step` bytes. Returns the status of a refusal, 0 for a complete request, -1
 * when more is wanted. `clean` gets the body's bytes. */
static int feed(struct http_guard *guard, const char *text, size_t n, size_t step, struct buf *clean)
{
	for (size_t at = 0; at < n;) {
		size_t len = n - at < step ? n - at : step, used;
		enum http_guard_event event =
		        http_guard_feed(guard, edged_slice(text + at, len), clean, &used);
		at += used;
		if (event == HTTP_GUARD_HEAD)
			event = http_guard_feed(guard, edged_slice(NULL, 0), clean, &used);
		if (event == HTTP_GUARD_COMPLETE)
			return 0;
		if (event == HTTP_GUARD_REFUSED)
			return guard->refusal.status;
	}
	return -1;
}

static int judge(const char *text, size_t n)
{
	static const size_t steps[] = { 1, 2, 3, 7, 100000 };
	int result = 0;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct http_guard guard;
		http_guard_init(&guard, &limits);
		CLEANUP(buf_fini) struct buf clean = BUF_EMPTY;
		int r = feed(&guard, text, n, steps[i], &clean);
		if (i > 0 && r != result)
			fail_msg("%d in pieces of %zu, %d else: %s", r, steps[i], result, text);
		result = r;
		http_guard_fini(&guard);
	}
	return result;
}

static const struct {
	const char *text;
	size_t len; /* 0: strlen */
	int status; /* 0: fine, -1: not complete */
} heads[] = {
	{ LINE HOST "\r\n", 0, 0 },
	{ "GET / HTTP/1.0\r\n\r\n", 0, 0 },
	{ "\r\n\r\n" LINE HOST "\r\n", 0, 0 },
	{ "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 0, 0 },
	{ "GET http://h/a HTTP/1.1\r\n" HOST "\r\n", 0, 0 },
	{ LINE "hOST:h\r\nX: \t a b \xc3\xa4 \r\nEmpty:\r\n\r\n", 0, 0 },
	{ LINE HOST, 0, -1 },
	{ POST "Content-Length: 3\r\n\r\nabc", 0, 0 },
	{ POST "Content-Length: 3\r\n\r\nab", 0, -1 },
	{ POST "Content-Length: 0\r\n\r\n", 0, 0 },
	{ POST "Content-Length: 20\r\n\r\n12345678901234567890", 0, 0 },
	{ POST "Transfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 0, 0 },
	{ POST "Transfer-Encoding: chunked\r\n\r\n3 ; a=b\r\nabc\r\n00\r\nA: b\r\n\r\n", 0, 0 },
	{ POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 0, -1 },
	{ POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\na", 0, 0 },
	/* request lines */
	{ "GET /a\r\n" HOST "\r\n", 0, 400 },
	{ "GET  /a HTTP/1.1\r\n" HOST "\r\n", 0, 400 },
	{ "GET /a  HTTP/1.1\r\n" HOST "\r\n", 0, 400 },
	{ "GET /a HTTP/1.1 \r\n" HOST "\r\n", 0, 400 },
	{ "GET /a b HTTP/1.1\r\n" HOST "\r\n", 0, 400 },
	{ "GET\t/a HTTP/1.1\r\n" HOST "\r\n", 0, 400 },
	{ " GET /a HTTP/1.1\r\n" HOST "\r\n", 0, 400 },
	{ "G(T /a HTTP/1.1\r\n" HOST "\r\n", 0, 400 },
	{ "GET /a http/1.1\r\n" HOST "\r\n", 0, 400 },
	{ "GET /a HTTP/1.10\r\n" HOST "\r\n", 0, 400 },
	{ "GET /\ta HTTP/1.1\r\n" HOST "\r\n", 0, 400 },
	{ "GET /a HTTP/9.9\r\n" HOST "\r\n", 0, 505 },
	{ "GET /a HTTP/1.2\r\n" HOST "\r\n", 0, 505 },
	{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, 505 },
	{ "\r\n\r\n\r\n\r\n\r\n\r\n", 0, 400 },
	{ "\x16\x03\x01\x02", 0, 400 },
	/* headers */
	{ LINE "\r\n", 0, 400 },
	{ LINE HOST HOST "\r\n", 0, 400 },
	{ "GET / HTTP/1.0\r\n" HOST "host: x\r\n\r\n", 0, 400 },
	{ LINE "Host: a b\r\n\r\n", 0, 400 },
	{ LINE "Host: h/x\r\n\r\n", 0, 400 },
	{ LINE "Host : h\r\n\r\n", 0, 400 },
	{ LINE HOST "no colon\r\n\r\n", 0, 400 },
	{ LINE HOST ": empty\r\n\r\n", 0, 400 },
	{ LINE HOST "a b: c\r\n\r\n", 0, 400 },
	{ LINE HOST "A: b\r\n c\r\n\r\n", 0, 400 },
	{ LINE HOST "A: b\r\n\tc\r\n\r\n", 0, 400 },
	{ LINE " " HOST "\r\n", 0, 400 },
	{ LINE HOST "A: b\0c\r\n\r\n", sizeof(LINE HOST "A: b\0c\r\n\r\n") - 1, 400 },
	{ LINE HOST "A: b\x7f\r\n\r\n", 0, 400 },
	{ LINE HOST "A: b\x01\r\n\r\n", 0, 400 },
	{ LINE HOST "A: b\rC: d\r\n\r\n", 0, 400 },
	{ LINE HOST "A: b\r\r\n\r\n", 0, 400 },
	{ LINE HOST "A: b\n\r\n", 0, 400 },
	{ "GET / HTTP/1.1\n" HOST "\r\n", 0, 400 },
	/* framing */
	{ POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 0, 400 },
	{ POST "Content-Length: 1\r\ncontent-length: 1\r\n\r\na", 0, 400 },
	{ POST "Content-Length: 1, 1\r\n\r\na", 0, 400 },
	{ POST "Content-Length: -1\r\n\r\n", 0, 400 },
	{ POST "Content-Length: +4\r\n\r\n", 0, 400 },
	{ POST "Content-Length: 0x4\r\n\r\n", 0, 400 },
	{ POST "Content-Length:\r\n\r\n", 0, 400 },
	{ POST "Content-Length: 1 1\r\n\r\n", 0, 400 },
	{ POST "Content-Length: 99999999999999999999999\r\n\r\n", 0, 400 },
	{ POST "Content-Length: 21\r\n\r\n", 0, 413 },
	{ POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 400 },
	{ POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 0, 400 },
	{ POST "Transfer-Encoding: xchunked\r\n\r\n", 0, 400 },
	{ POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 0, 400 },
	{ POST "Transfer-Encoding: identity\r\n\r\n", 0, 400 },
	{ POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 400 },
	{ POST "Transfer-Encoding:\r\n\r\n", 0, 400 },
	{ "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 400 },
	{ POST "Expect: x\r\n\r\n", 0, 417 },
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
	{ CHUNKED "\r\n", 0, 400 },
	{ CHUNKED "g\r\n", 0, 400 },
	{ CHUNKED "-1\r\n", 0, 400 },
	{ CHUNKED "0x3\r\n", 0, 400 },
	{ CHUNKED "3\nabc", 0, 400 },
	{ CHUNKED "3\rxabc", 0, 400 },
	{ CHUNKED "3\r\nabcd\r\n", 0, 400 },
	{ CHUNKED "3\r\nabc\n0\r\n", 0, 400 },
	{ CHUNKED "3;a\nabc", 0, 400 },
	{ CHUNKED "000000003\r\n", 0, 400 },
	{ CHUNKED "ffffffff\r\n", 0, 413 },
	{ CHUNKED "15\r\n", 0, 413 },
	{ CHUNKED "a\r\n1234567890\r\na\r\n1234567890\r\n1\r\n", 0, 413 },
	{ CHUNKED "0\r\nno colon\r\n", 0, 400 },
	{ CHUNKED "0\r\nA: b\rc\r\n", 0, 400 },
};

static void heads_are_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		size_t n = heads[i].len ? heads[i].len : strlen(heads[i].text);
		int status = judge(heads[i].text, n);
		if (status != heads[i].status)
			fail_msg("%d instead of %d: %s", status, heads[i].status, heads[i].text);
	}
}

static void sizes_are_limited(void **state)
{
	(void)state;
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	buf_addf(&text, "GET /%0100d HTTP/1.1\r\n" HOST "\r\n", 0);
	assert_int_equal(judge(text.ptr, text.len), 414);
	buf_clear(&text);
	buf_addf(&text, "GET /%0500d HTTP/1.1\r\n" HOST "\r\n", 0);
	assert_int_equal(judge(text.ptr, text.len), 414);
	buf_clear(&text);
	buf_addf(&text, LINE HOST "A: %0400d\r\n\r\n", 0);
	assert_int_equal(judge(text.ptr, text.len), 431);
	buf_clear(&text);
	buf_add_str(&text, LINE HOST);
	for (int i = 0; i < 8; i++)
		buf_add_str(&text, "A: b\r\n");
	buf_add_str(&text, "\r\n");
	assert_int_equal(judge(text.ptr, text.len), 431);
	buf_clear(&text);
	buf_add_str(&text, CHUNKED);
	for (int i = 0; i < 15; i++)
		buf_addf(&text, "1;%030d\r\nx\r\n", 0);
	assert_int_equal(judge(text.ptr, text.len), 431);
	buf_clear(&text);
	buf_add_str(&text, CHUNKED "0\r\n");
	for (int i = 0; i < 9; i++)
		buf_addf(&text, "A: b\r\n");
	assert_int_equal(judge(text.ptr, text.len), 431);
}

static void heads_are_read(void **state)
{
	(void)state;
	struct http_guard guard;
	http_guard_init(&guard, &limits);
	CLEANUP(buf_fini) struct buf clean = BUF_EMPTY;
	static const char text[] =
	        "PUT /x?y HTTP/1.1\r\nHost: a:1\r\nUpgrade:  websocket \r\nConnection: keep, UPgrade\r\n"
	        "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n";
	size_t used;
	assert_int_equal(http_guard_feed(&guard, edged_str(text), &clean, &used), HTTP_GUARD_HEAD);
	assert_int_equal(used, sizeof(text) - 1);
	assert_true(edged_slice_is(guard.head->method, "PUT"));
	assert_true(edged_slice_is(guard.head->target, "/x?y"));
	assert_true(edged_slice_is(guard.head->host, "a:1"));
	assert_true(edged_slice_is(http_head_header(guard.head, "upgrade"), "websocket"));
	assert_true(http_has_word(http_head_header(guard.head, "CONNECTION"), "upgrade"));
	assert_false(http_has_word(http_head_header(guard.head, "CONNECTION"), "up"));
	assert_null(http_head_header(guard.head, "none").ptr);
	assert_true(guard.head->expects_continue);
	assert_int_equal(guard.head->length, 5);
	assert_int_equal(guard.text.len, sizeof(text) - 1);
	http_guard_fini(&guard);
}

static void chunks_are_passed_without_their_framing(void **state)
{
	(void)state;
	for (size_t step = 1; step < 40; step++) {
		struct http_guard guard;
		http_guard_init(&guard, &limits);
		CLEANUP(buf_fini) struct buf clean = BUF_EMPTY;
		static const char text[] =
		        CHUNKED "3;x=\"y\"\r\nabc\r\nA \r\n0123456789\r\n0;z\r\nT: u\r\n\r\n";
		assert_int_equal(feed(&guard, text, sizeof(text) - 1, step, &clean), 0);
		assert_string_equal(clean.ptr, "abc0123456789");
		assert_int_equal(guard.body, 13);
		http_guard_fini(&guard);
	}
}

static void a_request_may_be_allowed_a_longer_body(void **state)
{
	(void)state;
	static const char *const heads_[] = { POST "Content-Length: 25\r\n\r\n", CHUNKED "19\r\n" };
	for (size_t i = 0; i < ARRAY_LEN(heads_); i++) {
		struct http_guard guard;
		http_guard_init(&guard, &limits);
		CLEANUP(buf_fini) struct buf body = BUF_EMPTY;
		size_t used;
		struct edged_slice bytes = edged_str(heads_[i]);
		assert_int_equal(http_guard_feed(&guard, bytes, &body, &used), HTTP_GUARD_HEAD);
		guard.body_max = 25;
		bytes = edged_slice(bytes.ptr + used, bytes.len - used);
		assert_int_equal(http_guard_feed(&guard, bytes, &body, &used), HTTP_GUARD_MORE);
		http_guard_feed(&guard, edged_str("1234567890123456789012345"), &body, &used);
		assert_int_equal(guard.body, 25);
		http_guard_next(&guard);
		assert_int_equal(guard.body_max, limits.body);
		http_guard_fini(&guard);
	}
}

static void the_next_request_waits(void **state)
{
	(void)state;
	struct http_guard guard;
	http_guard_init(&guard, &limits);
	CLEANUP(buf_fini) struct buf clean = BUF_EMPTY;
	struct edged_slice bytes =
	        edged_str(POST "Content-Length: 2\r\n\r\nabGET /b HTTP/1.1\r\n" HOST "\r\n");
	size_t used;
	assert_int_equal(http_guard_feed(&guard, bytes, &clean, &used), HTTP_GUARD_HEAD);
	bytes = edged_slice(bytes.ptr + used, bytes.len - used);
	assert_int_equal(http_guard_feed(&guard, bytes, &clean, &used), HTTP_GUARD_COMPLETE);
	assert_int_equal(used, 2);
	bytes = edged_slice(bytes.ptr + used, bytes.len - used);
	assert_int_equal(http_guard_feed(&guard, bytes, &clean, &used), HTTP_GUARD_COMPLETE);
	assert_int_equal(used, 0);
	assert_true(edged_slice_is(guard.head->target, "/a"));
	http_guard_next(&guard);
	assert_int_equal(guard.state, HTTP_GUARD_IDLE);
	assert_int_equal(http_guard_feed(&guard, bytes, &clean, &used), HTTP_GUARD_HEAD);
	assert_true(edged_slice_is(guard.head->target, "/b"));
	assert_false(guard.head->has_length);
	http_guard_fini(&guard);
}

static void refusals_are_problem_documents(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *words[4];
	} rows[] = {
		{ "GET /a%20b?q HTTP/9.9\r\n",
		        { "HTTP/1.1 505 HTTP Version Not Supported\r\n", "Connection: close\r\n",
		                "urn:edged:problem:http-version", "\"status\":505" } },
		{ "GET /a?q HTTP/1.1\r\n\r\n", { "HTTP/1.1 400 Bad Request\r\n", "application/problem+json",
		                                       "\"instance\":\"/a\"", "Host" } },
		{ "\x01", { "HTTP/1.1 400 Bad Request\r\n", "TLS", "Content-Length: ", "detail" } },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct http_guard guard;
		http_guard_init(&guard, &limits);
		CLEANUP(buf_fini) struct buf out = BUF_EMPTY;
		feed(&guard, rows[i].text, strlen(rows[i].text), 100, &out);
		feed(&guard, "\r\n", 2, 100, &out);
		assert_int_equal(http_guard_answer(&guard, "", &out), 0);
		for (size_t w = 0; w < 4; w++)
			assert_non_null(strstr(out.ptr, rows[i].words[w]));
		http_guard_fini(&guard);
	}
}

static void lack_of_memory_is_a_refusal(void **state)
{
	(void)state;
	if (!heap_can_fail())
		skip();
	static const char text[] = CHUNKED "3;x=\"y\"\r\nabc\r\n0;z\r\nT: u\r\n\r\n";
	for (long n = 0;; n++) {
		struct http_guard guard;
		http_guard_init(&guard, &limits);
		CLEANUP(buf_fini) struct buf clean = BUF_EMPTY;
		heap_fail_at(n);
		int r = feed(&guard, text, sizeof(text) - 1, 1000, &clean);
		bool failed = heap_failed();
		heap_fail_at(-1);
		/* a run that found no memory is tried again byte by byte */
		assert_true(r == 0 || (failed && r == 503));
		http_guard_fini(&guard);
		if (!failed)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_are_judged),
		cmocka_unit_test(sizes_are_limited),
		cmocka_unit_test(heads_are_read),
		cmocka_unit_test(chunks_are_passed_without_their_framing),
		cmocka_unit_test(a_request_may_be_allowed_a_longer_body),
		cmocka_unit_test(the_next_request_waits),
		cmocka_unit_test(refusals_are_problem_documents),
		cmocka_unit_test(lack_of_memory_is_a_refusal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
