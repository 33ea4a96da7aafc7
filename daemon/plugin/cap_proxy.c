/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/cap_proxy.h"

#include <errno.h>

static int cache(struct edged_host *host, const struct edged_proxy_cache *functions, void *self)
{
	struct plugin_context *context = context_of(host);
	const struct plugins_deps *deps = context->deps;
	if (!functions)
		return -EINVAL;
	int r = deps->proxy_cache ? deps->proxy_cache(deps->arg, context->name, functions, self) : -ENOENT;
	context->is_cache |= r == 0;
	return r;
}

const struct edged_proxy_1 cap_proxy = { .struct_size = sizeof(cap_proxy), .cache = cache };

void cap_proxy_stop(struct plugin_context *context)
{
	const struct plugins_deps *deps = context->deps;
	if (context->is_cache)
		(void)deps->proxy_cache(deps->arg, context->name, NULL, NULL);
	context->is_cache = false;
}
