/* SPDX-License-Identifier: Apache-2.0 */
/* Reads server-sent events (the text/event-stream format of the HTML standard) from bytes as they come. Pure.
 */
#ifndef CTL_SSE_H
#define CTL_SSE_H

#include "base/buf.h"

#define SSE_LIMIT (16u << 20) /* longest line, and longest event */

struct sse {
	struct buf line, event, data;
	bool after_cr; /* a LF that follows belongs to the CR */
	bool begun;    /* the first line has been seen: no byte order mark may follow */
	bool has_data;
	/* `event` is empty when the stream names none. A non-zero return ends sse_feed(), which passes it on.
	 */
	int (*each)(void *arg, struct edged_slice event, struct edged_slice data);
	void *arg;
};

void sse_init(struct sse *sse, int (*each)(void *arg, struct edged_slice event, struct edged_slice data),
        void *arg);
void sse_fini(struct sse *sse);
/* 0, -ENOBUFS (over the limit), -ENOMEM, or what each() returned. */
EDGED_MUST_CHECK int sse_feed(struct sse *sse, struct edged_slice bytes);

#endif
