/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration table, and a check beyond it. */
#include "edged/plugin.h"

static const struct edged_setting settings[] = {
	{ "depth", EDGED_TYPE_INT, "3", 1, 9, NULL, NULL, "How deep" },
	{ "colour", EDGED_TYPE_STRING, "\"red\"", 0, 20, NULL, NULL, "Which colour" },
	{ 0 },
};

static int check(struct edged_slice config, char *why, size_t why_size);
#define NAME "settings"
#define MORE .settings = settings, .check = check,
#include "probe.h"

static int check(struct edged_slice config, char *why, size_t why_size)
{
	for (size_t i = 0; i + 4 <= config.len; i++)
		if (memcmp(config.ptr + i, "blue", 4) == 0) {
			snprintf(why, why_size, "blue is out of stock");
			return -EINVAL;
		}
	return 0;
}
