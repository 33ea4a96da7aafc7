/* SPDX-License-Identifier: Apache-2.0 */
/* From a message to its receivers: those of this shard, retained messages, the other shards. */
#ifndef BROKER_PUBLISH_H
#define BROKER_PUBLISH_H

#include "shard.h"

struct outcome {
	unsigned receivers; /* on this shard */
	bool wait;          /* an acknowledgement has to wait for the turn */
	bool refused;       /* some receiver or the retained store had no room */
	bool lost; /* no memory, or no store, to keep it for some receiver: it must not be acknowledged */
	bool alone; /* memory is short, and another shard may refuse it: the caller closes the turn (turn_close()) after
	             * its acknowledgement, so that the answer is about this message only */
};

/* Publishes; `from` is the publisher's session or NULL. 0; -ENOBUFS: memory is short, and nobody has got it; -ENOMEM or the
 * store's error: not all have got it. */
int shard_publish(struct shard *shard, const struct message_parts *parts, const struct session *from,
        struct outcome *ret);
/* Gives a message that came from another shard to the receivers here. As shard_publish(). */
int shard_distribute(
        struct shard *shard, struct message *message, const struct session *from, struct outcome *ret);
/* Gives it to the member of a shared subscription that was picked, who lives here. 0; -ENOSPC: no room; -ENOBUFS: memory
 * is short, and it would have to wait; -ESTALE: it has ended. */
int shard_hand_pick(
        struct shard *shard, struct message *message, const struct pick *pick, struct outcome *outcome);
/* A will; takes the caller's reference. from: the session that left it, or NULL when that has ended. */
void shard_publish_will(struct shard *shard, struct message *will, const struct session *from);
/* Would a message on this topic have a receiver? */
bool shard_wanted(struct shard *shard, struct edged_slice topic);
/* Shard 0: keeps or removes (empty payload) a retained message, unless it is older than the one there. -ENOSPC: over a
 * limit. */
int shard_retain(struct shard *shard, struct message *message, bool *ret_wrote);
/* Shard 0: is that message newer than what is retained on its topic, or was deleted there? */
bool shard_newer(struct shard *shard, struct edged_slice topic, uint64_t stamp, struct edged_slice payload);
/* Shard 0: removes the retained message of a topic, on other nodes, too. 0, or the store's error. */
int shard_forget_retained(struct shard *shard, struct edged_slice topic);

#endif
