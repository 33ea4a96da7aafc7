/* SPDX-License-Identifier: Apache-2.0 */
/* What other nodes are told of the shadows here, and answered. Main loop only. */
#ifndef SHADOW_PUSH_H
#define SHADOW_PUSH_H

#include "peers.h"

void push_page(struct peer *peer, const struct frame *frame);
void push_copies(struct peer *peer, const struct frame *frame);
void push_changed(void *peers, const struct shadow_name *name, const struct document *document, bool appears);
void push_room(struct peer *peer);
void push_have(struct peer *peer, const struct shadow_name *name, const struct claim *claim);
/* Copies of shadows whose home is away, for one who keeps copies. */
void push_relay(struct peer *peer);
void push_end(struct peer *peer);
void push_answer(struct peer *peer, const struct frame *frame);

#endif
