/* SPDX-License-Identifier: Apache-2.0 */
/* From our broker to the other one. */
#ifndef BRIDGE_OUTWARD_H
#define BRIDGE_OUTWARD_H

#include "link.h"

extern const struct edged_session_handler outward_handler; /* arg: the link */

/* Its session's subscriptions are those of the outward rules. again: what is retained goes out anew. */
int outward_subscribe(struct link *link, bool again);
/* PUBACK, PUBREC, PUBCOMP; 0 or the reason why the packet is wrong. */
int outward_ack(struct link *link, const struct frame *frame);

#endif
