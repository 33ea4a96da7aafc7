/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash map from byte strings to pointers. Keys are copied. The hash is SipHash-2-4 with a random key per process, so
 * that no peer can choose colliding keys. One owner, no locks.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "edged/slice.h"
#include "base/err.h"

struct map_entry;

struct map {
	struct map_entry **buckets;
	size_t size;  /* buckets, a power of two, or 0 */
	size_t count; /* entries */
};

void map_init(struct map *map);
void map_fini(struct map *map);                               /* values are the caller's */
void *map_get(const struct map *map, struct edged_slice key); /* NULL: absent */
/* -EEXIST when the key is there already, -ENOMEM. Values must not be NULL. */
EDGED_MUST_CHECK int map_add(struct map *map, struct edged_slice key, void *value);
/* Adds or replaces; *ret_old (may be NULL) gets the former value or NULL. -ENOMEM. */
EDGED_MUST_CHECK int map_set(struct map *map, struct edged_slice key, void *value, void **ret_old);
void *map_remove(struct map *map, struct edged_slice key); /* the value, NULL: absent */

/* Walking: for (struct map_entry *e = map_first(m); e; e = map_next(m, e)). The current entry may be removed only by
 * keeping its successor first. Order is arbitrary. */
struct map_entry *map_first(const struct map *map);
struct map_entry *map_next(const struct map *map, const struct map_entry *entry);
struct edged_slice map_key(const struct map_entry *entry);
void *map_value(const struct map_entry *entry);

/* The keyed hash by itself. */
uint64_t map_hash(struct edged_slice key);

#endif
