/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "edged/cap_channel.h"
#include "edged/cap_dial.h"
#include "edged/cap_node.h"
#include "edged/cap_pubsub.h"
#include "fake_words.h"

enum { STEP = 5, SEEN = 500, MISSED = 2500, DIALS = 64, ID = 56 };

struct chunk { /* of what is under way; without bytes: the end of the connection */
	struct chunk *next;
	uint64_t at;
	size_t n;
	uint8_t bytes[];
};

/* A connection between two nodes: what its two ends have written. */
struct wire {
	struct wire *next;
	unsigned node[2];
	struct fake_peer *end[2]; /* NULL: over, or its node does not run */
	struct chunk *first[2], **last[2];
	uint64_t due[2]; /* of the last chunk */
	bool ended[2];   /* said so */
	bool orphaned;   /* the process of one end is gone without a word: the other hears so when it can */
};

struct dialling {
	edged_handle handle; /* 0: free */
	unsigned from, to;
	uint64_t at, until;
	struct edged_dial_options options;
};

struct node {
	struct fleet *fleet;
	char id[ID + 1];
	struct fake_disk *disk[2];
	struct fake_host *broker, *mesh; /* NULL: it does not run */
	unsigned disk_ms;
	bool full; /* its disk */
	uint64_t commit_at;
	int64_t skew; /* of its clock, ms */
	bool sees[FLEET_MAX];
	uint64_t since[FLEET_MAX]; /* when that other one was last to be seen, or not */
	void (*changed)(void *arg);
	void *changed_arg;
};

struct fleet {
	uint64_t random, now;
	unsigned count, loops; /* loops: of each broker */
	void *library[2];
	const struct edged_plugin *plugin[2];
	struct node nodes[FLEET_MAX];
	bool cut[FLEET_MAX][FLEET_MAX];
	struct wire *wires;
	struct dialling dials[DIALS];
	edged_handle last_dial;
	void (*step)(void *arg);
	void *step_arg;
};

enum { BROKER, MESH };

static struct fleet *the_fleet;
static int64_t skew; /* of the node that is at work */

/* --- what the plugins ask libc for ----------------------------------------------------------------------------------------- */

#define FOR_PLUGINS __attribute__((visibility("default")))

FOR_PLUGINS int clock_gettime(clockid_t id, struct timespec *t)
{
	(void)id;
	uint64_t ms = 1700000000000u + (the_fleet ? the_fleet->now : 0) + (uint64_t)skew;
	*t = (struct timespec){ .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };
	return 0;
}

