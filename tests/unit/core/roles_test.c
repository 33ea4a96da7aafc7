/* SPDX-License-Identifier: Apache-2.0 */
/* Roles in simulated clusters: granted, told to all, moved, pinned and vetoed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim_cluster.h"

/* Grants that changed are asked for by those who hear rarely. */
static void changed_roles_reach_all_of_a_large_cluster(void **state)
{
	(void)state;
	struct sim *sim = cluster_of(32, SEED);
	sim_run(sim, 10000);
	unsigned leader = leader_of(sim, 0);
	uint8_t holder[GOSSIP_ID];
	memcpy(holder, roles_at(swarm_roles(sim->nodes[leader].swarm), ROLE_cache)->holder, GOSSIP_ID);
	for (unsigned i = 0; i < 32; i++) {
		uint8_t id[GOSSIP_ID];
		sim_id(sim, i, id);
		if (i != leader && !memcmp(id, holder, GOSSIP_SHORT))
			sim_kill(sim, i);
	}
	sim->nodes[leader].record.memory_mib = 1; /* if it was the holder itself */
	sim_describe(sim, leader);
	sim_run(sim, 6000);
	for (unsigned i = 0; i < 32; i++) {
		if (!sim->nodes[i].swarm)
			continue;
		const struct role_grant *g = roles_at(swarm_roles(sim->nodes[i].swarm), ROLE_cache);
		assert_non_null(g);
		assert_memory_not_equal(g->holder, holder, GOSSIP_SHORT);
		assert_string_equal(
		        g->reason, roles_at(swarm_roles(sim->nodes[leader].swarm), ROLE_cache)->reason);
	}
	sim_free(sim);
}

static void roles_are_granted_and_move(void **state)
{
	(void)state;
	struct sim *sim = sim_new(SEED, 3);
	for (unsigned i = 0; i < 3; i++) {
		sim->nodes[i].record.rank.uplink = i == 1 ? 3 : 0;
		sim->nodes[i].record.memory_mib = i == 2 ? 8192 : 512;
		sim_start(sim, i);
		sim_hint_all(sim, i);
	}
	sim_run(sim, 8000);
	uint8_t proxy[GOSSIP_ID], cache[GOSSIP_ID];
	sim_id(sim, 1, proxy);
	sim_id(sim, 2, cache);
	struct roles *seen = swarm_roles(sim->nodes[0].swarm);
	assert_true(roles_holds(seen, proxy, ROLE_networkProxy));
	assert_true(roles_holds(seen, proxy, ROLE_cloudGateway));
	assert_true(roles_holds(seen, cache, ROLE_cache));
	sim_kill(sim, 1);
	sim_run(sim, 10000);
	assert_false(roles_holds(seen, proxy, ROLE_networkProxy));
	assert_false(roles_at(seen, 0)->held);
	assert_string_equal(roles_at(seen, 0)->reason, "no node has an uplink to other networks");
	sim_free(sim);
}

static bool all_grant(struct sim *sim, enum role role, unsigned holder)
{
	uint8_t id[GOSSIP_ID];
	sim_id(sim, holder, id);
	for (unsigned i = 0; i < sim->count; i++)
		if (sim->nodes[i].swarm && !roles_holds(swarm_roles(sim->nodes[i].swarm), id, role))
			return false;
	return true;
}

static void set_uplink(struct sim *sim, unsigned i, uint8_t uplink)
{
	sim->nodes[i].record.rank.uplink = uplink;
	if (sim->nodes[i].swarm)
		sim_describe(sim, i);
}

static void roles_move_when_their_holder_weakens_or_leaves(void **state)
{
	(void)state;
	struct sim *sim = sim_new(SEED, 4);
	static const uint8_t uplinks[] = { 0, 3, 2, 1 }; /* 0 has none, and leads by its pin */
	sim->nodes[0].record.rank.pin = 1;
	for (unsigned i = 0; i < 4; i++) {
		set_uplink(sim, i, uplinks[i]);
		sim_start(sim, i);
		sim_hint_all(sim, i);
	}
	sim_run(sim, 8000);
	assert_true(all_grant(sim, ROLE_networkProxy, 1));
	/* unfit: at once; weaker than another: after a while, for it may be back soon */
	set_uplink(sim, 1, 0);
	sim_run(sim, 2000);
	assert_true(all_grant(sim, ROLE_networkProxy, 2));
	set_uplink(sim, 3, 3);
	sim_run(sim, ROLE_BETTER_MS - 5000);
	assert_true(all_grant(sim, ROLE_networkProxy, 2));
	sim_run(sim, 10000);
	assert_true(all_grant(sim, ROLE_networkProxy, 3));
	sim_leave(sim, 3);
	sim_run(sim, 1000);
	assert_true(all_grant(sim, ROLE_networkProxy, 2));
	sim_kill(sim, 2);
	sim_run(sim, 6000);
	for (unsigned i = 0; i < 2; i++)
		assert_false(roles_at(swarm_roles(sim->nodes[i].swarm), ROLE_networkProxy)->held);
	sim_free(sim);
}

