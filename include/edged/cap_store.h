/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability "edged.store/1": durable named tables of key-value pairs, ordered by key (memcmp order).
 *
 * Each plugin has tables of its own; a table exists once something was put into it. Work is queued and done in order
 * by the store's thread; many commits are grouped into one transaction (a few ms). What commit() has reported as done
 * survives kill -9 and power cut. Any loop may call; callbacks run on the loop that called, in order. Keys and values
 * are copied. Keys: 1..1,024 bytes; values: up to 16 MiB.
 */
#ifndef EDGED_CAP_STORE_H
#define EDGED_CAP_STORE_H

#include "edged/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDGED_STORE_1 "edged.store/1"

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
};

#ifdef __cplusplus
}
#endif

#endif
