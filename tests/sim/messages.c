/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between nodes under trouble: sim-messages SECONDS [SEED [ROUNDS]]. A round is some nodes (fleet.h) with clients that
 * publish all the time, and clients with subscriptions that stay. Nodes are killed, lose their power, or are stopped in order,
 * connections break, links are cut, disks are slow, clients come and go. When all is well again and quiet, it must hold:
 *  - what was published at QoS 1 or 2, and so was acknowledged, has come to every subscription of such a QoS that matches;
 *  - at QoS 2 once, unless a disk was full; at QoS 1 once as well, unless it was published again, or the subscriber or its
 *    node was away;
 *  - what one client published on one topic at one QoS came in that order, QoS 0 too, of which nothing came twice;
 *  - of a shared subscription somebody has got each message, at QoS 2 one member once;
 *  - all nodes retain the same messages, and of who publishes alone on a topic the last one;
 *  - nothing waits any more, in no queue.
 * A failure prints the round's seed; `sim-messages 0 SEED` plays that round alone, and says all of it with SIM_SHOW=1 in the
 * environment.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "fleet.h"

enum {
	PHASES = 6,
	MESSAGES = 4000, /* of a phase */
	SUBSCRIBERS = 12,
	SHARING = 3, /* of them are members of the shared subscription */
	TOPICS = 5,
	SETTLE_MS = 240000,
	QUIET_MS = 25000,  /* figures and digests are looked at every ten seconds */
	SLOWEST_MS = 4000, /* disk */
	FAILURES = 3
};

struct message {
	char topic[16];
	unsigned publisher, topic_number; /* among those that are not retained */
	uint8_t qos;
	bool retain, acked, again;
};

struct subscriber {
	struct client client;
	unsigned node;
	const char *filter;
	uint8_t qos;
	bool shared, resting, disturbed; /* disturbed: in this phase it, or its node, was away */
	bool fresh, asked;               /* its session is to be made (again), SUBSCRIBE is sent */
	bool excused;                    /* it was lost in this phase, with what it had */
	uint8_t got[MESSAGES];
	unsigned last[FLEET_MAX][2 * TOPICS][3]; /* of each publisher, topic and QoS, by serial + 1 */
};

struct publisher {
	struct client client;
	bool resting;
	/* Its node has a new disk, and has not met all others again, or has not written that down: it does not know what
	 * they want. */
	bool ignorant;
	uint64_t met; /* when it had */
	/* Of its messages in this phase those before: they were lost so, or with the disk. */
	unsigned excused;
	/* Serial + 1 of what was retained last on its topics, in this phase; 0: nothing. */
	unsigned last_own[2];
};

struct round {
	struct fleet *fleet;
	unsigned n, phase, sent;
	bool publishing;
	struct message messages[MESSAGES];
	unsigned count;
	bool filled
	        [FLEET_MAX]; /* its disk was full in this phase: what came and could not be kept came again */
	struct subscriber subs[SUBSCRIBERS];
	unsigned sub_count;
	struct publisher pubs[FLEET_MAX];
	uint64_t node_ms, delivered;
	const char *trouble;
	char broken[300]; /* empty: all held */
};

static struct round *the_round;

__attribute__((format(printf, 2, 3))) static void breaks(struct round *r, const char *format, ...)
{
	va_list args;
	if (r->broken[0])
		return;
	va_start(args, format);
	vsnprintf(r->broken, sizeof(r->broken), format, args);
	va_end(args);
}

static unsigned below(struct round *r, unsigned n)
{
	return (unsigned)fleet_random(r->fleet, n);
}

static bool matches(const struct subscriber *s, const struct message *m)
{
	const char *filter = s->shared ? strchr(strchr(s->filter, '/') + 1, '/') + 1 : s->filter;
	size_t n = strlen(filter);
	if (filter[n - 1] == '#')
		return strncmp(filter, m->topic, n - 1) == 0;
	if (filter[0] == '+')
		return strcmp(filter + 1, m->topic + 1) == 0;
	return strcmp(filter, m->topic) == 0;
}

/* For who looks into a find. */
static bool shown;

