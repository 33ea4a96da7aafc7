/* SPDX-License-Identifier: Apache-2.0 */
#include "interest.h"

#include <errno.h>
#include <stdlib.h>
#include "hash.h"

const char *const interest_wide[INTEREST_WIDE_COUNT] = { "#", "$aws/#" };

struct wish {
	struct wish *next;  /* of its bucket */
	struct wish *after; /* of those that changed */
	bool changed, shared;
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
	uint32_t wanted; /* of them, with a subscription, but for shared ones */
	uint32_t shared_wanted, shared_told;
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
	w->shared = edged_slice_starts(filter, "$share/");
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
	uint32_t *wanted = w->shared ? &i->shared_wanted : &i->wanted;
	*wanted = *wanted + (now && !before) - (before && !now);
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

static void mark_all(struct interest *i, bool shared)
{
	for (uint32_t b = 0; b < i->size; b++)
		for (struct wish *w = i->buckets[b]; w; w = w->next)
			if (w->shared == shared)
				mark(i, w);
}

/* Narrow again only well below the number, so that one filter that comes and goes does not turn all of it over. */
static bool turn_wide(struct interest *i)
{
	i->wide = i->wanted > i->most || (i->wide && i->wanted > i->most - i->most / 4);
	if (i->wide == i->told_wide)
		return false;
	mark_all(i, false);
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

/* What is to be told of it now. */
static uint8_t level_to_tell(const struct interest *i, const struct wish *w)
{
	if (!w->shared)
		return i->wide ? LEVEL_NONE : level_of(w);
	return w->told || i->shared_told < i->most ? level_of(w) : LEVEL_NONE;
}

static bool tell_wish(struct interest *i, struct wish *w,
        void (*each)(void *arg, struct edged_slice filter, uint8_t level), void *arg)
{
	struct edged_slice filter = edged_slice(w->filter, w->len);
	uint8_t level = level_to_tell(i, w);
	if (level == w->told)
		return false;
	count(i, filter, w->told, level);
	i->shared_told = i->shared_told + (w->shared && !w->told) - (w->shared && !level);
	w->told = level;
	each(arg, filter, level);
	return true;
}

static bool tell_changed(
        struct interest *i, void (*each)(void *arg, struct edged_slice filter, uint8_t level), void *arg)
{
	bool any = false;
	for (struct wish *w = i->changed, *after; w; w = after) {
		after = w->after;
		w->changed = false;
		any |= tell_wish(i, w, each, arg);
		if (level_of(w) == LEVEL_NONE)
			drop(i, w);
	}
	i->changed = NULL;
	return any;
}

bool interest_flush(
        struct interest *i, void (*each)(void *arg, struct edged_slice filter, uint8_t level), void *arg)
{
	bool turns = turn_wide(i), any = turns;
	if (turns &&
	        !i->wide) /* somebody may have subscribed to the same filters: those come later, below they go before */
		tell_wide(i, each, arg);
	any |= tell_changed(i, each, arg);
	if (interest_untold(i) && i->shared_told < i->most) { /* others have made room for them */
		mark_all(i, true);
		any |= tell_changed(i, each, arg);
	}
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

uint32_t interest_untold(const struct interest *i)
{
	return i->shared_wanted - i->shared_told;
}

/* --- theirs ---------------------------------------------------------------------------------------------------------------- */

static void forget_changes(struct told *told)
{
	for (uint32_t i = 0; i < told->changed_count; i++)
		free(told->changed[i]);
	free(told->changed);
	told->changed = NULL;
	told->changed_count = told->changed_size = 0;
}

void told_fini(struct told *told)
{
	for (uint32_t i = 0; i < told->count; i++)
		free(told->filters[i]);
	free(told->filters);
	free(told->levels);
	forget_changes(told);
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

/* Where it is, or belongs. */
static uint32_t find(const struct told *told, struct edged_slice filter, bool *ret_there)
{
	uint32_t low = 0, high = told->count;
	*ret_there = false;
	while (low < high && !*ret_there) {
		uint32_t at = low + (high - low) / 2;
		size_t len = strlen(told->filters[at]);
		int order = memcmp(filter.ptr, told->filters[at], filter.len < len ? filter.len : len);
		if (order == 0)
			order = (filter.len > len) - (filter.len < len);
		*ret_there = order == 0;
		if (order > 0)
			low = at + 1;
		else
			high = at;
	}
	return high;
}

static int add(struct told *told, uint32_t at, struct edged_slice filter, uint8_t level)
{
	int r = make_room(told);
	char *text = r ? NULL : strndup(filter.ptr, filter.len);
	if (!text)
		return r ? r : -ENOMEM;
	memmove(told->filters + at + 1, told->filters + at, (told->count - at) * sizeof(*told->filters));
	memmove(told->levels + at + 1, told->levels + at, told->count - at);
	told->count++;
	told->filters[at] = text;
	told->levels[at] = level;
	told->digest ^= digest_of(filter, level);
	return 0;
}

static void drop_told(struct told *told, uint32_t at)
{
	free(told->filters[at]);
	told->count--;
	memmove(told->filters + at, told->filters + at + 1, (told->count - at) * sizeof(*told->filters));
	memmove(told->levels + at, told->levels + at + 1, told->count - at);
}

enum { CHANGED_MOST = 64 }; /* of more, all are looked at */

static void note(struct told *told, struct edged_slice filter)
{
	if (!told->noted)
		return;
	if (told->changed_count == told->changed_size) {
		uint32_t size = told->changed_size ? 2 * told->changed_size : 4;
		char **changed =
		        size <= CHANGED_MOST ? realloc(told->changed, size * sizeof(*changed)) : NULL;
		told->noted = changed != NULL;
		if (!changed)
			return;
		told->changed = changed;
		told->changed_size = size;
	}
	char *text = strndup(filter.ptr, filter.len);
	told->noted = text != NULL;
	if (text)
		told->changed[told->changed_count++] = text;
}

void told_settled(struct told *told)
{
	forget_changes(told);
	told->noted = true;
}

uint8_t told_level(const struct told *told, struct edged_slice filter)
{
	bool there;
	uint32_t at = find(told, filter, &there);
	return there ? told->levels[at] : LEVEL_NONE;
}

int told_set(struct told *told, struct edged_slice filter, uint8_t level)
{
	bool there;
	uint32_t at = find(told, filter, &there);
	note(told, filter);
	if (!there)
		return level ? add(told, at, filter, level) : 0;
	told->digest ^= digest_of(filter, told->levels[at]);
	if (level) {
		told->levels[at] = level;
		told->digest ^= digest_of(filter, level);
	} else {
		drop_told(told, at);
	}
	return 0;
}
