/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { LATEST = 10000 };

/* A datagram on its way; those that have come are used again. */
struct sim_datagram {
	struct sim_datagram *next;
	size_t len;
	struct gossip_from from;
	uint8_t bytes[GOSSIP_MAX];
};

struct sim_event {
	uint64_t at, order;
	struct sim_datagram *datagram; /* NULL: a tick */
	unsigned to;
};

/* --- random numbers: splitmix64
 * ------------------------------------------------------------------------------------------ */

static uint64_t next_random(uint64_t *seed)
{
	uint64_t x = *seed += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

uint64_t sim_random(struct sim *sim)
{
	return next_random(&sim->seed);
}

/* --- the queue: a heap by time, then by order
 * ------------------------------------------------------------------------------ */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push(struct sim *sim, struct sim_event event)
{
	if (sim->queued == sim->heap_cap) {
		sim->heap_cap = sim->heap_cap ? sim->heap_cap * 2 : 1024;
		sim->heap = realloc(sim->heap, sim->heap_cap * sizeof(*sim->heap));
		assert(sim->heap);
	}
	event.order = sim->order++;
	unsigned i = sim->queued++;
	for (; i && before(&event, &sim->heap[(i - 1) / 2]); i = (i - 1) / 2)
		sim->heap[i] = sim->heap[(i - 1) / 2];
	sim->heap[i] = event;
}

static struct sim_event pop(struct sim *sim)
{
	struct sim_event first = sim->heap[0], last = sim->heap[--sim->queued];
	unsigned i = 0;
	for (;;) {
		unsigned child = 2 * i + 1;
		if (child >= sim->queued)
			break;
		if (child + 1 < sim->queued && before(&sim->heap[child + 1], &sim->heap[child]))
			child++;
		if (!before(&sim->heap[child], &last))
			break;
		sim->heap[i] = sim->heap[child];
		i = child;
	}
	sim->heap[i] = last;
	return first;
}

static struct sim_datagram *new_datagram(struct sim *sim)
{
	struct sim_datagram *d = sim->unused;
	if (d)
		sim->unused = d->next;
	else
		d = malloc(sizeof(*d));
	assert(d);
	return d;
}

static void drop_datagram(struct sim *sim, struct sim_datagram *d)
{
	d->next = sim->unused;
	sim->unused = d;
}

static void free_datagrams(struct sim *sim)
{
	for (struct sim_datagram *d = sim->unused, *next; d; d = next) {
		next = d->next;
		free(d);
	}
}

/* --- a node's surroundings
 * --------------------------------------------------------------------------------------------------- */

void sim_key(const struct sim *sim, unsigned i, uint8_t ret[GOSSIP_KEY])
{
	memset(ret, 0, GOSSIP_KEY);
	ret[0] = 2;
	ret[31] = (uint8_t)(sim->nodes[i].key >> 8);
	ret[32] = (uint8_t)sim->nodes[i].key;
}

static void make_id(uint64_t seed, uint8_t ret[GOSSIP_ID])
{
	for (int i = 0; i < 4; i++) {
		uint64_t x = next_random(&seed);
		memcpy(ret + 8 * i, &x, 8);
	}
}

static void identify(void *arg, const uint8_t key[GOSSIP_KEY], uint8_t ret_id[GOSSIP_ID])
{
	const struct sim_node *node = arg;
	unsigned number = (unsigned)key[31] << 8 | key[32];
	if (number <= SIM_MAX)
		memcpy(ret_id, node->sim->ids[number], GOSSIP_ID);
	else
		make_id(number, ret_id);
}

void sim_id(const struct sim *sim, unsigned i, uint8_t ret[GOSSIP_ID])
{
	memcpy(ret, sim->ids[sim->nodes[i].key], GOSSIP_ID);
}

static bool is_id_of(const struct sim *sim, unsigned i, const uint8_t id[GOSSIP_ID])
{
	return !memcmp(id, sim->ids[sim->nodes[i].key], GOSSIP_ID);
}

static struct peer_addr addr_of(unsigned i)
{
	return (struct peer_addr){
		.family = 4, .port = 8443, .ip = { 10, 0, (uint8_t)(i >> 8), (uint8_t)i }
	};
}

static uint64_t node_random(void *arg)
{
	struct sim_node *node = arg;
	return sim_random(node->sim);
}

static struct sim_datagram *datagram_of(const struct sim_node *node, size_t len)
{
	struct sim_datagram *d = new_datagram(node->sim);
	d->len = len;
	sim_key(node->sim, node->index, d->from.key);
	d->from.instance = node->instance;
	d->from.addr = addr_of(node->index);
	return d;
}

static void node_send(void *arg, const uint8_t key[GOSSIP_KEY], const struct peer_addr *to,
        const uint8_t *bytes, size_t len)
{
	struct sim_node *node = arg;
	struct sim *sim = node->sim;
	unsigned j = (unsigned)to->ip[2] << 8 | to->ip[3];
	uint8_t their_key[GOSSIP_KEY];
	node->sent++;
	node->sent_bytes += len + 69 + 28;
	if (j >= sim->count || sim->group[node->index] != sim->group[j] || sim->blocked[node->index][j])
		return;
	sim_key(sim, j, their_key);
	if (memcmp(key, their_key, GOSSIP_KEY) != 0) /* sealed for somebody else */
		return;
	if (sim->loss_permille && sim_random(sim) % 1000 < sim->loss_permille)
		return;
	uint64_t delay = sim->delay_min + sim_random(sim) % (sim->delay_max - sim->delay_min + 1);
	if (sim->late_permille && sim_random(sim) % 1000 < sim->late_permille)
		delay += sim_random(sim) % LATEST;
	struct sim_datagram *d = datagram_of(node, len);
	memcpy(d->bytes, bytes, len);
	push(sim, (struct sim_event){ .at = sim->now + delay, .to = j, .datagram = d });
}

static int node_save(void *arg, uint64_t epoch)
{
	struct sim_node *node = arg;
	if (node->save_fails)
		return -ENOSPC;
	assert(epoch > node->saved_epoch);
	node->saved_epoch = epoch;
	return 0;
}

static void node_event(void *arg, const struct swarm_event *event)
{
	struct sim_node *node = arg;
	if (node->sim->told)
		node->sim->told(node->sim->told_arg, node->index, event);
	switch (event->type) {
	case SWARM_JOINED:
		node->joined++;
		break;
	case SWARM_LEFT:
		node->left += event->member->state == MEMBER_LEFT;
		node->failed += event->member->state == MEMBER_DEAD;
		break;
	case SWARM_SUPERNODE:
		node->supernodes++;
		node->sim->leader_changes++;
		break;
	case SWARM_ROLE:
		node->roles++;
		break;
	case SWARM_DUPLICATE:
		node->duplicates++;
		break;
	case SWARM_OWN_DUPLICATE:
		node->own_duplicates++;
		break;
	case SWARM_UPDATED:
	case SWARM_FORGOTTEN:
		break;
	}
}

static bool node_barred(void *arg, const uint8_t id[GOSSIP_ID])
{
	const struct sim_node *node = arg;
	for (unsigned j = 0; j < node->sim->count; j++)
		if (node->sim->barred[j] && j != node->index && is_id_of(node->sim, j, id))
			return true;
	return false;
}

/* Here it needs no proof. */
static bool node_kin(void *arg, const struct member *member)
{
	const struct sim_node *node = arg;
	const char *a = member->record.account, *b = node->record.account;
	return node->trusting || (*a == *b && strcmp(a, b) == 0);
}

/* --- nodes
 * -----------------------------------------------------------------------------------------------------------------------
 */

struct sim *sim_new(uint64_t seed, unsigned nodes)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	assert(sim && nodes <= SIM_MAX);
	for (unsigned number = 0; number <= SIM_MAX; number++)
		make_id(number, sim->ids[number]);
	sim->seed = seed;
	sim->now = 1000;
	sim->count = nodes;
	sim->delay_max = 1;
	sim->options.members = members_defaults();
	sim->options.election = election_defaults();
	for (unsigned i = 0; i < nodes; i++) {
		struct sim_node *node = &sim->nodes[i];
		*node = (struct sim_node){ .sim = sim, .index = i, .key = i + 1 };
		snprintf(node->record.name, sizeof(node->record.name), "node%u", i);
		node->record.rank =
		        (struct rank){ .eligible = 1, .mains = 1, .uplink = 3, .link = 2, .capacity = 2 };
		node->record.memory_mib = 1024;
		node->record.storage_mib = 8192;
		node->record.cores = 4;
	}
	return sim;
}

