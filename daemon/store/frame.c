/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include <errno.h>
#include <string.h>

#include "crc32c.h"
#include "squeeze.h"

#define MARK          0x31676f6cu /* "log1" */
#define MARK_SQUEEZED 0x7a676f6cu /* "logz" */
#define LENGTH        4u          /* in front of a squeezed body */

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

static void swap(struct buf *a, struct buf *b)
{
	struct buf c = *a;
	*a = *b;
	*b = c;
}

size_t frame_squeeze(struct buf *frame, struct buf *work, bool *ret_squeezed)
{
	size_t body = frame->len - FRAME_HEAD, front = FRAME_HEAD + LENGTH;
	*ret_squeezed = false;
	buf_clear(work);
	if (body > SQUEEZE_MAX || buf_reserve(work, front + body))
		return body;
	size_t n = squeeze(edged_slice(frame->ptr + FRAME_HEAD, body), work->ptr + front, body);
	if (!n || n + LENGTH >= body)
		return body;
	if (frame_bytes(n + LENGTH) == frame_bytes(body))
		return n + LENGTH;
	put32(work->ptr + FRAME_HEAD, (uint32_t)body);
	work->len = front + n;
	swap(frame, work);
	*ret_squeezed = true;
	return n + LENGTH;
}

int frame_unsqueeze(struct buf *body)
{
	size_t len = body->len >= LENGTH ? get32(body->ptr) : SIZE_MAX;
	if (len > SQUEEZE_MAX)
		return -EBADMSG;
	struct buf whole = BUF_EMPTY;
	int r = buf_reserve(&whole, len);
	if (!r && !unsqueeze(edged_slice(body->ptr + LENGTH, body->len - LENGTH), whole.ptr, len))
		r = -EBADMSG;
	whole.len = len;
	if (!r)
		swap(body, &whole);
	buf_fini(&whole);
	return r;
}

int frame_seal(struct buf *frame, uint64_t position, uint64_t salt, bool squeezed)
{
	size_t body = frame->len - FRAME_HEAD, padding = (size_t)frame_bytes(body) - frame->len;
	int r = buf_reserve(frame, padding);
	if (r)
		return r;
	put32(frame->ptr, squeezed ? MARK_SQUEEZED : MARK);
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
		.body_crc = get32(p + 24),
		.squeezed = get32(p) == MARK_SQUEEZED };
	return (ret->squeezed || get32(p) == MARK) && get32(p + 28) == crc32c(0, p, 28) &&
	       ret->body <= FRAME_BODY_MAX;
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
