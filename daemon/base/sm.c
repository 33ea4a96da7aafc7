/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sm.h"

#include <assert.h>
#include <stdlib.h>
#include "base/log.h"

void sm_init(struct sm *sm, const struct sm_state *table, uint32_t count, uint32_t first)
{
	assert(first < count && count <= 32);
	*sm = (struct sm){ .table = table, .count = count, .state = first };
}

bool sm_may(const struct sm *sm, uint32_t state)
{
	return state < sm->count && (sm->table[sm->state].next & SM_TO(state));
}

void sm_move(struct sm *sm, uint32_t state)
{
	if (!sm_may(sm, state)) {
		log_error("sm", "no way from state %s to state %s", sm_name(sm),
		        state < sm->count ? sm->table[state].name : "?");
		abort();
	}
	sm->state = state;
	sm->moves++;
}

const char *sm_name(const struct sm *sm)
{
	return sm->table[sm->state].name;
}
