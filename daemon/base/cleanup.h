/* SPDX-License-Identifier: Apache-2.0 */
/* Locals that clean up after themselves, and ownership that moves by one visible word. */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

/* CLEANUP(free_charp) char *text = NULL; */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Gives the value of a pointer away and leaves NULL behind. */
#define TAKE(p)                                                                                              \
	__extension__({                                                                                      \
		__typeof__(p) taken_ = (p);                                                                  \
		(p) = NULL;                                                                                  \
		taken_;                                                                                      \
	})

/* Defines `fn##p`, the cleanup function for a pointer that `fn` frees: DEFINE_CLEANUP(struct conf *, conf_free). */
#define DEFINE_CLEANUP(type, fn)                                                                             \
	static inline void fn##p(type *p)                                                                    \
	{                                                                                                    \
		fn(*p);                                                                                      \
	}

static inline void free_charp(char **p)
{
	free(*p);
}

static inline void close_fdp(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))

#endif
