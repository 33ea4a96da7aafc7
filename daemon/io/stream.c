/* SPDX-License-Identifier: Apache-2.0 */
#include "io/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <event2/event.h>
#include "io/stream_in.h"
#include "io/stream_move.h"
#include "io/stream_out.h"
#include "io/stream_private.h"
#include "io/stream_tls.h"
#include "io/stream_websocket.h"

static atomic_uint_fast64_t waiting_count, open_count, accepted_count, refused_count, proxy_refused_count,
        in_count, out_count;

static void finish(struct edged_stream *s);

/* --- per loop --- */

static void on_deadline(struct deadline *deadline)
{
	struct edged_stream *s = CONTAINER_OF(deadline, struct edged_stream, deadline);
	if (s->state != STREAM_OPEN) {
		stream_end(s, -ETIMEDOUT);
		return;
	}
	if (s->opened && EDGED_HAS(s->handler, expired)) {
		s->busy = true;
		s->handler->expired(s->conn);
		s->busy = false;
	}
	stream_close_for(s, -ETIMEDOUT); /* unless the handler did */
}

static void local_free(void *arg)
{
	struct stream_loop *local = arg;
	list_each_safe (node, &local->streams) {
		struct edged_stream *s = list_entry(node, struct edged_stream, link);
		s->opened = false; /* who would hear closed() has gone */
		stream_end(s, -ECANCELED);
		finish(s);
	}
	deadlines_fini(&local->deadlines);
	free(local);
}

static int local_of(struct loop *loop, struct stream_loop **ret)
{
	struct stream_loop *local = loop_local(loop);
	if (!local) {
		local = malloc(sizeof(*local)); /* its buffer costs memory only once it is used */
		if (!local)
			return -ENOMEM;
		local->loop = loop;
		local->count = 0;
		list_init(&local->streams);
		int r = deadlines_init(&local->deadlines, loop, on_deadline);
		if (r) {
			free(local);
			return r;
		}
		loop_set_local(loop, local, local_free);
	}
	*ret = local;
	return 0;
}

int stream_join(struct edged_stream *s, struct loop *loop)
{
	struct stream_loop *local;
	int r = local_of(loop, &local);
	if (!r)
		r = deadlines_reserve(&local->deadlines, local->count + 1);
	if (r)
		return r;
	s->loop = loop;
	list_append(&local->streams, &s->link);
	local->count++;
	return 0;
}

void stream_leave(struct edged_stream *s)
{
	struct stream_loop *local = stream_local(s);
	uint64_t due = s->deadline.due;
	deadline_clear(&local->deadlines, &s->deadline);
	s->deadline.due = due; /* for the loop it moves to */
	list_remove(&s->link);
	local->count--;
	deferred_cancel(&s->turn_end);
}

/* --- the end --- */

static void tell_closed(struct edged_stream *s)
{
	if (!s->opened)
		return;
	s->opened = false;
	s->busy = true;
	s->handler->closed(s->conn, s->reason);
	s->busy = false;
	s->handler = NULL;
}