__attribute__((format(printf, 2, 3))) static void show(const struct round *r, const char *format, ...)
{
	va_list args;
	if (!shown)
		return;
	va_start(args, format);
	printf("%" PRIu64 "  ", fleet_now(r->fleet));
	vprintf(format, args);
	putchar('\n');
	va_end(args);
}

/* --- what clients hear ----------------------------------------------------------------------------------------------------- */

static void got(struct client *c, const struct client_message *m)
{
	struct subscriber *s = c->arg;
	struct round *r = the_round;
	char text[32] = "";
	unsigned phase, serial;
	memcpy(text, m->payload, m->len < sizeof(text) - 1 ? m->len : sizeof(text) - 1);
	if (sscanf(text, "%u:%u:", &phase, &serial) != 2 || phase > r->phase) {
		breaks(r, "%s got a message that nobody published", c->name);
		return;
	}
	/* That it was acknowledged goes to the disk with the next message, which may be long after it. */
	if (phase < r->phase && m->qos < 2 && s->disturbed)
		return;
	if (phase < r->phase || serial >= r->count) {
		breaks(r, "%s got message %u of phase %u when all of that had come", c->name, serial, phase);
		return;
	}
	struct message *sent = &r->messages[serial];
	unsigned *last = &s->last[sent->publisher][sent->topic_number][sent->qos];
	r->delivered++;
	show(r, "%s (%s, QoS %u, node %u) got %u, QoS %u%s", c->name, s->filter, s->qos, s->node, serial,
	        m->qos, m->dup ? ", again" : "");
	if (strlen(sent->topic) != m->topic_len || memcmp(sent->topic, m->topic, m->topic_len) != 0)
		breaks(r, "%s got message %u on another topic", c->name, serial);
	/* What went to nobody at QoS 0 the first time may do so when it is published again. */
	bool anew = (sent->again && s->qos == 0) || s->excused || serial < r->pubs[sent->publisher].excused;
	if (!s->shared && !anew && !s->got[serial] && serial + 1 <= *last)
		breaks(r, "%s got message %u on %s, QoS %u, after message %u of the same publisher", c->name,
		        serial, sent->topic, sent->qos, *last - 1);
	if (serial + 1 > *last)
		*last = serial + 1;
	if (s->got[serial] < UINT8_MAX)
		s->got[serial]++;
}

static void again(struct client *c, uint64_t tag)
{
	show(the_round, "%s publishes %u again", c->name, (unsigned)tag);
	the_round->messages[tag].again = true;
}

static void done(struct client *c, uint64_t tag)
{
	show(the_round, "%s hears that %u was taken", c->name, (unsigned)tag);
	the_round->messages[tag].acked = true;
}

static void heard_nothing(struct client *c, const struct client_message *m)
{
	(void)m;
	breaks(the_round, "%s got a message though it is subscribed to nothing", c->name);
}

/* --- what they do ---------------------------------------------------------------------------------------------------------- */

static void publish_one(struct round *r, unsigned p)
{
	struct publisher *pub = &r->pubs[p];
	struct message *m = &r->messages[r->count];
	char payload[400];
	unsigned own = below(r, 2), kind = below(r, 10);
	*m = (struct message){ .publisher = p, .qos = (uint8_t)below(r, 3) };
	if (kind == 0) {
		m->retain = true;
		m->qos = 1;
		snprintf(m->topic, sizeof(m->topic), "r/%u/%u", p, own);
	} else if (kind == 1) {
		m->retain = true;
		snprintf(m->topic, sizeof(m->topic), "r/all/%u", own);
	} else {
		m->topic_number = below(r, 2 * TOPICS);
		snprintf(m->topic, sizeof(m->topic), "%c/%u", m->topic_number < TOPICS ? 's' : 't',
		        m->topic_number % TOPICS);
	}
	int n = snprintf(payload, sizeof(payload), "%u:%u:%*s", r->phase, r->count, (int)below(r, 300), "");
	if (!client_publish(&pub->client, m->topic, payload, (size_t)n, m->qos, m->retain, r->count))
		return;
	show(r, "%s publishes %u on %s, QoS %u", pub->client.name, r->count, m->topic, m->qos);
	if (kind == 0)
		pub->last_own[own] = r->count + 1;
	r->count++;
	r->sent++;
}

