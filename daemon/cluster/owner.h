/* SPDX-License-Identifier: Apache-2.0 */
/* What only the owner may do, on the node itself. */
#ifndef CLUSTER_OWNER_H
#define CLUSTER_OWNER_H

#include "core/request.h"

/* Is it the owner's own hand: admitted by the access key or as the Unix socket's owner, on this machine, and not passed on
 * by a node, be it of the account? False: the request is answered with 403. */
bool owner_asks(struct requests *requests, edged_handle request);

#endif
