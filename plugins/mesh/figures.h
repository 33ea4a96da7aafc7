/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted for each node. The words in /metrics are those of GET /mesh/v1/peers; they live as long as the plugin. */
#ifndef MESH_FIGURES_H
#define MESH_FIGURES_H

#include "../bridge/words.h"

struct figures {
	struct words words; /* first member */
	int64_t *connected, *connects, *failures;
	int64_t *waiting, *in_flight, *bytes; /* messages for it, and what both take */
	int64_t *sent, *received;
	int64_t *filters;                             /* that it told */
	int64_t *duplicates;                          /* came again, and were known */
	int64_t *dropped_queue, *dropped_size;        /* for it: no room, expired; longer than it takes */
	int64_t *dropped_refused, *dropped_stays_out; /* for it: it did not take them; they do not travel */
	int64_t *dropped_invalid, *dropped_stays_in;  /* from it: our broker does not take such; likewise */
};

/* Those of that node, made when there are none yet. NULL: no memory. */
struct figures *figures_get(
        struct words **all, struct edged_host *host, const struct edged_metrics_1 *metrics, const char *name);

#endif
