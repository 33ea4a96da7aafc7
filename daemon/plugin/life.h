/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one plugin. Nothing here runs from within a call into a plugin. */
#ifndef PLUGIN_LIFE_H
#define PLUGIN_LIFE_H

#include "plugin/plugins.h"

/* A new record for a file, judged: refused, or waiting. NULL: no memory. */
struct plugin *plugin_find(struct plugins *plugins, const char *folder, const char *file);
void plugin_free(struct plugin *plugin); /* not running */
/* Judges again what was refused because of others. */
void plugin_admit(struct plugin *plugin, const struct plugin *instead_of);
/* Its section of the configuration. A failure leaves its sentence as the reason. */
EDGED_MUST_CHECK int plugin_declare(struct plugin *plugin);
EDGED_MUST_CHECK int plugin_declare_in(
        const struct plugin *plugin, struct conf *conf, struct conf_findings *findings);
void plugin_reloaded(struct plugin *plugin);
void plugin_undeclare(struct plugin *plugin);
/* Creates and starts one that waits. */
void plugin_begin(struct plugin *plugin);
/* Ends what start() has begun, once it told. */
void plugin_go_on(struct plugin *plugin);
/* Stops it, those that use it first; they wait then. It is left in state `stopped`. */
void plugin_stop(struct plugin *plugin);
/* One that has stopped or failed, or was refused, may start again. */
void plugin_wait(struct plugin *plugin);
bool plugin_is_live(const struct plugin *plugin); /* starting or running */
/* The first capability it needs that is not there (or only from `without`), or NULL. */
const char *plugin_lacks(const struct plugin *plugin, const struct plugin *without);
void plugin_set_reason(struct plugin *plugin, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
