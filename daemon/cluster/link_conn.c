/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/link_conn.h"

#include <errno.h>

static void wants_output(void *arg)
{
	struct link_conn *conn = arg;
	loop_defer(conn->loop, &conn->pump);
}

static void on_request(void *arg, struct link_stream *stream, const struct link_message *request)
{
	struct link_conn *conn = arg;
	conn->request(conn->arg, stream, request);
}

/* Sends until the stream is full; runs at the end of the turn, so that all frames of a turn leave together.
 */
static void pump(struct deferred *deferred)
{
	struct link_conn *conn = CONTAINER_OF(deferred, struct link_conn, pump);
	while (conn->stream && !stream_functions.is_full(conn->stream)) {
		const uint8_t *bytes;
		ssize_t n = link_session_output(conn->session, &bytes);
		if (n < 0) {
			stream_functions.abort(conn->stream);
			return;
		}
		if (n == 0)
			break;
		if (stream_functions.write(conn->stream, bytes, (size_t)n))
			return; /* it is closing */
	}
	link_conn_touch(conn);
	if (conn->stream && link_session_over(conn->session))
		stream_functions.close(conn->stream);
}

int link_conn_init(
        struct link_conn *conn, struct edged_stream *stream, const struct link_conn_options *options)
{
	*conn = (struct link_conn){ .stream = stream,
		.loop = stream_loop(stream),
		.idle_ms = options->idle_ms,
		.request = options->request,
		.arg = options->arg };
	deferred_init(&conn->pump, pump);
	const struct link_session_owner owner = { wants_output, on_request, conn };
	int r = link_session_new(options->server, options->limits, &owner, &conn->session);
	if (r)
		return r;
	conn->heard = loop_now(conn->loop);
	link_conn_touch(conn);
	wants_output(conn);
	return 0;
}

void link_conn_fini(struct link_conn *conn)
{
	if (!conn->session)
		return;
	link_session_free(TAKE(conn->session));
	deferred_cancel(&conn->pump);
	if (conn->stream)
		stream_functions.abort(TAKE(conn->stream));
}

ssize_t link_conn_data(struct link_conn *conn, const uint8_t *bytes, size_t n)
{
	conn->heard = loop_now(conn->loop);
	int r = link_session_input(conn->session, bytes, n);
	if (r) {
		pump(&conn->pump); /* tells the peer what was wrong */
		return r;
	}
	return (ssize_t)n;
}

void link_conn_drained(struct link_conn *conn)
{
	wants_output(conn);
}

void link_conn_touch(struct link_conn *conn)
{
	bool idle = link_session_streams(conn->session) == 0;
	if (idle == conn->idle || !conn->stream)
		return;
	conn->idle = idle;
	if (!idle)
		conn->heard = loop_now(conn->loop); /* silence counts from here */
	stream_functions.deadline(conn->stream, idle ? conn->idle_ms : 0);
}

void link_conn_check(struct link_conn *conn)
{
	uint64_t now = loop_now(conn->loop), silence = now - conn->heard;
	if (conn->idle || !conn->stream)
		return;
	if (silence >= LINK_DEAD_MS) {
		conn->silent = true;
		stream_functions.abort(conn->stream);
	} else if (silence >= LINK_PING_MS && now - conn->asked >= LINK_PING_MS) {
		conn->asked = now;
		link_session_ping(conn->session);
	}
}

void link_conn_shutdown(struct link_conn *conn)
{
	link_session_shutdown(conn->session);
}
