/* SPDX-License-Identifier: Apache-2.0 */
#include "io/stream_out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <event2/event.h>
#include "io/stream_in.h"
#include "io/stream_tls.h"
#include "io/stream_websocket.h"

#define SEGMENT_BYTES 512           /* header included; more when more is written at once, */
#define SEGMENT_MOST  16384         /* or is in the queue already: then as much again, up to this */
#define BATCH         64            /* segments for one system call */
#define FLUSH_AT_ONCE (1024 * 1024) /* bytes of one stream before others get their turn */

/* --- the queue --- */

static struct segment *append(struct edged_stream *s, struct segment *segment)
{
	if (s->tail)
		s->tail->next = segment;
	else
		s->head = segment;
	s->tail = segment;
	return segment;
}

static struct segment *new_segment(size_t room, size_t queued)
{
	size_t size = queued < SEGMENT_BYTES ? SEGMENT_BYTES : queued > SEGMENT_MOST ? SEGMENT_MOST : queued;
	if (size < sizeof(struct segment) + room)
		size = sizeof(struct segment) + room;
	struct segment *segment = malloc(size);
	if (!segment)
		return NULL;
	*segment = (struct segment){ .at = segment->bytes, .room = size - sizeof(*segment) };
	return segment;
}

struct segment *stream_add_segment(struct edged_stream *s, size_t room)
{
	struct segment *segment = new_segment(room, s->queued);
	return segment ? append(s, segment) : NULL;
}

static void free_segment(struct segment *segment)
{
	edged_blob_unref(segment->blob);
	free(segment);
}

void stream_drop_queue(struct edged_stream *s)
{
	for (struct segment *segment = s->head, *next; segment; segment = next) {
		next = segment->next;
		free_segment(segment);
	}
	s->head = s->tail = NULL;
	s->queued = 0;
	stream_count_waiting(s);
}

void stream_sent(struct edged_stream *s, size_t n)
{
	stream_count_bytes(0, n);
	s->queued -= n;
	while (s->head && n >= s->head->len) {
		struct segment *first = s->head;
		n -= first->len;
		s->head = first->next;
		free_segment(first);
	}
	if (s->head) {
		s->head->at += n;
		s->head->len -= n;
	} else {
		s->tail = NULL;
	}
}

/* The same bytes in a segment of its own, in its place. */
static struct segment *copy_of(const struct segment *segment)
{
	struct segment *copy = new_segment(segment->len, 0);
	if (!copy)
		return NULL;
	memcpy(copy->bytes, segment->at, segment->len);
	copy->len = segment->len;
	copy->next = segment->next;
	return copy;
}

int stream_own_queue(struct edged_stream *s, size_t *budget)
{
	struct segment **link = &s->head;
	for (; *link; link = &(*link)->next) {
		struct segment *segment = *link;
		if (!segment->blob)
			continue;
		struct segment *copy = segment->len <= *budget ? copy_of(segment) : NULL;
		if (!copy)
			return -ENOBUFS;
		*budget -= segment->len;
		*link = copy;
		if (s->tail == segment)
			s->tail = copy;
		free_segment(segment);
	}
	return 0;
}

static void count_queued(struct edged_stream *s, size_t n)
{
	s->queued += n;
	if (s->queued > s->high)
		s->was_full = true;
}

int stream_queue_bytes(struct edged_stream *s, const void *bytes, size_t n)
{
	struct segment *tail = s->tail;
	const uint8_t *from = bytes;
	size_t left = n;
	if (tail && tail->room) {
		size_t fits = left < tail->room ? left : tail->room;
		memcpy((uint8_t *)tail->at + tail->len, from, fits);
		tail->len += fits;
		tail->room -= fits;
		from += fits;
		left -= fits;
	}
	if (left) {
		tail = stream_add_segment(s, left);
		if (!tail) {
			s->queued += n - left;
			return -ENOMEM;
		}
		memcpy(tail->bytes, from, left);
		tail->len = left;
		tail->room -= left;
	}
	count_queued(s, n);
	return 0;
}

static int queue_blob(struct edged_stream *s, struct edged_blob *blob, size_t offset, size_t n)
{
	struct segment *segment = malloc(sizeof(*segment));
	if (!segment)
		return -ENOMEM;
	*segment = (struct segment){ .blob = edged_blob_ref(blob), .at = blob->data + offset, .len = n };
	append(s, segment);
	count_queued(s, n);
	return 0;
}

