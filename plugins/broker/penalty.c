/* SPDX-License-Identifier: Apache-2.0 */
#include "penalty.h"

uint32_t penalty_left(const struct penalties *p, uint64_t address, uint32_t now)
{
	uint64_t at = address % PENALTY_ENTRIES;
	if (p->entries[at].address != (uint32_t)(address >> 32) || p->entries[at].until <= now)
		return 0;
	return p->entries[at].until - now;
}

void penalty_add(struct penalties *p, uint64_t address, uint32_t now)
{
	uint64_t at = address % PENALTY_ENTRIES;
	uint32_t tag = (uint32_t)(address >> 32);
	if (p->entries[at].address != tag || now > p->entries[at].until + PENALTY_MAX)
		p->entries[at].failures = 0;
	p->entries[at].address = tag;
	uint32_t over = ++p->entries[at].failures > PENALTY_FREE ? p->entries[at].failures - PENALTY_FREE : 0;
	uint32_t wait = over == 0 ? 0 : over > 10 ? PENALTY_MAX : 1u << (over - 1);
	p->entries[at].until = now + (wait < PENALTY_MAX ? wait : PENALTY_MAX);
}

void penalty_forget(struct penalties *p, uint64_t address)
{
	uint64_t at = address % PENALTY_ENTRIES;
	if (p->entries[at].address == (uint32_t)(address >> 32))
		p->entries[at].failures = p->entries[at].until = 0;
}
