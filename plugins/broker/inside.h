/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "edged.session/1": sessions whose client is a plugin inside the process, on shard 0. Towards the rest of the broker such a
 * client is a struct client without a stream; client.c sends through here.
 */
#ifndef BROKER_INSIDE_H
#define BROKER_INSIDE_H

#include "client.h"
#include "edged/cap_session.h"

#define INSIDE_PREFIX "$plugin/" /* of the client id; refused to all who come through a stream */

struct insides; /* see inside_open.h */

static inline bool inside_id(struct edged_slice client_id)
{
	return edged_slice_starts(client_id, INSIDE_PREFIX);
}

/* For client.c, as the functions of the same names do for streams. */
bool inside_send(struct client *client, const struct delivery *delivery, uint16_t id, bool dup);
void inside_release(struct client *client, uint16_t id);
void inside_part(struct client *client, uint8_t reason);
bool inside_has_room(const struct client *client);

/* The next open session that stands for another node, from slot *at on; NULL: no more. */
struct session *inside_node(const struct insides *all, uint32_t *at);

/* Is its queue full for that message? Makes room when that is its policy; counts what it drops. */
bool inside_full(struct session *session, const struct message *message);
/* Its queue has grown. */
void inside_changed(const struct session *session);
/* So many of its messages were dropped for another reason. */
void inside_dropped(const struct session *session, uint32_t count);

#endif
