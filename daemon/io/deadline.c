/* SPDX-License-Identifier: Apache-2.0 */
#include "io/deadline.h"

#include <errno.h>
#include <stdlib.h>

static void put(struct deadlines *d, uint32_t i, struct deadline_slot slot)
{
	d->heap[i] = slot;
	slot.deadline->place = i + 1;
}

static void sift_up(struct deadlines *d, uint32_t i, struct deadline_slot slot)
{
	while (i > 0 && d->heap[(i - 1) / 2].due > slot.due) {
		put(d, i, d->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	put(d, i, slot);
}

static void sift_down(struct deadlines *d, uint32_t i, struct deadline_slot slot)
{
	for (uint32_t child; (child = 2 * i + 1) < d->count; i = child) {
		if (child + 1 < d->count && d->heap[child + 1].due < d->heap[child].due)
			child++;
		if (d->heap[child].due >= slot.due)
			break;
		put(d, i, d->heap[child]);
	}
	put(d, i, slot);
}

static void take_out(struct deadlines *d, struct deadline *deadline)
{
	uint32_t i = deadline->place - 1;
	deadline->place = 0;
	struct deadline_slot last = d->heap[--d->count];
	if (i == d->count)
		return;
	if (i > 0 && d->heap[(i - 1) / 2].due > last.due)
		sift_up(d, i, last);
	else
		sift_down(d, i, last);
}

static void arm(struct deadlines *d)
{
	if (d->count == 0) {
		if (d->armed)
			timer_cancel(d->timer);
		d->armed = 0;
		return;
	}
	uint64_t first = d->heap[0].due;
	if (d->armed && d->armed <= first)
		return; /* it fires early enough and looks again */
	uint64_t now = loop_now(d->loop);
	d->armed = first;
	timer_set(d->timer, first > now ? first - now : 0);
}

/* A process that stood still, because it was stopped or its disk or its machine was, has not read what came meanwhile: who did
 * speak in time is heard first. Once, so that deadlines pass also where there is too much to do. */
static bool hear_first(struct deadlines *d, uint64_t now)
{
	d->hearing = !d->hearing && now > d->armed + DEADLINE_LATE_MS;
	if (d->hearing) {
		d->armed = now + DEADLINE_HEAR_MS;
		timer_set(d->timer, DEADLINE_HEAR_MS);
	}
	return d->hearing;
}

static void on_timer(void *arg)
{
	struct deadlines *d = arg;
	uint64_t now = loop_now(d->loop);
	if (hear_first(d, now))
		return;
	d->armed = 0;
	while (d->count && d->heap[0].due <= now) {
		struct deadline *first = d->heap[0].deadline;
		if (first->due > now) {
			sift_down(d, 0, (struct deadline_slot){ first->due, first });
			continue;
		}
		take_out(d, first);
		first->due = 0;
		d->passed(first);
	}
	arm(d);
}

int deadlines_init(struct deadlines *d, struct loop *loop, void (*passed)(struct deadline *deadline))
{
	*d = (struct deadlines){ .loop = loop, .passed = passed };
	return timer_new(loop, on_timer, d, &d->timer);
}

void deadlines_fini(struct deadlines *d)
{
	timer_free(d->timer);
	free(d->heap);
	*d = (struct deadlines){ 0 };
}

int deadlines_reserve(struct deadlines *d, uint32_t count)
{
	if (count <= d->size)
		return 0;
	uint32_t size = d->size ? d->size : 16;
	while (size < count)
		size *= 2;
	struct deadline_slot *heap = realloc(d->heap, size * sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	d->heap = heap;
	d->size = size;
	return 0;
}

void deadline_set(struct deadlines *d, struct deadline *deadline, uint64_t due)
{
	if (due == 0)
		due = 1;
	deadline->due = due;
	if (deadline->place == 0) {
		d->count++;
		sift_up(d, d->count - 1, (struct deadline_slot){ due, deadline });
	} else if (due < d->heap[deadline->place - 1].due) {
		sift_up(d, deadline->place - 1, (struct deadline_slot){ due, deadline });
	} else {
		return;
	}
	arm(d);
}

void deadline_clear(struct deadlines *d, struct deadline *deadline)
{
	deadline->due = 0;
	if (deadline->place)
		take_out(d, deadline);
}
