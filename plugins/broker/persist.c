/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "persist.h"
#include "rights.h"
#include "shard.h"
#include "stamp.h"

enum { FORMAT = 1 }; /* first byte of every value, for what may come */
#define KEY_MAX 1024

static int put(struct broker *b, const char *table, const struct writer *key, const uint8_t *key_bytes,
        const struct writer *value, const uint8_t *value_bytes)
{
	if (key->failed || value->failed)
		return -EINVAL;
	return b->store->put(b->host, table, edged_slice(key_bytes, (size_t)(key->at - key_bytes)),
	        edged_slice(value_bytes, (size_t)(value->at - value_bytes)));
}

/* Wall ms, 0: it is not away. Its time runs by the shard's clock, which begins anew with the daemon. */
static uint64_t away_since(const struct session *s)
{
	if (s->client)
		return 0;
	uint64_t gone = s->ends == EXPIRY_NEVER ? 0 : (uint64_t)shard_now(s->shard) + s->expiry - s->ends;
	return wall_ms() - gone * 1000;
}

int persist_session_row(struct session *s)
{
	uint8_t value[32 + EDGED_PRINCIPAL_MAX + 5];
	struct writer v = writer(value, sizeof(value));
	write_u8(&v, FORMAT);
	write_u64(&v, s->row);
	write_u8(&v, s->version);
	write_u32(&v, s->expiry);
	write_u64(&v, away_since(s));
	struct edged_slice principal = standing_principal(s->standing);
	write_bytes(&v, principal.ptr, principal.len);
	struct broker *b = s->shard->broker;
	return b->store->put(b->host, "sessions", session_id(s), edged_slice(value, (size_t)(v.at - value)));
}

