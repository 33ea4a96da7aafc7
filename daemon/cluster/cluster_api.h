/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster as REST shows it. */
#ifndef CLUSTER_CLUSTER_API_H
#define CLUSTER_CLUSTER_API_H

#include "edged/plugin.h"

/* The routes; their `self` is the cluster. */
const struct edged_route *cluster_routes(void);

#endif
