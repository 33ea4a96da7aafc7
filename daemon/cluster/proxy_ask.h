/* SPDX-License-Identifier: Apache-2.0 */
/* The proxy towards other nodes: whom it asks in turn, the cache and who holds its role included, and the client's body. */
#ifndef CLUSTER_PROXY_ASK_H
#define CLUSTER_PROXY_ASK_H

#include "cluster/proxy_impl.h"

/* Asks, until there is an answer. `node_id`: whom it is for; NULL: any node with the service. */
void proxied_ask(struct proxied *proxied, const char *node_id);
/* None that is there could be asked. */
void proxied_answer_nobody(struct proxied *proxied);

#endif
