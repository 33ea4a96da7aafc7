/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/link_serve.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/list.h"
#include "cluster/link_conn.h"
#include "cluster/link_header.h"
#include "cluster/tunnel.h"

struct link_server {
	struct link_server_options options;
	struct list connections;
	unsigned count;
	uint64_t refused;
};

struct served_conn {
	struct list link; /* in server->connections once on the main loop */
	struct link_server *server;
	struct link_conn conn;
	struct edged_stream *stream;
	struct buf early; /* what came before it was on the main loop */
	bool arrived;
};

/* One request: between the router and the link's stream. */
struct served {
	struct served_conn *conn;
	struct link_stream *stream;
	const struct link_message *message;
	edged_handle request;
	struct tunnel *tunnel; /* it has become a WebSocket */
	struct buf body;       /* all of a small one, or what waits to be given on */
	bool wanted, ended;    /* somebody reads it; all has come */
	struct deferred later; /* gives on what had come before somebody read it */
};

/* --- requests --- */

static struct requests *requests_of(const struct served *served)
{
	return served->conn->server->options.requests;
}

static void served_free(struct served *served)
{
	deferred_cancel(&served->later);
	tunnel_leave(served->tunnel);
	buf_fini(&served->body);
	free(served);
}

static void front_head(void *front, int status, const struct header *headers, size_t count, int64_t length)
{
	const struct served *served = front;
	link_stream_head(served->stream, status, headers, count, length);
}

static size_t front_body(void *front, struct edged_slice bytes)
{
	const struct served *served = front;
	return link_stream_body(served->stream, bytes);
}

static void front_end(void *front, bool ok)
{
	struct served *served = front;
	link_stream_finish(served->stream, ok);
	served_free(served);
}

static void front_body_wanted(void *front, size_t n)
{
	struct served *served = front;
	if (n > 0) {
		link_stream_consume(served->stream, n);
		return;
	}
	served->wanted = true;
	link_stream_want(served->stream);
	loop_defer(served->conn->server->options.loop, &served->later);
}

/* --- WebSockets --- */

static ssize_t tunnel_send(void *arg, struct edged_slice bytes)
{
	const struct served *served = arg;
	return (ssize_t)link_stream_body(served->stream, bytes);
}

static void tunnel_taken(void *arg, size_t n)
{
	const struct served *served = arg;
	link_stream_consume(served->stream, n);
}

static void tunnel_closed(void *arg, int reason)
{
	struct served *served = arg;
	link_stream_finish(served->stream, reason == 0);
	served_free(served);
}

static const struct tunnel_link tunnel_link = { tunnel_send, tunnel_taken, tunnel_closed };

static const struct header *find_header(const struct link_message *message, const char *name)
{
	return link_header_find(message->headers, message->header_count, name);
}

/* Of the client, as the first node has told it; else of the node. */
static const char *client_address(const struct served *served, char text[64])
{
	static const char key[] = "address=\"";
	const struct header *caller = find_header(served->message, "edged-caller");
	const char *at = caller ? strstr(caller->value.ptr, key) : NULL;
	if (!at)
		return stream_functions.peer(served->conn->stream)->address;
	at += sizeof(key) - 1;
	size_t n = strcspn(at, "\"");
	snprintf(text, 64, "%.*s", (int)(n < 63 ? n : 63), at);
	return text;
}

static int front_upgrade(void *front, const struct request_upgrade *upgrade)
{
	struct served *served = front;
	const struct link_server_options *options = &served->conn->server->options;
	const struct header header = { edged_str("sec-websocket-protocol"), edged_str(upgrade->protocol) };
	/* trusted is who asked, not only the node that passes it on */
	bool trusted = stream_functions.peer(served->conn->stream)->trusted &&
	               !find_header(served->message, "edged-anybody");
	char address[64];
	int r = tunnel_new(options->loop, options->limits.window, &tunnel_link, served, &served->tunnel);
	if (!r)
		r = tunnel_join(served->tunnel, upgrade, client_address(served, address), trusted);
	if (r) {
		tunnel_leave(TAKE(served->tunnel));
		return r;
	}
	served->request = 0;
	link_stream_head(served->stream, 200, &header, header.value.len ? 1 : 0, -1);
	return 0;
}

