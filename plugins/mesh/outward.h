/* SPDX-License-Identifier: Apache-2.0 */
/* To another node: our filters, the messages of its queue, and its acknowledgements. */
#ifndef MESH_OUTWARD_H
#define MESH_OUTWARD_H

#include "peer.h"

extern const struct edged_session_handler outward_handler; /* arg: struct peer */
extern const struct edged_channel_carrier outward_carrier; /* arg: struct mesh */

/* HELLO, and all our filters. */
void outward_greet(struct peer *peer);
/* Tells all who are connected what has changed of our filters. */
void outward_changes(struct mesh *mesh);
/* A retained message that it has missed. */
void outward_missed(struct peer *peer, const struct edged_session_message *message);
/* An acknowledgement of something that was sent. */
void outward_acked(struct peer *peer, const struct mesh_ack *ack);
void outward_ack(struct peer *peer, const struct mesh_ack *ack);

#endif
