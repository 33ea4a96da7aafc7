/* layers: plugins/broker base */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every packet that a client may send, in every version of the protocol, and every row that the broker reads back from
 * the store. What was understood is written again and must mean the same; matching is compared with the simplest one.
 *
 * Byte 0 says what the rest is: 0 to 2 packets of MQTT 3.1, 3.1.1 or 5.0; 3 topics and filters; 4 rows of the store.
 */
#include <stdlib.h>
#include "../../plugins/broker/broker.h"
#include "../../plugins/broker/persist.h"
#include "../../plugins/broker/topic.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { USERS = 20 };
static const struct topic_limits no_limits = { UINT16_MAX, UINT16_MAX };

static bool inside(struct edged_slice s, const struct frame *f)
{
	const char *start = (const char *)f->body;
	return s.len == 0 || (s.ptr >= start && s.ptr + s.len <= start + f->len);
}

static struct frame framed(const uint8_t *bytes, size_t n)
{
	struct frame f;
	MUST(frame_read(bytes, n, VARINT_MAX, &f) == 0 && f.size == n);
	return f;
}

/* --- packets ---------------------------------------------------------------------------------------------------------------- */

static void try_connect(const struct frame *f)
{
	struct connect c;
	int r = parse_connect(f, USERS, &c);
	MUST(r >= 0);
	if (r)
		return;
	MUST(c.version >= MQTT_3_1 && c.version <= MQTT_5 && c.will_qos < 3);
	MUST(c.will || (c.will_qos == 0 && !c.will_retain));
	MUST(inside(c.client_id, f) && inside(c.user, f) && inside(c.password, f));
	MUST(inside(c.will_topic, f) && inside(c.will_payload, f) && utf8_valid(c.client_id));
}

/* Properties that go to receivers, written and read again. */
static void try_forward(struct edged_slice raw)
{
	size_t n = props_forward_size(raw);
	MUST(n <= raw.len);
	uint8_t *bytes = malloc(n + 4);
	MUST(bytes);
	struct writer w = writer(bytes, n + 4);
	write_varint(&w, (uint32_t)n);
	props_forward(raw, &w);
	MUST(!w.failed);
	struct reader r = reader(bytes, (size_t)(w.at - bytes));
	struct props again;
	MUST(props_read(&r, PUBLISH, USERS, &again) == 0 && read_left(&r) == 0);
	MUST(props_forward_size(again.raw) == n);
	free(bytes);
}

static struct message *message_of(const struct publish *p, uint8_t version)
{
	struct message_parts parts = { .topic = p->topic, .payload = p->payload, .qos = p->qos };
	if (version == MQTT_5)
		parts.props = p->props.raw;
	return message_new(&parts);
}

/* The packet for a receiver of version `to`, read as if it had come from a client. */
static void send_again(const struct publish *p, uint8_t from, uint8_t to)
{
	struct message *m = message_of(p, from);
	MUST(m);
	struct outgoing o = { .version = to, .qos = p->qos, .dup = p->dup, .retain = p->retain, .id = p->id };
	o.topic = message_topic(m);
	o.payload_len = m->payload_len;
	if (to == MQTT_5)
		o.props = message_props(m);
	size_t n = 1 + varint_size((uint32_t)outgoing_body(&o)) + outgoing_body(&o);
	uint8_t *bytes = malloc(n);
	MUST(bytes);
	struct writer w = writer(bytes, n);
	write_publish_start(&w, &o);
	write_bytes(&w, o.topic.ptr, o.topic.len);
	write_publish_middle(&w, &o);
	write_bytes(&w, o.props.ptr, o.props.len);
	write_bytes(&w, message_payload(m).ptr, m->payload_len);
	MUST(!w.failed && w.at == w.end);
	struct frame f = framed(bytes, n);
	struct publish again;
	MUST(parse_publish(&f, to, USERS, &again) == 0);
	MUST(edged_slice_eq(again.topic, p->topic) && edged_slice_eq(again.payload, p->payload));
	MUST(again.qos == p->qos && again.id == p->id && again.dup == p->dup && again.retain == p->retain);
	free(bytes);
	message_unref(m);
}

