/* SPDX-License-Identifier: Apache-2.0 */
/* The objects that are stored, without their bodies, by key and in the order of use. Pure. */
#ifndef CACHE_INDEX_H
#define CACHE_INDEX_H

#include <sys/queue.h>
#include "edged/slice.h"

enum { OBJECT_KEY_MAX = 512, OBJECT_TYPE_MAX = 127 };

struct object {
	TAILQ_ENTRY(object) use;
	struct edged_slice key;
	uint64_t tag;        /* another one for each body: its ETag */
	uint64_t stored_ms;  /* wall clock */
	uint64_t expires_ms; /* wall clock */
	size_t bytes;        /* of its body */
	char type[OBJECT_TYPE_MAX + 1];
};

TAILQ_HEAD(object_list, object);

struct index {
	void *tree;             /* tsearch(3), by key */
	struct object_list use; /* the one used least recently comes first */
	size_t count, bytes;
};

void index_init(struct index *index);
void index_clear(struct index *index);
struct object *index_find(const struct index *index, struct edged_slice key);
/* A copy of it, key included, as used last; one of that key must not be there. NULL: no memory. */
struct object *index_add(struct index *index, const struct object *object);
void index_use(struct index *index, struct object *object);
void index_remove(struct index *index, struct object *object);

/* --- the row of the store: all of an object but its key and body --- */
enum { OBJECT_ROW_MAX = 1 + 4 * 8 + OBJECT_TYPE_MAX };
size_t object_write(const struct object *object, uint8_t ret[OBJECT_ROW_MAX]);
/* False: none of ours. The key stays as it is. */
bool object_read(struct edged_slice row, struct object *ret);

#endif