void sim_free(struct sim *sim)
{
	for (unsigned i = 0; i < sim->count; i++)
		swarm_free(sim->nodes[i].swarm);
	for (unsigned i = 0; i < sim->queued; i++)
		free(sim->heap[i].datagram);
	free_datagrams(sim);
	free(sim->heap);
	free(sim);
}

/* The node wants to be called at `next` of its own clock. */
static void schedule(struct sim_node *node, uint64_t next)
{
	struct sim *sim = node->sim;
	uint64_t at = next == UINT64_MAX ? UINT64_MAX : next > node->offset ? next - node->offset : 0;
	at = at < sim->now ? sim->now : at;
	node->tick_at = at;
	if (at >= node->queued_at) /* that one is put off when it comes */
		return;
	node->queued_at = at;
	push(sim, (struct sim_event){ .at = at, .to = node->index });
}

static uint64_t clock_of(const struct sim_node *node)
{
	return node->sim->now + node->offset;
}

void sim_start(struct sim *sim, unsigned i)
{
	struct sim_node *node = &sim->nodes[i];
	uint8_t key[GOSSIP_KEY];
	sim_key(sim, i, key);
	struct swarm_env env = { node, node_random, node_send, identify, node_save, node_event, node_barred,
		node_kin };
	node->instance = sim_random(sim);
	node->paused_until = 0;
	node->started_at = sim->now;
	node->tick_at = node->queued_at = UINT64_MAX; /* what an earlier life has queued comes to nothing */
	int r = swarm_new(&sim->options, &env, key, node->instance, node->saved_epoch, &node->swarm);
	assert(!r);
	(void)r;
	schedule(node, swarm_start(node->swarm, clock_of(node), &node->record));
}

