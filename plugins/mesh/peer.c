/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include "../bridge/backoff.h"
#include "epochs.h"
#include "inward.h"
#include "outward.h"

enum {
	DIAL_MS = 5000,      /* for TCP and TLS */
	GREETING_MS = 10000, /* for all its filters */
	PATIENCE_MS = 3000,  /* for the other one to dial, */
	PATIENCE_EACH = 50,  /* and longer for each that there is: it dials few at once */
	DIALS_MOST = 16,
	BACKOFF_MIN = 500,
	BACKOFF_MAX = 15000,
	STEADY_MS = 30000, /* a connection that lasted so long was in order */
	PING_MS = 5000,    /* after something was said to it, and it said nothing: it is asked, */
	DEAD_MS = 15000,   /* and given up, */
	GONE_MS = 10000,   /* or earlier when the cluster does not see it */
	QUIET_MS = 60000,  /* when nobody has said anything: it is asked, too */
	LOW_MARK = 128 * 1024,
	HIGH_MARK = 512 * 1024,
	EARLY_MOST = 65536
};

/* One connection. It outlives its peer when that lets go of it: the stream's end comes later. */
struct conn {
	struct mesh *mesh;
	struct peer *peer; /* NULL: not yet, or nobody cares any more */
	struct edged_stream *stream;
	bool arrived;   /* on the main loop */
	uint8_t *early; /* what came before */
	size_t early_len;
};

uint64_t peer_wall_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t now_of(const struct peer *p)
{
	return p->mesh->loop->now(p->mesh->host);
}

/* --- what people see ------------------------------------------------------------------------------------------------------- */

const char *peer_state_name(const struct peer *p)
{
	static const char *const names[] = { [PEER_AWAY] = "away",
		[PEER_WAITING] = "waiting",
		[PEER_DIALLING] = "connecting",
		[PEER_GREETING] = "connecting",
		[PEER_CONNECTED] = "connected" };
	return names[p->state];
}

void peer_show(struct peer *p)
{
	struct edged_session_figures f = { .struct_size = sizeof(f) };
	if (p->mesh->session->figures(p->mesh->session->ctx, p->session, &f))
		return;
	edged_metric_set(p->figures->waiting, f.waiting);
	edged_metric_set(p->figures->in_flight, f.in_flight);
	edged_metric_set(p->figures->bytes, (int64_t)f.bytes);
	edged_metric_set(p->figures->dropped_queue, p->dropped_before + (int64_t)f.dropped);
	edged_metric_set(p->figures->filters, p->told.count);
}

static void move(struct peer *p, enum peer_state state)
{
	if (p->state == state)
		return;
	p->since = peer_wall_ms();
	p->mesh->dialling += (state == PEER_DIALLING) - (p->state == PEER_DIALLING);
	if (p->state == PEER_DIALLING)
		mesh_look(p->mesh); /* another one may wait to be dialled */
	else
		mesh_wake(p->mesh);
	p->state = state;
	edged_metric_set(p->figures->connected, state == PEER_CONNECTED);
}

/* --- ending a connection --------------------------------------------------------------------------------------------------- */

static void let_go(struct peer *p)
{
	p->mesh->dial->cancel(p->mesh->host, p->dial);
	p->dial = 0;
	if (p->conn) {
		p->conn->peer = NULL;
		p->mesh->stream->close(p->conn->stream);
		p->conn = NULL;
	}
	p->stream = NULL;
	p->detached = 0;
	p->mesh->session->detach(p->mesh->session->ctx, p->session);
	inward_reset(p);
	sync_end(p);
	peer_show(p);
	p->mesh->channel->parted(p->mesh->channel->ctx, p->id);
}

static void retry(struct peer *p)
{
	uint64_t random = 0, wait = 0;
	if (getrandom(&random, sizeof(random), 0) < 0)
		random = now_of(p); /* never, on Linux of today */
	if (p->failures)
		wait = backoff_ms(p->failures, BACKOFF_MIN, BACKOFF_MAX, random);
	if (strcmp(p->mesh->id, p->id) > 0)
		wait += PATIENCE_MS + PATIENCE_EACH * p->mesh->peer_count;
	p->next_ms = now_of(p) + wait;
	move(p, p->there ? PEER_WAITING : PEER_AWAY);
}

