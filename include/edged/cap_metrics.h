/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability "edged.metrics/1": figures in /metrics (Prometheus text format 0.0.4).
 *
 * A figure is a 64-bit word that the plugin changes and the daemon reads. Words may be changed from any thread with
 * edged_metric_add() / edged_metric_set(). Names get the prefix `edged_`; a counter's name ends in `_total`.
 */
#ifndef EDGED_CAP_METRICS_H
#define EDGED_CAP_METRICS_H

#include "edged/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDGED_METRICS_1 "edged.metrics/1"

enum edged_metric_type { EDGED_COUNTER = 1, EDGED_GAUGE };

struct edged_metrics_1 {
	uint32_t struct_size;
	/* A new figure, starting at 0, gone when the plugin stops. `labels` is text such as `qos="1"` or NULL; name and
	 * labels together are unique. Never NULL: when there is no memory or the limit of figures (1,000 for each
	 * plugin) is reached, it is a word that nobody reads, and the log says so. */
	int64_t *(*figure)(struct edged_host *host, enum edged_metric_type type, const char *name,
	        const char *labels, const char *help);
};

static inline void edged_metric_add(int64_t *figure, int64_t n)
{
	__atomic_fetch_add(figure, n, __ATOMIC_RELAXED);
}

static inline void edged_metric_set(int64_t *figure, int64_t n)
{
	__atomic_store_n(figure, n, __ATOMIC_RELAXED);
}

#ifdef __cplusplus
}
#endif

#endif