/* Whoever should be connected is, sooner or later. */
static void visit(struct round *r, struct client *c, unsigned node, bool resting)
{
	client_look(c);
	if (!c->peer && !resting && fleet_runs(r->fleet, node) && below(r, 20) == 0)
		client_join(c, fleet_client(r->fleet, node));
	if (c->wrong)
		breaks(r, "%s got %s", c->name, c->wrong);
}

static void learn(struct round *r, unsigned p)
{
	struct publisher *pub = &r->pubs[p];
	if (!pub->ignorant)
		return;
	bool meets = fleet_runs(r->fleet, p);
	for (unsigned j = 0; j < r->n && meets; j++)
		meets = j == p || fleet_figure(r->fleet, p, j, "mesh_connected", "");
	if (!meets)
		pub->met = fleet_now(r->fleet);
	pub->ignorant = fleet_now(r->fleet) - pub->met <= SLOWEST_MS;
	pub->excused = r->count;
}

static void step(void *arg)
{
	struct round *r = arg;
	for (unsigned i = 0; i < r->sub_count; i++) {
		struct subscriber *s = &r->subs[i];
		visit(r, &s->client, s->node, s->resting);
		if (!s->fresh || !s->client.joined)
			s->asked = false;
		else if (!s->asked)
			client_subscribe(&s->client, s->filter, s->qos);
		else if (!s->client.subscribes) /* SUBACK came: it is durable */
			s->fresh = false;
		s->asked = s->fresh && s->client.joined;
	}
	for (unsigned p = 0; p < r->n; p++) {
		visit(r, &r->pubs[p].client, p, r->pubs[p].resting);
		learn(r, p);
		if (r->publishing && r->pubs[p].client.joined && r->count < MESSAGES && below(r, 10) == 0)
			publish_one(r, p);
	}
	for (unsigned i = 0; i < r->n; i++)
		r->node_ms += fleet_runs(r->fleet, i) ? 5 : 0;
}

/* --- troubles -------------------------------------------------------------------------------------------------------------- */

static void lose_clients(struct round *r, unsigned node)
{
	for (unsigned i = 0; i < r->sub_count; i++)
		if (r->subs[i].node == node) {
			client_lost(&r->subs[i].client);
			r->subs[i].disturbed = true;
		}
	client_lost(&r->pubs[node].client);
}

/* What was on its way to clients comes, as with a process that ends. */
static void hear_last_words(struct round *r, unsigned node)
{
	for (unsigned i = 0; i < r->sub_count; i++)
		if (r->subs[i].node == node)
			client_look(&r->subs[i].client);
	client_look(&r->pubs[node].client);
}

static void end_node(struct round *r, unsigned i)
{
	unsigned how = below(r, 3);
	if (!fleet_runs(r->fleet, i))
		return;
	show(r, "node %u %s", i, how == 0 ? "is stopped" : how == 1 ? "loses its power" : "is killed");
	if (below(r, 2))
		hear_last_words(r, i);
	if (how == 0)
		fleet_stop(r->fleet, i);
	else
		fleet_kill(r->fleet, i, how == 1);
	lose_clients(r, i);
}

static void restart(struct round *r)
{
	unsigned i = below(r, r->n);
	end_node(r, i);
	fleet_run(r->fleet, below(r, 2) ? below(r, 500) : below(r, 20000));
	if (!fleet_runs(r->fleet, i))
		fleet_start(r->fleet, i);
}

/* One after the other, in order, as an upgrade does. */
static void roll(struct round *r)
{
	for (unsigned i = 0; i < r->n; i++) {
		if (!fleet_runs(r->fleet, i))
			continue;
		fleet_stop(r->fleet, i);
		lose_clients(r, i);
		fleet_run(r->fleet, 50 + below(r, 500));
		fleet_start(r->fleet, i);
		fleet_run(r->fleet, 500 + below(r, 3000));
	}
}

static void leave_off(struct round *r)
{
	end_node(r, below(r, r->n));
	fleet_run(r->fleet, below(r, 3000));
}

