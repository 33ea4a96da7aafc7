/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/cap_node.h"

#include <errno.h>
#include <string.h>
#include "base/buf.h"
#include "io/loop.h"

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

static void holders(
        struct edged_host *host, const char *role, void (*each)(void *arg, const char *node_id), void *arg)
{
	const struct plugins_deps *deps = context_of(host)->deps;
	if (deps->holders)
		deps->holders(deps->arg, role, each, arg);
}

static int watch(struct edged_host *host, void (*changed)(void *arg), void *arg)
{
	struct plugin_context *context = context_of(host);
	if (context->peers_changed)
		return -EEXIST;
	context->peers_changed = changed;
	context->peers_arg = arg;
	return 0;
}

void cap_node_peers_changed(const struct plugin_context *context)
{
	struct loop_charge charge;
	if (!context->peers_changed)
		return;
	loop_enter(&charge, context->name);
	context->peers_changed(context->peers_arg);
	loop_leave(&charge);
}

void cap_node_stop(struct plugin_context *context)
{
	context->peers_changed = NULL;
}

const struct edged_node_1 cap_node = { .struct_size = sizeof(cap_node),
	.describe = describe,
	.peers = peers,
	.watch = watch,
	.holders = holders };
