/* SPDX-License-Identifier: Apache-2.0 */
/* SUBSCRIBE and UNSUBSCRIBE. */
#ifndef BROKER_SUBSCRIBE_H
#define BROKER_SUBSCRIBE_H

#include "client.h"

int receive_subscribe(struct client *client, const struct frame *frame);
int receive_unsubscribe(struct client *client, const struct frame *frame);
/* Subscriptions that its client may not have any more go. */
void subscriptions_judge(struct session *session);

#endif
