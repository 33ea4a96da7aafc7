/* SPDX-License-Identifier: Apache-2.0 */
#include "segment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void segment_name(const char *log, uint64_t first, char name[SEGMENT_NAME_MAX])
{
	snprintf(name, SEGMENT_NAME_MAX, "%s.%016" PRIx64, log, first);
}

bool segment_parse(const char *log, const char *name, uint64_t *ret)
{
	size_t n = strlen(log);
	if (strncmp(name, log, n) != 0 || name[n] != '.' || strlen(name) != n + 17 ||
	        strspn(name + n + 1, "0123456789abcdef") != 16)
		return false;
	return sscanf(name + n + 1, "%16" SCNx64, ret) == 1 && *ret % FRAME_BLOCK == 0;
}

/* All of the n bytes; 1: the file ends before. */
static int read_all(int fd, void *to, size_t n, uint64_t at)
{
	for (char *p = to; n;) {
		ssize_t got = pread(fd, p, n, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -EIO : 1;
		p += got;
		n -= (size_t)got;
		at += (uint64_t)got;
	}
	return 0;
}

/* Whether a whole frame is at `from`. 1: no. */
static int read_frame(int fd, const struct segment *segment, uint64_t from, uint64_t limit, struct found *ret,
        struct buf *body)
{
	char head[FRAME_HEAD];
	struct frame_head h;
	uint64_t at = from - segment->first;
	int r = read_all(fd, head, sizeof(head), at);
	if (r)
		return r;
	if (!frame_head_read(head, &h) || h.position != from || h.salt != segment->salt ||
	        frame_bytes(h.body) > limit - from || frame_bytes(h.body) > segment->size - at)
		return 1;
	buf_clear(body);
	r = buf_reserve(body, h.body);
	if (r)
		return r;
	r = read_all(fd, body->ptr, h.body, at + FRAME_HEAD);
	if (r)
		return r;
	body->len = h.body;
	if (!frame_body_intact(&h, buf_slice(body)))
		return 1;
	r = h.squeezed ? frame_unsqueeze(body) : 0;
	if (r)
		return r == -EBADMSG ? 1 : r;
	*ret = (struct found){ from, from + frame_bytes(h.body) };
	return 0;
}

int segment_next(int fd, const struct segment *segment, uint64_t from, uint64_t limit, struct found *ret,
        struct buf *body)
{
	if (limit > segment->first + segment->size)
		limit = segment->first + segment->size;
	for (; from < limit; from += FRAME_BLOCK) {
		int r = read_frame(fd, segment, from, limit, ret, body);
		if (r <= 0)
			return r;
	}
	return SEGMENT_END;
}

int segment_start(int fd, struct segment *segment)
{
	char head[FRAME_HEAD];
	static const char zero[FRAME_HEAD];
	struct frame_head h;
	int r = read_all(fd, head, sizeof(head), 0);
	if (r)
		return r < 0 ? r : SEGMENT_UNUSED;
	if (!frame_head_read(head, &h))
		return memcmp(head, zero, sizeof(zero)) == 0 ? SEGMENT_UNUSED : SEGMENT_STRANGE;
	if (h.position != segment->first)
		return SEGMENT_UNUSED;
	segment->salt = h.salt;
	return SEGMENT_BEGUN;
}
