/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters that the other broker's session has subscribed to for rules of former times: MQTT has no way to ask for them, so
 * they are written down (store table "filters": key name, line feed, filter), and taken back when their rules have gone.
 */
#ifndef BRIDGE_FORMER_H
#define BRIDGE_FORMER_H

#include "link.h"

struct former;

/* Reads what is written down, and writes down today's filters. -ENOMEM, or the store's error. */
int former_new(struct link *link, struct former **ret);
void former_free(struct former *former);
/* The link is connected: UNSUBSCRIBE for what is former. present: the other side has kept its session. */
void former_take_back(struct former *former, bool present);
/* UNSUBACK. False: malformed. */
bool former_unsuback(struct former *former, const struct frame *frame);

#endif
