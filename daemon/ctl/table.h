/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people: columns that line up, and bytes of others that cannot play with the terminal. Pure but for
 * the FILE. */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <stdio.h>
#include "base/buf.h"

#define TABLE_COLUMNS 8

struct table {
	const char *const *titles; /* NULL-terminated, borrowed */
	size_t columns, count, size;
	char **cells; /* rows * columns */
};

void table_init(struct table *table, const char *const *titles);
void table_fini(struct table *table);
/* One cell after the other, row by row; NULL is shown as "-". */
EDGED_MUST_CHECK int table_add(struct table *table, const char *text);
/* The last column is not padded; `nothing` is printed when there are no rows. */
void table_print(const struct table *table, const char *nothing, FILE *out);

/* Appends text with control characters shown as "?", or (lines) with line breaks and tabs kept. */
EDGED_MUST_CHECK int text_add_safe(struct buf *buf, struct edged_slice text, bool lines);
/* Columns that text takes on a terminal: characters, for what is usual in names. */
size_t text_width(const char *text);

#endif