void sim_kill(struct sim *sim, unsigned i)
{
	if (sim->nodes[i].swarm)
		sim->node_ms += sim->now - sim->nodes[i].started_at;
	swarm_free(sim->nodes[i].swarm);
	sim->nodes[i].swarm = NULL;
}

uint64_t sim_node_ms(const struct sim *sim)
{
	uint64_t all = sim->node_ms;
	for (unsigned i = 0; i < sim->count; i++)
		if (sim->nodes[i].swarm)
			all += sim->now - sim->nodes[i].started_at;
	return all;
}

void sim_leave(struct sim *sim, unsigned i)
{
	struct sim_node *node = &sim->nodes[i];
	schedule(node, swarm_leave(node->swarm, clock_of(node)));
	for (int n = 0; n < 400 && !swarm_left(node->swarm); n++)
		sim_run(sim, 1);
	assert(swarm_left(node->swarm));
	sim_kill(sim, i);
}

void sim_pause(struct sim *sim, unsigned i, uint64_t ms)
{
	sim->nodes[i].paused_until = sim->now + ms;
}

void sim_jump(struct sim *sim, unsigned i, uint64_t ms)
{
	struct sim_node *node = &sim->nodes[i];
	node->offset += ms;
	if (node->swarm)
		schedule(node, swarm_tick(node->swarm, clock_of(node)));
}

void sim_describe(struct sim *sim, unsigned i)
{
	struct sim_node *node = &sim->nodes[i];
	schedule(node, swarm_describe(node->swarm, clock_of(node), &node->record));
}

void sim_hint(struct sim *sim, unsigned i, unsigned j)
{
	struct sim_node *node = &sim->nodes[i];
	struct peer_addr addr = addr_of(j);
	uint8_t key[GOSSIP_KEY];
	sim_key(sim, j, key);
	if (node->swarm)
		schedule(node, swarm_hint(node->swarm, clock_of(node), key, &addr));
}

void sim_hint_all(struct sim *sim, unsigned i)
{
	for (unsigned j = 0; j < sim->count; j++) {
		if (j == i || !sim->nodes[j].swarm || sim->group[i] != sim->group[j])
			continue;
		sim_hint(sim, i, j);
		sim_hint(sim, j, i);
	}
}

void sim_expel(struct sim *sim, unsigned i, unsigned j)
{
	struct sim_node *node = &sim->nodes[i];
	uint8_t id[GOSSIP_ID];
	sim_id(sim, j, id);
	schedule(node, swarm_expel(node->swarm, clock_of(node), id));
}

/* The one of several that counts; or it only asks when it is due by now. */
static void tick(struct sim_node *node)
{
	uint64_t at = node->tick_at;
	node->queued_at = UINT64_MAX;
	if (at <= node->sim->now) {
		node->ticks++;
		node->tick_at = UINT64_MAX;
		schedule(node, swarm_tick(node->swarm, clock_of(node)));
	} else if (at != UINT64_MAX) {
		node->queued_at = at;
		push(node->sim, (struct sim_event){ .at = at, .to = node->index });
	}
}

static void deliver(struct sim *sim, struct sim_event *event)
{
	struct sim_node *node = &sim->nodes[event->to];
	struct sim_datagram *d = event->datagram;
	if (!d && event->at != node->queued_at)
		return; /* an earlier one has taken its place */
	if (node->paused_until > sim->now) {
		event->at = node->paused_until;
		if (!d)
			node->queued_at = event->at;
		push(sim, *event);
		return;
	}
	if (d && node->swarm)
		schedule(node, swarm_receive(node->swarm, clock_of(node), &d->from, d->bytes, d->len));
	if (d)
		drop_datagram(sim, d);
	else if (node->swarm)
		tick(node);
}

void sim_inject(struct sim *sim, unsigned from, unsigned to, const struct gossip_message *message)
{
	struct sim_datagram *d = datagram_of(&sim->nodes[from], 0);
	d->len = gossip_encode(message, d->bytes);
	push(sim, (struct sim_event){ .at = sim->now, .to = to, .datagram = d });
}

