/* SPDX-License-Identifier: Apache-2.0 */
#include "matcher.h"

#include <assert.h>
#include <errno.h>

static void set_shape(struct matcher *m, const struct piece *pieces, size_t count)
{
	m->pieces = pieces;
	m->count = (uint32_t)count;
	m->shape = SHAPE_PATTERN;
	if (count == 0) {
		m->shape = SHAPE_EXACT;
	} else if (count == 1 && pieces[0].kind == PIECE_MANY) {
		m->shape = SHAPE_ALL;
	} else if (pieces[0].kind == PIECE_TEXT && count == 1) {
		m->shape = SHAPE_EXACT;
		m->text = pieces[0].text;
	} else if (pieces[0].kind == PIECE_TEXT && count == 2 && pieces[1].kind == PIECE_MANY) {
		m->shape = SHAPE_PREFIX;
		m->text = pieces[0].text;
	}
}

/* The pieces without the first `cut` bytes of their first text. */
static const struct piece *cut_front(
        const struct piece *pieces, size_t *count, size_t cut, struct arena *arena)
{
	struct piece *copy = arena_get(arena, (*count + 1) * sizeof(*copy));
	if (!copy)
		return NULL;
	memcpy(copy, pieces, *count * sizeof(*copy));
	if (cut)
		copy->text = edged_slice(copy->text.ptr + cut, copy->text.len - cut);
	if (cut && copy->text.len == 0) {
		copy++;
		(*count)--;
	}
	return copy;
}

/* Of the 12 bytes of the longest word each takes a pattern one place further, over a star at most. */
enum { PLACES_MAX = 64 };

struct place { /* in a pattern: a piece, and how much of its text has been read */
	size_t piece, offset;
};

static void add_place(const struct pattern *p, struct place *list, size_t *count, size_t piece, size_t offset)
{
	for (;; piece++, offset = 0) {
		size_t i = 0;
		while (i < *count && (list[i].piece != piece || list[i].offset != offset))
			i++;
		if (i < *count)
			return;
		assert(*count < PLACES_MAX);
		list[(*count)++] = (struct place){ piece, offset };
		if (piece == p->count || p->pieces[piece].kind != PIECE_MANY)
			return; /* else the star may also stand for nothing */
	}
}

/* Where the pattern can be once it has read one byte. */
static size_t step(const struct pattern *p, const struct place *from, size_t count, char c, struct place *to)
{
	size_t n = 0;
	for (size_t i = 0; i < count; i++) {
		size_t piece = from[i].piece, offset = from[i].offset;
		if (piece == p->count)
			continue;
		const struct piece *at = &p->pieces[piece];
		if (at->kind == PIECE_MANY)
			add_place(p, to, &n, piece, 0);
		else if (at->kind == PIECE_ONE)
			add_place(p, to, &n, piece + 1, 0);
		else if (at->text.ptr[offset] == c && offset + 1 < at->text.len)
			add_place(p, to, &n, piece, offset + 1);
		else if (at->text.ptr[offset] == c)
			add_place(p, to, &n, piece + 1, 0);
	}
	return n;
}

/* A pattern whose kind of resource is not written out ("*lamp", "t?pic/a") is led through the words "topic/", "client/"
 * and so on; what is left of it asks for the name. */
static int lead_through(const struct pattern *p, enum resource resource, struct arena *arena,
        struct matcher *ret, size_t *count)
{
	struct place a[PLACES_MAX], b[PLACES_MAX], *now = a, *next = b;
	struct edged_slice word = resource_prefix(resource);
	size_t n = 0;
	add_place(p, now, &n, 0, 0);
	for (size_t i = 0; i < word.len; i++) {
		n = step(p, now, n, word.ptr[i], next);
		struct place *swap = now;
		now = next;
		next = swap;
	}
	for (size_t i = 0; i < n; i++) {
		size_t left = p->count - now[i].piece;
		/* the star in front of it is a place, too, and says more */
		if (now[i].offset == 0 && now[i].piece && p->pieces[now[i].piece - 1].kind == PIECE_MANY)
			continue;
		const struct piece *rest = cut_front(p->pieces + now[i].piece, &left, now[i].offset, arena);
		if (!rest)
			return -ENOMEM;
		ret[*count].resources = (uint8_t)(1u << resource);
		set_shape(&ret[(*count)++], rest, left);
	}
	return 0;
}

/* The kind of resource that the front of the pattern spells out, or RESOURCE_NONE. */
static enum resource spelled(const struct pattern *p)
{
	for (int i = 0; i < RESOURCE_NONE; i++) {
		struct edged_slice word = resource_prefix(i);
		if (p->count && p->pieces[0].kind == PIECE_TEXT && p->pieces[0].text.len >= word.len &&
		        memcmp(p->pieces[0].text.ptr, word.ptr, word.len) == 0)
			return i;
	}
	return RESOURCE_NONE;
}

static int read_places(const struct pattern *p, struct arena *arena, struct matcher **ret, size_t *ret_count)
{
	struct matcher list[PLACES_MAX * RESOURCES] = { 0 };
	size_t count = 0;
	for (int i = 0; i < RESOURCES; i++) {
		int r = lead_through(p, i, arena, list, &count);
		if (r)
			return r;
	}
	*ret = arena_get(arena, (count + 1) * sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	memcpy(*ret, list, count * sizeof(**ret));
	*ret_count = count;
	return 0;
}

int matchers_make(const struct pattern *p, struct arena *arena, struct matcher **ret, size_t *ret_count)
{
	bool all = p->count == 1 && p->pieces[0].kind == PIECE_MANY;
	enum resource resource = spelled(p);
	if (!all && resource == RESOURCE_NONE)
		return read_places(p, arena, ret, ret_count);
	struct matcher *m = arena_get(arena, sizeof(*m));
	size_t count = p->count;
	const struct piece *rest = p->pieces;
	if (m && !all)
		rest = cut_front(p->pieces, &count, resource_prefix(resource).len, arena);
	if (!m || !rest)
		return -ENOMEM;
	m->resources = (uint8_t)(all ? (1u << RESOURCES) - 1 : 1u << resource);
	set_shape(m, rest, count);
	*ret = m;
	*ret_count = 1;
	return 0;
}

bool matcher_fits(const struct matcher *m, enum resource resource, struct edged_slice name)
{
	if (!(m->resources & 1u << resource))
		return false;
	switch ((enum shape)m->shape) {
	case SHAPE_ALL:
		return true;
	case SHAPE_EXACT:
		return edged_slice_eq(m->text, name);
	case SHAPE_PREFIX:
		return name.len >= m->text.len && memcmp(name.ptr, m->text.ptr, m->text.len) == 0;
	case SHAPE_PATTERN:
		return pattern_match(m->pieces, m->count, name);
	}
	return false;
}
