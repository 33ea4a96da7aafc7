/* SPDX-License-Identifier: Apache-2.0 */
/* Bridges over REST: their state as JSON. */
#ifndef BRIDGE_REST_H
#define BRIDGE_REST_H

#include "link.h"

/* The state of a bridge as JSON text, malloc'ed; NULL: no memory. */
char *rest_bridge(struct link *link);
/* {"data": [...]} of all. */
char *rest_bridges(struct link *const *links, size_t count);

#endif
