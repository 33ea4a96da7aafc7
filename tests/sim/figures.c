/* SPDX-License-Identifier: Apache-2.0 */
/* How fast and how cheap simulated clusters are: figures [RUNS] [SEED] [WORDS]. One line a figure: median, 95th percentile,
 * worst. Only those whose line has the words. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

enum { RUNS_MAX = 1000 };

static unsigned runs = 100;
static uint64_t seed = 1;
static uint64_t took[RUNS_MAX];
static const char *words = "";

static struct sim *cluster_of(unsigned n, uint64_t with)
{
	struct sim *sim = sim_new(with, n);
	for (unsigned i = 0; i < n; i++) {
		sim_start(sim, i);
		sim_hint_all(sim, i);
	}
	(void)sim_until_agreed(sim, 0, 10000);
	return sim;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static void show(const char *what, unsigned n, const char *unit)
{
	qsort(took, n, sizeof(took[0]), compare);
	printf("%-64s median %6" PRIu64 "  p95 %6" PRIu64 "  worst %6" PRIu64 " %s (%u runs)\n", what,
	        took[n / 2], took[(n * 95 + 99) / 100 - 1], took[n - 1], unit, n);
	fflush(stdout);
}

/* --- the figures --- */

static void deaths(unsigned n, unsigned loss, bool leader, const char *what)
{
	if (!strstr(what, words))
		return;
	for (unsigned r = 0; r < runs; r++) {
		struct sim *sim = cluster_of(n, seed + r);
		sim_run(sim, 5000 + r * 13);
		sim->loss_permille = loss;
		sim_run(sim, 2000);
		int lead = sim_leader(sim, 0);
		unsigned victim = leader && lead >= 0 ? (unsigned)lead : ((unsigned)lead + 7) % n;
		unsigned other = (victim + 1) % n;
		sim_kill(sim, victim);
		uint64_t start = sim->now;
		if (leader)
			while (sim_leader(sim, other) == (int)victim || sim_leader(sim, other) < 0)
				sim_run(sim, 5);
		else
			(void)sim_until_agreed(sim, 0, 30000);
		took[r] = sim->now - start;
		sim_free(sim);
	}
	show(what, runs, "ms");
}

static void cuts(unsigned n, const char *what_cut, const char *what_merged)
{
	if (!strstr(what_cut, words) && !strstr(what_merged, words))
		return;
	static uint64_t merged[RUNS_MAX];
	for (unsigned r = 0; r < runs; r++) {
		struct sim *sim = cluster_of(n, seed + r);
		sim_run(sim, 5000 + r * 17);
		for (unsigned i = n / 2; i < n; i++)
			sim->group[i] = 1;
		uint64_t start = sim->now;
		(void)sim_until_agreed(sim, 0, 30000);
		(void)sim_until_agreed(sim, 1, 30000);
		took[r] = sim->now - start;
		sim_run(sim, 60000);
		memset(sim->group, 0, sizeof(sim->group));
		merged[r] = sim_until_agreed(sim, 0, 30000);
		sim_free(sim);
	}
	show(what_cut, runs, "ms");
	memcpy(took, merged, sizeof(took));
	show(what_merged, runs, "ms");
}

/* Of members that live, in one simulated hour each. */
static void false_deaths(unsigned n, unsigned loss, unsigned delay, unsigned hours, const char *what)
{
	if (!strstr(what, words))
		return;
	unsigned failed = 0, changes = 0, bad = 0;
	for (unsigned r = 0; r < hours; r++) {
		struct sim *sim = cluster_of(n, seed + r);
		sim_run(sim, 5000);
		sim->loss_permille = loss;
		sim->delay_max = delay;
		uint64_t before = sim->leader_changes;
		sim_run(sim, 3600 * 1000);
		unsigned here = 0;
		for (unsigned i = 0; i < n; i++)
			here += sim->nodes[i].failed;
		failed += here;
		bad += here > 0;
		changes += (unsigned)(sim->leader_changes - before);
		sim_free(sim);
	}
	printf("%-64s %u false deaths in %u of %u hours, %u leader changes\n", what, failed, bad, hours,
	        changes);
	fflush(stdout);
}

static void traffic(unsigned n, const char *what)
{
	if (!strstr(what, words))
		return;
	struct sim *sim = cluster_of(n, seed);
	sim_run(sim, 60000);
	int leader = sim_leader(sim, 0);
	uint64_t others = 0, most = 0;
	for (unsigned i = 0; i < n; i++)
		sim->nodes[i].sent_bytes = sim->nodes[i].ticks = 0;
	sim_run(sim, 600000);
	for (unsigned i = 0; i < n; i++) {
		uint64_t rate = sim->nodes[i].sent_bytes / 600;
		others += (int)i == leader ? 0 : rate;
		most = (int)i != leader && rate > most ? rate : most;
	}
	printf("%-64s supernode %" PRIu64 ", others %" PRIu64 " (most %" PRIu64
	       ") bytes/s sent, frames included\n",
	        what, sim->nodes[leader].sent_bytes / 600, others / (n > 1 ? n - 1 : 1), most);
	sim_free(sim);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		runs = (unsigned)strtoul(argv[1], NULL, 10);
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 10);
	if (argc > 3)
		words = argv[3];
	if (runs < 1 || runs > RUNS_MAX)
		return EXIT_FAILURE;
	unsigned hours = runs / 10 + 1;
	traffic(8, "traffic, 8 nodes");
	traffic(32, "traffic, 32 nodes");
	deaths(8, 0, true, "supernode killed, the next one serves, 8 nodes");
	deaths(32, 0, true, "supernode killed, the next one serves, 32 nodes");
	deaths(8, 0, false, "member killed, known to all, 8 nodes");
	deaths(32, 0, false, "member killed, known to all, 32 nodes");
	deaths(32, 100, false, "member killed, known to all, 32 nodes, 10 % loss");
	cuts(8, "partition 4|4 known to all", "merged after heal, 4|4");
	cuts(32, "partition 16|16 known to all", "merged after heal, 16|16");
	false_deaths(2, 100, 1, hours, "a pair, 10 % loss");
	false_deaths(3, 100, 1, hours, "3 nodes, 10 % loss");
	false_deaths(8, 100, 1, hours, "8 nodes, 10 % loss");
	false_deaths(32, 100, 1, hours / 4 + 1, "32 nodes, 10 % loss");
	false_deaths(8, 50, 50, hours, "8 nodes, 5 % loss, up to 50 ms delay");
	return EXIT_SUCCESS;
}
