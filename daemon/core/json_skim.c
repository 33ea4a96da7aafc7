/* SPDX-License-Identifier: Apache-2.0 */
#include "core/json_skim.h"

enum { DEPTH = 32 };

static bool value(struct edged_slice *at, int depth);

static void advance(struct edged_slice *at, size_t n)
{
	*at = edged_slice(at->ptr + n, at->len - n);
}

static void blanks(struct edged_slice *at)
{
	while (at->len && memchr(" \t\r\n", at->ptr[0], 4))
		advance(at, 1);
}

/* The character c, with blanks before and behind. */
static bool mark(struct edged_slice *at, char c)
{
	blanks(at);
	if (!at->len || at->ptr[0] != c)
		return false;
	advance(at, 1);
	blanks(at);
	return true;
}

static bool hex_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* What follows a backslash. */
static bool escape(struct edged_slice *at)
{
	if (!at->len || !memchr("\"\\/bfnrtu", at->ptr[0], 9))
		return false;
	bool unicode = at->ptr[0] == 'u';
	advance(at, 1);
	for (int i = 0; unicode && i < 4; i++) {
		if (!at->len || !hex_digit(at->ptr[0]))
			return false;
		advance(at, 1);
	}
	return true;
}

static bool string(struct edged_slice *at)
{
	if (!at->len || at->ptr[0] != '"')
		return false;
	advance(at, 1);
	while (at->len) {
		unsigned char c = (unsigned char)at->ptr[0];
		advance(at, 1);
		if (c == '"')
			return true;
		if (c < ' ' || (c == '\\' && !escape(at)))
			return false;
	}
	return false;
}

static size_t digits(struct edged_slice *at)
{
	size_t n = 0;
	while (at->len && at->ptr[0] >= '0' && at->ptr[0] <= '9') {
		advance(at, 1);
		n++;
	}
	return n;
}

static bool one_of(struct edged_slice *at, const char *chars)
{
	if (!at->len || !strchr(chars, at->ptr[0]))
		return false;
	advance(at, 1);
	return true;
}

static bool number(struct edged_slice *at)
{
	one_of(at, "-");
	bool zero = at->len && at->ptr[0] == '0';
	size_t n = digits(at);
	if (n == 0 || (zero && n > 1))
		return false;
	if (one_of(at, ".") && !digits(at))
		return false;
	if (!one_of(at, "eE"))
		return true;
	one_of(at, "+-");
	return digits(at) > 0;
}

static bool word(struct edged_slice *at, const char *text)
{
	if (!edged_slice_starts(*at, text))
		return false;
	advance(at, strlen(text));
	return true;
}

static bool member(struct edged_slice *at, int depth)
{
	return string(at) && mark(at, ':') && value(at, depth);
}

/* An object or array behind its first bracket. */
static bool items(struct edged_slice *at, char end, int depth)
{
	if (depth == 0)
		return false;
	if (mark(at, end))
		return true;
	do {
		blanks(at);
		if (!(end == '}' ? member(at, depth - 1) : value(at, depth - 1)))
			return false;
	} while (mark(at, ','));
	blanks(at);
	return one_of(at, end == '}' ? "}" : "]");
}

static bool value(struct edged_slice *at, int depth)
{
	blanks(at);
	if (!at->len)
		return false;
	switch (at->ptr[0]) {
	case '{':
		advance(at, 1);
		return items(at, '}', depth);
	case '[':
		advance(at, 1);
		return items(at, ']', depth);
	case '"':
		return string(at);
	default:
		return word(at, "true") || word(at, "false") || word(at, "null") || number(at);
	}
}

bool json_skim_object(struct edged_slice text)
{
	blanks(&text);
	if (!text.len || text.ptr[0] != '{' || !value(&text, DEPTH))
		return false;
	blanks(&text);
	return text.len == 0;
}

bool json_skim_member(struct edged_slice *at, struct edged_slice *ret_key, struct edged_slice *ret_value)
{
	if (!mark(at, '{') && !mark(at, ','))
		return false;
	struct edged_slice key = *at;
	if (!string(at))
		return false;
	*ret_key = edged_slice(key.ptr, key.len - at->len);
	mark(at, ':');
	struct edged_slice from = *at;
	if (!value(at, DEPTH))
		return false;
	*ret_value = edged_slice(from.ptr, from.len - at->len);
	return true;
}

struct edged_slice json_skim_find(struct edged_slice object, const char *key)
{
	struct edged_slice name, text;
	size_t len = strlen(key);
	while (json_skim_member(&object, &name, &text))
		if (name.len == len + 2 && memcmp(name.ptr + 1, key, len) == 0)
			return text;
	return edged_slice(NULL, 0);
}
