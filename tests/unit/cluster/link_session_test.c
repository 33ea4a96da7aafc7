/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 on links: two sessions joined by memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/link_header.h"
#include "cluster/link_session.h"

enum { CALLS = 64 };

struct call {
	struct link_stream *stream;
	struct buf body;
	int status;
	char type[64];
	unsigned heads, ends;
	size_t unconsumed;
	enum link_end how;
	size_t sent, waiting; /* of a body that comes */
	unsigned wanted;
	bool hold, cancel_on_head;
};

struct pair {
	struct link_session *client, *server;
	struct link_stream *served;
	struct buf request_body;
	char method[16], target[64], caller[64];
	unsigned requests, gone, rooms;
	size_t waiting, unconsumed; /* of an answer; of a request's body */
	int64_t length;
	bool whole, expects;
	bool decline; /* takes no request */
	bool hold;    /* does not consume bodies */
	struct call call[CALLS];
};

static void quiet(void *arg)
{
	(void)arg;
}

static void on_room(void *user, size_t waiting)
{
	struct pair *p = user;
	p->rooms++;
	p->waiting = waiting;
}

static void on_gone(void *user)
{
	struct pair *p = user;
	p->gone++;
	p->served = NULL;
}

static void on_body(void *user, struct edged_slice bytes, bool last)
{
	struct pair *p = user;
	assert_false(p->whole);
	assert_int_equal(buf_add(&p->request_body, bytes.ptr, bytes.len), 0);
	p->whole = last;
	if (p->hold)
		p->unconsumed += bytes.len;
	else if (p->served)
		link_stream_consume(p->served, bytes.len);
}

static const struct link_serve_events serve_events = { on_room, on_gone, on_body };

static void on_request(void *arg, struct link_stream *stream, const struct link_message *request)
{
	struct pair *p = arg;
	p->requests++;
	snprintf(p->method, sizeof(p->method), "%s", request->method.ptr);
	snprintf(p->target, sizeof(p->target), "%s", request->target.ptr);
	for (size_t i = 0; i < request->header_count; i++)
		if (edged_slice_is(request->headers[i].name, "edged-caller"))
			snprintf(p->caller, sizeof(p->caller), "%s", request->headers[i].value.ptr);
	buf_clear(&p->request_body);
	p->whole = request->ended;
	p->length = request->length;
	p->expects = request->expects;
	if (p->decline)
		return;
	p->served = stream;
	link_stream_serve(stream, &serve_events, p);
}

static void on_head(void *user, const struct link_message *answer)
{
	struct call *call = user;
	call->heads++;
	call->status = answer->status;
	for (size_t i = 0; i < answer->header_count; i++)
		if (edged_slice_is(answer->headers[i].name, "content-type"))
			snprintf(call->type, sizeof(call->type), "%s", answer->headers[i].value.ptr);
	if (call->cancel_on_head)
		link_stream_cancel(call->stream);
}

static void on_data(void *user, struct edged_slice bytes)
{
	struct call *call = user;
	assert_int_equal(buf_add(&call->body, bytes.ptr, bytes.len), 0);
	if (call->hold)
		call->unconsumed += bytes.len;
	else
		link_stream_consume(call->stream, bytes.len);
}

static void on_end(void *user, enum link_end how)
{
	struct call *call = user;
	call->ends++;
	call->how = how;
	call->stream = NULL;
}

static void on_wanted(void *user)
{
	struct call *call = user;
	call->wanted++;
}

static void on_sent(void *user, size_t n, size_t waiting)
{
	struct call *call = user;
	call->sent += n;
	call->waiting = waiting;
}

static const struct link_call_events call_events = { on_head, on_data, on_end, on_wanted, on_sent };

/* Moves bytes in both directions until both are silent. */
static void flow(struct pair *p)
{
	for (bool moved = true; moved;) {
		moved = false;
		const uint8_t *bytes;
		ssize_t n;
		while ((n = link_session_output(p->client, &bytes)) > 0) {
			assert_int_equal(link_session_input(p->server, bytes, (size_t)n), 0);
			moved = true;
		}
		assert_int_equal(n, 0);
		while ((n = link_session_output(p->server, &bytes)) > 0) {
			assert_int_equal(link_session_input(p->client, bytes, (size_t)n), 0);
			moved = true;
		}
		assert_int_equal(n, 0);
	}
}