static void let_go(struct edged_stream *s)
{
	stream_drop_queue(s);
	stream_want_write(s, false);
	if (s->reading)
		event_del(&s->event);
	s->reading = false;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

void stream_free(struct edged_stream *s)
{
	let_go(s);
	stream_tls_free(s->tls);
	websocket_free(s->websocket);
	if (s->transition)
		free(s->transition->pending);
	free(s->transition);
	free(s->leftover);
	free((char *)(uintptr_t)s->peer.signer); /* its own, see stream_set_signer() */
	if (s->owner)
		s->owner->gone(s->owner, s->reason);
	atomic_fetch_sub_explicit(&open_count, 1, memory_order_relaxed);
	free(s);
}

static void finish(struct edged_stream *s)
{
	tell_closed(s);
	stream_leave(s);
	stream_free(s);
}

void stream_lose(struct edged_stream *s, int reason)
{
	s->reason = reason;
	tell_closed(s);
	stream_free(s);
}

void stream_end(struct edged_stream *s, int reason)
{
	if (s->state == STREAM_ENDED)
		return;
	if (s->state < STREAM_CLOSING)
		s->reason = reason;
	s->state = STREAM_ENDED;
	if (s->tls)
		stream_tls_shutdown(s->tls);
	let_go(s);
	loop_defer(s->loop, &s->turn_end);
}

static void set_deadline_in(struct edged_stream *s, uint64_t ms)
{
	deadline_set(&stream_local(s)->deadlines, &s->deadline, loop_now(s->loop) + ms);
}

void stream_close_for(struct edged_stream *s, int reason)
{
	if (s->state == STREAM_OPENING)
		stream_end(s, reason);
	if (s->state != STREAM_OPEN)
		return;
	s->reason = reason;
	if (s->websocket)
		websocket_say_close(s, reason);
	s->state = STREAM_CLOSING;
	set_deadline_in(s, STREAM_CLOSE_MS);
	stream_update(s);
	loop_defer(s->loop, &s->turn_end);
}

/* --- half closed --- */

bool stream_is_dead(const struct edged_stream *s)
{
	struct pollfd peer = { .fd = s->fd };
	return poll(&peer, 1, 0) == 1 && peer.revents & (POLLHUP | POLLERR);
}

/* The kernel asks whether the peer is there: one that closed its socket forgets it after a while, and then denies it. */
static void let_kernel_ask(int fd)
{
	int on = 1, seconds = STREAM_HALF_PROBE_S, times = 3;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof(seconds));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof(seconds));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof(times));
}

/* The end that was read stays readable, so that from here on only changes wake the loop: both events are edges. */
void stream_keep_half(struct edged_stream *s)
{
	bool blocked = s->write_event != NULL;
	if (s->reading)
		event_del(&s->event);
	s->reading = false;
	s->half = true;
	let_kernel_ask(s->fd);
	stream_attach(s);
	int r = stream_want_write(s, false);
	if (!r)
		r = stream_want_write(s, blocked);
	if (r)
		stream_end(s, r);
	stream_update(s);
}

/* All is out: the handler leaves, and the peer gets the time that is left to read it. */
static void linger(struct edged_stream *s)
{
	if (s->tls)
		stream_tls_shutdown(s->tls);
	tell_closed(s);
	bool peer_may_send = !s->eof && s->reason != -ETIMEDOUT && s->state == STREAM_CLOSING;
	if (!peer_may_send || shutdown(s->fd, SHUT_WR)) {
		stream_end(s, s->reason);
		return;
	}
	s->state = STREAM_LINGER;
	s->read_limit = STREAM_LINGER_BYTES;
	s->paused = false;
	stream_update(s);
}

static void turn_end(struct deferred *deferred)
{
	struct edged_stream *s = CONTAINER_OF(deferred, struct edged_stream, turn_end);
	struct loop_charge charge;
	loop_enter(&charge, s->peer.listener ? s->peer.listener : "stream");
	if (s->over && s->state == STREAM_OPEN)
		stream_switch(s);
	if (s->again && !s->moving && s->state == STREAM_OPEN)
		stream_read_again(s);
	if (s->state == STREAM_OPEN || s->state == STREAM_CLOSING) {
		if (!s->moving)
			stream_flush(s);
		if (s->state == STREAM_CLOSING && !s->queued)
			linger(s);
	}
	if (s->state == STREAM_ENDED)
		finish(s);
	else if (s->moving && s->state == STREAM_OPEN)
		stream_depart(s);
	loop_leave(&charge);
}

/* --- the beginning --- */

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct edged_stream *s = arg;
	struct loop_charge charge;
	loop_enter(&charge, s->peer.listener ? s->peer.listener : "stream");
	stream_read(s);
	loop_leave(&charge);
}

void stream_attach(struct edged_stream *s)
{
	short what = (short)(EV_READ | EV_PERSIST | (s->half ? EV_ET : 0));
	event_assign(&s->event, loop_base(s->loop), s->fd, what, on_readable, s);
}

void stream_update(struct edged_stream *s)
{
	bool wanted = (!s->eof || s->half) && !s->paused && !s->moving && s->state != STREAM_CLOSING &&
	              s->state != STREAM_ENDED;
	if (wanted == s->reading)
		return;
	s->reading = wanted;
	if (wanted ? event_add(&s->event, NULL) : event_del(&s->event))
		stream_end(s, -ENOMEM);
}

