/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/cap_metrics.h"

#include "plugin/context.h"
#include "plugin/metrics.h"

static int64_t *figure(struct edged_host *host, enum edged_metric_type type, const char *name,
        const char *labels, const char *help)
{
	struct plugin_context *context = context_of(host);
	return metrics_figure(context->deps->metrics, context, type, name, labels, help);
}

const struct edged_metrics_1 cap_metrics = { .struct_size = sizeof(cap_metrics), .figure = figure };
