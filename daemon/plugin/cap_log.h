/* SPDX-License-Identifier: Apache-2.0 */
/* `edged.log/1` for plugins. */
#ifndef PLUGIN_CAP_LOG_H
#define PLUGIN_CAP_LOG_H

#include "edged/cap_log.h"

extern const struct edged_log_1 cap_log;

#endif