static struct link_limits limits = LINK_LIMITS_DEFAULT;

static int setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));
	const struct link_session_owner client = { quiet, NULL, NULL }, server = { quiet, on_request, p };
	limits = (struct link_limits)LINK_LIMITS_DEFAULT;
	assert_int_equal(link_session_new(false, &limits, &client, &p->client), 0);
	assert_int_equal(link_session_new(true, &limits, &server, &p->server), 0);
	flow(p);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;
	link_session_free(p->client);
	link_session_free(p->server);
	buf_fini(&p->request_body);
	for (int i = 0; i < CALLS; i++)
		buf_fini(&p->call[i].body);
	free(p);
	return 0;
}

static struct call *begin(struct pair *p, unsigned i, const char *method, struct edged_slice body)
{
	static const struct header headers[] = { { { "Edged-Caller", 12 }, { "me", 2 } } };
	const struct link_send send = { .method = edged_str(method),
		.target = edged_str("/a/b?c=d"),
		.authority = edged_str("node"),
		.headers = headers,
		.header_count = 1,
		.body = body };
	assert_int_equal(
	        link_session_call(p->client, &send, &call_events, &p->call[i], &p->call[i].stream), 0);
	return &p->call[i];
}

static const struct header text[] = { { { "Content-Type", 12 }, { "text/plain", 10 } } };

static void answer(struct pair *p, int status, const char *body)
{
	assert_non_null(p->served);
	link_stream_head(p->served, status, text, 1, (int64_t)strlen(body));
	if (*body)
		link_stream_body(p->served, edged_str(body));
	link_stream_finish(p->served, true);
	flow(p);
}

static void a_request_is_answered(void **state)
{
	struct pair *p = *state;
	struct call *call = begin(p, 0, "POST", edged_str("hello"));
	flow(p);
	assert_string_equal(p->method, "POST");
	assert_string_equal(p->target, "/a/b?c=d");
	assert_string_equal(p->caller, "me");
	assert_string_equal(p->request_body.ptr, "hello");
	answer(p, 201, "done");
	assert_int_equal(call->status, 201);
	assert_string_equal(call->type, "text/plain");
	assert_string_equal(call->body.ptr, "done");
	assert_int_equal(call->ends, 1);
	assert_int_equal(call->how, LINK_END_OK);
	assert_int_equal(link_session_streams(p->client), 0);
	assert_int_equal(link_session_streams(p->server), 0);
	assert_int_equal(p->gone, 0);
}

static void head_has_no_body(void **state)
{
	struct pair *p = *state;
	struct call *call = begin(p, 0, "HEAD", edged_str(""));
	flow(p);
	link_stream_head(p->served, 200, text, 1, 1000);
	link_stream_finish(p->served, true);
	flow(p);
	assert_int_equal(call->how, LINK_END_OK);
	assert_int_equal(call->status, 200);
	assert_int_equal(call->body.len, 0);
}

static void a_stream_arrives_bit_by_bit(void **state)
{
	struct pair *p = *state;
	struct call *call = begin(p, 0, "GET", edged_str(""));
	flow(p);
	link_stream_head(p->served, 200, text, 1, -1);
	flow(p);
	assert_int_equal(call->heads, 1);
	for (int i = 0; i < 3; i++) {
		link_stream_body(p->served, edged_str("event\n"));
		flow(p);
		assert_int_equal(call->body.len, 6 * (i + 1));
	}
	assert_int_equal(call->ends, 0);
	link_stream_finish(p->served, true);
	flow(p);
	assert_int_equal(call->how, LINK_END_OK);
}

