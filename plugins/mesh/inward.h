/* SPDX-License-Identifier: Apache-2.0 */
/* From another node: its filters, which become the subscriptions of its session, and its messages, for subscribers here. */
#ifndef MESH_INWARD_H
#define MESH_INWARD_H

#include "peer.h"

void inward_frame(struct peer *peer, const struct mesh_frame *frame);
/* The connection has ended. */
void inward_reset(struct peer *peer);

#endif