/* Takes a row of a session away: key is the session's row and what is in `rest`. */
static int del(struct broker *b, const char *table, uint64_t session, struct edged_slice rest)
{
	uint8_t key[KEY_MAX];
	struct writer k = writer(key, sizeof(key));
	write_u64(&k, session);
	write_bytes(&k, rest.ptr, rest.len);
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

static size_t room_for(const struct message *m)
{
	return message_bytes_max(m) + message_author_text(m).len;
}

static int append(struct broker *b, const struct writer *w, const uint8_t *bytes)
{
	if (w->failed)
		return -EINVAL;
	size_t n = (size_t)(w->at - bytes);
	__atomic_fetch_add(&b->compaction.appended, n, __ATOMIC_RELAXED);
	return b->store->append(b->host, MESSAGE_LOG, edged_slice(bytes, n));
}

static int append_message(struct broker *b, struct message *m, uint64_t row)
{
	size_t n = room_for(m);
	uint8_t small[512], *bytes = n <= sizeof(small) ? small : malloc(n);
	if (!bytes)
		return -ENOMEM;
	/* Before it is queued: whoever began a compaction meanwhile writes it again. */
	uint32_t generation = __atomic_load_n(&b->compaction.generation, __ATOMIC_ACQUIRE);
	struct writer w = writer(bytes, n);
	write_message_record(&w, row, m);
	int r = append(b, &w, bytes);
	if (bytes != small)
		free(bytes);
	if (!r)
		__atomic_store_n(&m->written, generation, __ATOMIC_RELAXED);
	return r;
}

int persist_message(struct broker *b, struct message *m)
{
	uint64_t row = broker_row(b);
	int r = append_message(b, m, row);
	if (!r)
		message_settle(m, b->home, row);
	return r;
}

static int put_clock(struct broker *b, uint64_t reserved)
{
	uint8_t value[9];
	struct writer v = writer(value, sizeof(value));
	write_u8(&v, FORMAT);
	write_u64(&v, reserved);
	return b->store->put(b->host, "clock", edged_str("stamp"), edged_slice(value, sizeof(value)));
}

int persist_retained(struct broker *b, const struct message *m)
{
	size_t n = room_for(m);
	uint8_t small[512], *bytes = n <= sizeof(small) ? small : malloc(n);
	if (!bytes)
		return -ENOMEM;
	struct writer w = writer(bytes, n);
	write_message(&w, m);
	int r = b->store->put(
	        b->host, "retained", message_topic(m), edged_slice(bytes, (size_t)(w.at - bytes)));
	if (bytes != small)
		free(bytes);
	uint64_t reserved = r ? 0 : stamp_reserve(b, m->stamp);
	return reserved ? put_clock(b, reserved) : r;
}

int persist_retained_gone(struct broker *b, struct edged_slice topic)
{
	int r = b->store->del(b->host, "retained", topic);
	if (!r)
		removal_note(b->shards[0], REMOVAL_RETAINED, 0, topic);
	return r;
}

/* --- the queue --------------------------------------------------------------------------------------------------------- */

static int put_entry(struct session *s, struct entry *e)
{
	uint8_t bytes[RECORD_ENTRY_MAX];
	struct writer w = writer(bytes, sizeof(bytes));
	struct broker *b = s->shard->broker;
	write_entry_record(&w, s->row, e);
	int r = append(b, &w, bytes);
	if (r == 0 && !e->stored) {
		e->stored = true;
		home_add(b->home, ENTRY_LIVE);
	}
	return r;
}

static int put_incoming(const struct session *s, uint16_t id, bool gone)
{
	uint8_t bytes[RECORD_SMALL_MAX];
	struct writer w = writer(bytes, sizeof(bytes));
	write_incoming(&w, s->row, id, gone);
	return append(s->shard->broker, &w, bytes);
}

/* --- writing for a session ---------------------------------------------------------------------------------------------- */

static int put_entry_whole(struct session *s, struct entry *e)
{
	if (!e->stored)
		return 0;
	int r = e->message && e->message->row ? append_message(s->shard->broker, e->message, e->message->row)
	                                      : 0;
	return r ? r : put_entry(s, e);
}

int persist_entry_again(struct session *s, struct entry *e, uint32_t generation)
{
	struct message *m = e->message;
	if (m && m->row && __atomic_load_n(&m->written, __ATOMIC_RELAXED) == generation)
		return e->stored ? put_entry(s, e) : 0;
	return put_entry_whole(s, e);
}

int persist_incoming_again(struct session *s, bool saving)
{
	int r = 0;
	for (uint16_t i = 0; s->flight && i < s->flight->incoming_count && !r; i++) {
		const struct incoming *in = &s->flight->incoming[i];
		if (in->kept == INCOMING_KEPT || (saving && in->kept == INCOMING_SAVING))
			r = put_incoming(s, in->id, false);
	}
	return r;
}

static int put_gone(const struct session *s, uint64_t seq)
{
	uint8_t bytes[RECORD_SMALL_MAX];
	struct writer w = writer(bytes, sizeof(bytes));
	write_entry_gone(&w, s->row, seq);
	return append(s->shard->broker, &w, bytes);
}

/* All that is stored of a session of which some may be missing, or too much there: what went is not known any more. */
static int put_whole(struct session *s)
{
	char text[KEY_MAX];
	int r = persist_session_row(s);
	r = r ? r : put_gone(s, 0);
	for (const struct sub *sub = s->target.first; sub && !r; sub = sub->sibling)
		r = put_sub(s, edged_slice(text, subs_text(&s->shard->subs, sub, text, sizeof(text))),
		        sub->options, sub->id);
	for (uint32_t i = 0; s->flight && i < s->flight->count && !r; i++)
		r = put_entry_whole(s, flight_at(s->flight, i));
	return r ? r : persist_incoming_again(s, false);
}

/* Before each write. What is unsaved is so until a commit with all of it is done: one before that may still fail. */
static int touch(struct session *s)
{
	turn_touch(s);
	if (!s->unsaved || s->whole)
		return 0;
	int r = put_whole(s);
	s->whole = !r && s->touched;
	return r;
}

int persist_unsaved(struct shard *shard)
{
	int r = 0;
	for (size_t i = 0; i < shard->sessions.size && !r; i++)
		for (struct session *s = shard->sessions.buckets[i]; s && !r; s = s->chain)
			r = s->row && s->unsaved ? touch(s) : 0;
	return r;
}

int persist_session(struct session *s)
{
	int r = touch(s);
	return r ? r : persist_session_row(s);
}

int persist_session_row_gone(struct shard *shard, struct edged_slice id)
{
	int r = shard->broker->store->del(shard->broker->host, "sessions", id);
	if (!r)
		removal_note(shard, REMOVAL_SESSION, 0, id);
	return r;
}

int persist_session_gone(struct session *s)
{
	s->unsaved = false; /* nothing of it is wanted */
	int r = persist_session_row_gone(s->shard, session_id(s));
	char text[KEY_MAX];
	for (const struct sub *sub = s->target.first; sub && !r; sub = sub->sibling)
		r = persist_sub_gone(
		        s, edged_slice(text, subs_text(&s->shard->subs, sub, text, sizeof(text))));
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
	if (!r)
		r = del(s->shard->broker, "subs", s->row, filter);
	if (!r)
		removal_note(s->shard, REMOVAL_SUB, s->row, filter);
	return r;
}

int persist_entry(struct session *s, struct entry *e)
{
	int r = touch(s);
	return r ? r : put_entry(s, e);
}

void persist_entry_gone(struct session *s, const struct entry *e)
{
	struct broker *b = s->shard->broker;
	home_add(b->home, -ENTRY_LIVE);
	if (touch(s) || put_gone(s, e->seq))
		count_one(b->figures.store_failures);
}

int persist_incoming(struct session *s, uint16_t id, bool gone)
{
	int r = touch(s);
	return r ? r : put_incoming(s, id, gone);
}

void persist_incoming_refused(struct session *s, uint16_t id)
{
	(void)flight_drop_incoming(s->flight, id);
	if (s->row && !persist_incoming(s, id, true))
		(void)turn_wrote(s->shard);
}

int persist_removal(struct shard *shard, const struct removal *r)
{
	struct broker *b = shard->broker;
	struct edged_slice key = edged_slice(r->key, r->len);
	switch ((enum removal_table)r->table) {
	case REMOVAL_SESSION:
		return b->store->del(b->host, "sessions", key);
	case REMOVAL_SUB:
		return del(b, "subs", r->session, key);
	case REMOVAL_RETAINED:
		return b->store->del(b->host, "retained", key);
	}
	return 0;
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
	return !r.failed && format == FORMAT && ret->row != 0 && ret->row <= ROW_MAX &&
	       ret->principal.len <= EDGED_PRINCIPAL_MAX + 5;
}

bool read_clock_row(struct edged_slice value, uint64_t *ret_reserved)
{
	struct reader r = reader(value.ptr, value.len);
	bool known = read_u8(&r) == FORMAT;
	*ret_reserved = read_u64(&r);
	return known && !r.failed;
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
