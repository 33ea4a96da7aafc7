/* SPDX-License-Identifier: Apache-2.0 */
/* Whole clusters in the simulator: what CLUSTER.md promises must hold through loss, cuts, pauses and
 * duplicates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/election_text.h"
#include "sim_cluster.h"

static void a_single_node_leads_and_sleeps(void **state)
{
	(void)state;
	struct sim *sim = sim_new(SEED, 1);
	sim_start(sim, 0);
	sim_run(sim, 1200);
	assert_int_equal(sim_leader(sim, 0), 0);
	assert_int_equal(sim->nodes[0].sent, 0);
	uint64_t ticks = sim->nodes[0].ticks;
	sim_run(sim, 3600 * 1000);
	assert_int_equal(sim->nodes[0].ticks, ticks);
	assert_int_equal(sim->nodes[0].sent, 0);
	assert_true(roles_at(swarm_roles(sim->nodes[0].swarm), 0)->held);
	sim_free(sim);
}

static void two_nodes_find_one_supernode(void **state)
{
	(void)state;
	struct sim *sim = cluster_of(2, SEED);
	assert_int_equal(sim->nodes[0].joined, 1);
	assert_int_equal(sim->nodes[1].joined, 1);
	unsigned leader = leader_of(sim, 0);
	uint64_t changes = sim->leader_changes;
	sim_run(sim, 60000);
	assert_int_equal(sim->leader_changes, changes);
	sim_kill(sim, leader);
	assert_true(sim_until_agreed(sim, 0, 10000) <= 4000); /* with the other declared dead */
	assert_int_equal(leader_of(sim, 1 - leader), 1 - leader);
	sim_free(sim);
}

static void the_next_takes_over_within_a_second(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct sim *sim = cluster_of(5, seed);
		sim_run(sim, 5000 + seed * 37);
		unsigned leader = leader_of(sim, 0), other = (leader + 1) % 5;
		sim_kill(sim, leader);
		uint64_t start = sim->now;
		while (leader_of(sim, other) == leader && sim->now - start < 3000)
			sim_run(sim, 5);
		assert_true(sim->now - start <= 1000);
		sim_free(sim);
	}
}

/* Those who hear the supernode rarely must learn of the next one as fast as its deputies. */
static void all_of_a_large_cluster_follow_the_next_within_a_second(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct sim *sim = cluster_of(32, seed);
		sim_run(sim, 5000 + seed * 37);
		unsigned leader = leader_of(sim, 0), following = 0;
		sim_kill(sim, leader);
		uint64_t start = sim->now;
		while (following < 31 && sim->now - start < 3000) {
			sim_run(sim, 5);
			following = 0;
			for (unsigned i = 0; i < 32; i++)
				following += i != leader && sim_leader(sim, i) >= 0 &&
				             sim_leader(sim, i) != (int)leader;
		}
		assert_true(sim->now - start <= 1000);
		sim_free(sim);
	}
}

/* The deputy that does not hear the supernode asks those who would know better. */
static void a_deaf_deputy_of_a_large_cluster_does_not_take_over(void **state)
{
	(void)state;
	struct sim *sim = cluster_of(32, SEED);
	sim_run(sim, 5000);
	unsigned leader = leader_of(sim, 0), deputy = (leader + 1) % 32;
	sim->nodes[deputy].record.rank.stability = 3; /* the fittest of the others, but no better class */
	sim_describe(sim, deputy);
	sim_run(sim, 5000);
	sim->blocked[leader][deputy] = true;
	uint64_t elections = 0;
	sim_run(sim, 120 * 1000);
	for (unsigned i = 0; i < 32; i++) {
		assert_int_equal(sim->nodes[i].failed, 0);
		elections += election_counts(swarm_election(sim->nodes[i].swarm)).elections;
	}
	assert_int_equal(elections, 1);
	assert_int_equal(leader_of(sim, deputy), leader);
	sim_free(sim);
}

