/* SPDX-License-Identifier: Apache-2.0 */
#include "stamp.h"

#define AHEAD_MS  (366 * 24 * 3600 * UINT64_C(1000))
#define LATEST_MS UINT64_C(7258118400000) /* the year 2200: nothing on the disk is from later */
/* As long as the clock goes on by steps of at most half of it, a number ahead of it is on the disk at any time. */
#define RESERVE (UINT64_C(60000) << STAMP_MS)

uint64_t stamp_new(struct broker *b)
{
	uint64_t now = wall_ms() << STAMP_MS, last = __atomic_load_n(&b->stamp, __ATOMIC_RELAXED), next;
	do
		next = now > last ? now : last + 1;
	while (!__atomic_compare_exchange_n(
	        &b->stamp, &last, next, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return next;
}

bool stamp_seen(struct broker *b, uint64_t stamp)
{
	uint64_t last = __atomic_load_n(&b->stamp, __ATOMIC_RELAXED), now = wall_ms();
	/* A board without a battery begins in the past. */
	now = now > last >> STAMP_MS ? now : last >> STAMP_MS;
	if (stamp >> STAMP_MS > now + AHEAD_MS)
		return false;
	while (stamp > last && !__atomic_compare_exchange_n(
	                               &b->stamp, &last, stamp, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	return true;
}

uint64_t stamp_reserve(struct broker *b, uint64_t stamp)
{
	uint64_t has = __atomic_load_n(&b->stamp_reserved, __ATOMIC_RELAXED), next = stamp + RESERVE;
	if (stamp + RESERVE / 2 <= has)
		return 0;
	return __atomic_compare_exchange_n(
	               &b->stamp_reserved, &has, next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
	               ? next
	               : 0; /* another loop does */
}

void stamp_reserve_again(struct broker *b)
{
	__atomic_store_n(&b->stamp_reserved, 0, __ATOMIC_RELAXED);
}

void stamp_restore(struct broker *b, uint64_t stamp)
{
	if (stamp > b->stamp && stamp >> STAMP_MS < LATEST_MS)
		b->stamp = stamp;
}

void stamp_restore_reserved(struct broker *b, uint64_t reserved)
{
	b->stamp_reserved = reserved;
	stamp_restore(b, reserved);
}
