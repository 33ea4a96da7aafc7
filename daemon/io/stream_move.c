/* SPDX-License-Identifier: Apache-2.0 */
#include "io/stream_move.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "io/stream_in.h"
#include "io/stream_out.h"
#include "io/stream_tls.h"

static atomic_uint travelling;

unsigned streams_travelling(void)
{
	return atomic_load(&travelling);
}

/* --- to another loop --- */

static struct edged_stream *end_journey(struct post *post)
{
	struct edged_stream *s = CONTAINER_OF(post, struct transition, post)->stream;
	s->travelling = s->moving = false;
	return s;
}

static void lost(struct post *post)
{
	struct edged_stream *s = end_journey(post);
	s->opened = false;
	stream_free(s);
	atomic_fetch_sub(&travelling, 1);
}

static void arrive(struct post *post)
{
	struct edged_stream *s = end_journey(post);
	struct transition *t = TAKE(s->transition);
	int r = stream_join(s, t->target);
	if (r) {
		s->loop = t->target;
		stream_lose(s, r);
	} else {
		stream_attach(s);
		if (s->deadline.due)
			deadline_set(&stream_local(s)->deadlines, &s->deadline, s->deadline.due);
		s->busy = true;
		t->arrived(s->conn);
		s->busy = false;
		stream_update(s);
		s->again = s->leftover || s->tls;
		loop_defer(s->loop, &s->turn_end);
	}
	free(t);
	atomic_fetch_sub(&travelling, 1);
}

void stream_depart(struct edged_stream *s)
{
	struct transition *t = s->transition;
	int r = stream_want_write(s, false);
	(void)r; /* taking away does not fail */
	stream_leave(s);
	s->travelling = true;
	atomic_fetch_add(&travelling, 1);
	t->post = (struct post){ .fn = arrive, .drop = lost };
	loop_post(t->target, &t->post);
}

int stream_move(struct edged_stream *s, unsigned loop, void (*arrived)(void *conn))
{
	struct loops *all = loop_all(s->loop);
	if (loop >= loops_count(all))
		return -EINVAL;
	if (s->state != STREAM_OPEN || s->moving || s->over)
		return -EPIPE;
	struct transition *t = stream_transition(s);
	if (!t)
		return -ENOMEM;
	t->target = loops_at(all, loop);
	t->arrived = arrived;
	s->moving = true;
	stream_update(s);
	loop_defer(s->loop, &s->turn_end);
	return 0;
}

/* --- to another handler --- */

int stream_hand_over(struct edged_stream *s, const struct edged_stream_handler *handler, void *self,
        struct edged_slice pending)
{
	if (s->state != STREAM_OPEN || s->over || s->moving)
		return -EPIPE;
	struct leftover *bytes = NULL;
	if (pending.len && !(bytes = leftover_new(pending.ptr, pending.len)))
		return -ENOMEM;
	struct transition *t = stream_transition(s);
	if (!t) {
		free(bytes);
		return -ENOMEM;
	}
	t->handler = handler;
	t->self = self;
	t->pending = bytes;
	s->over = true;
	s->opened = false; /* the old handler hears nothing more */
	loop_defer(s->loop, &s->turn_end);
	return 0;
}

/* What the old handler gave back, then what it had not looked at. NULL with *ret_r = 0: nothing. */
static struct leftover *join_bytes(struct leftover *pending, struct leftover *rest, int *ret_r)
{
	*ret_r = 0;
	if (!pending || !rest)
		return pending ? pending : rest;
	struct leftover *both = malloc(sizeof(*both) + pending->len + rest->len);
	if (both) {
		both->start = 0;
		both->size = both->len = pending->len + rest->len;
		memcpy(both->bytes, pending->bytes + pending->start, pending->len);
		memcpy(both->bytes + pending->len, rest->bytes + rest->start, rest->len);
	} else {
		*ret_r = -ENOMEM;
	}
	free(pending);
	free(rest);
	return both;
}

void stream_switch(struct edged_stream *s)
{
	struct transition *t = TAKE(s->transition);
	int r;
	struct leftover *bytes = join_bytes(t->pending, TAKE(s->leftover), &r);
	s->over = s->paused = false;
	s->again = s->tls != NULL; /* more may have been read than was shown */
	if (!r)
		r = stream_open_handler(s, t->handler, t->self);
	else
		stream_end(s, r);
	free(t);
	stream_update(s);
	if (!r && bytes)
		stream_feed(s, bytes);
	else
		free(bytes);
}
