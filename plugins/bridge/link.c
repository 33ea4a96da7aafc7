/* SPDX-License-Identifier: Apache-2.0 */
#include "link.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include "backoff.h"
#include "former.h"
#include "greeting.h"
#include "inward.h"
#include "outward.h"

enum { STEADY_MS = 30000 };

/* One connection. It outlives its link when that lets go of it: the stream's end comes later. */
struct conn {
	struct link *link; /* NULL: nobody cares any more */
	const struct link_deps *deps;
	struct edged_stream *stream;
};

uint64_t link_wall_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t now_of(const struct link *l)
{
	return l->deps->loop->now(l->deps->host);
}

/* --- what people see ---------------------------------------------------------------------------------------------------- */

const char *link_state_name(const struct link *l)
{
	static const char *const names[] = { [LINK_PAUSED] = "paused",
		[LINK_WAITING] = "waiting",
		[LINK_CONNECTING] = "connecting",
		[LINK_GREETING] = "connecting",
		[LINK_CONNECTED] = "connected" };
	return names[l->state];
}

void link_show(struct link *l)
{
	struct edged_session_figures f = { .struct_size = sizeof(f) };
	if (l->deps->session->figures(l->deps->session->ctx, l->session, &f))
		return;
	edged_metric_set(l->figures->waiting, f.waiting);
	edged_metric_set(l->figures->in_flight, f.in_flight);
	edged_metric_set(l->figures->bytes, (int64_t)f.bytes);
	edged_metric_set(l->figures->dropped_queue, l->dropped_before + (int64_t)f.dropped);
}

void link_tell(const struct link_deps *deps, const char *name, const char *text)
{
	char topic[100];
	snprintf(topic, sizeof(topic), "$SYS/broker/connection/%.64s/state", name);
	struct edged_message m = { .struct_size = sizeof(m),
		.topic = edged_str(topic),
		.payload = edged_str(text),
		.qos = 1,
		.retain = true };
	if (deps->pubsub->publish(deps->pubsub->ctx, deps->host, &m, NULL, NULL))
		deps->log->log(
		        deps->host, EDGED_WARNING, "%s: its state could not be published on %s", name, topic);
}

void link_move(struct link *l, enum link_state state)
{
	bool was = l->state == LINK_CONNECTED, is = state == LINK_CONNECTED;
	if (strcmp(link_state_name(l), link_state_name(&(struct link){ .state = state })) != 0)
		l->since = link_wall_ms();
	l->state = state;
	edged_metric_set(l->figures->connected, is);
	if (was != is && !l->stopping)
		link_tell(l->deps, l->settings.name, is ? "1" : "0");
}

/* --- ending a connection -------------------------------------------------------------------------------------------------- */

/* say: DISCONNECT goes first. */
static void let_go(struct link *l, bool say)
{
	l->deps->dial->cancel(l->deps->host, l->dial);
	l->dial = 0;
	l->deps->loop->timer_cancel(l->timer);
	if (l->conn) {
		if (say && l->state == LINK_CONNECTED)
			link_write(l, l->settings.version == MQTT_5 ? "\xe0\1\0" : "\xe0\0",
			        l->settings.version == MQTT_5 ? 3 : 2);
		l->conn->link = NULL;
		l->deps->stream->close(l->conn->stream);
		l->conn = NULL;
	}
	l->stream = NULL;
	l->detached = 0;
	l->deps->session->detach(l->deps->session->ctx, l->session);
	inward_reset(l);
	link_show(l);
}

static void retry(struct link *l)
{
	uint64_t random = 0;
	if (getrandom(&random, sizeof(random), 0) < 0)
		random = now_of(l); /* never, on Linux of today */
	uint64_t wait = backoff_ms(l->failures, l->settings.backoff_min, l->settings.backoff_max, random);
	link_move(l, LINK_WAITING);
	l->next = link_wall_ms() + wait;
	l->deps->loop->timer_set(l->timer, wait);
}

void link_fail(struct link *l, const char *format, ...)
{
	if (l->stopping || l->state == LINK_PAUSED)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(l->error, sizeof(l->error), format, args);
	va_end(args);
	l->error_at = link_wall_ms();
	count_one(l->figures->failures);
	bool again = strcmp(l->error, l->logged) == 0 && l->state != LINK_CONNECTED;
	snprintf(l->logged, sizeof(l->logged), "%s", l->error);
	/* One that was up for a while was in order; one that falls at once is not. */
	if (l->state == LINK_CONNECTED && now_of(l) - l->connected_at >= STEADY_MS)
		l->failures = 0;
	l->failures++;
	let_go(l, false);
	retry(l);
	l->deps->log->log(l->deps->host, again ? EDGED_DEBUG : EDGED_WARNING,
	        "%s: %s; next attempt in %llu ms", l->settings.name, l->error,
	        (unsigned long long)(l->next - link_wall_ms()));
}

/* --- writing ------------------------------------------------------------------------------------------------------------- */

void link_write(struct link *l, const void *bytes, size_t n)
{
	if (!l->stream || n == 0)
		return;
	l->sent_at = now_of(l);
	(void)l->deps->stream->write(l->stream, bytes, n); /* a write that fails ends the stream */
}

