/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "inside_impl.h"
#include "persist.h"
#include "publish.h"
#include "queue.h"
#include "retained.h"
#include "shard.h"
#include "trace_packet.h"

struct shard *inside_home(const struct insides *all)
{
	return all->broker->shards[0];
}

static struct inside *inside_of(const struct client *c)
{
	return (struct inside *)(uintptr_t)c;
}

struct inside *inside_find(const struct insides *all, edged_handle handle)
{
	uint32_t slot = (uint32_t)handle - 1;
	if (slot >= all->size || all->slots[slot].generation != handle >> 32)
		return NULL;
	struct inside *in = all->slots[slot].inside;
	return in && !in->session->dead ? in : NULL;
}

struct inside *inside_opened(const struct session *s)
{
	return s->opened ? s->shard->broker->insides->slots[s->opened - 1].inside : NULL;
}

struct session *inside_node(const struct insides *all, uint32_t *at)
{
	while (*at < all->size) {
		const struct inside *in = all->slots[(*at)++].inside;
		if (in && in->limits.apart && !in->session->dead)
			return in->session;
	}
	return NULL;
}

/* --- its queue ---------------------------------------------------------------------------------------------------------- */

void inside_dropped(const struct session *s, uint32_t count)
{
	struct inside *in = inside_opened(s);
	if (!in)
		return;
	in->dropped += count;
	if (in->handler.queued)
		in->handler.queued(in->arg);
}

void inside_changed(const struct session *s)
{
	struct inside *in = inside_opened(s);
	if (in && in->handler.queued)
		in->handler.queued(in->arg);
}

static bool over(const struct inside *in, const struct session *s, const struct message *m)
{
	const struct flight *f = s->flight;
	uint64_t messages = in->limits.queue_messages + (s->client ? s->client->window : UINT64_C(0));
	return f->count - f->sent >= messages ||
	       (f->bytes && f->bytes + message_size(m) > in->limits.queue_bytes);
}

bool inside_full(struct session *s, const struct message *m)
{
	struct inside *in = inside_opened(s);
	while (in && over(in, s, m)) { /* one that is not open has told no limits yet */
		in->dropped++;
		if (!in->limits.drop_oldest || !queue_drop_oldest(s))
			return true;
		count_one(s->shard->broker->figures.dropped_queue);
	}
	return false;
}

/* --- what the broker sends it -------------------------------------------------------------------------------------------- */

bool inside_send(struct client *c, const struct delivery *d, uint16_t id, bool dup)
{
	struct inside *in = inside_of(c);
	const struct message *m = d->message;
	uint64_t now = m->expires ? wall_ms() : 0;
	struct edged_session_message message = {
		.struct_size = sizeof(message),
		.topic = message_topic(m),
		.payload = message_payload(m),
		.publisher = message_publisher(m),
		.props = message_props(m),
		.expiry = m->expires > now ? (uint32_t)((m->expires - now + 999) / 1000) : m->expires != 0,
		.qos = d->qos,
		.retain = d->retain,
		.number = d->qos ? m->row : 0,
		.stamp = m->retain ? m->stamp : 0,
		.share = c->session->apart && d->id_count ? d->ids[0] : 0,
	};
	bool sent = in->handler.deliver(in->arg, &message, id, dup);
	if (sent)
		count_one(c->broker->figures.sent[d->qos]);
	if (tracing(c->broker))
		trace_delivery(c, d, id, dup);
	return sent;
}

void inside_release(struct client *c, uint16_t id)
{
	struct inside *in = inside_of(c);
	in->handler.release(in->arg, id);
}

void inside_part(struct client *c, uint8_t reason)
{
	struct inside *in = inside_of(c);
	c->closing = true;
	c->session = NULL;
	in->handler.detached(in->arg, reason == REASON_QUOTA ? -EIO : -ECANCELED);
}

bool inside_has_room(const struct client *c)
{
	return !inside_of(c)->full;
}

static void pump(void *arg)
{
	struct inside *in = arg;
	if (in->client.session)
		session_pump(in->client.session);
}

static int pump_soon(struct inside *in)
{
	return in->all->broker->loop->defer(in->all->broker->host, pump, in);
}

/* --- attaching ------------------------------------------------------------------------------------------------------------ */

