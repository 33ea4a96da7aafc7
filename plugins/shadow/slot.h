/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots: the shadows in memory. One is here while operations wait for it, and afterwards as long as the cache
 * has room; the one used least recently goes first.
 */
#ifndef SHADOW_SLOT_H
#define SHADOW_SLOT_H

#include <sys/queue.h>
#include "document.h"
#include "name.h"

struct operation;
TAILQ_HEAD(operations, operation);

struct slot {
	struct shadow_name name;
	struct document document;
	size_t bytes; /* of memory, reckoned; 0 while it is not loaded */
	bool loaded;
	unsigned waiting;
	struct operations operations; /* the first one is being worked on */
	TAILQ_ENTRY(slot) idle;       /* in the order of use, while nothing waits */
};

TAILQ_HEAD(slot_list, slot);

struct slots {
	void *tree; /* tsearch(3), ordered by name */
	struct slot_list idle;
	size_t count;
	size_t bytes;
	size_t limit; /* bytes that idle ones may use */
};

void slots_init(struct slots *slots, size_t limit);
void slots_fini(struct slots *slots, void (*drop)(struct operation *operation));
/* Finds or makes the slot of a shadow. NULL: no memory. */
struct slot *slots_get(struct slots *slots, const struct shadow_name *name);
/* Nothing waits for it any more: it may go from now on. An unloaded one goes at once. */
void slots_rest(struct slots *slots, struct slot *slot);
void slots_busy(struct slots *slots, struct slot *slot);   /* before the first operation is appended */
void slots_resize(struct slots *slots, struct slot *slot); /* its document has changed */

#endif