static void a_slow_reader_stops_the_writer(void **state)
{
	struct pair *p = *state;
	static char block[400000];
	struct call *slow = begin(p, 0, "GET", edged_str(""));
	slow->hold = true;
	flow(p);
	struct link_stream *served = p->served;
	link_stream_head(served, 200, text, 1, -1);
	link_stream_body(served, edged_slice(block, sizeof(block)));
	flow(p);
	assert_int_equal(slow->body.len, limits.window);
	assert_int_equal(link_stream_body(served, edged_str("")), sizeof(block) - limits.window);
	/* Others go on meanwhile. */
	struct call *quick = begin(p, 1, "GET", edged_str(""));
	flow(p);
	answer(p, 200, "quick");
	assert_int_equal(quick->how, LINK_END_OK);
	/* Reading on lets the rest come. */
	p->rooms = 0;
	while (slow->unconsumed) {
		size_t n = slow->unconsumed;
		slow->unconsumed = 0;
		link_stream_consume(slow->stream, n);
		flow(p);
	}
	assert_true(p->rooms > 0);
	assert_int_equal(slow->body.len, sizeof(block));
	link_stream_finish(served, true);
	flow(p);
	assert_int_equal(slow->how, LINK_END_OK);
}

static void unread_answers_do_not_use_up_the_link(void **state)
{
	struct pair *p = *state;
	static char block[200000];
	for (int i = 0; i < 300; i++) {
		struct call *call = &p->call[0];
		buf_clear(&call->body);
		begin(p, 0, "GET", edged_str(""));
		call->hold = true;
		flow(p);
		assert_non_null(p->served);
		link_stream_head(p->served, 200, text, 1, -1);
		link_stream_body(p->served, edged_slice(block, sizeof(block)));
		flow(p);
		assert_int_equal(call->body.len, limits.window);
		link_stream_cancel(call->stream);
		flow(p);
		assert_null(p->served);
	}
	assert_int_equal(link_session_streams(p->client), 0);
	assert_int_equal(link_session_streams(p->server), 0);
}

static void a_cancelled_call_is_gone_at_the_server(void **state)
{
	struct pair *p = *state;
	begin(p, 0, "GET", edged_str(""));
	flow(p);
	link_stream_cancel(p->call[0].stream);
	flow(p);
	assert_int_equal(p->gone, 1);
	assert_int_equal(p->call[0].ends, 0);
	/* before it was ever sent, and while its body is being sent */
	static char block[90000];
	struct call *call = begin(p, 1, "POST", edged_slice(block, sizeof(block)));
	link_stream_cancel(call->stream);
	flow(p);
	assert_int_equal(p->requests, 1);
	call = begin(p, 2, "POST", edged_slice(block, sizeof(block)));
	const uint8_t *bytes;
	ssize_t n = link_session_output(p->client, &bytes);
	assert_int_equal(link_session_input(p->server, bytes, (size_t)n), 0);
	assert_int_equal(p->requests, 2);
	assert_false(p->whole);
	link_stream_cancel(call->stream);
	flow(p);
	assert_false(p->whole);
	assert_int_equal(p->gone, 2);
	assert_int_equal(link_session_streams(p->client), 0);
	assert_int_equal(link_session_streams(p->server), 0);
}

static void a_call_may_be_cancelled_from_its_head(void **state)
{
	struct pair *p = *state;
	struct call *call = begin(p, 0, "GET", edged_str(""));
	call->cancel_on_head = true;
	flow(p);
	link_stream_head(p->served, 200, text, 1, -1);
	link_stream_body(p->served, edged_str("not wanted"));
	flow(p);
	assert_int_equal(call->ends, 0);
	assert_int_equal(call->body.len, 0);
	assert_int_equal(p->gone, 1);
}

static void a_broken_answer_is_told_from_a_whole_one(void **state)
{
	struct pair *p = *state;
	struct call *call = begin(p, 0, "GET", edged_str(""));
	flow(p);
	link_stream_head(p->served, 200, text, 1, -1);
	link_stream_body(p->served, edged_str("half"));
	flow(p);
	link_stream_finish(p->served, false);
	flow(p);
	assert_int_equal(call->ends, 1);
	assert_int_equal(call->how, LINK_END_BROKEN);
}

