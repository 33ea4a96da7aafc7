/* SPDX-License-Identifier: Apache-2.0 */
#include "index.h"

#include <errno.h>
#include <stdlib.h>

void index_fini(struct index *index)
{
	free(index->slots);
	*index = (struct index){ 0 };
}

/* The numbers are our own: they need to be spread, not hidden. */
static size_t home(const struct index *index, uint64_t a, uint64_t b)
{
	uint64_t h = (a * UINT64_C(0x9e3779b97f4a7c15)) ^ b;
	h *= UINT64_C(0xff51afd7ed558ccd);
	return (size_t)(h ^ h >> 32) & (index->size - 1);
}

/* Where it is, or the free slot where it would be. */
static struct index_slot *find(const struct index *index, uint64_t a, uint64_t b)
{
	size_t i = home(index, a, b);
	while (index->slots[i].value && (index->slots[i].a != a || index->slots[i].b != b))
		i = (i + 1) & (index->size - 1);
	return &index->slots[i];
}

void *index_get(const struct index *index, uint64_t a, uint64_t b)
{
	return index->size ? find(index, a, b)->value : NULL;
}

static int grow(struct index *index)
{
	struct index more = { .size = index->size ? index->size * 2 : 64, .count = index->count };
	more.slots = calloc(more.size, sizeof(*more.slots));
	if (!more.slots)
		return -ENOMEM;
	for (size_t i = 0; i < index->size; i++)
		if (index->slots[i].value)
			*find(&more, index->slots[i].a, index->slots[i].b) = index->slots[i];
	free(index->slots);
	*index = more;
	return 0;
}

int index_set(struct index *index, uint64_t a, uint64_t b, void *value, void **ret_old)
{
	if (index->count >= index->size / 2 && grow(index))
		return -ENOMEM;
	struct index_slot *slot = find(index, a, b);
	*ret_old = slot->value;
	index->count += !slot->value;
	*slot = (struct index_slot){ a, b, value };
	return 0;
}

void *index_take(struct index *index, uint64_t a, uint64_t b)
{
	struct index_slot *slot = index->size ? find(index, a, b) : NULL;
	if (!slot || !slot->value)
		return NULL;
	void *value = slot->value;
	size_t mask = index->size - 1, gap = (size_t)(slot - index->slots);
	/* Those behind it move up, unless they are at home already. */
	for (size_t i = (gap + 1) & mask; index->slots[i].value; i = (i + 1) & mask) {
		size_t at = home(index, index->slots[i].a, index->slots[i].b);
		if (((i - at) & mask) < ((i - gap) & mask))
			continue;
		index->slots[gap] = index->slots[i];
		gap = i;
	}
	index->slots[gap] = (struct index_slot){ 0 };
	index->count--;
	return value;
}
