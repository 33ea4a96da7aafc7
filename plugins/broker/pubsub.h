/* SPDX-License-Identifier: Apache-2.0 */
/* "edged.pubsub/1": publishing and subscribing inside the process, on shard 0. */
#ifndef BROKER_PUBSUB_H
#define BROKER_PUBSUB_H

#include "shard.h"

int pubsub_new(struct broker *broker, struct pubsub **ret);
void pubsub_free(struct pubsub *pubsub);
const struct edged_pubsub_1 *pubsub_capability(struct pubsub *pubsub);

#endif
