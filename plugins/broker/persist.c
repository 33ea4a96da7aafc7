/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "persist.h"
#include "rights.h"
#include "shard.h"

enum { FORMAT = 1 }; /* first byte of every value, for what may come */
enum { STATE_QUEUED, STATE_SENT, STATE_RELEASED };
enum { FLAG_RETAIN = 1, FLAG_WILL = 2 };
#define KEY_MAX 1024

static int put(struct broker *b, const char *table, const struct writer *key, const uint8_t *key_bytes,
        const struct writer *value, const uint8_t *value_bytes)
{
	if (key->failed || value->failed)
		return -EINVAL;
	return b->store->put(b->host, table, edged_slice(key_bytes, (size_t)(key->at - key_bytes)),
	        edged_slice(value_bytes, (size_t)(value->at - value_bytes)));
}

static int put_session(struct session *s, uint64_t away_since)
{
	uint8_t value[32 + EDGED_PRINCIPAL_MAX + 5];
	struct writer v = writer(value, sizeof(value));
	write_u8(&v, FORMAT);
	write_u64(&v, s->row);
	write_u8(&v, s->version);
	write_u32(&v, s->expiry);
	write_u64(&v, away_since);
	struct edged_slice principal = standing_principal(s->standing);
	write_bytes(&v, principal.ptr, principal.len);
	struct broker *b = s->shard->broker;
	return b->store->put(b->host, "sessions", session_id(s), edged_slice(value, (size_t)(v.at - value)));
}

/* Takes a row of a session away: key is the session's row and what is in `rest`. */
static int del(const struct session *s, const char *table, struct edged_slice rest)
{
	uint8_t key[KEY_MAX];
	struct writer k = writer(key, sizeof(key));
	write_u64(&k, s->row);
	write_bytes(&k, rest.ptr, rest.len);
	struct broker *b = s->shard->broker;
	return k.failed ? -EINVAL : b->store->del(b->host, table, edged_slice(key, (size_t)(k.at - key)));
}

static int put_sub(const struct session *s, struct edged_slice filter, uint8_t options, uint32_t id)
{
	uint8_t key[KEY_MAX], value[16];
	struct writer k = writer(key, sizeof(key)), v = writer(value, sizeof(value));
	write_u64(&k, s->row);
	write_bytes(&k, filter.ptr, filter.len);
	write_u8(&v, FORMAT);
	write_u8(&v, options);
	write_u32(&v, id);
	return put(s->shard->broker, "subs", &k, key, &v, value);
}

/* --- messages ---------------------------------------------------------------------------------------------------------- */

/* Behind all else; empty: it is not judged. */
static struct edged_slice author_text(const struct message *m)
{
	const struct author *author = message_author(m);
	return author ? edged_str(author->auth->principal(author->who)) : edged_slice(NULL, 0);
}

static size_t message_row_size(const struct message *m)
{
	return author_text(m).len + 1 + 1 + 1 + 8 + 8 + 2 + 4 + 4 + 2 + message_size(m) + m->publisher_len;
}

static int put_message(struct broker *b, const char *table, struct edged_slice key, const struct message *m)
{
	uint8_t small[512], *bytes = small;
	size_t n = message_row_size(m);
	if (n > sizeof(small) && !(bytes = malloc(n)))
		return -ENOMEM;
	struct writer w = writer(bytes, n);
	write_u8(&w, FORMAT);
	write_u8(&w, m->qos);
	write_u8(&w, (uint8_t)((m->retain ? FLAG_RETAIN : 0) | (m->will ? FLAG_WILL : 0)));
	write_u64(&w, m->arrived);
	write_u64(&w, m->expires);
	write_u16(&w, m->topic_len);
	write_u32(&w, m->payload_len);
	write_u32(&w, m->props_len);
	write_u16(&w, m->publisher_len);
	write_bytes(&w, message_topic(m).ptr, message_size(m) + m->publisher_len);
	write_bytes(&w, author_text(m).ptr, author_text(m).len);
	int r = b->store->put(b->host, table, key, edged_slice(bytes, n));
	if (bytes != small)
		free(bytes);
	return r;
}

int persist_message(struct broker *b, struct message *m)
{
	uint64_t row = broker_row(b);
	uint8_t key[8];
	struct writer k = writer(key, sizeof(key));
	write_u64(&k, row);
	int r = put_message(b, "messages", edged_slice(key, sizeof(key)), m);
	if (r)
		return r;
	message_settle(m, b->home, row);
	return 0;
}

