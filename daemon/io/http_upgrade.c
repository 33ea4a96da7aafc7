/* SPDX-License-Identifier: Apache-2.0 */
#include "io/http_upgrade.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include "io/http_conn.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 section 1.3 */

bool http_upgrade_wanted(const struct http_head *head)
{
	return edged_slice_is(head->method, "GET") &&
	       http_has_word(http_head_header(head, "Upgrade"), "websocket") &&
	       http_has_word(http_head_header(head, "Connection"), "upgrade");
}

static struct edged_slice next_segment(struct edged_slice *segments)
{
	struct edged_slice left = *segments;
	if (left.len == 0)
		return left;
	size_t n = strnlen(left.ptr + 1, left.len - 1);
	*segments = edged_slice(left.ptr + 1 + n, left.len - 1 - n);
	return edged_slice(left.ptr + 1, n);
}

bool http_upgrade_is_for_mqtt(struct edged_slice segments)
{
	struct edged_slice segment = next_segment(&segments);
	if (edged_slice_is(segment, "nodes")) {
		(void)next_segment(&segments);
		segment = next_segment(&segments);
	} else if (edged_slice_is(segment, "any")) {
		segment = next_segment(&segments);
	}
	if (edged_slice_is(segment, "broker"))
		segment = next_segment(&segments);
	return edged_slice_is(segment, "mqtt") && segments.len == 0;
}

/* Writes base64(SHA-1(key + GUID)), 28 characters. */
static bool accept_of(struct edged_slice key, char ret[32])
{
	char text[24 + sizeof(GUID)];
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned n;
	if (key.len != 24)
		return false;
	memcpy(text, key.ptr, 24);
	memcpy(text + 24, GUID, sizeof(GUID));
	if (!EVP_Digest(text, 24 + sizeof(GUID) - 1, hash, &n, EVP_sha1(), NULL))
		return false;
	EVP_EncodeBlock((unsigned char *)ret, hash, (int)n);
	return true;
}

static void refuse(struct http_conn *conn, int status, const char *type, const char *detail, const char *more)
{
	http_guard_refuse(&conn->guard, status, type, detail);
	http_conn_refuse(conn, more);
}

bool http_upgrade_judge(struct http_conn *conn)
{
	const struct http_head *head = conn->guard.head;
	char accept[32];
	if (!edged_slice_is(http_head_header(head, "Sec-WebSocket-Version"), "13"))
		refuse(conn, 426, "websocket-version", "The version of WebSocket spoken here is 13.",
		        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
	else if (!accept_of(http_head_header(head, "Sec-WebSocket-Key"), accept))
		refuse(conn, 400, "websocket-handshake",
		        "A WebSocket needs a Sec-WebSocket-Key of 24 characters.", "");
	else if (http_conn_caller(conn, edged_slice(NULL, 0))->bad_signature)
		refuse(conn, 403, "forbidden", conn->signer, "");
	else
		return true;
	return false;
}

static int hand_over(struct http_conn *conn, const char *answer, const struct request_upgrade *upgrade)
{
	struct edged_stream *stream = conn->stream;
	if (conn->restarts)
		stream_restart_clock(stream);
	int r = conn->server->streams->write(stream, answer, strlen(answer));
	if (!r && !upgrade->raw)
		r = stream_become_websocket(stream);
	/* The request was judged (Origin, Host, key, signature): so is what it asked for. */
	stream_set_trusted(stream, conn->trusted);
	if (!r && conn->peer.signer)
		r = stream_set_signer(stream, conn->peer.signer);
	return r ? r : stream_hand_over(stream, upgrade->handler, upgrade->self, buf_slice(&conn->held));
}

int http_upgrade(struct http_conn *conn, const struct request_upgrade *upgrade)
{
	char accept[32], answer[256];
	if (!conn->stream || conn->closing ||
	        !accept_of(http_head_header(conn->guard.head, "Sec-WebSocket-Key"), accept))
		return -EPIPE;
	snprintf(answer, sizeof(answer),
	        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	        "Sec-WebSocket-Accept: %s\r\n%s%.64s%s\r\n",
	        accept, *upgrade->protocol ? "Sec-WebSocket-Protocol: " : "", upgrade->protocol,
	        *upgrade->protocol ? "\r\n" : "");
	int r = hand_over(conn, answer, upgrade);
	if (r) {
		conn->server->streams->abort(conn->stream);
		conn->closing = true;
		return r;
	}
	conn->server->counts.upgraded++;
	conn->request = 0;
	conn->stream = NULL; /* closed() will not be called */
	http_conn_detach(conn);
	http_conn_maybe_free(conn);
	return 0;
}

/* --- MQTT --- */

static const char *subprotocol(struct edged_slice offered)
{
	static const char *const names[] = { "mqtt", "mqttv3.1" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (http_has_word(offered, names[i]))
			return names[i];
	return NULL;
}

static int serve_mqtt(void *self, edged_handle request)
{
	const struct http_server *server = self;
	struct requests *requests = server->options.requests;
	const char *protocol = subprotocol(request_header(requests, request, "Sec-WebSocket-Protocol"));
	if (!protocol || !request_is_websocket(requests, request))
		return request_problem(requests, request, 400, "websocket-handshake", NULL,
		        "MQTT is spoken here over a WebSocket with the subprotocol 'mqtt' or 'mqttv3.1'.");
	struct request_upgrade upgrade = { .protocol = protocol };
	upgrade.handler = listeners_handler(server->options.listeners, "mqtt", &upgrade.self);
	if (!upgrade.handler)
		return request_problem(requests, request, 503, "no-broker", NULL,
		        "No MQTT broker runs on this node. GET /edge/v1/plugins says why.");
	return request_upgrade(requests, request, &upgrade);
}

int http_upgrade_serve(struct http_server *server, struct err *err)
{
	static const struct edged_route routes[] = {
		{ "GET", "/mqtt", serve_mqtt, "MQTT over WebSocket", NULL, EDGED_SCOPE_ACCOUNT,
		        EDGED_ROUTE_OPEN | ROUTE_WEBSOCKET },
		{ "GET", "/broker/mqtt", serve_mqtt,
		        "The same, so that /any/broker/mqtt is on a node that has a broker", NULL,
		        EDGED_SCOPE_ACCOUNT, EDGED_ROUTE_OPEN | ROUTE_WEBSOCKET },
		{ 0 },
	};
	const struct route_owner owner = { .name = "edged", .owner = server, .self = server, .core = true };
	return router_add(server->options.router, &owner, routes, sizeof(routes[0]), err);
}