void peer_fail(struct peer *p, const char *format, ...)
{
	char text[sizeof(p->error)];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	bool again = strcmp(text, p->error) == 0 && p->state != PEER_CONNECTED;
	memcpy(p->error, text, sizeof(text));
	p->error_at = peer_wall_ms();
	count_one(p->figures->failures);
	if (p->state == PEER_CONNECTED && now_of(p) - p->connected_ms >= STEADY_MS)
		p->failures = 0;
	p->failures++;
	let_go(p);
	retry(p);
	p->mesh->log->log(p->mesh->host, again ? EDGED_DEBUG : EDGED_WARNING,
	        "node %.8s is not connected for messages: %s", p->id, text);
}

/* --- the stream ------------------------------------------------------------------------------------------------------------ */

void peer_write(struct peer *p, const void *bytes, size_t n)
{
	if (!p->stream || !n)
		return;
	if (!p->unheard_ms) {
		p->unheard_ms = now_of(p);
		mesh_wake(p->mesh);
	}
	(void)p->mesh->stream->write(p->stream, bytes, n); /* a write that fails ends the stream */
}

/* Nothing is to be said to that. */
void peer_pong(struct peer *p)
{
	uint8_t bytes[FRAME_HEAD];
	struct writer w = writer(bytes, sizeof(bytes));
	write_frame_head(&w, FRAME_PONG, 0);
	if (p->stream)
		(void)p->mesh->stream->write(p->stream, bytes, sizeof(bytes));
}

/* The connection is this peer's from now on. */
static void take(struct peer *p, struct conn *c)
{
	const struct mesh *m = p->mesh;
	size_t most = m->settings.message > 2 * FILTERS_BODY ? m->settings.message : 2 * FILTERS_BODY;
	let_go(p);
	c->peer = p;
	p->conn = c;
	p->stream = c->stream;
	p->greeted = false;
	p->heard_ms = now_of(p);
	p->unheard_ms = 0;
	m->stream->set_marks(p->stream, LOW_MARK, HIGH_MARK);
	m->stream->set_read_limit(p->stream, most + FRAME_HEAD);
	m->stream->deadline(p->stream, GREETING_MS);
	move(p, PEER_GREETING);
	outward_greet(p);
}

void peer_ready(struct peer *p)
{
	p->mesh->stream->deadline(p->stream, 0);
	p->connected_ms = now_of(p);
	p->error[0] = '\0';
	count_one(p->figures->connects);
	move(p, PEER_CONNECTED);
	p->mesh->log->log(p->mesh->host, EDGED_INFO, "node %.8s is connected for messages, %u filters", p->id,
	        (unsigned)p->told.count);
	p->mesh->channel->joined(p->mesh->channel->ctx, p->id);
	sync_begin(p);
}

static int make_conn(struct mesh *m, struct edged_stream *stream, struct conn **ret)
{
	struct conn *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	*c = (struct conn){ .mesh = m, .stream = stream };
	*ret = c;
	return 0;
}

/* A node has dialled; on whatever loop. */
static int accepted(void *self, struct edged_stream *stream, void **ret_conn)
{
	struct mesh *m = self;
	const struct edged_peer *who = m->stream->peer(stream);
	struct conn *c;
	if (!who->trusted || !who->node_id)
		return -EACCES;
	int r = make_conn(m, stream, &c);
	if (!r)
		*ret_conn = c;
	return r;
}

static int dialled(void *self, struct edged_stream *stream, void **ret_conn)
{
	struct peer *p = self;
	const struct edged_peer *who = p->mesh->stream->peer(stream);
	struct conn *c;
	int r = -EACCES;
	p->dial = 0;
	if (who->trusted && who->node_id && strcmp(who->node_id, p->id) == 0)
		r = make_conn(p->mesh, stream, &c);
	if (r) {
		peer_fail(p, "at %s %s", who->address,
		        r == -EACCES ? "another node answers, or one that is not of this account"
		                     : "there was no memory");
		return r;
	}
	c->arrived = true;
	*ret_conn = c;
	take(p, c);
	return 0;
}

static void arrive(struct conn *c)
{
	struct peer *p = mesh_peer(c->mesh, c->mesh->stream->peer(c->stream)->node_id);
	c->arrived = true;
	if (p)
		take(p, c);
	else
		c->mesh->stream->close(c->stream);
}

