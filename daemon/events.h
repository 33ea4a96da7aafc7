/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens on this node and in its cluster, as server-sent events at GET /edge/v1/events. The last 256 events are
 * kept, so that a client that reconnects with Last-Event-ID misses nothing in between. Main loop only.
 */
#ifndef EVENTS_H
#define EVENTS_H

#include "base/err.h"
#include "core/router.h"

struct events;

EDGED_MUST_CHECK int events_new(struct requests *requests, struct events **ret);
void events_free(struct events *events);
/* One event: type such as "nodeJoined", data a JSON object as text. */
void events_emit(struct events *events, const char *type, struct edged_slice json);
/* The handler of GET /edge/v1/events. */
int events_serve(struct events *events, edged_handle request);

#endif
