/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability "edged.config/1": the plugin's own section, with defaults filled in and checked against its table.
 * Main loop only. Values do not change during the life of a plugin: a changed section restarts it.
 */
#ifndef EDGED_CAP_CONFIG_H
#define EDGED_CAP_CONFIG_H

#include "edged/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDGED_CONFIG_1 "edged.config/1"

struct edged_config_1 {
	uint32_t struct_size;
	/* `name` must be a row of the plugin's table with a matching type; anything else aborts (a bug, not input).
	 * integer serves BOOL (0 or 1), INT, DURATION (ms) and SIZE (bytes). */
	int64_t (*integer)(struct edged_host *host, const char *name);
	/* string serves STRING and CHOICE. Valid until destroy(), also when a reload gives the setting another value. */
	const char *(*string)(struct edged_host *host, const char *name);
	/* The value as JSON text, for every type; name NULL gives the whole section. Valid until destroy(). */
	struct edged_slice (*json)(struct edged_host *host, const char *name);
};

#ifdef __cplusplus
}
#endif

#endif
