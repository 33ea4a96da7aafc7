/* SPDX-License-Identifier: Apache-2.0 */
#include "io/stream_websocket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>
#include "io/stream_out.h"

#define HEADER_MAX  10 /* of a frame that is not masked */
#define CONTROL_MAX 125

enum { FIN = 0x80 };
enum {
	CLOSE_NORMAL = 1000,
	CLOSE_GOING_AWAY = 1001,
	CLOSE_PROTOCOL = 1002,
	CLOSE_TEXT = 1003,
	CLOSE_POLICY = 1008,
	CLOSE_TOO_BIG = 1009
};

struct websocket {
	wslay_frame_context_ptr frames; /* 4 KiB: only while part of a frame waits for the rest */
	const uint8_t *in;              /* what wslay reads, during websocket_decode() */
	size_t in_len;
	size_t held;   /* bytes that wslay was fed and has not given back yet: a part of a header */
	uint64_t left; /* payload of the frame that still comes */
	bool in_frame, in_message; /* between a frame's first and last byte; between a message's frames */
	bool close_sent;
	uint8_t opcode, fin;
	uint8_t control_len;
	uint8_t control[CONTROL_MAX];
	struct segment *open; /* the frame being written */
	size_t open_at;       /* where it begins there, from segment->at */
	size_t open_from;     /* stream->queued when it began */
};

static ssize_t feed_wslay(uint8_t *buffer, size_t n, int flags, void *arg)
{
	(void)flags;
	struct websocket *ws = arg;
	if (ws->in_len == 0)
		return -1; /* wslay takes it for "would block" */
	if (n > ws->in_len)
		n = ws->in_len;
	memcpy(buffer, ws->in, n);
	ws->in += n;
	ws->in_len -= n;
	return (ssize_t)n;
}

int websocket_new(struct websocket **ret)
{
	struct websocket *ws = calloc(1, sizeof(*ws));
	if (!ws)
		return -ENOMEM;
	*ret = ws;
	return 0;
}

void websocket_free(struct websocket *ws)
{
	if (!ws)
		return;
	if (ws->frames)
		wslay_frame_context_free(ws->frames);
	free(ws);
}

/* --- writing --- */

static size_t put_header(uint8_t *at, uint8_t opcode, uint64_t n)
{
	at[0] = FIN | opcode;
	unsigned bytes = n < 126 ? 0 : n < 65536 ? 2 : 8;
	at[1] = (uint8_t)(bytes == 0 ? n : bytes == 2 ? 126 : 127);
	for (unsigned i = 0; i < bytes; i++)
		at[2 + i] = (uint8_t)(n >> (8 * (bytes - 1 - i)));
	return 2 + bytes;
}

/* The header's place is kept free in front of the payload: its length is known only when the frame is sealed. No byte
 * is sent until then. */
int websocket_begin(struct edged_stream *s)
{
	struct websocket *ws = s->websocket;
	if (ws->open)
		return 0;
	struct segment *segment = s->tail;
	if (!segment || segment->room < HEADER_MAX + 64)
		segment = stream_add_segment(s, HEADER_MAX + 64);
	if (!segment)
		return -ENOMEM;
	ws->open = segment;
	ws->open_at = segment->len;
	segment->len += HEADER_MAX;
	segment->room -= HEADER_MAX;
	ws->open_from = s->queued;
	return 0;
}

void websocket_seal(struct edged_stream *s)
{
	struct websocket *ws = s->websocket;
	struct segment *segment = TAKE(ws->open);
	if (!segment)
		return;
	uint8_t header[HEADER_MAX];
	size_t n = put_header(header, WSLAY_BINARY_FRAME, s->queued - ws->open_from);
	size_t free = HEADER_MAX - n, before = ws->open_at;
	uint8_t *at = (uint8_t *)segment->at + before;
	if (before == 0) {
		memcpy(at + free, header, n);
		segment->at += free;
	} else { /* small packets one behind the other: the payload moves up */
		memmove(at + n, at + HEADER_MAX, segment->len - before - HEADER_MAX);
		memcpy(at, header, n);
		segment->room += free;
	}
	segment->len -= free;
	s->queued += n;
}

static int send_control(struct edged_stream *s, uint8_t opcode, const uint8_t *bytes, size_t n)
{
	uint8_t frame[2 + CONTROL_MAX];
	size_t header = put_header(frame, opcode, n);
	if (n)
		memcpy(frame + header, bytes, n);
	websocket_seal(s);
	loop_defer(s->loop, &s->turn_end);
	return stream_queue_bytes(s, frame, header + n);
}

static uint16_t close_code(int reason)
{
	switch (reason) {
	case -ESHUTDOWN:
		return CLOSE_GOING_AWAY;
	case -EPROTO:
		return CLOSE_PROTOCOL;
	case -EPROTOTYPE:
		return CLOSE_TEXT;
	case -EMSGSIZE:
	case -ENOBUFS:
		return CLOSE_TOO_BIG;
	case -ETIMEDOUT:
		return CLOSE_POLICY;
	default:
		return CLOSE_NORMAL;
	}
}

