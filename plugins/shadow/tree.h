/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on JSON trees that shadows are made of: merging with metadata, difference, depth. Pure. */
#ifndef SHADOW_TREE_H
#define SHADOW_TREE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Merges `patch` into the object `target`, and stamps what it touched in `metadata`, which mirrors it. null
 * deletes; objects merge; everything else replaces. 0 or -ENOMEM. */
int tree_merge(json_t *target, json_t *metadata, const json_t *patch, int64_t now);

/* Metadata of a value: a scalar or null is {"timestamp": now}; containers mirror their shape. New reference
 * or NULL. */
json_t *tree_stamp(const json_t *value, int64_t now);

/* What of `desired` is absent from `reported` or unequal; NULL when nothing is. Of the matching parts of
 * desired's metadata *ret_metadata gets a tree of the same shape. New references. -ENOMEM in *ret_error. */
json_t *tree_delta(const json_t *desired, const json_t *reported, const json_t *metadata,
        json_t **ret_metadata, int *ret_error);

bool tree_equal(const json_t *a, const json_t *b); /* numbers by value: 1 equals 1.0 */
unsigned tree_depth(const json_t *value);          /* nested containers; 0 for a scalar */
bool tree_has_null_in_array(const json_t *value);

#endif