static const struct request_front front = { front_head, front_body, front_end, front_body_wanted,
	front_upgrade };

/* --- what comes over the link --- */

static void on_room(void *user, size_t waiting)
{
	const struct served *served = user;
	if (served->tunnel)
		tunnel_waiting(served->tunnel, waiting);
	else
		requests_room(requests_of(served), served->request, waiting);
}

static void on_gone(void *user)
{
	struct served *served = user;
	requests_gone(requests_of(served), served->request);
	served_free(served);
}

/* What had come, to who reads; he may end the request. */
static void give_late(struct deferred *deferred)
{
	struct served *served = CONTAINER_OF(deferred, struct served, later);
	if (!served->wanted || (served->body.len == 0 && !served->ended))
		return;
	CLEANUP(buf_fini) struct buf bytes = served->body;
	served->body = (struct buf)BUF_EMPTY;
	served->wanted = !served->ended;
	requests_body(requests_of(served), served->request, buf_slice(&bytes), served->ended);
}

static void keep(struct served *served, struct edged_slice bytes)
{
	if (buf_add(&served->body, bytes.ptr, bytes.len) == 0)
		return;
	requests_gone(requests_of(served), served->request);
	link_stream_finish(served->stream, false);
	served_free(served);
}

static void dispatch(struct served *served);

static void on_body(void *user, struct edged_slice bytes, bool last)
{
	struct served *served = user;
	served->ended |= last;
	if (served->tunnel && last)
		tunnel_end(served->tunnel, true);
	else if (served->tunnel)
		tunnel_bytes(served->tunnel, bytes);
	else if (served->request && served->wanted && served->body.len == 0) {
		served->wanted = !last;
		requests_body(requests_of(served), served->request, bytes, last);
	} else if (bytes.len) {
		keep(served, bytes);
	} else if (!served->request) {
		link_stream_consume(served->stream, served->body.len);
		dispatch(served);
	}
}

static const struct link_serve_events events = { on_room, on_gone, on_body };

/* An answer that needs no router. */
static void answer(struct link_stream *stream, int status, const char *document)
{
	static const struct header type = { { "content-type", 12 }, { "application/problem+json", 24 } };
	link_stream_head(stream, status, &type, 1, (int64_t)strlen(document));
	link_stream_body(stream, edged_str(document));
	link_stream_finish(stream, true);
}

/* Whatever it says: it came over this link. */
static unsigned read_hops(const struct link_message *message)
{
	for (size_t i = 0; i < message->header_count; i++) {
		const struct header *header = &message->headers[i];
		if (link_header_is(header->name, "edged-hops") && header->value.len == 1 &&
		        *header->value.ptr >= '1' && *header->value.ptr <= '9')
			return (unsigned)(*header->value.ptr - '0');
	}
	return 1;
}

static void refuse_open(struct link_stream *stream, int error)
{
	if (error == -EINVAL)
		answer(stream, 400,
		        "{\"type\":\"urn:edged:problem:bad-request\",\"title\":\"The path cannot be "
		        "read\",\"status\":400}\n");
	else
		answer(stream, 503,
		        "{\"type\":\"urn:edged:problem:limit-reached\",\"title\":\"Too many requests at "
		        "once\",\"status\":503}\n");
}

/* RFC 8441: what was an upgrade from GET is a CONNECT here. */
static bool is_websocket(const struct link_message *message)
{
	return edged_slice_is(message->method, "CONNECT") && edged_slice_is(message->protocol, "websocket");
}

