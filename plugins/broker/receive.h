/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of a client that is connected. */
#ifndef BROKER_RECEIVE_H
#define BROKER_RECEIVE_H

#include "client.h"

/* 0, or a reason to close. The client may be closing afterwards. */
int client_receive(struct client *client, const struct frame *frame);

/* "$SYS" is the broker's own, "$share" no topic, and only "$aws" is for everybody among those that begin with "$". */
bool topic_open_to_clients(struct edged_slice topic);

#endif
