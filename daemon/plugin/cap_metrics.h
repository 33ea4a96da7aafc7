/* SPDX-License-Identifier: Apache-2.0 */
/* `edged.metrics/1` for plugins. */
#ifndef PLUGIN_CAP_METRICS_H
#define PLUGIN_CAP_METRICS_H

#include "edged/cap_metrics.h"

extern const struct edged_metrics_1 cap_metrics;

#endif
