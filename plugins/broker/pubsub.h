/* SPDX-License-Identifier: Apache-2.0 */
/* "edged.pubsub/1": publishing and subscribing inside the process, on shard 0. */
#ifndef BROKER_PUBSUB_H
#define BROKER_PUBSUB_H

#include "shard.h"

int pubsub_new(struct broker *broker, struct pubsub **ret);
void pubsub_free(struct pubsub *pubsub);
/* As publish() of edged_pubsub_1, in the name of the author, who may; its `who` is NULL: nobody's. */
EDGED_MUST_CHECK int pubsub_publish(struct pubsub *pubsub, const struct edged_message *message,
        const struct author *author, void (*done)(void *arg, int result), void *arg);
const struct edged_pubsub_1 *pubsub_capability(struct pubsub *pubsub);

#endif
