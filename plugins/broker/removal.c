/* SPDX-License-Identifier: Apache-2.0 */
#include "removal.h"

#include <stdlib.h>
#include <string.h>

#include "persist.h"
#include "shard.h"

#define FAILED_MAX 10000

void removal_note(struct shard *shard, enum removal_table table, uint64_t session, struct edged_slice key)
{
	struct removals *removals = &shard->removals;
	struct removal *r = malloc(sizeof(*r) + key.len);
	if (!r) {
		removals->lost = true;
		return;
	}
	*r = (struct removal){ .next = removals->queued,
		.session = session,
		.table = (uint8_t)table,
		.len = (uint16_t)key.len };
	memcpy(r->key, key.ptr, key.len);
	removals->queued = r;
}

static struct session *session_of_row(const struct shard *shard, uint64_t row)
{
	for (size_t i = 0; i < shard->sessions.size; i++)
		for (struct session *s = shard->sessions.buckets[i]; s; s = s->chain)
			if (s->row == row)
				return s;
	return NULL;
}

/* There is something of that name again. */
static bool wanted(const struct shard *shard, const struct removal *r)
{
	struct edged_slice key = edged_slice(r->key, r->len);
	struct session *s;
	struct filter filter;
	switch ((enum removal_table)r->table) {
	case REMOVAL_SESSION:
		s = session_find(shard, key);
		return s && s->row;
	case REMOVAL_SUB:
		s = session_of_row(shard, r->session);
		return s && filter_parse(key, &shard->broker->limits.topic, &filter) &&
		       subs_find(&shard->subs, &s->target, &filter);
	case REMOVAL_RETAINED:
		return retained_get(&shard->retained, key) != NULL;
	}
	return false;
}

struct removal *removals_take(struct shard *shard)
{
	struct removals *removals = &shard->removals;
	struct removal *list = removals->queued;
	removals->queued = NULL;
	while (removals->failed) {
		struct removal *r = removals->failed;
		removals->failed = r->next;
		removals->failed_count--;
		if (wanted(shard, r)) {
			free(r);
			continue;
		}
		if (persist_removal(shard, r))
			removals->lost = true;
		r->again = true;
		removals->trying++;
		r->next = list;
		list = r;
	}
	return list;
}

void removals_done(struct shard *shard, struct removal *list, int result)
{
	struct removals *removals = &shard->removals;
	while (list) {
		struct removal *r = list;
		list = r->next;
		removals->trying -= r->again;
		r->again = false;
		if (!result || removals->failed_count == FAILED_MAX) {
			removals->lost |= result != 0;
			free(r);
			continue;
		}
		r->next = removals->failed;
		removals->failed = r;
		removals->failed_count++;
	}
}

void removals_free(struct removal *list)
{
	while (list) {
		struct removal *next = list->next;
		free(list);
		list = next;
	}
}

static bool has_session(const struct removal *list, struct edged_slice id)
{
	for (const struct removal *r = list; r; r = r->next)
		if (r->table == REMOVAL_SESSION && edged_slice_eq(edged_slice(r->key, r->len), id))
			return true;
	return false;
}

bool removals_session_left(const struct shard *shard, struct edged_slice id)
{
	bool left = has_session(shard->removals.queued, id) || has_session(shard->removals.failed, id);
	for (const struct turn *turn = shard->first; turn && !left; turn = turn->next)
		left = has_session(turn->removals, id);
	return left;
}
