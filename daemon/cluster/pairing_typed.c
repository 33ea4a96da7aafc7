/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/pairing_typed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "cluster/answer.h"
#include "cluster/files.h"
#include "cluster/identity.h"
#include "cluster/join.h"
#include "cluster/owner.h"
#include "cluster/token.h"

#define TITLE "The node was not taken in"

void pairing_typed_end(struct pairing *pairing)
{
	struct pairing_typed *typed = &pairing->typed;
	typed->request = 0;
	typed->address_count = 0;
	explicit_bzero(typed->code, sizeof(typed->code));
	deferred_cancel(&typed->again);
	if (typed->dial)
		pairing->deps.dial_cancel(TAKE(typed->dial));
	if (typed->conn && !typed->conn->over) {
		typed->conn->over = true;
		stream_functions.abort(typed->conn->stream);
	}
	typed->conn = NULL;
}

/* The first reason is what is told; then there is no request any more. */
static void fail(struct pairing *pairing, int status, const char *type, const char *detail)
{
	edged_handle request = pairing->typed.request;
	if (!request)
		return;
	log_warning("join", "not paired: %s", detail);
	pairing_typed_end(pairing);
	(void)request_problem(pairing->deps.requests, request, status, type, TITLE, detail);
}

static void on_gone(void *arg)
{
	pairing_typed_end(arg);
}

/* --- what the new node says --- */

static void refused(struct pairing *pairing, struct edged_slice body)
{
	char detail[256];
	unsigned reason = body.len ? (uint8_t)body.ptr[0] : 0, left = body.len > 1 ? (uint8_t)body.ptr[1] : 0;
	switch (reason) {
	case PAIR_NO_CODE:
		fail(pairing, 409, "no-code",
		        "the node shows no code: it was used, has run out, or died of too many tries; run "
		        "edgectl pair there for a new one");
		break;
	case PAIR_WRONG_CODE:
		snprintf(detail, sizeof(detail),
		        left ? "the code is not the one that the node shows; it can be tried %u more time%s"
		             : "the code is not the one that the node shows, and has no tries left; run "
		               "edgectl "
		               "pair there for a new one",
		        left, left == 1 ? "" : "s");
		fail(pairing, 403, "wrong-code", detail);
		break;
	case PAIR_BUSY:
	case PAIR_TOO_SOON:
		fail(pairing, 429, "pairing-busy",
		        "the node is being asked by another one, or was a moment ago; try again in a few "
		        "seconds");
		break;
	default:
		fail(pairing, 502, "bad-answer", "the node answered what cannot be understood");
	}
}

static void done(struct pair_conn *conn, struct edged_slice body)
{
	struct pairing *pairing = conn->pairing;
	const struct edged_peer *peer = stream_functions.peer(conn->stream);
	edged_handle request = pairing->typed.request;
	unsigned status = body.len < 2 ? 1 : (unsigned)(uint8_t)body.ptr[0] << 8 | (uint8_t)body.ptr[1];
	char detail[PAIR_BODY_MAX + 64];
	if (status) {
		snprintf(detail, sizeof(detail), "the node knows the code, but did not join: %.*s",
		        (int)(body.len < 2 ? 0 : body.len - 2), body.len < 2 ? "" : body.ptr + 2);
		fail(pairing, 502, "not-joined", detail);
		return;
	}
	pairing->counts.admitted++;
	log_notice("join", "node %s at %s was taken in by its pairing code", peer->node_id, peer->address);
	json_t *json = json_pack("{s:s,s:s,s:s}", "nodeId", peer->node_id, "address", peer->address,
	        "account", identity_account_id(pairing->deps.identity));
	pairing->typed.request = 0;
	conn->over = true;
	stream_functions.close(conn->stream);
	pairing_typed_end(pairing);
	(void)answer_json(pairing->deps.requests, request, 200, json);
}

/* It has proven that it knows the code: now it may join. */
static void send_invite(struct pair_conn *conn)
{
	struct pairing *pairing = conn->pairing;
	CLEANUP(buf_wipe) struct buf text = BUF_EMPTY;
	struct join_token token;
	stream_functions.deadline(conn->stream, PAIRING_JOIN_MS);
	int r = join_invite(pairing->deps.join, pairing->typed.request, PAIRING_INVITE_S, &token);
	if (r == JOIN_ANSWERED) {
		pairing_typed_end(pairing);
		return;
	}
	if (!r)
		r = token_write(&token, &text);
	explicit_bzero(&token, sizeof(token));
	if (r)
		fail(pairing, 500, "no-invite", "no invite could be made for the node");
	else
		pair_conn_send(conn, PAIR_TOKEN, buf_slice(&text));
}

