/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include <errno.h>
#include <string.h>

#include "crc32c.h"

#define MARK 0x31676f6cu /* "log1" */

static void put32(char *at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		at[i] = (char)(v >> 8 * i);
}

static void put64(char *at, uint64_t v)
{
	put32(at, (uint32_t)v);
	put32(at + 4, (uint32_t)(v >> 32));
}

static uint32_t get32(const char *at)
{
	const uint8_t *p = (const uint8_t *)at;
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const char *at)
{
	return get32(at) | (uint64_t)get32(at + 4) << 32;
}

int frame_seal(struct buf *frame, uint64_t position, uint64_t salt)
{
	size_t body = frame->len - FRAME_HEAD, padding = (size_t)frame_bytes(body) - frame->len;
	int r = buf_reserve(frame, padding);
	if (r)
		return r;
	put32(frame->ptr, MARK);
	put32(frame->ptr + 4, (uint32_t)body);
	put64(frame->ptr + 8, position);
	put64(frame->ptr + 16, salt);
	put32(frame->ptr + 24, crc32c(0, frame->ptr + FRAME_HEAD, body));
	put32(frame->ptr + 28, crc32c(0, frame->ptr, 28));
	memset(frame->ptr + frame->len, 0, padding);
	frame->len += padding;
	return 0;
}

bool frame_head_read(const void *bytes, struct frame_head *ret)
{
	const char *p = bytes;
	*ret = (struct frame_head){ .position = get64(p + 8),
		.salt = get64(p + 16),
		.body = get32(p + 4),
		.body_crc = get32(p + 24) };
	return get32(p) == MARK && get32(p + 28) == crc32c(0, p, 28) && ret->body <= FRAME_BODY_MAX;
}

bool frame_body_intact(const struct frame_head *head, struct edged_slice body)
{
	return body.len == head->body && crc32c(0, body.ptr, body.len) == head->body_crc;
}

int record_add(struct buf *body, struct edged_slice record)
{
	char length[5];
	size_t n = 0;
	for (size_t left = record.len; n == 0 || left; left >>= 7)
		length[n++] = (char)((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
	int r = buf_reserve(body, n + record.len);
	if (!r)
		r = buf_add(body, length, n);
	return r ? r : buf_add(body, record.ptr, record.len);
}

bool record_take(struct edged_slice *body, struct edged_slice *ret)
{
	size_t length = 0, n = 0;
	uint8_t byte;
	do {
		if (n == body->len || n == 4)
			return false;
		byte = (uint8_t)body->ptr[n];
		length |= (size_t)(byte & 0x7f) << 7 * n++;
	} while (byte & 0x80);
	if (length > RECORD_MAX || length > body->len - n)
		return false;
	*ret = edged_slice(body->ptr + n, length);
	*body = edged_slice(body->ptr + n + length, body->len - n - length);
	return true;
}