/* Bytes a second with all headers, over a minute of peace: the supernode's, and the others' in the mean. */
static void peace_is_cheap(void **state)
{
	(void)state;
	struct sim *sim = cluster_of(32, SEED);
	sim_run(sim, 10000);
	unsigned leader = leader_of(sim, 0);
	for (unsigned i = 0; i < 32; i++)
		sim->nodes[i].sent_bytes = 0;
	sim_run(sim, 60000);
	uint64_t others = 0;
	for (unsigned i = 0; i < 32; i++)
		others += i == leader ? 0 : sim->nodes[i].sent_bytes / 60;
	assert_true(sim->nodes[leader].sent_bytes / 60 <= 4000);
	assert_true(others / 31 <= 500);
	/* and the roles are known to all the same, with their reasons */
	const struct role_grant *here, *there;
	for (unsigned i = 0; i < 32; i++)
		for (unsigned g = 0; (here = roles_at(swarm_roles(sim->nodes[leader].swarm), g)); g++) {
			there = roles_at(swarm_roles(sim->nodes[i].swarm), g);
			assert_non_null(there);
			assert_memory_equal(here->holder, there->holder, GOSSIP_SHORT);
			assert_string_equal(here->reason, there->reason);
		}
	sim_free(sim);
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static uint64_t median_of(uint64_t *times, unsigned n)
{
	qsort(times, n, sizeof(*times), by_size);
	return times[n / 2];
}

static void a_dead_member_is_known_to_all_soon(void **state)
{
	(void)state;
	uint64_t took[50];
	for (unsigned i = 0; i < ARRAY_LEN(took); i++) {
		struct sim *sim = cluster_of(32, i + 1);
		sim_run(sim, 10000 + i * 13);
		sim_kill(sim, (leader_of(sim, 0) + 7) % 32);
		took[i] = sim_until_agreed(sim, 0, 20000);
		assert_true(took[i] <= 3000);
		sim_free(sim);
	}
	assert_true(median_of(took, ARRAY_LEN(took)) <= 2500);
}

static void loss_and_jitter_change_nothing(void **state)
{
	(void)state;
	struct sim *sim = cluster_of(8, SEED);
	sim_run(sim, 5000);
	sim->loss_permille = 50;
	sim->delay_max = 50;
	uint64_t changes = sim->leader_changes;
	sim_run(sim, 3600 * 1000);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(sim->nodes[i].failed, 0);
	assert_int_equal(sim->leader_changes, changes);
	sim_free(sim);
}

/* One datagram in ten is lost: beacons are missed all the time, and who takes over needlessly does so within hours. */
static void heavy_loss_changes_nothing(void **state)
{
	(void)state;
	for (unsigned hour = 0; hour < 20; hour++) {
		struct sim *sim = cluster_of(hour % 2 ? 3 : 8, 300 + hour);
		sim_run(sim, 5000);
		sim->loss_permille = 100;
		uint64_t changes = sim->leader_changes;
		sim_run(sim, 3600 * 1000);
		for (unsigned i = 0; i < sim->count; i++)
			assert_int_equal(sim->nodes[i].failed, 0);
		assert_int_equal(sim->leader_changes, changes);
		sim_free(sim);
	}
}

static void pauses_under_heavy_loss_kill_nobody(void **state)
{
	(void)state;
	struct sim *sim = cluster_of(8, SEED);
	sim_run(sim, 5000);
	sim->loss_permille = 100;
	for (unsigned round = 0; round < 360; round++) {
		sim_pause(sim, round % 8, 1000);
		sim_run(sim, 10000);
	}
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(sim->nodes[i].failed, 0);
	sim_free(sim);
}

/* Nobody else can be asked, and one datagram in ten is lost. */
static void a_pair_on_a_bad_network_stays_one(void **state)
{
	(void)state;
	for (unsigned hour = 0; hour < 60; hour++) {
		struct sim *sim = cluster_of(2, 100 + hour);
		sim_run(sim, 5000);
		sim->loss_permille = 100;
		uint64_t changes = sim->leader_changes;
		sim_run(sim, 3600 * 1000);
		assert_int_equal(sim->nodes[0].failed + sim->nodes[1].failed, 0);
		assert_int_equal(sim->leader_changes, changes);
		sim_free(sim);
	}
}

/* So many are silent at once that they are no sign of one's own bad hearing. */
static void half_of_a_large_cluster_is_missed_soon(void **state)
{
	(void)state;
	uint64_t merged[10];
	for (unsigned n = 0; n < ARRAY_LEN(merged); n++) {
		struct sim *sim = cluster_of(32, SEED + n);
		sim_run(sim, 5000 + n * 17);
		for (unsigned i = 16; i < 32; i++)
			sim->group[i] = 1;
		uint64_t start = sim->now;
		assert_true(sim_until_agreed(sim, 0, 10000) <= 4000);
		assert_true(sim_until_agreed(sim, 1, 10000) <= 4000);
		assert_true(sim->now - start <= 4000);
		sim_run(sim, 60000);
		memset(sim->group, 0, sizeof(sim->group));
		merged[n] = sim_until_agreed(sim, 0, 10000);
		assert_true(merged[n] <= 3000);
		sim_free(sim);
	}
	assert_true(median_of(merged, ARRAY_LEN(merged)) <= 1600);
}

static void a_pause_of_a_second_kills_nobody(void **state)
{
	(void)state;
	struct sim *sim = cluster_of(6, SEED);
	sim_run(sim, 5000);
	for (unsigned round = 0; round < 30; round++) {
		sim_pause(sim, round % 6, 1000);
		sim_run(sim, 6000);
	}
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(sim->nodes[i].failed, 0);
	assert_true(sim_agrees(sim, 0));
	sim_free(sim);
}

/* Half of what a node asks for help is on the other side, so it doubts itself and takes longer than over one that died. */
static void each_side_of_a_cut_goes_on_and_they_merge(void **state)
{
	(void)state;
	uint64_t cut[20];
	for (unsigned n = 0; n < ARRAY_LEN(cut); n++) {
		struct sim *sim = cluster_of(8, SEED + n);
		sim_run(sim, 5000 + n * 17);
		for (unsigned i = 4; i < 8; i++)
			sim->group[i] = 1;
		uint64_t start = sim->now;
		assert_true(sim_until_agreed(sim, 0, 10000) <= 6000);
		assert_true(sim_until_agreed(sim, 1, 10000) <= 6000);
		cut[n] = sim->now - start;
		assert_true(cut[n] <= 4000);
		sim_run(sim, 60000);
		assert_true(sim_agrees(sim, 0) && sim_agrees(sim, 1));
		memset(sim->group, 0, sizeof(sim->group));
		assert_true(sim_until_agreed(sim, 0, 10000) <= 2000);
		sim_free(sim);
	}
	assert_true(median_of(cut, ARRAY_LEN(cut)) <= 3000);
}

/* Who lost many at once must not call them at once and then nobody for long, whenever the network heals. */
static void a_cut_is_over_soon_after_it_heals(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 20; n++) {
		struct sim *sim = cluster_of(20, SEED + n);
		for (unsigned i = 10; i < 20; i++)
			sim->group[i] = 1;
		assert_true(sim_until_agreed(sim, 0, 10000) <= 6000);
		assert_true(sim_until_agreed(sim, 1, 10000) <= 6000);
		sim_run(sim, n * 250);
		memset(sim->group, 0, sizeof(sim->group));
		assert_true(sim_until_agreed(sim, 0, 10000) <= 2500);
		sim_free(sim);
	}
}

