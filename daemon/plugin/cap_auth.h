/* SPDX-License-Identifier: Apache-2.0 */
/* `edged.auth/1` for plugins: what is behind it is in auth.h. */
#ifndef PLUGIN_CAP_AUTH_H
#define PLUGIN_CAP_AUTH_H

#include "edged/cap_auth.h"
#include "plugin/context.h"

extern const struct edged_auth_1 cap_auth;

/* Before the plugin's stop(): it decides nothing any more and gets no notice. */
void cap_auth_fini(struct plugin_context *context);

#endif