/* With its body when that is whole, else while it comes. */
static void dispatch(struct served *served)
{
	const struct link_server_options *options = &served->conn->server->options;
	const struct link_message *message = served->message;
	struct link_stream *stream = served->stream;
	bool websocket = is_websocket(message);
	const struct request_init init = {
		.method = websocket ? edged_str("GET") : message->method,
		.websocket = websocket,
		.target = message->target,
		.headers = message->headers,
		.header_count = message->header_count,
		.body = buf_slice(&served->body),
		.body_comes = !served->ended && !websocket,
		.body_length = message->length,
		.peer = stream_functions.peer(served->conn->stream),
		.front = &front,
		.front_data = served,
		.hops = read_hops(message),
	};
	int r = requests_open(options->requests, &init, &served->request);
	if (r) {
		served_free(served);
		refuse_open(stream, r);
		return;
	}
	router_dispatch(options->router, served->request);
}

static bool is_small(const struct link_message *message)
{
	return message->length >= 0 && message->length <= REQUEST_SMALL_BODY && !message->expects;
}

static void begin(
        struct served_conn *served_conn, struct link_stream *stream, const struct link_message *message)
{
	struct served *served = calloc(1, sizeof(*served));
	if (!served)
		return; /* the session answers 503 */
	*served = (struct served){
		.conn = served_conn, .stream = stream, .message = message, .ended = message->ended
	};
	deferred_init(&served->later, give_late);
	link_stream_serve(stream, &events, served);
	if (served->ended || !is_small(message))
		dispatch(served);
	else
		link_stream_want(stream);
}

static bool admitted(const struct served_conn *served_conn, const struct link_message *message)
{
	const char *open_path = served_conn->server->options.open_path;
	return stream_functions.peer(served_conn->stream)->trusted ||
	       (open_path && edged_slice_is(message->target, open_path) &&
	               (message->ended || is_small(message)));
}

static void on_request(void *arg, struct link_stream *stream, const struct link_message *message)
{
	struct served_conn *served_conn = arg;
	struct link_server *server = served_conn->server;
	server->options.busy(server->options.arg);
	if (!admitted(served_conn, message))
		answer(stream, 403,
		        "{\"type\":\"urn:edged:problem:node-not-trusted\",\"title\":\"This node does not "
		        "belong to your "
		        "account\",\"status\":403,\"detail\":\"Join both nodes to one account: edgectl "
		        "invite, "
		        "edgectl join TOKEN.\"}\n");
	else
		begin(served_conn, stream, message);
}

/* --- connections --- */

static int enlist(struct served_conn *served_conn)
{
	struct link_server *server = served_conn->server;
	const struct link_conn_options options = {
		.server = true,
		.limits = &server->options.limits,
		.idle_ms = server->options.idle_ms,
		.request = on_request,
		.arg = served_conn,
	};
	if (server->count >= server->options.connections) {
		server->refused++;
		return -ENOSPC;
	}
	int r = link_conn_init(&served_conn->conn, served_conn->stream, &options);
	if (r)
		return r;
	served_conn->arrived = true;
	server->count++;
	list_append(&server->connections, &served_conn->link);
	server->options.served(server->options.arg, served_conn->stream);
	return 0;
}

static int on_open(void *self, struct edged_stream *stream, void **ret_conn)
{
	struct link_server *server = self;
	/* Devices may speak TLS 1.2 at the same port; two nodes never have to, so somebody in between wants it. */
	if (!stream_is_tls13(stream))
		return -EPROTONOSUPPORT;
	struct served_conn *served_conn = calloc(1, sizeof(*served_conn));
	if (!served_conn)
		return -ENOMEM;
	served_conn->server = server;
	served_conn->stream = stream;
	buf_init(&served_conn->early, 64 * 1024);
	list_init(&served_conn->link);
	/* Elsewhere nothing of the server may be touched: the first bytes bring it to the main loop. */
	int r = stream_loop(stream) == server->options.loop ? enlist(served_conn) : 0;
	if (r) {
		free(served_conn);
		return r;
	}
	*ret_conn = served_conn;
	return 0;
}

