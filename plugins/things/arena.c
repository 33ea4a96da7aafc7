/* SPDX-License-Identifier: Apache-2.0 */
#include "arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1000 };

struct arena_block {
	struct arena_block *next;
	size_t size;
	alignas(max_align_t) uint8_t bytes[];
};

void *arena_get(struct arena *arena, size_t n)
{
	n = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (n > arena->left) {
		size_t size = n > BLOCK ? n : BLOCK;
		struct arena_block *block = calloc(1, sizeof(*block) + size);
		if (!block)
			return NULL;
		block->next = arena->blocks;
		block->size = arena->left = size;
		arena->blocks = block;
	}
	void *at = arena->blocks->bytes + (arena->blocks->size - arena->left);
	arena->left -= n;
	return at;
}

char *arena_copy(struct arena *arena, const void *bytes, size_t n)
{
	char *copy = arena_get(arena, n + 1);
	if (copy && n)
		memcpy(copy, bytes, n);
	return copy;
}

void arena_fini(struct arena *arena)
{
	while (arena->blocks) {
		struct arena_block *next = arena->blocks->next;
		free(arena->blocks);
		arena->blocks = next;
	}
	arena->left = 0;
}
