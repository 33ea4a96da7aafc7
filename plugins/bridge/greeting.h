/* SPDX-License-Identifier: Apache-2.0 */
/* The first packets of a connection and its last one: CONNECT, CONNACK, DISCONNECT. */
#ifndef BRIDGE_GREETING_H
#define BRIDGE_GREETING_H

#include "link.h"

/* CONNECT, with the password from its file: a few bytes, read anew each time so that a changed one counts. */
void greeting_send(struct link *link);
/* 0, or the reason why the packet is wrong. */
int greeting_connack(struct link *link, const struct frame *frame);
int greeting_disconnect(struct link *link, const struct frame *frame);

#endif
