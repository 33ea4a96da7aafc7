/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of simulated clusters have in common. After cmocka.h. */
#ifndef TESTS_SIM_CLUSTER_H
#define TESTS_SIM_CLUSTER_H

#include "sim.h"

#define SEED 20240607

/* That many nodes, one cluster already. */
static inline struct sim *cluster_of(unsigned n, uint64_t seed)
{
	struct sim *sim = sim_new(seed, n);
	for (unsigned i = 0; i < n; i++) {
		sim_start(sim, i);
		sim_hint_all(sim, i);
	}
	assert_true(sim_until_agreed(sim, 0, 5000) < 3000);
	return sim;
}

static inline unsigned leader_of(struct sim *sim, unsigned i)
{
	int leader = sim_leader(sim, i);
	assert_true(leader >= 0);
	return (unsigned)leader;
}

#endif
