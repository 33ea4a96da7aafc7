/* SPDX-License-Identifier: Apache-2.0 */
/* `edged.node/1` for plugins: what the app says of the node. */
#ifndef PLUGIN_CAP_NODE_H
#define PLUGIN_CAP_NODE_H

#include "edged/cap_node.h"
#include "plugin/context.h"

extern const struct edged_node_1 cap_node;
/* Tells the plugin, when it watches. */
void cap_node_peers_changed(const struct plugin_context *context);
/* Before its stop(): no more of that. */
void cap_node_stop(struct plugin_context *context);

#endif
