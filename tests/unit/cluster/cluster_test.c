/* SPDX-License-Identifier: Apache-2.0 */
/* Real sockets on loopback: clusters of two and three in one process. No multicast here: seeds, free ports. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster/cluster.h"

enum { NODES = 3, PATIENCE = 15000 };

struct node {
	struct identity *identity;
	struct cluster *cluster;
	const char *seeds[2];
	char seed[32], folder[64];
	unsigned joined, left, supernodes, roles, duplicates;
};

static struct {
	char folder[32];
	struct loops *loops;
	struct timer *poll;
	struct node nodes[NODES];
	bool gone;
} t;

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
	(void)info, (void)type, (void)ftw;
	return remove(path);
}

static void poll_again(void *arg)
{
	(void)arg;
	timer_set(t.poll, 2);
}

/* Turns the loop until `done`, at most for PATIENCE; ms it took. */
static uint64_t run_until(bool (*done)(void))
{
	uint64_t start = clock_mono_ms();
	timer_set(t.poll, 0);
	while (!done() && clock_mono_ms() - start < PATIENCE)
		assert_int_equal(event_base_loop(loop_base(loops_at(t.loops, 0)), EVLOOP_ONCE), 0);
	assert_true(done());
	return clock_mono_ms() - start;
}

static void on_event(void *arg, const char *type, struct edged_slice json)
{
	struct node *n = arg;
	assert_true(json.len > 2 && json.ptr[0] == '{' && json.ptr[json.len - 1] == '}');
	n->joined += !strcmp(type, "nodeJoined");
	n->left += !strcmp(type, "nodeLeft");
	n->supernodes += !strcmp(type, "supernodeChanged");
	n->roles += !strcmp(type, "roleGranted");
	n->duplicates += !strcmp(type, "nodeDuplicate");
}