/* The other side has begun anew, and will use those packet ids for other messages. */
static int forget_incoming(struct session *s)
{
	struct flight *f = s->flight;
	if (!f || f->incoming_count == 0)
		return 0;
	while (f->incoming_count) {
		int r = persist_incoming(s, f->incoming[f->incoming_count - 1].id, true);
		if (r)
			return r;
		f->incoming_count--;
	}
	return turn_wrote(s->shard);
}

int inside_attach(void *ctx, edged_handle handle, uint16_t window, bool anew)
{
	struct inside *in = inside_find(ctx, handle);
	if (!in)
		return -ENOENT;
	struct session *s = in->session;
	int r = anew ? forget_incoming(s) : 0;
	if (!r)
		r = pump_soon(in);
	if (r)
		return r;
	in->client.window = window ? window : 1;
	if (s->client)
		return 0;
	in->client.closing = false;
	in->full = false;
	in->client.session = s;
	s->client = &in->client;
	s->epoch++;
	shard_alarm_cancel(s->shard, s);
	shared_present(s, true);
	return 0;
}

void inside_leave(struct inside *in)
{
	struct broker *broker = in->all->broker;
	broker->loop->defer_cancel(broker->host, in);
	if (!in->client.session)
		return;
	in->client.session = NULL;
	if (!in->session->dead)
		session_detach(in->session, false);
}

void inside_detach(void *ctx, edged_handle handle)
{
	struct inside *in = inside_find(ctx, handle);
	if (in)
		inside_leave(in);
}

void inside_flow(void *ctx, edged_handle handle, bool room)
{
	struct inside *in = inside_find(ctx, handle);
	if (!in)
		return;
	in->full = !room;
	if (room && pump_soon(in))
		count_one(in->all->broker->figures.dropped_memory);
}

/* --- its answers ---------------------------------------------------------------------------------------------------------- */

int inside_puback(void *ctx, edged_handle handle, uint16_t id)
{
	struct inside *in = inside_find(ctx, handle);
	if (!in || !in->client.session || session_puback(in->session, id))
		return -ENOENT;
	in->acknowledged++;
	return 0;
}

int inside_pubrec(void *ctx, edged_handle handle, uint16_t id, uint8_t reason)
{
	struct inside *in = inside_find(ctx, handle);
	if (!in || !in->client.session)
		return -ENOENT;
	if (session_pubrec(in->session, id, reason) == 0)
		return 0;
	if (reason < 0x80)
		in->handler.release(in->arg, id); /* the other side has it, and waits for an end */
	return -ENOENT;
}

int inside_pubcomp(void *ctx, edged_handle handle, uint16_t id)
{
	struct inside *in = inside_find(ctx, handle);
	if (!in || !in->client.session || session_pubcomp(in->session, id))
		return -ENOENT;
	in->acknowledged++;
	return 0;
}

/* --- publishing ----------------------------------------------------------------------------------------------------------- */

