/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/sse.h"

#include <string.h>

void sse_init(
        struct sse *sse, int (*each)(void *arg, struct edged_slice event, struct edged_slice data), void *arg)
{
	*sse = (struct sse){ .each = each, .arg = arg };
	buf_init(&sse->line, SSE_LIMIT);
	buf_init(&sse->event, SSE_LIMIT);
	buf_init(&sse->data, SSE_LIMIT);
}

void sse_fini(struct sse *sse)
{
	buf_fini(&sse->line);
	buf_fini(&sse->event);
	buf_fini(&sse->data);
}

static int field(struct sse *sse, struct edged_slice name, struct edged_slice value)
{
	int r = 0;
	if (edged_slice_is(name, "data")) {
		if (sse->has_data)
			r = buf_add(&sse->data, "\n", 1);
		sse->has_data = true;
		return r ? r : buf_add(&sse->data, value.ptr, value.len);
	}
	if (edged_slice_is(name, "event")) {
		buf_clear(&sse->event);
		return buf_add(&sse->event, value.ptr, value.len);
	}
	return 0; /* id and retry are for those who reconnect */
}

/* An empty line ends an event. */
static int dispatch(struct sse *sse)
{
	int r = sse->has_data ? sse->each(sse->arg, buf_slice(&sse->event), buf_slice(&sse->data)) : 0;
	buf_clear(&sse->event);
	buf_clear(&sse->data);
	sse->has_data = false;
	return r;
}

static int end_line(struct sse *sse)
{
	struct edged_slice line = buf_slice(&sse->line);
	if (!sse->begun && edged_slice_starts(line, "\xef\xbb\xbf"))
		line = edged_slice(line.ptr + 3, line.len - 3);
	sse->begun = true;
	int r;
	if (line.len == 0) {
		r = dispatch(sse);
	} else {
		const char *colon = memchr(line.ptr, ':', line.len);
		size_t n = colon ? (size_t)(colon - line.ptr) : line.len;
		size_t from = colon ? n + 1 : n;
		if (from < line.len && line.ptr[from] == ' ')
			from++;
		r = field(sse, edged_slice(line.ptr, n), edged_slice(line.ptr + from, line.len - from));
	}
	buf_clear(&sse->line);
	return r;
}

int sse_feed(struct sse *sse, struct edged_slice bytes)
{
	size_t at = 0;
	while (at < bytes.len) {
		if (sse->after_cr && bytes.ptr[at] == '\n')
			at++;
		sse->after_cr = false;
		size_t n = 0;
		while (at + n < bytes.len && bytes.ptr[at + n] != '\n' && bytes.ptr[at + n] != '\r')
			n++;
		int r = buf_add(&sse->line, bytes.ptr + at, n);
		at += n;
		if (!r && at < bytes.len) {
			sse->after_cr = bytes.ptr[at++] == '\r';
			r = end_line(sse);
		}
		if (r)
			return r;
	}
	return 0;
}
