/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shadows whose home is another node: which there are, and copies of them. An index in memory, as it is on the disk; copies are on
 * the disk only. Bounded: what does not fit is not remembered, and counted. Main loop only.
 */
#ifndef SHADOW_OTHERS_H
#define SHADOW_OTHERS_H

#include <sys/queue.h>
#include "edged/cap_log.h"
#include "edged/cap_metrics.h"
#include "edged/cap_store.h"
#include "frames.h"

#define HOME_ID    56 /* characters of a node's id */
#define HOMES_MOST 1000

/* A node that is, or was, home of shadows. It stays until the daemon ends. */
struct home {
	LIST_ENTRY(home) link;
	char id[HOME_ID + 1];
	int64_t as_of;           /* s since 1970: until then its copies here were as its own; 0: unknown */
	uint32_t round;          /* see others_round() */
	struct peer *peer;       /* peers.c; NULL: not seen since the start */
	int64_t shadows, copies; /* homes.c: while they are counted */
};

struct other_thing;

/* A shadow elsewhere. */
struct other {
	LIST_ENTRY(other) link;
	struct other_thing *thing;
	struct home *home;
	struct claim claim; /* as it was told last */
	int64_t version;    /* of the copy; 0: there is none, or it is a former home's */
	int64_t copied;     /* s since 1970: when the copy was its home's */
	size_t bytes;       /* of the copy; 0: there is none */
	uint32_t round;
	bool checked; /* since the start: whether this node has it as well */
	char name[];  /* of the shadow */
};

LIST_HEAD(other_list, other);

struct others_deps {
	struct edged_host *host;
	const struct edged_log_1 *log;
	const struct edged_store_1 *store;
	const struct edged_metrics_1 *metrics;
	size_t count; /* of shadows, at most */
	size_t bytes; /* of copies, at most */
};

struct others;

EDGED_MUST_CHECK int others_new(const struct others_deps *deps, struct others **ret);
void others_free(struct others *others);
/* Reads what there was before; loaded(arg, 0 or an error of the store) once. */
EDGED_MUST_CHECK int others_load(struct others *others, void (*loaded)(void *arg, int result), void *arg);

/* The node of that id, made when there is none. NULL: no memory, not an id, or too many. */
struct home *others_home(struct others *others, struct edged_slice id);
/* NULL: none of that id is known. */
const struct home *others_known_home(const struct others *others, struct edged_slice id);
void others_each_home(struct others *others, void (*each)(void *arg, struct home *home), void *arg);
/* Its copies were as its own until now. */
void others_as_of(struct others *others, struct home *home, int64_t seconds);

size_t others_count(const struct others *others);
size_t others_copies(const struct others *others);
struct other *others_find(struct others *others, const struct shadow_name *name);
/* All shadows of a thing, in no order; NULL: there are none. */
struct other *others_of_thing(struct others *others, const char *thing);
void other_name(const struct other *other, struct shadow_name *ret);

/* That node says that it is the home. What another one says with a better claim stays. NULL: that, or no room. */
struct other *others_set(
        struct others *others, const struct shadow_name *name, struct home *home, const struct claim *claim);
/* Keeps a copy of that claim; false: no room. */
bool others_keep(struct others *others, struct other *other, const struct claim *claim,
        struct edged_slice text, int64_t copied);
void others_drop(struct others *others, struct other *other);
void others_drop_copies(struct others *others);
/* The copy: as edged_store_1.get(). */
EDGED_MUST_CHECK int others_text(struct others *others, const struct shadow_name *name,
        void (*found)(void *arg, int result, struct edged_slice value), void *arg);

/* Which of a home's are there no more? Between others_round() and others_sweep() those that others_set() names are. */
void others_round(struct home *home);
void others_sweep(struct others *others, const struct home *home);
/* Of things behind `after` the shadow of that name, in the order of things, as long as each() returns true. */
void others_named(struct others *others, const char *after, const char *name,
        bool (*each)(void *arg, const struct other *other), void *arg);
void others_each(struct others *others, void (*each)(void *arg, struct other *other), void *arg);

#endif