int persist_retained(struct broker *b, const struct message *m)
{
	return put_message(b, "retained", message_topic(m), m);
}

int persist_retained_gone(struct broker *b, struct edged_slice topic)
{
	return b->store->del(b->host, "retained", topic);
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
	struct message_parts p = { .qos = read_u8(&r) };
	uint8_t flags = read_u8(&r);
	p.retain = flags & FLAG_RETAIN;
	p.will = flags & FLAG_WILL;
	p.arrived = read_u64(&r);
	p.expires = read_u64(&r);
	size_t topic = read_u16(&r), payload = read_u32(&r), props = read_u32(&r), publisher = read_u16(&r);
	p.topic = read_bytes(&r, topic);
	p.payload = read_bytes(&r, payload);
	p.props = read_bytes(&r, props);
	p.publisher = read_bytes(&r, publisher);
	struct edged_slice author = read_bytes(&r, read_left(&r));
	const struct topic_limits none = { UINT16_MAX, UINT16_MAX };
	if (r.failed || author.len > EDGED_PRINCIPAL_MAX || p.qos > 2 || !utf8_valid(p.topic) ||
	        !topic_valid(p.topic, &none))
		return NULL;
	if (author.len && recall_author(b, author, p.publisher, &p.author))
		return NULL;
	struct message *m = message_new(&p);
	b->auth->drop(p.author.who);
	return m;
}

/* --- the queue --------------------------------------------------------------------------------------------------------- */

static struct edged_slice entry_key(const struct entry *e, uint8_t *bytes)
{
	struct writer k = writer(bytes, 8);
	write_u64(&k, e->seq);
	return edged_slice(bytes, 8);
}

static void write_entry(struct writer *v, const struct entry *e)
{
	uint32_t more = e->more_ids ? e->more_ids[0] : 0;
	uint8_t state = e->state == ENTRY_RELEASED || e->state == ENTRY_RELEASING ? STATE_RELEASED
	                : e->qos == 2 && e->id                                    ? STATE_SENT
	                                                                          : STATE_QUEUED;
	write_u8(v, FORMAT);
	write_u64(v, e->message ? e->message->row : 0);
	write_u8(v, e->qos);
	write_u8(v, state);
	write_u8(v, e->retain);
	write_u16(v, e->id);
	if (e->subscription_id)
		write_u32(v, e->subscription_id);
	for (uint32_t i = 0; i < more; i++)
		write_u32(v, e->more_ids[1 + i]);
}

static int put_entry(struct session *s, struct entry *e)
{
	uint8_t key[16], value[16 + 4 * MAX_SUBSCRIPTIONS];
	struct writer k = writer(key, sizeof(key)), v = writer(value, sizeof(value));
	if (!e->stored)
		e->seq = broker_row(s->shard->broker);
	write_u64(&k, s->row);
	write_u64(&k, e->seq);
	write_entry(&v, e);
	int r = put(s->shard->broker, "queue", &k, key, &v, value);
	if (r == 0)
		e->stored = true;
	return r;
}

static int put_incoming(const struct session *s, uint16_t id, bool gone)
{
	uint8_t key[10], value = FORMAT;
	struct writer k = writer(key, sizeof(key)), v = writer(&value, 1);
	write_u64(&k, s->row);
	write_u16(&k, id);
	v.at++;
	struct broker *b = s->shard->broker;
	if (gone)
		return b->store->del(b->host, "incoming", edged_slice(key, sizeof(key)));
	return put(b, "incoming", &k, key, &v, &value);
}

/* --- writing for a session ---------------------------------------------------------------------------------------------- */

static int put_entry_whole(struct session *s, struct entry *e)
{
	uint8_t key[8];
	struct writer k = writer(key, sizeof(key));
	if (!e->stored)
		return 0;
	int r = 0;
	if (e->message && e->message->row) {
		write_u64(&k, e->message->row);
		r = put_message(s->shard->broker, "messages", edged_slice(key, sizeof(key)), e->message);
	}
	return r ? r : put_entry(s, e);
}

/* All rows of a session of which some may be missing. */
static int put_whole(struct session *s)
{
	char text[KEY_MAX];
	int r = put_session(s, s->client ? 0 : wall_ms());
	for (const struct sub *sub = s->target.first; sub && !r; sub = sub->sibling)
		r = put_sub(s, edged_slice(text, subs_text(&s->shard->subs, sub, text, sizeof(text))),
		        sub->options, sub->id);
	for (uint32_t i = 0; s->flight && i < s->flight->count && !r; i++)
		r = put_entry_whole(s, flight_at(s->flight, i));
	for (uint16_t i = 0; s->flight && i < s->flight->incoming_count && !r; i++)
		r = put_incoming(s, s->flight->incoming[i], false);
	return r;
}

