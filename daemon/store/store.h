/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable tables in one SQLite file (WAL, synchronous=FULL), owned by the store's thread. See
 * edged/cap_store.h for the promises. A space is what one plugin (or the daemon itself: "edged") sees: its
 * tables, its queue's share.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stddef.h>
#include <stdint.h>
#include "edged/slice.h"
#include "base/err.h"

struct store;
struct store_space;

/* How results come back: the store calls post(loop, fn, arg) from its thread, and fn(arg) must then run on
 * the loop (a token of the caller's, given with each call). */
struct store_executor {
	void *(*self)(void);                                        /* token of the calling loop */
	void (*post)(void *loop, void (*fn)(void *arg), void *arg); /* never fails */
};

struct store_options {
	const char *path; /* of the database file; its folder exists */
	/* Commits that come in company are written together when none has come for group_ms, at the latest after
	 * group_max_ms (pace.h has the details); one of the two 0: at once. */
	uint64_t group_ms, group_max_ms;
	size_t queue_bytes; /* limit of waiting writes of one space */
	size_t cache_bytes; /* SQLite page cache */
	/* Of each log (see journal.h): what its files may take, and the size of one file; 0: 512 MiB and 1 MiB. */
	uint64_t log_bytes, segment_bytes;
	struct store_executor executor;
};

/* Opens or creates. A damaged file is moved to PATH.damaged-YYYYmmddTHHMMSS, a new one is begun, and
 * *ret_damaged (may be NULL) gets 1. Takes a lock: -EBUSY when another process holds it. */
EDGED_MUST_CHECK int store_open(
        const struct store_options *options, struct store **ret, int *ret_damaged, struct err *err);
/* Commits what waits, then ends the thread; callbacks that wait are dropped. To be called when no loop runs
 * any more: what was posted and did not run yet must not run afterwards. */
void store_close(struct store *store);

EDGED_MUST_CHECK int store_space_new(struct store *store, const char *name, struct store_space **ret);
/* Callbacks of the space that wait are dropped; its writes are done. Does not wait. No other loop may be
 * inside a callback of the space. A new space of the same name may be in use already: both see the same
 * tables. */
void store_space_free(struct store_space *space);

/*
 * As in edged/cap_store.h. Gets and scans see what the calling loop has put, also before its commit, and what
 * others have committed before. A long scan comes in chunks between which other callbacks run, and may or may
 * not see what is written meanwhile. -ENOSPC: too much waits (options.queue_bytes), or the space has 256
 * tables. done() may also get -ENOMEM: nothing of the batch was kept.
 */
EDGED_MUST_CHECK int store_put(
        struct store_space *space, const char *table, struct edged_slice key, struct edged_slice value);
EDGED_MUST_CHECK int store_del(struct store_space *space, const char *table, struct edged_slice key);
EDGED_MUST_CHECK int store_commit(struct store_space *space, void (*done)(void *arg, int result), void *arg);
/* Joints: as in edged/cap_store.h. A part that does not come may be told from any thread. */
struct edged_joint;
EDGED_MUST_CHECK int store_joint_new(unsigned parts, struct edged_joint **ret);
EDGED_MUST_CHECK int store_commit_joint(
        struct store_space *space, struct edged_joint *joint, void (*done)(void *arg, int result), void *arg);
void store_joint_leave(struct store *store, struct edged_joint *joint);
EDGED_MUST_CHECK int store_get(struct store_space *space, const char *table, struct edged_slice key,
        void (*found)(void *arg, int result, struct edged_slice value), void *arg);
EDGED_MUST_CHECK int store_scan(struct store_space *space, const char *table, struct edged_slice from,
        struct edged_slice to, size_t limit,
        int (*row)(void *arg, struct edged_slice key, struct edged_slice value),
        void (*end)(void *arg, int result), void *arg);
/* Logs, as in edged/cap_store.h. Their files are in the folder PATH.logs. -ENOSPC: too much waits, or the space has 8
 * logs. */
EDGED_MUST_CHECK int store_append(struct store_space *space, const char *log, struct edged_slice record);
EDGED_MUST_CHECK int store_trim(struct store_space *space, const char *log, uint64_t position);
EDGED_MUST_CHECK int store_extent(
        struct store_space *space, const char *log, uint64_t *ret_begin, uint64_t *ret_end);
EDGED_MUST_CHECK int store_replay(struct store_space *space, const char *log,
        int (*record)(void *arg, struct edged_slice record), void (*done)(void *arg, int result), void *arg);

/* For /metrics. Any thread. */
struct store_counts {
	uint64_t commits, transactions, failures, queued_bytes, file_bytes, writes;
	uint64_t records;                       /* appended to logs */
	uint64_t syncs, log_bytes, log_written; /* of logs; log_bytes: of their files now */
	uint64_t log_records, log_squeezed;     /* bytes of records, and what they could be made */
	int last_error;                         /* 0, or the negative errno of the last transaction */
};
struct store_counts store_counts(struct store *store);

#endif
