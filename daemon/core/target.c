/* SPDX-License-Identifier: Apache-2.0 */
#include "core/target.h"

#include <errno.h>
#include <stdbool.h>
#include <strings.h>

/* path and segments as long as the target, each terminated; a query "a&b" grows to "a\0\0b\0\0" */
size_t target_memory(struct edged_slice raw)
{
	return 4 * raw.len + 8;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* One character of the wire at text[*at], which it passes. -EINVAL. */
static int decode_char(struct edged_slice text, size_t *at)
{
	unsigned char c = (unsigned char)text.ptr[(*at)++];
	if (c <= ' ' || c == 0x7f || c == '#')
		return -EINVAL;
	if (c != '%')
		return c;
	if (text.len - *at < 2)
		return -EINVAL;
	int high = hex(text.ptr[*at]), low = hex(text.ptr[*at + 1]);
	if (high < 0 || low < 0 || (high | low) == 0)
		return -EINVAL;
	*at += 2;
	return high << 4 | low;
}

static int decode_path(struct target *target, char *path, char *segments)
{
	size_t n = 0;
	for (size_t at = 0; at < target->raw_path.len;) {
		bool separator = target->raw_path.ptr[at] == '/';
		int c = decode_char(target->raw_path, &at);
		if (c < 0)
			return c;
		path[n] = (char)c;
		segments[n++] = separator ? '\0' : (char)c;
	}
	path[n] = segments[n] = '\0';
	target->path = edged_slice(path, n);
	target->segments = edged_slice(segments, n);
	return 0;
}

/* One "key=value" or "key" without '&'. */
static int decode_pair(struct edged_slice text, char *out, size_t *n)
{
	bool in_value = false;
	for (size_t at = 0; at < text.len;) {
		if (text.ptr[at] == '=' && !in_value) {
			in_value = true;
			out[(*n)++] = '\0';
			at++;
			continue;
		}
		int c = decode_char(text, &at);
		if (c < 0)
			return c;
		out[(*n)++] = (char)c;
	}
	if (!in_value)
		out[(*n)++] = '\0';
	out[(*n)++] = '\0';
	return 0;
}

static int decode_query(struct target *target, struct edged_slice raw, char *out)
{
	size_t n = 0;
	while (raw.len) {
		const char *end = memchr(raw.ptr, '&', raw.len);
		size_t len = end ? (size_t)(end - raw.ptr) : raw.len;
		int r = len ? decode_pair(edged_slice(raw.ptr, len), out, &n) : 0;
		if (r)
			return r;
		size_t passed = end ? len + 1 : len;
		raw = edged_slice(raw.ptr + passed, raw.len - passed);
	}
	target->query = edged_slice(out, n);
	return 0;
}

/* Takes "http://host:port" off (a server must accept the absolute form, RFC 9112 section 3.2.2). */
static struct edged_slice without_authority(struct edged_slice raw)
{
	size_t scheme = raw.len > 8 && strncasecmp(raw.ptr, "https://", 8) == 0  ? 8
	                : raw.len > 7 && strncasecmp(raw.ptr, "http://", 7) == 0 ? 7
	                                                                         : 0;
	if (!scheme)
		return raw;
	size_t at = scheme;
	while (at < raw.len && raw.ptr[at] != '/' && raw.ptr[at] != '?')
		at++;
	if (at == raw.len)
		return edged_str("/");
	return edged_slice(raw.ptr + at, raw.len - at);
}

int target_parse(struct edged_slice raw, char *memory, struct target *ret)
{
	struct target target = { .raw = without_authority(raw) };
	bool asterisk = edged_slice_is(target.raw, "*");
	if (!asterisk && !edged_slice_starts(target.raw, "/"))
		return -EINVAL;
	const char *mark = memchr(target.raw.ptr, '?', target.raw.len);
	size_t path_len = mark ? (size_t)(mark - target.raw.ptr) : target.raw.len;
	target.raw_path = edged_slice(target.raw.ptr, path_len);
	struct edged_slice query = edged_slice(NULL, 0);
	if (mark)
		query = edged_slice(mark + 1, target.raw.len - path_len - 1);
	int r = decode_path(&target, memory, memory + path_len + 1);
	if (!r)
		r = decode_query(&target, query, memory + 2 * (path_len + 1));
	if (!r)
		*ret = target;
	return r;
}

struct edged_slice target_query(const struct target *target, const char *name)
{
	const char *at = target->query.ptr, *end = at + target->query.len;
	while (at < end) {
		const char *value = at + strlen(at) + 1;
		if (strcmp(at, name) == 0)
			return edged_str(value);
		at = value + strlen(value) + 1;
	}
	return edged_slice(NULL, 0);
}