struct transition *stream_transition(struct edged_stream *s)
{
	if (!s->transition) {
		s->transition = calloc(1, sizeof(*s->transition));
		if (s->transition)
			s->transition->stream = s;
	}
	return s->transition;
}

int stream_open_handler(struct edged_stream *s, const struct edged_stream_handler *handler, void *self)
{
	s->handler = handler;
	s->self = self;
	s->conn = NULL;
	s->state = STREAM_OPEN;
	deadline_clear(&stream_local(s)->deadlines, &s->deadline);
	s->busy = true;
	int r = handler->open(self, s, &s->conn);
	s->busy = false;
	if (r) {
		stream_close_for(s, r < 0 ? r : -ECANCELED);
		return r < 0 ? r : -ECANCELED;
	}
	s->opened = true;
	return 0;
}

int stream_choose(struct edged_stream *s, struct edged_slice first_bytes)
{
	struct stream_chooser *chooser = &s->transition->chooser;
	if (chooser->wants_bytes && !first_bytes.len)
		return STREAM_NEED_MORE;
	const struct edged_stream_handler *handler = NULL;
	void *self = NULL;
	struct edged_slice first = edged_slice(
	        first_bytes.ptr, first_bytes.len < STREAM_FIRST_BYTES ? first_bytes.len : STREAM_FIRST_BYTES);
	struct edged_slice alpn = s->tls ? stream_tls_alpn(s->tls) : edged_slice(NULL, 0);
	int r = chooser->choose(chooser->arg, s, alpn, first, &handler, &self);
	if (r == STREAM_NEED_MORE && first.len < STREAM_FIRST_BYTES)
		return r;
	if (r) {
		stream_end(s, r < 0 ? r : -ENOPROTOOPT);
		return s->reason;
	}
	free(TAKE(s->transition));
	return stream_open_handler(s, handler, self);
}

static int stream_make(struct loop *loop, const struct stream_origin *origin, struct edged_stream **ret)
{
	size_t n = strlen(origin->address) + 1;
	struct edged_stream *s = calloc(1, sizeof(*s) + n);
	if (!s)
		return -ENOMEM;
	memcpy(s->address, origin->address, n);
	s->fd = origin->fd;
	s->low = 64 * 1024;
	s->high = 256 * 1024;
	s->read_limit = 64 * 1024;
	s->peer = (struct edged_peer){
		.struct_size = sizeof(s->peer),
		.address = s->address,
		.listener = origin->listener,
		.uid = origin->uid,
		.loopback = origin->loopback,
		.tls = origin->tls != NULL,
		.accepted_ms = (uint32_t)(loop_now(loop) - origin->waited_ms),
	};
	deferred_init(&s->turn_end, turn_end);
	int r = stream_join(s, loop);
	if (r) {
		free(s);
		return r;
	}
	stream_attach(s);
	atomic_fetch_add_explicit(&open_count, 1, memory_order_relaxed);
	*ret = s;
	return 0;
}

/* A client speaks first; a server without bytes to wait for may choose at once. */
static int begin(
        struct edged_stream *s, const struct stream_origin *origin, const struct stream_chooser *chooser)
{
	if (!stream_transition(s))
		return -ENOMEM;
	s->transition->chooser = *chooser;
	if (origin->handshake_ms)
		set_deadline_in(s, origin->handshake_ms > origin->waited_ms
		                           ? origin->handshake_ms - origin->waited_ms
		                           : 1);
	if (!origin->tls) {
		int r = stream_choose(s, edged_slice(NULL, 0));
		return r < 0 ? r : 0;
	}
	int r = stream_tls_new(s, origin);
	if (!r && origin->client) {
		r = stream_tls_handshake(s);
		/* A server that is quick has answered by now, and may wait for us to speak. */
		if (!r)
			r = stream_choose(s, edged_slice(NULL, 0));
	}
	return r < 0 ? r : 0;
}

int stream_new(struct loop *loop, const struct stream_origin *origin, const struct stream_chooser *chooser,
        struct edged_stream **ret)
{
	struct edged_stream *s;
	int r = stream_make(loop, origin, &s);
	if (r) {
		close(origin->fd);
		return r;
	}
	s->owner = origin->owner;
	r = begin(s, origin, chooser);
	if (r) {
		s->owner = NULL;
		if (s->state == STREAM_OPENING)
			stream_end(s, r);
	}
	stream_update(s);
	if (s->state == STREAM_OPEN)
		loop_defer(loop, &s->turn_end);
	if (r)
		return r;
	if (ret)
		*ret = s;
	return 0;
}