/* --- what must hold
 * --------------------------------------------------------------------------------------------------------------
 */

/* Does another process use its key? Others hear one of the two only, and that one may go on by itself. */
static bool has_copy(const struct sim *sim, unsigned i)
{
	for (unsigned j = 0; j < sim->count; j++)
		if (j != i && sim->nodes[j].swarm && sim->nodes[j].key == sim->nodes[i].key)
			return true;
	return false;
}

static bool leads(const struct sim *sim, unsigned i)
{
	const struct sim_node *node = &sim->nodes[i];
	return node->swarm && election_leads(swarm_election(node->swarm)) && !has_copy(sim, i);
}

/* Do both lead one epoch, and can they hear each other? */
static bool share_an_epoch(const struct sim *sim, unsigned i, unsigned j)
{
	return leads(sim, i) && leads(sim, j) && sim->group[i] == sim->group[j] && !sim->blocked[i][j] &&
	       !sim->blocked[j][i] &&
	       election_epoch(swarm_election(sim->nodes[i].swarm)) ==
	               election_epoch(swarm_election(sim->nodes[j].swarm));
}

/* Two that can hear each other must not go on leading in the same epoch: how long the same two did. */
static void check_epochs(struct sim *sim)
{
	sim->shared_now = 0;
	for (unsigned i = 0; i < sim->count; i++) {
		struct sim_node *node = &sim->nodes[i];
		unsigned j = leads(sim, i) ? i + 1 : sim->count;
		while (j < sim->count && !share_an_epoch(sim, i, j))
			j++;
		if (j == sim->count) {
			node->shares_with = 0;
			continue;
		}
		if (node->shares_with != j) {
			node->shares_with = j; /* never 0: it is the higher one */
			node->shares_since = sim->now;
			sim->shared_epochs++;
		}
		sim->shared_now++;
		if (sim->now - node->shares_since > sim->shared_longest)
			sim->shared_longest = sim->now - node->shares_since;
	}
}

void sim_run(struct sim *sim, uint64_t ms)
{
	uint64_t end = sim->now + ms;
	check_epochs(sim); /* links may work that did not */
	while (sim->queued && sim->heap[0].at <= end) {
		struct sim_event event = pop(sim);
		sim->now = event.at > sim->now ? event.at : sim->now;
		uint64_t before_changes = sim->leader_changes;
		deliver(sim, &event);
		if (sim->leader_changes != before_changes || sim->shared_now)
			check_epochs(sim);
	}
	sim->now = end;
}

/* --- looking
 * -------------------------------------------------------------------------------------------------------------------------
 */

int sim_leader(const struct sim *sim, unsigned i)
{
	const uint8_t *leader = election_leader(swarm_election(sim->nodes[i].swarm));
	for (unsigned j = 0; leader && j < sim->count; j++)
		if (is_id_of(sim, j, leader))
			return (int)j;
	return -1;
}

unsigned sim_live(const struct sim *sim, unsigned i)
{
	return members_live(swarm_members(sim->nodes[i].swarm));
}

struct member *sim_member(const struct sim *sim, unsigned i, unsigned j)
{
	uint8_t id[GOSSIP_ID];
	sim_id(sim, j, id);
	return members_find(swarm_members(sim->nodes[i].swarm), id);
}

static bool running(const struct sim *sim, unsigned i, uint8_t group)
{
	return sim->nodes[i].swarm && sim->group[i] == group;
}

bool sim_one_leader(const struct sim *sim, uint8_t group)
{
	unsigned leaders = 0;
	int leader = -2;
	for (unsigned i = 0; i < sim->count; i++) {
		if (!running(sim, i, group))
			continue;
		leaders += election_leads(swarm_election(sim->nodes[i].swarm));
		leader = leader == -2 ? sim_leader(sim, i) : leader;
		if (leader < 0 || sim_leader(sim, i) != leader || !running(sim, (unsigned)leader, group))
			return false;
	}
	return leaders == 1;
}

bool sim_agrees(const struct sim *sim, uint8_t group)
{
	unsigned n = 0;
	uint64_t digest = 0;
	for (unsigned i = 0; i < sim->count; i++)
		n += running(sim, i, group);
	for (unsigned i = 0; i < sim->count; i++) {
		if (!running(sim, i, group))
			continue;
		uint64_t mine = members_digest(swarm_members(sim->nodes[i].swarm));
		digest = digest ? digest : mine;
		if (sim_live(sim, i) != n - 1 || mine != digest)
			return false;
	}
	return sim_one_leader(sim, group);
}

uint64_t sim_until_agreed(struct sim *sim, uint8_t group, uint64_t limit)
{
	uint64_t start = sim->now;
	while (!sim_agrees(sim, group)) {
		if (sim->now - start >= limit)
			return UINT64_MAX;
		sim_run(sim, 10);
	}
	return sim->now - start;
}
