/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/json_text.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- comments
 * --------------------------------------------------------------------------------------------------- */

/* A blanked byte is a space; one inside a character becomes CR, which counts no column and is white space to
 * JSON. */
static void blank(char *text, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (text[i] != '\n')
			text[i] = ((unsigned char)text[i] & 0xc0) == 0x80 ? '\r' : ' ';
}

static size_t string_end(const char *text, size_t n, size_t at)
{
	for (at++; at < n && text[at] != '"' && text[at] != '\n'; at++)
		if (text[at] == '\\')
			at++;
	return at < n ? at + 1 : n;
}

/* The end of the comment that begins at `at`, or 0 when it has none. */
static size_t comment_end(const char *text, size_t n, size_t at)
{
	if (text[at + 1] == '/') {
		const char *end = memchr(text + at, '\n', n - at);
		return end ? (size_t)(end - text) : n;
	}
	const char *end = memmem(text + at + 2, n - at - 2, "*/", 2);
	return end ? (size_t)(end - text) + 2 : 0;
}

struct commas {
	char before;    /* the last character that counts */
	char before_it; /* the one before that */
	size_t at;      /* of a comma, when before == ',' */
};

static void watch_commas(struct commas *commas, char *text, size_t at)
{
	char c = text[at];
	if (memchr(" \t\r\n", c, 4))
		return;
	if ((c == '}' || c == ']') && commas->before == ',' && !strchr("[{,:", commas->before_it))
		text[commas->at] = ' ';
	commas->before_it = commas->before;
	commas->before = c;
	commas->at = at;
}

int json_text_strip(char *text, size_t n, size_t *ret_at)
{
	struct commas commas = { 0 };
	size_t at = 0;
	if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		memset(text, '\r', 3);
		at = 3;
	}
	while (at < n) {
		if (text[at] == '/' && at + 1 < n && (text[at + 1] == '/' || text[at + 1] == '*')) {
			size_t end = comment_end(text, n, at);
			if (!end) {
				*ret_at = at;
				return -EINVAL;
			}
			blank(text, at, end);
			at = end;
			continue;
		}
		watch_commas(&commas, text, at);
		at = text[at] == '"' ? string_end(text, n, at) : at + 1;
	}
	return 0;
}

struct json_place json_text_place(struct edged_slice text, size_t at)
{
	struct json_place place = { 1, 1 };
	for (size_t i = 0; i < at && i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		if (c == '\n') {
			place.line++;
			place.column = 1;
		} else if (c != '\r' && (c & 0xc0) != 0x80) {
			place.column++;
		}
	}
	return place;
}

/* --- paths
 * ------------------------------------------------------------------------------------------------------- */

static bool plain_word(struct edged_slice key)
{
	for (size_t i = 0; i < key.len; i++) {
		char c = key.ptr[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		        c != '_' && c != '-')
			return false;
	}
	return key.len > 0;
}

int json_path_add_key(struct buf *path, struct edged_slice key)
{
	size_t len = path->len;
	int r = len ? buf_add(path, ".", 1) : 0;
	if (!r)
		r = plain_word(key) ? buf_add(path, key.ptr, key.len) : buf_add_json(path, key);
	if (r)
		json_path_cut(path, len);
	return r;
}

int json_path_add_item(struct buf *path, size_t i)
{
	return buf_addf(path, "[%zu]", i);
}

void json_path_cut(struct buf *path, size_t len)
{
	path->len = len;
	if (path->ptr)
		path->ptr[len] = '\0';
}

/* --- the index
 * ---------------------------------------------------------------------------------------------------- */

struct scan {
	struct edged_slice text;
	size_t at;
	unsigned depth;
	bool twice; /* a key was given twice */
	bool quiet; /* inside the value of such a key: what is in it is there twice, too */
	struct buf path;
	struct json_index *index;
	const struct json_reporter *reporter;
};

static int fault(struct scan *scan, size_t at, const char *text)
{
	scan->reporter->fault(scan->reporter->arg, at, scan->path.ptr ? scan->path.ptr : "", text);
	return -EINVAL;
}

