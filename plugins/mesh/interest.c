/* SPDX-License-Identifier: Apache-2.0 */
#include "interest.h"

#include <errno.h>
#include <stdlib.h>
#include "hash.h"

const char *const interest_wide[INTEREST_WIDE_COUNT] = { "#", "$aws/#" };

struct wish {
	struct wish *next;  /* of its bucket */
	struct wish *after; /* of those that changed */
	bool changed;
	uint8_t told; /* level */
	uint32_t counts[3];
	uint64_t hash;
	size_t len;
	char filter[];
};

struct interest {
	uint32_t most;
	struct wish **buckets;
	uint32_t size;   /* of buckets, a power of two */
	uint32_t wishes; /* entries */
	uint32_t wanted; /* of them, with a subscription */
	struct wish *changed;
	bool wide, told_wide;
	uint32_t told;
	uint64_t digest;
};

static uint64_t digest_of(struct edged_slice filter, uint8_t level)
{
	return hash_add(hash_add(HASH_START, edged_slice(&level, 1)), filter);
}

/* --- ours ------------------------------------------------------------------------------------------------------------------ */

int interest_new(uint32_t most, struct interest **ret)
{
	struct interest *i = calloc(1, sizeof(*i));
	if (!i)
		return -ENOMEM;
	i->most = most;
	i->size = 64;
	i->buckets = calloc(i->size, sizeof(*i->buckets));
	if (!i->buckets) {
		free(i);
		return -ENOMEM;
	}
	*ret = i;
	return 0;
}

void interest_free(struct interest *i)
{
	if (!i)
		return;
	for (uint32_t b = 0; b < i->size; b++)
		for (struct wish *w = i->buckets[b], *next; w; w = next) {
			next = w->next;
			free(w);
		}
	free(i->buckets);
	free(i);
}

static uint8_t level_of(const struct wish *w)
{
	return w->counts[2] ? LEVEL_QOS2 : w->counts[1] ? LEVEL_QOS1 : w->counts[0] ? LEVEL_QOS0 : LEVEL_NONE;
}

static struct wish **place(const struct interest *i, struct edged_slice filter, uint64_t hash)
{
	struct wish **at = &i->buckets[hash & (i->size - 1)];
	while (*at &&
	        ((*at)->hash != hash || !edged_slice_eq(edged_slice((*at)->filter, (*at)->len), filter)))
		at = &(*at)->next;
	return at;
}

/* When there is no memory the buckets stay as they are, only longer. */
static void grow(struct interest *i)
{
	uint32_t size = i->size * 2;
	struct wish **buckets = i->wishes < i->size ? NULL : calloc(size, sizeof(*buckets));
	if (!buckets)
		return;
	for (uint32_t b = 0; b < i->size; b++)
		for (struct wish *w = i->buckets[b], *next; w; w = next) {
			next = w->next;
			w->next = buckets[w->hash & (size - 1)];
			buckets[w->hash & (size - 1)] = w;
		}
	free(i->buckets);
	i->buckets = buckets;
	i->size = size;
}

static struct wish *find_or_make(struct interest *i, struct edged_slice filter)
{
	uint64_t hash = hash_add(HASH_START, filter);
	struct wish **at = place(i, filter, hash), *w = *at;
	if (w)
		return w;
	w = calloc(1, sizeof(*w) + filter.len);
	if (!w)
		return NULL;
	w->hash = hash;
	w->len = filter.len;
	memcpy(w->filter, filter.ptr, filter.len);
	*at = w;
	i->wishes++;
	grow(i);
	return w;
}

static void mark(struct interest *i, struct wish *w)
{
	if (w->changed)
		return;
	w->changed = true;
	w->after = i->changed;
	i->changed = w;
}

int interest_change(struct interest *i, struct edged_slice filter, uint8_t qos, int by)
{
	struct wish *w = find_or_make(i, filter);
	if (!w)
		return -ENOMEM;
	uint8_t before = level_of(w);
	if (by > 0 || w->counts[qos])
		w->counts[qos] += by > 0 ? 1u : UINT32_MAX;
	uint8_t now = level_of(w);
	i->wanted = i->wanted + (now && !before) - (before && !now);
	mark(i, w);
	return 0;
}

static void drop(struct interest *i, struct wish *w)
{
	struct wish **at = place(i, edged_slice(w->filter, w->len), w->hash);
	*at = w->next;
	i->wishes--;
	free(w);
}

