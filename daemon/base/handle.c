/* SPDX-License-Identifier: Apache-2.0 */
#include "base/handle.h"

#include <errno.h>
#include <stdlib.h>

void handles_init(struct handles *handles, uint32_t limit)
{
	*handles = (struct handles){ .limit = limit };
}

void handles_fini(struct handles *handles)
{
	if (!handles)
		return;
	free(handles->slots);
	*handles = (struct handles){ 0 };
}

static int grow(struct handles *handles)
{
	uint32_t size = handles->size ? handles->size * 2 : 8;
	if (size > handles->limit)
		size = handles->limit;
	struct handle_slot *slots = realloc(handles->slots, size * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (uint32_t i = size; i-- > handles->size;) {
		slots[i] = (struct handle_slot){ .generation = 1, .next_free = handles->free_head };
		handles->free_head = i + 1;
	}
	handles->slots = slots;
	handles->size = size;
	return 0;
}

int handles_add(struct handles *handles, void *object, uint64_t *ret)
{
	if (handles->count >= handles->limit)
		return -ENOSPC;
	if (!handles->free_head) {
		int r = grow(handles);
		if (r)
			return r;
	}
	uint32_t at = handles->free_head;
	struct handle_slot *slot = &handles->slots[at - 1];
	handles->free_head = slot->next_free;
	slot->object = object;
	handles->count++;
	*ret = (uint64_t)slot->generation << 32 | at;
	return 0;
}

static struct handle_slot *find(const struct handles *handles, uint64_t handle)
{
	uint32_t at = (uint32_t)handle;
	if (at == 0 || at > handles->size)
		return NULL;
	struct handle_slot *slot = &handles->slots[at - 1];
	return slot->object && slot->generation == handle >> 32 ? slot : NULL;
}

void *handles_get(const struct handles *handles, uint64_t handle)
{
	struct handle_slot *slot = find(handles, handle);
	return slot ? slot->object : NULL;
}

void *handles_remove(struct handles *handles, uint64_t handle)
{
	struct handle_slot *slot = find(handles, handle);
	if (!slot)
		return NULL;
	void *object = slot->object;
	slot->object = NULL;
	if (++slot->generation == 0)
		slot->generation = 1;
	slot->next_free = handles->free_head;
	handles->free_head = (uint32_t)handle;
	handles->count--;
	return object;
}

void *handles_at(const struct handles *handles, uint32_t i)
{
	return i < handles->size ? handles->slots[i].object : NULL;
}
