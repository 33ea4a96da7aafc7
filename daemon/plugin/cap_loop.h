/* SPDX-License-Identifier: Apache-2.0 */
/* `edged.loop/1` for plugins: timers, posts and deferred calls, entered in the plugin's ledger. */
#ifndef PLUGIN_CAP_LOOP_H
#define PLUGIN_CAP_LOOP_H

#include "edged/cap_loop.h"

extern const struct edged_loop_1 cap_loop;

#endif
