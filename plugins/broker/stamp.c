/* SPDX-License-Identifier: Apache-2.0 */
#include "stamp.h"

#define AHEAD_MS (366 * 24 * 3600 * UINT64_C(1000))
/* Clocks that are no further from each other than half of it matter to nobody, even in the moment before a power cut. */
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
	uint64_t last = __atomic_load_n(&b->stamp, __ATOMIC_RELAXED);
	if (stamp >> STAMP_MS > wall_ms() + AHEAD_MS)
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

void stamp_restore(struct broker *b, uint64_t reserved)
{
	b->stamp_reserved = reserved;
	(void)stamp_seen(b, reserved);
}
