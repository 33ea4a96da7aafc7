/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MESH_REST_H
#define MESH_REST_H

#include "peer.h"

/* {"data": [...]}: the nodes that messages go to and come from. malloc'ed; NULL: no memory. */
char *rest_peers(struct mesh *mesh);

#endif
