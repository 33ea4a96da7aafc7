/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a group of commits is written. Pure: the clock is the caller's, in microseconds; see queue.h for the lock.
 *
 * A sync writes whole blocks, so a group of one small record costs a block. Who commits seldom is not kept waiting for that.
 * But where group follows group, waiting makes sense if others come meanwhile, and only then: a flow of many messages brings
 * them, one client that waits for its answer before it goes on does not. Which of the two it is cannot be seen when the disk
 * is quick, as then everybody comes alone. So it is tried now and then: a group waits longer than it would have, and what
 * that brings decides how long the next ones wait. Trials that bring nothing become rare.
 *
 *   - Groups that come seldom: one commit is written at once; where the last group had several, the group ends when none has
 *     come for group_us.
 *   - More than BURST groups, one of which is forgotten every max_us: groups wait as long as was learned, or for a trial.
 *   - A group never waits longer than max_us, nor when GROUP_BYTES are there. After a quarter of max_us it is written as soon
 *     as its blocks are full, that is when the next record would begin another.
 */
#ifndef STORE_PACE_H
#define STORE_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A group that gathers is written when it has so many bytes. */
#define GROUP_BYTES (64u * 1024)

struct pace {
	uint64_t group_us, max_us; /* 0: nothing ever waits */

	/* of the group that comes together */
	bool gathering; /* between pace_begin() and pace_end(), if it waits at all */
	bool reading;   /* a read is among what waits */
	bool trial;
	unsigned commits;
	size_t bytes, records; /* memory of operations; what goes to logs */
	uint64_t started;      /* waiting */
	uint64_t latest;       /* when the last operation came */
	uint64_t longest;      /* of the pauses that somebody has ended */
	uint64_t usual, gap;   /* the silence that ends it: without a trial, and as it is */

	/* of those before */
	bool company;      /* the last one had several commits */
	uint64_t forgiven; /* when all groups of late will be forgotten */
	uint64_t begun;    /* the last group */
	uint64_t interval; /* between two groups, on average */
	uint64_t learned;  /* how long a silence is worth waiting for */
	unsigned missed;   /* groups that ended in silence since the last trial */
	unsigned spacing;  /* how many of them make the next one due */
	uint32_t saved;    /* of 1,024 bytes of records, by squeezing them */
};

/* Something has come. True: it may end the waiting of a group that gathers. */
bool pace_commit(struct pace *pace, uint64_t now, size_t bytes, size_t records);
bool pace_read(struct pace *pace, uint64_t now, size_t bytes);

/* The thread is ready for a group. */
void pace_begin(struct pace *pace, uint64_t now);
/* When it is written if nothing else comes; `now` or before: now. */
uint64_t pace_due(const struct pace *pace);
/* It is taken to be written. */
void pace_end(struct pace *pace, uint64_t now);
/* What its records could be made. */
void pace_stored(struct pace *pace, uint64_t records, uint64_t squeezed);

#endif
