/* SPDX-License-Identifier: Apache-2.0 */
/* `edged.store/1` for plugins: a space of its own for each, and its unanswered calls in the ledger. */
#ifndef PLUGIN_CAP_STORE_H
#define PLUGIN_CAP_STORE_H

#include "edged/cap_store.h"
#include "plugin/context.h"

extern const struct edged_store_1 cap_store;

/* Makes the plugin's space when it has none yet. */
EDGED_MUST_CHECK int cap_store_open(struct plugin_context *context);
/* Callbacks that wait are dropped; writes are done. */
void cap_store_fini(struct plugin_context *context);

#endif
