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

static bool has_group(void *ctx, struct edged_host *host, struct edged_slice group)
{
	(void)host;
	return registry_find(((struct offer *)ctx)->registry, KIND_GROUP, group) != NULL;
}

static bool is_in(const struct record *thing, const char *group)
{
	if (!record_mentions(thing, edged_str(group)))
		return false;
	json_t *doc = record_json(thing);
	bool in = doc_lists(doc, "groups", group);
	json_decref(doc);
	return in;
}

static bool is_member(void *ctx, struct edged_host *host, struct edged_slice group, struct edged_slice thing)
{
	(void)host;
	const struct offer *offer = ctx;
	const struct record *record = registry_find(offer->registry, KIND_THING, thing);
	const struct record *of = registry_find(offer->registry, KIND_GROUP, group);
	return record && of && is_in(record, of->name);
}

static void each_member(void *ctx, struct edged_host *host, struct edged_slice group,
        void (*each)(void *arg, struct edged_slice thing), void *arg)
{
	(void)host;
	const struct offer *offer = ctx;
	const struct table *things = registry_table(offer->registry, KIND_THING);
	const struct record *of = registry_find(offer->registry, KIND_GROUP, group);
	for (size_t i = 0; of && i < things->count; i++)
		if (is_in(things->list[i], of->name))
			each(arg, edged_str(things->list[i]->name));
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
		.unwatch = unwatch,
		.group = has_group,
		.member = is_member,
		.members = each_member };
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
