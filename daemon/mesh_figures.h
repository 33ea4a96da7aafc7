/* SPDX-License-Identifier: Apache-2.0 */
/* What /metrics shows of the cluster, its links, joining and the proxy. */
#ifndef MESH_FIGURES_H
#define MESH_FIGURES_H

#include "base/err.h"

struct mesh_parts;
struct metrics;

/* `parts` outlive the reading of them. Removed with metrics_remove(metrics, owner), also after a failure. */
EDGED_MUST_CHECK int mesh_figures_add(
        struct metrics *metrics, const void *owner, const struct mesh_parts *parts);

#endif