static int take_proof(struct pair_conn *conn, const struct pair_frame *frame)
{
	CLEANUP(buf_fini) struct buf out = BUF_EMPTY;
	int r = pair_exchange_take(&conn->exchange, frame, &out);
	if (r == PAIR_PROVEN) {
		conn->proven = true;
		send_invite(conn);
		return 0;
	}
	if (r)
		fail(conn->pairing, r == -EACCES ? 403 : 502, r == -EACCES ? "wrong-node" : "bad-answer",
		        r == -EACCES ? "the node that answered does not know the code; do not trust it"
		                     : "the node answered what cannot be understood");
	else
		pair_conn_flush(conn, &out);
	return 0;
}

static int take(struct pair_conn *conn, const struct pair_frame *frame)
{
	if (frame->type == PAIR_REFUSED)
		refused(conn->pairing, frame->body);
	else if (conn->proven && frame->type == PAIR_RESULT)
		done(conn, frame->body);
	else if (conn->proven)
		fail(conn->pairing, 502, "bad-answer", "the node answered what cannot be understood");
	else
		return take_proof(conn, frame);
	return 0;
}

/* --- the stream --- */

static void drop_address(struct pairing_typed *typed, const char *address)
{
	unsigned at = 0;
	for (unsigned i = 0; i < typed->address_count; i++)
		if (strcmp(typed->addresses[i], address) == 0)
			at = i;
	if (typed->address_count > 0)
		typed->address_count--;
	memmove(typed->addresses[at], typed->addresses[at + 1],
	        (typed->address_count - at) * sizeof(typed->addresses[0]));
}

/* Is it the node we want? One that is elsewhere now may have left its address to another. */
static int check_peer(struct pairing *pairing, const struct edged_peer *peer)
{
	const struct pairing_typed *typed = &pairing->typed;
	if (peer->node_id && (!typed->node_id[0] || strcmp(typed->node_id, peer->node_id) == 0) &&
	        strcmp(peer->node_id, identity_node_id(pairing->deps.identity)) != 0)
		return 0;
	drop_address(&pairing->typed, peer->address);
	loop_defer(pairing->deps.loop, &pairing->typed.again);
	return -EACCES;
}

static int on_open(void *self, struct edged_stream *stream, void **ret_conn)
{
	struct pairing *pairing = self;
	CLEANUP(buf_fini) struct buf out = BUF_EMPTY;
	pairing->typed.dial = NULL;
	int r = check_peer(pairing, stream_functions.peer(stream));
	if (r)
		return r;
	struct pair_conn *conn = calloc(1, sizeof(*conn));
	if (conn) {
		conn->pairing = pairing;
		conn->stream = stream;
	}
	r = conn ? pair_conn_begin(conn, false, pairing->typed.code, &out) : -ENOMEM;
	if (r) {
		if (conn)
			pair_conn_free(conn);
		fail(pairing, 500, "no-memory", "the exchange could not be begun");
		return r;
	}
	pairing->typed.conn = conn;
	stream_functions.deadline(stream, PAIRING_EXCHANGE_MS);
	pair_conn_flush(conn, &out);
	*ret_conn = conn;
	return 0;
}

static ssize_t on_data(void *arg, const uint8_t *bytes, size_t n)
{
	return pair_conn_frames(arg, bytes, n, take);
}

static void on_closed(void *arg, int reason)
{
	struct pair_conn *conn = arg;
	struct pairing *pairing = conn->pairing;
	if (pairing->typed.conn == conn) {
		pairing->typed.conn = NULL;
		if (reason == -ETIMEDOUT)
			fail(pairing, 504, "node-silent", "the node did not answer in time");
		else
			fail(pairing, 502, "node-unreachable",
			        "the node broke the connection off; perhaps its code was taken back, or it "
			        "is "
			        "of an older version");
	}
	pair_conn_free(conn);
}

const struct edged_stream_handler pairing_typed_handler = { sizeof(struct edged_stream_handler), on_open,
	on_data, NULL, on_closed, NULL, NULL };

/* --- dialling --- */

static void dial_failed(void *arg, int error, const char *why)
{
	struct pairing *pairing = arg;
	char detail[512];
	pairing->typed.dial = NULL;
	snprintf(detail, sizeof(detail),
	        "the node cannot be reached: %s. Check that both nodes are on one network, that no firewall "
	        "closes its port, and that it runs a version with pairing",
	        why && *why ? why : strerror(-error));
	fail(pairing, error == -ETIMEDOUT ? 504 : 502, "node-unreachable", detail);
}

