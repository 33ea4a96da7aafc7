/* SPDX-License-Identifier: Apache-2.0 */
#include "core/template.h"

#include <errno.h>

enum template_kind template_next(const char **at, struct edged_slice *text)
{
	if (**at != '/')
		return TEMPLATE_END;
	const char *from = *at + 1;
	size_t n = strcspn(from, "/");
	*at = from + n;
	*text = edged_slice(from, n);
	if (n < 2 || from[0] != '{' || from[n - 1] != '}')
		return TEMPLATE_LITERAL;
	bool rest = n > 5 && memcmp(from + n - 4, "...", 3) == 0;
	*text = edged_slice(from + 1, n - (rest ? 5 : 2));
	return rest ? TEMPLATE_REST : TEMPLATE_PARAM;
}

static bool name_ok(struct edged_slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
		if (!letter && (i == 0 || c < '0' || c > '9'))
			return false;
	}
	return name.len >= 1 && name.len <= 31;
}

static bool literal_ok(struct edged_slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		if (c <= ' ' || c >= 0x7f || strchr("{}%?#", c))
			return false;
	}
	return true;
}

static bool name_taken(const struct template_match *names, struct edged_slice name)
{
	for (size_t i = 0; i < names->count; i++)
		if (edged_slice_eq(names->params[i].name, name))
			return true;
	return false;
}

static int check_param(
        const char *template, struct template_match *names, struct edged_slice name, struct err *err)
{
	if (!name_ok(name))
		return err_set(err, -EINVAL, "path %s: {%.*s} is no name", template, EDGED_SLICE_FMT(name));
	if (name_taken(names, name))
		return err_set(
		        err, -EINVAL, "path %s: {%.*s} is there twice", template, EDGED_SLICE_FMT(name));
	if (names->count == TEMPLATE_PARAMS)
		return err_set(err, -EINVAL, "path %s: more than %d parameters", template, TEMPLATE_PARAMS);
	names->params[names->count++].name = name;
	return 0;
}

int template_check(const char *template, struct err *err)
{
	if (template[0] != '/' || strlen(template) > TEMPLATE_LEN)
		return err_set(err, -EINVAL, "path %.64s: must begin with '/' and have at most %d characters",
		        template, TEMPLATE_LEN);
	struct template_match names = { .count = 0 };
	struct edged_slice text;
	const char *at = template;
	for (enum template_kind kind; (kind = template_next(&at, &text)) != TEMPLATE_END;) {
		if (kind == TEMPLATE_LITERAL) {
			if (!literal_ok(text) || (!text.len && *at))
				return err_set(err, -EINVAL, "path %s: bad segment '%.*s'", template,
				        EDGED_SLICE_FMT(text));
			continue;
		}
		if (kind == TEMPLATE_REST && *at)
			return err_set(err, -EINVAL, "path %s: {%.*s...} must be last", template,
			        EDGED_SLICE_FMT(text));
		int r = check_param(template, &names, text, err);
		if (r)
			return r;
	}
	return 0;
}

static int compare_literal(struct edged_slice a, struct edged_slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int r = n ? memcmp(a.ptr, b.ptr, n) : 0;
	return r ? r : (a.len > b.len) - (a.len < b.len);
}

int template_compare(const char *a, const char *b)
{
	for (;;) {
		struct edged_slice text_a, text_b;
		enum template_kind kind_a = template_next(&a, &text_a), kind_b = template_next(&b, &text_b);
		if (kind_a != kind_b)
			return kind_a < kind_b ? -1 : 1;
		if (kind_a == TEMPLATE_END)
			return 0;
		int r = kind_a == TEMPLATE_LITERAL ? compare_literal(text_a, text_b) : 0;
		if (r)
			return r;
	}
}

/* The segment that begins behind the NUL at `at`; *at moves to the next NUL or the end. */
static struct edged_slice next_segment(struct edged_slice segments, size_t *at)
{
	const char *from = segments.ptr + *at + 1;
	size_t left = segments.len - *at - 1;
	const char *end = left ? memchr(from, '\0', left) : NULL;
	size_t n = end ? (size_t)(end - from) : left;
	*at += 1 + n;
	return edged_slice(from, n);
}

static void note(struct template_match *match, struct edged_slice name, size_t offset, size_t len)
{
	match->params[match->count++] = (struct template_param){ name, offset, len };
}

bool template_matches(const char *template, struct edged_slice segments, struct template_match *ret)
{
	size_t at = 0;
	ret->count = 0;
	for (;;) {
		struct edged_slice text;
		enum template_kind kind = template_next(&template, &text);
		if (kind == TEMPLATE_END)
			return at == segments.len;
		if (kind == TEMPLATE_REST) {
			size_t offset = at < segments.len ? at + 1 : at;
			note(ret, text, offset, segments.len - offset);
			return true;
		}
		if (at >= segments.len)
			return false;
		struct edged_slice segment = next_segment(segments, &at);
		if (kind == TEMPLATE_LITERAL ? !edged_slice_eq(segment, text) : segment.len == 0)
			return false;
		if (kind == TEMPLATE_PARAM)
			note(ret, text, at - segment.len, segment.len);
	}
}

struct edged_slice template_first(const char *template)
{
	struct edged_slice text;
	return template_next(&template, &text) == TEMPLATE_LITERAL ? text : edged_slice(NULL, 0);
}
