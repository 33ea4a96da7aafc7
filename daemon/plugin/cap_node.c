/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/cap_node.h"

#include <string.h>
#include "base/buf.h"

static char *describe(struct edged_host *host)
{
	const struct plugins_deps *deps = context_of(host)->deps;
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	if (deps->node_json(deps->arg, &text))
		return NULL;
	return strndup(text.ptr, text.len);
}

static void peers(
        struct edged_host *host, void (*each)(void *arg, const char *node_id, bool there), void *arg)
{
	const struct plugins_deps *deps = context_of(host)->deps;
	if (deps->peers)
		deps->peers(deps->arg, each, arg);
}

const struct edged_node_1 cap_node = {
	.struct_size = sizeof(cap_node), .describe = describe, .peers = peers
};
