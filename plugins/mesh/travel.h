/* SPDX-License-Identifier: Apache-2.0 */
/* What goes to other nodes. Pure. */
#ifndef MESH_TRAVEL_H
#define MESH_TRAVEL_H

#include "edged/slice.h"

#define TRAVEL_FILTERS 100

struct travel {
	struct edged_slice filters[TRAVEL_FILTERS]; /* the operator's: what matches none of them stays here */
	size_t count;
};

/*
 * Does a message on this topic travel? What begins with "$" is a node's own, but for $aws/; of that, events about clients
 * ($aws/events/) stay as well, and requests to a shadow ($aws/things/THING/shadow/update and the like) are for the shadow
 * service of the node where they are made, which asks that of the shadow's home.
 */
bool topic_travels(const struct travel *travel, struct edged_slice topic);
/* Is a subscription to this filter, as edged_pubsub_1.interest() tells it ("$share/..." too), worth telling other nodes? */
bool filter_travels(struct edged_slice filter);

#endif
