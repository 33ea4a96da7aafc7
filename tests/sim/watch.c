/* SPDX-License-Identifier: Apache-2.0 */
#include "round.h"

enum { ESTABLISHED_MS = 3000, LOOK_MS = 10 };

static void breaks(struct round *r, const char *what)
{
	if (!r->broken)
		r->broken = what;
}

static struct election *election_of(const struct round *r, unsigned i)
{
	return swarm_election(r->sim->nodes[i].swarm);
}

/* --- who led what, and when --- */

static void end_reign(struct round *r, unsigned node)
{
	for (unsigned i = 0; i < r->reign_count; i++)
		if (r->reigns[i].node == node && !r->reigns[i].until)
			r->reigns[i].until = r->sim->now;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Has the node heard for long that another one led this epoch? */
static bool knew(const struct round *r, unsigned node, const struct reign *other)
{
	uint64_t from = later(other->from, later(r->quiet_since[node], r->quiet_since[other->node]));
	uint64_t until = other->until ? other->until : r->sim->now;
	return r->sim->group[node] == r->sim->group[other->node] && until >= from + ESTABLISHED_MS;
}

static void begin_reign(struct round *r, unsigned node, uint64_t epoch)
{
	for (unsigned i = 0; i < r->reign_count; i++) {
		const struct reign *other = &r->reigns[i];
		if (other->epoch == epoch && r->sim->nodes[other->node].key != r->sim->nodes[node].key &&
		        knew(r, node, other))
			breaks(r, "an epoch had two leaders, and the second knew of the first");
	}
	end_reign(r, node);
	if (r->reign_count == REIGNS) { /* the older half goes */
		r->reign_count = REIGNS / 2;
		memmove(r->reigns, r->reigns + REIGNS / 2, REIGNS / 2 * sizeof(r->reigns[0]));
	}
	r->reigns[r->reign_count++] = (struct reign){ .epoch = epoch, .from = r->sim->now, .node = node };
}

static void told(void *arg, unsigned node, const struct swarm_event *event)
{
	struct round *r = arg;
	if (event->type == SWARM_ROLE && event->grant->epoch < r->obeyed[node])
		breaks(r, "a grant of a lower epoch was obeyed");
	if (event->type != SWARM_SUPERNODE)
		return;
	uint64_t epoch = election_epoch(election_of(r, node));
	if (election_leads(election_of(r, node)))
		begin_reign(r, node, epoch);
	else
		end_reign(r, node);
	if (!election_leader(election_of(r, node)))
		return;
	if (epoch < r->obeyed[node])
		breaks(r, "a leader of a lower epoch was obeyed");
	r->obeyed[node] = later(epoch, r->obeyed[node]);
}

void watch_start(struct round *r)
{
	r->sim->told = told;
	r->sim->told_arg = r;
	r->leader = -1;
}

void watch_born(struct round *r, unsigned node)
{
	end_reign(r, node);
	r->obeyed[node] = 0;
	r->quiet_since[node] = r->sim->now;
}

void watch_disturb(struct round *r)
{
	for (unsigned i = 0; i < r->sim->count; i++)
		r->quiet_since[i] = r->sim->now;
}

void watch_unwell(struct round *r)
{
	for (unsigned i = 0; i < r->sim->count; i++)
		r->quiet_since[i] = UINT64_MAX / 2;
}

/* --- after the trouble --- */

static bool same_grants(const struct round *r)
{
	const struct roles *first = swarm_roles(r->sim->nodes[0].swarm);
	for (unsigned i = 1; i < r->n; i++) {
		const struct roles *here = swarm_roles(r->sim->nodes[i].swarm);
		for (unsigned g = 0; g < GOSSIP_GRANTS; g++) {
			const struct role_grant *a = roles_at(first, g), *b = roles_at(here, g);
			if (!a != !b)
				return false;
			if (a && (a->role != b->role || a->held != b->held || a->epoch != b->epoch ||
			                 memcmp(a->holder, b->holder, GOSSIP_SHORT) != 0))
				return false;
		}
	}
	return roles_at(first, 0) != NULL;
}

/* Nodes that never were must not be in anybody's table. */
static bool bounded(const struct round *r)
{
	for (unsigned i = 0; i < r->n; i++)
		if (members_at(swarm_members(r->sim->nodes[i].swarm), r->n - 1))
			return false;
	return true;
}

/* Would somebody else take over sooner or later, as it should? */
static bool better_waits(const struct round *r)
{
	const struct rank *leader = &r->sim->nodes[r->leader].record.rank;
	for (unsigned i = 0; i < r->n; i++)
		if (rank_better_class(&r->sim->nodes[i].record.rank, leader))
			return true;
	return false;
}

static uint64_t until(struct round *r, bool (*holds)(const struct round *r), uint64_t from, uint64_t limit)
{
	while (!holds(r) && r->sim->now - from < limit)
		sim_run(r->sim, LOOK_MS);
	return r->sim->now - from;
}

static bool one_leader(const struct round *r)
{
	return sim_one_leader(r->sim, 0);
}

static bool one_table(const struct round *r)
{
	return sim_agrees(r->sim, 0) && same_grants(r);
}

void watch_settle(struct round *r)
{
	uint64_t from = r->sim->now;
	uint64_t leader = until(r, one_leader, from, SETTLE_MS);
	uint64_t table = until(r, one_table, from, SETTLE_MS);
	if (table >= SETTLE_MS)
		breaks(r, "no agreement on members, leader and grants 30 s after the trouble");
	else if (leader > LEADER_MS)
		breaks(r, "no agreement on the leader 10 s after the trouble");
	else if (!bounded(r))
		breaks(r, "a table holds more nodes than there are");
	if (r->sim->shared_longest > SHARED_MS)
		breaks(r, "two that hear each other led in one epoch for over 5 s");
	if (r->broken)
		return;
	sim_run(r->sim, AFTERMATH_MS);
	if (until(r, one_table, r->sim->now, SETTLE_MS) >= SETTLE_MS)
		breaks(r, "no agreement on members, leader and grants after the aftermath");
	r->slowest_leader = later(leader, r->slowest_leader);
	r->slowest_table = later(table, r->slowest_table);
	int now = sim_leader(r->sim, 0);
	uint64_t epoch = election_epoch(election_of(r, 0));
	if (r->leader_well && r->leader >= 0 && !better_waits(r) && (now != r->leader || epoch != r->epoch))
		breaks(r, "another leader or epoch, though leader and links were well");
	r->leader = now;
	r->epoch = epoch;
}

static unsigned deaths(const struct round *r)
{
	unsigned n = 0;
	for (unsigned i = 0; i < r->n; i++)
		n += r->sim->nodes[i].failed;
	return n;
}

void watch_peace(struct round *r, uint64_t ms)
{
	unsigned before = deaths(r);
	uint64_t changes = r->sim->leader_changes;
	bool may_change = better_waits(r);
	sim_run(r->sim, ms);
	if (deaths(r) != before)
		breaks(r, "somebody was declared dead in peace");
	else if (!may_change && r->sim->leader_changes != changes)
		breaks(r, "the leader changed in peace");
	else if (!sim_agrees(r->sim, 0))
		watch_settle(r); /* a hand-over that was due may be going on */
	r->leader = sim_leader(r->sim, 0);
	r->epoch = election_epoch(election_of(r, 0));
}
