/* SPDX-License-Identifier: Apache-2.0 */
#include "io/stream_in.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "io/stream_tls.h"
#include "io/stream_websocket.h"

#define SMALL_LEFTOVER 4096 /* copied in front of the next bytes; bigger ones are read behind, in place */
#define GROW_BY        16384

struct leftover *leftover_new(const void *bytes, size_t n)
{
	struct leftover *l = malloc(sizeof(*l) + n);
	if (!l)
		return NULL;
	*l = (struct leftover){ .len = n, .size = n };
	memcpy(l->bytes, bytes, n);
	return l;
}

static bool may_show(const struct edged_stream *s)
{
	return s->state == STREAM_OPEN && !s->paused && !s->over && !s->moving;
}

/* Drops the first `used` bytes of the leftover, where `bytes` are, or keeps the rest of bytes in the loop's
 * buffer. */
static int keep_rest(struct edged_stream *s, const uint8_t *bytes, size_t n, size_t used)
{
	if (s->leftover) {
		s->leftover->start += used;
		s->leftover->len -= used;
		if (s->leftover->len == 0)
			free(TAKE(s->leftover));
	} else if (used < n) {
		s->leftover = leftover_new(bytes + used, n - used);
		if (!s->leftover)
			return -ENOMEM;
	}
	if (s->leftover && s->leftover->len > s->read_limit && may_show(s))
		return -ENOBUFS;
	return 0;
}

/* Shows n bytes to whom it concerns. They are in the leftover, or in the loop's buffer and there is no
 * leftover. */
static void show(struct edged_stream *s, const uint8_t *bytes, size_t n)
{
	size_t used = 0;
	if (s->state == STREAM_OPENING && stream_choose(s, edged_slice(bytes, n)) < 0)
		return;
	if (may_show(s)) {
		s->busy = true;
		ssize_t r = s->handler->data(s->conn, bytes, n);
		s->busy = false;
		if (r < 0) {
			stream_close_for(s, (int)r);
			return;
		}
		used = (size_t)r < n ? (size_t)r : n;
	}
	if (s->state != STREAM_OPEN && s->state != STREAM_OPENING)
		return;
	int r = keep_rest(s, bytes, n, used);
	if (r)
		stream_end(s, r);
}

/* --- from the socket --- */

/* Room behind a big leftover, in place. */
static uint8_t *grow_leftover(struct edged_stream *s, size_t *ret_room)
{
	struct leftover *l = s->leftover;
	size_t most = s->read_limit + (size_t)1 > l->len ? s->read_limit + (size_t)1 - l->len : 0;
	size_t wanted = most < SMALL_LEFTOVER ? SMALL_LEFTOVER : most > STREAM_BUFFER ? STREAM_BUFFER : most;
	if (l->size - l->len < wanted && l->size - l->len < GROW_BY) {
		size_t size = l->len + (l->len > GROW_BY ? l->len : GROW_BY);
		struct leftover *grown = malloc(sizeof(*grown) + size);
		if (!grown)
			return NULL;
		*grown = (struct leftover){ .len = l->len, .size = size };
		memcpy(grown->bytes, l->bytes + l->start, l->len);
		free(l);
		s->leftover = l = grown;
	} else if (l->start) {
		memmove(l->bytes, l->bytes + l->start, l->len);
		l->start = 0;
	}
	size_t room = l->size - l->len;
	*ret_room = room < wanted ? room : wanted;
	return l->bytes + l->len;
}

/* Where to read to. *ret_before bytes that came earlier are in front of it, in the loop's buffer. */
static uint8_t *target(struct edged_stream *s, size_t *ret_before, size_t *ret_room)
{
	uint8_t *buffer = stream_local(s)->buffer;
	*ret_before = 0;
	if (s->leftover && s->leftover->len > SMALL_LEFTOVER)
		return grow_leftover(s, ret_room);
	if (s->leftover)
		*ret_before = s->leftover->len;
	*ret_room = (s->read_limit < STREAM_BUFFER ? STREAM_READ : STREAM_BUFFER) - *ret_before;
	return buffer + *ret_before;
}

