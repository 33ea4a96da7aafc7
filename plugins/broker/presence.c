/* SPDX-License-Identifier: Apache-2.0 */
#include "presence.h"

#include <stdlib.h>

#include "shard.h"

struct presence_entry {
	struct presence_entry *next;
	uint16_t len;
	char id[];
};

void presence_init(struct presence *presence)
{
	*presence = (struct presence){ 0 };
	pthread_mutex_init(&presence->lock, NULL);
}

void presence_fini(struct presence *presence)
{
	for (size_t i = 0; i < presence->size; i++) {
		for (struct presence_entry *e = presence->buckets[i], *next; e; e = next) {
			next = e->next;
			free(e);
		}
	}
	free(presence->buckets);
	pthread_mutex_destroy(&presence->lock);
}

static struct presence_entry **place(const struct broker *broker, struct edged_slice id)
{
	const struct presence *p = &broker->presence;
	struct presence_entry **at = &p->buckets[keyed_hash(broker->key, 4, id) & (p->size - 1)];
	while (*at && !edged_slice_eq(edged_slice((*at)->id, (*at)->len), id))
		at = &(*at)->next;
	return at;
}

static bool grow(struct broker *broker)
{
	struct presence *p = &broker->presence, old = *p;
	if (p->count < p->size)
		return true;
	size_t size = old.size ? old.size * 2 : 64;
	struct presence_entry **buckets = calloc(size, sizeof(*buckets));
	if (!buckets)
		return old.size > 0;
	p->buckets = buckets;
	p->size = size;
	for (size_t i = 0; i < old.size; i++) {
		for (struct presence_entry *e = old.buckets[i], *next; e; e = next) {
			next = e->next;
			e->next = NULL;
			*place(broker, edged_slice(e->id, e->len)) = e;
		}
	}
	free(old.buckets);
	return true;
}

static void add(struct broker *broker, struct edged_slice id)
{
	struct presence_entry *e = grow(broker) ? malloc(sizeof(*e) + id.len) : NULL;
	struct presence_entry **at = e ? place(broker, id) : NULL;
	if (!at || *at) {
		free(e);
		return;
	}
	e->next = NULL;
	e->len = (uint16_t)id.len;
	memcpy(e->id, id.ptr, id.len);
	*at = e;
	broker->presence.count++;
}

static void drop(struct broker *broker, struct edged_slice id)
{
	struct presence *p = &broker->presence;
	struct presence_entry **at = p->size ? place(broker, id) : NULL, *e = at ? *at : NULL;
	if (!e)
		return;
	*at = e->next;
	free(e);
	p->count--;
}

void presence_set(const struct session *s, bool present)
{
	struct broker *broker = s->shard->broker;
	if (broker->shard_count == 1)
		return;
	pthread_mutex_lock(&broker->presence.lock);
	(present ? add : drop)(broker, session_id(s));
	pthread_mutex_unlock(&broker->presence.lock);
}

bool presence_find(struct broker *broker, struct edged_slice id)
{
	if (broker->shard_count == 1) {
		const struct session *s = session_find(broker->shards[0], id);
		return s && s->client;
	}
	pthread_mutex_lock(&broker->presence.lock);
	bool found = broker->presence.size && *place(broker, id);
	pthread_mutex_unlock(&broker->presence.lock);
	return found;
}
