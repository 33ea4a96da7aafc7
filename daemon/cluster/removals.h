/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing nodes from the account, and hearing of it.
 *
 * `DELETE /mds/v1/nodes/{id}`, by the owner on the node that holds the account's key, puts a node on the account's list
 * (removal_list.h). Each node tells the version of its list in its gossip record; who has an older one asks one of those
 * who tell (`GET /edge/v1/account/removed`) over a link, believes the account's signature and nothing else, keeps the
 * list, and tells its version in turn: so it reaches all that are there within a few round trips, and those that were
 * away when they come back. Nodes that are asked in vain are tried again at growing intervals. Main loop only.
 */
#ifndef CLUSTER_REMOVALS_H
#define CLUSTER_REMOVALS_H

#include "cluster/nodes.h"
#include "core/router.h"

struct identity;
struct links;
struct loop;
struct removals;

enum {
	REMOVALS_ANSWER_MS = 5000, /* for a node to begin its answer */
	REMOVALS_RETRY_MS = 500,   /* after a first failure; doubles with each */
	REMOVALS_RETRY_MAX = 60000,
	REMOVALS_GAP_MS = 50, /* between two questions, however many tell of news */
};

/* Borrowed, outlives it. */
struct removals_deps {
	struct loop *loop;
	struct identity *identity;
	struct links *links;
	struct requests *requests;
	struct router *router;
	/* As cluster_find() and cluster_newer_removals(). */
	bool (*find)(void *arg, struct edged_slice id, struct node_record *ret, bool *ret_ambiguous);
	bool (*source)(void *arg, uint64_t above, const char *but, char ret_id[NODE_ID_LEN + 1]);
	/* That node was removed: what there is with it is to end now. */
	void (*removed)(void *arg, const char *node_id);
	/* The list has changed: its version is to be told. */
	void (*changed)(void *arg);
	void *arg;
};
/* Adds its routes. */
EDGED_MUST_CHECK int removals_new(const struct removals_deps *deps, struct removals **ret, struct err *err);
void removals_free(struct removals *removals);
/* Perhaps somebody has a newer list: members or their records have changed. */
void removals_look(struct removals *removals);

/* For /metrics. */
struct removals_counts {
	uint64_t removed;             /* now: nodes on the list */
	uint64_t questions, failures; /* since the start */
};
struct removals_counts removals_counts(const struct removals *removals);

#endif
