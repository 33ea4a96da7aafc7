/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table from two numbers to a pointer. Pure; one owner. */
#ifndef BROKER_INDEX_H
#define BROKER_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct index_slot {
	uint64_t a, b;
	void *value; /* NULL: free */
};

struct index {
	struct index_slot *slots;
	size_t size, count; /* size: a power of two, or 0 */
};

void index_fini(struct index *index);                               /* values are the owner's */
void *index_get(const struct index *index, uint64_t a, uint64_t b); /* NULL: none */
/* *ret_old (never NULL): what was there before, or NULL. -ENOMEM. */
int index_set(struct index *index, uint64_t a, uint64_t b, void *value, void **ret_old);
void *index_take(struct index *index, uint64_t a, uint64_t b); /* takes it out; NULL: none */

#endif