void websocket_say_close(struct edged_stream *s, int reason)
{
	if (s->websocket->close_sent)
		return;
	s->websocket->close_sent = true;
	uint16_t code = close_code(reason);
	uint8_t payload[2] = { (uint8_t)(code >> 8), (uint8_t)code };
	if (send_control(s, WSLAY_CONNECTION_CLOSE, payload, sizeof(payload)))
		stream_end(s, -ENOMEM);
}

/* --- reading --- */

static int check_frame(struct websocket *ws, const struct wslay_frame_iocb *io)
{
	if (!io->mask || io->rsv)
		return -EPROTO;
	switch (io->opcode) {
	case WSLAY_BINARY_FRAME:
		return ws->in_message ? -EPROTO : 0;
	case WSLAY_CONTINUATION_FRAME:
		return ws->in_message ? 0 : -EPROTO;
	case WSLAY_TEXT_FRAME:
		return -EPROTOTYPE;
	case WSLAY_CONNECTION_CLOSE:
	case WSLAY_PING:
	case WSLAY_PONG:
		return io->payload_length <= CONTROL_MAX && io->fin ? 0 : -EPROTO;
	default:
		return -EPROTO;
	}
}

static int begin_frame(struct websocket *ws, const struct wslay_frame_iocb *io)
{
	int r = check_frame(ws, io);
	if (r)
		return r;
	size_t header = 2 + 4 + (io->payload_length < 126 ? 0 : io->payload_length < 65536 ? 2 : 8);
	ws->held = ws->held > header ? ws->held - header : 0;
	ws->in_frame = true;
	ws->opcode = io->opcode;
	ws->fin = io->fin;
	ws->left = io->payload_length;
	ws->control_len = 0;
	return 0;
}

static int end_frame(struct edged_stream *s)
{
	struct websocket *ws = s->websocket;
	ws->in_frame = false;
	if (!wslay_is_ctrl_frame(ws->opcode)) {
		ws->in_message = !ws->fin;
		return 0;
	}
	if (ws->opcode == WSLAY_PONG)
		return 0;
	if (ws->opcode == WSLAY_CONNECTION_CLOSE)
		return ws->control_len == 1 ? -EPROTO : WEBSOCKET_CLOSED;
	if (s->queued > s->high)
		return 0; /* who does not read our answers gets none; one pong may answer many pings */
	return send_control(s, WSLAY_PONG, ws->control, ws->control_len);
}

/* Takes a part of a frame. Message bytes go to `out`; *ret_n says how many. */
static int take_part(struct edged_stream *s, const struct wslay_frame_iocb *io, uint8_t *out, size_t *ret_n)
{
	struct websocket *ws = s->websocket;
	int r = ws->in_frame ? 0 : begin_frame(ws, io);
	*ret_n = 0;
	if (r)
		return r;
	if (wslay_is_ctrl_frame(ws->opcode)) {
		if (io->data_length > (size_t)CONTROL_MAX - ws->control_len)
			return -EPROTO;
		if (io->data_length)
			memcpy(ws->control + ws->control_len, io->data, io->data_length);
		ws->control_len = (uint8_t)(ws->control_len + io->data_length);
	} else if (io->data_length) {
		memcpy(out, io->data, io->data_length);
		*ret_n = io->data_length;
	}
	ws->left -= io->data_length;
	ws->held -= io->data_length < ws->held ? io->data_length : ws->held;
	return ws->left == 0 ? end_frame(s) : 0;
}

static int begin_decoding(struct websocket *ws)
{
	static const struct wslay_frame_callbacks callbacks = { .recv_callback = feed_wslay };
	if (!ws->frames && wslay_frame_context_init(&ws->frames, &callbacks, ws))
		return -ENOMEM;
	return 0;
}

/* Messages are never longer than the frames that carried them and wslay copies before we write: in place is
 * safe. */
int websocket_decode(struct edged_stream *s, uint8_t *bytes, size_t n, size_t *ret_n)
{
	struct websocket *ws = s->websocket;
	size_t out = 0;
	int r = begin_decoding(ws);
	ws->in = bytes;
	ws->in_len = n;
	ws->held += n;
	while (!r) {
		struct wslay_frame_iocb io = { 0 };
		ssize_t got = wslay_frame_recv(ws->frames, &io);
		if (got == WSLAY_ERR_WANT_READ)
			break;
		size_t part = 0;
		r = got < 0 ? -EPROTO : take_part(s, &io, bytes + out, &part);
		out += part;
	}
	if (ws->held == 0 && !ws->in_frame && ws->frames) {
		wslay_frame_context_free(ws->frames);
		ws->frames = NULL;
	}
	*ret_n = out;
	return r;
}