void link_write_ack(struct link *l, uint8_t packet, uint16_t id, uint8_t reason)
{
	uint8_t bytes[8];
	struct writer w = writer(bytes, sizeof(bytes));
	write_ack(&w, l->settings.version, packet, id, reason);
	link_write(l, bytes, (size_t)(w.at - bytes));
}

/* --- the stream ------------------------------------------------------------------------------------------------------------ */

static int opened(void *self, struct edged_stream *stream, void **ret_conn)
{
	struct link *l = self;
	struct conn *c = calloc(1, sizeof(*c));
	l->dial = 0;
	if (!c) {
		link_fail(l, "there was no memory for the connection");
		return -ENOMEM;
	}
	*c = (struct conn){ l, l->deps, stream };
	l->conn = c;
	l->stream = stream;
	l->pinged = false;
	l->heard_at = now_of(l);
	l->deps->stream->set_read_limit(stream, l->settings.packet + 5);
	l->deps->stream->deadline(stream, l->settings.timeout);
	link_move(l, LINK_GREETING);
	*ret_conn = c;
	greeting_send(l);
	return 0;
}

static int receive(struct link *l, const struct frame *f)
{
	if (l->state != LINK_CONNECTED && f->type != CONNACK)
		return REASON_PROTOCOL;
	switch (f->type) {
	case CONNACK:
		return greeting_connack(l, f);
	case PUBLISH:
		return inward_publish(l, f);
	case PUBACK:
	case PUBREC:
	case PUBCOMP:
		return outward_ack(l, f);
	case PUBREL:
		return inward_pubrel(l, f);
	case SUBACK:
		return inward_suback(l, f);
	case UNSUBACK:
		return former_unsuback(l->former, f) ? 0 : REASON_MALFORMED;
	case PINGRESP:
		l->pinged = false;
		return 0;
	case DISCONNECT:
		return greeting_disconnect(l, f);
	default:
		return REASON_PROTOCOL;
	}
}

static ssize_t received(void *conn, const uint8_t *bytes, size_t n)
{
	struct conn *c = conn;
	size_t used = 0;
	if (c->link)
		c->link->heard_at = now_of(c->link);
	while (c->link && !c->link->held) {
		struct link *l = c->link;
		struct frame f;
		int r = frame_read(bytes + used, n - used, l->settings.packet, &f);
		if (r == FRAME_MORE)
			break;
		if (!r)
			r = receive(l, &f);
		if (!r)
			used += f.size;
		else if (c->link)
			link_fail(l,
			        "%s sent a packet of type %u that is wrong here (0x%02x); is it an MQTT "
			        "broker?",
			        l->settings.host, bytes[used] >> 4, (unsigned)r);
	}
	return (ssize_t)(c->link ? used : n);
}

static void drained(void *conn)
{
	const struct conn *c = conn;
	if (c->link)
		c->deps->session->flow(c->deps->session->ctx, c->link->session, true);
}

static const char *end_text(int reason, bool tls)
{
	if (reason == 0)
		return "it closed the connection";
	if (reason == -ETIMEDOUT)
		return "it did not answer in time";
	if (tls && reason == -EACCES)
		return "it wants a certificate of ours, or does not accept the one it got; see "
		       "\"certificate\" and \"key\"";
	return strerror(-reason);
}

static void closed(void *conn, int reason)
{
	struct conn *c = conn;
	struct link *l = c->link;
	if (l && reason == -ESHUTDOWN) {
		l->stopping = true;
		let_go(l, true);
	} else if (l) {
		l->conn = NULL;
		l->stream = NULL;
		link_fail(l, "%s port %u: %s%s", l->settings.host, l->settings.port,
		        end_text(reason, l->settings.tls),
		        l->state == LINK_GREETING ? " (before it answered CONNECT)" : "");
	}
	free(c);
}

static const struct edged_stream_handler stream_handler = { .struct_size = sizeof(stream_handler),
	.open = opened,
	.data = received,
	.drained = drained,
	.closed = closed };

static void dial_failed(void *arg, int error, const char *why)
{
	struct link *l = arg;
	(void)error;
	l->dial = 0;
	link_fail(l, "%s port %u cannot be reached: %s", l->settings.host, l->settings.port, why);
}

static void connect_now(struct link *l)
{
	const struct bridge_settings *s = &l->settings;
	const struct edged_dial_options options = { .struct_size = sizeof(options),
		.host = s->host,
		.port = s->port,
		.tls = s->tls,
		.ca_file = s->ca,
		.certificate_file = s->certificate,
		.key_file = s->key,
		.alpn = s->alpn,
		.server_name = s->server_name,
		.timeout_ms = s->timeout,
		.handler = &stream_handler,
		.self = l,
		.failed = dial_failed,
		.arg = l };
	l->attempts++;
	l->next = 0;
	link_move(l, LINK_CONNECTING);
	int r = l->deps->dial->dial(l->deps->host, &options, &l->dial);
	if (r)
		link_fail(l, "%s port %u cannot be dialled: %s", s->host, s->port, strerror(-r));
}

