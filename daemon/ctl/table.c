/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void table_init(struct table *table, const char *const *titles)
{
	*table = (struct table){ .titles = titles };
	while (titles[table->columns])
		table->columns++;
}

void table_fini(struct table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	*table = (struct table){ 0 };
}

int table_add(struct table *table, const char *text)
{
	CLEANUP(buf_fini) struct buf safe = BUF_EMPTY;
	if (table->count == table->size) {
		size_t size = table->size ? table->size * 2 : 32;
		char **cells = realloc(table->cells, size * sizeof(*cells));
		if (!cells)
			return -ENOMEM;
		table->cells = cells;
		table->size = size;
	}
	int r = text_add_safe(&safe, edged_str(text && text[0] ? text : "-"), false);
	if (r)
		return r;
	table->cells[table->count++] = buf_take(&safe);
	return 0;
}

size_t text_width(const char *text)
{
	size_t n = 0;
	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void print_cell(const char *text, size_t width, bool last, FILE *out)
{
	fputs(text, out);
	for (size_t n = text_width(text); !last && n < width + 2; n++)
		fputc(' ', out);
	if (last)
		fputc('\n', out);
}

void table_print(const struct table *table, const char *nothing, FILE *out)
{
	size_t widths[TABLE_COLUMNS] = { 0 };
	if (table->count < table->columns) {
		fprintf(out, "%s\n", nothing);
		return;
	}
	for (size_t i = 0; i < table->columns; i++)
		widths[i] = text_width(table->titles[i]);
	for (size_t i = 0; i < table->count; i++) {
		size_t n = text_width(table->cells[i]);
		if (n > widths[i % table->columns])
			widths[i % table->columns] = n;
	}
	for (size_t i = 0; i < table->columns; i++)
		print_cell(table->titles[i], widths[i], i + 1 == table->columns, out);
	for (size_t i = 0; i < table->count; i++)
		print_cell(table->cells[i], widths[i % table->columns], (i + 1) % table->columns == 0, out);
}

int text_add_safe(struct buf *buf, struct edged_slice text, bool lines)
{
	int r = buf_reserve(buf, text.len);
	for (size_t i = 0; i < text.len && !r; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		bool c1 = c == 0xc2 && i + 1 < text.len && ((unsigned char)text.ptr[i + 1] & 0xe0) == 0x80;
		bool bad = c == 0x7f || (c < 0x20 && !(lines && (c == '\n' || c == '\t'))) || c1;
		r = buf_add(buf, bad ? "?" : &text.ptr[i], 1);
		i += c1;
	}
	return r;
}
