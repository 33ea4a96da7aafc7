/* SPDX-License-Identifier: Apache-2.0 */
/* `edged.node/1` for plugins: what the app says of the node. */
#ifndef PLUGIN_CAP_NODE_H
#define PLUGIN_CAP_NODE_H

#include "edged/cap_node.h"
#include "plugin/context.h"

extern const struct edged_node_1 cap_node;

#endif