/* What stays as it was under another supernode is granted by that one, also where somebody fitter is about to get it. */
static void what_stays_is_granted_anew_by_the_next(void **state)
{
	(void)state;
	struct sim *sim = cluster_of(3, SEED);
	sim_run(sim, 4000);
	unsigned next = (leader_of(sim, 0) + 1) % 3;
	for (unsigned i = 0; i < 3; i++) /* all are fitter than the holder */
		sim->nodes[i].record.memory_mib = 65536;
	for (unsigned i = 0; i < 3; i++) {
		uint8_t id[GOSSIP_ID];
		sim_id(sim, i, id);
		if (!roles_holds(swarm_roles(sim->nodes[0].swarm), id, ROLE_cache))
			sim_describe(sim, i);
	}
	sim->nodes[next].record.rank.pin = 1;
	sim_describe(sim, next);
	sim_run(sim, 6000);
	assert_int_equal(leader_of(sim, 0), next);
	uint64_t epoch = election_epoch(swarm_election(sim->nodes[next].swarm));
	for (unsigned i = 0; i < 3; i++)
		for (unsigned g = 0; g < 3; g++)
			assert_int_equal(roles_at(swarm_roles(sim->nodes[i].swarm), g)->epoch, epoch);
	sim_free(sim);
}

/* Every node finds the same holder for a key; and each of the two has about half. */
static void holders_share_the_keys(void **state)
{
	(void)state;
	struct sim *sim = cluster_of(ROLE_CACHES_FROM, SEED);
	sim_run(sim, 8000);
	unsigned first = 0;
	const struct role_grant *some = NULL, *other = NULL;
	for (unsigned k = 0; k < 1000; k++) {
		char key[32];
		struct edged_slice slice =
		        edged_slice(key, (size_t)snprintf(key, sizeof(key), "/cache/v1/%u", k));
		const struct role_grant *g =
		        roles_holder_for(swarm_roles(sim->nodes[0].swarm), ROLE_cache, slice);
		assert_non_null(g);
		some = some ? some : g;
		other = g == some ? other : g;
		first += g == some;
		for (unsigned i = 1; i < ROLE_CACHES_FROM; i++)
			assert_memory_equal(
			        roles_holder_for(swarm_roles(sim->nodes[i].swarm), ROLE_cache, slice)->holder,
			        g->holder, GOSSIP_SHORT);
	}
	assert_non_null(other);
	assert_in_range(first, 400, 600);
	assert_null(roles_holder_for(swarm_roles(sim->nodes[0].swarm), ROLE_COUNT, edged_str("x")));
	sim_free(sim);
}

static void pins_and_vetoes_of_operators_are_obeyed(void **state)
{
	(void)state;
	struct sim *sim = cluster_of(3, SEED);
	sim_run(sim, 4000);
	struct roles *seen = swarm_roles(sim->nodes[0].swarm);
	uint8_t id[3][GOSSIP_ID];
	unsigned holder = 3;
	for (unsigned i = 0; i < 3; i++) {
		sim_id(sim, i, id[i]);
		holder = roles_holds(seen, id[i], ROLE_cache) ? i : holder;
	}
	assert_true(holder < 3);
	/* a pin moves it at once, and not after a minute */
	unsigned pinned = (holder + 1) % 3, third = (holder + 2) % 3;
	sim->nodes[pinned].record.roles_pinned = 1 << ROLE_cache;
	sim_describe(sim, pinned);
	sim_run(sim, 3000);
	for (unsigned i = 0; i < 3; i++)
		assert_true(roles_holds(swarm_roles(sim->nodes[i].swarm), id[pinned], ROLE_cache));
	assert_non_null(strstr(roles_at(seen, ROLE_cache)->reason, "pinned"));
	/* a veto outweighs the pin, and is obeyed where the role is held */
	sim->nodes[pinned].record.roles_vetoed = sim->nodes[holder].record.roles_vetoed = 1 << ROLE_cache;
	sim_describe(sim, pinned);
	sim_describe(sim, holder);
	sim_run(sim, 3000);
	assert_true(roles_holds(seen, id[third], ROLE_cache));
	sim->nodes[third].record.roles_vetoed = 1 << ROLE_cache;
	sim_describe(sim, third);
	sim_run(sim, 3000);
	assert_false(roles_at(seen, ROLE_cache)->held);
	assert_non_null(strstr(roles_at(seen, ROLE_cache)->reason, "vetoed"));
	assert_true(roles_at(seen, ROLE_networkProxy)->held); /* others are not touched */
	/* and it lasts through another supernode */
	sim->nodes[third].record.roles_vetoed = 0;
	sim_describe(sim, third);
	sim_run(sim, 3000);
	unsigned leader = leader_of(sim, third);
	if (leader != third) {
		sim_kill(sim, leader);
		sim_run(sim, 8000);
	}
	assert_true(roles_holds(swarm_roles(sim->nodes[third].swarm), id[third], ROLE_cache));
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changed_roles_reach_all_of_a_large_cluster),
		cmocka_unit_test(roles_are_granted_and_move),
		cmocka_unit_test(roles_move_when_their_holder_weakens_or_leaves),
		cmocka_unit_test(what_stays_is_granted_anew_by_the_next),
		cmocka_unit_test(holders_share_the_keys),
		cmocka_unit_test(pins_and_vetoes_of_operators_are_obeyed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
