/* SPDX-License-Identifier: Apache-2.0 */
/* The rows behind fake_host's store. */
#ifndef TESTS_FAKE_DISK_H
#define TESTS_FAKE_DISK_H

#include <stdint.h>
#include "edged/slice.h"

struct row {
	char table[33];
	char *key, *value;
	size_t key_len, value_len;
};

struct rows {
	struct row **all; /* ordered by table and key */
	size_t count, size;
};

struct fake_disk {
	struct rows rows;
	uint64_t end; /* position behind the last record of all logs */
	int start_result;
};

void *fake_copy(const void *bytes, size_t n);
/* Puts a row in its place, or takes it away when value is NULL. */
void fake_apply(
        struct rows *rows, const char *table, struct edged_slice key, const struct edged_slice *value);
void fake_rows_free(struct rows *rows); /* empty afterwards */
/* Logs. */
void fake_append(struct fake_disk *disk, const char *log, struct edged_slice record);
void fake_trim(struct fake_disk *disk, const char *log, uint64_t position);
uint64_t fake_begin(const struct fake_disk *disk, const char *log); /* position of its first record */
struct rows fake_rows_copy(const struct rows *rows);

#endif
