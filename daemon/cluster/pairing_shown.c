/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/pairing_shown.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "cluster/identity.h"
#include "cluster/join.h"
#include "cluster/join_client.h"
#include "cluster/token.h"

static void forget_code(struct pairing *pairing)
{
	explicit_bzero(pairing->shown.code, sizeof(pairing->shown.code));
	pairing->shown.tries_left = 0;
}

bool pairing_is_shown(struct pairing *pairing)
{
	const struct pairing_shown *shown = &pairing->shown;
	if (shown->code[0] &&
	        (pairing_now(pairing) >= shown->until_ms || identity_account_id(pairing->deps.identity)[0]))
		forget_code(pairing);
	return shown->code[0];
}

void pairing_hide(struct pairing *pairing)
{
	struct pair_conn *conn = pairing->shown.conn;
	forget_code(pairing);
	if (conn && !pairing->shown.joining)
		stream_functions.abort(conn->stream);
}

/* --- the exchange --- */

static int refuse(struct pair_conn *conn, enum pair_reason reason)
{
	const uint8_t body[] = { (uint8_t)reason, (uint8_t)conn->pairing->shown.tries_left };
	pair_conn_send(conn, PAIR_REFUSED, edged_slice(body, sizeof(body)));
	conn->over = true;
	stream_functions.close(conn->stream);
	return 0;
}

/* Each exchange counts as a try from its start: what is broken off in the middle is not free. */
static int begin(struct pair_conn *conn, const struct pair_frame *frame, struct buf *out)
{
	struct pairing *pairing = conn->pairing;
	struct pairing_shown *shown = &pairing->shown;
	uint64_t now = pairing_now(pairing);
	enum pair_reason no = !pairing_is_shown(pairing) ? PAIR_NO_CODE
	                      : shown->conn              ? PAIR_BUSY
	                      : now < shown->next_ms     ? PAIR_TOO_SOON
	                                                 : 0;
	if (no) {
		pairing->counts.refused++;
		return refuse(conn, no);
	}
	shown->conn = conn;
	shown->next_ms = now + pairing->deps.limits.gap_ms;
	shown->tries_left--;
	pairing->counts.exchanges++;
	int r = pair_conn_begin(conn, true, shown->code, out);
	if (shown->tries_left == 0) {
		log_warning("join", "the pairing code has no tries left: this is the last exchange with it");
		forget_code(pairing);
	}
	return r ? r : pair_exchange_take(&conn->exchange, frame, out);
}

static int wrong_code(struct pair_conn *conn)
{
	const struct pairing_shown *shown = &conn->pairing->shown;
	conn->pairing->counts.wrong++;
	log_warning("join", "node %s at %s does not know the pairing code; %u tries are left",
	        stream_functions.peer(conn->stream)->node_id, stream_functions.peer(conn->stream)->address,
	        shown->tries_left);
	return refuse(conn, PAIR_WRONG_CODE);
}

/* --- joining --- */

static void send_result(struct pair_conn *conn, int status, const char *why)
{
	CLEANUP(buf_fini) struct buf body = BUF_EMPTY;
	const uint8_t number[2] = { (uint8_t)(status >> 8), (uint8_t)status };
	if (buf_add(&body, number, sizeof(number)) || buf_add_str(&body, why))
		buf_clear(&body);
	pair_conn_send(conn, PAIR_RESULT, buf_slice(&body));
	conn->over = true;
	stream_functions.close(conn->stream);
}

static void joined(void *arg, const struct join_result *result)
{
	struct pairing *pairing = arg;
	struct pair_conn *conn = pairing->shown.conn;
	pairing->shown.joining = false;
	pairing->counts.paired += result->status == 0;
	if (conn)
		send_result(conn, result->status, result->why);
}

static int take_token(struct pair_conn *conn, struct edged_slice text)
{
	struct pairing *pairing = conn->pairing;
	struct join_result failure = { .status = 0 };
	struct join_token token;
	int r = token_read(text, &token, NULL);
	/* Who knows the code invites to itself, and to nobody else. */
	if (r || strcmp(token.node_id, stream_functions.peer(conn->stream)->node_id) != 0)
		return -EPROTO;
	pairing->shown.joining = true;
	r = join_begin(pairing->deps.join, &token, joined, pairing, &failure);
	explicit_bzero(&token, sizeof(token));
	if (r)
		joined(pairing, &failure);
	return 0;
}

/* --- the stream --- */

static int take_proof(struct pair_conn *conn, const struct pair_frame *frame, struct buf *out)
{
	int r = pair_exchange_take(&conn->exchange, frame, out);
	if (r == -EACCES)
		return wrong_code(conn);
	if (r != PAIR_PROVEN)
		return r;
	conn->proven = true;
	forget_code(conn->pairing); /* it works once */
	stream_functions.deadline(conn->stream, PAIRING_JOIN_MS);
	return 0;
}

static int take(struct pair_conn *conn, const struct pair_frame *frame)
{
	CLEANUP(buf_fini) struct buf out = BUF_EMPTY;
	int r;
	if (conn->proven)
		return frame->type == PAIR_TOKEN && !conn->pairing->shown.joining
		               ? take_token(conn, frame->body)
		               : -EPROTO;
	if (conn->pairing->shown.conn == conn)
		r = take_proof(conn, frame, &out);
	else
		r = frame->type == PAIR_SHARE ? begin(conn, frame, &out) : -EPROTO;
	if (!r)
		pair_conn_flush(conn, &out);
	return r;
}

static int on_open(void *self, struct edged_stream *stream, void **ret_conn)
{
	if (!stream_functions.peer(stream)->node_id)
		return -EACCES; /* it showed no key of a node */
	struct pair_conn *conn = calloc(1, sizeof(*conn));
	if (!conn)
		return -ENOMEM;
	conn->pairing = self;
	conn->stream = stream;
	buf_init(&conn->early, 2 * (PAIR_HEAD + PAIR_BODY_MAX));
	conn->arrived = stream_loop(stream) == conn->pairing->deps.loop;
	stream_functions.deadline(stream, PAIRING_EXCHANGE_MS);
	*ret_conn = conn;
	return 0;
}

static void on_arrived(void *arg)
{
	struct pair_conn *conn = arg;
	CLEANUP(buf_fini) struct buf early = conn->early;
	conn->early = (struct buf)BUF_EMPTY;
	conn->arrived = true;
	if (pair_conn_frames(conn, (const uint8_t *)early.ptr, early.len, take) != (ssize_t)early.len)
		stream_functions.close(conn->stream);
}

/* Elsewhere nothing of the pairing may be touched: the first bytes bring it to the main loop. */
static ssize_t on_data(void *arg, const uint8_t *bytes, size_t n)
{
	struct pair_conn *conn = arg;
	struct pair_frame frame;
	if (conn->arrived)
		return pair_conn_frames(conn, bytes, n, take);
	ssize_t whole = pair_frame_read(edged_slice(bytes, n), &frame);
	if (whole <= 0)
		return whole;
	int r = buf_add(&conn->early, bytes, (size_t)whole);
	if (!r)
		r = stream_functions.move(conn->stream, loop_index(conn->pairing->deps.loop), on_arrived);
	return r ? r : whole;
}

static void on_closed(void *arg, int reason)
{
	struct pair_conn *conn = arg;
	(void)reason;
	if (conn->arrived && conn->pairing->shown.conn == conn)
		conn->pairing->shown.conn = NULL;
	pair_conn_free(conn);
}

const struct edged_stream_handler pairing_handler = { sizeof(struct edged_stream_handler), on_open, on_data,
	NULL, on_closed, NULL, NULL };
