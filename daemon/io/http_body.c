/* SPDX-License-Identifier: Apache-2.0 */
#include "io/http_body.h"

#include <strings.h>
#include "io/http_conn.h"

/* So much of a body that nobody wants is still read, so that the next request can follow. */
enum { SKIP = 64 * 1024 };

static bool is_in_body(const struct http_conn *conn)
{
	return conn->guard.state > HTTP_GUARD_IN_HEAD && conn->guard.state < HTTP_GUARD_AT_END;
}

/* Its signature covers the body. */
static bool is_signed(const struct http_head *head)
{
	struct edged_slice authorization = http_head_header(head, "Authorization");
	return authorization.len >= 5 && strncasecmp(authorization.ptr, "AWS4-", 5) == 0;
}

void http_body_begin(struct http_conn *conn, struct edged_slice segments)
{
	const struct http_server_options *options = &conn->server->options;
	const struct http_head *head = conn->guard.head;
	conn->as_it_comes = !is_signed(head) && router_streams_body(options->router, head->method, segments);
	if (conn->as_it_comes)
		conn->guard.body_max = INT64_MAX;
	conn->body_start = loop_now(options->loop);
	conn->server->streams->deadline(conn->stream, options->limits.body_ms);
}

bool http_body_is_enough(const struct http_conn *conn)
{
	const struct http_head *head = conn->guard.head;
	bool small = head->has_length && head->length <= REQUEST_SMALL_BODY && !head->expects_continue;
	return conn->guard.state == HTTP_GUARD_AT_END || (conn->as_it_comes && !small);
}

/* RFC 9110 section 10.1.1: not when some of the body has come already. */
static void say_continue(struct http_conn *conn)
{
	static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
	if (conn->guard.head->expects_continue && conn->guard.body == 0 && is_in_body(conn) &&
	        !conn->answering)
		conn->server->streams->write(conn->stream, interim, sizeof(interim) - 1);
}

/* A whole body may take body_ms, or longer while its average is 1 byte in a millisecond; one that is read as it comes goes on
 * as long as something does, and waits for who reads it as long as need be. */
static void set_deadline(struct http_conn *conn, bool paused)
{
	const struct edged_stream_1 *streams = conn->server->streams;
	uint64_t body_ms = conn->server->options.limits.body_ms, bytes = conn->guard.body;
	if (conn->guard.state == HTTP_GUARD_AT_END || paused) {
		streams->deadline(conn->stream, 0);
	} else if (conn->as_it_comes) {
		streams->deadline(conn->stream, body_ms);
	} else if (bytes > body_ms) {
		uint64_t elapsed = loop_now(conn->server->options.loop) - conn->body_start;
		streams->deadline(conn->stream, bytes > elapsed ? bytes - elapsed : 1);
	}
}

static void give(struct http_conn *conn)
{
	bool end = conn->guard.state == HTTP_GUARD_AT_END;
	if (!conn->wanted || (conn->body.len == 0 && !end))
		return;
	CLEANUP(buf_fini) struct buf bytes = conn->body;
	conn->body = (struct buf)BUF_EMPTY;
	conn->untaken += bytes.len;
	conn->wanted = !end;
	requests_body(conn->server->options.requests, conn->request, buf_slice(&bytes), end);
}

void http_body_move(struct http_conn *conn)
{
	const struct edged_stream_1 *streams = conn->server->streams;
	if (!conn->as_it_comes && !conn->wanted) {
		conn->wanted = true; /* by ourselves, until it is whole */
		say_continue(conn);
	} else if (conn->request && conn->as_it_comes) {
		give(conn);
	} else if (conn->opened && !conn->request) {
		buf_fini(&conn->body); /* answered */
		conn->untaken = 0;
	}
	bool paused = conn->opened && is_in_body(conn) &&
	              conn->body.len + conn->untaken >= conn->server->options.limits.body_window;
	if (paused)
		streams->pause(conn->stream);
	else if (is_in_body(conn))
		streams->resume(conn->stream);
	set_deadline(conn, paused);
}

void http_body_wanted(struct http_conn *conn, size_t n)
{
	if (!conn->stream || conn->closing)
		return;
	if (n == 0) {
		conn->wanted = true;
		say_continue(conn);
	}
	conn->untaken -= n;
	conn->body_news = true;
	http_conn_hot(conn); /* it is moved from the loop, not from within the call of who reads */
}

bool http_body_is_left(const struct http_conn *conn)
{
	const struct http_guard *guard = &conn->guard;
	if (!is_in_body(conn))
		return false;
	bool unasked = guard->head->expects_continue && guard->body == 0 && !conn->wanted;
	return guard->head->chunked || guard->left > SKIP || unasked;
}

void http_body_clear(struct http_conn *conn)
{
	buf_fini(&conn->body);
	conn->untaken = 0;
	conn->as_it_comes = conn->begun = conn->wanted = conn->last = conn->body_news = false;
}
