/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A life cycle as a table: one row per state with its name and the set of states that may follow. sm_move() is the only
 * way to change state; a move that the table does not allow is a bug and aborts.
 */
#ifndef BASE_SM_H
#define BASE_SM_H

#include <stdbool.h>
#include <stdint.h>

#define SM_TO(state) (1u << (state))

struct sm_state {
	const char *name;
	uint32_t next; /* SM_TO(a) | SM_TO(b) */
};

struct sm {
	const struct sm_state *table;
	uint32_t count;
	uint32_t state;
	uint64_t moves;
};

void sm_init(struct sm *sm, const struct sm_state *table, uint32_t count, uint32_t first);
bool sm_may(const struct sm *sm, uint32_t state);
void sm_move(struct sm *sm, uint32_t state);
const char *sm_name(const struct sm *sm);

#endif
