/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interest: which filters a node's subscribers have, and the highest QoS that one of them wants. Pure.
 *
 * Ours is counted by subscription, and told to other nodes as differences; theirs is a list that follows what they tell.
 * Both have a digest, so that the two can be compared. Beyond a number of filters a node tells of none but two that cover
 * them all, and filters what it gets. Shared subscriptions ("$share/...") are told by themselves always, as nothing covers
 * them, and beyond that number not at all: their members then get what is published on their own node.
 */
#ifndef MESH_INTEREST_H
#define MESH_INTEREST_H

#include <stdint.h>
#include "edged/slice.h"

/* How much is wanted: nothing, or QoS 0, 1, 2. */
enum { LEVEL_NONE, LEVEL_QOS0, LEVEL_QOS1, LEVEL_QOS2 };

/* What covers all filters that travel. */
#define INTEREST_WIDE_COUNT 2
extern const char *const interest_wide[INTEREST_WIDE_COUNT];

/* --- ours --- */
struct interest;

int interest_new(uint32_t most, struct interest **ret); /* -ENOMEM */
void interest_free(struct interest *interest);
/* So many subscriptions (1 or -1) begin. -ENOMEM. */
int interest_change(struct interest *interest, struct edged_slice filter, uint8_t qos, int by);
/* What is told from now on, as the difference to what was told: LEVEL_NONE, a filter goes. True: there was some. */
bool interest_flush(struct interest *interest,
        void (*each)(void *arg, struct edged_slice filter, uint8_t level), void *arg);
/* All that is told. */
void interest_each(const struct interest *interest,
        void (*each)(void *arg, struct edged_slice filter, uint8_t level), void *arg);
uint32_t interest_count(const struct interest *interest); /* of what is told */
uint64_t interest_digest(const struct interest *interest);
uint32_t interest_untold(const struct interest *interest); /* shared ones that are too many to be told */

/* --- theirs --- */
#define TOLD_MOST 2048 /* filters of one node: as many as may be told, and as many shared ones */

struct told {
	char **filters; /* in the order of strcmp() */
	uint8_t *levels;
	uint32_t count, size;
	uint64_t digest;
	char **changed; /* filters that were set since told_settled(), some perhaps more than once */
	uint32_t changed_count, changed_size;
	bool noted; /* these are all that were; else any may have been */
};

void told_fini(struct told *told); /* empty afterwards, and may be used again */
/* -ENOSPC: too many; -ENOMEM. */
int told_set(struct told *told, struct edged_slice filter, uint8_t level);
uint8_t told_level(const struct told *told, struct edged_slice filter);
/* What has changed is dealt with; what changes from now on is noted. */
void told_settled(struct told *told);

#endif