/* The packet of QoS 0 that a message holds ready. */
static void try_ready(const struct publish *p, uint8_t version)
{
	struct message *m = message_of(p, version);
	MUST(m);
	struct frame f =
	        framed(m->blob.data + m->packet_at, message_payload_at(m) + m->payload_len - m->packet_at);
	struct publish again;
	MUST(parse_publish(&f, MQTT_3_1_1, USERS, &again) == 0 && again.qos == 0);
	MUST(edged_slice_eq(again.topic, p->topic) && edged_slice_eq(again.payload, p->payload));
	message_unref(m);
}

static void try_publish(const struct frame *f, uint8_t version)
{
	struct publish p;
	if (parse_publish(f, version, USERS, &p))
		return;
	MUST(p.qos < 3 && (p.qos == 0) == (p.id == 0) && !(p.dup && !p.qos));
	MUST(inside(p.topic, f) && inside(p.payload, f) && utf8_valid(p.topic));
	if (version == MQTT_5)
		try_forward(p.props.raw);
	send_again(&p, version, MQTT_3_1_1);
	send_again(&p, version, MQTT_5);
	try_ready(&p, version);
}

static void try_ack(const struct frame *f, uint8_t version)
{
	struct ack a, again;
	if (parse_ack(f, version, USERS, &a))
		return;
	uint8_t bytes[16];
	struct writer w = writer(bytes, sizeof(bytes));
	write_ack(&w, version, f->type, a.id, a.reason);
	struct frame g = framed(bytes, (size_t)(w.at - bytes));
	MUST(parse_ack(&g, version, USERS, &again) == 0 && again.id == a.id && again.reason == a.reason);
}

static void try_filters(const struct frame *f, uint8_t version)
{
	struct filters list;
	if (parse_filters(f, version, USERS, &list))
		return;
	struct edged_slice filter;
	uint8_t options, codes[4] = { 0, 1, 0x80, 0x97 };
	unsigned n = 0;
	for (; filters_next(&list, &filter, &options); n++)
		MUST(inside(filter, f) && utf8_valid(filter) && (options & OPT_QOS) < 3);
	MUST(n == list.count && n && list.id);
	uint8_t bytes[16];
	struct writer w = writer(bytes, sizeof(bytes));
	write_codes(&w, version, f->type + 1, list.id, codes, 4);
	struct frame g = framed(bytes, (size_t)(w.at - bytes));
	MUST(g.type == f->type + 1u);
}

static void try_farewell(const struct frame *f, uint8_t version)
{
	struct farewell p, again;
	if (parse_farewell(f, version, USERS, &p) || version != MQTT_5 || f->type != DISCONNECT)
		return;
	size_t n = p.props.reason.len + 16;
	uint8_t *bytes = malloc(n);
	MUST(bytes);
	struct writer w = writer(bytes, n);
	write_disconnect(&w, p.reason, p.props.reason);
	struct frame g = framed(bytes, (size_t)(w.at - bytes));
	MUST(parse_farewell(&g, version, USERS, &again) == 0 && again.reason == p.reason);
	MUST(edged_slice_eq(again.props.reason, p.props.reason));
	free(bytes);
}

static void try_packets(const uint8_t *bytes, size_t n, uint8_t version)
{
	struct frame f;
	for (; frame_read(bytes, n, 65536, &f) == 0; bytes += f.size, n -= f.size) {
		MUST(f.size <= n && f.body + f.len == bytes + f.size && f.type);
		switch (f.type) {
		case CONNECT:
			try_connect(&f);
			break;
		case PUBLISH:
			try_publish(&f, version);
			break;
		case PUBACK:
		case PUBREC:
		case PUBREL:
		case PUBCOMP:
			try_ack(&f, version);
			break;
		case SUBSCRIBE:
		case UNSUBSCRIBE:
			try_filters(&f, version);
			break;
		case DISCONNECT:
		case AUTH:
			try_farewell(&f, version);
			break;
		default:
			break;
		}
	}
}

