/* SPDX-License-Identifier: Apache-2.0 */
#include "io/http_end.h"

#include "io/http_answer.h"
#include "io/http_conn.h"

/* A client that has not got its answer this long after it finished is asked whether it is there. */
enum { PROBE_MS = 1000 };

/* --- early ---------------------------------------------------------------------------------------------------- */

/* Over TCP the end of a client that waits for its answer looks like that of one that left. Bytes tell them apart, since
 * a closed socket resets: an interim answer (RFC 9110 section 15.2), or a comment between the lines of an event stream,
 * which both mean nothing to a client that reads. For what can be sent neither, the kernel asks. */
static void probe(void *arg)
{
	struct http_conn *conn = arg;
	static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
	timer_free(TAKE(conn->probe));
	if (conn->closing || !conn->stream || conn->guard.state != HTTP_GUARD_AT_END)
		return;
	if (conn->events && conn->request && !conn->line_begun)
		http_answer_front.body(conn, edged_str(":\n"));
	else if (!conn->answering && conn->guard.head->minor > 0)
		conn->server->streams->write(conn->stream, interim, sizeof(interim) - 1);
}

bool http_end_finished(void *arg)
{
	struct http_conn *conn = arg;
	struct http_server *server = conn->server;
	if (conn->closing || server->stopping || conn->guard.state != HTTP_GUARD_AT_END)
		return false;
	if (timer_new(server->options.loop, probe, conn, &conn->probe))
		return false;
	timer_set(conn->probe, PROBE_MS);
	conn->half = true;
	server->counts.half_closed++;
	return true;
}

/* --- late ----------------------------------------------------------------------------------------------------- */

static void refuse(struct http_conn *conn, const char *detail)
{
	http_guard_refuse(&conn->guard, 408, "timeout", detail);
	http_conn_refuse(conn, "");
}

/* Who has begun a request is told (RFC 9110 section 15.5.9). Nothing fits into an answer that is half written, and who
 * said nothing hears nothing. */
void http_end_expired(void *arg)
{
	struct http_conn *conn = arg;
	struct http_server_counts *counts = &conn->server->counts;
	switch (conn->guard.state) {
	case HTTP_GUARD_IDLE:
		counts->late[HTTP_LATE_IDLE]++;
		break;
	case HTTP_GUARD_IN_HEAD:
		counts->late[HTTP_LATE_HEADER]++;
		refuse(conn, "The request's head did not come within the time that this node allows "
		             "(http.header_time).");
		break;
	case HTTP_GUARD_IN_LENGTH:
	case HTTP_GUARD_IN_SIZE:
	case HTTP_GUARD_IN_EXTENSION:
	case HTTP_GUARD_IN_SIZE_LF:
	case HTTP_GUARD_IN_CHUNK:
	case HTTP_GUARD_IN_CHUNK_CR:
	case HTTP_GUARD_IN_CHUNK_LF:
	case HTTP_GUARD_IN_TRAILER:
		counts->late[HTTP_LATE_BODY]++;
		refuse(conn, "The request's body did not come within the time that this node allows "
		             "(http.body_time, more with 1 kB/s).");
		break;
	case HTTP_GUARD_AT_END:
		counts->late[HTTP_LATE_READER]++;
		break;
	case HTTP_GUARD_AT_REFUSAL:
		break;
	}
}