static void a_lost_connection_ends_everything(void **state)
{
	struct pair *p = *state;
	struct call *call = begin(p, 0, "GET", edged_str("")), *other = begin(p, 1, "GET", edged_str(""));
	flow(p);
	link_session_free(TAKE(p->client));
	link_session_free(TAKE(p->server));
	assert_int_equal(call->how, LINK_END_LOST);
	assert_int_equal(other->ends, 1);
	assert_int_equal(p->gone, 2);
}

static struct call *begin_coming(struct pair *p, unsigned i, int64_t length, bool expects)
{
	const struct link_send send = { .method = edged_str("PUT"),
		.target = edged_str("/a"),
		.authority = edged_str("node"),
		.body_comes = true,
		.body_length = length,
		.expects_continue = expects };
	struct call *call = &p->call[i];
	assert_int_equal(link_session_call(p->client, &send, &call_events, call, &call->stream), 0);
	flow(p);
	return call;
}

static void a_body_flows_as_it_is_taken(void **state)
{
	struct pair *p = *state;
	static char block[300000];
	p->hold = true;
	struct call *call = begin_coming(p, 0, -1, false);
	assert_int_equal(p->requests, 1);
	assert_int_equal(p->length, -1);
	assert_int_equal(call->wanted, 1);
	assert_int_equal(link_stream_send(call->stream, edged_str("first"), false), 0);
	flow(p);
	assert_int_equal(p->request_body.len, 5);
	assert_int_equal(call->sent, 5);
	assert_int_equal(link_stream_send(call->stream, edged_slice(block, sizeof(block)), true), 0);
	flow(p);
	/* no more than the window until something is taken */
	assert_int_equal(p->request_body.len, limits.window);
	assert_int_equal(call->sent, limits.window);
	assert_int_equal(call->waiting, sizeof(block) + 5 - limits.window);
	/* others go on meanwhile */
	struct link_stream *held = p->served;
	p->hold = false;
	size_t unconsumed = p->unconsumed;
	begin(p, 1, "GET", edged_str(""));
	flow(p);
	answer(p, 200, "quick");
	assert_int_equal(p->call[1].how, LINK_END_OK);
	p->served = held;
	buf_clear(&p->request_body);
	p->whole = false;
	link_stream_consume(held, unconsumed);
	flow(p);
	assert_int_equal(call->sent, sizeof(block) + 5);
	assert_int_equal(p->request_body.len, sizeof(block) + 5 - limits.window);
	assert_true(p->whole);
	answer(p, 200, "all");
	assert_int_equal(call->how, LINK_END_OK);
}

static void a_body_may_wait_until_it_is_wanted(void **state)
{
	struct pair *p = *state;
	struct call *call = begin_coming(p, 0, 7, true);
	assert_int_equal(p->length, 7);
	assert_true(p->expects);
	assert_int_equal(call->wanted, 0);
	link_stream_want(p->served);
	flow(p);
	assert_int_equal(call->wanted, 1);
	assert_int_equal(call->heads, 0);
	assert_int_equal(link_stream_send(call->stream, edged_str("content"), true), 0);
	flow(p);
	assert_string_equal(p->request_body.ptr, "content");
	answer(p, 200, "");
	assert_int_equal(call->how, LINK_END_OK);
	/* it is not wanted at all */
	call = begin_coming(p, 1, 7, true);
	answer(p, 403, "no");
	assert_int_equal(call->wanted, 0);
	assert_int_equal(call->status, 403);
	assert_int_equal(call->how, LINK_END_OK);
	assert_int_equal(link_session_streams(p->client), 0);
	assert_int_equal(link_session_streams(p->server), 0);
}

static void an_early_answer_ends_the_request(void **state)
{
	struct pair *p = *state;
	static char block[300000];
	p->hold = true;
	for (int i = 0; i < 200; i++) { /* nothing of it stays behind, be it of the link's window */
		struct call *call = begin_coming(p, 0, -1, false);
		assert_int_equal(link_stream_send(call->stream, edged_slice(block, sizeof(block)), true), 0);
		flow(p);
		assert_int_equal(p->request_body.len, limits.window);
		answer(p, 413, "too much");
		assert_int_equal(call->ends, i + 1);
		assert_int_equal(call->how, LINK_END_OK);
		assert_int_equal(call->status, 413);
		buf_clear(&call->body);
		assert_int_equal(link_session_streams(p->client), 0);
		assert_int_equal(link_session_streams(p->server), 0);
	}
}

