/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What travels to the store's thread and back: batches of writes, gets and scans. One allocation carries an
 * operation both ways, so that answering needs no memory. No locks here: whoever holds an operation owns it.
 */
#ifndef STORE_OP_H
#define STORE_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "edged/slice.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"

#define KEY_MAX 1024

struct logfile;
struct store_space;
struct channel;
struct edged_joint;

/* A table's name is "space/table"; its id in the file is looked up by the store's thread when first used. */
struct table {
	struct list link;
	int64_t id;
	unsigned generation; /* of the database when the id was looked up; 0: never */
	char name[];
};

struct write {
	struct list link;
	struct table *table;
	bool del;
	uint32_t key_len, value_len;
	char bytes[]; /* key, value */
};

/* What a batch does to one log: records (see frame.h) behind the others, and a position before which none is wanted. */
struct append {
	struct list link;
	struct logfile *log;
	struct buf records;
	uint64_t trim;
};

enum op_kind { OP_BATCH, OP_GET, OP_SCAN, OP_REPLAY };

struct batch {
	struct list writes, appends;
	uint64_t opened_ms;
	bool overdue;              /* sent off because nobody committed it in time */
	struct edged_joint *joint; /* it is part of; held; NULL: none */
	void (*done)(void *arg, int result);
};

struct get {
	struct table *table;
	char *value; /* of the row, NULL: none */
	size_t value_len;
	uint32_t key_len;
	bool known; /* found in the caller's own waiting writes: the file is not asked */
	void (*found)(void *arg, int result, struct edged_slice value);
	char key[];
};

/* Where a scan is: the lowest key that was not shown yet. */
struct position {
	char key[KEY_MAX + 1];
	uint32_t key_len;
	size_t left;    /* rows that may still be shown */
	size_t overlay; /* index of the next row of the overlay */
};

struct scan {
	struct table *table;
	struct position now, next; /* `next` is where the chunk at hand ends */
	struct write **overlay;    /* copies of the caller's own waiting writes in the range, by key */
	size_t overlay_count;
	struct buf rows; /* struct row_head, key, value; again and again */
	bool last;       /* the rows at hand are the last ones */
	int (*row)(void *arg, struct edged_slice key, struct edged_slice value);
	void (*end)(void *arg, int result);
	uint32_t to_len;
	char to[];
};

/* A reading of a log from its front. */
struct replay {
	struct logfile *log;
	uint64_t now, next; /* positions: of the frame at hand, behind it */
	uint64_t end;       /* of the log, when it began; 0: it did not yet */
	struct buf body;
	bool last;
	int (*record)(void *arg, struct edged_slice record);
	void (*done)(void *arg, int result);
};

struct row_head {
	uint32_t key_len, value_len;
};

struct op {
	struct list link;
	enum op_kind kind;
	int result;
	struct store_space *space; /* counted */
	struct channel *channel;   /* of the loop that called, lives as long as the space */
	size_t charge;             /* bytes that count against the queue's limit */
	void *arg;
	union {
		struct batch batch;
		struct get get;
		struct scan *scan; /* owned: large, and rare beside the others */
		struct replay replay;
	} u;
};

struct op *op_batch_new(void);
struct op *op_replay_new(struct logfile *log);
struct op *op_get_new(struct table *table, struct edged_slice key);
struct op *op_scan_new(struct table *table, struct edged_slice from, struct edged_slice to, size_t limit);
void op_free(struct op *op);

struct write *write_new(struct table *table, bool del, struct edged_slice key, struct edged_slice value);
struct edged_slice write_key(const struct write *write);
struct edged_slice write_value(const struct write *write);
void writes_free(struct list *writes);
/* The batch's share of that log. NULL: no memory. */
struct append *append_of(struct batch *batch, struct logfile *log);
void appends_free(struct list *appends);

/* memcmp order, the shorter first: the order of rows. */
int key_compare(struct edged_slice a, struct edged_slice b);

/* Gets and scans see what their caller has queued before, also when it was not committed yet. */
EDGED_MUST_CHECK int op_get_overlay(struct op *op, const struct list *writes);
EDGED_MUST_CHECK int op_scan_overlay(struct op *op, const struct list *writes);

#endif
