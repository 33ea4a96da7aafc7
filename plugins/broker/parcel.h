/* SPDX-License-Identifier: Apache-2.0 */
/* Between shards: messages of one turn in one parcel, and questions to the owner of the retained messages. */
#ifndef BROKER_PARCEL_H
#define BROKER_PARCEL_H

#include "shard.h"

/* Puts the message into the parcels for the other shards that want it; retained ones go to shard 0 in any case.
 * -ENOMEM. */
int parcels_add(struct shard *shard, struct message *message, bool *ret_wait);
/* The same for the one member of a shared subscription; takes the pick unless it fails. */
int parcels_pick(struct shard *shard, struct message *message, struct pick *pick, bool *ret_wait);
/* End of the turn: they go. The turn (may be NULL) waits for those whose messages have to be durable over there. */
void parcels_post(struct shard *shard, struct turn *turn);
void parcels_free(struct shard *shard);
/* Are there parcels to be posted? */
bool parcels_waiting(const struct shard *shard);

/* Asks for the retained messages that match and lines them up for the session, here or from shard 0. */
int retained_ask(struct session *session, struct edged_slice filter, uint8_t qos, uint32_t id);

#endif