static int reserve(struct inside *in)
{
	if (in->count < in->size)
		return 0;
	uint32_t size = in->size ? in->size * 2 : 16;
	struct promise *ring = malloc(size * sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	for (uint32_t i = 0; i < in->count; i++)
		ring[i] = in->promises[(in->first + i) & (in->size - 1)];
	free(in->promises);
	in->promises = ring;
	in->size = size;
	in->first = 0;
	return 0;
}

void inside_free(struct inside *in)
{
	session_release(in->session);
	free(in->promises);
	free(in);
}

static struct promise take_promise(struct inside *in)
{
	struct promise p = in->promises[in->first];
	in->first = (in->first + 1) & (in->size - 1);
	in->count--;
	return p;
}

static void keep_promise(void *arg, int result)
{
	struct inside *in = arg;
	struct promise p = take_promise(in);
	struct flight *f = in->session->flight;
	struct incoming *known = p.id && f ? flight_incoming(f, p.id) : NULL;
	if (known && !p.released) {
		if (!result)
			known->kept = INCOMING_KEPT;
		else if (result == -ECANCELED) /* nothing is written any more */
			(void)flight_drop_incoming(f, p.id);
		else
			persist_incoming_refused(in->session, p.id);
	}
	if (result && p.released && f && !known)
		(void)flight_add_incoming(f, p.id, INCOMING_KEPT); /* it was not forgotten after all */
	if (p.done)
		p.done(p.arg, result);
	if (in->count == 0 && in->slot == NOT_OPEN)
		inside_free(in);
}

/* Once all that was written before is durable. */
static int promise(struct inside *in, const struct promise *p)
{
	struct todo todo = { .kind = TODO_CALL, .fn = keep_promise, .arg = in };
	int r = turn_todo(in->session->shard, &todo);
	if (r)
		return r;
	in->promises[(in->first + in->count++) & (in->size - 1)] = *p;
	return 0;
}

static int judge(const struct broker *broker, const struct edged_session_message *m)
{
	if (!utf8_valid(m->topic) || !topic_valid(m->topic, &broker->limits.topic) || m->qos > 2)
		return -EINVAL;
	return m->topic.len + m->payload.len + m->props.len > broker->limits.packet ? -EMSGSIZE : 0;
}

static int take_in(struct session *s, uint16_t id)
{
	int r = flight_add_incoming(s->flight, id, INCOMING_SAVING);
	if (!r)
		r = persist_incoming(s, id, false);
	if (!r)
		r = turn_wrote(s->shard);
	if (r)
		(void)flight_drop_incoming(s->flight, id);
	return r;
}

static int hand_in(const struct session *s, const struct edged_session_message *m, bool *ret_alone)
{
	uint64_t now = m->qos || m->retain || m->expiry ? wall_ms() : 0; /* nobody asks when others came */
	struct message_parts parts = {
		.topic = m->topic,
		.payload = m->payload,
		.publisher = session_id(s),
		.props = m->props,
		.arrived = now,
		.expires = m->expiry ? now + m->expiry * UINT64_C(1000) : 0,
		.qos = m->qos,
		.retain = m->retain && !m->share,
		.stamp = m->retain ? m->stamp : 0,
		.share = m->share,
	};
	struct outcome outcome;
	if (m->newer && !shard_newer(s->shard, m->topic, m->stamp, m->payload))
		return 0;
	count_one(s->shard->broker->figures.received[m->qos]);
	/* A receiver that has no room loses its own messages, and they are counted; the others have it. */
	int r = shard_publish(s->shard, &parts, s, &outcome);
	*ret_alone = outcome.alone;
	return r;
}

int inside_publish(void *ctx, edged_handle handle, const struct edged_session_message *message, uint16_t id,
        void (*done)(void *arg, int result), void *arg)
{
	struct inside *in = inside_find(ctx, handle);
	struct edged_session_message m = { 0 };
	memcpy(&m, message, message->struct_size < sizeof(m) ? message->struct_size : sizeof(m));
	int r = in ? judge(in->all->broker, &m) : -ENOENT;
	if (r)
		return r;
	struct session *s = in->session;
	if (reserve(in) || (!s->flight && !(s->flight = flight_new())))
		return -ENOMEM;
	struct promise p = { done, arg, 0, false };
	bool known = id && m.qos == 2 && flight_incoming(s->flight, id), alone = false;
	if (id && m.qos == 2 && !known) {
		r = take_in(s, id);
		p.id = id;
	}
	if (!r && !known)
		r = hand_in(s, &m, &alone);
	if (!r && (done || p.id))
		r = promise(in, &p);
	if (alone)
		turn_close(s->shard);
	if (r && p.id) {
		(void)flight_drop_incoming(s->flight, id);
		(void)persist_incoming(s, id, true);
	}
	return r;
}

int inside_pubrel(void *ctx, edged_handle handle, uint16_t id, void (*done)(void *arg, int result), void *arg)
{
	struct inside *in = inside_find(ctx, handle);
	if (!in)
		return -ENOENT;
	struct session *s = in->session;
	int r = reserve(in);
	if (r)
		return r;
	struct promise p = { done, arg, 0, false };
	if (s->flight && flight_drop_incoming(s->flight, id)) {
		p.id = id;
		p.released = true;
		r = persist_incoming(s, id, true);
		if (!r)
			r = turn_wrote(s->shard);
	}
	if (!r)
		r = promise(in, &p);
	if (r && p.id)
		(void)flight_add_incoming(s->flight, id, INCOMING_KEPT);
	return r;
}
