/* SPDX-License-Identifier: Apache-2.0 */
/* What only the owner may do, on the node itself, and what needs the account's key. */
#ifndef CLUSTER_OWNER_H
#define CLUSTER_OWNER_H

#include "cluster/nodes.h"
#include "core/request.h"

/* Is it the owner's own hand: admitted by the access key or as the Unix socket's owner, on this machine, and not passed on
 * by a node, be it of the account? False: the request is answered with 403. */
bool owner_asks(struct requests *requests, edged_handle request);

/* The node that the parameter "id" of the path names: one that is known here, by the start of its id or its name, or the whole
 * id of one that is not. `find` as cluster_find(). False: answered. */
bool owner_names_node(struct requests *requests, edged_handle request,
        bool (*find)(void *arg, struct edged_slice id, struct node_record *ret, bool *ret_ambiguous),
        void *arg, struct node_record *ret);

struct identity;
/* Answers that this cannot be done here (`title`), for want of the account's key, and says where it is. `signers`: those of
 * the account can do it as well. */
int owner_key_elsewhere(struct requests *requests, edged_handle request, const struct identity *identity,
        const char *title, bool signers);

#endif
