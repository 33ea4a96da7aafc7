/* SPDX-License-Identifier: Apache-2.0 */
/* `edged.work/1` for plugins: what is behind it is in work.h. */
#ifndef PLUGIN_CAP_WORK_H
#define PLUGIN_CAP_WORK_H

#include "edged/cap_work.h"

extern const struct edged_work_1 cap_work;

#endif
