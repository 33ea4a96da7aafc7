/* SPDX-License-Identifier: Apache-2.0 */
#include "pattern.h"

#include <errno.h>

/* --- reading ---------------------------------------------------------------------------------------------------- */

static struct piece *add(struct pattern *pattern, enum piece_kind kind)
{
	struct piece *last = pattern->count ? &pattern->pieces[pattern->count - 1] : NULL;
	if (last && last->kind == kind && kind == PIECE_MANY)
		return last;
	pattern->pieces[pattern->count].kind = (uint8_t)kind;
	return &pattern->pieces[pattern->count++];
}

/* One literal byte that stands at `at`; grows the text before it when it is its neighbour. */
static void add_byte(struct pattern *pattern, const char *at)
{
	struct piece *last = pattern->count ? &pattern->pieces[pattern->count - 1] : NULL;
	if (last && last->kind == PIECE_TEXT && last->text.ptr + last->text.len == at)
		last->text.len++;
	else
		add(pattern, PIECE_TEXT)->text = edged_slice(at, 1);
}

/* "${...}" at the front of text: returns its length, or 0. */
static size_t read_variable(
        struct edged_slice text, unsigned flags, struct pattern *pattern, const char **ret_why)
{
	const char *end = memchr(text.ptr, '}', text.len);
	struct edged_slice name = edged_slice(text.ptr + 2, end ? (size_t)(end - text.ptr) - 2 : 0);
	struct variable variable;
	*ret_why = "a \"${\" has no \"}\"";
	if (!end)
		return 0;
	if (name.len == 1 && (name.ptr[0] == '*' || name.ptr[0] == '?' || name.ptr[0] == '$')) {
		add_byte(pattern, name.ptr);
		return name.len + 3;
	}
	*ret_why = "this policy's Version has no variables: write \"Version\": \"2012-10-17\"";
	if (!(flags & PATTERN_VARIABLES))
		return 0;
	*ret_why = "there is no such policy variable";
	if (!variable_read(name, &variable))
		return 0;
	*ret_why = "this variable has more than one value or changes between requests: it can only be the "
	           "key of a Condition";
	if (variable.list || variable.id >= VARIABLE_TIME)
		return 0;
	add(pattern, PIECE_VARIABLE)->variable = variable;
	return name.len + 3;
}

int pattern_read(struct edged_slice text, unsigned flags, struct arena *arena, struct pattern *ret,
        const char **ret_why)
{
	struct pattern pattern = { arena_get(arena, (text.len + 1) * sizeof(struct piece)), 0 };
	const char *copy = arena_copy(arena, text.ptr, text.len);
	if (!pattern.pieces || !copy)
		return -ENOMEM;
	for (size_t i = 0; i < text.len;) {
		char c = copy[i];
		size_t n = 1;
		if (c == '$' && i + 1 < text.len && copy[i + 1] == '{') {
			n = read_variable(edged_slice(copy + i, text.len - i), flags, &pattern, ret_why);
			if (n == 0)
				return -EINVAL;
		} else if ((flags & PATTERN_WILDCARDS) && c == '*') {
			add(&pattern, PIECE_MANY);
		} else if ((flags & PATTERN_WILDCARDS) && c == '?') {
			add(&pattern, PIECE_ONE);
		} else {
			add_byte(&pattern, copy + i);
		}
		i += n;
	}
	*ret = pattern;
	return 0;
}

/* --- binding ---------------------------------------------------------------------------------------------------- */

static bool safe(struct edged_slice value)
{
	if (value.len == 0 || value.len > VALUE_MAX)
		return false;
	for (size_t i = 0; i < value.len; i++)
		if ((uint8_t)value.ptr[i] < 0x20 || value.ptr[i] == 0x7f || strchr("+#*?", value.ptr[i]))
			return false;
	return true;
}

struct bound {
	int outcome;
	struct edged_slice value;
};

static struct bound value_of(const struct piece *piece, const struct subject *subject)
{
	struct bound b = { BOUND, piece->text };
	if (piece->kind != PIECE_VARIABLE)
		return b;
	if (!subject->value(subject->arg, &piece->variable, piece->variable.index, &b.value))
		b.outcome = BOUND_UNKNOWN;
	else if (!safe(b.value))
		b.outcome = BOUND_UNSAFE;
	if (b.value.len > VALUE_MAX)
		b.value.len = VALUE_MAX + 1; /* matches nothing that is allowed to be this long */
	return b;
}

/* Texts and values from `from` on become one text; returns the first piece behind them. */
static size_t join(const struct pattern *pattern, size_t from, const struct subject *subject,
        struct arena *arena, struct edged_slice *ret)
{
	size_t n = 0, end = from;
	for (; end < pattern->count; end++) {
		const struct piece *piece = &pattern->pieces[end];
		if (piece->kind != PIECE_TEXT && piece->kind != PIECE_VARIABLE)
			break;
		n += value_of(piece, subject).value.len;
	}
	*ret = end == from + 1 && pattern->pieces[from].kind == PIECE_TEXT
	               ? pattern->pieces[from].text /* lives as long as the policy, as does what is bound */
	               : edged_slice(arena_get(arena, n + 1), n);
	if (!ret->ptr || ret->ptr == pattern->pieces[from].text.ptr)
		return end;
	char *at = (char *)(uintptr_t)ret->ptr;
	for (size_t i = from; i < end; i++) {
		struct edged_slice value = value_of(&pattern->pieces[i], subject).value;
		if (value.len)
			memcpy(at, value.ptr, value.len);
		at += value.len;
	}
	return end;
}

