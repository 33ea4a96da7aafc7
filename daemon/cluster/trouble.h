/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with the cluster, as this node sees it, in sentences for the operator. */
#ifndef CLUSTER_TROUBLE_H
#define CLUSTER_TROUBLE_H

#include "cluster/cluster_json.h"

/* ,"warnings":[{"type":...,"text":...}] */
void cluster_add_warnings(struct json *j, const struct cluster *c);

#endif
