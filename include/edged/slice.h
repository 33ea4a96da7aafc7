/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slice: borrowed bytes with a length. Not terminated, may hold NUL, owned by somebody else.
 * The receiver of a slice may use it until the call that brought it returns, unless a function says otherwise.
 */
#ifndef EDGED_SLICE_H
#define EDGED_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

struct edged_slice {
	const char *ptr; /* may be NULL when len is 0 */
	size_t len;      /* bytes */
};

static inline struct edged_slice edged_slice(const void *ptr, size_t len)
{
	struct edged_slice s;
	s.ptr = (const char *)ptr;
	s.len = len;
	return s;
}

/* A slice of a terminated string; NULL gives the empty slice. */
static inline struct edged_slice edged_str(const char *text)
{
	return edged_slice(text, text ? strlen(text) : 0);
}

static inline bool edged_slice_eq(struct edged_slice a, struct edged_slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool edged_slice_is(struct edged_slice a, const char *text)
{
	return edged_slice_eq(a, edged_str(text));
}

static inline bool edged_slice_starts(struct edged_slice a, const char *prefix)
{
	size_t n = strlen(prefix);
	return a.len >= n && memcmp(a.ptr, prefix, n) == 0;
}

/* Without the characters of `blanks` at both ends. */
static inline struct edged_slice edged_slice_trim(struct edged_slice a, const char *blanks)
{
	size_t n = strlen(blanks);
	while (a.len > 0 && memchr(blanks, a.ptr[0], n))
		a = edged_slice(a.ptr + 1, a.len - 1);
	while (a.len > 0 && memchr(blanks, a.ptr[a.len - 1], n))
		a.len--;
	return a;
}

#ifdef __cplusplus
}
#endif

/* For printf: printf("%.*s", EDGED_SLICE_FMT(s)) */
#define EDGED_SLICE_FMT(s) (int)(s).len, (s).ptr ? (s).ptr : ""

#endif
