/* SPDX-License-Identifier: Apache-2.0 */
/* What the host tells about its plugins. */
#ifndef PLUGIN_REPORT_H
#define PLUGIN_REPORT_H

#include "plugin/plugins.h"

/* Says of each waiting plugin what it waits for. */
void plugins_explain(struct plugins *plugins);

#endif
