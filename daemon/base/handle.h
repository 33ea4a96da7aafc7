/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of objects that others name across time: a handle is (generation << 32 | index + 1), so that a handle whose
 * object has gone finds nothing, instead of freed memory. 0 is never a handle. One owner, no locks.
 */
#ifndef BASE_HANDLE_H
#define BASE_HANDLE_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct handle_slot {
	void *object; /* NULL: free */
	uint32_t generation;
	uint32_t next_free;
};

struct handles {
	struct handle_slot *slots;
	uint32_t count;     /* objects held */
	uint32_t size;      /* slots allocated */
	uint32_t limit;     /* most objects at once */
	uint32_t free_head; /* index + 1 of the first free slot, 0: none */
};

void handles_init(struct handles *handles, uint32_t limit);
void handles_fini(struct handles *handles); /* objects are the caller's */
/* -ENOSPC at the limit, -ENOMEM. */
EDGED_MUST_CHECK int handles_add(struct handles *handles, void *object, uint64_t *ret);
void *handles_get(const struct handles *handles, uint64_t handle); /* NULL: gone */
void *handles_remove(struct handles *handles, uint64_t handle);    /* the object, NULL: gone */
/* For walking: the object in slot i < handles->size, or NULL. */
void *handles_at(const struct handles *handles, uint32_t i);

#endif