static void one_way_links_kill_nobody(void **state)
{
	(void)state;
	struct sim *sim = cluster_of(5, SEED);
	unsigned leader = leader_of(sim, 0), deaf = (leader + 2) % 5;
	sim->blocked[leader][deaf] = true; /* it does not hear the beacons, but others do */
	uint64_t elections = 0;
	sim_run(sim, 120 * 1000);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(sim->nodes[i].failed, 0);
		elections += election_counts(swarm_election(sim->nodes[i].swarm)).elections;
	}
	assert_true(elections <= 2);
	assert_int_equal(leader_of(sim, deaf), leader);
	sim_free(sim);
}

static void a_leaving_supernode_hands_over_at_once(void **state)
{
	(void)state;
	struct sim *sim = cluster_of(4, SEED);
	sim_run(sim, 5000);
	unsigned leader = leader_of(sim, 0), other = (leader + 1) % 4;
	uint64_t start = sim->now;
	sim_leave(sim, leader);
	assert_true(sim->now - start <= 100);
	sim_run(sim, 50);
	assert_true(sim_agrees(sim, 0));
	assert_int_equal(election_reason(swarm_election(sim->nodes[other].swarm)), ELECTION_BY_HANDED);
	assert_int_equal(sim->nodes[other].left, 1);
	sim_free(sim);
}

static void a_better_class_takes_over_after_a_minute(void **state)
{
	(void)state;
	struct sim *sim = cluster_of(3, SEED);
	unsigned leader = leader_of(sim, 0), better = (leader + 1) % 3;
	sim->nodes[better].record.rank.capacity = 5;
	sim_describe(sim, better);
	sim_run(sim, 30000);
	assert_int_equal(leader_of(sim, leader), leader);
	sim_run(sim, 32000);
	assert_true(sim_agrees(sim, 0));
	assert_int_equal(leader_of(sim, leader), better);
	sim->nodes[leader].record.rank.pin = 1;
	sim_describe(sim, leader);
	sim_run(sim, 3000);
	assert_int_equal(leader_of(sim, better), leader);
	sim_free(sim);
}

