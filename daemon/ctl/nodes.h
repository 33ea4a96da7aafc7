/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about the cluster and its nodes: each returns an exit code. */
#ifndef CTL_NODES_H
#define CTL_NODES_H

#include "ctl/ctl.h"

int nodes_cluster(struct ctl *ctl);
int nodes_roles(struct ctl *ctl);
int nodes_role(struct ctl *ctl);
int nodes_why(struct ctl *ctl);
int nodes_remove(struct ctl *ctl);
int nodes_signer(struct ctl *ctl);
int nodes_signers(struct ctl *ctl);

#endif
