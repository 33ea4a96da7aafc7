/* SPDX-License-Identifier: Apache-2.0 */
#include "inward.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "mapping.h"

enum { ECHO_MS = 60000, USERS_MOST = 1000, FILTERS_AT_ONCE = 8 /* AWS IoT takes no more in one packet */ };

/* --- what is owed -------------------------------------------------------------------------------------------------------- */

static struct debt *debt_at(const struct link *l, uint32_t i)
{
	return &l->debts[(l->debt_first + i) & (l->debt_size - 1)];
}

static int debt_room(struct link *l)
{
	if (l->debt_count < l->debt_size)
		return 0;
	uint32_t size = l->debt_size ? l->debt_size * 2 : 16;
	struct debt *ring = malloc(size * sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	for (uint32_t i = 0; i < l->debt_count; i++)
		ring[i] = *debt_at(l, i);
	free(l->debts);
	l->debts = ring;
	l->debt_size = size;
	l->debt_first = 0;
	return 0;
}

static void show(const struct link *l)
{
	edged_metric_set(l->figures->unsaved, l->debt_count);
	edged_metric_set(l->figures->open, l->open);
}

/* Acknowledgements go out in the order in which the packets came (MQTT 5.0, section 4.6). */
static void pay(struct link *l)
{
	while (l->debt_count && debt_at(l, 0)->ready) {
		struct debt d = *debt_at(l, 0);
		l->debt_first = (l->debt_first + 1) & (l->debt_size - 1);
		l->debt_count--;
		if (d.packet == PUBREC && d.reason < 0x80)
			l->open++;
		if (d.packet == PUBCOMP && l->open)
			l->open--;
		link_write_ack(l, d.packet, d.id, d.reason);
	}
	if (l->held && l->debt_count <= l->settings.in_flight / 2u) {
		l->held = false;
		if (l->stream)
			l->deps->stream->resume(l->stream);
	}
	show(l);
}

/* The oldest promise of this connection has been kept. */
static void kept(void *arg, int result)
{
	struct link *l = arg;
	if (result == -ECANCELED)
		return; /* its session was closed */
	if (l->stale) {
		l->stale--;
		return;
	}
	l->promised--;
	if (result) {
		link_fail(l,
		        "our own broker could not store a message: %s; it stays with %s until there is room",
		        strerror(-result), l->settings.host);
		return;
	}
	for (uint32_t i = 0; i < l->debt_count; i++) {
		struct debt *d = debt_at(l, i);
		if (d->ready)
			continue;
		d->ready = true;
		if (d->packet != PUBCOMP)
			count_one(l->figures->delivered_in);
		break;
	}
	pay(l);
}

static void owe(struct link *l, uint8_t packet, uint16_t id, uint8_t reason, bool ready)
{
	struct debt d = { .id = id, .packet = packet, .reason = reason, .ready = ready };
	l->debt_count++;
	*debt_at(l, l->debt_count - 1) = d;
	if (!ready)
		l->promised++;
	if (ready)
		pay(l);
	if (l->debt_count >= l->settings.in_flight && !l->held && l->stream) {
		l->held = true;
		l->deps->stream->pause(l->stream);
	}
	show(l);
}

void inward_reset(struct link *l)
{
	l->stale += l->promised;
	l->promised = 0;
	l->debt_count = l->debt_first = 0;
	l->open = 0;
	l->held = false;
	show(l);
}

void inward_fini(struct link *l)
{
	free(l->debts);
	l->debts = NULL;
	l->debt_size = l->debt_count = 0;
}

/* --- messages -------------------------------------------------------------------------------------------------------------- */

static void drop(struct link *l, const struct publish *p, int64_t *figure, uint8_t reason)
{
	count_one(figure);
	if (p->qos)
		owe(l, p->qos == 1 ? PUBACK : PUBREC, p->id, l->settings.version == MQTT_5 ? reason : 0,
		        true);
}

/* Has it been here? */
static bool goes_round(struct link *l, const struct publish *p)
{
	struct marks marks = marks_read(p->props.raw, edged_str(l->deps->node), edged_str(l->remote_node));
	if (marks.here)
		return true;
	if (!l->guard || p->dup)
		return false;
	uint64_t window = l->settings.loop_guard ? l->settings.loop_guard : ECHO_MS;
	return guard_take(l->guard, guard_hash(l->guard, p->topic, p->payload),
	        l->deps->loop->now(l->deps->host), window);
}

static int hand_in(struct link *l, const struct publish *p, struct edged_slice topic)
{
	const struct edged_session_1 *session = l->deps->session;
	size_t room = p->props.raw.len + 2 * MARK_SIZE;
	uint8_t small[1024], *props = room <= sizeof(small) ? small : malloc(room);
	if (!props)
		return -ENOMEM;
	struct writer w = writer(props, room);
	if (l->settings.version == MQTT_5) {
		write_bytes(&w, p->props.raw.ptr, p->props.raw.len);
		if (*l->remote_node)
			marks_write(&w, edged_str(l->remote_node));
		if (*l->deps->node)
			marks_write(&w, edged_str(l->deps->node));
	}
	bool expires = l->settings.version == MQTT_5 && props_have(&p->props, PROP_MESSAGE_EXPIRY);
	struct edged_session_message m = { .struct_size = sizeof(m),
		.topic = topic,
		.payload = p->payload,
		.props = edged_slice(props, (size_t)(w.at - props)),
		.expiry = !expires                  ? 0
		          : p->props.message_expiry ? p->props.message_expiry
		                                    : 1,
		.qos = p->qos,
		.retain = p->retain };
	int r = session->publish(
	        session->ctx, l->session, &m, p->qos == 2 ? p->id : 0, p->qos ? kept : NULL, l);
	if (props != small)
		free(props);
	return r;
}

static int judge_publish(struct link *l, const struct publish *p)
{
	if (p->topic.len == 0)
		return REASON_ALIAS; /* we allowed none */
	if (l->settings.version == MQTT_5 && p->qos && l->debt_count + l->open > l->settings.in_flight)
		return REASON_RECEIVE_MAX;
	return p->qos && debt_room(l) ? REASON_QUOTA : 0;
}

int inward_publish(struct link *l, const struct frame *frame)
{
	struct publish p;
	char name[TOPIC_MOST];
	struct edged_slice topic;
	int r = parse_publish(frame, l->settings.version, USERS_MOST, &p);
	if (!r)
		r = judge_publish(l, &p);
	if (r)
		return r;
	const struct rule *rule = map_topic(&l->settings, WAY_IN, p.topic, name, &topic);
	if (!rule) {
		drop(l, &p, l->figures->dropped_unmapped, 0);
		return 0;
	}
	if (goes_round(l, &p)) {
		drop(l, &p, l->figures->dropped_in_loop, 0);
		return 0;
	}
	r = hand_in(l, &p, topic);
	if (r == -EINVAL || r == -EMSGSIZE) {
		drop(l, &p, l->figures->dropped_local, REASON_IMPLEMENTATION);
	} else if (r) {
		link_fail(l,
		        "our own broker could not take a message: %s; it stays with %s until there is room",
		        strerror(-r), l->settings.host);
	} else if (p.qos) {
		owe(l, p.qos == 1 ? PUBACK : PUBREC, p.id, 0, false);
	} else {
		count_one(l->figures->delivered_in);
	}
	return 0;
}

int inward_pubrel(struct link *l, const struct frame *frame)
{
	struct ack ack;
	int r = parse_ack(frame, l->settings.version, USERS_MOST, &ack);
	if (!r && debt_room(l))
		r = REASON_QUOTA;
	if (r)
		return r;
	r = l->deps->session->release(l->deps->session->ctx, l->session, ack.id, kept, l);
	if (r)
		link_fail(l, "our own broker could not store what has to be kept: %s", strerror(-r));
	else
		owe(l, PUBCOMP, ack.id, 0, false);
	return 0;
}

/* --- subscriptions --------------------------------------------------------------------------------------------------------- */

void inward_subscribe(struct link *l)
{
	const struct bridge_settings *s = &l->settings;
	const char *filters[FILTERS_AT_ONCE];
	uint8_t options[FILTERS_AT_ONCE];
	size_t count = 0, bytes = 32;
	uint16_t id = 0;
	for (size_t i = 0; i <= s->rule_count; i++) {
		if (count == FILTERS_AT_ONCE || (i == s->rule_count && count)) {
			uint8_t *packet = malloc(bytes);
			if (!packet) {
				link_fail(l, "there was no memory for SUBSCRIBE");
				return;
			}
			struct writer w = writer(packet, bytes);
			write_subscribe(&w, s->version, ++id, filters, options, count);
			link_write(l, packet, (size_t)(w.at - packet));
			free(packet);
			count = 0;
			bytes = 32;
		}
		if (i == s->rule_count || !(s->rules[i].ways & WAY_IN))
			continue;
		filters[count] = s->rules[i].remote_filter;
		bytes += strlen(filters[count]) + 3;
		/* Retained messages come when the subscription is new over there. */
		options[count++] = s->rules[i].qos | OPT_NO_LOCAL | OPT_RETAIN_AS_PUBLISHED | 0x10;
	}
}

int inward_suback(struct link *l, const struct frame *frame)
{
	const struct bridge_settings *s = &l->settings;
	struct edged_slice codes;
	uint16_t id;
	if (!parse_suback(frame, s->version, &id, &codes))
		return REASON_MALFORMED;
	size_t at = 0, first = (size_t)(id - 1) * FILTERS_AT_ONCE;
	for (size_t i = 0; i < s->rule_count; i++) {
		if (!(s->rules[i].ways & WAY_IN))
			continue;
		size_t place = at++;
		if (place < first || place - first >= codes.len || (uint8_t)codes.ptr[place - first] < 0x80)
			continue;
		snprintf(l->error, sizeof(l->error), "%s refused the subscription to \"%.100s\": %s", s->host,
		        s->rules[i].remote_filter, refusal_text((uint8_t)codes.ptr[place - first]));
		l->error_at = link_wall_ms();
		l->deps->log->log(l->deps->host, EDGED_WARNING, "%s: %s", s->name, l->error);
	}
	return 0;
}