static void power_cut(struct round *r)
{
	for (unsigned i = 0; i < r->n; i++)
		if (fleet_runs(r->fleet, i)) {
			fleet_kill(r->fleet, i, true);
			lose_clients(r, i);
		}
	for (unsigned i = 0; i < r->n; i++) {
		fleet_run(r->fleet, below(r, 1000));
		fleet_start(r->fleet, i);
	}
}

static void cut(struct round *r)
{
	unsigned side = 1 + below(r, (1u << r->n) - 2);
	for (unsigned a = 0; a < r->n; a++)
		for (unsigned b = a + 1; b < r->n; b++)
			fleet_cut(r->fleet, a, b, (side >> a & 1) != (side >> b & 1));
	fleet_run(r->fleet, below(r, 2) ? below(r, 2000) : below(r, 40000));
}

static void flap(struct round *r)
{
	unsigned a = below(r, r->n), b = (a + 1 + below(r, r->n - 1)) % r->n;
	for (unsigned times = 1 + below(r, 10); times; times--) {
		if (below(r, 2))
			fleet_reset(r->fleet, a, b);
		else
			fleet_cut(r->fleet, a, b, below(r, 2));
		fleet_run(r->fleet, below(r, 3000));
	}
}

/* What waits for the disk outlives connections. */
static void slow_disk(struct round *r)
{
	unsigned i = below(r, r->n);
	fleet_disk(r->fleet, i, 1 + below(r, SLOWEST_MS));
	for (unsigned times = below(r, 5); times; times--) {
		fleet_run(r->fleet, below(r, 2000));
		fleet_reset(r->fleet, i, (i + 1 + below(r, r->n - 1)) % r->n);
	}
	fleet_run(r->fleet, below(r, 5000));
	if (below(r, 2))
		end_node(r, i);
}

static void full_disk(struct round *r)
{
	unsigned i = below(r, r->n);
	fleet_fill(r->fleet, i, true);
	r->filled[i] = true;
	fleet_run(r->fleet, below(r, 2) ? below(r, 500) : below(r, 8000));
	if (below(r, 3) == 0)
		end_node(r, i);
	fleet_fill(r->fleet, i, false);
}

/* The node is put on a new card, with its key alone: what it had acknowledged and had not passed on is gone, and the
 * sessions of its clients. All the rest must hold. */
static void lose_disk(struct round *r)
{
	unsigned i = below(r, r->n);
	if (fleet_runs(r->fleet, i)) {
		fleet_kill(r->fleet, i, true);
		lose_clients(r, i);
	}
	fleet_run(r->fleet, below(r, 10000));
	fleet_wipe(r->fleet, i);
	show(r, "of node %u", i);
	for (unsigned k = 0; k < r->sub_count; k++)
		if (r->subs[k].node == i) {
			r->subs[k].client.held_count = 0;
			r->subs[k].fresh = r->subs[k].excused = true;
		}
	r->pubs[i].ignorant = true;
	r->pubs[i].met = fleet_now(r->fleet);
	memset(r->pubs[i].last_own, 0, sizeof(r->pubs[i].last_own));
	fleet_start(r->fleet, i);
}

static void rest(struct round *r)
{
	struct subscriber *s = &r->subs[below(r, r->sub_count)];
	struct publisher *p = &r->pubs[below(r, r->n)];
	client_leave(&s->client, below(r, 2));
	s->resting = s->disturbed = true;
	fleet_run(r->fleet, below(r, 5000));
	client_leave(&p->client, below(r, 2));
	p->resting = below(r, 2);
	fleet_run(r->fleet, below(r, 5000));
	if (below(r, 2))
		s->resting = p->resting = false;
}

static void trouble(struct round *r)
{
	static const struct {
		const char *name;
		void (*fn)(struct round *r);
	} troubles[] = { { "a restart", restart }, { "a rolling restart", roll },
		{ "a node that is off", leave_off }, { "a power cut", power_cut }, { "a cut", cut },
		{ "a flapping link", flap }, { "a slow disk", slow_disk }, { "a full disk", full_disk },
		{ "a lost disk", lose_disk }, { "clients that come and go", rest } };
	unsigned t = below(r, sizeof(troubles) / sizeof(troubles[0]));
	r->trouble = troubles[t].name;
	show(r, "%s", r->trouble);
	troubles[t].fn(r);
}

