/* SPDX-License-Identifier: Apache-2.0 */
#include "window.h"

#include <errno.h>
#include <stdlib.h>

int window_init(struct window *w, uint32_t size)
{
	*w = (struct window){ .entries = calloc(size, sizeof(*w->entries)), .size = size };
	return w->entries ? 0 : -ENOMEM;
}

void window_fini(struct window *w)
{
	free(w->entries);
	*w = (struct window){ 0 };
}

void window_begin(struct window *w)
{
	w->doubtful = w->size;
}

static bool known(const struct window *w, uint64_t number, uint64_t content)
{
	for (uint32_t i = 0; i < w->size; i++)
		if (w->entries[i].number == number && w->entries[i].content == content)
			return true;
	return false;
}

bool window_meet(struct window *w, uint64_t number, uint32_t share, struct edged_slice topic,
        struct edged_slice payload)
{
	if (!number)
		return false;
	uint64_t content = hash_add(hash_add(HASH_START ^ share, topic), payload);
	bool doubtful = w->doubtful > 0;
	w->doubtful -= doubtful;
	if (doubtful && known(w, number, content))
		return true;
	w->entries[w->next] = (struct window_entry){ number, content };
	w->next = (w->next + 1) % w->size;
	return false;
}

void window_forget(struct window *w)
{
	memset(w->entries, 0, w->size * sizeof(*w->entries));
}
