/* SPDX-License-Identifier: Apache-2.0 */
#include "outward.h"

#include <errno.h>
#include <stdio.h>
#include "mapping.h"

#define COPY_MAX 2048 /* a packet up to this size is written as one piece */

static uint8_t lower(uint8_t a, uint8_t b)
{
	return a < b ? a : b;
}

/* A message that has been over there, or here by another way, goes in a circle. */
static bool goes_round(struct link *l, const struct marks *marks, struct edged_slice topic,
        struct edged_slice payload, bool again)
{
	if (marks->remote || (marks->here && !marks->last))
		return true;
	if (!l->guard)
		return false;
	uint64_t hash = guard_hash(l->guard, topic, payload), now = l->deps->loop->now(l->deps->host);
	if (l->settings.loop_guard && !again && guard_take(l->guard, hash, now, l->settings.loop_guard))
		return true;
	guard_note(l->guard, hash, now);
	return false;
}

static void write_whole(
        struct link *l, const struct outgoing *o, const struct edged_session_message *m, bool mark)
{
	uint8_t bytes[COPY_MAX + 64];
	bool small = outgoing_body(o) <= COPY_MAX;
	struct writer w = writer(bytes, sizeof(bytes));
	write_publish_start(&w, o);
	if (!small) {
		link_write(l, bytes, (size_t)(w.at - bytes));
		link_write(l, o->topic.ptr, o->topic.len);
		w = writer(bytes, sizeof(bytes));
	} else {
		write_bytes(&w, o->topic.ptr, o->topic.len);
	}
	write_publish_middle(&w, o);
	if (!small) {
		link_write(l, bytes, (size_t)(w.at - bytes));
		if (o->props.len)
			link_write(l, m->props.ptr, m->props.len);
		w = writer(bytes, sizeof(bytes));
	} else if (o->props.len) {
		write_bytes(&w, m->props.ptr, m->props.len);
	}
	if (mark)
		marks_write(&w, edged_str(l->deps->node));
	if (small)
		write_bytes(&w, m->payload.ptr, m->payload.len);
	link_write(l, bytes, (size_t)(w.at - bytes));
	if (!small)
		link_write(l, m->payload.ptr, m->payload.len);
}

static bool deliver(void *arg, const struct edged_session_message *m, uint16_t id, bool again)
{
	struct link *l = arg;
	char name[TOPIC_MOST];
	struct edged_slice topic;
	const struct rule *rule = map_topic(&l->settings, WAY_OUT, m->topic, name, &topic);
	if (!rule) {
		count_one(l->figures->dropped_stale);
		return false;
	}
	struct marks marks = marks_read(m->props, edged_str(l->deps->node), edged_str(l->remote_node));
	if (goes_round(l, &marks, topic, m->payload, again)) {
		count_one(l->figures->dropped_out_loop);
		return false;
	}
	bool five = l->settings.version == MQTT_5, mark = five && !marks.here && *l->deps->node;
	struct outgoing o = { .version = l->settings.version,
		.qos = lower(lower(m->qos, rule->qos), l->welcome.max_qos),
		.retain = m->retain && l->welcome.retain,
		.has_expiry = five && m->expiry,
		.expiry = m->expiry,
		.topic = topic,
		.props = edged_slice(m->props.ptr, five ? m->props.len + (mark ? MARK_SIZE : 0) : 0),
		.payload_len = m->payload.len };
	o.id = o.qos ? id : 0;
	o.dup = again && o.qos;
	size_t body = outgoing_body(&o);
	if (body > VARINT_MAX || 1 + varint_size((uint32_t)body) + body > l->welcome.packet) {
		count_one(l->figures->dropped_size);
		return false;
	}
	write_whole(l, &o, m, mark);
	if (l->stream && l->deps->stream->is_full(l->stream))
		l->deps->session->flow(l->deps->session->ctx, l->session, false);
	if (o.qos == 0)
		count_one(l->figures->delivered_out);
	return o.qos != 0;
}

static void release(void *arg, uint16_t id)
{
	link_write_ack(arg, PUBREL, id, 0);
}

/* The broker is in the midst of something: what follows happens in a turn of its own. */
static void detached(void *arg, int reason)
{
	struct link *l = arg;
	l->detached = reason;
	l->deps->loop->timer_set(l->timer, 0);
}

static void queued(void *arg)
{
	link_show(arg);
}

const struct edged_session_handler outward_handler = { .struct_size = sizeof(outward_handler),
	.deliver = deliver,
	.release = release,
	.detached = detached,
	.queued = queued };

int outward_subscribe(struct link *l, bool again)
{
	const struct bridge_settings *s = &l->settings;
	const char *filters[RULES_MOST];
	uint8_t options[RULES_MOST];
	size_t count = 0;
	for (size_t i = 0; i < s->rule_count; i++) {
		const struct rule *rule = &s->rules[i];
		if (!(rule->ways & WAY_OUT))
			continue;
		/* At QoS 0 nothing waits for a bridge that is away, so what is retained is given each time. */
		uint8_t handling = again || rule->qos == 0 ? 0x00 : 0x10;
		filters[count] = rule->local_filter;
		options[count++] = rule->qos | OPT_NO_LOCAL | OPT_RETAIN_AS_PUBLISHED | handling;
	}
	return l->deps->session->subscribe(l->deps->session->ctx, l->session, filters, options, count);
}

/* Acknowledged, or refused by the other broker for good: a sender does not try again (MQTT 5.0, section 4.4). */
static void settle(struct link *l, int known, uint8_t reason)
{
	if (known)
		return;
	if (reason < 0x80) {
		count_one(l->figures->delivered_out);
		return;
	}
	count_one(l->figures->dropped_refused);
	snprintf(l->error, sizeof(l->error), "%s refused a message with reason 0x%02x: %s", l->settings.host,
	        reason, refusal_text(reason));
	l->error_at = link_wall_ms();
}

int outward_ack(struct link *l, const struct frame *frame)
{
	const struct edged_session_1 *session = l->deps->session;
	struct ack ack;
	int r = parse_ack(frame, l->settings.version, 1000, &ack), known;
	if (r)
		return r;
	if (frame->type == PUBCOMP) {
		settle(l, session->pubcomp(session->ctx, l->session, ack.id), 0);
	} else if (frame->type == PUBREC) {
		known = session->pubrec(session->ctx, l->session, ack.id, ack.reason);
		if (ack.reason >= 0x80)
			settle(l, known, ack.reason);
	} else {
		known = session->puback(session->ctx, l->session, ack.id);
		if (known == -ENOENT) /* of QoS 2 here, and went out at QoS 1 */
			known = session->pubrec(session->ctx, l->session, ack.id, REASON_UNSPECIFIED);
		settle(l, known, ack.reason);
	}
	link_show(l);
	return 0;
}
