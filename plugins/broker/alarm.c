/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "alarm.h"

void alarms_fini(struct alarms *alarms)
{
	free(alarms->heap);
	*alarms = (struct alarms){ 0 };
}

int alarms_reserve(struct alarms *alarms, size_t count)
{
	if (count <= alarms->size)
		return 0;
	size_t size = alarms->size ? alarms->size * 2 : 16;
	while (size < count)
		size *= 2;
	struct alarm **heap = realloc(alarms->heap, size * sizeof(struct alarm *));
	if (!heap)
		return -ENOMEM;
	alarms->heap = heap;
	alarms->size = size;
	return 0;
}

static void put(struct alarms *alarms, size_t i, struct alarm *alarm)
{
	alarms->heap[i] = alarm;
	alarm->place = (uint32_t)i + 1;
}

static void sift_up(struct alarms *alarms, size_t i)
{
	struct alarm *alarm = alarms->heap[i];
	for (; i > 0 && alarms->heap[(i - 1) / 2]->due > alarm->due; i = (i - 1) / 2)
		put(alarms, i, alarms->heap[(i - 1) / 2]);
	put(alarms, i, alarm);
}

static void sift_down(struct alarms *alarms, size_t i)
{
	struct alarm *alarm = alarms->heap[i];
	for (size_t child; (child = 2 * i + 1) < alarms->count; i = child) {
		if (child + 1 < alarms->count && alarms->heap[child + 1]->due < alarms->heap[child]->due)
			child++;
		if (alarms->heap[child]->due >= alarm->due)
			break;
		put(alarms, i, alarms->heap[child]);
	}
	put(alarms, i, alarm);
}

void alarm_cancel(struct alarms *alarms, struct alarm *alarm)
{
	if (!alarm->place)
		return;
	size_t i = alarm->place - 1;
	struct alarm *last = alarms->heap[--alarms->count];
	alarm->place = 0;
	if (last == alarm)
		return;
	put(alarms, i, last);
	sift_up(alarms, i);
	sift_down(alarms, last->place - 1);
}

void alarm_set(struct alarms *alarms, struct alarm *alarm, uint32_t due)
{
	alarm_cancel(alarms, alarm);
	alarm->due = due;
	put(alarms, alarms->count++, alarm);
	sift_up(alarms, alarms->count - 1);
}

struct alarm *alarms_next(const struct alarms *alarms)
{
	return alarms->count ? alarms->heap[0] : NULL;
}
