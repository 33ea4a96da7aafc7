/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SQLite file: rows (table id, key, value), transactions, checkpoints, and what to do when the file or
 * the disk is bad. Not thread-safe: one owner at a time, the store's thread once it runs.
 *
 * Errors: -ENOSPC disk full; -ENOMEM; -EBADMSG the file is damaged; -EIO all else.
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "edged/slice.h"
#include "base/err.h"

struct db;

/* Opens or creates PATH (0600). A damaged file is moved aside and a new one begun; *ret_damaged (may be NULL)
 * tells. A file that something else made, or a newer version of this, is left alone: -EINVAL. */
EDGED_MUST_CHECK int db_open(
        const char *path, size_t cache_bytes, struct db **ret, bool *ret_damaged, struct err *err);
void db_free(struct db *db);

/* After an I/O error nothing that SQLite or the kernel has cached is trusted: the file is closed and opened
 * again, here or, as long as that fails, at the next db_ready(). 0, or why there is no database. */
EDGED_MUST_CHECK int db_ready(struct db *db);
/* After -EBADMSG: moves the file aside and begins a new one. */
EDGED_MUST_CHECK int db_replace(struct db *db);
/* Counts up whenever table ids that were looked up may no longer hold. */
unsigned db_generation(const struct db *db);

EDGED_MUST_CHECK int db_begin(struct db *db);
EDGED_MUST_CHECK int db_commit(struct db *db);
void db_rollback(struct db *db); /* fine outside a transaction */

/* The id of a table by its full name; 1 when it is not there and `create` is false. */
#define DB_ABSENT 1
EDGED_MUST_CHECK int db_table(struct db *db, const char *name, bool create, int64_t *ret);
EDGED_MUST_CHECK int db_put(struct db *db, int64_t table, struct edged_slice key, struct edged_slice value);
EDGED_MUST_CHECK int db_del(struct db *db, int64_t table, struct edged_slice key);
/* *ret holds until db_get_end(), which must follow each db_get() that returned 0. DB_ABSENT: no such key. */
EDGED_MUST_CHECK int db_get(struct db *db, int64_t table, struct edged_slice key, struct edged_slice *ret);
void db_get_end(struct db *db);
/* Rows with from <= key < to (empty: no end) in order. db_scan_next() gives slices that hold until the next
 * call, and DB_ABSENT after the last row. db_scan_end() must follow in any case. `from` and `to` must hold
 * until then. */
void db_scan(struct db *db, int64_t table, struct edged_slice from, struct edged_slice to);
EDGED_MUST_CHECK int db_scan_next(struct db *db, struct edged_slice *ret_key, struct edged_slice *ret_value);
void db_scan_end(struct db *db);

/* Pages in the write-ahead log that a checkpoint would bring into the file. */
unsigned db_log_pages(const struct db *db);
EDGED_MUST_CHECK int db_checkpoint(struct db *db);
/* For a full disk: brings the log into the file and empties it. -ENOSPC and the like: it could not. */
EDGED_MUST_CHECK int db_make_room(struct db *db);

#endif