/* Before each write. */
static int touch(struct session *s)
{
	turn_touch(s);
	if (!s->unsaved)
		return 0;
	int r = put_whole(s);
	s->unsaved = r != 0;
	return r;
}

int persist_session(struct session *s, uint64_t away_since)
{
	int r = touch(s);
	return r ? r : put_session(s, away_since);
}

int persist_session_gone(struct session *s)
{
	struct broker *b = s->shard->broker;
	s->unsaved = false; /* nothing of it is wanted */
	int r = b->store->del(b->host, "sessions", session_id(s));
	char text[KEY_MAX];
	for (const struct sub *sub = s->target.first; sub && !r; sub = sub->sibling)
		r = persist_sub_gone(
		        s, edged_slice(text, subs_text(&s->shard->subs, sub, text, sizeof(text))));
	for (uint32_t i = 0; s->flight && i < s->flight->count && !r; i++)
		if (flight_at(s->flight, i)->stored)
			persist_entry_gone(s, flight_at(s->flight, i));
	for (uint16_t i = 0; s->flight && i < s->flight->incoming_count && !r; i++)
		r = persist_incoming(s, s->flight->incoming[i], true);
	return r;
}

int persist_sub(struct session *s, struct edged_slice filter, uint8_t options, uint32_t id)
{
	int r = touch(s);
	return r ? r : put_sub(s, filter, options, id);
}

int persist_sub_gone(struct session *s, struct edged_slice filter)
{
	int r = touch(s);
	return r ? r : del(s, "subs", filter);
}

int persist_entry(struct session *s, struct entry *e)
{
	int r = touch(s);
	return r ? r : put_entry(s, e);
}

void persist_entry_gone(struct session *s, const struct entry *e)
{
	uint8_t key[8];
	if (touch(s) || del(s, "queue", entry_key(e, key)))
		count_one(s->shard->broker->figures.store_failures);
}

int persist_incoming(struct session *s, uint16_t id, bool gone)
{
	int r = touch(s);
	return r ? r : put_incoming(s, id, gone);
}

/* --- reading back ----------------------------------------------------------------------------------------------------------- */

bool read_session_row(struct edged_slice value, struct session_row *ret)
{
	struct reader r = reader(value.ptr, value.len);
	uint8_t format = read_u8(&r);
	ret->row = read_u64(&r);
	ret->version = read_u8(&r);
	ret->expiry = read_u32(&r);
	ret->away_since = read_u64(&r);
	ret->principal = read_bytes(&r, read_left(&r));
	return !r.failed && format == FORMAT && ret->row != 0 &&
	       ret->principal.len <= EDGED_PRINCIPAL_MAX + 5;
}

bool read_sub_row(struct edged_slice key, struct edged_slice value, struct sub_row *ret)
{
	struct reader k = reader(key.ptr, key.len), v = reader(value.ptr, value.len);
	ret->session = read_u64(&k);
	ret->filter = read_bytes(&k, read_left(&k));
	uint8_t format = read_u8(&v);
	ret->options = read_u8(&v);
	ret->id = read_u32(&v);
	return !k.failed && !v.failed && format == FORMAT && (ret->options & OPT_QOS) != 3 &&
	       utf8_valid(ret->filter);
}

bool read_queue_row(struct edged_slice key, struct edged_slice value, struct queue_row *ret)
{
	struct reader k = reader(key.ptr, key.len), v = reader(value.ptr, value.len);
	ret->session = read_u64(&k);
	ret->seq = read_u64(&k);
	uint8_t format = read_u8(&v);
	ret->message = read_u64(&v);
	ret->qos = read_u8(&v);
	uint8_t state = read_u8(&v);
	ret->retain = read_u8(&v);
	ret->id = read_u16(&v);
	ret->ids = v;
	ret->state = state == STATE_RELEASED ? ENTRY_RELEASED
	             : state == STATE_SENT   ? ENTRY_SENT
	                                     : ENTRY_QUEUED;
	if (k.failed || v.failed || format != FORMAT || state > STATE_RELEASED || read_left(&v) % 4)
		return false;
	if (state == STATE_QUEUED)
		ret->id = 0;
	else if (ret->id == 0 || ret->qos != 2)
		return false;
	return (ret->qos == 1 || ret->qos == 2) && read_left(&v) <= 4 * MAX_SUBSCRIPTIONS;
}
