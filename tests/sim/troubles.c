/* SPDX-License-Identifier: Apache-2.0 */
#include "round.h"

static uint64_t below(struct round *r, uint64_t n)
{
	return sim_random(r->sim) % n;
}

static unsigned pick(struct round *r)
{
	return (unsigned)below(r, r->n);
}

/* Somebody, and whether the leader stays out of it. */
static unsigned victim(struct round *r)
{
	unsigned i = pick(r);
	r->leader_well = (int)i != r->leader && r->sim->now >= r->copied_until[i];
	return i;
}

static void start(struct round *r, unsigned i)
{
	watch_born(r, i);
	sim_start(r->sim, i);
	sim_hint_all(r->sim, i);
}

static void crash(struct round *r)
{
	unsigned i = victim(r);
	sim_kill(r->sim, i);
	sim_run(r->sim, below(r, 8000));
	start(r, i);
}

static void leave_and_return(struct round *r)
{
	unsigned i = victim(r);
	sim_leave(r->sim, i);
	sim_run(r->sim, below(r, 5000));
	start(r, i);
}

/* One after the other, each as soon as the one before is up, as an upgrade does. */
static void roll(struct round *r)
{
	for (unsigned i = 0; i < r->n; i++) {
		sim_leave(r->sim, i);
		sim_run(r->sim, 50 + below(r, 500));
		start(r, i);
		sim_run(r->sim, 500 + below(r, 1500));
	}
}

/* The power of some fails, and comes back for all of them at once. */
static void power_cut(struct round *r)
{
	unsigned first = pick(r), count = 1 + pick(r);
	for (unsigned k = 0; k < count; k++)
		sim_kill(r->sim, (first + k) % r->n);
	sim_run(r->sim, below(r, 20000));
	for (unsigned k = 0; k < count; k++)
		start(r, (first + k) % r->n);
}

static void stall(struct round *r)
{
	unsigned i = victim(r);
	uint64_t ms = 200 + below(r, 10000);
	sim_pause(r->sim, i, ms);
	r->quiet_since[i] = r->sim->now + ms;
	sim_run(r->sim, 12000);
}

static void jump(struct round *r)
{
	sim_jump(r->sim, victim(r), below(r, 100000));
	sim_run(r->sim, 3000);
}

static void cut(struct round *r)
{
	unsigned parts = 2 + (unsigned)below(r, 3);
	for (unsigned i = 0; i < r->n; i++)
		r->sim->group[i] = (uint8_t)below(r, parts);
	watch_disturb(r);
	sim_run(r->sim, 1000 + below(r, 60000));
	memset(r->sim->group, 0, sizeof(r->sim->group));
}

/* The network comes and goes faster than anybody is given up. */
static void flap(struct round *r)
{
	watch_unwell(r);
	for (unsigned times = 2 + (unsigned)below(r, 8); times; times--) {
		for (unsigned i = 0; i < r->n; i++)
			r->sim->group[i] = (uint8_t)below(r, 2);
		sim_run(r->sim, 100 + below(r, 3000));
		memset(r->sim->group, 0, sizeof(r->sim->group));
		sim_run(r->sim, 100 + below(r, 3000));
	}
}

static void block(struct round *r)
{
	unsigned a = pick(r), b = pick(r);
	watch_unwell(r);
	r->sim->blocked[a][b] = true;
	sim_run(r->sim, below(r, 20000));
	r->sim->blocked[a][b] = false;
}

/* One hears nobody, or nobody hears it: its other direction works. */
static void deafen(struct round *r)
{
	unsigned i = pick(r);
	bool mute = below(r, 2);
	watch_unwell(r);
	for (unsigned j = 0; j < r->n; j++)
		*(mute ? &r->sim->blocked[i][j] : &r->sim->blocked[j][i]) = true;
	sim_run(r->sim, below(r, 20000));
	memset(r->sim->blocked, 0, sizeof(r->sim->blocked));
}

static void lose(struct round *r)
{
	watch_unwell(r);
	r->sim->loss_permille = (unsigned)below(r, 300);
	r->sim->delay_max = 1 + (unsigned)below(r, 100);
	sim_run(r->sim, 1000 + below(r, 60000));
	r->sim->loss_permille = 0;
	r->sim->delay_max = 1;
}

/* Some datagrams come seconds after those that were sent later: those of leaders that are none any more, too. */
static void delay(struct round *r)
{
	watch_unwell(r);
	r->sim->late_permille = 10 + (unsigned)below(r, 100);
	sim_run(r->sim, below(r, 20000));
	unsigned i = pick(r);
	sim_kill(r->sim, i);
	sim_run(r->sim, below(r, 5000));
	start(r, i);
	sim_run(r->sim, below(r, 20000));
	r->sim->late_permille = 0;
}

static void weaken(struct round *r)
{
	unsigned i = pick(r);
	r->sim->nodes[i].record.rank.capacity = (uint8_t)below(r, 9);
	r->sim->nodes[i].record.rank.pin = (uint8_t)(below(r, 8) == 0);
	sim_describe(r->sim, i);
	sim_run(r->sim, below(r, 70000));
}

/* The state folder of one was copied to another host. */
static void duplicate(struct round *r)
{
	unsigned copy = r->n, i = pick(r);
	r->sim->nodes[copy].key = r->sim->nodes[i].key;
	r->sim->nodes[copy].record = r->sim->nodes[i].record;
	r->sim->nodes[copy].saved_epoch = r->sim->nodes[i].saved_epoch;
	start(r, copy);
	watch_unwell(r);
	sim_run(r->sim, 1000 + below(r, 30000));
	sim_kill(r->sim, copy);
	r->copied_until[i] = r->sim->now + COPIED_MS;
	watch_born(r, copy);
}

void trouble_any(struct round *r)
{
	static const struct {
		const char *name;
		void (*fn)(struct round *r);
	} troubles[] = { { "a crash", crash }, { "leaving and coming back", leave_and_return },
		{ "a rolling restart", roll }, { "a power cut", power_cut }, { "a pause", stall },
		{ "a clock that jumped", jump }, { "a cut", cut }, { "a flapping network", flap },
		{ "a one-way link", block }, { "a deaf or mute node", deafen }, { "loss", lose },
		{ "late datagrams", delay }, { "another rank", weaken }, { "a duplicate key", duplicate } };
	unsigned t = (unsigned)below(r, sizeof(troubles) / sizeof(troubles[0]));
	r->trouble = troubles[t].name;
	r->leader_well = false;
	watch_disturb(r);
	troubles[t].fn(r);
	watch_disturb(r);
}
