/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of figures behind /metrics (Prometheus text format 0.0.4). Figures may be changed from any thread;
 * adding, removing and printing happen on the main loop. */
#ifndef PLUGIN_METRICS_H
#define PLUGIN_METRICS_H

#include "edged/cap_metrics.h"
#include "base/buf.h"
#include "base/err.h"

struct metrics;

EDGED_MUST_CHECK int metrics_new(struct metrics **ret);
void metrics_free(struct metrics *metrics);
/* See edged/cap_metrics.h. `owner` groups them for removal. */
int64_t *metrics_figure(struct metrics *metrics, const void *owner, enum edged_metric_type type,
        const char *name, const char *labels, const char *help);
/* A figure that is read by a function when /metrics is asked for. */
EDGED_MUST_CHECK int metrics_read(struct metrics *metrics, const void *owner, enum edged_metric_type type,
        const char *name, const char *labels, const char *help, int64_t (*read)(void *arg), void *arg);
void metrics_remove(struct metrics *metrics, const void *owner);
EDGED_MUST_CHECK int metrics_print(struct metrics *metrics, struct buf *out);

#endif
