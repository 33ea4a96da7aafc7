/* SPDX-License-Identifier: Apache-2.0 */
#include "backoff.h"

uint64_t backoff_ms(unsigned failures, uint64_t min, uint64_t max, uint64_t random)
{
	uint64_t most = min;
	while (failures-- > 1 && most < max)
		most *= 2;
	if (most > max)
		most = max;
	uint64_t wait = random % (most + 1);
	return wait < BACKOFF_FLOOR ? BACKOFF_FLOOR : wait;
}
