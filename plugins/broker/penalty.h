/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who fails to log in waits: the fifth failure from one address costs a second, each one after it twice as much, up to
 * a quarter of an hour. One small table for each shard, in which addresses may push out each other. Pure.
 */
#ifndef BROKER_PENALTY_H
#define BROKER_PENALTY_H

#include <stdbool.h>
#include <stdint.h>

#define PENALTY_FREE    4   /* failures without a penalty */
#define PENALTY_MAX     900 /* s */
#define PENALTY_ENTRIES 256

struct penalties {
	struct {
		uint32_t address; /* hash of it */
		uint32_t until;   /* s */
		uint32_t failures;
	} entries[PENALTY_ENTRIES];
};

/* Seconds that this address still has to wait. */
uint32_t penalty_left(const struct penalties *penalties, uint64_t address, uint32_t now);
void penalty_add(struct penalties *penalties, uint64_t address, uint32_t now);
/* It has logged in. */
void penalty_forget(struct penalties *penalties, uint64_t address);

#endif
