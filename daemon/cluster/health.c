/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/health.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static struct health_entry *find(struct health *health, const char *node_id)
{
	for (unsigned i = 0; i < HEALTH_NODES; i++)
		if (strcmp(health->nodes[i].id, node_id) == 0)
			return &health->nodes[i];
	return NULL;
}

static struct health_entry *make_room(struct health *health)
{
	struct health_entry *first = &health->nodes[0];
	for (unsigned i = 1; i < HEALTH_NODES && first->id[0]; i++)
		if (!health->nodes[i].id[0] || health->nodes[i].until_ms < first->until_ms)
			first = &health->nodes[i];
	return first;
}

void health_failed(struct health *health, const char *node_id, uint64_t now_ms)
{
	struct health_entry *entry = find(health, node_id);
	if (!entry) {
		entry = make_room(health);
		*entry = (struct health_entry){ .failures = 0 };
		snprintf(entry->id, sizeof(entry->id), "%s", node_id);
	}
	uint64_t wait = (uint64_t)HEALTH_FIRST_MS << (entry->failures < 16 ? entry->failures : 16);
	entry->failures++;
	entry->until_ms = now_ms + (wait < HEALTH_MAX_MS ? wait : HEALTH_MAX_MS);
}

void health_succeeded(struct health *health, const char *node_id)
{
	struct health_entry *entry = find(health, node_id);
	if (entry)
		*entry = (struct health_entry){ .failures = 0 };
}

uint64_t health_avoided(const struct health *health, const char *node_id, uint64_t now_ms)
{
	for (unsigned i = 0; i < HEALTH_NODES; i++)
		if (health->nodes[i].until_ms > now_ms && strcmp(health->nodes[i].id, node_id) == 0)
			return health->nodes[i].until_ms - now_ms;
	return 0;
}

unsigned health_count(const struct health *health, uint64_t now_ms)
{
	unsigned n = 0;
	for (unsigned i = 0; i < HEALTH_NODES; i++)
		n += health->nodes[i].id[0] && health->nodes[i].until_ms > now_ms;
	return n;
}
