/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on JSON trees that shadows are made of: merging with metadata, difference, depth. Pure.
 *
 * Metadata is a tree of the same shape in which each scalar is replaced by its stamp, an integer: seconds since 1970. All
 * stamps of one update are one value, counted; so are subtrees that a request and a document share. They are never
 * changed once a document has printed them, but by the document that owns them.
 */
#ifndef SHADOW_TREE_H
#define SHADOW_TREE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Merges `patch` into the object `target`, and puts `stamp` into `metadata`, which mirrors it, wherever it touched one. null
 * deletes; objects merge; everything else replaces, and is shared with the patch from then on. 0 or -ENOMEM (target is
 * then half done). */
int tree_merge(json_t *target, json_t *metadata, const json_t *patch, json_t *stamp);

/* Metadata of a value. New reference or NULL. */
json_t *tree_stamp(const json_t *value, json_t *stamp);
/* Metadata as it is written, {"timestamp": N} for each stamp, to the form above. New reference; NULL: no memory, or it is
 * not of that form. */
json_t *tree_read_stamps(json_t *written);

/* What of `desired` is absent from `reported` or unequal; NULL when nothing is. Of the matching parts of
 * desired's metadata *ret_metadata gets a tree of the same shape. New references. -ENOMEM in *ret_error. */
json_t *tree_delta(const json_t *desired, const json_t *reported, const json_t *metadata,
        json_t **ret_metadata, int *ret_error);

bool tree_equal(const json_t *a, const json_t *b); /* numbers by value: 1 equals 1.0 */
unsigned tree_depth(const json_t *value);          /* nested containers; 0 for a scalar */
bool tree_has_null_in_array(const json_t *value);

#endif