/* The next character that counts, or 0 at the end. */
static char peek(struct scan *scan)
{
	while (scan->at < scan->text.len && memchr(" \t\r\n", scan->text.ptr[scan->at], 4))
		scan->at++;
	return scan->at < scan->text.len ? scan->text.ptr[scan->at] : '\0';
}

/* Passes a string; *ret gets it with its quotes. */
static int scan_string(struct scan *scan, struct edged_slice *ret)
{
	size_t from = scan->at, end = string_end(scan->text.ptr, scan->text.len, from);
	if (end < from + 2 || scan->text.ptr[end - 1] != '"')
		return fault(scan, from, "the closing \" of this text is missing");
	*ret = edged_slice(scan->text.ptr + from, end - from);
	scan->at = end;
	return 0;
}

/* Adds the key to the path, decoded as the tree will have it. */
static int path_add_quoted(struct scan *scan, struct edged_slice quoted)
{
	if (!memchr(quoted.ptr, '\\', quoted.len))
		return json_path_add_key(&scan->path, edged_slice(quoted.ptr + 1, quoted.len - 2));
	json_t *text = json_loadb(quoted.ptr, quoted.len, JSON_DECODE_ANY, NULL);
	if (!text)
		return fault(
		        scan, (size_t)(quoted.ptr - scan->text.ptr), "this key has an invalid \\ escape");
	int r = json_path_add_key(
	        &scan->path, edged_slice(json_string_value(text), json_string_length(text)));
	json_decref(text);
	return r;
}

static int remember(struct scan *scan, size_t at)
{
	struct edged_slice path = buf_slice(&scan->path);
	int r = map_add(&scan->index->offsets, path, (void *)(uintptr_t)(at + 1));
	if (r != -EEXIST)
		return r;
	scan->twice = true;
	if (scan->quiet)
		return 0;
	size_t first = 0;
	json_index_find(scan->index, scan->path.ptr, &first);
	char text[80];
	snprintf(text, sizeof(text), "given twice, first in line %u; keep one of them",
	        json_text_place(scan->text, first).line);
	fault(scan, at, text);
	scan->quiet = true;
	return 0;
}

static int scan_value(struct scan *scan);

static int scan_member(struct scan *scan)
{
	size_t path = scan->path.len, at = scan->at;
	bool quiet = scan->quiet;
	struct edged_slice key;
	if (peek(scan) != '"')
		return fault(scan, scan->at, "expected a key in double quotes");
	int r = scan_string(scan, &key);
	if (!r)
		r = path_add_quoted(scan, key);
	if (!r)
		r = remember(scan, at);
	if (r)
		return r;
	if (peek(scan) != ':')
		return fault(scan, scan->at, "expected a \":\" and a value behind this key");
	scan->at++;
	r = scan_value(scan);
	scan->quiet = quiet;
	if (!r)
		json_path_cut(&scan->path, path);
	return r;
}

static int scan_item(struct scan *scan, size_t i)
{
	size_t path = scan->path.len;
	int r = json_path_add_item(&scan->path, i);
	if (!r)
		r = remember(scan, scan->at);
	if (!r)
		r = scan_value(scan);
	if (!r)
		json_path_cut(&scan->path, path);
	return r;
}

static int never_closed(struct scan *scan, size_t begin, char close)
{
	char text[80];
	snprintf(text, sizeof(text), "the \"%c\" that begins in line %u is never closed",
	        close == '}' ? '{' : '[', json_text_place(scan->text, begin).line);
	return fault(scan, scan->at, text);
}

/* What stands behind a member or item. 0: another one follows, 1: the end. */
static int scan_comma(struct scan *scan, size_t begin, char close)
{
	char c = peek(scan);
	if (c == '\0')
		return never_closed(scan, begin, close);
	if (c != ',' && c != close)
		return fault(scan, scan->at,
		        close == '}' ? "expected a \",\" or \"}\" here" : "expected a \",\" or \"]\" here");
	scan->at++;
	return c == close;
}

