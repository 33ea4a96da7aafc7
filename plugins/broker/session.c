/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "client.h"
#include "lifecycle.h"
#include "inside.h"
#include "persist.h"
#include "publish.h"
#include "queue.h"
#include "rights.h"
#include "shard.h"
#include "stored.h"

/* --- the table of sessions ------------------------------------------------------------------------------------------- */

static struct session **bucket(const struct shard *shard, struct edged_slice id)
{
	uint64_t hash = keyed_hash(shard->broker->key, 2, id);
	return &shard->sessions.buckets[hash & (shard->sessions.size - 1)];
}

struct session *session_find(const struct shard *shard, struct edged_slice id)
{
	if (shard->sessions.size == 0)
		return NULL;
	struct session *s = *bucket(shard, id);
	while (s && !edged_slice_eq(session_id(s), id))
		s = s->chain;
	return s;
}

static int table_grow(struct shard *shard)
{
	struct session_table *table = &shard->sessions, old = *table;
	if (table->count < table->size)
		return 0;
	table->size = old.size ? old.size * 2 : 16;
	table->buckets = calloc(table->size, sizeof(struct session *));
	if (!table->buckets) {
		*table = old;
		return -ENOMEM;
	}
	for (size_t i = 0; i < old.size; i++) {
		for (struct session *s = old.buckets[i], *next; s; s = next) {
			next = s->chain;
			struct session **to = bucket(shard, session_id(s));
			s->chain = *to;
			*to = s;
		}
	}
	free(old.buckets);
	return 0;
}

void session_table_fini(struct session_table *table)
{
	free(table->buckets);
	*table = (struct session_table){ 0 };
}

struct session *session_new(struct shard *shard, struct edged_slice id)
{
	if (table_grow(shard) || alarms_reserve(&shard->alarms, shard->sessions.count + 1))
		return NULL;
	struct session *s = calloc(1, sizeof(*s) + id.len);
	if (!s)
		return NULL;
	s->shard = shard;
	s->target.kind = TARGET_SESSION;
	s->id_len = (uint16_t)id.len;
	s->inside = inside_id(id);
	memcpy(s->id, id.ptr, id.len);
	struct session **to = bucket(shard, id);
	s->chain = *to;
	*to = s;
	shard->sessions.count++;
	s->holds = 1; /* the table's */
	edged_metric_add(shard->broker->figures.sessions, 1);
	return s;
}

/* --- ending ---------------------------------------------------------------------------------------------------------- */

void session_release(struct session *s)
{
	if (--s->holds == 0)
		free(s);
}

void session_free(struct session *s)
{
	struct shard *shard = s->shard;
	struct session **at = bucket(shard, session_id(s));
	while (*at != s)
		at = &(*at)->chain;
	*at = s->chain;
	shard->sessions.count--;
	edged_metric_add(shard->broker->figures.sessions, -1);
	shard_alarm_cancel(shard, s);
	int64_t subs = s->target.count;
	subs_remove_all(&shard->subs, &s->target);
	shared_forget(s);
	shard_subs_changed(shard, -subs);
	queue_fini(s);
	message_unref(s->will);
	s->will = NULL;
	standing_free(shard->broker, s->standing);
	s->standing = NULL;
	if (s->row)
		__atomic_fetch_sub(&shard->durable, 1, __ATOMIC_RELAXED);
	s->dead = true;
	session_release(s);
}

void session_end(struct session *s)
{
	struct message *will = s->will;
	struct shard *shard = s->shard;
	s->will = NULL;
	if (s->row && persist_session_gone(s))
		count_one(shard->broker->figures.store_failures);
	session_free(s);
	if (will)
		shard_publish_will(shard, will, NULL);
}

static void away(struct session *s)
{
	uint32_t now = shard_now(s->shard);
	s->left = now;
	s->will_due = s->will ? now + s->will_delay : 0;
	s->ends = session_ends(now, s->expiry);
	if (s->row && s->expiry != EXPIRY_NEVER && persist_session(s))
		count_one(s->shard->broker->figures.store_failures);
	if (s->will && s->will_due < s->ends)
		shard_alarm(s->shard, s, s->will_due);
	else if (s->ends != EXPIRY_NEVER)
		shard_alarm(s->shard, s, s->ends);
}

void session_detach(struct session *s, bool with_will)
{
	lifecycle_disconnected(s);
	s->client = NULL;
	shared_present(s, false);
	presence_set(s, false);
	s->epoch++;
	shard_alarm_cancel(s->shard, s);
	queue_rewind(s);
	if (!with_will) {
		message_unref(s->will);
		s->will = NULL;
	}
	if (s->expiry == 0) {
		session_end(s);
		return;
	}
	struct message *will = NULL;
	if (s->will && s->will_delay == 0) {
		will = s->will;
		s->will = NULL;
	}
	away(s);
	if (will)
		shard_publish_will(s->shard, will, s);
}

/* --- alarms ------------------------------------------------------------------------------------------------------------ */

/* When a client that says nothing is given up; EXPIRY_NEVER: it may be silent. */
static uint32_t silent_until(const struct client *c)
{
	return c->keep_alive ? c->heard + c->keep_alive * 3u / 2 + 1 : EXPIRY_NEVER;
}

void session_watch(struct session *s)
{
	uint32_t due = silent_until(s->client), stored = stored_due(s);
	due = due < s->ends ? due : s->ends;
	due = due < stored ? due : stored;
	if (due != EXPIRY_NEVER)
		shard_alarm(s->shard, s, due);
}

static void look_at_client(struct session *s, uint32_t now)
{
	if (silent_until(s->client) <= now) {
		count_one(s->shard->broker->figures.kept_dead);
		client_close(s->client, REASON_KEEP_ALIVE);
	} else if (s->ends <= now) {
		client_close(s->client, REASON_CONNECT_TIME);
	} else {
		stored_alarm(s);
		if (s->client)
			session_watch(s);
	}
}

void session_alarm(struct session *s)
{
	uint32_t now = shard_now(s->shard);
	if (s->client) {
		look_at_client(s, now);
		return;
	}
	if (s->ends <= now) {
		session_end(s);
		return;
	}
	struct message *will = s->will;
	s->will = NULL;
	if (s->ends != EXPIRY_NEVER)
		shard_alarm(s->shard, s, s->ends);
	if (will)
		shard_publish_will(s->shard, will, s);
}