static uint64_t next_random(struct fleet *f)
{
	uint64_t x = f->random += 0x9e3779b97f4a7c15u; /* splitmix64 */
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

FOR_PLUGINS ssize_t getrandom(void *buffer, size_t length, unsigned flags)
{
	(void)flags;
	for (size_t i = 0; i < length; i++)
		((uint8_t *)buffer)[i] = (uint8_t)next_random(the_fleet);
	return (ssize_t)length;
}

uint64_t fleet_random(struct fleet *f, uint64_t below)
{
	return below ? next_random(f) % below : 0;
}

/* --- which nodes see each other -------------------------------------------------------------------------------------------- */

static bool reaches(const struct fleet *f, unsigned i, unsigned j)
{
	return f->nodes[i].mesh && f->nodes[j].mesh && !f->cut[i][j];
}

static void look_around(struct fleet *f, unsigned i)
{
	struct node *node = &f->nodes[i];
	bool changed = false;
	for (unsigned j = 0; j < f->count; j++) {
		bool there = reaches(f, i, j);
		if (there == node->sees[j] || i == j) {
			node->since[j] = f->now;
		} else if (f->now - node->since[j] >= (there ? SEEN : MISSED)) {
			node->sees[j] = there;
			changed = true;
		}
	}
	if (changed && node->changed)
		node->changed(node->changed_arg);
}

static void node_peers(
        struct edged_host *host, void (*each)(void *arg, const char *node_id, bool there), void *arg)
{
	const struct node *node = fake_others_of(host);
	for (unsigned j = 0; j < node->fleet->count; j++)
		if (&node->fleet->nodes[j] != node)
			each(arg, node->fleet->nodes[j].id, node->sees[j]);
}

static int node_watch(struct edged_host *host, void (*changed)(void *arg), void *arg)
{
	struct node *node = fake_others_of(host);
	node->changed = changed;
	node->changed_arg = arg;
	return 0;
}

static const struct edged_node_1 node_cap = {
	.struct_size = sizeof(node_cap), .peers = node_peers, .watch = node_watch
};

/* --- dialling -------------------------------------------------------------------------------------------------------------- */

static unsigned index_of(const struct fleet *f, const char *id)
{
	unsigned i = 0;
	while (i < f->count && strcmp(f->nodes[i].id, id) != 0)
		i++;
	return i;
}

static int dial(struct edged_host *host, const struct edged_dial_options *options, edged_handle *ret)
{
	struct node *node = fake_others_of(host);
	struct fleet *f = node->fleet;
	struct dialling *d = f->dials;
	while (d < f->dials + DIALS && d->handle)
		d++;
	assert(d < f->dials + DIALS);
	*d = (struct dialling){ ++f->last_dial, (unsigned)(node - f->nodes), index_of(f, options->node),
		f->now + 2 + fleet_random(f, 10), f->now + options->timeout_ms, *options };
	assert(d->to < f->count);
	*ret = d->handle;
	return 0;
}

static void cancel(struct edged_host *host, edged_handle handle)
{
	struct fleet *f = ((struct node *)fake_others_of(host))->fleet;
	for (struct dialling *d = f->dials; handle && d < f->dials + DIALS; d++)
		if (d->handle == handle)
			d->handle = 0;
}

static const struct edged_dial_1 dial_cap = {
	.struct_size = sizeof(dial_cap), .dial = dial, .cancel = cancel
};

static struct edged_peer who(const struct node *node)
{
	return (struct edged_peer){ .address = "192.0.2.1:8883",
		.listener = "link=*:8883",
		.uid = -1,
		.tls = true,
		.trusted = true,
		.node_id = node->id };
}

static void connect_nodes(struct fleet *f, const struct dialling *d)
{
	struct wire *w = calloc(1, sizeof(*w));
	assert(w);
	const struct edged_peer from = who(&f->nodes[d->from]), to = who(&f->nodes[d->to]);
	w->node[0] = d->from;
	w->node[1] = d->to;
	w->last[0] = &w->first[0];
	w->last[1] = &w->first[1];
	w->next = f->wires;
	f->wires = w;
	skew = f->nodes[d->to].skew;
	w->end[1] = fake_connect_as(f->nodes[d->to].mesh, 0, &from, 0);
	skew = f->nodes[d->from].skew;
	w->end[0] = fake_dialled(f->nodes[d->from].mesh, &to, d->options.handler, d->options.self);
}

static bool end_dials(struct fleet *f)
{
	bool any = false;
	for (unsigned i = 0; i < DIALS; i++) {
		struct dialling d = f->dials[i];
		if (!d.handle || f->now < d.at)
			continue;
		bool silent = f->cut[d.from][d.to];
		if (silent && f->now < d.until)
			continue;
		f->dials[i].handle = 0;
		skew = f->nodes[d.from].skew;
		if (reaches(f, d.from, d.to))
			connect_nodes(f, &d);
		else
			d.options.failed(
			        d.options.arg, silent ? -ETIMEDOUT : -ECONNREFUSED, "nobody answers");
		any = true;
	}
	return any;
}

/* --- connections ----------------------------------------------------------------------------------------------------------- */

static void push(struct fleet *f, struct wire *w, unsigned from, struct edged_slice bytes)
{
	struct chunk *c = malloc(sizeof(*c) + bytes.len);
	assert(c);
	uint64_t at = f->now + 1 + fleet_random(f, 4);
	w->due[from] = at > w->due[from] ? at : w->due[from];
	*c = (struct chunk){ .at = w->due[from], .n = bytes.len };
	if (bytes.len)
		memcpy(c->bytes, bytes.ptr, bytes.len);
	*w->last[from] = c;
	w->last[from] = &c->next;
}

/* What an end has written, and that it has ended, goes on its way. */
static bool collect(struct fleet *f, struct wire *w, unsigned from)
{
	bool any = false;
	if (!w->end[from] || w->ended[from])
		return false;
	bool cut = f->cut[w->node[0]][w->node[1]], over = fake_closed(w->end[from]);
	if (!cut || over) {
		struct edged_slice bytes = fake_take(w->end[from]);
		any = bytes.len != 0;
		if (any)
			push(f, w, from, bytes);
	}
	if (over) {
		push(f, w, from, edged_slice(NULL, 0));
		w->ended[from] = true;
	}
	return any || over;
}

static bool deliver(struct fleet *f, struct wire *w, unsigned to)
{
	struct chunk *c = w->first[!to];
	if (!c || f->now < c->at || f->cut[w->node[0]][w->node[1]])
		return false;
	w->first[!to] = c->next;
	if (!c->next)
		w->last[!to] = &w->first[!to];
	if (w->end[to] && !w->ended[to]) {
		skew = f->nodes[w->node[to]].skew;
		if (c->n)
			fake_send(w->end[to], c->bytes, c->n, 0);
		else
			fake_hang_up(w->end[to]);
	}
	free(c);
	return true;
}

static void drop_chunks(struct wire *w, unsigned from)
{
	while (w->first[from]) {
		struct chunk *c = w->first[from];
		w->first[from] = c->next;
		free(c);
	}
	w->last[from] = &w->first[from];
}

/* Its node is back, or its system lives: it does not know the connection, and says so. */
static bool disown(struct fleet *f, struct wire *w)
{
	bool any = false;
	for (unsigned end = 0; end < 2 && w->orphaned; end++) {
		if (!w->end[end] || w->ended[end] || !reaches(f, w->node[0], w->node[1]))
			continue;
		fake_hang_up(w->end[end]);
		w->orphaned = false;
		any = true;
	}
	return any;
}

static bool is_over(const struct wire *w)
{
	bool over[2];
	for (unsigned end = 0; end < 2; end++)
		over[end] = !w->end[end] || w->ended[end];
	return over[0] && over[1] && !w->first[0] && !w->first[1];
}

static bool run_wires(struct fleet *f)
{
	bool any = false;
	for (struct wire **at = &f->wires; *at;) {
		struct wire *w = *at;
		any |= disown(f, w);
		for (unsigned end = 0; end < 2; end++) {
			any |= deliver(f, w, end);
			any |= collect(f, w, end);
		}
		if (!is_over(w)) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		free(w);
	}
	return any;
}

/* The process of that node ends. What it had written is under way, if said is true; else nothing is. */
static void end_wires(struct fleet *f, unsigned node, bool said, bool power)
{
	for (struct wire *w = f->wires; w; w = w->next)
		for (unsigned end = 0; end < 2; end++) {
			if (w->node[end] != node || !w->end[end])
				continue;
			if (said)
				(void)collect(f, w, end);
			w->end[end] = NULL;
			w->orphaned = power;
			if (!w->ended[end] && !power)
				push(f, w, end, edged_slice(NULL, 0));
			w->ended[end] = true;
		}
	for (struct dialling *d = f->dials; d < f->dials + DIALS; d++)
		if (d->from == node)
			d->handle = 0;
}

void fleet_cut(struct fleet *f, unsigned a, unsigned b, bool on)
{
	f->cut[a][b] = f->cut[b][a] = on;
	for (struct wire *w = f->wires; w; w = w->next)
		for (unsigned end = 0; end < 2; end++)
			if (w->node[end] == a && w->node[!end] == b) {
				if (w->end[end])
					fake_block(w->end[end], on);
				if (w->end[!end])
					fake_block(w->end[!end], on);
			}
}

void fleet_reset(struct fleet *f, unsigned a, unsigned b)
{
	for (struct wire *w = f->wires; w; w = w->next) {
		bool theirs = (w->node[0] == a && w->node[1] == b) || (w->node[0] == b && w->node[1] == a);
		if (!theirs)
			continue;
		for (unsigned end = 0; end < 2; end++) {
			drop_chunks(w, end);
			if (w->end[end] && !w->ended[end])
				fake_hang_up(w->end[end]);
		}
	}
}

/* --- nodes ----------------------------------------------------------------------------------------------------------------- */

static const void *find_cap(void *arg, const char *name)
{
	const struct node *node = arg;
	static const char *const of_broker[] = { EDGED_SESSION_1, EDGED_PUBSUB_1, EDGED_CHANNEL_1 };
	if (strcmp(name, EDGED_NODE_1) == 0)
		return &node_cap;
	if (strcmp(name, EDGED_DIAL_1) == 0)
		return &dial_cap;
	for (size_t i = 0; i < sizeof(of_broker) / sizeof(of_broker[0]); i++)
		if (strcmp(name, of_broker[i]) == 0)
			return node->fleet->plugin[BROKER]->offer(fake_self(node->broker), name);
	return NULL;
}

bool fleet_runs(const struct fleet *f, unsigned i)
{
	return f->nodes[i].mesh != NULL;
}

void fleet_start(struct fleet *f, unsigned i)
{
	struct node *node = &f->nodes[i];
	const struct fake_others none = { .node_id = node->id };
	const struct fake_others others = { find_cap, node, node->id };
	assert(!node->broker);
	skew = node->skew;
	node->changed = NULL;
	memset(node->sees, 0, sizeof(node->sees));
	node->broker = fake_host_among(f->plugin[BROKER], node->disk[BROKER], f->loops, NULL, &none);
	assert(node->broker);
	node->mesh = fake_host_among(f->plugin[MESH], node->disk[MESH], 1, NULL, &others);
	assert(node->mesh);
}

void fleet_stop(struct fleet *f, unsigned i)
{
	struct node *node = &f->nodes[i];
	skew = node->skew;
	end_wires(f, i, true, false);
	fake_host_free(node->mesh, true);
	fake_host_free(node->broker, true);
	node->mesh = node->broker = NULL;
}

void fleet_kill(struct fleet *f, unsigned i, bool power)
{
	struct node *node = &f->nodes[i];
	skew = node->skew;
	end_wires(f, i, !power, power);
	fake_host_lose(node->mesh);
	fake_host_free(node->broker, false);
	node->mesh = node->broker = NULL;
}

void fleet_wipe(struct fleet *f, unsigned i)
{
	for (unsigned which = BROKER; which <= MESH; which++) {
		fake_disk_free(f->nodes[i].disk[which]);
		f->nodes[i].disk[which] = fake_disk_new();
	}
}

void fleet_disk(struct fleet *f, unsigned i, unsigned ms)
{
	f->nodes[i].disk_ms = ms;
}

void fleet_fill(struct fleet *f, unsigned i, bool full)
{
	f->nodes[i].full = full;
}

static bool run_node(struct fleet *f, unsigned i)
{
	struct node *node = &f->nodes[i];
	if (!node->mesh)
		return false;
	skew = node->skew;
	bool any = fake_run(node->broker);
	return fake_run(node->mesh) || any;
}

/* Until nothing is left to be done at this time. */
static void settle(struct fleet *f)
{
	for (bool more = true; more;) {
		more = end_dials(f);
		more |= run_wires(f);
		for (unsigned i = 0; i < f->count; i++)
			more |= run_node(f, i);
	}
}

static void pass_time(struct fleet *f)
{
	f->now += STEP;
	for (unsigned i = 0; i < f->count; i++) {
		struct node *node = &f->nodes[i];
		if (!node->mesh)
			continue;
		skew = node->skew;
		fake_sleep(node->broker, STEP);
		fake_sleep(node->mesh, STEP);
		if (f->now < node->commit_at)
			continue;
		node->commit_at = f->now + fleet_random(f, node->disk_ms);
		/* What several loops write together is written at once. */
		bool some = f->loops == 1 && fleet_random(f, 2);
		unsigned all = some ? 1 + (unsigned)fleet_random(f, 20) : INT_MAX;
		fake_commit_some(node->broker, node->full ? -ENOSPC : 0, all);
		fake_commit_some(node->mesh, node->full ? -ENOSPC : 0, all);
	}
	for (unsigned i = 0; i < f->count; i++)
		if (f->nodes[i].mesh)
			look_around(f, i);
}

void fleet_run(struct fleet *f, uint64_t ms)
{
	for (uint64_t end = f->now + ms; f->now < end;) {
		pass_time(f);
		settle(f);
		if (f->step)
			f->step(f->step_arg);
		settle(f);
	}
}

/* --- looks ----------------------------------------------------------------------------------------------------------------- */

void fleet_each_step(struct fleet *f, void (*step)(void *arg), void *arg)
{
	f->step = step;
	f->step_arg = arg;
}

uint64_t fleet_now(const struct fleet *f)
{
	return f->now;
}

struct fake_peer *fleet_client(struct fleet *f, unsigned i)
{
	skew = f->nodes[i].skew;
	return fake_connect(f->nodes[i].broker, (unsigned)fleet_random(f, f->loops), true);
}

const struct edged_session_1 *fleet_sessions(struct fleet *f, unsigned i)
{
	return f->plugin[BROKER]->offer(fake_self(f->nodes[i].broker), EDGED_SESSION_1);
}

int64_t fleet_figure(const struct fleet *f, unsigned i, unsigned other, const char *name, const char *labels)
{
	char text[160];
	snprintf(text, sizeof(text), "node=\"%s\"%s", f->nodes[other].id, labels);
	const struct fake_host *mesh = f->nodes[i].mesh;
	return fake_has_figure(mesh, name, text) ? fake_figure(mesh, name, text) : 0;
}

bool fleet_is_quiet(const struct fleet *f)
{
	for (unsigned i = 0; i < f->count; i++)
		for (unsigned j = 0; j < f->count; j++) {
			if (i == j)
				continue;
			if (!f->nodes[i].mesh || !f->nodes[i].sees[j] ||
			        !fleet_figure(f, i, j, "mesh_connected", "") ||
			        fleet_figure(f, i, j, "mesh_queue_messages", ",state=\"waiting\"") ||
			        fleet_figure(f, i, j, "mesh_queue_messages", ",state=\"in-flight\""))
				return false;
		}
	return true;
}

/* --- life ------------------------------------------------------------------------------------------------------------------ */

static const struct edged_plugin *load(struct fleet *f, unsigned which, const char *name)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
	char *slash;
	path[n > 0 ? n : 0] = '\0';
	for (unsigned up = 0; up < 2 && (slash = strrchr(path, '/')); up++)
		*slash = '\0';
	snprintf(path + strlen(path), 64, "/plugins/%s.so", name);
	f->library[which] = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!f->library[which])
		fprintf(stderr, "%s\n", dlerror());
	return f->library[which] ? dlsym(f->library[which], "edged_plugin_v1") : NULL;
}

