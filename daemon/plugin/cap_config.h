/* SPDX-License-Identifier: Apache-2.0 */
/* `edged.config/1` for plugins: reads the section "plugins.<name>". */
#ifndef PLUGIN_CAP_CONFIG_H
#define PLUGIN_CAP_CONFIG_H

#include "edged/cap_config.h"
#include "plugin/context.h"

extern const struct edged_config_1 cap_config;

/* Frees the copies that were handed out. */
/* The configuration was loaded anew: what is read from now on may differ. */
void cap_config_reload(struct plugin_context *context);
void cap_config_fini(struct plugin_context *context);

#endif
