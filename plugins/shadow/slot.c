/* SPDX-License-Identifier: Apache-2.0 */
#include "slot.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

/* Memory of a shadow, as measured with many of 200 and of 1,000 bytes: the slot; its text, and the strings of the trees; and
 * the trees, which have two nodes for each scalar. Scalars show in the metadata, as so many bytes each. */
enum { SLOT_COST = 512, TEXT_COST = 2, METADATA_COST = 10 };

static int compare(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;
	int order = strcmp(x->name.thing, y->name.thing);
	return order ? order : strcmp(x->name.name, y->name.name);
}

void slots_init(struct slots *slots, size_t limit)
{
	*slots = (struct slots){ .limit = limit };
	TAILQ_INIT(&slots->idle);
}

static void slot_free(struct slots *slots, struct slot *slot)
{
	tdelete(slot, &slots->tree, compare);
	slots->count--;
	slots->bytes -= slot->bytes;
	document_fini(&slot->document);
	free(slot);
}

void slots_fini(struct slots *slots, void (*drop)(struct operation *operation))
{
	while (slots->tree) {
		struct slot *slot = *(struct slot **)slots->tree;
		if (slot->waiting == 0)
			TAILQ_REMOVE(&slots->idle, slot, idle);
		struct operation *operation;
		while ((operation = TAILQ_FIRST(&slot->operations)))
			drop(operation);
		slot_free(slots, slot);
	}
}

struct slot *slots_get(struct slots *slots, const struct shadow_name *name)
{
	struct slot probe = { .name = *name };
	struct slot **found = tfind(&probe, &slots->tree, compare);
	if (found)
		return *found;
	struct slot *slot = calloc(1, sizeof(*slot));
	if (!slot)
		return NULL;
	slot->name = *name;
	TAILQ_INIT(&slot->operations);
	if (!tsearch(slot, &slots->tree, compare)) {
		free(slot);
		return NULL;
	}
	slots->count++;
	TAILQ_INSERT_TAIL(&slots->idle, slot, idle);
	return slot;
}

static void shrink(struct slots *slots)
{
	struct slot *oldest;
	while (slots->bytes > slots->limit && (oldest = TAILQ_FIRST(&slots->idle))) {
		TAILQ_REMOVE(&slots->idle, oldest, idle);
		slot_free(slots, oldest);
	}
}

void slots_rest(struct slots *slots, struct slot *slot)
{
	TAILQ_INSERT_TAIL(&slots->idle, slot, idle);
	if (!slot->loaded) {
		TAILQ_REMOVE(&slots->idle, slot, idle);
		slot_free(slots, slot);
		return;
	}
	shrink(slots);
}

void slots_busy(struct slots *slots, struct slot *slot)
{
	TAILQ_REMOVE(&slots->idle, slot, idle);
}

void slots_resize(struct slots *slots, struct slot *slot)
{
	const struct printed *now = &slot->document.now;
	size_t bytes =
	        slot->loaded ? SLOT_COST + TEXT_COST * now->len + METADATA_COST * (now->len - now->state) : 0;
	slots->bytes += bytes - slot->bytes;
	slot->bytes = bytes;
}