static int scan_container(struct scan *scan, char close)
{
	size_t begin = scan->at++, count = 0;
	if (++scan->depth > JSON_TEXT_DEPTH)
		return fault(scan, begin, "too deep: at most 32 levels are allowed");
	if (peek(scan) == close) {
		scan->at++;
		scan->depth--;
		return 0;
	}
	int r = 0;
	while (!r) {
		if (peek(scan) == '\0')
			return never_closed(scan, begin, close);
		r = close == '}' ? scan_member(scan) : scan_item(scan, count++);
		if (!r)
			r = scan_comma(scan, begin, close);
	}
	scan->depth--;
	return r < 0 ? r : 0;
}

static size_t digits(struct edged_slice s, size_t at)
{
	while (at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9')
		at++;
	return at;
}

static bool is_number(struct edged_slice s)
{
	size_t at = s.len && s.ptr[0] == '-', end = digits(s, at);
	if (end == at || (s.ptr[at] == '0' && end > at + 1))
		return false;
	at = end;
	if (at < s.len && s.ptr[at] == '.') {
		end = digits(s, at + 1);
		if (end == at + 1)
			return false;
		at = end;
	}
	if (at < s.len && (s.ptr[at] | 0x20) == 'e') {
		at++;
		at += at < s.len && (s.ptr[at] == '+' || s.ptr[at] == '-');
		end = digits(s, at);
		if (end == at)
			return false;
		at = end;
	}
	return at == s.len;
}

static bool too_large(struct edged_slice word)
{
	char text[24];
	if (digits(word, word.ptr[0] == '-') != word.len)
		return false;
	errno = 0;
	snprintf(text, sizeof(text), "%.*s", EDGED_SLICE_FMT(word));
	strtoll(text, NULL, 10);
	return errno == ERANGE;
}

/* A number, true, false or null. */
static int scan_word(struct scan *scan)
{
	size_t end = scan->at;
	while (end < scan->text.len && !strchr(" \t\r\n,:{}[]\"", scan->text.ptr[end]))
		end++;
	struct edged_slice word = edged_slice(scan->text.ptr + scan->at, end - scan->at);
	if (!word.len)
		return fault(scan, scan->at,
		        scan->at < scan->text.len ? "expected a value here"
		                                  : "the text ends here, "
		                                    "where a value is expected");
	if (!is_number(word) && !edged_slice_is(word, "true") && !edged_slice_is(word, "false") &&
	        !edged_slice_is(word, "null"))
		return fault(scan, scan->at,
		        word.ptr[0] == '\''
		                ? "text takes double quotes, not single ones"
		                : "neither a number nor true, false or null; text needs double quotes");
	if (too_large(word))
		return fault(scan, scan->at, "this number is too large");
	scan->at = end;
	return 0;
}

static int scan_value(struct scan *scan)
{
	struct edged_slice text;
	switch (peek(scan)) {
	case '{':
		return scan_container(scan, '}');
	case '[':
		return scan_container(scan, ']');
	case '"':
		return scan_string(scan, &text);
	}
	return scan_word(scan);
}

int json_index_build(struct json_index *index, struct edged_slice text, const struct json_reporter *reporter)
{
	struct scan scan = { .text = text, .path = BUF_EMPTY, .index = index, .reporter = reporter };
	map_init(&index->offsets);
	int r = peek(&scan) == '{' ? scan_value(&scan) : fault(&scan, scan.at, "must be an object, { ... }");
	if (!r && (peek(&scan) || scan.at < text.len))
		r = fault(&scan, scan.at, "the document ends before this; remove it");
	buf_fini(&scan.path);
	return r ? r : scan.twice;
}

void json_index_fini(struct json_index *index)
{
	map_fini(&index->offsets);
}

bool json_index_find(const struct json_index *index, const char *path, size_t *ret_at)
{
	void *value = map_get(&index->offsets, edged_str(path));
	if (value)
		*ret_at = (size_t)(uintptr_t)value - 1;
	return value != NULL;
}

size_t json_text_value_at(struct edged_slice text, size_t at)
{
	if (at >= text.len || text.ptr[at] != '"')
		return at;
	struct scan scan = { .text = text, .at = string_end(text.ptr, text.len, at) };
	if (peek(&scan) != ':')
		return at;
	scan.at++;
	peek(&scan);
	return scan.at;
}
