/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clusters under trouble: sim SECONDS [SEED [ROUNDS]]. Rounds have seeds of their own, from SEED on; each is a cluster whose
 * size, troubles and length follow from its seed. A failure prints the round's seed; `sim 0 SEED` plays that round alone.
 * The same seeds give the same node-hours, so that what was done can be added up and done again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "round.h"

enum { FAILURES = 5, REPORT_SECONDS = 600 };

struct total {
	uint64_t rounds, failed, node_ms, slowest_leader, slowest_table, shared;
};

static void show(const struct round *r, uint64_t seed)
{
	printf("FAIL  seed %" PRIu64 ", %u nodes, after %s: %s\n", seed, r->n, r->trouble, r->broken);
	for (unsigned i = 0; i < r->n; i++) {
		const struct election *e = swarm_election(r->sim->nodes[i].swarm);
		printf("  node %u: leader %d, %u live, %s, epoch %" PRIu64 "\n", i, sim_leader(r->sim, i),
		        sim_live(r->sim, i), election_phase_name(election_phase(e)), election_epoch(e));
		const struct role_grant *g;
		for (unsigned k = 0; (g = roles_at(swarm_roles(r->sim->nodes[i].swarm), k)); k++)
			printf("    %s: %02x%02x, epoch %" PRIu64 "\n", role_name(g->role), g->holder[0],
			        g->holder[1], g->epoch);
	}
}

static void start_all(struct round *r)
{
	r->trouble = "the start";
	for (unsigned i = 0; i < r->n; i++) {
		watch_born(r, i);
		sim_start(r->sim, i);
		sim_hint_all(r->sim, i);
	}
	watch_settle(r);
}

/* One trouble after the other. */
static void play_troubles(struct round *r)
{
	for (unsigned i = 0; i < 30 && !r->broken; i++) {
		trouble_any(r);
		watch_settle(r);
		if (!r->broken)
			watch_peace(r, sim_random(r->sim) % 10000);
	}
}

/* Two days with a trouble now and then. */
static void play_days(struct round *r)
{
	uint64_t end = r->sim->now + 2 * 24 * 3600000u;
	while (r->sim->now < end && !r->broken) {
		trouble_any(r);
		watch_settle(r);
		if (!r->broken)
			watch_peace(r, sim_random(r->sim) % (2 * 3600000u));
	}
}

/* Two hundred come at once, and half of them again. */
static void play_storm(struct round *r)
{
	r->trouble = "a join storm";
	for (unsigned i = 0; i < r->n; i += 2)
		sim_kill(r->sim, i);
	sim_run(r->sim, sim_random(r->sim) % 20000);
	for (unsigned i = 0; i < r->n; i += 2) {
		watch_born(r, i);
		sim_start(r->sim, i);
		sim_hint_all(r->sim, i);
	}
	watch_disturb(r);
	watch_settle(r);
}

static bool play(uint64_t seed, struct total *total)
{
	static struct round round;
	struct round *r = &round;
	unsigned kind = (unsigned)(seed * 0x9e3779b97f4a7c15u >> 56); /* of 256: one storm, 25 of days */
	*r = (struct round){ .n = kind == 0    ? 200
		                  : kind <= 25 ? 2 + (unsigned)(seed % 9)
		                               : 2 + (unsigned)(seed % 23) };
	r->sim = sim_new(seed, r->n + 1);
	watch_start(r);
	start_all(r);
	if (!r->broken && kind == 0)
		play_storm(r);
	else if (!r->broken && kind <= 25)
		play_days(r);
	else if (!r->broken)
		play_troubles(r);
	if (r->broken)
		show(r, seed);
	total->rounds++;
	total->failed += r->broken != NULL;
	total->node_ms += sim_node_ms(r->sim);
	total->slowest_leader =
	        r->slowest_leader > total->slowest_leader ? r->slowest_leader : total->slowest_leader;
	total->slowest_table =
	        r->slowest_table > total->slowest_table ? r->slowest_table : total->slowest_table;
	total->shared = r->sim->shared_longest > total->shared ? r->sim->shared_longest : total->shared;
	sim_free(r->sim);
	return !r->broken;
}

static void report(uint64_t seed, const struct total *t)
{
	printf("seed %" PRIu64 ", %" PRIu64 " rounds, %" PRIu64
	       " failed: %.1f node-hours; slowest: one leader %.1f s, "
	       "one table and grants %.1f s, two leaders of one epoch %.1f s; %.0f node-hours a second of "
	       "processor\n",
	        seed, t->rounds, t->failed, (double)t->node_ms / 3600000, (double)t->slowest_leader / 1000,
	        (double)t->slowest_table / 1000, (double)t->shared / 1000,
	        (double)t->node_ms / 3600000 / ((double)clock() / CLOCKS_PER_SEC));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	uint64_t seed = 0, most = argc > 3 ? strtoull(argv[3], NULL, 10) : UINT64_MAX;
	struct total total = { 0 };
	long seconds = argc > 1 ? strtol(argv[1], NULL, 10) : 60;
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 10);
	else if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return EXIT_FAILURE;
	printf("seed %" PRIu64 "\n", seed);
	fflush(stdout);
	time_t end = time(NULL) + seconds, next = time(NULL) + REPORT_SECONDS;
	do {
		play(seed + total.rounds, &total);
		if (time(NULL) >= next) {
			report(seed, &total);
			next += REPORT_SECONDS;
		}
	} while (time(NULL) < end && total.failed < FAILURES && total.rounds < most);
	report(seed, &total);
	return total.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
