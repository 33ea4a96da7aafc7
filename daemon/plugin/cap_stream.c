/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/cap_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "io/listener.h"
#include "io/stream.h"

static int serve(
        struct edged_host *host, const char *protocol, const struct edged_stream_handler *handler, void *self)
{
	struct plugin_context *context = context_of(host);
	size_t i = 0;
	while (i < CONTEXT_PROTOCOLS && context->protocols[i])
		i++;
	if (i == CONTEXT_PROTOCOLS)
		return -ENOSPC;
	char *copy = strdup(protocol);
	if (!copy)
		return -ENOMEM;
	int r = listeners_serve(context->deps->listeners, copy, handler, self);
	if (r)
		free(copy);
	else
		context->protocols[i] = copy;
	return r;
}

void cap_stream_init(struct edged_stream_1 *ret)
{
	*ret = stream_functions;
	ret->struct_size = sizeof(*ret);
	ret->serve = serve;
}

void cap_stream_fini(struct plugin_context *context)
{
	for (size_t i = 0; i < CONTEXT_PROTOCOLS && context->protocols[i]; i++) {
		listeners_unserve(context->deps->listeners, context->protocols[i]);
		free((char *)context->protocols[i]);
		context->protocols[i] = NULL;
	}
}