/* --- keep-alive ------------------------------------------------------------------------------------------------------------ */

/* PINGREQ when we, or the other side, said nothing for the keep-alive; the end when it does not answer for half of it. */
static void check_alive(struct link *l)
{
	uint64_t now = now_of(l), limit = l->keep_alive * UINT64_C(1000);
	uint64_t silent = now - l->heard_at, idle = now - l->sent_at;
	if (l->pinged && silent >= limit + limit / 2) {
		link_fail(l, "%s said nothing for %u s, though it was asked", l->settings.host,
		        (unsigned)(silent / 1000));
		return;
	}
	if (!l->pinged && (silent >= limit || idle >= limit)) {
		link_write(l, "\xc0\0", 2);
		l->pinged = true;
		idle = 0;
	}
	uint64_t longest = silent > idle ? silent : idle;
	uint64_t due = l->pinged ? limit / 2 : limit;
	l->deps->loop->timer_set(l->timer, longest < due ? due - longest : due);
}

static int open_session(struct link *l)
{
	const struct edged_session_1 *session = l->deps->session;
	char name[64];
	snprintf(name, sizeof(name), "bridge/%s", l->settings.name);
	const struct edged_session_options options = { .struct_size = sizeof(options),
		.name = name,
		.queue_messages = l->settings.queue_messages,
		.queue_bytes = l->settings.queue_bytes,
		.drop_oldest = l->settings.drop_oldest };
	int r = session->open(session->ctx, &options, &outward_handler, l, &l->session);
	return r ? r : outward_subscribe(l, false);
}

/* Somebody may have ended it by REST, with all that was in it: a new one begins. */
static void see_session(struct link *l)
{
	struct edged_session_figures f = { .struct_size = sizeof(f) };
	if (l->deps->session->figures(l->deps->session->ctx, l->session, &f) != -ENOENT)
		return;
	l->deps->session->close(l->deps->session->ctx, l->session);
	l->dropped_before = figure(l->figures->dropped_queue);
	int r = open_session(l);
	l->deps->log->log(l->deps->host, r ? EDGED_ERROR : EDGED_WARNING,
	        "%s: its queue was taken away, %s%s", l->settings.name,
	        r ? "and there is no new one: " : "and it has a new one", r ? strerror(-r) : "");
}

static void on_timer(void *arg)
{
	struct link *l = arg;
	see_session(l);
	if (l->detached)
		link_fail(l, "%s",
		        l->detached == -EIO
		                ? "our own broker could not store what has to be kept; is the disk full?"
		                : "our own broker ended the connection of the bridge's session, by REST");
	else if (l->state == LINK_WAITING)
		connect_now(l);
	else if (l->state == LINK_CONNECTED)
		check_alive(l);
}

/* --- life ------------------------------------------------------------------------------------------------------------------ */

int link_new(const struct link_deps *deps, struct bridge_settings *settings, struct figures *figures,
        struct link **ret)
{
	struct link *l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->deps = deps;
	l->settings = *settings;
	l->figures = figures;
	l->bridge_bit = settings->bridge_bit;
	l->dropped_before = figure(figures->dropped_queue);
	l->state = LINK_PAUSED;
	l->since = link_wall_ms();
	l->timer = deps->loop->timer_new(deps->host, on_timer, l);
	int r = l->timer ? open_session(l) : -ENOMEM;
	if (!r)
		r = former_new(l, &l->former);
	if (r) {
		l->settings = (struct bridge_settings){ 0 }; /* the caller's */
		link_free(l, false);
		return r;
	}
	*settings = (struct bridge_settings){ 0 };
	link_tell(deps, l->settings.name, "0");
	link_show(l);
	if (!l->settings.paused)
		link_resume(l);
	*ret = l;
	return 0;
}

void link_free(struct link *l, bool forget)
{
	char name[64];
	l->stopping = true;
	if (l->timer) {
		let_go(l, true);
		l->deps->loop->timer_free(l->timer);
	}
	if (l->settings.name)
		link_tell(l->deps, l->settings.name, forget ? "" : "0");
	l->deps->session->close(l->deps->session->ctx, l->session);
	if (forget && l->settings.name) {
		snprintf(name, sizeof(name), "bridge/%s", l->settings.name);
		(void)l->deps->session->forget(l->deps->session->ctx, name);
		edged_metric_set(l->figures->waiting, 0);
		edged_metric_set(l->figures->in_flight, 0);
		edged_metric_set(l->figures->bytes, 0);
	}
	edged_metric_set(l->figures->connected, 0);
	former_free(l->former);
	inward_fini(l);
	bridge_settings_fini(&l->settings);
	free(l->guard);
	free(l);
}

void link_pause(struct link *l)
{
	if (l->state == LINK_PAUSED)
		return;
	let_go(l, true);
	l->next = 0;
	link_move(l, LINK_PAUSED);
}

void link_resume(struct link *l)
{
	if (l->state != LINK_PAUSED)
		return;
	l->failures = 0;
	connect_now(l);
}
