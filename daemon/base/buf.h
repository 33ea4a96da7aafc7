/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer with a hard limit. One owner, no locks. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include "edged/slice.h"
#include "base/cleanup.h"
#include "base/err.h"

struct buf {
	char *ptr; /* NULL while empty and never grown; otherwise terminated by a NUL that len does not count */
	size_t len;   /* bytes held */
	size_t cap;   /* bytes allocated */
	size_t limit; /* hard limit of len; 0: none */
};

#define BUF_EMPTY                                                                                            \
	{                                                                                                    \
		NULL, 0, 0, 0                                                                                \
	}

void buf_init(struct buf *buf, size_t limit);
void buf_fini(struct buf *buf); /* the buf is empty and usable afterwards */
/* Room for `more` bytes behind len. -ENOBUFS over the limit, -ENOMEM. */
EDGED_MUST_CHECK int buf_reserve(struct buf *buf, size_t more);
/* Appending: 0, -ENOBUFS (nothing was added) or -ENOMEM. */
int buf_add(struct buf *buf, const void *bytes, size_t n);
int buf_add_str(struct buf *buf, const char *text);
int buf_addf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Appends the bytes as a JSON string with quotes; bytes that are no UTF-8 become U+FFFD. */
int buf_add_json(struct buf *buf, struct edged_slice text);
void buf_drop(struct buf *buf, size_t n); /* removes the first n <= len bytes */
void buf_clear(struct buf *buf);          /* len = 0, memory kept */
/* Gives the memory away (malloc'ed, terminated); the buf is empty afterwards. NULL: no memory. */
char *buf_take(struct buf *buf);

static inline struct edged_slice buf_slice(const struct buf *buf)
{
	return edged_slice(buf->ptr, buf->len);
}

#endif