/* Opens node i; it knows node `seed` (< 0: nobody). */
static void open_node(unsigned i, int seed)
{
	struct node *n = &t.nodes[i];
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	assert_int_equal(buf_addf(&path, "%s/cluster%u", t.folder, i), 0);
	memcpy(n->folder, path.ptr, path.len + 1);
	struct cluster_options options = cluster_defaults();
	options.mdns = false;
	options.name = i == 0 ? "alpha" : i == 1 ? "beta" : "gamma";
	if (seed >= 0) {
		snprintf(n->seed, sizeof(n->seed), "127.0.0.1:%u", cluster_port(t.nodes[seed].cluster));
		n->seeds[0] = n->seed;
		options.seeds = n->seeds;
	}
	struct cluster_deps deps = { .loop = loops_at(t.loops, 0),
		.identity = n->identity,
		.folder = n->folder,
		.arg = n,
		.event = on_event };
	struct err err = { "" };
	assert_int_equal(cluster_new(&deps, &options, &n->cluster, &err), 0);
	assert_int_equal(cluster_start(n->cluster, &err), 0);
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	log_set_level(EDGED_ERROR);
	memcpy(t.folder, "/tmp/cluster-XXXXXX", 20);
	assert_non_null(mkdtemp(t.folder));
	assert_int_equal(loops_new(1, &t.loops), 0);
	assert_int_equal(timer_new(loops_at(t.loops, 0), poll_again, NULL, &t.poll), 0);
	for (unsigned i = 0; i < NODES; i++) {
		char path[64];
		snprintf(path, sizeof(path), "%s/%u", t.folder, i);
		assert_int_equal(identity_open(path, &t.nodes[i].identity, NULL), 0);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NODES; i++) {
		cluster_free(t.nodes[i].cluster);
		identity_free(t.nodes[i].identity);
	}
	timer_free(t.poll);
	loops_free(t.loops);
	nftw(t.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}

/* All open nodes have each other as members and name the same supernode. */
static bool agreed(void)
{
	const uint8_t *leader = NULL;
	unsigned open = 0, leaders = 0;
	for (unsigned i = 0; i < NODES; i++)
		open += t.nodes[i].cluster != NULL;
	for (unsigned i = 0; i < NODES; i++) {
		if (!t.nodes[i].cluster)
			continue;
		const struct swarm *swarm = cluster_swarm(t.nodes[i].cluster);
		const uint8_t *mine = election_leader(swarm_election(swarm));
		leaders += cluster_is_supernode(t.nodes[i].cluster);
		if (members_live(swarm_members(swarm)) != open - 1 || !mine ||
		        (leader && memcmp(leader, mine, GOSSIP_ID)))
			return false;
		leader = mine;
	}
	return leaders == 1;
}

static bool one_supernode(void)
{
	unsigned leaders = 0;
	for (unsigned i = 0; i < NODES; i++)
		leaders += t.nodes[i].cluster && cluster_is_supernode(t.nodes[i].cluster);
	return leaders == 1;
}

static void two_find_each_other_by_a_seed(void **state)
{
	(void)state;
	open_node(0, -1);
	open_node(1, 0);
	assert_true(run_until(agreed) < 3000);
	assert_int_equal(t.nodes[0].joined, 1);
	assert_int_equal(t.nodes[1].joined, 1);
	assert_true(t.nodes[0].supernodes > 0 && t.nodes[1].roles > 0);

	struct node_record record;
	bool ambiguous;
	assert_true(cluster_find(t.nodes[0].cluster, edged_str("beta"), &record, &ambiguous));
	assert_string_equal(record.id, identity_node_id(t.nodes[1].identity));
	assert_true(record.reachable && !record.self);
	assert_true(cluster_find(t.nodes[0].cluster, edged_str("alpha"), &record, NULL));
	assert_true(record.self);
	assert_true(cluster_find(
	        t.nodes[0].cluster, edged_slice(identity_node_id(t.nodes[1].identity), 8), &record, NULL));
	assert_false(cluster_find(t.nodes[0].cluster, edged_str("aaaaaaaabbbb"), &record, &ambiguous));
	assert_false(ambiguous);
}

static void the_next_serves_within_a_second(void **state)
{
	(void)state;
	open_node(0, -1);
	open_node(1, 0);
	open_node(2, 0);
	run_until(agreed);
	unsigned leader = 0;
	while (!cluster_is_supernode(t.nodes[leader].cluster))
		leader++;
	cluster_free(t.nodes[leader].cluster); /* as kill -9: nothing is said */
	t.nodes[leader].cluster = NULL;
	assert_true(run_until(one_supernode) <=
	            2000); /* 1 s, which the simulator holds it to, and a busy machine */
	assert_true(run_until(agreed) <= 6000);
}

static void left(void *arg)
{
	(void)arg;
	t.gone = true;
}

static bool has_gone(void)
{
	return t.gone;
}

static void leaving_hands_over(void **state)
{
	(void)state;
	open_node(0, -1);
	open_node(1, 0);
	run_until(agreed);
	unsigned leader = cluster_is_supernode(t.nodes[1].cluster);
	cluster_leave(t.nodes[leader].cluster, left, NULL);
	assert_true(run_until(has_gone) <= 350);
	assert_true(cluster_is_supernode(t.nodes[1 - leader].cluster));
	cluster_free(t.nodes[leader].cluster);
	t.nodes[leader].cluster = NULL;
	run_until(agreed);
	assert_int_equal(t.nodes[1 - leader].left, 1);
}

static void former_peers_are_found_again(void **state)
{
	(void)state;
	open_node(0, -1);
	open_node(1, 0);
	run_until(agreed);
	t.gone = false;
	cluster_leave(t.nodes[1].cluster, left, NULL);
	run_until(has_gone);
	cluster_free(t.nodes[1].cluster);
	t.nodes[1].cluster = NULL;
	open_node(1, -1);
	assert_true(run_until(agreed) <= 5000);
}

static bool both_reported(void)
{
	return t.nodes[1].duplicates && t.nodes[2].duplicates;
}

static void a_copied_identity_is_reported_on_both(void **state)
{
	(void)state;
	identity_free(t.nodes[2].identity);
	char path[64];
	snprintf(path, sizeof(path), "%s/1", t.folder);
	assert_int_equal(identity_open(path, &t.nodes[2].identity, NULL), 0);
	log_set_level((enum edged_level)0);
	open_node(0, -1);
	open_node(1, 0);
	open_node(2, 0);
	run_until(both_reported);
	assert_int_equal(t.nodes[0].left, 0);
	assert_int_equal(members_live(swarm_members(cluster_swarm(t.nodes[0].cluster))), 1);
}

static void alone_it_is_supernode_and_quiet(void **state)
{
	(void)state;
	open_node(0, -1);
	assert_true(run_until(one_supernode) < 3000);
	assert_int_equal(cluster_counts(t.nodes[0].cluster).sent, 0);
	assert_int_equal(t.nodes[0].supernodes, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(two_find_each_other_by_a_seed, setup, teardown),
		cmocka_unit_test_setup_teardown(the_next_serves_within_a_second, setup, teardown),
		cmocka_unit_test_setup_teardown(leaving_hands_over, setup, teardown),
		cmocka_unit_test_setup_teardown(former_peers_are_found_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_copied_identity_is_reported_on_both, setup, teardown),
		cmocka_unit_test_setup_teardown(alone_it_is_supernode_and_quiet, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