/* May something be added? A queue that is over its hard limit belongs to a peer that does not read: it ends.
 */
static int admit(struct edged_stream *s)
{
	if (s->state != STREAM_OPEN)
		return -EPIPE;
	size_t hard = (size_t)s->high * 4 < STREAM_HARD_LIMIT ? STREAM_HARD_LIMIT : (size_t)s->high * 4;
	if (s->queued >= hard)
		return -ENOBUFS;
	return s->websocket ? websocket_begin(s) : 0;
}

/* Bytes that a peer would miss in the middle make the rest worthless. */
static int settle(struct edged_stream *s, int r)
{
	if (!r)
		loop_defer(s->loop, &s->turn_end);
	else if (r != -EPIPE)
		stream_end(s, r);
	return r;
}

int stream_write(struct edged_stream *s, const void *bytes, size_t n)
{
	if (n == 0)
		return s->state == STREAM_OPEN ? 0 : -EPIPE;
	int r = admit(s);
	return settle(s, r ? r : stream_queue_bytes(s, bytes, n));
}

int stream_write_blob(struct edged_stream *s, struct edged_blob *blob, size_t offset, size_t n)
{
	if (offset > blob->len || n > blob->len - offset)
		return -EINVAL;
	if (n == 0)
		return s->state == STREAM_OPEN ? 0 : -EPIPE;
	int r = admit(s);
	return settle(s, r ? r : queue_blob(s, blob, offset, n));
}

/* --- sending --- */

static ssize_t send_batch(struct edged_stream *s)
{
	struct iovec iov[BATCH];
	struct msghdr message = { .msg_iov = iov };
	for (struct segment *segment = s->head; segment && message.msg_iovlen < BATCH;
	        segment = segment->next)
		if (segment->len)
			iov[message.msg_iovlen++] = (struct iovec){ (void *)segment->at, segment->len };
	ssize_t n = sendmsg(s->fd, &message, MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

/* 0, or why it stopped before the queue was empty. */
static int send_queue(struct edged_stream *s)
{
	for (size_t all = 0; s->queued && all < FLUSH_AT_ONCE;) {
		ssize_t n = s->tls ? stream_tls_send(s) : send_batch(s);
		if (n < 0)
			return n == -EINTR ? 0 : (int)n;
		stream_sent(s, (size_t)n);
		all += (size_t)n;
	}
	return 0;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct edged_stream *s = arg;
	struct loop_charge charge;
	loop_enter(&charge, s->peer.listener ? s->peer.listener : "stream");
	if (s->tls && !stream_tls_is_ready(s->tls))
		stream_read(s);
	else
		stream_flush(s);
	if (s->state == STREAM_CLOSING && !s->queued)
		loop_defer(s->loop, &s->turn_end);
	loop_leave(&charge);
}

int stream_want_write(struct edged_stream *s, bool wanted)
{
	if (wanted == (s->write_event != NULL))
		return 0;
	if (wanted) {
		short what = (short)(EV_WRITE | EV_PERSIST | (s->half ? EV_ET : 0));
		s->write_event = event_new(loop_base(s->loop), s->fd, what, on_writable, s);
		return s->write_event && event_add(s->write_event, NULL) == 0 ? 0 : -ENOMEM;
	}
	event_free(TAKE(s->write_event));
	return 0;
}

static void tell_drained(struct edged_stream *s)
{
	if (!s->was_full || s->queued > s->low)
		return;
	s->was_full = false;
	if (s->state != STREAM_OPEN || !s->opened || !s->handler->drained)
		return;
	s->busy = true;
	s->handler->drained(s->conn);
	s->busy = false;
}

void stream_flush(struct edged_stream *s)
{
	if (s->websocket)
		websocket_seal(s);
	int r = send_queue(s);
	stream_count_waiting(s);
	if (r == -EAGAIN)
		r = 0;
	else if (!r && s->queued && s->half)
		loop_defer(s->loop, &s->turn_end); /* an edge comes only after the socket was full */
	if (!r)
		r = stream_want_write(s, s->queued > 0);
	if (r)
		stream_end(s, r);
	else
		tell_drained(s);
}
