/* SPDX-License-Identifier: Apache-2.0 */
/* Lists: the named shadows of a thing, and things by what their shadows say. Read from the store page by page. Main loop. */
#ifndef SHADOW_LIST_H
#define SHADOW_LIST_H

#include "filter.h"
#include "gate.h"
#include "service.h"

struct lists;

/* `rows`: as many rows of the store are looked at for one page of things. -ENOMEM. */
int lists_new(const struct service_deps *deps, const struct gate *gate, size_t rows, struct lists **ret);
/* Call when the store calls back no more. Lists that are being made are answered with 500. */
void lists_free(struct lists *lists);

/* Named shadows in order, from after `after` ("" for the start), at most `limit`. The body is that of AWS's
 * ListNamedShadowsForThing. */
void list_named(
        struct lists *lists, const struct shadow_name *after, size_t limit, shadow_answer *answer, void *arg);

/* Things that have the shadow after->name, in order, from behind after->thing ("" for the start), that fit the filter (may
 * be NULL; given): {"data": [{"thing", "connected", "version", "timestamp"[, "state"]}], "cursor": ..}. The
 * cursor is there when there may be more, also after an empty page. account: also those on other nodes, of which only
 * "thing", "node" and "available" are known; those here have these, too. */
struct things_query {
	struct shadow_name after;
	struct filter *filter;
	size_t limit;
	bool state; /* tell the state, too */
	bool account;
	/* Only what it may get (NULL: all); borrowed until list_things() returns. */
	struct edged_identity *identity;
};
void list_things(struct lists *lists, const struct things_query *query, shadow_answer *answer, void *arg);

#endif
