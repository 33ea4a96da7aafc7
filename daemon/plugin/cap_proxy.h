/* SPDX-License-Identifier: Apache-2.0 */
/* `edged.proxy/1` for plugins. */
#ifndef PLUGIN_CAP_PROXY_H
#define PLUGIN_CAP_PROXY_H

#include "edged/cap_proxy.h"
#include "plugin/context.h"

extern const struct edged_proxy_1 cap_proxy;
/* The plugin is no cache any more. */
void cap_proxy_stop(struct plugin_context *context);

#endif
