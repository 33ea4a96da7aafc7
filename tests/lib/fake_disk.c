/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_disk.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fake_host.h"
#include "heap.h"

void *fake_copy(const void *bytes, size_t n)
{
	heap_spare(true);
	void *copy = malloc(n ? n : 1);
	heap_spare(false);
	assert(copy);
	if (n)
		memcpy(copy, bytes, n);
	return copy;
}

static int compare(const struct row *row, const char *table, struct edged_slice key)
{
	int r = strcmp(row->table, table);
	if (r)
		return r;
	size_t n = row->key_len < key.len ? row->key_len : key.len;
	r = n ? memcmp(row->key, key.ptr, n) : 0;
	return r ? r : row->key_len < key.len ? -1 : row->key_len > key.len;
}

static void free_row(struct row *row)
{
	free(row->key);
	free(row->value);
	free(row);
}

/* Where it is, or belongs. */
static size_t place(const struct rows *rows, const char *table, struct edged_slice key)
{
	size_t low = 0, high = rows->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare(rows->all[middle], table, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void take_out(struct rows *rows, size_t at)
{
	free_row(rows->all[at]);
	rows->count--;
	memmove(rows->all + at, rows->all + at + 1, (rows->count - at) * sizeof(rows->all[0]));
}

static void put_in(struct rows *rows, size_t at, struct row *row)
{
	if (rows->count == rows->size) {
		rows->size = rows->size ? 2 * rows->size : 16;
		heap_spare(true);
		rows->all = realloc(rows->all, rows->size * sizeof(rows->all[0]));
		heap_spare(false);
		assert(rows->all);
	}
	memmove(rows->all + at + 1, rows->all + at, (rows->count - at) * sizeof(rows->all[0]));
	rows->all[at] = row;
	rows->count++;
}

static struct row *new_row(const char *table, struct edged_slice key, struct edged_slice value)
{
	heap_spare(true);
	struct row *row = calloc(1, sizeof(*row));
	heap_spare(false);
	assert(row);
	snprintf(row->table, sizeof(row->table), "%s", table);
	row->key = fake_copy(key.ptr, key.len);
	row->key_len = key.len;
	row->value = fake_copy(value.ptr, value.len);
	row->value_len = value.len;
	return row;
}

void fake_apply(struct rows *rows, const char *table, struct edged_slice key, const struct edged_slice *value)
{
	size_t at = place(rows, table, key);
	if (at < rows->count && compare(rows->all[at], table, key) == 0)
		take_out(rows, at);
	if (value)
		put_in(rows, at, new_row(table, key, *value));
}

void fake_rows_free(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		free_row(rows->all[i]);
	free(rows->all);
	*rows = (struct rows){ 0 };
}

struct rows fake_rows_copy(const struct rows *rows)
{
	struct rows copy = { 0 };
	for (size_t i = 0; i < rows->count; i++) {
		const struct row *row = rows->all[i];
		put_in(&copy, i,
		        new_row(row->table, edged_slice(row->key, row->key_len),
		                edged_slice(row->value, row->value_len)));
	}
	return copy;
}

/* Keys that sort by it. */
static void fake_position(uint64_t position, char key[8])
{
	for (int i = 0; i < 8; i++)
		key[i] = (char)(position >> (56 - 8 * i));
}

struct fake_disk *fake_disk_new(void)
{
	return calloc(1, sizeof(struct fake_disk));
}

void fake_disk_free(struct fake_disk *disk)
{
	fake_rows_free(&disk->rows);
	free(disk);
}

void fake_disk_at_start(struct fake_disk *disk, int result)
{
	disk->start_result = result;
}

size_t fake_disk_rows(const struct fake_disk *disk, const char *table)
{
	size_t n = 0;
	for (size_t i = 0; i < disk->rows.count; i++)
		n += strcmp(disk->rows.all[i]->table, table) == 0;
	return n;
}

size_t fake_disk_rows_of(const struct fake_disk *disk, const char *table, uint8_t first)
{
	size_t n = 0;
	for (size_t i = 0; i < disk->rows.count; i++) {
		const struct row *row = disk->rows.all[i];
		n += strcmp(row->table, table) == 0 && row->value_len && (uint8_t)row->value[0] == first;
	}
	return n;
}

void fake_append(struct fake_disk *disk, const char *log, struct edged_slice record)
{
	char key[8];
	fake_position(disk->end, key);
	fake_apply(&disk->rows, log, edged_slice(key, sizeof(key)), &record);
	disk->end += record.len + 1;
}

void fake_trim(struct fake_disk *disk, const char *log, uint64_t position)
{
	char key[8];
	fake_position(position, key);
	size_t begin = place(&disk->rows, log, edged_slice(NULL, 0)),
	       end = place(&disk->rows, log, edged_slice(key, sizeof(key)));
	while (end > begin)
		take_out(&disk->rows, --end);
}

uint64_t fake_begin(const struct fake_disk *disk, const char *log)
{
	size_t at = place(&disk->rows, log, edged_slice(NULL, 0));
	const struct row *row = at < disk->rows.count ? disk->rows.all[at] : NULL;
	if (!row || strcmp(row->table, log) != 0)
		return disk->end;
	uint64_t position = 0;
	for (int i = 0; i < 8; i++)
		position = position << 8 | (uint8_t)row->key[i];
	return position;
}

bool fake_disk_damage(struct fake_disk *disk, const char *table, size_t n, size_t byte)
{
	for (size_t i = 0; i < disk->rows.count; i++) {
		struct row *row = disk->rows.all[i];
		if (strcmp(row->table, table) != 0 || n--)
			continue;
		if (byte >= row->value_len)
			return false;
		row->value[byte] = (char)~row->value[byte];
		return true;
	}
	return false;
}
