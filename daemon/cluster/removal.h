/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes that were removed from this node's account (removal_list.h), as part of its identity: kept in
 * STATE/identity/removed, made where the account's key is, taken from others with a version above ours. From the moment
 * a list is in use no certificate of a node on it is believed. Main loop only, but for identity_is_removed().
 */
#ifndef CLUSTER_REMOVAL_H
#define CLUSTER_REMOVAL_H

#include "base/err.h"
#include "cluster/removal_list.h"

struct identity;

/* Not NULL. */
const struct removal_list *identity_removed(const struct identity *identity);
/* Its text, empty: there is none. Valid until the list changes. */
struct edged_slice identity_removed_text(const struct identity *identity);
/* Is that node removed now? Any thread. */
bool identity_is_removed(const struct identity *identity, const uint8_t id[32]);

/* Removes a node, durably. -EACCES: the account's key is not here; -EINVAL: no node's id, or this node's own; -EALREADY:
 * it is removed; -ENOSPC: the list is full; others with a sentence. */
EDGED_MUST_CHECK int identity_remove(struct identity *identity, const char *node_id, struct err *err);
/* The owner has invited it anew. Zero also when it was not removed; -EACCES: it was, and the account's key is not here. */
EDGED_MUST_CHECK int identity_readmit(struct identity *identity, const char *node_id, struct err *err);
/* A list from another node. REMOVED_KNOWN: ours is as new. Errors as removal_list_read(); when it cannot be kept on disk
 * it is in use nevertheless, and the error is logged. */
#define REMOVED_KNOWN 1
EDGED_MUST_CHECK int identity_take_removed(struct identity *identity, struct edged_slice text);

/* Called after another list is in use. */
void identity_on_removed(struct identity *identity,
        void (*removed)(void *arg, const struct removal_list *before, const struct removal_list *now),
        void *arg);

#endif
