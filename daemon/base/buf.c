/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *buf, size_t limit)
{
	*buf = (struct buf){ .limit = limit };
}

void buf_fini(struct buf *buf)
{
	if (!buf)
		return;
	free(buf->ptr);
	buf->ptr = NULL;
	buf->len = buf->cap = 0;
}

int buf_reserve(struct buf *buf, size_t more)
{
	if (more > SIZE_MAX / 4 - buf->len || (buf->limit && more > buf->limit - buf->len))
		return -ENOBUFS;
	size_t need = buf->len + more + 1;
	if (need <= buf->cap)
		return 0;
	size_t cap = buf->cap ? buf->cap : 64;
	while (cap < need)
		cap *= 2;
	char *ptr = realloc(buf->ptr, cap);
	if (!ptr)
		return -ENOMEM;
	buf->ptr = ptr;
	buf->cap = cap;
	buf->ptr[buf->len] = '\0';
	return 0;
}

int buf_add(struct buf *buf, const void *bytes, size_t n)
{
	int r = buf_reserve(buf, n);
	if (r)
		return r;
	if (n)
		memcpy(buf->ptr + buf->len, bytes, n);
	buf->len += n;
	buf->ptr[buf->len] = '\0';
	return 0;
}

int buf_add_str(struct buf *buf, const char *text)
{
	return buf_add(buf, text, strlen(text));
}

int buf_addf(struct buf *buf, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0)
		return -EINVAL;
	int r = buf_reserve(buf, (size_t)n);
	if (r)
		return r;
	va_start(args, format);
	vsnprintf(buf->ptr + buf->len, (size_t)n + 1, format, args);
	va_end(args);
	buf->len += (size_t)n;
	return 0;
}

/* Length of the well-formed UTF-8 sequence at p (RFC 3629), or 0. */
static size_t utf8_sequence(const unsigned char *p, size_t n)
{
	if (p[0] < 0x80)
		return 1;
	size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || n < len)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
	bool surrogate = p[0] == 0xed && p[1] > 0x9f;
	bool beyond = p[0] == 0xf4 && p[1] > 0x8f;
	return overlong || surrogate || beyond ? 0 : len;
}

static int add_json_char(struct buf *buf, unsigned char c)
{
	switch (c) {
	case '"':
		return buf_add(buf, "\\\"", 2);
	case '\\':
		return buf_add(buf, "\\\\", 2);
	case '\n':
		return buf_add(buf, "\\n", 2);
	default:
		return c < 0x20 ? buf_addf(buf, "\\u%04x", c) : buf_add(buf, &c, 1);
	}
}

int buf_add_json(struct buf *buf, struct edged_slice text)
{
	size_t before = buf->len;
	int r = buf_add(buf, "\"", 1);
	for (size_t i = 0; !r && i < text.len;) {
		const unsigned char *p = (const unsigned char *)text.ptr + i;
		size_t n = utf8_sequence(p, text.len - i);
		if (n > 1)
			r = buf_add(buf, p, n);
		else if (n == 1)
			r = add_json_char(buf, *p);
		else
			r = buf_add(buf, "\xef\xbf\xbd", 3);
		i += n ? n : 1;
	}
	if (!r)
		r = buf_add(buf, "\"", 1);
	if (r && buf->ptr) {
		buf->len = before;
		buf->ptr[before] = '\0';
	}
	return r;
}

void buf_drop(struct buf *buf, size_t n)
{
	if (n == 0)
		return;
	memmove(buf->ptr, buf->ptr + n, buf->len - n + 1);
	buf->len -= n;
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	if (buf->ptr)
		buf->ptr[0] = '\0';
}

char *buf_take(struct buf *buf)
{
	if (buf_reserve(buf, 0))
		return NULL;
	char *ptr = buf->ptr;
	buf->ptr = NULL;
	buf->len = buf->cap = 0;
	return ptr;
}
