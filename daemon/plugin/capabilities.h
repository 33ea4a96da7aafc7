/* SPDX-License-Identifier: Apache-2.0 */
/* Who offers which capability, and to whom it is granted. */
#ifndef PLUGIN_CAPABILITIES_H
#define PLUGIN_CAPABILITIES_H

#include "plugin/plugins.h"

/* Who offers the capability: the daemon (*ret_plugin NULL), or a plugin that runs. False: nobody right now.
 */
bool plugins_offering(const struct plugins *plugins, const char *capability, struct plugin **ret_plugin);
bool plugins_denied(const struct plugins *plugins, const char *plugin, const char *capability);
/* The capability's vtable for a plugin, or NULL. */
const void *plugins_capability(struct plugin *plugin, const char *capability);

#endif
