/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "auth.h"
#include "client.h"
#include "connect.h"
#include "inside.h"
#include "pressure.h"
#include "queue.h"
#include "reason.h"
#include "receive.h"
#include "shard.h"
#include "trace_packet.h"

/* A packet up to this size is put together and queued as one piece; of larger ones the payload is not copied. */
#define COPY_MAX 2048

/* --- sending ----------------------------------------------------------------------------------------------------------- */

bool client_has_room(const struct client *c)
{
	if (c->inside)
		return inside_has_room(c);
	if (pressure_of(c->broker) >= PRESSURE_SLOW &&
	        c->broker->stream->queued(c->stream) > PRESSURE_SLOW_FROM) {
		pressure_count(c->broker, PRESSURE_SLOW);
		return false;
	}
	return !c->broker->stream->is_full(c->stream);
}

/* A failing write closes the stream from the inside; closed() tells us. */
static void put(struct client *c, const void *bytes, size_t n)
{
	(void)c->broker->stream->write(c->stream, bytes, n);
}

static void packet_end(struct client *c)
{
	if (c->framed)
		c->broker->stream->message_end(c->stream);
}

void client_write(struct client *c, const void *bytes, size_t n)
{
	if (tracing(c->broker))
		trace_sent(c, bytes, n);
	put(c, bytes, n);
	packet_end(c);
}

static void write_blob(struct client *c, struct message *m, size_t at, size_t n)
{
	if (n)
		(void)c->broker->stream->write_blob(c->stream, &m->blob, at, n);
}

/* QoS 0 for MQTT 3.1 and 3.1.1: the message holds the packet as it is. */
static void send_ready(struct client *c, struct message *m)
{
	size_t n = message_payload_at(m) + m->payload_len - m->packet_at;
	if (n <= COPY_MAX)
		put(c, m->blob.data + m->packet_at, n);
	else
		write_blob(c, m, m->packet_at, n);
}

static void send_built(struct client *c, const struct outgoing *o, struct message *m)
{
	uint8_t bytes[COPY_MAX];
	struct writer w = writer(bytes, sizeof(bytes));
	write_publish_start(&w, o);
	write_bytes(&w, o->topic.ptr, o->topic.len);
	write_publish_middle(&w, o);
	write_bytes(&w, o->props.ptr, o->props.len);
	write_bytes(&w, message_payload(m).ptr, m->payload_len);
	put(c, bytes, (size_t)(w.at - bytes));
}

static void send_pieces(struct client *c, const struct outgoing *o, struct message *m)
{
	uint8_t bytes[16 + 5 * MAX_SUBSCRIPTIONS];
	struct writer w = writer(bytes, sizeof(bytes));
	write_publish_start(&w, o);
	put(c, bytes, (size_t)(w.at - bytes));
	put(c, o->topic.ptr, o->topic.len);
	w = writer(bytes, sizeof(bytes));
	write_publish_middle(&w, o);
	put(c, bytes, (size_t)(w.at - bytes));
	write_blob(c, m, message_payload_at(m) + m->payload_len, o->props.len);
	write_blob(c, m, message_payload_at(m), m->payload_len);
}

static struct outgoing outgoing(const struct client *c, const struct delivery *d, uint16_t id, bool dup)
{
	const struct message *m = d->message;
	struct outgoing o = { .version = c->version,
		.qos = d->qos,
		.dup = dup,
		.retain = d->retain,
		.id = id,
		.topic = message_topic(m),
		.payload_len = m->payload_len };
	if (c->version != MQTT_5)
		return o;
	o.props = message_props(m);
	o.subscription_ids = d->ids;
	o.subscription_count = d->id_count;
	if (m->expires) {
		uint64_t now = wall_ms();
		o.has_expiry = true;
		o.expiry = m->expires > now ? (uint32_t)((m->expires - now + 999) / 1000) : 0;
	}
	return o;
}

static size_t packet_size(const struct outgoing *o)
{
	size_t body = outgoing_body(o);
	return 1 + varint_size((uint32_t)body) + body;
}

