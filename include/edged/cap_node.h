/* SPDX-License-Identifier: Apache-2.0 */
/* Capability "edged.node/1": what this node is and where it can be reached. Main loop. */
#ifndef EDGED_CAP_NODE_H
#define EDGED_CAP_NODE_H

#include "edged/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDGED_NODE_1 "edged.node/1"

struct edged_node_1 {
	uint32_t struct_size;
	/* A JSON object with the members of GET /edge/v1/node ("id", "name", "account", "listeners": [{"protocol", "address",
	 * "tls"}], ...) and "ca": the certificate, in PEM, of the account's CA, from which the node's own certificate is; empty
	 * while there is no account. Terminated, to be freed with free(); NULL: no memory. */
	char *(*describe)(struct edged_host *host);
	/* Tells of each other node that has proven to be of this node's account, in no order; `there`: it can be reached
	 * now, as far as the cluster knows. The id lives as long as the call of each(). Who has none is told of nobody. */
	void (*peers)(
	        struct edged_host *host, void (*each)(void *arg, const char *node_id, bool there), void *arg);
	/* changed(arg) when peers() or holders() may tell something else, until the plugin stops; once for each plugin. -EEXIST,
	 * -ENOMEM. */
	EDGED_MUST_CHECK int (*watch)(struct edged_host *host, void (*changed)(void *arg), void *arg);
	/* Tells of each node that holds the role ("cache", see GET /edge/v1/roles) for this node's account, this one included, in
	 * no order. The id lives as long as the call of each(). */
	void (*holders)(struct edged_host *host, const char *role,
	        void (*each)(void *arg, const char *node_id), void *arg);
};

#ifdef __cplusplus
}
#endif

#endif