/* --- ending all of a handler --- */

struct ending {
	const struct edged_stream_handler *handler;
	void *self;
	void (*gone)(struct stream_owner *owner, int reason);
	size_t copies; /* bytes that may still be copied, so that last words outlive their handler's blobs */
	unsigned found;
};

static bool belongs(const struct edged_stream *s, const struct ending *ending)
{
	const struct transition *t = s->transition;
	if (ending->gone)
		return s->owner && s->owner->gone == ending->gone;
	return (s->handler == ending->handler && s->self == ending->self) ||
	       (s->over && t->handler == ending->handler && t->self == ending->self);
}

/* The handler leaves, and may say something; what then waits goes out without it. */
static void retire(struct edged_stream *s, struct ending *ending)
{
	if (s->state == STREAM_OPEN && s->opened) {
		s->moving = false; /* on its way, but not gone yet */
		s->reason = -ESHUTDOWN;
		tell_closed(s);
		stream_close_for(s, -ESHUTDOWN);
		stream_flush(s);
	} else if (s->state != STREAM_CLOSING) {
		stream_end(s, -ESHUTDOWN);
	}
	tell_closed(s);
	if (s->queued && stream_own_queue(s, &ending->copies))
		stream_end(s, -ESHUTDOWN);
}

static void end_on_loop(struct loop *loop, void *arg)
{
	struct ending *ending = arg;
	struct stream_loop *local = loop_local(loop);
	if (!local)
		return;
	list_each (node, &local->streams) {
		struct edged_stream *s = list_entry(node, struct edged_stream, link);
		if (!belongs(s, ending))
			continue;
		if (ending->gone || s->busy)
			stream_end(s, -ECANCELED);
		if (s->busy)
			continue; /* closed() follows when its callback is over */
		ending->found += s->opened;
		if (ending->gone)
			tell_closed(s);
		else
			retire(s, ending);
		s->handler = NULL;
		s->over = false;
		s->peer.listener = NULL; /* its name goes with it */
	}
}

/* A stream that is on its way between two loops is met there by a later round. */
static void end_matching(struct loops *loops, struct ending *ending)
{
	int rounds = 0;
	do {
		ending->found = 0;
		loops_each(loops, end_on_loop, ending);
	} while ((ending->found || streams_travelling()) && ++rounds < 100);
}

void streams_end(struct loops *loops, const struct edged_stream_handler *handler, void *self)
{
	end_matching(
	        loops, &(struct ending){ .handler = handler, .self = self, .copies = STREAM_LAST_COPIES });
}

void streams_end_owned(struct loops *loops, void (*gone)(struct stream_owner *owner, int reason))
{
	end_matching(loops, &(struct ending){ .gone = gone });
}

static void end_node_on_loop(struct loop *loop, void *arg)
{
	struct stream_loop *local = loop_local(loop);
	if (!local)
		return;
	list_each (node, &local->streams) {
		struct edged_stream *s = list_entry(node, struct edged_stream, link);
		if (s->peer.node_id && strcmp(s->peer.node_id, arg) == 0)
			stream_end(s, -EACCES);
	}
}

void streams_end_node(struct loops *loops, const char *node_id)
{
	int rounds = 0;
	do
		loops_each(loops, end_node_on_loop, (void *)(uintptr_t)node_id);
	while (streams_travelling() && ++rounds < 100);
}

void stream_disown(struct edged_stream *s)
{
	s->owner = NULL;
}

/* --- the capability --- */

static size_t queued(const struct edged_stream *s)
{
	return s->queued;
}

static void set_marks(struct edged_stream *s, size_t low, size_t high)
{
	s->high = high > UINT32_MAX / 4 ? UINT32_MAX / 4 : (uint32_t)high;
	s->low = low > s->high ? s->high : (uint32_t)low;
}

static bool is_full(const struct edged_stream *s)
{
	return s->queued > s->high;
}

static void set_read_limit(struct edged_stream *s, size_t n)
{
	s->read_limit = n > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)n;
}