/* Leaves the topic out when the client knows it by an alias, or gives it one as far as the packet may grow. */
static void use_alias(struct client *c, struct outgoing *o)
{
	if (c->told.max == 0 || o->topic.len < ALIAS_TOPIC_MIN)
		return;
	uint64_t hash = keyed_hash(c->broker->key, 2, o->topic);
	o->alias = aliases_find(&c->told, hash, o->topic);
	if (o->alias)
		o->topic.len = 0;
	else if (packet_size(o) + 4 <= c->max_packet)
		o->alias = aliases_add(&c->told, hash, o->topic);
}

bool client_send(struct client *c, const struct delivery *d, uint16_t id, bool dup)
{
	if (c->inside)
		return inside_send(c, d, id, dup);
	if (d->qos == 0 && !d->retain && c->version != MQTT_5) {
		send_ready(c, d->message);
	} else {
		struct outgoing o = outgoing(c, d, id, dup);
		use_alias(c, &o);
		size_t size = packet_size(&o);
		if (size > c->max_packet || outgoing_body(&o) > VARINT_MAX) {
			count_one(c->broker->figures.dropped_size);
			if (tracing(c->broker))
				trace_dropped(c->session, d->message, "too-large");
			return false;
		}
		if (size <= COPY_MAX)
			send_built(c, &o, d->message);
		else
			send_pieces(c, &o, d->message);
	}
	packet_end(c);
	count_one(c->broker->figures.sent[d->qos]);
	if (tracing(c->broker))
		trace_delivery(c, d, id, dup);
	return true;
}

void client_send_ack(struct client *c, uint8_t packet, uint16_t id, uint8_t reason)
{
	if (c->inside) {
		inside_release(c, id);
		return;
	}
	uint8_t bytes[8];
	struct writer w = writer(bytes, sizeof(bytes));
	write_ack(&w, c->version, packet, id, reason);
	client_write(c, bytes, (size_t)(w.at - bytes));
}

void client_ack(struct client *c, uint8_t packet, uint16_t id, uint8_t reason, bool wait)
{
	struct session *s = c->session;
	if (!wait && s->unanswered == 0) {
		client_send_ack(c, packet, id, reason);
		return;
	}
	struct todo todo = { .kind = TODO_ACK,
		.packet = packet,
		.reason = reason,
		.id = id,
		.epoch = s->epoch,
		.session = s };
	if (turn_todo(c->shard, &todo)) {
		client_close(c, REASON_UNSPECIFIED);
		return;
	}
	s->unanswered++;
	if (packet == PUBACK)
		s->unacked++;
	if (s->unanswered >= c->broker->limits.receive_old && !c->held) {
		c->held = true;
		c->broker->stream->pause(c->stream);
	}
}

void client_relieved(struct client *c)
{
	if (!c->held || c->closing || c->session->unanswered > c->broker->limits.receive_old / 2)
		return;
	c->held = false;
	client_read_on(c);
}

void client_read_on(struct client *c)
{
	if (!c->held && !c->muted && !c->closing && !rate_paused(c))
		c->broker->stream->resume(c->stream);
}

/* --- life ---------------------------------------------------------------------------------------------------------------- */

static void say_goodbye(struct client *c, uint8_t reason)
{
	if (c->version != MQTT_5 || !c->session || c->muted || reason == 0)
		return;
	uint8_t bytes[128];
	struct writer w = writer(bytes, sizeof(bytes));
	struct edged_slice text = c->terse ? edged_slice(NULL, 0) : reason_text(reason);
	if (text.len + 8 > c->max_packet)
		text.len = 0;
	write_disconnect(&w, reason, text);
	client_write(c, bytes, (size_t)(w.at - bytes));
}

void client_part(struct client *c, uint8_t reason)
{
	if (c->closing)
		return;
	if (c->inside) {
		inside_part(c, reason);
		return;
	}
	say_goodbye(c, reason);
	c->closing = true;
	c->parted = true;
	c->reason = reason;
	c->session = NULL;
	c->broker->stream->close(c->stream);
}

void client_close(struct client *c, uint8_t reason)
{
	if (c->closing)
		return;
	struct session *s = c->session;
	if (reason == REASON_MALFORMED || reason == REASON_PROTOCOL)
		count_one(c->broker->figures.malformed);
	client_part(c, reason);
	if (s)
		session_detach(s, reason != 0);
}

