/* SPDX-License-Identifier: Apache-2.0 */
/* GET /edge/v1/roles, and PUT /edge/v1/roles/{role}, by which the operator pins and vetoes roles on this node. */
#ifndef CLUSTER_ROLES_API_H
#define CLUSTER_ROLES_API_H

#include "edged/plugin.h"

int cluster_serve_roles(void *cluster, edged_handle request);
int cluster_serve_wish(void *cluster, edged_handle request);

#endif
