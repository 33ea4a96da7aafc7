/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration table with a row without default. */
#include "edged/plugin.h"

static const struct edged_setting settings[] = {
	{ "depth", EDGED_TYPE_INT, "3", 1, 9, NULL, NULL, "How deep" },
	{ "width", EDGED_TYPE_INT, NULL, 1, 9, NULL, NULL, "How wide" },
	{ 0 },
};
#define NAME "bad-settings"
#define MORE .settings = settings,
#include "probe.h"
