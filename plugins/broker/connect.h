/* SPDX-License-Identifier: Apache-2.0 */
/* CONNECT: who is it, may it, on which loop does its session live, and which state does it find there. */
#ifndef BROKER_CONNECT_H
#define BROKER_CONNECT_H

#include "client.h"

/* The first packet of a connection. 0, or a reason to close without CONNACK. */
int client_connect(struct client *client, const struct frame *frame);
/* The packets that come while authentication is going on. 0, or a reason to close. */
int client_authenticate(struct client *client, const struct frame *frame);

#endif