static void heal(struct round *r)
{
	for (unsigned a = 0; a < r->n; a++) {
		for (unsigned b = a + 1; b < r->n; b++)
			fleet_cut(r->fleet, a, b, false);
		fleet_disk(r->fleet, a, 20);
		if (!fleet_runs(r->fleet, a))
			fleet_start(r->fleet, a);
		r->pubs[a].resting = false;
	}
	for (unsigned i = 0; i < r->sub_count; i++)
		r->subs[i].resting = false;
}

/* --- what must hold -------------------------------------------------------------------------------------------------------- */

static bool is_quiet(const struct round *r)
{
	for (unsigned i = 0; i < r->sub_count; i++)
		if (!r->subs[i].client.joined || r->subs[i].fresh || r->subs[i].client.subscribes ||
		        r->subs[i].client.held_count)
			return false;
	for (unsigned p = 0; p < r->n; p++)
		if (!r->pubs[p].client.joined || r->pubs[p].client.own_count)
			return false;
	return fleet_is_quiet(r->fleet);
}

static void settle(struct round *r)
{
	uint64_t start = fleet_now(r->fleet), since = start;
	while (fleet_now(r->fleet) - since < QUIET_MS && !r->broken[0]) {
		fleet_run(r->fleet, 100);
		if (!is_quiet(r))
			since = fleet_now(r->fleet);
		if (fleet_now(r->fleet) - start > SETTLE_MS)
			breaks(r, "not quiet after %d s", SETTLE_MS / 1000);
	}
}

static void judge_one(struct round *r, const struct subscriber *s, unsigned serial)
{
	const struct message *m = &r->messages[serial];
	unsigned qos = m->qos < s->qos ? m->qos : s->qos, n = s->got[serial];
	bool forgotten = serial < r->pubs[m->publisher].excused && m->again; /* its id was, with the disk */
	bool failed = r->filled[m->publisher] || r->filled[s->node];
	bool may_repeat =
	        m->qos && (forgotten || failed || s->excused || (qos < 2 && (m->again || s->disturbed)));
	if (!matches(s, m)) {
		if (n)
			breaks(r, "%s got message %u on %s", s->client.name, serial, m->topic);
		return;
	}
	if (qos && !n && !s->excused && serial >= r->pubs[m->publisher].excused)
		breaks(r, "%s (%s, QoS %u, node %u) has not got message %u of %s on %s, QoS %u%s",
		        s->client.name, s->filter, s->qos, s->node, serial, r->pubs[m->publisher].client.name,
		        m->topic, m->qos, m->again ? ", published again" : "");
	if (n > 1 && !may_repeat)
		breaks(r, "%s (%s, QoS %u, node %u) has got message %u of %s on %s, QoS %u%s, %u times",
		        s->client.name, s->filter, s->qos, s->node, serial, r->pubs[m->publisher].client.name,
		        m->topic, m->qos, m->again ? ", published again" : "", n);
}

static void judge_shared(struct round *r, unsigned serial)
{
	const struct message *m = &r->messages[serial];
	unsigned n = 0, members = 0;
	bool excused = serial < r->pubs[m->publisher].excused, failed = false;
	for (unsigned i = 0; i < r->n; i++)
		failed |= r->filled[i];
	for (unsigned i = 0; i < r->sub_count; i++)
		if (r->subs[i].shared && matches(&r->subs[i], m)) {
			members++;
			excused |= r->subs[i].excused;
			n += r->subs[i].got[serial];
		}
	if (!members || !m->qos)
		return;
	if (!n && !excused)
		breaks(r, "no member has got message %u of %s on %s, QoS %u", serial,
		        r->pubs[m->publisher].client.name, m->topic, m->qos);
	if (m->qos == 2 && n > 1 && !excused && !failed)
		breaks(r, "members have got message %u of %s on %s, QoS %u, %u times", serial,
		        r->pubs[m->publisher].client.name, m->topic, m->qos, n);
}

