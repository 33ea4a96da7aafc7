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

/* value.ptr NULL deletes. */
void fake_apply(struct row **at, const char *table, struct edged_slice key, const struct edged_slice *value)
{
	while (*at && compare(*at, table, key) < 0)
		at = &(*at)->next;
	if (*at && compare(*at, table, key) == 0) {
		struct row *old = *at;
		*at = old->next;
		free_row(old);
	}
	if (!value)
		return;
	heap_spare(true);
	struct row *row = calloc(1, sizeof(*row));
	heap_spare(false);
	assert(row);
	snprintf(row->table, sizeof(row->table), "%s", table);
	row->key = fake_copy(key.ptr, key.len);
	row->key_len = key.len;
	row->value = fake_copy(value->ptr, value->len);
	row->value_len = value->len;
	row->next = *at;
	*at = row;
}

void fake_rows_free(struct row *rows)
{
	while (rows) {
		struct row *next = rows->next;
		free_row(rows);
		rows = next;
	}
}

struct row *fake_rows_copy(const struct row *rows)
{
	struct row *first = NULL, **at = &first;
	for (; rows; rows = rows->next) {
		struct edged_slice value = edged_slice(rows->value, rows->value_len);
		fake_apply(at, rows->table, edged_slice(rows->key, rows->key_len), &value);
		at = &(*at)->next;
	}
	return first;
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
	fake_rows_free(disk->rows);
	free(disk);
}

void fake_disk_at_start(struct fake_disk *disk, int result)
{
	disk->start_result = result;
}

size_t fake_disk_rows(const struct fake_disk *disk, const char *table)
{
	size_t n = 0;
	for (const struct row *row = disk->rows; row; row = row->next)
		n += strcmp(row->table, table) == 0;
	return n;
}

size_t fake_disk_rows_of(const struct fake_disk *disk, const char *table, uint8_t first)
{
	size_t n = 0;
	for (const struct row *row = disk->rows; row; row = row->next)
		n += strcmp(row->table, table) == 0 && row->value_len && (uint8_t)row->value[0] == first;
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
	for (struct row **at = &disk->rows; *at;) {
		struct row *row = *at;
		if (strcmp(row->table, log) != 0 || memcmp(row->key, key, sizeof(key)) >= 0) {
			at = &row->next;
			continue;
		}
		*at = row->next;
		free_row(row);
	}
}

uint64_t fake_begin(const struct fake_disk *disk, const char *log)
{
	for (const struct row *row = disk->rows; row; row = row->next) {
		if (strcmp(row->table, log) != 0)
			continue;
		uint64_t position = 0;
		for (int i = 0; i < 8; i++)
			position = position << 8 | (uint8_t)row->key[i];
		return position;
	}
	return disk->end;
}

bool fake_disk_damage(struct fake_disk *disk, const char *table, size_t n, size_t byte)
{
	for (struct row *row = disk->rows; row; row = row->next) {
		if (strcmp(row->table, table) != 0 || n--)
			continue;
		if (byte >= row->value_len)
			return false;
		row->value[byte] = (char)~row->value[byte];
		return true;
	}
	return false;
}