void client_leave(struct client *c)
{
	if (!c->link)
		return;
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	c->link = NULL;
}

void client_enter(struct client *c, struct shard *shard)
{
	c->shard = shard;
	c->next = shard->clients;
	c->link = &shard->clients;
	if (c->next)
		c->next->link = &c->next;
	shard->clients = c;
}

/* What the TLS handshake, a WebSocket's request or a proxy's header took is gone. */
static uint64_t time_for_connect(const struct broker *broker, const struct edged_stream *stream)
{
	uint64_t now = broker->loop->now(broker->host);
	uint64_t spent = edged_peer_age(broker->stream->peer(stream), now);
	return broker->limits.connect_ms > spent ? broker->limits.connect_ms - spent : 1;
}

static int opened(void *self, struct edged_stream *stream, void **ret_conn)
{
	struct broker *broker = self;
	struct client *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->broker = broker;
	c->stream = stream;
	c->framed = broker->stream->peer(stream)->websocket;
	client_enter(c, broker->shards[broker->loop->loop_self(broker->host)]);
	broker->stream->deadline(stream, time_for_connect(broker, stream));
	*ret_conn = c;
	return 0;
}

static bool may_read(const struct client *c)
{
	return !c->closing && !c->muted && !c->held && (!c->connect || auth_pending(c)) && !rate_paused(c);
}

/* What the packet costs its sender. */
static void charge(struct client *c, const struct frame *packet)
{
	if (c->rate)
		rate_charge(c, packet);
	if (pressure_of(c->broker) < PRESSURE_READ || packet->type != PUBLISH || c->closing || rate_paused(c))
		return;
	pressure_count(c->broker, PRESSURE_READ);
	if (rate_pause(c, PRESSURE_PAUSE_MS))
		client_close(c, REASON_QUOTA);
}

static ssize_t received(void *conn, const uint8_t *bytes, size_t n)
{
	struct client *c = conn;
	size_t used = 0;
	c->heard = shard_now(c->shard);
	if (c->version == 0 && !auth_pending(c) && n && bytes[0] != CONNECT << 4)
		client_close(c, REASON_PROTOCOL);
	while (may_read(c)) {
		struct frame f;
		int r = frame_read(bytes + used, n - used, c->broker->limits.packet, &f);
		if (r == FRAME_MORE)
			break;
		if (!r && tracing(c->broker))
			trace_received(c, &f);
		if (!r)
			r = c->version        ? client_receive(c, &f)
			    : auth_pending(c) ? client_authenticate(c, &f)
			                      : client_connect(c, &f);
		if (r)
			client_close(c, (uint8_t)r);
		else
			used += f.size;
		charge(c, &f);
	}
	pressure_update(c->broker);
	if (pressure_of(c->broker) >= PRESSURE_AWAY)
		pressure_relieve(c->shard);
	return (ssize_t)(c->closing ? n : used);
}

static void drained(void *conn)
{
	struct client *c = conn;
	if (c->session)
		session_pump(c->session);
}

static void client_free(struct client *c)
{
	client_leave(c);
	if (c->version) {
		edged_metric_add(c->broker->figures.connections, -1);
		__atomic_fetch_sub(&c->broker->clients, 1, __ATOMIC_RELAXED);
	}
	for (unsigned i = 0; c->aliases && i < c->broker->limits.aliases; i++)
		free((void *)(uintptr_t)c->aliases[i].ptr);
	free(c->aliases);
	aliases_fini(&c->told);
	free(c->connect);
	auth_fini(c);
	rate_end(c);
	free(c);
}

static void ended(void *conn, int reason)
{
	struct client *c = conn;
	struct session *s = c->session;
	if (reason == -ESHUTDOWN) {
		say_goodbye(c, REASON_SHUTTING_DOWN);
		c->parted = true;
		c->reason = REASON_SHUTTING_DOWN;
	}
	c->closing = true;
	c->session = NULL;
	if (s)
		session_detach(s, true);
	client_free(c);
}

void clients_free(struct shard *shard)
{
	while (shard->clients)
		client_free(shard->clients);
}

const struct edged_stream_handler client_handler = {
	.struct_size = sizeof(struct edged_stream_handler),
	.open = opened,
	.data = received,
	.drained = drained,
	.closed = ended,
};
