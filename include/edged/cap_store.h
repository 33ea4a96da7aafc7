/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability "edged.store/1": durable named tables of key-value pairs, ordered by key (memcmp order), and durable logs.
 *
 * Each plugin has tables of its own; a table exists once something was put into it. Work is queued and done in order
 * by the store's thread; many commits are grouped into one transaction (a few ms). What commit() has reported as done
 * survives kill -9 and power cut. Any loop may call; callbacks run on the loop that called, in order. Keys and values
 * are copied. Keys: 1..1,024 bytes; values: up to 16 MiB.
 *
 * A log is a row of records: appended at its end, read from its front (at start, mostly), dropped at its front when they
 * are not wanted any more. It is for what is written often and read hardly ever: a record costs the disk little more than
 * its own bytes, where a row costs pages. A table is for what is looked up, and changed in place.
 *
 * Rows and records of one batch: all rows are on the disk before any record is. A full disk refuses both; a disk that
 * fails in between (done() hears -EIO then), and a power cut, may leave the rows without the records, never the records
 * without the rows. The records of one batch for one log are there as a whole or not at all.
 */
#ifndef EDGED_CAP_STORE_H
#define EDGED_CAP_STORE_H

#include "edged/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDGED_STORE_1 "edged.store/1"

struct edged_joint;

struct edged_store_1 {
	uint32_t struct_size;
	/* Queue a write. It takes part in the caller's next commit(); writes without one are committed in time, too.
	 * -EINVAL: bad key or table name ([a-z0-9_]{1,32}); -ENOSPC: the queue is full, try later; -ENOMEM. */
	EDGED_MUST_CHECK int (*put)(
	        struct edged_host *host, const char *table, struct edged_slice key, struct edged_slice value);
	EDGED_MUST_CHECK int (*del)(struct edged_host *host, const char *table, struct edged_slice key);
	/* done(arg, 0) once all that this loop has queued before is on the disk; done(arg, -ENOSPC or -EIO) when it could
	 * not be: none of the batch was kept, and what is stored is as before. All writes since this loop's previous
	 * commit() are one atomic batch. done may be NULL. Returns 0 or -ENOMEM (then done is not called). */
	EDGED_MUST_CHECK int (*commit)(
	        struct edged_host *host, void (*done)(void *arg, int result), void *arg);
	/* found(arg, 0, value), found(arg, -ENOENT, empty) or found(arg, -EIO, empty). Sees all writes queued before. */
	EDGED_MUST_CHECK int (*get)(struct edged_host *host, const char *table, struct edged_slice key,
	        void (*found)(void *arg, int result, struct edged_slice value), void *arg);
	/* Rows with from <= key < to in order (to empty: no end), at most `limit` (0: all): row() for each, then end(arg,
	 * 0 or -EIO). row returns non-zero to be called no more. Rows come in batches, so that a long scan holds no loop.
	 * Sees all writes queued before the call. */
	EDGED_MUST_CHECK int (*scan)(struct edged_host *host, const char *table, struct edged_slice from,
	        struct edged_slice to, size_t limit,
	        int (*row)(void *arg, struct edged_slice key, struct edged_slice value),
	        void (*end)(void *arg, int result), void *arg);
	/* --- since ABI 1.2 --- */
	/* Queues a record, 1 byte to 16 MiB, behind all that were appended to this log. It takes part in the caller's next
	 * commit(), like a row; a batch that fails leaves none of it. Records of different loops come in the order of their
	 * commits. A log exists once something was appended; a plugin may have 8. -EINVAL, -ENOSPC, -ENOMEM as put(). */
	EDGED_MUST_CHECK int (*append)(struct edged_host *host, const char *log, struct edged_slice record);
	/* Positions are bytes from the very beginning of the log, and only rise: *ret_begin of the oldest record that is
	 * kept, *ret_end behind the newest one that is on the disk. What lies between takes about as many bytes there. Both 0
	 * before the first replay() or commit() of this log since the start. All records that are not on the disk yet when
	 * this is called will lie at *ret_end or behind it. */
	EDGED_MUST_CHECK int (*extent)(
	        struct edged_host *host, const char *log, uint64_t *ret_begin, uint64_t *ret_end);
	/* What lies before the position is not wanted any more: it goes with the caller's next commit(), as far as it fills
	 * whole files; the rest is shown again by replay(). Who needs old records no longer but for a few appends those anew
	 * and trims up to where the log ended before. */
	EDGED_MUST_CHECK int (*trim)(struct edged_host *host, const char *log, uint64_t position);
	/* record() for each record that is on the disk, oldest first, then end(arg, 0 or -EIO). record returns non-zero to be
	 * called no more. They come in batches, so that a long log holds no loop. What is appended meanwhile is not shown. A
	 * part that cannot be read was told in the daemon's log and is left out. */
	EDGED_MUST_CHECK int (*replay)(struct edged_host *host, const char *log,
	        int (*record)(void *arg, struct edged_slice record), void (*end)(void *arg, int result),
	        void *arg);
	/* A joint: batches of several loops that are kept together or not at all. Each of `parts` (1 or more) is given once, on
	 * its loop, to commit_joint(), which is like commit() otherwise, or to leave_joint(), which may be called anywhere: then
	 * nothing of the joint is kept, and its other parts hear -EIO. A part must not wait for done() of another: none is
	 * written before all are there. commit_joint() that returns an error has left. joint() returns 0 or -ENOMEM. */
	EDGED_MUST_CHECK int (*joint)(struct edged_host *host, unsigned parts, struct edged_joint **ret);
	EDGED_MUST_CHECK int (*commit_joint)(struct edged_host *host, struct edged_joint *joint,
	        void (*done)(void *arg, int result), void *arg);
	void (*leave_joint)(struct edged_host *host, struct edged_joint *joint);
};

#ifdef __cplusplus
}
#endif

#endif