struct fleet *fleet_new(uint64_t seed, unsigned nodes)
{
	struct fleet *f = calloc(1, sizeof(*f));
	assert(f && nodes <= FLEET_MAX && !the_fleet);
	the_fleet = f;
	fake_be_quiet();
	f->random = seed;
	f->now = 1000000;
	f->plugin[BROKER] = load(f, BROKER, "broker");
	f->plugin[MESH] = load(f, MESH, "mesh");
	if (!f->plugin[BROKER] || !f->plugin[MESH]) {
		fleet_free(f);
		return NULL;
	}
	f->count = nodes;
	f->loops = fleet_random(f, 3) ? 1 : 3;
	for (unsigned i = 0; i < nodes; i++) {
		struct node *node = &f->nodes[i];
		node->fleet = f;
		memset(node->id, 'a' + (char)fleet_random(f, 26), ID);
		node->id[ID - 1] = (char)('a' + i);
		node->disk[BROKER] = fake_disk_new();
		node->disk[MESH] = fake_disk_new();
		node->disk_ms = 20;
		node->skew = (int64_t)fleet_random(f, 20000) - 10000;
	}
	return f;
}

void fleet_free(struct fleet *f)
{
	for (unsigned i = 0; i < f->count; i++) {
		if (f->nodes[i].mesh)
			fleet_stop(f, i);
		fake_disk_free(f->nodes[i].disk[BROKER]);
		fake_disk_free(f->nodes[i].disk[MESH]);
	}
	while (f->wires) {
		struct wire *w = f->wires;
		f->wires = w->next;
		drop_chunks(w, 0);
		drop_chunks(w, 1);
		free(w);
	}
	for (unsigned i = 0; i < 2; i++)
		if (f->library[i])
			dlclose(f->library[i]);
	free(f);
	the_fleet = NULL;
}
