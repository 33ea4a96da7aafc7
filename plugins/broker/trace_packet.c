/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_packet.h"

#include "text.h"
#include "trace.h"

static const char *const packets[16] = { "?", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL",
	"PUBCOMP", "SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT",
	"AUTH" };

static struct event event_of(const struct client *c, const char *direction, unsigned type)
{
	return (struct event){ .client = c->session ? session_id(c->session) : edged_slice(NULL, 0),
		.direction = direction,
		.packet = packets[type & 15],
		.id = -1,
		.qos = -1,
		.reason = -1 };
}

/* Never the password. */
static void look_at_connect(const struct frame *frame, struct event *e)
{
	struct connect p;
	if (parse_connect(frame, UINT16_MAX, &p))
		return;
	e->client = p.client_id;
	e->more = json_pack("{s:i, s:b, s:i, s:b, s:b}", "version", p.version, "cleanStart", p.clean,
	        "keepAlive", p.keep_alive, "will", p.will, "password", p.has_password);
	if (e->more && p.has_user)
		(void)json_object_set_new(e->more, "user", text_json(p.user));
	if (e->more && p.will)
		(void)json_object_set_new(e->more, "willTopic", text_json(p.will_topic));
}

static void look_at_filters(const struct frame *frame, uint8_t version, struct event *e)
{
	struct filters f;
	struct edged_slice filter;
	uint8_t options;
	if (parse_filters(frame, version, UINT16_MAX, &f))
		return;
	json_t *list = json_array();
	while (filters_next(&f, &filter, &options))
		(void)(f.options ? json_array_append_new(
		                           list, json_pack("{s:o, s:i}", "filter", text_json(filter), "qos",
		                                         options & OPT_QOS))
		                 : json_array_append_new(list, text_json(filter)));
	e->id = f.id;
	e->more = json_pack("{s:o}", "filters", list);
}

/* SUBACK and UNSUBACK: packet id, properties in MQTT 5, then a code for each filter. */
static void look_at_codes(const struct frame *frame, uint8_t version, struct event *e)
{
	struct reader r = reader(frame->body, frame->len);
	e->id = read_u16(&r);
	if (version == MQTT_5)
		(void)read_bytes(&r, read_varint(&r));
	json_t *list = json_array();
	while (read_left(&r) && !r.failed)
		(void)json_array_append_new(list, json_integer(read_u8(&r)));
	e->more = json_pack("{s:o}", "reasons", list);
}

static void look_at_ack(const struct frame *frame, uint8_t version, struct event *e)
{
	struct ack ack;
	if (parse_ack(frame, version, UINT16_MAX, &ack))
		return;
	e->id = ack.id;
	if (version == MQTT_5)
		e->reason = ack.reason;
}

static void look_at_farewell(const struct frame *frame, uint8_t version, struct event *e)
{
	struct farewell p;
	if (version == MQTT_5 && parse_farewell(frame, version, UINT16_MAX, &p) == 0)
		e->reason = p.reason;
}

static void show_packet(const struct client *c, const char *direction, const struct frame *frame)
{
	struct event e = event_of(c, direction, frame->type);
	switch ((enum packet_type)frame->type) {
	case CONNECT:
		look_at_connect(frame, &e);
		break;
	case CONNACK:
		e.reason = frame->len > 1 ? frame->body[1] : -1;
		break;
	case PUBACK:
	case PUBREC:
	case PUBREL:
	case PUBCOMP:
		look_at_ack(frame, c->version, &e);
		break;
	case SUBSCRIBE:
	case UNSUBSCRIBE:
		look_at_filters(frame, c->version, &e);
		break;
	case SUBACK:
	case UNSUBACK:
		look_at_codes(frame, c->version, &e);
		break;
	case DISCONNECT:
	case AUTH:
		look_at_farewell(frame, c->version, &e);
		break;
	case PUBLISH:
	case PINGREQ:
	case PINGRESP:
		break;
	}
	trace_show(c->broker, &e);
	json_decref(e.more);
}

void trace_received(const struct client *c, const struct frame *frame)
{
	if (frame->type != PUBLISH)
		show_packet(c, "in", frame);
}

void trace_sent(const struct client *c, const void *bytes, size_t n)
{
	struct frame frame;
	if (frame_read(bytes, n, VARINT_MAX, &frame) == 0)
		show_packet(c, "out", &frame);
}

void trace_publish(const struct client *c, const struct publish *p)
{
	struct event e = event_of(c, "in", PUBLISH);
	e.message = true;
	e.topic = p->topic;
	e.payload = p->payload;
	e.qos = p->qos;
	e.id = p->qos ? p->id : -1;
	e.dup = p->dup;
	e.retain = p->retain;
	trace_show(c->broker, &e);
}

void trace_delivery(const struct client *c, const struct delivery *d, uint16_t id, bool dup)
{
	struct event e = event_of(c, "out", PUBLISH);
	e.message = true;
	e.topic = message_topic(d->message);
	e.payload = message_payload(d->message);
	e.qos = d->qos;
	e.id = d->qos ? id : -1;
	e.dup = dup;
	e.retain = d->retain;
	trace_show(c->broker, &e);
}

void trace_refused(const struct client *c, struct edged_slice id, uint8_t reason)
{
	struct event e = event_of(c, "out", CONNACK);
	e.client = id;
	e.reason = reason;
	trace_show(c->broker, &e);
}

void trace_dropped(const struct session *s, const struct message *m, const char *why)
{
	struct event e = { .client = session_id(s),
		.direction = "dropped",
		.packet = packets[PUBLISH],
		.message = true,
		.topic = message_topic(m),
		.payload = message_payload(m),
		.id = -1,
		.qos = m->qos,
		.reason = -1,
		.why = why };
	trace_show(s->shard->broker, &e);
}

void trace_message(struct broker *broker, const struct message_parts *parts, const char *by)
{
	struct event e = { .client = parts->publisher,
		.direction = "in",
		.by = by,
		.message = true,
		.topic = parts->topic,
		.payload = parts->payload,
		.id = -1,
		.qos = parts->qos,
		.retain = parts->retain,
		.reason = -1 };
	trace_show(broker, &e);
}
