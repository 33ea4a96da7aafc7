/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "auth.h"
#include "persist.h"
#include "publish.h"
#include "queue.h"
#include "rights.h"
#include "receive.h"
#include "shard.h"
#include "strict.h"
#include "subscribe.h"
#include "trace_packet.h"

/* --- PUBLISH ----------------------------------------------------------------------------------------------------------- */

/* Mosquitto's bridges say there whether they are connected; those that speak MQTT 5 can't be told from other clients. */
#define BRIDGE_STATES "$SYS/broker/connection/+/state"

bool topic_open_to_clients(struct edged_slice topic)
{
	return topic.ptr[0] != '$' || edged_slice_starts(topic, "$aws/") ||
	       filter_matches(edged_str(BRIDGE_STATES), topic);
}

static int set_alias(struct client *c, uint16_t alias, struct edged_slice topic)
{
	if (!c->aliases && !(c->aliases = calloc(c->broker->limits.aliases, sizeof(*c->aliases))))
		return REASON_QUOTA;
	char *text = malloc(topic.len);
	if (!text)
		return REASON_QUOTA;
	memcpy(text, topic.ptr, topic.len);
	free((void *)(uintptr_t)c->aliases[alias - 1].ptr);
	c->aliases[alias - 1] = edged_slice(text, topic.len);
	return 0;
}

/* The topic that is meant, by name or by alias. */
static int resolve_topic(struct client *c, struct publish *p)
{
	bool alias = props_have(&p->props, PROP_ALIAS);
	if (alias && (p->props.alias == 0 || p->props.alias > c->broker->limits.aliases))
		return REASON_ALIAS;
	if (p->topic.len == 0) {
		if (!alias || !c->aliases || !c->aliases[p->props.alias - 1].len)
			return REASON_PROTOCOL;
		p->topic = c->aliases[p->props.alias - 1];
		return 0;
	}
	if (!topic_valid(p->topic, &c->broker->limits.topic))
		return REASON_TOPIC;
	return alias ? set_alias(c, p->props.alias, p->topic) : 0;
}

static int judge_response_topic(const struct client *c, const struct publish *p)
{
	if (!props_have(&p->props, PROP_RESPONSE_TOPIC))
		return 0;
	return topic_valid(p->props.response_topic, &c->broker->limits.topic) ? 0 : REASON_TOPIC;
}

/* Publishes and gives the reason for the acknowledgement. */
static uint8_t hand_in(struct client *c, const struct publish *p, const struct author *author, bool *ret_wait,
        bool *ret_alone)
{
	if (!topic_open_to_clients(p->topic)) {
		count_one(c->broker->figures.dropped_quota);
		return REASON_NOT_AUTHORIZED;
	}
	struct message_parts parts = {
		.topic = p->topic,
		.payload = p->payload,
		.publisher = session_id(c->session),
		.props = p->props.raw,
		.qos = p->qos,
		.retain = p->retain,
		.author = *author,
	};
	if (p->retain || p->qos || props_have(&p->props, PROP_MESSAGE_EXPIRY))
		parts.arrived = wall_ms();
	if (props_have(&p->props, PROP_MESSAGE_EXPIRY))
		parts.expires = parts.arrived +
		                (p->props.message_expiry ? p->props.message_expiry : 1) * UINT64_C(1000);
	struct outcome outcome;
	int r = shard_publish(c->shard, &parts, c->session, &outcome);
	*ret_wait |= outcome.wait;
	*ret_alone = outcome.alone;
	if (r) {
		count_one(c->broker->figures.dropped_memory);
		return REASON_QUOTA;
	}
	/* The one receiver had no room: an MQTT 5 publisher is told, others have no ear for it (it is counted). */
	if (outcome.refused && outcome.receivers <= 1 && !outcome.wait && c->version == MQTT_5)
		return REASON_QUOTA;
	return outcome.receivers || c->broker->shard_count > 1 ? 0 : REASON_NO_MATCH;
}