static void a_newcomer_with_a_high_epoch_does_not_depose(void **state)
{
	(void)state;
	struct sim *sim = sim_new(SEED, 4);
	for (unsigned i = 0; i < 3; i++) {
		sim_start(sim, i);
		sim_hint_all(sim, i);
	}
	assert_true(sim_until_agreed(sim, 0, 5000) < 3000);
	sim_run(sim, 5000);
	unsigned leader = leader_of(sim, 0);
	sim->nodes[3].saved_epoch = 1000;
	sim_start(sim, 3);
	sim_run(sim, 10000); /* alone it leads epoch 1001 */
	assert_int_equal(leader_of(sim, 3), 3);
	sim_hint(sim, 3, (leader + 1) % 3);
	assert_true(sim_until_agreed(sim, 0, 5000) <= 1000);
	assert_int_equal(leader_of(sim, 3), leader);
	assert_true(election_epoch(swarm_election(sim->nodes[3].swarm)) > 1001);
	sim_free(sim);
}

/* Three nodes, and a fourth that led alone with a much higher epoch meets node `met` of them. */
static void a_lone_leader_meets(unsigned met_leader)
{
	struct sim *sim = sim_new(SEED + met_leader, 4);
	for (unsigned i = 0; i < 3; i++) {
		sim_start(sim, i);
		sim_hint_all(sim, i);
	}
	assert_true(sim_until_agreed(sim, 0, 5000) < 3000);
	sim_run(sim, 5000);
	unsigned leader = leader_of(sim, 0);
	sim->nodes[3].saved_epoch = 1000;
	sim_start(sim, 3);
	sim_run(sim, 10000);
	assert_int_equal(leader_of(sim, 3), 3);
	/* only those two know of each other at first */
	unsigned met = met_leader ? leader : (leader + 1) % 3;
	for (unsigned i = 0; i < 3; i++)
		sim->blocked[3][i] = sim->blocked[i][3] = i != met;
	sim_hint(sim, 3, met);
	for (unsigned ms = 0; ms < 1500; ms++) {
		sim_run(sim, 1);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(sim_leader(sim, i), leader);
	}
	memset(sim->blocked, 0, sizeof(sim->blocked));
	assert_true(sim_until_agreed(sim, 0, 20000) <= 10000);
	assert_int_equal(leader_of(sim, 3), leader);
	sim_free(sim);
}

static void a_lone_leader_deposes_no_supernode(void **state)
{
	(void)state;
	a_lone_leader_meets(1);
}

static void a_lone_leader_wins_no_followers(void **state)
{
	(void)state;
	a_lone_leader_meets(0);
}

static void what_arrives_after_the_goodbye_raises_nobody(void **state)
{
	(void)state;
	struct sim *sim = cluster_of(3, SEED);
	sim_run(sim, 5000);
	unsigned leader = leader_of(sim, 0), gone = (leader + 1) % 3, other = (leader + 2) % 3;
	sim_leave(sim, gone);
	sim_run(sim, 50);
	struct member *m = sim_member(sim, other, gone);
	assert_int_equal(m->state, MEMBER_LEFT);
	/* datagrams of that process that were overtaken: an answer to the last question, and a greeting */
	m->seq = 77;
	m->sent_ms = sim->now;
	struct gossip_message late = { .type = GOSSIP_ACK, .seq = 77 };
	sim_inject(sim, gone, other, &late);
	uint64_t pings = sim->nodes[other].sent;
	struct gossip_message greeting = { .type = GOSSIP_PING, .seq = 78 };
	sim_inject(sim, gone, other, &greeting);
	sim_run(sim, 0);
	assert_int_equal(m->state, MEMBER_LEFT);
	assert_int_equal(sim->nodes[other].joined, 2);
	assert_int_equal(sim->nodes[other].sent, pings); /* nobody is asked, nobody answered */
	/* its next process is welcome */
	sim_start(sim, gone);
	sim_hint_all(sim, gone);
	assert_true(sim_until_agreed(sim, 0, 5000) < 3000);
	assert_int_equal(sim->nodes[other].joined, 3);
	sim_free(sim);
}

static bool buried(const struct sim *sim, unsigned who, unsigned before)
{
	for (unsigned i = 0; i < sim->count; i++)
		if (i != who && sim->nodes[i].failed == before)
			return false;
	return true;
}

/* The others have just called its former process. That must not keep them from looking at the new one, which would hear of no
 * supernode, and after a while make itself one. */
static void who_is_back_soon_after_its_death_is_met_at_once(void **state)
{
	(void)state;
	for (unsigned delay = 0; delay < 400; delay += 20) {
		struct sim *sim = cluster_of(6, SEED + delay);
		unsigned leader = leader_of(sim, 0), victim = leader ? 0 : 1;
		uint64_t epoch = election_epoch(swarm_election(sim->nodes[leader].swarm));
		sim_kill(sim, victim);
		while (!buried(sim, victim, 0))
			sim_run(sim, 10);
		sim_run(sim, delay);
		sim_start(sim, victim);
		for (unsigned i = 0; i < sim->count; i++)
			if (i != victim)
				sim_hint(sim, victim, i);
		assert_in_range(sim_until_agreed(sim, 0, 5000), 0, 500);
		assert_int_equal(sim_leader(sim, victim), (int)leader);
		assert_int_equal(election_epoch(swarm_election(sim->nodes[victim].swarm)), epoch);
		sim_free(sim);
	}
}