int pattern_bind(const struct pattern *pattern, const struct subject *subject, struct arena *arena,
        struct pattern *ret)
{
	int outcome = BOUND;
	struct pattern bound = { arena_get(arena, (pattern->count + 1) * sizeof(struct piece)), 0 };
	if (!bound.pieces)
		return -ENOMEM;
	for (size_t i = 0; i < pattern->count; i++) {
		int r = value_of(&pattern->pieces[i], subject).outcome;
		if (r == BOUND_UNKNOWN)
			return r;
		if (r)
			outcome = r;
	}
	for (size_t i = 0; i < pattern->count;) {
		const struct piece *piece = &pattern->pieces[i];
		struct piece *to = &bound.pieces[bound.count++];
		if (piece->kind == PIECE_ONE || piece->kind == PIECE_MANY) {
			*to = *piece;
			i++;
			continue;
		}
		to->kind = PIECE_TEXT;
		i = join(pattern, i, subject, arena, &to->text);
		if (!to->text.ptr)
			return -ENOMEM;
		if (to->text.len == 0)
			bound.count--;
	}
	*ret = bound;
	return outcome;
}

/* --- matching --------------------------------------------------------------------------------------------------- */

static size_t character(struct edged_slice text, size_t at)
{
	size_t n = 1;
	while (at + n < text.len && ((uint8_t)text.ptr[at + n] & 0xc0) == 0x80)
		n++;
	return n;
}

/* memmem(3); in the short texts that names are, looking for one byte is quicker than preparing a search: the first that is
 * no "/", of which names are full, and no comparison where the last one is another. */
static const char *find(const char *text, size_t n, struct edged_slice want)
{
	enum { SHORT = 256 };
	if (n > SHORT)
		return memmem(text, n, want.ptr, want.len);
	size_t key = want.ptr[0] == '/' && want.len > 1, last = want.len - 1;
	for (const char *end = text + n - want.len; text <= end; text++) {
		const char *at = memchr(text + key, want.ptr[key], (size_t)(end - text) + 1);
		if (!at)
			return NULL;
		text = at - key;
		if (text[last] == want.ptr[last] && memcmp(text, want.ptr, last) == 0)
			return text;
	}
	return NULL;
}

/* Where the text that follows a `*` can begin at or after `from`; SIZE_MAX: nowhere. */
static size_t next_start(
        const struct piece *pieces, size_t count, size_t p, struct edged_slice text, size_t from)
{
	if (p == count)
		return text.len;
	if (pieces[p].kind != PIECE_TEXT)
		return from <= text.len ? from : SIZE_MAX;
	struct edged_slice want = pieces[p].text;
	if (from > text.len || want.len > text.len - from)
		return SIZE_MAX;
	if (p + 1 == count) /* it ends the pattern: only the end of the text will do */
		return memcmp(text.ptr + text.len - want.len, want.ptr, want.len) == 0 ? text.len - want.len
		                                                                       : SIZE_MAX;
	const char *found = find(text.ptr + from, text.len - from, want);
	return found ? (size_t)(found - text.ptr) : SIZE_MAX;
}

/* The pieces up to the next `*` (or the end) at exactly this place; returns the place behind, SIZE_MAX: no. */
static inline size_t run_at(
        const struct piece *pieces, size_t count, size_t *p, struct edged_slice text, size_t at)
{
	for (; *p < count && pieces[*p].kind != PIECE_MANY; (*p)++) {
		struct edged_slice want = pieces[*p].text;
		if (pieces[*p].kind == PIECE_ONE) {
			if (at >= text.len)
				return SIZE_MAX;
			at += character(text, at);
		} else {
			if (want.len > text.len - at || memcmp(text.ptr + at, want.ptr, want.len) != 0)
				return SIZE_MAX;
			at += want.len;
		}
	}
	return at;
}

/* The leftmost place for each run between stars is as good as any other; only the last run must end the text. */
bool pattern_match(const struct piece *pieces, size_t count, struct edged_slice text)
{
	size_t p = 0, at = run_at(pieces, count, &p, text, 0);
	if (at == SIZE_MAX)
		return false;
	while (p < count) { /* at a star */
		size_t run = ++p, start = at, end = SIZE_MAX;
		for (;; start++) {
			start = next_start(pieces, count, run, text, start);
			if (start == SIZE_MAX)
				return false;
			p = run;
			end = run_at(pieces, count, &p, text, start);
			if (end != SIZE_MAX && (p < count || end == text.len))
				break;
		}
		at = end;
	}
	return at == text.len;
}