static void on_arrived(void *conn)
{
	struct served_conn *served_conn = conn;
	struct buf *early = &served_conn->early;
	if (enlist(served_conn) ||
	        link_conn_data(&served_conn->conn, (const uint8_t *)early->ptr, early->len) < 0)
		stream_functions.close(served_conn->stream);
	buf_fini(early);
}

static ssize_t on_data(void *conn, const uint8_t *bytes, size_t n)
{
	struct served_conn *served_conn = conn;
	if (served_conn->arrived)
		return link_conn_data(&served_conn->conn, bytes, n);
	int r = buf_add(&served_conn->early, bytes, n);
	if (!r)
		r = stream_functions.move(
		        served_conn->stream, loop_index(served_conn->server->options.loop), on_arrived);
	return r ? r : (ssize_t)n;
}

static void on_drained(void *conn)
{
	struct served_conn *served_conn = conn;
	if (served_conn->arrived)
		link_conn_drained(&served_conn->conn);
}

static void conn_free(struct served_conn *served_conn)
{
	link_conn_fini(&served_conn->conn);
	if (served_conn->arrived)
		served_conn->server->count--;
	list_remove(&served_conn->link);
	buf_fini(&served_conn->early);
	free(served_conn);
}

static void on_closed(void *conn, int reason)
{
	struct served_conn *served_conn = conn;
	(void)reason;
	served_conn->conn.stream = NULL;
	conn_free(served_conn);
}

const struct edged_stream_handler link_server_handler = { sizeof(struct edged_stream_handler), on_open,
	on_data, on_drained, on_closed, NULL, NULL };

/* --- the server --- */

int link_server_new(const struct link_server_options *options, struct link_server **ret)
{
	struct link_server *server = calloc(1, sizeof(*server));
	if (!server)
		return -ENOMEM;
	server->options = *options;
	list_init(&server->connections);
	*ret = server;
	return 0;
}

void link_server_stop(struct link_server *server)
{
	list_each_safe (node, &server->connections)
		stream_functions.abort(list_entry(node, struct served_conn, link)->stream);
}

void link_server_free(struct link_server *server)
{
	if (!server)
		return;
	list_each_safe (node, &server->connections)
		stream_functions.abort(list_entry(node, struct served_conn, link)->stream);
	list_each_safe (node, &server->connections) {
		struct served_conn *served_conn = list_entry(node, struct served_conn, link);
		served_conn->conn.stream = NULL;
		conn_free(served_conn);
	}
	free(server);
}

bool link_server_check(struct link_server *server)
{
	bool busy = false;
	list_each (node, &server->connections) {
		const struct served_conn *served_conn = list_entry(node, struct served_conn, link);
		struct link_conn *conn = &list_entry(node, struct served_conn, link)->conn;
		link_session_expire(conn->session, loop_now(conn->loop), server->options.request_ms,
		        stream_functions.peer(served_conn->stream)->trusted);
		link_conn_check(conn);
		busy |= link_session_streams(conn->session) > 0;
	}
	return busy;
}

void link_server_reset(struct link_server *server)
{
	list_each (node, &server->connections)
		link_conn_shutdown(&list_entry(node, struct served_conn, link)->conn);
}

unsigned link_server_count(const struct link_server *server)
{
	return server->count;
}

uint64_t link_server_held(const struct link_server *server)
{
	uint64_t held = 0;
	list_each (node, &server->connections)
		held += link_session_held(list_entry(node, struct served_conn, link)->conn.session);
	return held;
}

uint64_t link_server_refused(const struct link_server *server)
{
	return server->refused;
}

struct edged_stream *link_server_stream(const struct link_server *server, const struct edged_peer *peer)
{
	list_each (node, &server->connections) {
		struct edged_stream *stream = list_entry(node, struct served_conn, link)->stream;
		if (stream_functions.peer(stream) == peer)
			return stream;
	}
	return NULL;
}
