/* SPDX-License-Identifier: Apache-2.0 */
#include "penalty.h"

enum { UNIT = 3600 };

void penalties_init(struct penalties *p)
{
	pthread_mutex_init(&p->lock, NULL);
	p->left = PENALTY_BURST * UNIT;
}

void penalties_fini(struct penalties *p)
{
	pthread_mutex_destroy(&p->lock);
}

/* Its own entry; NULL: another address has that place. */
static struct penalty *find(struct penalties *p, uint64_t address)
{
	struct penalty *entry = &p->entries[address % PENALTY_ENTRIES];
	return entry->address == (uint32_t)(address >> 32) ? entry : NULL;
}

/* What all together have left now. */
static void refill(struct penalties *p, uint32_t now)
{
	uint32_t most = PENALTY_BURST * UNIT, passed = now - p->filled;
	p->filled = now;
	p->left = passed > PENALTY_FORGET || p->left + passed * PENALTY_HOURLY > most
	                  ? most
	                  : p->left + passed * PENALTY_HOURLY;
}

uint32_t penalty_left(struct penalties *p, uint64_t address, uint32_t now)
{
	pthread_mutex_lock(&p->lock);
	const struct penalty *entry = find(p, address);
	uint32_t left = entry && entry->until > now ? entry->until - now : 0;
	refill(p, now);
	if (!left && p->left < UNIT && !(entry && entry->known))
		left = 1 + (UNIT - p->left) / PENALTY_HOURLY;
	pthread_mutex_unlock(&p->lock);
	return left;
}

void penalty_add(struct penalties *p, uint64_t address, uint32_t now)
{
	pthread_mutex_lock(&p->lock);
	struct penalty *entry = &p->entries[address % PENALTY_ENTRIES];
	if (!find(p, address))
		*entry = (struct penalty){ .address = (uint32_t)(address >> 32) };
	else if (now - entry->last > PENALTY_FORGET)
		entry->failures = 0;
	entry->last = now;
	if (entry->failures < UINT16_MAX)
		entry->failures++;
	unsigned over = entry->failures > PENALTY_FREE ? entry->failures - PENALTY_FREE : 0;
	uint32_t wait = over == 0 ? 0 : over > 10 ? PENALTY_MAX : 1u << (over - 1);
	entry->until = now + (wait < PENALTY_MAX ? wait : PENALTY_MAX);
	refill(p, now);
	p->left -= p->left < UNIT ? p->left : UNIT;
	pthread_mutex_unlock(&p->lock);
}

void penalty_forget(struct penalties *p, uint64_t address)
{
	pthread_mutex_lock(&p->lock);
	p->entries[address % PENALTY_ENTRIES] =
	        (struct penalty){ .address = (uint32_t)(address >> 32), .known = true };
	pthread_mutex_unlock(&p->lock);
}