static void judge_messages(struct round *r)
{
	for (unsigned serial = 0; serial < r->count && !r->broken[0]; serial++) {
		if (r->messages[serial].qos && !r->messages[serial].acked)
			breaks(r, "message %u was never acknowledged", serial);
		for (unsigned i = 0; i < r->sub_count; i++)
			if (!r->subs[i].shared)
				judge_one(r, &r->subs[i], serial);
		judge_shared(r, serial);
	}
}

/* "TOPIC=PAYLOAD" of all, in some order. */
struct retained {
	char text[64][40];
	unsigned count;
};

static void note_retained(void *arg, const struct edged_session_message *m)
{
	struct retained *all = arg;
	if (!m->payload.len)
		return;
	assert(all->count < 64);
	snprintf(all->text[all->count++], sizeof(all->text[0]), "%.*s=%.*s", EDGED_SLICE_FMT(m->topic),
	        (int)(m->payload.len < 16 ? m->payload.len : 16), m->payload.ptr);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static struct retained retained_of(struct round *r, unsigned node)
{
	const struct edged_session_1 *sessions = fleet_sessions(r->fleet, node);
	struct retained all = { .count = 0 };
	sessions->retained(sessions->ctx, edged_slice(NULL, 0), note_retained, &all);
	qsort(all.text, all.count, sizeof(all.text[0]), by_text);
	return all;
}

static void judge_retained(struct round *r)
{
	struct retained first = retained_of(r, 0);
	for (unsigned i = 1; i < r->n; i++) {
		struct retained here = retained_of(r, i);
		for (unsigned k = 0; k < first.count || k < here.count; k++)
			if (k >= first.count || k >= here.count || strcmp(first.text[k], here.text[k]) != 0) {
				breaks(r, "node 0 retains %s, node %u %s",
				        k < first.count ? first.text[k] : "nothing", i,
				        k < here.count ? here.text[k] : "nothing");
				return;
			}
	}
	for (unsigned p = 0; p < r->n; p++)
		for (unsigned own = 0; own < 2; own++) {
			char wanted[40];
			const char *instead = "nothing";
			/* who has lost what it had seen, or cannot write how far its clock is, gives messages older
			 * stamps perhaps */
			bool found = r->pubs[p].last_own[own] <= r->pubs[p].excused || r->filled[p];
			snprintf(wanted, sizeof(wanted), "r/%u/%u=%u:%u:", p, own, r->phase,
			        r->pubs[p].last_own[own] - 1);
			for (unsigned k = 0; k < first.count; k++) {
				found |= strncmp(first.text[k], wanted, strlen(wanted)) == 0;
				if (strncmp(first.text[k], wanted, strlen("r/0/0=")) == 0)
					instead = first.text[k];
			}
			if (!found)
				breaks(r, "%s was the last one, but %s is retained", wanted, instead);
		}
}

/* --- a round --------------------------------------------------------------------------------------------------------------- */

static void make_clients(struct round *r)
{
	static const char *const filters[] = { "t/#", "t/0", "t/1", "+/2" };
	r->sub_count = r->n + below(r, SUBSCRIBERS - r->n + 1);
	for (unsigned i = 0; i < r->sub_count; i++) {
		struct subscriber *s = &r->subs[i];
		s->shared = i < SHARING;
		s->node = below(r, r->n);
		s->filter = s->shared ? "$share/g/s/#" : filters[below(r, 4)];
		s->qos = (uint8_t)(s->shared ? 2 : below(r, 3));
		s->client.arg = s;
		s->client.got = got;
		s->client.done = done;
		s->client.again = again;
		snprintf(s->client.name, sizeof(s->client.name), "sub%u", i);
		s->fresh = true;
	}
	for (unsigned p = 0; p < r->n; p++) {
		struct client *c = &r->pubs[p].client;
		c->got = heard_nothing;
		c->done = done;
		c->again = again;
		snprintf(c->name, sizeof(c->name), "pub%u", p);
	}
}

static void begin_phase(struct round *r)
{
	r->phase++;
	r->count = 0;
	memset(r->filled, 0, sizeof(r->filled));
	for (unsigned i = 0; i < r->sub_count; i++) {
		r->subs[i].disturbed = r->subs[i].excused = false;
		memset(r->subs[i].got, 0, sizeof(r->subs[i].got));
		memset(r->subs[i].last, 0, sizeof(r->subs[i].last));
	}
	for (unsigned p = 0; p < r->n; p++) {
		r->pubs[p].excused = 0;
		memset(r->pubs[p].last_own, 0, sizeof(r->pubs[p].last_own));
	}
}

static void play_phase(struct round *r)
{
	begin_phase(r);
	r->publishing = true;
	fleet_run(r->fleet, below(r, 2000));
	for (unsigned i = 1 + below(r, 4); i && !r->broken[0]; i--) {
		trouble(r);
		if (below(r, 3))
			heal(r);
		fleet_run(r->fleet, below(r, 3000));
	}
	heal(r);
	fleet_run(r->fleet, below(r, 2000));
	r->publishing = false;
	settle(r);
	if (!r->broken[0])
		judge_messages(r);
	if (!r->broken[0])
		judge_retained(r);
}

/* Each node hears of all others' clocks. One that is far ahead and was first heard of in the moment before a power cut is
 * forgotten, see plugins/broker/stamp.h. */
static void meet_clocks(struct round *r)
{
	begin_phase(r);
	for (unsigned p = 0; p < r->n; p++) {
		char topic[24];
		snprintf(topic, sizeof(topic), "r/clock/%u", p);
		r->messages[r->count].retain = true;
		client_publish(&r->pubs[p].client, topic, "1:0:", 4, 1, true, r->count++);
	}
	settle(r);
}

static bool play_round(uint64_t seed, struct round *r)
{
	*r = (struct round){ .n = 2 + (unsigned)(seed % 3), .trouble = "the start" };
	the_round = r;
	r->fleet = fleet_new(seed, r->n);
	if (!r->fleet)
		exit(EXIT_FAILURE);
	for (unsigned i = 0; i < r->n; i++)
		fleet_start(r->fleet, i);
	make_clients(r);
	fleet_each_step(r->fleet, step, r);
	settle(r);
	meet_clocks(r);
	for (unsigned i = 0; i < PHASES && !r->broken[0]; i++)
		play_phase(r);
	if (r->broken[0])
		printf("FAIL  seed %" PRIu64 ", %u nodes, phase %u, after %s: %s\n", seed, r->n, r->phase,
		        r->trouble, r->broken);
	for (unsigned i = 0; i < r->sub_count; i++)
		client_free(&r->subs[i].client);
	for (unsigned p = 0; p < r->n; p++)
		client_free(&r->pubs[p].client);
	fleet_free(r->fleet);
	return !r->broken[0];
}

/* clock_gettime() and getrandom() are the fleet's. */
static uint64_t seconds_now(void)
{
	struct timespec t;
	(void)syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec;
}

int main(int argc, char **argv)
{
	static struct round round;
	uint64_t most = argc > 3 ? strtoull(argv[3], NULL, 10) : UINT64_MAX, seed = 0, rounds = 0, failed = 0;
	uint64_t end = seconds_now() + (argc > 1 ? strtoull(argv[1], NULL, 10) : 60), ms = 0, sent = 0,
	         got_all = 0;
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 10);
	else if (syscall(SYS_getrandom, &seed, sizeof(seed), 0) != (long)sizeof(seed))
		return EXIT_FAILURE;
	shown = getenv("SIM_SHOW") != NULL;
	if (shown)
		setvbuf(stdout, NULL, _IOLBF, 0); /* between what the plugins log */
	printf("seed %" PRIu64 "\n", seed);
	fflush(stdout);
	do {
		failed += !play_round(seed + rounds, &round);
		rounds++;
		ms += round.node_ms;
		sent += round.sent;
		got_all += round.delivered;
	} while (seconds_now() < end && failed < FAILURES && rounds < most);
	printf("seed %" PRIu64 ", %" PRIu64 " rounds, %" PRIu64 " failed: %.1f node-hours, %" PRIu64
	       " messages published, %" PRIu64 " received\n",
	        seed, rounds, failed, (double)ms / 3600000, sent, got_all);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