static size_t read_frames(struct conn *c, const uint8_t *bytes, size_t n)
{
	size_t used = 0;
	if (c->peer) {
		c->peer->heard_ms = now_of(c->peer);
		c->peer->unheard_ms = 0;
	}
	while (c->peer) {
		struct peer *p = c->peer;
		struct mesh_frame f;
		uint32_t most = p->mesh->settings.message;
		int r = mesh_frame_read(
		        bytes + used, n - used, most > 2 * FILTERS_BODY ? most : 2 * FILTERS_BODY, &f);
		if (r == FRAME_PARTIAL)
			break;
		if (r == 0) {
			used += f.size;
			inward_frame(p, &f);
		} else {
			peer_fail(
			        p, "it sent a frame that is too long; is \"message\" the same on all nodes?");
		}
	}
	return c->peer ? used : n;
}

/* Back on the main loop. */
static void moved(void *conn)
{
	struct conn *c = conn;
	arrive(c);
	size_t used = read_frames(c, c->early, c->early_len);
	if (c->peer && used < c->early_len)
		peer_fail(c->peer, "its greeting came in pieces");
	free(c->early);
	c->early = NULL;
}

static ssize_t move_home(struct conn *c, const uint8_t *bytes, size_t n)
{
	c->early = malloc(n);
	if (!c->early)
		return -ENOMEM;
	memcpy(c->early, bytes, n);
	c->early_len = n;
	int r = c->mesh->stream->move(c->stream, 0, moved);
	return r ? r : (ssize_t)n;
}

static ssize_t received(void *conn, const uint8_t *bytes, size_t n)
{
	struct conn *c = conn;
	if (!c->arrived && c->mesh->loop->loop_self(c->mesh->host) != 0) {
		struct mesh_frame f; /* whole frames only: nothing is shown again over there */
		size_t used = 0;
		while (mesh_frame_read(bytes + used, n - used, EARLY_MOST, &f) == 0)
			used += f.size;
		return used ? move_home(c, bytes, used) : 0;
	}
	if (!c->arrived)
		arrive(c);
	return (ssize_t)read_frames(c, bytes, n);
}

static void drained(void *conn)
{
	const struct conn *c = conn;
	if (!c->peer)
		return;
	sync_step(c->peer);
	c->mesh->channel->room(c->mesh->channel->ctx, c->peer->id);
	c->mesh->session->flow(c->mesh->session->ctx, c->peer->session, true);
}

static void closed(void *conn, int reason)
{
	struct conn *c = conn;
	struct peer *p = c->peer;
	if (p) {
		p->conn = NULL;
		p->stream = NULL;
	}
	if (p && reason == -ESHUTDOWN) {
		let_go(p);
		move(p, PEER_AWAY);
	} else if (p) {
		peer_fail(p, "%s", reason == 0 ? "it closed the connection" : strerror(-reason));
	}
	free(c->early);
	free(c);
}

const struct edged_stream_handler peer_handler = { .struct_size = sizeof(peer_handler),
	.open = accepted,
	.data = received,
	.drained = drained,
	.closed = closed };

static const struct edged_stream_handler dialled_handler = { .struct_size = sizeof(dialled_handler),
	.open = dialled,
	.data = received,
	.drained = drained,
	.closed = closed };

/* --- dialling -------------------------------------------------------------------------------------------------------------- */

static void dial_failed(void *arg, int error, const char *why)
{
	struct peer *p = arg;
	(void)error;
	p->dial = 0;
	peer_fail(p, "it cannot be reached: %s", why);
}

static void dial(struct peer *p)
{
	const struct edged_dial_options options = { .struct_size = sizeof(options),
		.node = p->id,
		.alpn = MESH_PROTOCOL,
		.timeout_ms = DIAL_MS,
		.handler = &dialled_handler,
		.self = p,
		.failed = dial_failed,
		.arg = p };
	move(p, PEER_DIALLING);
	int r = p->mesh->dial->dial(p->mesh->host, &options, &p->dial);
	if (r)
		peer_fail(p, "it cannot be dialled: %s", strerror(-r));
}

/* --- every second ---------------------------------------------------------------------------------------------------------- */

/* That a node is dead the cluster tells, which asks all the time: then, and when something was said to it that it should hear,
 * its connection is tried. One that is quiet costs next to nothing so, and a node has one with each of all the others. */
static void check_alive(struct peer *p)
{
	uint64_t now = now_of(p), silent = p->unheard_ms ? now - p->unheard_ms : 0;
	bool quiet_for_long = !p->there || now - p->heard_ms >= QUIET_MS;
	uint8_t ping[FRAME_HEAD + PING_BODY];
	struct writer w = writer(ping, sizeof(ping));
	if (silent >= (p->there ? DEAD_MS : GONE_MS)) {
		peer_fail(p, "it has said nothing for %d s", (int)(silent / 1000));
		return;
	}
	if (!(p->unheard_ms ? silent >= PING_MS : quiet_for_long))
		return;
	write_mesh_ping(&w, digest_of_all(p->mesh)->sum);
	peer_write(p, ping, sizeof(ping));
}