static void answer(struct client *c, uint8_t packet, uint16_t id, uint8_t reason, bool wait)
{
	if (c->closing) /* it was its own slow receiver */
		return;
	/* MQTT 3 has no way to say no: what could not be taken is not acknowledged, so that it comes again. */
	if (c->version != MQTT_5 && reason == REASON_QUOTA)
		client_close(c, REASON_QUOTA);
	else
		client_ack(c, packet, id, reason, wait);
}

/* A message that came before, and could not be stored then: those who got it have it in memory, and their part, as well as
 * what is retained, is stored now. */
static int store_again(struct client *c, const struct publish *p)
{
	struct broker *b = c->broker;
	int r = persist_unsaved(c->shard);
	if (!r)
		r = persist_incoming(c->session, p->id, false);
	if (!r)
		flight_incoming(c->session->flight, p->id)->kept = INCOMING_SAVING;
	if (!r && p->retain) {
		const struct message *m = retained_get(&c->shard->retained, p->topic);
		r = m ? persist_retained(b, m) : persist_retained_gone(b, p->topic);
	}
	return r ? r : turn_wrote(c->shard);
}

static int receive_qos2(struct client *c, const struct publish *p, const struct author *author)
{
	struct session *s = c->session;
	bool wait = false, alone = false; /* never: see publish.c */
	if (!s->flight && !(s->flight = flight_new()))
		return REASON_QUOTA;
	struct incoming *known = flight_incoming(s->flight, p->id);
	if (known && known->kept == INCOMING_SAVING) {
		known->again = true;
		return 0;
	}
	if (known) {
		wait = known->kept == INCOMING_FAILED;
		if (wait && store_again(c, p))
			return REASON_QUOTA;
		answer(c, PUBREC, p->id, 0, wait);
		return 0;
	}
	if (c->version != MQTT_5 && s->flight->incoming_count >= c->broker->limits.receive_old)
		return REASON_RECEIVE_MAX;
	if (flight_add_incoming(s->flight, p->id, s->row ? INCOMING_SAVING : INCOMING_KEPT))
		return REASON_QUOTA;
	if (s->row) {
		if (persist_incoming(s, p->id, false) || turn_wrote(c->shard))
			return REASON_QUOTA;
		wait = true;
	}
	uint8_t reason = hand_in(c, p, author, &wait, &alone);
	if (reason >= 0x80) {
		(void)flight_drop_incoming(s->flight, p->id);
		if (s->row)
			(void)persist_incoming(s, p->id, true);
	}
	answer(c, PUBREC, p->id, reason, wait);
	return 0;
}

/* A message of QoS 2 that was accepted before is only acknowledged again. */
static uint8_t judge_author(const struct client *c, const struct publish *p, struct author *ret)
{
	struct session *s = c->session;
	if (p->qos == 2 && s->flight && flight_incoming(s->flight, p->id))
		return 0;
	return rights_publish(s, p->topic, p->retain, ret);
}

/* MQTT 5 says no in the acknowledgement; MQTT 3 cannot, and closes as AWS IoT does. */
static int deny(struct client *c, const struct publish *p, uint8_t reason)
{
	if (c->version != MQTT_5)
		return reason;
	if (p->qos)
		answer(c, p->qos == 2 ? PUBREC : PUBACK, p->id, reason, false);
	return 0;
}