/* It is told of a supernode that it has not met: as after a restart, when the others first make sure that its former process is
 * gone. It waits for that one a while, and takes no office. */
static void who_hears_of_a_supernode_waits_to_meet_it(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		struct sim *sim = cluster_of(7, SEED + i);
		unsigned leader = leader_of(sim, 0), newcomer = (leader + 1) % 7,
		         friend = (leader + 2 + i % 5) % 7;
		uint64_t epoch = election_epoch(swarm_election(sim->nodes[leader].swarm));
		sim_kill(sim, newcomer);
		sim_run(sim, 6000);
		for (unsigned k = 0; k < 7; k++)
			sim->blocked[newcomer][k] = sim->blocked[k][newcomer] = k != friend;
		sim_start(sim, newcomer);
		for (unsigned k = 0; k < 7; k++)
			if (k != newcomer)
				sim_hint(sim, newcomer, k);
		sim_run(sim, 1500);
		for (unsigned k = 0; k < 7; k++)
			sim->blocked[newcomer][k] = sim->blocked[k][newcomer] = false;
		sim_run(sim, 4000);
		assert_int_equal(leader_of(sim, newcomer), leader);
		assert_int_equal(election_epoch(swarm_election(sim->nodes[leader].swarm)), epoch);
		sim_free(sim);
	}
}

/* A node that listens on loopback only is known to its own host, which must not tell others of it, nor keep comparing
 * tables with them because of it. */
static void who_is_on_loopback_only_is_not_told_to_others(void **state)
{
	(void)state;
	struct sim *sim = sim_new(SEED, 4);
	sim->nodes[3].record.address_count = 1;
	sim->nodes[3].record.addresses[0] =
	        (struct peer_addr){ .family = 4, .port = 8443, .ip = { 127, 0, 0, 1 } };
	for (unsigned i = 0; i < 3; i++) {
		sim_start(sim, i);
		sim_hint_all(sim, i);
		sim->blocked[3][i] = sim->blocked[i][3] = i != 0;
	}
	sim_start(sim, 3);
	sim_hint(sim, 3, 0);
	sim_run(sim, 10000);
	assert_int_equal(sim_live(sim, 0), 3);
	uint64_t lists = members_counts(swarm_members(sim->nodes[0].swarm)).syncs;
	sim_run(sim, 60000);
	for (unsigned i = 1; i < 3; i++) {
		assert_null(sim_member(sim, i, 3));
		assert_int_equal(sim_live(sim, i), 2);
		assert_int_equal(sim_leader(sim, i), sim_leader(sim, 0));
	}
	/* with the node itself, whose table is another, and with nobody else */
	assert_in_range(members_counts(swarm_members(sim->nodes[0].swarm)).syncs - lists, 0, 15);
	sim_free(sim);
}

/* Without the interface nobody can dial it. */
static void link_local_addresses_heard_over_ipv4_are_left_out(void **state)
{
	(void)state;
	struct sim *sim = sim_new(SEED, 2);
	struct node_description *record = &sim->nodes[1].record;
	record->address_count = 2;
	record->addresses[0] =
	        (struct peer_addr){ .family = 6, .port = 8443, .ip = { 0xfe, 0x80, [15] = 1 } };
	record->addresses[1] = (struct peer_addr){ .family = 4, .port = 8443, .ip = { 10, 0, 0, 1 } };
	for (unsigned i = 0; i < 2; i++) {
		sim_start(sim, i);
		sim_hint_all(sim, i);
	}
	sim_run(sim, 3000);
	const struct member *m = sim_member(sim, 0, 1);
	assert_int_equal(m->record.address_count, 1);
	assert_true(peer_addr_eq(&m->record.addresses[0], &record->addresses[1]));
	sim_free(sim);
}

static void a_duplicate_id_is_reported_and_harms_nobody(void **state)
{
	(void)state;
	struct sim *sim = sim_new(SEED, 4);
	sim->nodes[3].key = sim->nodes[2].key;
	for (unsigned i = 0; i < 4; i++) {
		sim_start(sim, i);
		sim_hint_all(sim, i);
		sim_run(sim, 1500);
	}
	sim_run(sim, 20000);
	assert_true(sim->nodes[2].own_duplicates > 0);
	assert_true(sim->nodes[3].own_duplicates > 0);
	assert_true(sim->nodes[0].duplicates > 0);
	assert_int_equal(sim->nodes[0].failed, 0);
	assert_int_equal(sim->nodes[1].failed, 0);
	assert_int_equal(sim_live(sim, 0), 2);
	assert_true(sim_leader(sim, 0) == sim_leader(sim, 1));
	sim_free(sim);
}

