/* SPDX-License-Identifier: Apache-2.0 */
#include "stamp.h"

#define AHEAD_MS (366 * 24 * 3600 * UINT64_C(1000))

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
