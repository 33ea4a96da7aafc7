/* SPDX-License-Identifier: Apache-2.0 */
#include "aliases.h"

#include <stdlib.h>

#define PROBES 8 /* places that a topic may have */

void aliases_fini(struct aliases *a)
{
	for (uint16_t i = 0; a->topics && i < a->max; i++)
		free((void *)(uintptr_t)a->topics[i].ptr);
	free(a->topics);
	*a = (struct aliases){ 0 };
}

static uint16_t probes(const struct aliases *a)
{
	return a->max < PROBES ? a->max : PROBES;
}

uint16_t aliases_find(const struct aliases *a, uint64_t hash, struct edged_slice topic)
{
	for (uint16_t i = 0; a->count && i < probes(a); i++) {
		uint16_t at = (uint16_t)((hash + i) % a->max);
		if (edged_slice_eq(a->topics[at], topic))
			return (uint16_t)(at + 1);
	}
	return 0;
}

uint16_t aliases_add(struct aliases *a, uint64_t hash, struct edged_slice topic)
{
	if (a->max == 0 || a->count == a->max || topic.len < ALIAS_TOPIC_MIN)
		return 0;
	if (!a->topics && !(a->topics = calloc(a->max, sizeof(*a->topics))))
		return 0;
	for (uint16_t i = 0; i < probes(a); i++) {
		uint16_t at = (uint16_t)((hash + i) % a->max);
		if (a->topics[at].len)
			continue;
		char *text = malloc(topic.len);
		if (!text)
			return 0;
		memcpy(text, topic.ptr, topic.len);
		a->topics[at] = edged_slice(text, topic.len);
		a->count++;
		return (uint16_t)(at + 1);
	}
	return 0;
}