/* --- topics ----------------------------------------------------------------------------------------------------------------- */

/* Section 4.7 word by word, level after level. */
static bool matches(struct edged_slice filter, struct edged_slice topic, bool first)
{
	size_t f = 0, t = 0;
	while (f < filter.len && filter.ptr[f] != '/')
		f++;
	while (t < topic.len && topic.ptr[t] != '/')
		t++;
	struct edged_slice level = edged_slice(filter.ptr, f);
	bool wild = edged_slice_is(level, "+") || edged_slice_is(level, "#");
	if (first && wild && topic.len && topic.ptr[0] == '$')
		return false;
	if (edged_slice_is(level, "#"))
		return true;
	if (!edged_slice_is(level, "+") && !edged_slice_eq(level, edged_slice(topic.ptr, t)))
		return false;
	bool more_f = f < filter.len, more_t = t < topic.len;
	struct edged_slice rest = more_f ? edged_slice(filter.ptr + f + 1, filter.len - f - 1) : level;
	if (!more_t)
		return !more_f || edged_slice_is(rest, "#"); /* "#" is the parent, too */
	return more_f && matches(rest, edged_slice(topic.ptr + t + 1, topic.len - t - 1), false);
}

static void try_topics(const uint8_t *bytes, size_t n)
{
	const uint8_t *cut = n ? memchr(bytes, '\n', n) : NULL;
	if (!cut || n > 2000)
		return;
	struct edged_slice text = edged_slice(bytes, (size_t)(cut - bytes)),
	                   topic = edged_slice(cut + 1, n - text.len - 1);
	struct filter f;
	if (!utf8_valid(text) || !utf8_valid(topic) || !filter_parse(text, &no_limits, &f))
		return;
	MUST(f.filter.len && (f.group.len == 0) == !edged_slice_starts(text, "$share/"));
	if (topic_valid(topic, &no_limits))
		MUST(filter_matches(f.filter, topic) == matches(f.filter, topic, true));
	if (topic_valid(f.filter, &no_limits))
		MUST(filter_matches(f.filter, f.filter));
}

/* --- the store ---------------------------------------------------------------------------------------------------------------- */

static int recall(struct edged_host *host, const char *principal, struct edged_slice client_id,
        struct edged_identity **ret)
{
	(void)host, (void)client_id;
	MUST(strlen(principal) <= EDGED_PRINCIPAL_MAX);
	*ret = NULL;
	return 0;
}

static void drop(struct edged_identity *identity)
{
	MUST(!identity);
}

static const struct edged_auth_1 auth = { .struct_size = sizeof(auth), .recall = recall, .drop = drop };

static void try_message(struct edged_slice body)
{
	struct broker broker = { .auth = &auth };
	struct message *m = read_message(&broker, body);
	if (m)
		MUST(m->qos < 3 && topic_valid(message_topic(m), &no_limits));
	message_unref(m);
}

static void try_rows(const uint8_t *bytes, size_t n)
{
	struct edged_slice key = edged_slice(bytes, n < 16 ? n : 16),
	                   value = edged_slice(bytes + key.len, n - key.len), all = edged_slice(bytes, n);
	struct session_row session;
	struct sub_row sub;
	struct record record;
	(void)read_session_row(all, &session);
	(void)read_sub_row(key, value, &sub);
	if (!read_record(all, &record))
		return;
	if (record.type == RECORD_ENTRY)
		MUST(record.qos < 3 && record.state <= ENTRY_RELEASED);
	if (record.type == RECORD_MESSAGE)
		try_message(record.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	if (data[0] < 3)
		try_packets(data + 1, size - 1, (uint8_t)(MQTT_3_1 + data[0]));
	else if (data[0] == 3)
		try_topics(data + 1, size - 1);
	else
		try_rows(data + 1, size - 1);
	return 0;
}
