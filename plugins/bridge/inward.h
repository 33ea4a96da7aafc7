/* SPDX-License-Identifier: Apache-2.0 */
/* From the other broker to ours. */
#ifndef BRIDGE_INWARD_H
#define BRIDGE_INWARD_H

#include "link.h"

/* SUBSCRIBE for the inward rules. */
void inward_subscribe(struct link *link);
/* PUBLISH, PUBREL and SUBACK; 0 or the reason why the packet is wrong. */
int inward_publish(struct link *link, const struct frame *frame);
int inward_pubrel(struct link *link, const struct frame *frame);
int inward_suback(struct link *link, const struct frame *frame);
/* The connection is gone: nothing is owed any more. */
void inward_reset(struct link *link);
void inward_fini(struct link *link);

#endif
