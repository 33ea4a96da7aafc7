/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared cache for what other nodes answer (RFC 9111), as the proxy uses it (edged/cap_proxy.h); says what it did in
 * Cache-Status (RFC 9211). Main loop.
 */
#ifndef CACHE_SHARED_H
#define CACHE_SHARED_H

#include "answers.h"

enum { SHARED_NAME = 16 };

struct exchange;

struct shared {
	struct answers answers;
	char name[SHARED_NAME]; /* of this cache in Cache-Status: a token */
	LIST_HEAD(, exchange) open;
	/* Milliseconds of a clock that is never set and runs while the host sleeps; seconds since 1970. */
	uint64_t (*now)(void);
	int64_t (*wall)(void);
	/* NULL: not counted */
	int64_t *hits, *misses, *validated, *stale, *stored, *invalidated, *evicted, *count, *bytes;
	/* what was last returned */
	struct edged_http_field fields[ANSWER_FIELDS + 2];
	char age[24], status[96];
};

/* `node_id`: of this node. The limits as in answers_init(). */
void shared_init(struct shared *shared, const char *node_id, size_t count, size_t bytes, size_t answer);
/* No exchange is open any more. */
void shared_fini(struct shared *shared);
/* For the proxy, with `self` the shared cache. */
const struct edged_proxy_cache *shared_functions(void);
/* answers_purge(), and counted. */
size_t shared_purge(struct shared *shared, struct edged_slice prefix);

#endif