static void a_restarted_node_is_itself_again(void **state)
{
	(void)state;
	struct sim *sim = cluster_of(4, SEED);
	sim_run(sim, 5000);
	for (unsigned i = 0; i < 4; i++) {
		sim_kill(sim, i);
		sim_run(sim, 100);
		sim_start(sim, i);
		sim_hint_all(sim, i);
		assert_true(sim_until_agreed(sim, 0, 5000) <= 3000);
	}
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(sim->nodes[i].own_duplicates + sim->nodes[i].duplicates, 0);
	sim_free(sim);
}

static void a_jumping_clock_kills_nobody(void **state)
{
	(void)state;
	struct sim *sim = cluster_of(4, SEED);
	sim_run(sim, 5000);
	for (unsigned i = 0; i < 4; i++) {
		sim_jump(sim, i, 3600 * 1000);
		sim_run(sim, 5000);
	}
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(sim->nodes[i].failed, 0);
	assert_true(sim_agrees(sim, 0));
	sim_free(sim);
}

static void set_account(struct sim *sim, unsigned i, const char *account)
{
	struct node_description *record = &sim->nodes[i].record;
	snprintf(record->account, sizeof(record->account), "%s", account);
	if (sim->nodes[i].swarm)
		sim_describe(sim, i);
}

/* Who is not of the account may pin itself as it likes, and be as strong. */
static void a_stranger_gets_no_role(void **state)
{
	(void)state;
	struct sim *sim = cluster_of(3, SEED);
	unsigned stranger = (leader_of(sim, 0) + 1) % 3;
	uint8_t id[GOSSIP_ID];
	sim_id(sim, stranger, id);
	sim->nodes[stranger].record.roles_pinned = 0xff;
	sim->nodes[stranger].record.memory_mib = 1 << 20;
	set_account(sim, stranger, "other");
	sim_run(sim, ROLE_BETTER_MS + 5000);
	for (enum role role = 0; role < ROLE_COUNT; role++)
		assert_false(roles_holds(swarm_roles(sim->nodes[leader_of(sim, 0)].swarm), id, role));
	assert_int_equal(leader_of(sim, stranger), stranger);
	assert_true(roles_holds(swarm_roles(sim->nodes[stranger].swarm), id, ROLE_cache));
	sim_free(sim);
}

/* Nodes of two accounts on one network: each account has a supernode of its own, whatever the others' ranks and epochs are. */
static void each_account_elects_its_own(void **state)
{
	(void)state;
	struct sim *sim = sim_new(SEED, 6);
	for (unsigned i = 0; i < 6; i++) {
		set_account(sim, i, i % 2 ? "odd" : "even");
		sim->nodes[i].record.rank.capacity = (uint8_t)(i % 2 ? 8 : 2);
		sim_start(sim, i);
		sim_hint_all(sim, i);
	}
	sim_run(sim, 5000);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(leader_of(sim, i), leader_of(sim, i % 2));
		assert_int_equal(leader_of(sim, i) % 2, i % 2);
		assert_int_equal(members_live(swarm_members(sim->nodes[i].swarm)), 5);
	}
	/* The supernode of one dies: the others' stays. */
	unsigned odd = leader_of(sim, 1), even = leader_of(sim, 0);
	sim_kill(sim, odd);
	sim_run(sim, 4000);
	for (unsigned i = 0; i < 6; i++)
		if (i != odd)
			assert_true(i % 2 ? leader_of(sim, i) != odd && leader_of(sim, i) % 2
			                  : leader_of(sim, i) == even);
	sim_free(sim);
}

/* It tells everybody that it leads, by the highest rank. */
static void a_stranger_that_wants_to_lead_is_not_heard(void **state)
{
	(void)state;
	struct sim *sim = sim_new(SEED, 3);
	set_account(sim, 2, "other");
	sim->nodes[2].trusting = true;
	sim->nodes[2].record.rank.pin = 255;
	for (unsigned i = 3; i-- > 0;) {
		sim_start(sim, i);
		sim_hint_all(sim, i);
		sim_run(sim, 5000);
	}
	assert_int_equal(leader_of(sim, 2), 2);
	assert_true(leader_of(sim, 0) < 2);
	assert_int_equal(leader_of(sim, 1), leader_of(sim, 0));
	sim_free(sim);
}

