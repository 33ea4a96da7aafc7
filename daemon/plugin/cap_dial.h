/* SPDX-License-Identifier: Apache-2.0 */
/* `edged.dial/1` for plugins: io/outbound.h, and what is left when a plugin stops. */
#ifndef PLUGIN_CAP_DIAL_H
#define PLUGIN_CAP_DIAL_H

#include "edged/cap_dial.h"
#include "plugin/context.h"

extern const struct edged_dial_1 cap_dial;

/* Cancels what is under way, and ends the streams that came of it; none begin any more. */
void cap_dial_fini(struct plugin_context *context);

#endif
