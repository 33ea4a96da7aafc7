/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configured nodes: "HOST:PORT" each. Asked for their key at growing intervals (1 s to 60 s) until they are members, and
 * again when they are lost. Host names are resolved without blocking. Main loop only.
 */
#ifndef CLUSTER_SEEDS_H
#define CLUSTER_SEEDS_H

#include "core/peer_addr.h"
#include "io/loop.h"

struct seeds;

/* `list` NULL-terminated, copied; a seed that is no HOST:PORT is an error with a sentence. `ask` and `connected` as their
 * names say. */
EDGED_MUST_CHECK int seeds_new(struct loop *loop, const char *const *list,
        void (*ask)(void *arg, const struct peer_addr *addr),
        bool (*connected)(void *arg, const struct peer_addr *addr), void *arg, struct seeds **ret,
        struct err *err);
void seeds_free(struct seeds *seeds);
/* Members came or went, or the network changed: look again now. */
void seeds_look(struct seeds *seeds);

#endif