static void count(struct interest *i, struct edged_slice filter, uint8_t before, uint8_t now)
{
	if (before)
		i->digest ^= digest_of(filter, before);
	if (now)
		i->digest ^= digest_of(filter, now);
	i->told = i->told + (now && !before) - (before && !now);
}

/* Narrow again only well below the number, so that one filter that comes and goes does not turn all of it over. */
static bool turn_wide(struct interest *i)
{
	i->wide = i->wanted > i->most || (i->wide && i->wanted > i->most - i->most / 4);
	if (i->wide == i->told_wide)
		return false;
	for (uint32_t b = 0; b < i->size; b++)
		for (struct wish *w = i->buckets[b]; w; w = w->next)
			mark(i, w);
	return true;
}

static void tell_wide(
        struct interest *i, void (*each)(void *arg, struct edged_slice filter, uint8_t level), void *arg)
{
	uint8_t before = i->wide ? LEVEL_NONE : LEVEL_QOS2, now = i->wide ? LEVEL_QOS2 : LEVEL_NONE;
	for (size_t n = 0; n < INTEREST_WIDE_COUNT; n++) {
		count(i, edged_str(interest_wide[n]), before, now);
		each(arg, edged_str(interest_wide[n]), now);
	}
	i->told_wide = i->wide;
}

bool interest_flush(
        struct interest *i, void (*each)(void *arg, struct edged_slice filter, uint8_t level), void *arg)
{
	bool turns = turn_wide(i), any = turns;
	if (turns &&
	        !i->wide) /* somebody may have subscribed to the same filters: those come later, below they go before */
		tell_wide(i, each, arg);
	for (struct wish *w = i->changed, *after; w; w = after) {
		struct edged_slice filter = edged_slice(w->filter, w->len);
		uint8_t level = i->wide ? LEVEL_NONE : level_of(w);
		after = w->after;
		w->changed = false;
		if (level != w->told) {
			count(i, filter, w->told, level);
			w->told = level;
			each(arg, filter, level);
			any = true;
		}
		if (level_of(w) == LEVEL_NONE)
			drop(i, w);
	}
	i->changed = NULL;
	if (turns && i->wide)
		tell_wide(i, each, arg);
	return any;
}

void interest_each(const struct interest *i,
        void (*each)(void *arg, struct edged_slice filter, uint8_t level), void *arg)
{
	for (size_t n = 0; i->told_wide && n < INTEREST_WIDE_COUNT; n++)
		each(arg, edged_str(interest_wide[n]), LEVEL_QOS2);
	for (uint32_t b = 0; b < i->size; b++)
		for (const struct wish *w = i->buckets[b]; w; w = w->next)
			if (w->told)
				each(arg, edged_slice(w->filter, w->len), w->told);
}

uint32_t interest_count(const struct interest *i)
{
	return i->told;
}

uint64_t interest_digest(const struct interest *i)
{
	return i->digest;
}

/* --- theirs ---------------------------------------------------------------------------------------------------------------- */

void told_fini(struct told *told)
{
	for (uint32_t i = 0; i < told->count; i++)
		free(told->filters[i]);
	free(told->filters);
	free(told->levels);
	*told = (struct told){ 0 };
}

static int make_room(struct told *told)
{
	if (told->count == TOLD_MOST)
		return -ENOSPC;
	if (told->count < told->size)
		return 0;
	uint32_t size = told->size ? told->size * 2 : 16;
	char **filters = realloc(told->filters, size * sizeof(*filters));
	if (filters)
		told->filters = filters;
	uint8_t *levels = filters ? realloc(told->levels, size) : NULL;
	if (!levels)
		return -ENOMEM;
	told->levels = levels;
	told->size = size;
	return 0;
}

static int add(struct told *told, struct edged_slice filter, uint8_t level)
{
	int r = make_room(told);
	char *text = r ? NULL : strndup(filter.ptr, filter.len);
	if (!text)
		return r ? r : -ENOMEM;
	told->filters[told->count] = text;
	told->levels[told->count++] = level;
	told->digest ^= digest_of(filter, level);
	return 0;
}

int told_set(struct told *told, struct edged_slice filter, uint8_t level)
{
	uint32_t i = 0;
	while (i < told->count && !edged_slice_is(filter, told->filters[i]))
		i++;
	if (i == told->count)
		return level ? add(told, filter, level) : 0;
	told->digest ^= digest_of(filter, told->levels[i]);
	if (level) {
		told->levels[i] = level;
		told->digest ^= digest_of(filter, level);
		return 0;
	}
	free(told->filters[i]);
	told->filters[i] = told->filters[--told->count];
	told->levels[i] = told->levels[told->count];
	return 0;
}
