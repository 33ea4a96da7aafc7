/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about other nodes: each returns an exit code. */
#ifndef CTL_NODES_H
#define CTL_NODES_H

#include "ctl/ctl.h"

int nodes_remove(struct ctl *ctl);

#endif
