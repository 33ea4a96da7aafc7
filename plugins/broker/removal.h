/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows that are to go. When the commit that should have taken them out fails, what they stood for is gone from memory and
 * would come back at the next start; so they are remembered, and tried again with the next commit. As long as some are
 * left the shard is in doubt: who is told that something is gone waits for the commit that takes it out.
 */
#ifndef BROKER_REMOVAL_H
#define BROKER_REMOVAL_H

#include <stdbool.h>
#include <stdint.h>
#include "edged/slice.h"

struct session;
struct shard;

enum removal_table { REMOVAL_SESSION, REMOVAL_SUB, REMOVAL_RETAINED };

struct removal {
	struct removal *next;
	uint64_t session; /* REMOVAL_SUB: row of the session */
	uint8_t table;
	bool again; /* it failed before */
	uint16_t len;
	char key[]; /* client id, filter, topic */
};

struct removals {
	struct removal *queued; /* since the last commit */
	struct removal *failed; /* to be tried again */
	uint32_t failed_count;
	uint32_t trying; /* of them, tried again and not known yet */
	bool lost;       /* there were too many: whatever is gone from memory may be on the disk */
};

/* A row was taken out of the store. */
void removal_note(struct shard *shard, enum removal_table table, uint64_t session, struct edged_slice key);
/* Before a commit: takes out again what failed and is not wanted. Gives what the commit takes out. */
struct removal *removals_take(struct shard *shard);
/* That commit's result. Frees the list. */
void removals_done(struct shard *shard, struct removal *list, int result);
void removals_free(struct removal *list);
/* Is the row of an ended session of that client id to go, and may still be on the disk? */
bool removals_session_left(const struct shard *shard, struct edged_slice id);

static inline bool removals_in_doubt(const struct removals *removals)
{
	return removals->failed || removals->trying || removals->lost;
}

#endif