static int send_headers(struct pair *p, unsigned i, size_t count, size_t size)
{
	struct header *headers = calloc(count, sizeof(*headers));
	char *value = malloc(size);
	memset(value, 'v', size);
	for (size_t n = 0; n < count; n++)
		headers[n] = (struct header){ edged_str("x"), edged_slice(value, size) };
	const struct link_send send = { .method = edged_str("GET"),
		.target = edged_str("/"),
		.authority = edged_str("node"),
		.headers = headers,
		.header_count = count };
	int r = link_session_call(p->client, &send, &call_events, &p->call[i], &p->call[i].stream);
	flow(p);
	free(headers);
	free(value);
	return r;
}

static void headers_have_limits(void **state)
{
	struct pair *p = *state;
	assert_int_equal(send_headers(p, 0, 200, 10), 0);
	assert_int_equal(p->call[0].status, 431);
	assert_int_equal(send_headers(p, 1, 9, 4000), 0);
	assert_int_equal(p->call[1].status, 431);
	assert_int_equal(send_headers(p, 2, 90, 10), 0);
	assert_int_equal(p->requests, 1);
	/* and those of an answer */
	struct header headers[200];
	for (size_t i = 0; i < ARRAY_LEN(headers); i++)
		headers[i] = text[0];
	link_stream_head(p->served, 200, headers, ARRAY_LEN(headers), 0);
	link_stream_finish(p->served, true);
	flow(p);
	assert_int_equal(p->call[2].ends, 1);
	assert_int_equal(p->call[2].how, LINK_END_LIMIT);
}

static void requests_beyond_the_limit_wait(void **state)
{
	struct pair *p = *state;
	struct pair *q = p;
	limits.streams = 2;
	link_session_free(p->server);
	link_session_free(p->client);
	const struct link_session_owner client = { quiet, NULL, NULL }, server = { quiet, on_request, q };
	assert_int_equal(link_session_new(false, &limits, &client, &p->client), 0);
	assert_int_equal(link_session_new(true, &limits, &server, &p->server), 0);
	flow(p);
	for (unsigned i = 0; i < 5; i++)
		begin(p, i, "GET", edged_str(""));
	flow(p);
	assert_int_equal(p->requests, 2);
	answer(p, 200, "x");
	assert_int_equal(p->requests, 3);
	link_stream_cancel(p->call[4].stream); /* waits still */
	flow(p);
	assert_int_equal(p->call[3].ends, 0);
}

static void nobody_takes_it_503(void **state)
{
	struct pair *p = *state;
	p->decline = true;
	struct call *call = begin(p, 0, "GET", edged_str(""));
	flow(p);
	assert_int_equal(call->status, 503);
}

static void after_goodbye_nothing_new_begins(void **state)
{
	struct pair *p = *state;
	struct call *call = begin(p, 0, "GET", edged_str(""));
	flow(p);
	link_session_shutdown(p->server);
	flow(p);
	assert_false(link_session_open(p->client));
	assert_false(link_session_over(p->server));
	answer(p, 200, "last");
	assert_int_equal(call->how, LINK_END_OK);
	assert_true(link_session_over(p->server));
}

static void a_request_that_goodbye_overtook_is_refused(void **state)
{
	struct pair *p = *state;
	link_session_shutdown(p->server);
	struct call *call = begin(p, 0, "GET", edged_str(""));
	flow(p);
	assert_int_equal(call->ends, 1);
	assert_int_equal(call->how, LINK_END_REFUSED);
	assert_int_equal(p->requests, 0);
}

