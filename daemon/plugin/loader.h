/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader: judges a file and turns it into an image whose code is mapped. A plugin's own callbacks are not
 * run here; constructors of the shared object are, but only once everything that can be seen without them is
 * fine.
 *
 * Code always runs from a private, sealed copy in memory: whoever overwrites the file later changes nothing
 * in what runs, and a replaced file is new to dlopen(3). Code is never unmapped, so strings of a plugin live
 * for ever.
 */
#ifndef PLUGIN_LOADER_H
#define PLUGIN_LOADER_H

#include "edged/plugin.h"
#include "base/err.h"

enum {
	LOADER_FILE_SIZE = 64 << 20, /* bytes of one plugin file, at most */
	LOADER_LOADS = 1000, /* files loaded in one run: each keeps its code mapped and a descriptor */
	LOADER_ROWS = 1000   /* rows of a table */
};

struct image {
	struct edged_plugin plugin; /* what the file exports; members it does not know are zero */
	struct edged_route
	        *routes; /* its table with rows of our own size; ends with one whose method is NULL */
};

/* Judges `file` in `folder`. -errno with a sentence that says why it is refused. */
EDGED_MUST_CHECK int image_load(const char *folder, const char *file, struct image **ret, struct err *err);
void image_free(struct image *image); /* its code stays mapped */

/* The judgement of what a file exported, by itself: `exported` points to bytes that start with the struct's
 * own size. */
EDGED_MUST_CHECK int image_judge(const void *exported, struct edged_plugin *ret, struct err *err);

/* The i-th row of a table, members beyond the plugin's own row size zero. False at the end. */
bool image_route(const struct edged_plugin *plugin, size_t i, struct edged_route *ret);
bool image_setting(const struct edged_plugin *plugin, size_t i, struct edged_setting *ret);

#endif
