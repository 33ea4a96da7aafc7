/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine is: for the node's own record, and for how fit it is for what. */
#ifndef CLUSTER_HOST_INFO_H
#define CLUSTER_HOST_INFO_H

#include "core/gossip_wire.h"

/* Fills in os, kernel, cpu, cores, memory, storage (free, below `folder`), and of the rank: mains, uplink, link, capacity.
 * What cannot be found out stays empty, with the modest class. Reads a few files below /proc and /sys. */
void host_info_read(const char *folder, struct node_description *ret);

#endif
