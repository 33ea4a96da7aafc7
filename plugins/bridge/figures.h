/* SPDX-License-Identifier: Apache-2.0 */
/* What a bridge counts. The words in /metrics are those of GET /bridge/v1/bridges; they live as long as the plugin. */
#ifndef BRIDGE_FIGURES_H
#define BRIDGE_FIGURES_H

#include "words.h"

struct figures {
	struct words words; /* first member */
	int64_t *connected, *connects, *failures;
	int64_t *waiting, *in_flight, *bytes; /* outward: the queue */
	int64_t *unsaved, *open;              /* inward: not durable yet; QoS 2 that waits for PUBREL */
	int64_t *delivered_out, *delivered_in;
	int64_t *dropped_queue;                  /* outward: the queue was full, or they expired */
	int64_t *dropped_refused, *dropped_size; /* outward: the other broker did not take them */
	int64_t *dropped_stale;                  /* outward: no rule any more */
	int64_t *dropped_out_loop, *dropped_in_loop;
	int64_t *dropped_unmapped,
	        *dropped_local; /* inward: no rule; our broker does not take such a message */
};

/* Those of that name, made when there are none yet. NULL: no memory. */
struct figures *figures_get(
        struct words **all, struct edged_host *host, const struct edged_metrics_1 *metrics, const char *name);

#endif