/* Who joins an account follows its supernode, and who leaves it has one of its own. */
static void accounts_may_change(void **state)
{
	(void)state;
	struct sim *sim = sim_new(SEED, 3);
	for (unsigned i = 0; i < 3; i++) {
		set_account(sim, i, i ? "ours" : "another");
		sim_start(sim, i);
		sim_hint_all(sim, i);
	}
	sim_run(sim, 5000);
	unsigned ours = leader_of(sim, 1);
	assert_int_equal(leader_of(sim, 2), ours);
	assert_int_equal(leader_of(sim, 0), 0);
	set_account(sim, 0, "ours");
	sim_run(sim, 2000);
	assert_int_equal(leader_of(sim, 1), leader_of(sim, 0));
	assert_int_equal(leader_of(sim, 2), leader_of(sim, 0));
	ours = leader_of(sim, 0);
	set_account(sim, ours, "third");
	sim_run(sim, 8000);
	assert_int_equal(leader_of(sim, ours), ours);
	unsigned a = (ours + 1) % 3, b = (ours + 2) % 3;
	assert_int_equal(leader_of(sim, a), leader_of(sim, b));
	assert_true(leader_of(sim, a) == a || leader_of(sim, a) == b);
	sim_free(sim);
}

static void a_full_disk_keeps_it_from_leading(void **state)
{
	(void)state;
	struct sim *sim = sim_new(SEED, 2);
	sim->nodes[0].save_fails = true;
	sim->nodes[0].record.rank.pin = 9;
	for (unsigned i = 0; i < 2; i++) {
		sim_start(sim, i);
		sim_hint_all(sim, i);
	}
	sim_run(sim, 5000);
	assert_int_equal(sim_leader(sim, 0), 1);
	sim_free(sim);
}

static void tables_stay_bounded(void **state)
{
	(void)state;
	struct sim *sim = cluster_of(2, SEED);
	for (unsigned i = 0; i < 5000; i++) {
		struct gossip_message list = { .type = GOSSIP_SYNC, .entry_count = 18 };
		for (unsigned e = 0; e < 18; e++) {
			uint64_t x = sim_random(sim);
			list.entries[e].key[0] = 3;
			memcpy(list.entries[e].key + 25, &x, 8);
			list.entries[e].addr =
			        (struct peer_addr){ .family = 4, .port = 1, .ip = { 99, 1, 1, 1 } };
		}
		sim_inject(sim, 0, 1, &list);
		sim_run(sim, 1);
	}
	unsigned known = 0;
	while (members_at(swarm_members(sim->nodes[1].swarm), known))
		known++;
	assert_true(known <= sim->options.members.max_heard + 2u);
	sim_run(sim, 120 * 1000);
	known = 0;
	while (members_at(swarm_members(sim->nodes[1].swarm), known))
		known++;
	assert_int_equal(known, 1);
	assert_true(sim_agrees(sim, 0));
	sim_free(sim);
}

static void forged_news_of_others_is_not_believed(void **state)
{
	(void)state;
	struct sim *sim = cluster_of(4, SEED);
	sim_run(sim, 3000);
	struct gossip_message lie = {
		.type = GOSSIP_ACCUSE, .flags = GOSSIP_DEAD, .target_incarnation = UINT32_MAX
	};
	uint8_t victim[GOSSIP_ID];
	sim_id(sim, 2, victim);
	memcpy(lie.target, victim, GOSSIP_SHORT);
	for (unsigned i = 0; i < 200; i++) {
		sim_inject(sim, 3, i % 3, &lie);
		sim_run(sim, 50);
	}
	assert_int_equal(sim->nodes[0].failed + sim->nodes[1].failed, 0);
	assert_true(sim_member(sim, 0, 2)->incarnation < 100);
	/* a beacon from far in the future */
	struct gossip_message beacon = { .type = GOSSIP_BEACON, .epoch = UINT64_MAX - 1, .lease_ms = 60000 };
	unsigned leader = leader_of(sim, 0), liar = (leader + 1) % 4;
	sim_inject(sim, liar, leader, &beacon);
	sim_run(sim, 100);
	assert_int_equal(leader_of(sim, leader), leader);
	sim_free(sim);
}

