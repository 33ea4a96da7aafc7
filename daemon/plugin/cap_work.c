/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/cap_work.h"

#include "plugin/plugins.h"
#include "plugin/work.h"

static int begin(struct edged_host *host, void (*work)(void *arg), void (*done)(void *arg),
        void (*drop)(void *arg), void *arg, struct edged_work **ret)
{
	const struct plugin_context *context = context_of(host);
	return work_begin(context->plugin->plugins->workers, context->ledger, work, done, drop, arg, ret);
}

const struct edged_work_1 cap_work = {
	.struct_size = sizeof(cap_work), .begin = begin, .cancel = work_cancel
};
