/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who fails to log in waits: the fifth failure from one address costs a second, each one after it twice as much, up to
 * a quarter of an hour, and an hour without failures forgets them: 17 guesses in the first hour, 4 in each one after it. All
 * addresses together have 250 failures at once and 750 more an hour; beyond that only those from where somebody has
 * logged in lately are listened to. One table, in which addresses may push out each other. Any loop.
 */
#ifndef BROKER_PENALTY_H
#define BROKER_PENALTY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define PENALTY_FREE    4    /* failures without a penalty */
#define PENALTY_MAX     900  /* s */
#define PENALTY_FORGET  3600 /* s */
#define PENALTY_BURST   250  /* failures of all */
#define PENALTY_HOURLY  750
#define PENALTY_ENTRIES 1024

struct penalties {
	pthread_mutex_t lock;
	uint32_t filled; /* s: when `left` was right */
	uint32_t left;   /* failures that all together have left, in 1/3600 */
	struct penalty {
		uint32_t address; /* hash of it */
		uint32_t until;   /* s */
		uint32_t last;    /* failure, s */
		uint16_t failures;
		bool known; /* somebody has logged in from there */
	} entries[PENALTY_ENTRIES];
};

void penalties_init(struct penalties *penalties);
void penalties_fini(struct penalties *penalties);
/* Seconds that this address still has to wait. */
uint32_t penalty_left(struct penalties *penalties, uint64_t address, uint32_t now);
void penalty_add(struct penalties *penalties, uint64_t address, uint32_t now);
/* It has logged in. */
void penalty_forget(struct penalties *penalties, uint64_t address);

#endif
