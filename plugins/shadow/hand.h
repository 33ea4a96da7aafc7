/* SPDX-License-Identifier: Apache-2.0 */
/* One shadow, two homes: which one stays, and how the other one gives it what it has. Main loop only. */
#ifndef SHADOW_HAND_H
#define SHADOW_HAND_H

#include "peers.h"

/* This node may have the shadow as well: finds out, and what follows. */
void hand_check(struct peer *peer, const struct shadow_name *name, const struct claim *theirs);

#endif
