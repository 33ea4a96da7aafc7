/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include "broker.h"

enum { FORMAT = 1 }; /* first byte of every message, for what may come */
enum { STATE_QUEUED, STATE_SENT, STATE_RELEASED };
enum { FLAG_QOS = 3, FLAG_RETAIN = 4, FLAG_WILL = 8, FLAG_STAMP = 16 };

/* --- messages ---------------------------------------------------------------------------------------------------------- */

size_t message_bytes_max(const struct message *m)
{
	return 1 + 10 + 1 + 1 + 3 * 10 + 4 * 5 + message_size(m) + m->publisher_len;
}

struct edged_slice message_author_text(const struct message *m)
{
	const struct author *author = message_author(m);
	return author ? edged_str(author->auth->principal(author->who)) : edged_slice(NULL, 0);
}

void write_message(struct writer *w, const struct message *m)
{
	write_u8(w, FORMAT);
	write_u8(w, (uint8_t)(m->qos | (m->retain ? FLAG_RETAIN : 0) | (m->will ? FLAG_WILL : 0) |
	                      (m->stamp ? FLAG_STAMP : 0)));
	write_varint64(w, m->arrived);
	write_varint64(w, m->expires);
	write_varint64(w, m->topic_len);
	write_varint64(w, message_props(m).len);
	struct edged_slice author = message_author_text(m);
	write_varint64(w, m->publisher_len);
	write_varint64(w, author.len);
	if (m->stamp)
		write_varint64(w, m->stamp);
	write_bytes(w, message_topic(m).ptr, message_size(m) + m->publisher_len);
	write_bytes(w, author.ptr, author.len);
}

static int recall_author(
        struct broker *b, struct edged_slice text, struct edged_slice client_id, struct author *ret)
{
	char principal[EDGED_PRINCIPAL_MAX + 1] = "";
	memcpy(principal, text.ptr, text.len);
	ret->auth = b->auth;
	return b->auth->recall(b->host, principal, client_id, &ret->who);
}

struct message *read_message(struct broker *b, struct edged_slice value)
{
	struct reader r = reader(value.ptr, value.len);
	if (read_u8(&r) != FORMAT)
		return NULL;
	uint8_t flags = read_u8(&r);
	struct message_parts p = {
		.qos = flags & FLAG_QOS, .retain = flags & FLAG_RETAIN, .will = flags & FLAG_WILL
	};
	p.arrived = read_varint64(&r);
	p.expires = read_varint64(&r);
	uint64_t topic = read_varint64(&r), props = read_varint64(&r), publisher = read_varint64(&r);
	uint64_t author = read_varint64(&r);
	p.stamp = flags & FLAG_STAMP ? read_varint64(&r) : 0;
	uint64_t left = read_left(&r);
	if (r.failed || topic > left || props > left || publisher > left || author > EDGED_PRINCIPAL_MAX ||
	        topic + props + publisher + author > left)
		return NULL;
	p.topic = read_bytes(&r, (size_t)topic);
	p.payload = read_bytes(&r, (size_t)(left - topic - props - publisher - author));
	p.props = read_bytes(&r, (size_t)props);
	p.publisher = read_bytes(&r, (size_t)publisher);
	struct edged_slice text = read_bytes(&r, (size_t)author);
	const struct topic_limits none = { UINT16_MAX, UINT16_MAX };
	if (p.qos > 2 || !utf8_valid(p.topic) || !topic_valid(p.topic, &none))
		return NULL;
	if (text.len && recall_author(b, text, p.publisher, &p.author))
		return NULL;
	struct message *m = message_new(&p);
	b->auth->drop(p.author.who);
	return m;
}

void write_message_record(struct writer *w, uint64_t row, const struct message *m)
{
	write_u8(w, RECORD_MESSAGE);
	write_varint64(w, row);
	write_message(w, m);
}

/* --- the queue --------------------------------------------------------------------------------------------------------- */