static int open_session(struct peer *p)
{
	const struct mesh *m = p->mesh;
	char name[MESH_ID + 8];
	snprintf(name, sizeof(name), "mesh/%s", p->id);
	const struct edged_session_options options = { .struct_size = sizeof(options),
		.name = name,
		.queue_messages = m->settings.queue_messages,
		.queue_bytes = m->settings.queue_bytes,
		.drop_oldest = m->settings.drop_oldest,
		.apart = true };
	return m->session->open(m->session->ctx, &options, &outward_handler, p, &p->session);
}

/* Somebody may have ended it by REST, with all that was in it: a new one begins. */
static void see_session(struct peer *p)
{
	const struct edged_session_1 *session = p->mesh->session;
	struct edged_session_figures f = { .struct_size = sizeof(f) };
	if (session->figures(session->ctx, p->session, &f) != -ENOENT)
		return;
	let_go(p);
	session->close(session->ctx, p->session);
	p->dropped_before = figure(p->figures->dropped_queue);
	int r = open_session(p);
	peer_fail(p, "the queue for it was taken away; a new one: %s", r ? strerror(-r) : "there is");
}

bool peer_is_busy(const struct peer *p)
{
	bool on_its_way = p->state == PEER_WAITING || p->state == PEER_DIALLING || p->state == PEER_GREETING;
	return on_its_way || p->unheard_ms || p->detached ||
	       (p->state == PEER_CONNECTED &&
	               (!p->there || sync_is_due(&p->sync) || figure(p->figures->waiting) ||
	                       figure(p->figures->in_flight)));
}

bool peer_tick(struct peer *p)
{
	uint64_t now = now_of(p);
	if (p->there || p->stream)
		p->seen_ms = now;
	see_session(p);
	if (p->detached)
		peer_fail(p, "%s",
		        p->detached == -EIO
		                ? "our own broker could not store what has to be kept; is the disk full?"
		                : "somebody ended the connection of its session, by REST");
	if (p->state == PEER_AWAY && p->there) {
		p->failures = 0;
		retry(p);
	}
	if (p->state == PEER_WAITING && !p->there)
		move(p, PEER_AWAY);
	if (p->state == PEER_WAITING && now >= p->next_ms && p->mesh->dialling < DIALS_MOST)
		dial(p);
	else if (p->state == PEER_CONNECTED)
		check_alive(p);
	sync_step(p);
	peer_show(p);
	return !p->there && !p->stream && now - p->seen_ms >= p->mesh->settings.keep_ms;
}

/* --- life ------------------------------------------------------------------------------------------------------------------ */

static int make(struct peer *p)
{
	struct mesh *m = p->mesh;
	/* messages and, at QoS 2, their releases; twice, to be on the safe side */
	p->due_most = 4u * m->settings.in_flight;
	p->figures = figures_get(&m->figures, m->host, m->metrics, p->id);
	if (!p->figures)
		return -ENOMEM;
	window_init(&p->window, m->settings.in_flight);
	p->dropped_before = figure(p->figures->dropped_queue);
	return open_session(p);
}

int peer_new(struct mesh *m, const char *node_id, struct peer **ret)
{
	struct peer *p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->mesh = m;
	snprintf(p->id, sizeof(p->id), "%s", node_id);
	p->seen_ms = now_of(p);
	p->since = peer_wall_ms();
	int r = make(p);
	if (r) {
		free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void peer_free(struct peer *p, bool forget)
{
	const struct edged_session_1 *session = p->mesh->session;
	char name[MESH_ID + 8];
	let_go(p);
	move(p, PEER_AWAY);
	session->close(session->ctx, p->session);
	if (forget) {
		snprintf(name, sizeof(name), "mesh/%s", p->id);
		(void)session->forget(session->ctx, name);
		epochs_forget(p->mesh, p->id);
		edged_metric_set(p->figures->waiting, 0);
		edged_metric_set(p->figures->in_flight, 0);
		edged_metric_set(p->figures->bytes, 0);
	}
	told_fini(&p->told);
	window_fini(&p->window);
	free(p->due);
	free(p);
}
