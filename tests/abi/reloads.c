/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a setting at the start and whenever it is told that it changed. */
#include "edged/cap_config.h"

struct probe;
static int read_depth(struct probe *probe);
static void reloaded(void *self);
static const struct edged_setting settings[] = {
	{ "depth", EDGED_TYPE_INT, "3", 1, 9, NULL, NULL, "How deep" },
	{ "colour", EDGED_TYPE_STRING, "\"red\"", 0, 20, NULL, NULL, "Which colour" },
	{ "fixed", EDGED_TYPE_STRING, "\"old\"", 0, 20, NULL, NULL, "What stays" },
	{ 0 },
};
static const char *const reload_settings[] = { "depth", "colour", NULL };

#define NAME          "reloads"
#define NEEDS         "edged.config/1"
#define CREATE(probe) read_depth(probe)
#define MORE          .settings = settings, .reload_settings = reload_settings, .reloaded = reloaded,
#include "probe.h"

static const char *first;

static int read_depth(struct probe *probe)
{
	const struct edged_config_1 *config = edged_cap(probe->host, EDGED_CONFIG_1);
	char what[100];
	const char *colour = config->string(probe->host, "colour");
	if (!first)
		first = colour;
	snprintf(what, sizeof(what), "depth %d, %s, was %s, %s", (int)config->integer(probe->host, "depth"),
	        colour, first, config->string(probe->host, "fixed"));
	probe_log(what);
	return 0;
}

static void reloaded(void *self)
{
	(void)read_depth(self);
}
