/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many alarms behind one timer: a binary heap, so that the timer is armed for exactly the next one and an idle broker
 * sleeps. Seconds. Pure; one owner.
 */
#ifndef BROKER_ALARM_H
#define BROKER_ALARM_H

#include <stddef.h>
#include <stdint.h>

struct alarm {
	uint32_t due;
	uint32_t place; /* in the heap, counted from 1; 0: not set */
};

struct alarms {
	struct alarm **heap;
	size_t count, size;
};

void alarms_fini(struct alarms *alarms);
/* Room for `count` alarms, so that setting one cannot fail. -ENOMEM. */
int alarms_reserve(struct alarms *alarms, size_t count);
void alarm_set(struct alarms *alarms, struct alarm *alarm, uint32_t due);
void alarm_cancel(struct alarms *alarms, struct alarm *alarm);
/* The one that is due next, or NULL. It stays set. */
struct alarm *alarms_next(const struct alarms *alarms);

#endif