static uint8_t stored_state(const struct entry *e)
{
	if (e->state == ENTRY_RELEASED || e->state == ENTRY_RELEASING)
		return STATE_RELEASED;
	return e->qos == 2 && e->id ? STATE_SENT : STATE_QUEUED;
}

void write_entry_record(struct writer *w, uint64_t session, const struct entry *e)
{
	uint32_t more = e->more_ids ? e->more_ids[0] : 0;
	uint8_t state = stored_state(e);
	write_u8(w, RECORD_ENTRY);
	write_varint64(w, session);
	write_varint64(w, e->seq);
	/* How far back its message is; 0: it has none any more. */
	write_varint64(w, e->message && state != STATE_RELEASED ? e->seq - e->message->row : 0);
	write_u8(w, (uint8_t)(e->qos | state << 2 | e->retain << 4));
	if (state != STATE_QUEUED)
		write_u16(w, e->id);
	if (e->subscription_id)
		write_varint64(w, e->subscription_id);
	for (uint32_t i = 0; i < more; i++)
		write_varint64(w, e->more_ids[1 + i]);
}

void write_entry_gone(struct writer *w, uint64_t session, uint64_t seq)
{
	write_u8(w, RECORD_ENTRY_GONE);
	write_varint64(w, session);
	write_varint64(w, seq);
}

void write_incoming(struct writer *w, uint64_t session, uint16_t id, bool gone)
{
	write_u8(w, gone ? RECORD_INCOMING_GONE : RECORD_INCOMING);
	write_varint64(w, session);
	write_u16(w, id);
}

static bool read_entry(struct reader *r, struct record *ret)
{
	ret->session = read_varint64(r);
	ret->seq = read_varint64(r);
	uint64_t back = read_varint64(r);
	uint8_t flags = read_u8(r), state = flags >> 2 & 3;
	ret->message = back ? ret->seq - back : 0;
	ret->qos = flags & 3;
	ret->retain = flags >> 4 & 1;
	ret->state = state == STATE_RELEASED ? ENTRY_RELEASED
	             : state == STATE_SENT   ? ENTRY_SENT
	                                     : ENTRY_QUEUED;
	if (state != STATE_QUEUED)
		ret->id = read_u16(r);
	ret->ids = *r;
	if (r->failed || state > STATE_RELEASED || flags >> 5 || !ret->seq || ret->seq > ROW_MAX)
		return false;
	if (state == STATE_RELEASED ? ret->message != 0 : !ret->message || ret->message > ROW_MAX)
		return false;
	if (state != STATE_QUEUED && (ret->id == 0 || ret->qos != 2))
		return false;
	unsigned count = 0;
	for (struct reader ids = *r; read_left(&ids); count++) {
		uint64_t id = read_varint64(&ids);
		if (ids.failed || !id || id > VARINT_MAX)
			return false;
	}
	return (ret->qos == 1 || ret->qos == 2) && count <= MAX_SUBSCRIPTIONS;
}

bool read_record(struct edged_slice bytes, struct record *ret)
{
	struct reader r = reader(bytes.ptr, bytes.len);
	*ret = (struct record){ .type = read_u8(&r) };
	switch (ret->type) {
	case RECORD_MESSAGE:
		ret->message = read_varint64(&r);
		ret->body = read_bytes(&r, read_left(&r));
		return !r.failed && ret->message && ret->message <= ROW_MAX;
	case RECORD_ENTRY:
		return read_entry(&r, ret);
	case RECORD_ENTRY_GONE:
		ret->session = read_varint64(&r);
		ret->seq = read_varint64(&r);
		return !r.failed && !read_left(&r);
	case RECORD_INCOMING:
	case RECORD_INCOMING_GONE:
		ret->session = read_varint64(&r);
		ret->id = read_u16(&r);
		return !r.failed && !read_left(&r) && ret->id;
	}
	return false;
}
