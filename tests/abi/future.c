/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin from the future: all structs are larger, and it has a callback that nobody knows yet. */
#include <errno.h>
#include "edged/plugin.h"

struct future_plugin {
	struct edged_plugin now;
	int (*dream)(void *self);
	uint64_t more[8];
};

struct future_route {
	struct edged_route now;
	const char *colour;
};

struct future_setting {
	struct edged_setting now;
	const char *colour;
};

static int create(struct edged_host *host, void **ret_self)
{
	*ret_self = host;
	return 0;
}

static int serve(void *self, edged_handle request)
{
	(void)self;
	(void)request;
	return -EIO;
}

static const struct future_route routes[] = {
	{ { .method = "GET", .path = "/future/v1/a", .serve = serve }, "red" },
	{ { .method = "GET", .path = "/future/v1/b", .serve = serve }, "green" },
	{ { 0 }, NULL },
};

static const struct future_setting settings[] = {
	{ { "light", EDGED_TYPE_INT, "1", 0, 9, NULL, NULL, "How bright it is" }, "red" },
	{ { "warm", EDGED_TYPE_BOOL, "true", 0, 0, NULL, NULL, "Whether it is warm" }, "green" },
	{ { 0 }, NULL },
};

__attribute__((visibility("default"))) extern const struct future_plugin edged_plugin_v1;
const struct future_plugin edged_plugin_v1 = {
	.now = {
		.struct_size = sizeof(struct future_plugin),
		.setting_size = sizeof(struct future_setting),
		.route_size = sizeof(struct future_route),
		.abi_minor = 7,
		.name = "future",
		.version = "99",
		.settings = &settings[0].now,
		.routes = &routes[0].now,
		.create = create,
	},
	.more = { 1, 2, 3 },
};