static int receive_publish(struct client *c, const struct frame *frame)
{
	struct publish p;
	const struct limits *limits = &c->broker->limits;
	int r = parse_publish(frame, c->version, limits->user_properties, &p);
	if (!r)
		r = resolve_topic(c, &p);
	if (!r)
		r = judge_response_topic(c, &p);
	if (!r && c->broker->strict)
		r = strict_publish(c->version, &p);
	if (r == STRICT_SILENCE) {
		count_one(c->broker->figures.dropped_quota);
		return 0;
	}
	if (r)
		return r;
	count_one(c->broker->figures.received[p.qos]);
	if (tracing(c->broker))
		trace_publish(c, &p);
	struct session *s = c->session;
	struct shard *shard = c->shard;
	struct author author = { 0 };
	uint8_t denied = s->standing ? judge_author(c, &p, &author) : 0;
	if (denied)
		return deny(c, &p, denied);
	bool wait = false, alone = false;
	if (p.qos == 0) {
		(void)hand_in(c, &p, &author, &wait, &alone);
		return 0;
	}
	unsigned open = s->unacked + (s->flight ? s->flight->incoming_count : 0u);
	bool again = p.qos == 2 && s->flight && flight_incoming(s->flight, p.id);
	if (c->version == MQTT_5 && open >= limits->receive && !again)
		return REASON_RECEIVE_MAX;
	if (p.qos == 2)
		return receive_qos2(c, &p, &author);
	uint8_t reason = hand_in(c, &p, &author, &wait, &alone);
	answer(c, PUBACK, p.id, reason, wait);
	if (alone)
		turn_close(shard);
	return 0;
}

/* --- acknowledgements ----------------------------------------------------------------------------------------------------- */

static int receive_pubrel(struct client *c, const struct ack *ack)
{
	struct session *s = c->session;
	bool known = s->flight && flight_drop_incoming(s->flight, ack->id), wait = false;
	if (known && s->row) {
		/* Before the client may use the id again, the disk must know. */
		if (persist_incoming(s, ack->id, true) || turn_wrote(c->shard))
			return REASON_QUOTA;
		wait = true;
	}
	client_ack(c, PUBCOMP, ack->id, known ? 0 : REASON_ID_NOT_FOUND, wait);
	return 0;
}

static int receive_ack(struct client *c, const struct frame *frame)
{
	struct ack ack;
	int r = parse_ack(frame, c->version, c->broker->limits.user_properties, &ack);
	if (r)
		return r;
	switch (frame->type) {
	case PUBACK:
		(void)session_puback(c->session, ack.id);
		return 0;
	case PUBREC:
		if (session_pubrec(c->session, ack.id, ack.reason) && ack.reason < 0x80)
			client_send_ack(c, PUBREL, ack.id, REASON_ID_NOT_FOUND);
		return 0;
	case PUBREL:
		return receive_pubrel(c, &ack);
	default:
		(void)session_pubcomp(c->session, ack.id);
		return 0;
	}
}

/* --- the rest ------------------------------------------------------------------------------------------------------------- */

static int receive_ping(struct client *c, const struct frame *frame)
{
	if (frame->len)
		return REASON_MALFORMED;
	client_write(c, "\xd0\0", 2);
	return 0;
}

static int receive_disconnect(struct client *c, const struct frame *frame)
{
	struct farewell p;
	int r = parse_farewell(frame, c->version, c->broker->limits.user_properties, &p);
	if (r)
		return r;
	struct session *s = c->session;
	if (props_have(&p.props, PROP_SESSION_EXPIRY)) {
		uint32_t limit =
		        c->broker->limits.session_expiry ? c->broker->limits.session_expiry : EXPIRY_NEVER;
		if (s->expiry == 0 && p.props.session_expiry)
			return REASON_PROTOCOL;
		s->expiry = p.props.session_expiry < limit ? p.props.session_expiry : limit;
	}
	client_part(c, 0);
	session_detach(s, p.reason != 0);
	return 0;
}

static int refuse_packet(struct client *c, const struct frame *frame)
{
	(void)c;
	(void)frame;
	return REASON_PROTOCOL;
}

int client_receive(struct client *c, const struct frame *frame)
{
	static int (*const receivers[16])(struct client * c, const struct frame *frame) = {
		[PUBLISH] = receive_publish,
		[PUBACK] = receive_ack,
		[PUBREC] = receive_ack,
		[PUBREL] = receive_ack,
		[PUBCOMP] = receive_ack,
		[SUBSCRIBE] = receive_subscribe,
		[UNSUBSCRIBE] = receive_unsubscribe,
		[PINGREQ] = receive_ping,
		[DISCONNECT] = receive_disconnect,
		[AUTH] = receive_auth,
	};
	return (receivers[frame->type] ? receivers[frame->type] : refuse_packet)(c, frame);
}
