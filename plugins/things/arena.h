/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is given out in pieces and freed as a whole. One thread. */
#ifndef THINGS_ARENA_H
#define THINGS_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks;
	size_t left; /* bytes at the end of the first block */
};

/* Zeroed, aligned for every type; NULL when there is no memory. */
void *arena_get(struct arena *arena, size_t n);
/* A copy of n bytes with a NUL behind it. */
char *arena_copy(struct arena *arena, const void *bytes, size_t n);
void arena_fini(struct arena *arena);

#endif