static void unfinished_requests_expire(void **state)
{
	struct pair *p = *state;
	static char block[90000];
	struct call *call = begin(p, 0, "PUT", edged_slice(block, sizeof(block)));
	const uint8_t *bytes;
	ssize_t n = link_session_output(p->client, &bytes);
	assert_int_equal(link_session_input(p->server, bytes, (size_t)n), 0);
	link_stream_want(p->served);
	link_session_expire(p->server, 1000, 30000, false);
	link_session_expire(p->server, 31000, 30000, false);
	assert_int_equal(link_session_streams(p->server), 1);
	link_session_expire(p->server, 31001, 30000, false);
	while (link_session_output(p->server, &bytes) > 0)
		;
	assert_int_equal(link_session_streams(p->server), 0);
	(void)call;
}

static void a_body_that_goes_on_does_not_expire(void **state)
{
	struct pair *p = *state;
	struct call *call = begin_coming(p, 0, -1, false);
	uint64_t now = 1000;
	link_session_expire(p->server, now += 31000, 30000, true); /* nobody wants it yet */
	link_stream_want(p->served);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(link_stream_send(call->stream, edged_str("more"), false), 0);
		flow(p);
		link_session_expire(p->server, now += 31000, 30000, true);
	}
	p->hold = true;
	assert_int_equal(link_stream_send(call->stream, edged_str("more"), false), 0);
	flow(p);
	for (int i = 0; i < 3; i++) /* it is not taken: that is not the peer's doing */
		link_session_expire(p->server, now += 31000, 30000, true);
	flow(p);
	assert_int_equal(call->ends, 0);
	link_stream_consume(p->served, p->unconsumed);
	link_session_expire(p->server, now += 30000, 30000, true);
	flow(p);
	assert_int_equal(call->ends, 0);
	link_session_expire(p->server, now += 1, 30000, true);
	flow(p);
	assert_int_equal(call->how, LINK_END_BROKEN);
	assert_int_equal(p->gone, 1);
}

static void rubbish_is_a_protocol_error(void **state)
{
	struct pair *p = *state;
	const uint8_t rubbish[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	struct link_session *server;
	const struct link_session_owner owner = { quiet, on_request, p };
	assert_int_equal(link_session_new(true, &limits, &owner, &server), 0);
	assert_int_equal(link_session_input(server, rubbish, sizeof(rubbish) - 1), -EPROTO);
	link_session_free(server);
}

static void hop_headers_are_known(void **state)
{
	(void)state;
	struct edged_slice connection = edged_str("close, X-Private ,x-other");
	static const char *const hops[] = { "Connection", "TE", "Keep-Alive", "Transfer-Encoding", "Upgrade",
		"x-private", "X-OTHER", "Host", "Content-Length", "Edged-Hops", "edged-caller",
		"Proxy-Authorization" };
	static const char *const ends[] = { "Content-Type", "Accept", "X-Priv", "X-Private-2", "Via",
		"If-Match" };
	for (size_t i = 0; i < ARRAY_LEN(hops); i++)
		assert_true(link_header_is_hop(edged_str(hops[i]), connection));
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		assert_false(link_header_is_hop(edged_str(ends[i]), connection));
	assert_false(link_header_is_hop(edged_str("x"), edged_str(",,")));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_request_is_answered),
		T(head_has_no_body),
		T(a_stream_arrives_bit_by_bit),
		T(a_slow_reader_stops_the_writer),
		T(unread_answers_do_not_use_up_the_link),
		T(a_cancelled_call_is_gone_at_the_server),
		T(a_call_may_be_cancelled_from_its_head),
		T(a_broken_answer_is_told_from_a_whole_one),
		T(a_lost_connection_ends_everything),
		T(a_body_flows_as_it_is_taken),
		T(a_body_may_wait_until_it_is_wanted),
		T(an_early_answer_ends_the_request),
		T(a_body_that_goes_on_does_not_expire),
		T(headers_have_limits),
		T(requests_beyond_the_limit_wait),
		T(nobody_takes_it_503),
		T(after_goodbye_nothing_new_begins),
		T(a_request_that_goodbye_overtook_is_refused),
		T(unfinished_requests_expire),
		T(rubbish_is_a_protocol_error),
		cmocka_unit_test(hop_headers_are_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