static void pause_reading(struct edged_stream *s)
{
	s->paused = true;
	stream_update(s);
}

static void resume_reading(struct edged_stream *s)
{
	if (!s->paused || s->state != STREAM_OPEN)
		return;
	s->paused = false;
	stream_update(s);
	s->again = true;
	loop_defer(s->loop, &s->turn_end);
}

static void deadline(struct edged_stream *s, uint64_t ms)
{
	if (s->state != STREAM_OPEN)
		return;
	if (ms)
		set_deadline_in(s, ms);
	else
		deadline_clear(&stream_local(s)->deadlines, &s->deadline);
}

static void close_stream(struct edged_stream *s)
{
	stream_close_for(s, -ECANCELED);
}

static void abort_stream(struct edged_stream *s)
{
	stream_end(s, -ECANCELED);
}

static const struct edged_peer *peer(const struct edged_stream *s)
{
	return &s->peer;
}

static void message_end(struct edged_stream *s)
{
	if (s->websocket)
		websocket_seal(s);
}

static uint64_t waiting(struct edged_host *host)
{
	(void)host;
	return stream_counts().waiting;
}

const struct edged_stream_1 stream_functions = {
	.struct_size = sizeof(stream_functions),
	.write = stream_write,
	.write_blob = stream_write_blob,
	.queued = queued,
	.set_marks = set_marks,
	.is_full = is_full,
	.set_read_limit = set_read_limit,
	.pause = pause_reading,
	.resume = resume_reading,
	.deadline = deadline,
	.close = close_stream,
	.abort = abort_stream,
	.peer = peer,
	.move = stream_move,
	.message_end = message_end,
	.waiting = waiting,
};

void stream_set_trusted(struct edged_stream *s, bool trusted)
{
	s->peer.trusted = trusted;
}

int stream_set_signer(struct edged_stream *s, const char *principal)
{
	char *copy = strdup(principal);
	if (!copy)
		return -ENOMEM;
	free((char *)(uintptr_t)s->peer.signer);
	s->peer.signer = copy;
	return 0;
}

void stream_restart_clock(struct edged_stream *s)
{
	s->peer.accepted_ms = (uint32_t)loop_now(s->loop);
}

struct loop *stream_loop(const struct edged_stream *s)
{
	return s->loop;
}

int stream_become_websocket(struct edged_stream *s)
{
	if (s->state != STREAM_OPEN || s->websocket)
		return -EINVAL;
	int r = websocket_new(&s->websocket);
	if (!r)
		s->peer.websocket = true;
	return r;
}

/* --- counts --- */

void stream_count_waiting(struct edged_stream *s)
{
	if (s->counted == s->queued)
		return;
	atomic_fetch_add_explicit(&waiting_count, s->queued - s->counted, memory_order_relaxed);
	s->counted = s->queued;
}

void stream_count_bytes(uint64_t in, uint64_t out)
{
	if (in)
		atomic_fetch_add_explicit(&in_count, in, memory_order_relaxed);
	if (out)
		atomic_fetch_add_explicit(&out_count, out, memory_order_relaxed);
}

void stream_count_accepted(void)
{
	atomic_fetch_add_explicit(&accepted_count, 1, memory_order_relaxed);
}

void stream_count_refused(void)
{
	atomic_fetch_add_explicit(&refused_count, 1, memory_order_relaxed);
}

void stream_count_proxy_refused(void)
{
	atomic_fetch_add_explicit(&proxy_refused_count, 1, memory_order_relaxed);
}

struct stream_counts stream_counts(void)
{
	return (struct stream_counts){
		.open = atomic_load_explicit(&open_count, memory_order_relaxed),
		.accepted = atomic_load_explicit(&accepted_count, memory_order_relaxed),
		.refused = atomic_load_explicit(&refused_count, memory_order_relaxed),
		.proxy_refused = atomic_load_explicit(&proxy_refused_count, memory_order_relaxed),
		.bytes_in = atomic_load_explicit(&in_count, memory_order_relaxed),
		.waiting = atomic_load_explicit(&waiting_count, memory_order_relaxed),
		.bytes_out = atomic_load_explicit(&out_count, memory_order_relaxed),
	};
}
