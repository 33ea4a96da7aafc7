/* SPDX-License-Identifier: Apache-2.0 */
#include "io/http_conn.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/target.h"
#include "io/http_answer.h"
#include "io/http_body.h"
#include "io/http_end.h"
#include "io/http_upgrade.h"

/* HELD bytes of next requests are read ahead. PAIR bytes at most hide in the socket pair, where back-pressure does not
 * see them. Of an answer LOW to HIGH bytes wait in the stream. */
enum { HELD = 64 * 1024, PAIR = 32 * 1024, LOW = 16 * 1024, HIGH = 64 * 1024 };

static void take(struct http_conn *conn, struct edged_slice bytes);

/* --- the daemon's side ---------------------------------------------------------------------------------------- */

void http_conn_wake(struct http_conn *conn)
{
	if (!conn->suspended || conn->in_handler || !conn->mhd)
		return;
	conn->suspended = false;
	MHD_resume_connection(conn->mhd);
	http_conn_hot(conn);
}

void http_conn_detach(struct http_conn *conn)
{
	watch_free(TAKE(conn->watch));
	if (conn->fd >= 0)
		close(conn->fd);
	conn->fd = -1;
	http_conn_wake(conn);
	if (conn->mhd)
		http_conn_hot(conn);
}

void http_conn_maybe_free(struct http_conn *conn)
{
	if (conn->stream || conn->mhd)
		return;
	timer_free(conn->probe);
	http_answer_clear(conn);
	http_guard_fini(&conn->guard);
	buf_fini(&conn->held);
	buf_fini(&conn->body);
	list_remove(&conn->hot);
	if (!list_empty(&conn->link))
		conn->server->counts.connections--;
	list_remove(&conn->link);
	free(conn);
}

static void on_pair(void *arg, int what)
{
	(void)what;
	http_conn_hot(arg);
}

static int add_to_daemon(struct http_conn *conn, int fd)
{
	static const struct sockaddr_un nobody = { .sun_family = AF_UNIX };
	struct http_server *server = conn->server;
	server->adding = conn;
	int r = MHD_add_connection(server->daemon, fd, (const struct sockaddr *)&nobody,
	        sizeof(nobody)); /* takes fd in any case */
	server->adding = NULL;
	return r == MHD_YES && conn->mhd ? 0 : -ENOMEM;
}

/* Made when the first request has come in order: who only connects costs the library nothing. */
static int attach(struct http_conn *conn)
{
	int pair[2], size = PAIR;
	if (conn->fd >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair))
		return -errno;
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size,
	        sizeof(size)); /* without it there is only more memory */
	conn->fd = pair[0];
	conn->watching = true;
	int r = watch_new(conn->server->options.loop, conn->fd, WATCH_READ, on_pair, conn, &conn->watch);
	if (r)
		close(pair[1]);
	else
		r = add_to_daemon(conn, pair[1]);
	if (r)
		http_conn_detach(conn);
	return r;
}

static void update_watch(struct http_conn *conn)
{
	bool read = conn->stream && !conn->server->streams->is_full(conn->stream);
	if (!conn->watch || read == conn->watching)
		return;
	/* what failed is tried again */
	conn->watching = watch_change(conn->watch, read ? WATCH_READ : 0) ? !read : read;
}

static bool is_connection(struct edged_slice name)
{
	static const char wanted[] = "Connection";
	return name.len == sizeof(wanted) - 1 && strncasecmp(name.ptr, wanted, name.len) == 0;
}

