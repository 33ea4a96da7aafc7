/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events about clients, as AWS IoT has them (developer guide, "Lifecycle events"), on $aws/events/presence/connected/ID,
 * .../disconnected/ID, .../connect_failed/ID and $aws/events/subscriptions/subscribed/ID, .../unsubscribed/ID. They are made when somebody would
 * get them; not for client ids that hold "+" or "#". On the client's loop.
 */
#ifndef BROKER_LIFECYCLE_H
#define BROKER_LIFECYCLE_H

#include "client.h"

void lifecycle_connected(const struct client *client);
/* It may not come in under that name. */
void lifecycle_refused(const struct client *client, struct edged_slice id);
/* The session's client is still the one that goes. */
void lifecycle_disconnected(const struct session *session);
/* SUBSCRIBE or UNSUBSCRIBE; codes: the answers to its filters. */
void lifecycle_filters(const struct client *client, const struct frame *frame, const uint8_t *codes);

#endif
