/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects on the disk, bounded: their index is in memory, their bodies are not. What has expired goes when somebody asks for
 * it; when room is needed, those go that were used least recently, expired or not. After a restart that order begins with the
 * order of keys. Main loop.
 */
#ifndef CACHE_OBJECTS_H
#define CACHE_OBJECTS_H

#include "edged/cap_log.h"
#include "edged/cap_metrics.h"
#include "edged/cap_store.h"
#include "index.h"

struct objects;

/* Borrowed, outlives it. */
struct objects_deps {
	struct edged_host *host;
	const struct edged_log_1 *log;
	const struct edged_store_1 *store;
	const struct edged_metrics_1 *metrics;
	size_t bytes;           /* of all bodies together */
	size_t count;           /* of objects */
	uint64_t (*wall)(void); /* ms since 1970 */
};
int objects_new(const struct objects_deps *deps, struct objects **ret);
void objects_free(struct objects *objects);

/* Reads the index; done(arg, 0 or -EIO), then it is ready. 0, or -ENOMEM: not called. */
int objects_load(struct objects *objects, void (*done)(void *arg, int result), void *arg);
/* Not while the index is being read: at the start, and after the disk has failed. Nothing else may be called then. */
bool objects_ready(const struct objects *objects);

/* NULL: none, or it has expired. Valid until the next call of anything here. */
const struct object *objects_find(struct objects *objects, struct edged_slice key);
/* Stores an object with that key, type and life, and its body of at most `bytes`, in the place of the one that is there;
 * done(arg, 0) when it is on the disk, done(arg, -ENOSPC or -EIO) when it cannot be: then all is as before. *ret_tag is its
 * tag. -ENOMEM and -ENOSPC (too much is queued): done is not called; an object that was to be replaced may be gone. */
int objects_put(struct objects *objects, const struct object *object, struct edged_slice body,
        void (*done)(void *arg, int result), void *arg, uint64_t *ret_tag);
/* As objects_put(). -ENOENT: there is none. */
int objects_delete(
        struct objects *objects, struct edged_slice key, void (*done)(void *arg, int result), void *arg);
/* The body of one that objects_find() gave; counts as a use. */
int objects_body(struct objects *objects, const struct object *object,
        void (*found)(void *arg, int result, struct edged_slice body), void *arg);
/* Those whose keys begin with `prefix` and come behind `after` ("": all), in the order of keys, expired ones too;
 * each() returns non-zero to be called no more. */
int objects_list(struct objects *objects, struct edged_slice prefix, struct edged_slice after,
        int (*each)(void *arg, const struct object *object), void (*end)(void *arg, int result), void *arg);
bool object_expired(const struct objects *objects, const struct object *object);

#endif