static void dial_again(struct deferred *deferred)
{
	struct pairing_typed *typed = CONTAINER_OF(deferred, struct pairing_typed, again);
	struct pairing *pairing = CONTAINER_OF(typed, struct pairing, typed);
	const char *addresses[PAIRING_ADDRESSES + 1] = { NULL };
	for (unsigned i = 0; i < typed->address_count; i++)
		addresses[i] = typed->addresses[i];
	if (!addresses[0]) {
		fail(pairing, 502, "wrong-node", "another node answers at all its addresses");
		return;
	}
	const struct dial_options options = {
		.addresses = addresses,
		.tls = pairing->deps.tls,
		.alpn = PAIR_PROTOCOL,
		.timeout_ms = PAIRING_DIAL_MS,
		.handler = &pairing_typed_handler,
		.self = pairing,
		.failed = dial_failed,
		.arg = pairing,
	};
	int r = pairing->deps.dial(pairing->deps.loop, &options, &typed->dial);
	if (r)
		dial_failed(pairing, r,
		        r == -EINVAL ? "an address is four numbers or an IPv6 address in brackets, then :PORT"
		                     : NULL);
}

void pairing_typed_init(struct pairing *pairing)
{
	deferred_init(&pairing->typed.again, dial_again);
}

/* --- the request --- */

/* By id, the start of one, or name; what has a colon is an address. False: answered. */
static bool find_target(struct pairing *pairing, edged_handle request, struct edged_slice node)
{
	struct pairing_typed *typed = &pairing->typed;
	struct node_record record;
	bool ambiguous = false;
	typed->node_id[0] = '\0';
	typed->address_count = 0;
	if (node.len < sizeof(typed->addresses[0]) && memchr(node.ptr, ':', node.len)) {
		snprintf(typed->addresses[typed->address_count++], sizeof(typed->addresses[0]), "%.*s",
		        EDGED_SLICE_FMT(node));
		return true;
	}
	if (!pairing->deps.find(pairing->deps.arg, node, &record, &ambiguous)) {
		(void)request_problem(pairing->deps.requests, request, ambiguous ? 409 : 404,
		        ambiguous ? "node-ambiguous" : "node-unknown", TITLE,
		        ambiguous
		                ? "Several nodes are called so; say its id, or the address of its secure "
		                  "port."
		                : "No node of this id or name is known; edgectl nodes lists those that are, "
		                  "and others are found by the address of their secure port, such as "
		                  "192.0.2.7:8443.");
		return false;
	}
	while (typed->address_count < PAIRING_ADDRESSES && record.addresses[typed->address_count][0]) {
		memcpy(typed->addresses[typed->address_count], record.addresses[typed->address_count],
		        sizeof(typed->addresses[0]));
		typed->address_count++;
	}
	memcpy(typed->node_id, record.id, sizeof(typed->node_id));
	if (typed->address_count == 0)
		(void)request_problem(pairing->deps.requests, request, 502, "node-unreachable", TITLE,
		        "The node announces no secure port: it must listen with tls=ADDRESS:PORT.");
	return typed->address_count > 0;
}

/* False: answered. */
static bool read_request(struct pairing *pairing, edged_handle request)
{
	struct err err = { "" };
	json_t *body = answer_body(
	        pairing->deps.requests, request, "{\"node\": \"kitchen\", \"code\": \"1234-5674\"}");
	if (!body)
		return false;
	const char *node = json_string_value(json_object_get(body, "node")),
	           *code = json_string_value(json_object_get(body, "code"));
	bool ok = false;
	if (!node || !*node || !code)
		(void)request_problem(pairing->deps.requests, request, 400, "bad-request", TITLE,
		        "Say which node (\"node\": its id, name, or address with port) shows which code "
		        "(\"code\").");
	else if (pair_code_read(edged_str(code), pairing->typed.code, &err))
		(void)request_problem(pairing->deps.requests, request, 400, "bad-code", TITLE, err.text);
	else
		ok = find_target(pairing, request, edged_str(node));
	json_decref(body);
	return ok;
}

int pairing_serve_typed(void *self, edged_handle request)
{
	struct pairing *pairing = self;
	if (!owner_asks(pairing->deps.requests, request))
		return 0;
	if (pairing->typed.request)
		return request_problem(pairing->deps.requests, request, 409, "pairing-under-way", TITLE,
		        "Another node is being taken in: wait until that has ended, then try again.");
	if (!join_may_invite(pairing->deps.join, request))
		return 0;
	if (!read_request(pairing, request)) {
		pairing_typed_end(pairing);
		return 0;
	}
	int r = request_on_gone(pairing->deps.requests, request, on_gone, pairing);
	if (r) {
		pairing_typed_end(pairing);
		return r;
	}
	pairing->typed.request = request;
	pairing->counts.asked++;
	loop_defer(pairing->deps.loop, &pairing->typed.again);
	return 0;
}