static void a_removed_node_is_out_and_stays_out(void **state)
{
	(void)state;
	struct sim *sim = cluster_of(5, SEED);
	unsigned out = leader_of(sim, 0);
	sim->barred[out] = true;
	for (unsigned i = 0; i < 5; i++)
		if (i != out)
			sim_expel(sim, i, out);
	for (unsigned second = 0; second < 60; second++) {
		sim_run(sim, 1000);
		for (unsigned i = 0; i < 5; i++) {
			if (i == out)
				continue;
			assert_null(sim_member(
			        sim, i, out)); /* not even heard of, though it calls all the time */
			assert_int_equal(sim_live(sim, i), 3);
			assert_true(
			        second == 0 || (sim_leader(sim, i) >= 0 && sim_leader(sim, i) != (int)out));
		}
	}
	assert_int_equal(sim_live(sim, out), 0);
	/* a restart and discovery change nothing */
	uint64_t refused = members_counts(swarm_members(sim->nodes[(out + 1) % 5].swarm)).barred;
	assert_true(refused > 0);
	sim_kill(sim, out);
	sim_start(sim, out);
	sim_hint_all(sim, out);
	sim_run(sim, 20000);
	assert_null(sim_member(sim, (out + 1) % 5, out));
	assert_true(members_counts(swarm_members(sim->nodes[(out + 1) % 5].swarm)).barred > refused);
	/* readmitted, it is one of them again */
	sim->barred[out] = false;
	sim_hint_all(sim, out);
	assert_true(sim_until_agreed(sim, 0, 30000) < 20000);
	assert_int_equal(sim_live(sim, out), 4);
	sim_free(sim);
}

static void sentences_say_why(void **state)
{
	(void)state;
	struct sim *sim = sim_new(SEED, 2);
	sim->nodes[1].record.rank.link = 1;
	for (unsigned i = 0; i < 2; i++) {
		sim_start(sim, i);
		sim_hint_all(sim, i);
	}
	sim_run(sim, 4000);
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	assert_int_equal(election_explain(swarm_election(sim->nodes[1].swarm), &text), 0);
	assert_non_null(strstr(text.ptr, "node0 ("));
	assert_non_null(strstr(text.ptr, "link class Wi-Fi, the supernode has link class wired."));
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_single_node_leads_and_sleeps),
		cmocka_unit_test(two_nodes_find_one_supernode),
		cmocka_unit_test(the_next_takes_over_within_a_second),
		cmocka_unit_test(all_of_a_large_cluster_follow_the_next_within_a_second),
		cmocka_unit_test(a_deaf_deputy_of_a_large_cluster_does_not_take_over),
		cmocka_unit_test(peace_is_cheap),
		cmocka_unit_test(a_dead_member_is_known_to_all_soon),
		cmocka_unit_test(loss_and_jitter_change_nothing),
		cmocka_unit_test(heavy_loss_changes_nothing),
		cmocka_unit_test(pauses_under_heavy_loss_kill_nobody),
		cmocka_unit_test(a_pair_on_a_bad_network_stays_one),
		cmocka_unit_test(half_of_a_large_cluster_is_missed_soon),
		cmocka_unit_test(a_pause_of_a_second_kills_nobody),
		cmocka_unit_test(each_side_of_a_cut_goes_on_and_they_merge),
		cmocka_unit_test(a_cut_is_over_soon_after_it_heals),
		cmocka_unit_test(one_way_links_kill_nobody),
		cmocka_unit_test(a_leaving_supernode_hands_over_at_once),
		cmocka_unit_test(a_better_class_takes_over_after_a_minute),
		cmocka_unit_test(a_newcomer_with_a_high_epoch_does_not_depose),
		cmocka_unit_test(a_lone_leader_deposes_no_supernode),
		cmocka_unit_test(a_lone_leader_wins_no_followers),
		cmocka_unit_test(what_arrives_after_the_goodbye_raises_nobody),
		cmocka_unit_test(who_is_back_soon_after_its_death_is_met_at_once),
		cmocka_unit_test(who_hears_of_a_supernode_waits_to_meet_it),
		cmocka_unit_test(who_is_on_loopback_only_is_not_told_to_others),
		cmocka_unit_test(link_local_addresses_heard_over_ipv4_are_left_out),
		cmocka_unit_test(a_duplicate_id_is_reported_and_harms_nobody),
		cmocka_unit_test(a_restarted_node_is_itself_again),
		cmocka_unit_test(a_jumping_clock_kills_nobody),
		cmocka_unit_test(a_stranger_gets_no_role),
		cmocka_unit_test(each_account_elects_its_own),
		cmocka_unit_test(a_stranger_that_wants_to_lead_is_not_heard),
		cmocka_unit_test(accounts_may_change),
		cmocka_unit_test(a_full_disk_keeps_it_from_leading),
		cmocka_unit_test(tables_stay_bounded),
		cmocka_unit_test(forged_news_of_others_is_not_believed),
		cmocka_unit_test(a_removed_node_is_out_and_stays_out),
		cmocka_unit_test(sentences_say_why),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
