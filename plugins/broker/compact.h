/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compaction of the log "messages". What is appended there is over sooner or later, but a message that waits long keeps the
 * front of the log, and so all behind it. When the log is a few times as large as what is still needed of it, each shard
 * appends its own share anew, a piece for each commit while everything goes on, and once all of that is on the disk the
 * log is cut at where it ended before. So the log stays within a few times what is needed, and what is written twice is at
 * most half of what was written once.
 */
#ifndef BROKER_COMPACT_H
#define BROKER_COMPACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct broker;
struct shard;

/* The broker's. */
struct compaction {
	uint64_t appended;   /* atomic: bytes since somebody looked at the size of the log */
	uint32_t generation; /* atomic: counts compactions */
	uint32_t pending;    /* atomic: shards that are not through, and the end; 0: none is under way */
	bool failed;         /* atomic: it will not cut the log */
	uint64_t mark;       /* where the log is to be cut */
	uint64_t size;       /* atomic: of the log after the last one */
};

/* The shard's. */
struct compacting {
	uint32_t generation;
	size_t bucket,
	        buckets; /* of the table of sessions: the next one to look at, and how many there were */
	uint64_t session, seq; /* the last entry that was written */
	bool active;
};

/* Begins one when it is due. Called at the end of turns that wrote. */
void compact_check(struct shard *shard);

#endif
