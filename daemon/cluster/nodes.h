/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this node knows of the others, for those who want to reach them (links, proxy). Filled by membership and
 * discovery; a node that has gone keeps its record until its tombstone ends.
 */
#ifndef CLUSTER_NODES_H
#define CLUSTER_NODES_H

#include <stdbool.h>
#include <stdint.h>
#include "edged/slice.h"
#include "core/nodeid.h"

struct cluster;

struct node_record {
	char id[NODE_ID_LEN + 1];
	char name[64];
	char account[NODE_ID_LEN + 1]; /* account id, "" for none */
	char addresses[8]
	              [64]; /* where its secure port is: "192.0.2.7:8443"; same network first; "" ends it */
	bool reachable;     /* membership believes it alive */
	bool self;
	uint64_t last_seen_ms; /* wall clock */
};

/* False when nobody of that id is known. A unique prefix of at least 8 characters is accepted, and a name that only one
 * node has; *ret_ambiguous (may be NULL) says that there were several. */
bool cluster_find(
        const struct cluster *cluster, struct edged_slice id, struct node_record *ret, bool *ret_ambiguous);

#endif
