/* SPDX-License-Identifier: Apache-2.0 */
/* Built for an ABI that does not exist yet. */
#include "edged/plugin.h"

__attribute__((visibility("default"))) extern const struct edged_plugin edged_plugin_v2;
const struct edged_plugin edged_plugin_v2 = { .struct_size = sizeof(struct edged_plugin) };
