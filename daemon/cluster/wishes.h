/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this node's operator wishes of roles: pinned to this node, or vetoed here. Kept in STATE/cluster/roles, a line for
 * each: "pin cache", "veto networkProxy". The node's gossip record tells them to the supernode (core/roles.h). Main loop
 * only.
 */
#ifndef CLUSTER_WISHES_H
#define CLUSTER_WISHES_H

#include "base/err.h"
#include "core/roles.h"

/* Bits by enum role. */
struct wishes {
	uint8_t pinned, vetoed;
};

enum wish { WISH_NONE, WISH_PIN, WISH_VETO, WISH_COUNT };
const char *wish_name(enum wish wish); /* "none", "pin", "veto" */
enum wish wish_of(const struct wishes *wishes, enum role role);

/* None when there is no file. -EINVAL: it is damaged. */
EDGED_MUST_CHECK int wishes_load(const char *folder, struct wishes *ret, struct err *err);
/* Durable on return; nothing has changed on failure. */
EDGED_MUST_CHECK int wishes_set(
        struct wishes *wishes, const char *folder, enum role role, enum wish wish, struct err *err);

#endif
