/* SPDX-License-Identifier: Apache-2.0 */
#include "offer.h"

#include <errno.h>
#include <stdlib.h>
#include "doc.h"

struct watcher {
	struct watcher *next;
	void (*changed)(void *arg, struct edged_slice thing);
	void *arg;
};

struct offer {
	struct edged_things_1 capability;
	struct registry *registry;
	struct watcher *watchers;
};

static bool exists(void *ctx, struct edged_host *host, struct edged_slice thing)
{
	(void)host;
	return registry_find(((struct offer *)ctx)->registry, KIND_THING, thing) != NULL;
}

static char *describe(void *ctx, struct edged_host *host, struct edged_slice thing)
{
	(void)host;
	const struct record *record = registry_find(((struct offer *)ctx)->registry, KIND_THING, thing);
	json_t *doc = record ? doc_public(record, KIND_THING, false) : NULL;
	char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	json_decref(doc);
	return text;
}

static struct edged_slice next(void *ctx, struct edged_host *host, struct edged_slice name)
{
	(void)host;
	const struct table *table = registry_table(((struct offer *)ctx)->registry, KIND_THING);
	size_t at = table_after(table, name);
	return edged_str(at < table->count ? table->list[at]->name : NULL);
}

static int watch(
        void *ctx, struct edged_host *host, void (*changed)(void *arg, struct edged_slice thing), void *arg)
{
	(void)host;
	struct offer *offer = ctx;
	struct watcher *watcher = malloc(sizeof(*watcher));
	if (!watcher)
		return -ENOMEM;
	*watcher = (struct watcher){ offer->watchers, changed, arg };
	offer->watchers = watcher;
	return 0;
}

static void unwatch(void *ctx, struct edged_host *host, void *arg)
{
	(void)host;
	struct watcher **at = &((struct offer *)ctx)->watchers;
	while (*at && (*at)->arg != arg)
		at = &(*at)->next;
	struct watcher *watcher = *at;
	if (watcher)
		*at = watcher->next;
	free(watcher);
}

void offer_changed(const struct offer *offer, enum kind kind, const char *name)
{
	if (kind != KIND_THING && kind != KINDS)
		return;
	for (const struct watcher *w = offer->watchers, *after; w; w = after) {
		after = w->next; /* it may leave in its call */
		w->changed(w->arg, kind == KINDS ? edged_slice(NULL, 0) : edged_str(name));
	}
}

int offer_new(struct registry *registry, struct offer **ret)
{
	struct offer *offer = calloc(1, sizeof(*offer));
	if (!offer)
		return -ENOMEM;
	offer->registry = registry;
	offer->capability = (struct edged_things_1){ .struct_size = sizeof(struct edged_things_1),
		.ctx = offer,
		.exists = exists,
		.describe = describe,
		.next = next,
		.watch = watch,
		.unwatch = unwatch };
	*ret = offer;
	return 0;
}

void offer_free(struct offer *offer)
{
	while (offer && offer->watchers)
		unwatch(offer, NULL, offer->watchers->arg);
	free(offer);
}

const struct edged_things_1 *offer_capability(const struct offer *offer)
{
	return &offer->capability;
}
