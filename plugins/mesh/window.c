/* SPDX-License-Identifier: Apache-2.0 */
#include "window.h"

#include <errno.h>
#include <stdlib.h>

void window_init(struct window *w, uint32_t most)
{
	*w = (struct window){ .most = most };
}

void window_fini(struct window *w)
{
	free(w->entries);
	*w = (struct window){ 0 };
}

void window_begin(struct window *w)
{
	w->doubtful = w->most;
}

static bool known(const struct window *w, uint64_t number, uint64_t content)
{
	for (uint32_t i = 0; i < w->size; i++)
		if (w->entries[i].number == number && w->entries[i].content == content)
			return true;
	return false;
}

/* Without memory the oldest goes early: what it knew of may come twice. */
static void make_room(struct window *w)
{
	if (w->next < w->size)
		return;
	uint32_t size = w->size ? 2 * w->size : 16;
	size = size < w->most ? size : w->most;
	struct window_entry *entries = realloc(w->entries, size * sizeof(*entries));
	if (entries) {
		memset(entries + w->size, 0, (size - w->size) * sizeof(*entries));
		w->entries = entries;
		w->size = size;
	} else {
		w->next = 0;
	}
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
	make_room(w);
	if (w->size) {
		w->entries[w->next] = (struct window_entry){ number, content };
		w->next = (w->next + 1) % w->most;
	}
	return false;
}

void window_forget(struct window *w)
{
	if (w->size)
		memset(w->entries, 0, w->size * sizeof(*w->entries));
}
