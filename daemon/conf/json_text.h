/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a JSON document that people write: comments are blanked, and every key and item gets a place,
 * so that a finding can name line and column. Grammar faults are reported here, in words; building the tree
 * is jansson's work.
 */
#ifndef CONF_JSON_TEXT_H
#define CONF_JSON_TEXT_H

#include "base/buf.h"
#include "base/map.h"

#define JSON_TEXT_DEPTH 32 /* most levels of objects and lists */

/* Blanks comments and the comma behind a last member in place, so that all offsets stay. -EINVAL: a comment
 * without end, which begins at *ret_at. */
EDGED_MUST_CHECK int json_text_strip(char *text, size_t n, size_t *ret_at);

/* Line and column, both from 1; columns count characters, not bytes. */
struct json_place {
	unsigned line, column;
};
struct json_place json_text_place(struct edged_slice text, size_t at);

/* Where what is: path ("net.listen[2]") to offset. Of a member that is its key, of an item the item. */
struct json_index {
	struct map offsets;
};
void json_index_fini(struct json_index *index);

/* Called for each fault: where, and what is wrong. `path` is of the innermost thing around it, "" for the
 * top. */
struct json_reporter {
	void (*fault)(void *arg, size_t at, const char *path, const char *text);
	void *arg;
};

/* Indexes a stripped document, which must be an object. The first fault of grammar ends the scan with
 * -EINVAL. Keys given twice are faults, too, but the scan goes on and ends with JSON_INDEX_TWICE. */
#define JSON_INDEX_TWICE 1
EDGED_MUST_CHECK int json_index_build(
        struct json_index *index, struct edged_slice text, const struct json_reporter *reporter);
/* False: there is no such path. */
bool json_index_find(const struct json_index *index, const char *path, size_t *ret_at);
/* The offset of the value that belongs to the key at `at`; of an item it is `at` itself. */
size_t json_text_value_at(struct edged_slice text, size_t at);

/* Appends a key to a path: ".name", or ".\"odd name\"" when it is no plain word. */
EDGED_MUST_CHECK int json_path_add_key(struct buf *path, struct edged_slice key);
EDGED_MUST_CHECK int json_path_add_item(struct buf *path, size_t i);
void json_path_cut(struct buf *path, size_t len); /* back to what it was */

#endif
