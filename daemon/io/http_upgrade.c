/* SPDX-License-Identifier: Apache-2.0 */
#include "io/http_upgrade.h"

#include <openssl/evp.h>
#include <stdio.h>
#include "io/http_conn.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 section 1.3 */

bool http_upgrade_wanted(const struct http_head *head, struct edged_slice path)
{
	return edged_slice_is(path, "/mqtt") && edged_slice_is(head->method, "GET") &&
	       http_has_word(http_head_header(head, "Upgrade"), "websocket") &&
	       http_has_word(http_head_header(head, "Connection"), "upgrade");
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

static const char *subprotocol(const struct http_head *head)
{
	static const char *const names[] = { "mqtt", "mqttv3.1" };
	struct edged_slice offered = http_head_header(head, "Sec-WebSocket-Protocol");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (http_has_word(offered, names[i]))
			return names[i];
	return NULL;
}

static void refuse(struct http_conn *conn, int status, const char *type, const char *detail, const char *more)
{
	http_guard_refuse(&conn->guard, status, type, detail);
	http_conn_refuse(conn, more);
}

static int hand_over(struct http_conn *conn, const char *answer, const struct edged_stream_handler *handler,
        void *self, struct edged_slice rest)
{
	struct edged_stream *stream = conn->stream;
	int r = conn->server->streams->write(stream, answer, strlen(answer));
	if (!r)
		r = stream_become_websocket(stream);
	/* The request was judged (Origin, Host, key, signature): so is what it asked for. */
	stream_set_trusted(stream, conn->trusted);
	if (!r && conn->peer.signer)
		r = stream_set_signer(stream, conn->peer.signer);
	return r ? r : stream_hand_over(stream, handler, self, rest);
}

void http_upgrade(struct http_conn *conn, struct edged_slice rest)
{
	struct http_server *server = conn->server;
	const struct http_head *head = conn->guard.head;
	char accept[32];
	if (!edged_slice_is(http_head_header(head, "Sec-WebSocket-Version"), "13")) {
		refuse(conn, 426, "websocket-version", "The version of WebSocket spoken here is 13.",
		        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
		return;
	}
	const char *protocol = subprotocol(head);
	if (!protocol || !accept_of(http_head_header(head, "Sec-WebSocket-Key"), accept)) {
		refuse(conn, 400, "websocket-handshake",
		        "A WebSocket here needs a Sec-WebSocket-Key and the subprotocol 'mqtt' or "
		        "'mqttv3.1'.",
		        "");
		return;
	}
	if (http_conn_caller(conn, edged_slice(NULL, 0))->bad_signature) {
		refuse(conn, 403, "forbidden", conn->signer, "");
		return;
	}
	void *self;
	const struct edged_stream_handler *handler =
	        listeners_handler(server->options.listeners, "mqtt", &self);
	if (!handler) {
		refuse(conn, 503, "no-broker",
		        "No MQTT broker runs on this node. GET /edge/v1/plugins says why.", "");
		return;
	}
	char answer[256];
	snprintf(answer, sizeof(answer),
	        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	        "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
	        accept, protocol);
	if (hand_over(conn, answer, handler, self, rest)) {
		server->streams->abort(conn->stream);
		conn->closing = true;
		return;
	}
	server->counts.upgraded++;
	conn->stream = NULL; /* closed() will not be called */
	http_conn_detach(conn);
	http_conn_maybe_free(conn);
}