/* All that the framing of an answer depends on: HEAD or not, the version, and whether the connection goes on. */
static int write_head(const struct http_conn *conn)
{
	const struct http_head *head = conn->guard.head;
	bool close = false, keep = false;
	for (size_t i = 0; i < head->header_count; i++)
		if (is_connection(head->headers[i].name)) {
			close |= http_has_word(head->headers[i].value, "close");
			keep |= http_has_word(head->headers[i].value, "keep-alive");
		}
	char text[100];
	int n = snprintf(text, sizeof(text), "%s / HTTP/1.%u\r\nHost: edged\r\n%s\r\n",
	        edged_slice_is(head->method, "HEAD") ? "HEAD" : "GET", head->minor,
	        close  ? "Connection: close\r\n"
	        : keep ? "Connection: keep-alive\r\n"
	               : "");
	/* the daemon has read all that came before */
	return send(conn->fd, text, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -EIO;
}

/* Brings the request to the daemon. */
static void begin(struct http_conn *conn)
{
	conn->begun = true;
	if (attach(conn) || write_head(conn)) {
		http_guard_refuse(
		        &conn->guard, 503, "limit-reached", "This node is short of memory. Try again later.");
		http_conn_refuse(conn, "");
		return;
	}
	http_conn_hot(conn);
}

/* --- answers to the client ------------------------------------------------------------------------------------ */

/* The daemon ended the connection: so do we. */
static void finish(struct http_conn *conn)
{
	conn->closing = true;
	http_conn_detach(conn);
	conn->server->streams->close(conn->stream);
}

/* Bytes of answers to the stream. True: all that there were. */
static bool pump(struct http_conn *conn)
{
	const struct edged_stream_1 *streams = conn->server->streams;
	char bytes[16 * 1024];
	while (!streams->is_full(conn->stream)) {
		ssize_t n = recv(conn->fd, bytes, sizeof(bytes), 0);
		if (n < 0)
			return errno == EAGAIN;
		if (n == 0) {
			finish(conn);
			return false;
		}
		conn->answering = true;
		if (streams->write(conn->stream, bytes, (size_t)n))
			return false;
		if ((size_t)n < sizeof(bytes))
			return true; /* an end behind it is told by the watch */
	}
	/* a client that does not read is not waited for without end */
	streams->deadline(conn->stream, conn->server->options.limits.body_ms);
	return false;
}

/* The client reads again. */
static void drained(void *arg)
{
	struct http_conn *conn = arg;
	const struct http_server_limits *limits = &conn->server->options.limits;
	if (conn->closing)
		return;
	uint64_t ms = conn->guard.state == HTTP_GUARD_IDLE     ? limits->idle_ms
	              : conn->guard.state == HTTP_GUARD_AT_END ? 0
	              : conn->begun                            ? limits->body_ms
	                                                       : limits->header_ms;
	conn->server->streams->deadline(conn->stream, ms);
	update_watch(conn);
	http_conn_hot(conn);
}

static bool daemon_ended(const struct http_conn *conn)
{
	char byte;
	return recv(conn->fd, &byte, 1, MSG_PEEK) == 0;
}

/* The current request was answered; the next one may have come already. */
static void next_request(struct http_conn *conn)
{
	const struct edged_stream_1 *streams = conn->server->streams;
	http_answer_clear(conn);
	http_body_clear(conn);
	conn->done = conn->opened = conn->answering = false;
	http_guard_next(&conn->guard);
	if (conn->server->stopping || (conn->half && conn->held.len == 0)) {
		finish(conn);
		return;
	}
	streams->deadline(conn->stream, conn->server->options.limits.idle_ms);
	if (conn->held.len == 0)
		return;
	if (daemon_ended(conn)) { /* nothing is served behind "Connection: close" */
		finish(conn);
		return;
	}
	CLEANUP(buf_fini) struct buf held = conn->held;
	conn->held = (struct buf)BUF_EMPTY;
	streams->resume(conn->stream);
	take(conn, buf_slice(&held));
	if (conn->half && !conn->closing && conn->guard.state != HTTP_GUARD_AT_END)
		finish(conn); /* the rest of that request will never come */
}

void http_conn_settle(struct http_conn *conn)
{
	if (conn->closing || !conn->stream || conn->fd < 0)
		return;
	if (conn->body_news) {
		conn->body_news = false;
		http_body_move(conn);
	}
	bool all = pump(conn);
	if (conn->closing)
		return;
	update_watch(conn);
	if (conn->wants_room && conn->request) {
		conn->wants_room = false;
		requests_room(conn->server->options.requests, conn->request, conn->out.len - conn->out_at);
	}
	if (!conn->done || !all)
		return;
	if (conn->guard.state == HTTP_GUARD_AT_END)
		next_request(conn);
	else if (conn->last)
		finish(conn);
}

void http_conn_stop(struct http_conn *conn)
{
	if (conn->stream && !conn->closing && conn->guard.state != HTTP_GUARD_AT_END && !conn->request)
		finish(conn);
}

/* --- requests of the client ----------------------------------------------------------------------------------- */

/* Its client has gone, or as good as that. */
static void leave_request(struct http_conn *conn)
{
	edged_handle request = conn->request;
	conn->request = 0;
	if (request)
		requests_gone(conn->server->options.requests, request);
}

void http_conn_refuse(struct http_conn *conn, const char *more)
{
	const struct edged_stream_1 *streams = conn->server->streams;
	CLEANUP(buf_fini) struct buf answer = BUF_EMPTY;
	http_server_count_refusal(conn->server, conn->guard.refusal.type);
	conn->closing = true;
	leave_request(conn);
	http_conn_detach(conn);
	/* nothing fits into an answer that is half written */
	if (!conn->answering && http_guard_answer(&conn->guard, more, &answer) == 0)
		streams->write(conn->stream, answer.ptr, answer.len);
	streams->close(conn->stream);
}

/* A page of somebody else's must not use this node with its visitor's rights: when a browser says where a request comes
 * from, it is from here. */
static bool same_origin(const struct http_head *head)
{
	struct edged_slice origin = http_head_header(head, "Origin");
	if (!origin.ptr)
		return true;
	size_t scheme = edged_slice_starts(origin, "https://")  ? 8
	                : edged_slice_starts(origin, "http://") ? 7
	                                                        : 0;
	return scheme && origin.len - scheme == head->host.len &&
	       strncasecmp(origin.ptr + scheme, head->host.ptr, head->host.len) == 0;
}

static bool refuse_admission(struct http_conn *conn, int status, const char *title, const char *detail)
{
	http_guard_refuse(&conn->guard, status,
	        status == 401   ? "unauthorized"
	        : status == 403 ? "forbidden"
	        : status == 421 ? "misdirected"
	                        : "not-admitted",
	        detail);
	conn->guard.refusal.title = title;
	http_conn_refuse(conn, status == 401 ? "WWW-Authenticate: Bearer\r\n" : "");
	return false;
}

static bool admitted(struct http_conn *conn, const struct target *target)
{
	struct http_server *server = conn->server;
	const struct http_head *head = conn->guard.head;
	if (!same_origin(head))
		return refuse_admission(
		        conn, 403, "Foreign origin", "The request comes from a page of another origin.");
	const char *title = NULL, *detail = NULL;
	struct http_admission admission = { .method = head->method,
		.path = target->path,
		.segments = target->segments,
		.host = head->host,
		.authorization = http_head_header(head, "Authorization"),
		.peer = server->streams->peer(conn->stream),
		.websocket = http_upgrade_wanted(head) && http_upgrade_is_for_mqtt(target->segments) };
	int status = server->options.admit
	                     ? server->options.admit(server->options.arg, &admission, &title, &detail)
	                     : 0;
	conn->trusted = status == 0;
	return conn->trusted || status == HTTP_ANYBODY || refuse_admission(conn, status, title, detail);
}

static enum edged_login_outcome ask_signer(struct http_conn *conn, struct edged_slice body)
{
	const struct http_server_options *options = &conn->server->options;
	const struct http_head *head = conn->guard.head;
	struct edged_http_field fields[HTTP_HEADERS_MAX];
	const struct edged_http_message message = { .struct_size = sizeof(message),
		.method = head->method,
		.target = head->target,
		.fields = fields,
		.field_count = head->header_count,
		.body = body };
	for (size_t i = 0; i < head->header_count; i++)
		fields[i] = (struct edged_http_field){ head->headers[i].name, head->headers[i].value };
	return options->signer ? options->signer(options->arg, &message, conn->signer) : EDGED_LOGIN_UNKNOWN;
}

/* Who shows the access key asks as the operator, and not as the node that its certificate may be of. */
const struct edged_peer *http_conn_caller(struct http_conn *conn, struct edged_slice body)
{
	struct edged_peer *peer = &conn->peer;
	*peer = *conn->server->streams->peer(conn->stream);
	if (conn->trusted && !peer->trusted)
		peer->node_id = NULL;
	peer->trusted = conn->trusted;
	enum edged_login_outcome outcome = ask_signer(conn, body);
	peer->signer = outcome == EDGED_LOGIN_UNKNOWN ? NULL : conn->signer;
	peer->bad_signature = peer->signer && outcome != EDGED_LOGIN_KNOWN;
	return peer;
}

/* A head has come. False: it was refused. */
static bool take_head(struct http_conn *conn)
{
	struct http_guard *guard = &conn->guard;
	struct target target;
	CLEANUP(free_charp) char *memory = malloc(target_memory(guard->head->target));
	if (!memory || target_parse(guard->head->target, memory, &target)) {
		http_guard_refuse(
		        guard, memory ? 400 : 503, "bad-target", "The request's target is malformed.");
		http_conn_refuse(conn, "");
		return false;
	}
	if (!admitted(conn, &target))
		return false;
	conn->websocket = http_upgrade_wanted(guard->head);
	if (conn->websocket && !http_upgrade_judge(conn))
		return false;
	conn->restarts = !conn->first;
	conn->first = false;
	http_body_begin(conn, target.segments);
	return true;
}

/* The request is complete: what comes behind it waits. */
static void hold(struct http_conn *conn, struct edged_slice bytes)
{
	const struct edged_stream_1 *streams = conn->server->streams;
	if (bytes.len == 0)
		return;
	/* one piece of what the stream reads may go beyond the mark, then it is paused */
	if (buf_add(&conn->held, bytes.ptr, bytes.len))
		streams->abort(conn->stream);
	else if (conn->held.len >= HELD)
		streams->pause(conn->stream);
}

static void take(struct http_conn *conn, struct edged_slice bytes)
{
	const struct edged_stream_1 *streams = conn->server->streams;
	struct http_guard *guard = &conn->guard;
	if (guard->state == HTTP_GUARD_IDLE && !conn->first)
		streams->deadline(conn->stream, conn->server->options.limits.header_ms);
	for (;;) {
		size_t used;
		enum http_guard_event event = http_guard_feed(guard, bytes, &conn->body, &used);
		bytes = edged_slice(bytes.ptr + used, bytes.len - used);
		if (event == HTTP_GUARD_HEAD) {
			if (!take_head(conn))
				return;
			continue; /* it may be complete with its head */
		}
		if (event == HTTP_GUARD_REFUSED) {
			http_conn_refuse(conn, "");
			return;
		}
		if (event == HTTP_GUARD_COMPLETE)
			hold(conn, bytes);
		break;
	}
	if (guard->state <= HTTP_GUARD_IN_HEAD)
		return;
	http_body_move(conn);
	if (!conn->begun && http_body_is_enough(conn))
		begin(conn);
	else if (conn->done)
		http_conn_hot(conn);
}

/* --- the stream's handler ------------------------------------------------------------------------------------- */

static void settle_in(struct http_conn *conn)
{
	struct http_server *server = conn->server;
	list_append(&server->conns, &conn->link);
	server->counts.connections++;
	server->streams->set_marks(conn->stream, LOW, HIGH);
	uint64_t now = loop_now(server->options.loop);
	uint64_t spent = edged_peer_age(server->streams->peer(conn->stream), now);
	uint64_t most = server->options.limits.header_ms;
	server->streams->deadline(conn->stream, most > spent ? most - spent : 1);
}

static void arrived(void *arg)
{
	settle_in(arg);
}

/* Streams may come on any loop; requests are for the main loop. */
static int conn_open(void *self, struct edged_stream *stream, void **ret_conn)
{
	struct http_server *server = self;
	struct http_conn *conn = server->stopping ? NULL : calloc(1, sizeof(*conn));
	if (!conn)
		return server->stopping ? -ESHUTDOWN : -ENOMEM;
	conn->server = server;
	conn->stream = stream;
	conn->first = true;
	conn->fd = -1;
	list_init(&conn->link);
	list_init(&conn->hot);
	http_guard_init(&conn->guard, &server->limits);
	if (loop_self() == server->options.loop) {
		settle_in(conn);
	} else {
		int r = server->streams->move(stream, loop_index(server->options.loop), arrived);
		if (r) {
			free(conn);
			return r;
		}
	}
	*ret_conn = conn;
	return 0;
}

static ssize_t conn_data(void *arg, const uint8_t *bytes, size_t n)
{
	struct http_conn *conn = arg;
	if (conn->closing)
		return (ssize_t)n;
	if (conn->guard.state == HTTP_GUARD_AT_END)
		hold(conn, edged_slice(bytes, n));
	else
		take(conn, edged_slice(bytes, n));
	return (ssize_t)n;
}

/* It may still be on another loop when it was on its way: then it has nothing to take leave of. */
static void conn_closed(void *arg, int reason)
{
	(void)reason;
	struct http_conn *conn = arg;
	conn->stream = NULL;
	conn->closing = true;
	if (!list_empty(&conn->link)) {
		leave_request(conn);
		http_conn_detach(conn);
	}
	http_conn_maybe_free(conn);
}

const struct edged_stream_handler http_conn_handler = {
	.struct_size = sizeof(http_conn_handler),
	.open = conn_open,
	.data = conn_data,
	.drained = drained,
	.closed = conn_closed,
	.finished = http_end_finished,
	.expired = http_end_expired,
};
