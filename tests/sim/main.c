/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clusters under trouble, for as long as asked: sim SECONDS [SEED]. Each round is a cluster of 2 to 24 nodes with its own
 * seed that goes through random troubles and must be one again after each. A failure prints the round's seed; `sim 0 SEED`
 * plays that round alone.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "sim.h"

enum { TROUBLES = 30, SETTLE = 30000 };

struct round {
	struct sim *sim;
	unsigned n;
	uint64_t node_ms;
	const char *trouble;
};

static unsigned pick(struct round *r)
{
	return (unsigned)(sim_random(r->sim) % r->n);
}

static void crash(struct round *r)
{
	unsigned i = pick(r);
	sim_kill(r->sim, i);
	sim_run(r->sim, sim_random(r->sim) % 8000);
	sim_start(r->sim, i);
	sim_hint_all(r->sim, i);
}

static void leave_and_return(struct round *r)
{
	unsigned i = pick(r);
	sim_leave(r->sim, i);
	sim_run(r->sim, sim_random(r->sim) % 5000);
	sim_start(r->sim, i);
	sim_hint_all(r->sim, i);
}

static void stall(struct round *r)
{
	sim_pause(r->sim, pick(r), 200 + sim_random(r->sim) % 10000);
	sim_run(r->sim, 12000);
}

static void jump(struct round *r)
{
	sim_jump(r->sim, pick(r), sim_random(r->sim) % 100000);
	sim_run(r->sim, 3000);
}

static void cut(struct round *r)
{
	for (unsigned i = 0; i < r->n; i++)
		r->sim->group[i] = sim_random(r->sim) & 1;
	sim_run(r->sim, 1000 + sim_random(r->sim) % 60000);
	for (unsigned i = 0; i < r->n; i++)
		r->sim->group[i] = 0;
}

static void block(struct round *r)
{
	unsigned a = pick(r), b = pick(r);
	r->sim->blocked[a][b] = true;
	sim_run(r->sim, sim_random(r->sim) % 20000);
	r->sim->blocked[a][b] = false;
}

static void lose(struct round *r)
{
	r->sim->loss_permille = (unsigned)(sim_random(r->sim) % 300);
	r->sim->delay_max = 1 + (unsigned)(sim_random(r->sim) % 100);
	sim_run(r->sim, 1000 + sim_random(r->sim) % 60000);
	r->sim->loss_permille = 0;
	r->sim->delay_max = 1;
}

static void weaken(struct round *r)
{
	unsigned i = pick(r);
	r->sim->nodes[i].record.rank.capacity = (uint8_t)(sim_random(r->sim) % 9);
	r->sim->nodes[i].record.rank.pin = (uint8_t)(sim_random(r->sim) % 8 == 0);
	sim_describe(r->sim, i);
	sim_run(r->sim, sim_random(r->sim) % 70000);
}

static bool must_hold(const struct round *r, const char **ret_what)
{
	if (!sim_agrees(r->sim, 0))
		*ret_what = "no agreement on members and supernode 30 s after the trouble";
	else if (r->sim->shared_longest > 2000)
		*ret_what = "two led in one epoch for over 2 s";
	else
		return true;
	return false;
}

static void show(const struct round *r)
{
	for (unsigned i = 0; i < r->n; i++)
		printf("  node %u: leader %d, %u live, %s, epoch %" PRIu64 "\n", i, sim_leader(r->sim, i),
		        sim_live(r->sim, i),
		        election_phase_name(election_phase(swarm_election(r->sim->nodes[i].swarm))),
		        election_epoch(swarm_election(r->sim->nodes[i].swarm)));
}

static bool play(uint64_t seed, uint64_t *node_ms)
{
	static const struct {
		const char *name;
		void (*fn)(struct round *r);
	} troubles[] = { { "crash", crash }, { "leave", leave_and_return }, { "stall", stall },
		{ "jump", jump }, { "cut", cut }, { "block", block }, { "lose", lose },
		{ "weaken", weaken } };
	struct round r = { .n = 2 + (unsigned)(seed % 23) };
	r.sim = sim_new(seed, r.n);
	for (unsigned i = 0; i < r.n; i++) {
		sim_start(r.sim, i);
		sim_hint_all(r.sim, i);
	}
	const char *what = NULL;
	bool good = sim_until_agreed(r.sim, 0, SETTLE) !=
	            UINT64_MAX; /* what never met cannot find itself again */
	r.trouble = "the start";
	if (!good)
		must_hold(&r, &what);
	for (unsigned i = 0; i < TROUBLES && good; i++) {
		unsigned t = (unsigned)(sim_random(r.sim) % (sizeof(troubles) / sizeof(troubles[0])));
		troubles[t].fn(&r);
		uint64_t took = sim_until_agreed(r.sim, 0, SETTLE);
		r.trouble = troubles[t].name;
		good = took != UINT64_MAX && must_hold(&r, &what);
		if (!good && !what)
			must_hold(&r, &what);
	}
	*node_ms += r.sim->now * r.n;
	if (!good) {
		printf("FAIL  seed %" PRIu64 ", %u nodes, after %s: %s\n", seed, r.n, r.trouble, what);
		show(&r);
	}
	sim_free(r.sim);
	return good;
}

int main(int argc, char **argv)
{
	uint64_t seed = 0, node_ms = 0, rounds = 0, failed = 0;
	long seconds = argc > 1 ? strtol(argv[1], NULL, 10) : 60;
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 10);
	else if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return EXIT_FAILURE;
	printf("seed %" PRIu64 "\n", seed);
	time_t end = time(NULL) + seconds;
	do {
		failed += !play(seed + rounds, &node_ms);
		rounds++;
	} while (time(NULL) < end && failed < 5);
	printf("%" PRIu64 " rounds, %" PRIu64 " failed, %.0f node-hours\n", rounds, failed,
	        (double)node_ms / 3600000);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
