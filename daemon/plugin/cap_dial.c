/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/cap_dial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "io/dial.h"
#include "io/outbound.h"
#include "io/stream.h"

enum { DIALS_MOST = 64 };

/* One that is under way. */
struct dialling {
	struct list link;
	struct outbound *outbound; /* by name, or */
	struct dial *dial;         /* a node */
	edged_handle handle;
	void (*failed)(void *arg, int error, const char *why);
	void *arg;
};

/* Who was given streams. */
struct dialled {
	struct list link;
	const struct edged_stream_handler *handler;
	void *self;
};

static void over(void *arg)
{
	struct dialling *d = arg;
	list_remove(&d->link);
	free(d);
}

static int remember(struct plugin_context *context, const struct edged_dial_options *options)
{
	list_each (node, &context->dialled) {
		const struct dialled *d = list_entry(node, struct dialled, link);
		if (d->handler == options->handler && d->self == options->self)
			return 0;
	}
	struct dialled *d = malloc(sizeof(*d));
	if (!d)
		return -ENOMEM;
	*d = (struct dialled){ .handler = options->handler, .self = options->self };
	list_append(&context->dialled, &d->link);
	return 0;
}

static void node_failed(void *arg, int error, const char *why)
{
	struct dialling *d = arg;
	struct dialling told = *d;
	over(d);
	told.failed(told.arg, error, why && *why ? why : strerror(-error));
}

static int begin_node(
        const struct plugins_deps *deps, const struct edged_dial_options *options, struct dialling *d)
{
	struct dial_options to = { .alpn = options->alpn,
		.timeout_ms = options->timeout_ms,
		.handler = options->handler,
		.self = options->self,
		.opened = over,
		.failed = node_failed,
		.arg = d };
	d->failed = options->failed;
	d->arg = options->arg;
	return deps->dial_node ? deps->dial_node(deps->arg, options->node, &to, &d->dial) : -ENOENT;
}

static int begin(struct plugin_context *context, const struct edged_dial_options *options, edged_handle *ret)
{
	unsigned count = 0;
	list_each (node, &context->dials)
		count++;
	if (count >= DIALS_MOST)
		return -ENOSPC;
	struct dialling *d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->handle = context->last_dial + 1;
	int r = options->node
	                ? begin_node(context->deps, options, d)
	                : outbound_start(loops_at(context->deps->loops, 0), options, over, d, &d->outbound);
	if (r) {
		free(d);
		return r;
	}
	context->last_dial = d->handle;
	list_append(&context->dials, &d->link);
	*ret = d->handle;
	return 0;
}

static int dial(struct edged_host *host, const struct edged_dial_options *options, edged_handle *ret)
{
	struct plugin_context *context = context_of(host);
	struct edged_dial_options all = { 0 };
	memcpy(&all, options, options->struct_size < sizeof(all) ? options->struct_size : sizeof(all));
	if (context->dials_over)
		return -ESHUTDOWN;
	int r = remember(context, &all);
	return r ? r : begin(context, &all, ret);
}

static void stop_dialling(struct dialling *d)
{
	outbound_cancel(d->outbound);
	if (d->dial)
		dial_cancel(d->dial);
	over(d);
}

static void cancel(struct edged_host *host, edged_handle handle)
{
	list_each_safe (node, &context_of(host)->dials) {
		struct dialling *d = list_entry(node, struct dialling, link);
		if (d->handle == handle)
			stop_dialling(d);
	}
}

const struct edged_dial_1 cap_dial = { .struct_size = sizeof(cap_dial), .dial = dial, .cancel = cancel };

void cap_dial_fini(struct plugin_context *context)
{
	context->dials_over = true;
	list_each_safe (dial_node, &context->dials)
		stop_dialling(list_entry(dial_node, struct dialling, link));
	list_each_safe (node, &context->dialled) {
		struct dialled *d = list_entry(node, struct dialled, link);
		streams_end(context->deps->loops, d->handler, d->self);
		list_remove(&d->link);
		free(d);
	}
}