static ssize_t receive(struct edged_stream *s, uint8_t *bytes, size_t n)
{
	if (s->tls && s->state != STREAM_LINGER)
		return stream_tls_recv(s, bytes, n);
	ssize_t got = recv(s->fd, bytes, n, 0);
	return got < 0 ? -errno : got;
}

/* Bytes have been read to where target() said. */
static void take(struct edged_stream *s, uint8_t *bytes, size_t before, size_t n)
{
	int r = s->websocket ? websocket_decode(s, bytes, n, &n) : 0;
	if (n > 0 && s->leftover && s->leftover->len <= SMALL_LEFTOVER) {
		memcpy(bytes - before, s->leftover->bytes + s->leftover->start, before);
		free(TAKE(s->leftover));
		show(s, bytes - before, before + n);
	} else if (n > 0 && s->leftover) {
		s->leftover->len += n;
		show(s, s->leftover->bytes + s->leftover->start, s->leftover->len);
	} else if (n > 0) {
		show(s, bytes, n);
	}
	if (r)
		stream_close_for(s, r == WEBSOCKET_CLOSED ? 0 : r);
}

static bool handler_goes_on(struct edged_stream *s)
{
	if (!s->opened || !EDGED_HAS(s->handler, finished))
		return false;
	s->busy = true;
	bool goes_on = s->handler->finished(s->conn);
	s->busy = false;
	return goes_on && s->state == STREAM_OPEN;
}

static void peer_ended(struct edged_stream *s)
{
	if (s->half) {
		if (stream_is_dead(s))
			stream_end(s, -ECONNRESET);
		return;
	}
	s->eof = true;
	stream_update(s);
	if (s->state != STREAM_OPEN || s->over)
		stream_end(s, -ECONNRESET);
	else if (!stream_is_dead(s) && handler_goes_on(s))
		stream_keep_half(s);
	else
		stream_close_for(s, 0);
}

static void read_some(struct edged_stream *s)
{
	size_t before, room;
	uint8_t *bytes = target(s, &before, &room);
	if (!bytes) {
		stream_end(s, -ENOMEM);
		return;
	}
	ssize_t n = receive(s, bytes, room);
	if (n > 0) {
		stream_count_bytes((uint64_t)n, 0);
		take(s, bytes, before, (size_t)n);
	} else if (n == 0) {
		peer_ended(s);
	} else if (n != -EAGAIN && n != -EINTR) {
		stream_end(s, (int)n);
	}
	if (s->again)
		loop_defer(s->loop, &s->turn_end);
}

static void throw_away(struct edged_stream *s)
{
	ssize_t n = receive(s, stream_local(s)->buffer, STREAM_BUFFER);
	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n <= 0 || (size_t)n >= s->read_limit)
		stream_end(s, s->reason);
	else
		s->read_limit -= (uint32_t)n;
}

/* 0: go on reading. */
static int shake_hands(struct edged_stream *s)
{
	int r = stream_tls_handshake(s);
	if (r < 0)
		stream_end(s, r);
	if (r)
		return r;
	r = stream_choose(s, edged_slice(NULL, 0));
	if (!r)
		loop_defer(s->loop, &s->turn_end);
	return s->state == STREAM_OPENING || may_show(s) ? 0 : -EAGAIN;
}

void stream_read(struct edged_stream *s)
{
	if (s->state == STREAM_LINGER)
		throw_away(s);
	else if (!s->tls || stream_tls_is_ready(s->tls) || shake_hands(s) == 0)
		read_some(s);
}

void stream_read_again(struct edged_stream *s)
{
	s->again = false;
	if (s->leftover)
		show(s, s->leftover->bytes + s->leftover->start, s->leftover->len);
	if (may_show(s) && s->tls)
		read_some(s);
}

void stream_feed(struct edged_stream *s, struct leftover *pending)
{
	size_t n = pending->len;
	uint8_t *bytes = pending->bytes + pending->start;
	int r = s->websocket ? websocket_decode(s, bytes, n, &n) : 0;
	pending->len = n;
	if (n == 0) {
		free(pending);
	} else {
		s->leftover = pending;
		show(s, bytes, n);
	}
	if (r)
		stream_close_for(s, r == WEBSOCKET_CLOSED ? 0 : r);
}
