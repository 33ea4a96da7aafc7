/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "client.h"
#include "inbox.h"
#include "inside.h"
#include "parcel.h"
#include "persist.h"
#include "publish.h"
#include "queue.h"
#include "rights.h"
#include "stamp.h"
#include "trace_packet.h"

/* --- finding the receivers --------------------------------------------------------------------------------------------- */

static int room(struct shard *shard, size_t matches, size_t more)
{
	if (matches > shard->match_size) {
		size_t size = matches * 2 + 16;
		struct match *p = realloc(shard->matches, size * sizeof(*p));
		if (!p)
			return -ENOMEM;
		shard->matches = p;
		shard->match_size = size;
	}
	if (more > shard->more_size) {
		size_t size = more * 2 + 16;
		struct more_id *p = realloc(shard->more, size * sizeof(*p));
		if (!p)
			return -ENOMEM;
		shard->more = p;
		shard->more_size = size;
	}
	return 0;
}

/* A second subscription of the same receiver matches: one message, at the highest QoS, with all identifiers. */
static int merge(struct shard *shard, struct match *match, const struct sub *sub)
{
	if ((sub->options & OPT_QOS) > match->qos)
		match->qos = sub->options & OPT_QOS;
	match->retain_as_published |= (sub->options & OPT_RETAIN_AS_PUBLISHED) != 0;
	if (sub->id == 0)
		return 0;
	if (match->id == 0) {
		match->id = sub->id;
		return 0;
	}
	if (room(shard, 0, shard->more_count + 1))
		return -ENOMEM;
	shard->more[shard->more_count] = (struct more_id){ sub->id, match->more };
	match->more = (uint32_t)++shard->more_count;
	return 0;
}

static bool may_have(const struct sub *sub, const struct session *from)
{
	const struct session *to = (const struct session *)sub->target;
	if ((sub->options & OPT_NO_LOCAL) && to == from)
		return false;
	return !from->apart || sub->target->kind != TARGET_SESSION || !to->apart;
}

static int add_match(struct shard *shard, size_t *n, const struct sub *sub, const struct session *from)
{
	struct target *t = sub->target;
	if (from && !may_have(sub, from))
		return 0;
	if (t->seen == shard->match_seq)
		return merge(shard, &shard->matches[t->seen_at], sub);
	if (*n == shard->match_size && room(shard, *n + 1, 0))
		return -ENOMEM;
	t->seen = shard->match_seq;
	t->seen_at = (uint32_t)*n;
	shard->matches[(*n)++] = (struct match){
		.target = t,
		.id = sub->id,
		.qos = sub->options & OPT_QOS,
		.retain_as_published = sub->options & OPT_RETAIN_AS_PUBLISHED,
	};
	return 0;
}

/* For whom a message is. */
struct audience {
	struct edged_slice topic;
	bool retain;
	const struct session *from; /* or NULL */
	uint32_t share;             /* see struct message_parts */
};

static enum member_state judge_member(void *arg, const struct sub *sub)
{
	const struct audience *audience = arg;
	struct session *s = (struct session *)sub->target;
	if (sub->target->kind != TARGET_SESSION)
		return MEMBER_PRESENT;
	bool present = s->client && !s->client->closing && client_has_room(s->client);
	if (s->apart)
		return audience->share ? MEMBER_BARRED : present ? MEMBER_FAR : MEMBER_FAR_AWAY;
	if (rights_receive(s, audience->topic) == 0)
		return MEMBER_BARRED;
	return present ? MEMBER_PRESENT : MEMBER_AWAY;
}

/* A shared subscription is one of its own: its message is not merged with that of another subscription. */
static int add_group(struct shard *shard, size_t *n, struct sub_group *group, struct audience *audience)
{
	const struct sub *sub = sub_group_take_turn(group, judge_member, audience);
	if (!sub) {
		count_one(shard->broker->figures.denied[DENIED_RECEIVE]);
		return 0;
	}
	if (room(shard, *n + 1, 0))
		return -ENOMEM;
	shard->matches[(*n)++] = (struct match){
		.target = sub->target,
		.id = sub->id,
		.qos = sub->options & OPT_QOS,
		.retain_as_published = sub->options & OPT_RETAIN_AS_PUBLISHED,
	};
	return 0;
}

/* Another node has all retained messages, whatever its subscribers want, and gets them also when it was away. */
static int add_node(struct shard *shard, size_t *n, struct session *node)
{
	struct target *t = &node->target;
	if (t->seen != shard->match_seq) {
		if (room(shard, *n + 1, 0))
			return -ENOMEM;
		t->seen = shard->match_seq;
		t->seen_at = (uint32_t)*n;
		shard->matches[(*n)++] = (struct match){ .target = t, .retain_as_published = true };
	}
	shard->matches[t->seen_at].qos = 2;
	shard->matches[t->seen_at].least = 1;
	return 0;
}

static int add_nodes(struct shard *shard, size_t *n, const struct session *from)
{
	struct session *node;
	int r = 0;
	for (uint32_t i = 0; shard->index == 0 && !r && (node = inside_node(shard->broker->insides, &i));)
		if (!from || !from->apart)
			r = add_node(shard, n, node);
	return r;
}

static void begin_match(struct shard *shard)
{
	if (++shard->match_seq == 0)
		shard->match_seq = 1;
	shard->more_count = 0;
}

/* With several shards the one that publishes picks for all of them, see shared.h; subscribers inside the process are all here.
 * What comes from another node is for no group, or for the one it names. */
static bool is_for(const struct audience *a, const struct shard *shard, const struct sub_group *group)
{
	if (shard->broker->shard_count > 1 && group->subs->target->kind != TARGET_LOCAL)
		return false;
	return a->share ? group->number == a->share : !a->from || !a->from->apart;
}

static int find_receivers(struct shard *shard, struct audience *audience, size_t *ret)
{
	struct sub_node *const *nodes;
	*ret = 0;
	begin_match(shard);
	int count = shard->subs.count ? subs_match(&shard->subs, audience->topic, &nodes) : 0;
	if (count < 0)
		return count;
	int r = 0;
	for (int i = 0; i < count && !r; i++) {
		const struct sub *sub = audience->share ? NULL : nodes[i]->subs;
		for (; sub && !r; sub = sub->next)
			r = add_match(shard, ret, sub, audience->from);
		for (struct sub_group *g = nodes[i]->groups; g && !r; g = g->next)
			if (is_for(audience, shard, g))
				r = add_group(shard, ret, g, audience);
	}
	return r || !audience->retain ? r : add_nodes(shard, ret, audience->from);
}

bool shard_wanted(struct shard *shard, struct edged_slice topic)
{
	const struct broker *broker = shard->broker;
	for (unsigned i = 0; i < broker->shard_count; i++)
		if (i != shard->index && __atomic_load_n(&broker->shards[i]->wanted, __ATOMIC_RELAXED))
			return true;
	struct sub_node *const *nodes;
	return shard->subs.count && subs_match(&shard->subs, topic, &nodes) != 0;
}

/* --- handing out ---------------------------------------------------------------------------------------------------------- */

static uint8_t lower(uint8_t a, uint8_t b)
{
	return a < b ? a : b;
}

/* One of the receivers did not get it. */
static void note_failure(struct outcome *outcome, int r)
{
	if (!r)
		return;
	outcome->refused = true;
	outcome->lost |= r != -ENOSPC && r != -ESTALE;
}

static void hand_out(
        struct shard *shard, struct message *m, const struct match *match, struct outcome *outcome)
{
	uint32_t ids[MAX_SUBSCRIPTIONS];
	struct delivery d = { m, lower(m->qos, match->qos), m->retain && match->retain_as_published, ids, 0 };
	if (d.qos < match->least)
		d.qos = match->least;
	if (match->id)
		ids[d.id_count++] = match->id;
	for (uint32_t at = match->more; at && d.id_count < MAX_SUBSCRIPTIONS; at = shard->more[at - 1].next)
		ids[d.id_count++] = shard->more[at - 1].id;
	int r = match->target->kind == TARGET_LOCAL
	                ? inbox_put((struct local *)match->target, &d)
	                : session_deliver((struct session *)match->target, &d, &outcome->wait);
	note_failure(outcome, r);
}

static bool durable_receiver(const struct shard *shard, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct match *match = &shard->matches[i];
		if (match->target->kind == TARGET_SESSION && match->qos &&
		        ((struct session *)match->target)->row)
			return true;
	}
	return false;
}

/* --- when memory is short ---------------------------------------------------------------------------------------------------- */

/*
 * From PRESSURE_KEEP on, a message at QoS 1 or 2 is accepted if nobody has to keep it, else refused as a whole before
 * anybody has got it; once accepted, it is kept however short memory becomes. Whether receivers on other shards would
 * have to keep it is known there: it goes there marked as scarce, and the acknowledgement waits for their answer. QoS 2
 * does not: refused by one shard and taken by another, it would come twice.
 */
static bool scarce(struct broker *broker, const struct message *m)
{
	if (m->qos == 0 || m->will) /* a will has been in memory for as long as its client was here */
		return false;
	pressure_update(broker);
	return pressure_of(broker) >= PRESSURE_KEEP;
}

static bool must_wait(const struct session *s)
{
	return !s->client || s->backlog || (s->flight && s->flight->count >= s->client->window);
}

static bool target_must_wait(const struct target *t)
{
	return t->kind == TARGET_LOCAL ? ((const struct local *)t)->paused
	                               : must_wait((const struct session *)t);
}

static bool retained_grows(const struct shard *shard, const struct message *m)
{
	const struct message *old = retained_get(&shard->retained, message_topic(m));
	return m->payload_len && (!old || message_size(m) > message_size(old));
}

/* Would one of the n receivers here have to keep it? */
static bool sheds(const struct shard *shard, const struct message *m, size_t n)
{
	bool kept = m->retain && shard->index == 0 && retained_grows(shard, m);
	for (size_t i = 0; i < n && !kept; i++)
		kept = shard->matches[i].qos && target_must_wait(shard->matches[i].target);
	if (kept)
		pressure_count(shard->broker, PRESSURE_KEEP);
	return kept;
}

/* Likewise for members of shared subscriptions. */
static bool sheds_pick(const struct shard *shard, const struct pick *picks)
{
	for (const struct pick *p = picks; p; p = p->next) {
		const struct session *s = p->shard == shard->index && p->qos
		                                  ? session_find(shard, edged_slice(p->client, p->len))
		                                  : NULL;
		if (!s || !must_wait(s))
			continue;
		pressure_count(shard->broker, PRESSURE_KEEP);
		return true;
	}
	return false;
}

static bool goes_abroad(
        const struct shard *shard, const struct message *m, const struct pick *picks, bool others)
{
	while (picks && picks->shard == shard->index)
		picks = picks->next;
	return others || picks || (m->retain && shard->index);
}

/* May it be accepted? *ret_alone: yes, if other shards do. */
static bool admit(const struct shard *shard, const struct message *m, size_t n, const struct pick *picks,
        bool others, bool *ret_alone)
{
	*ret_alone = goes_abroad(shard, m, picks, others);
	if (sheds(shard, m, n) || sheds_pick(shard, picks))
		return false;
	if (!*ret_alone || m->qos == 1)
		return true;
	pressure_count(shard->broker, PRESSURE_KEEP);
	return false;
}

/* --- to all of them ---------------------------------------------------------------------------------------------------------- */

/* Gives the message to the n receivers that were found. */
static int distribute(struct shard *shard, struct message *m, size_t n, struct outcome *outcome)
{
	if (m->qos && !m->row && message_alone(m) && durable_receiver(shard, n)) {
		int r = persist_message(shard->broker, m);
		if (r)
			return r;
	}
	for (size_t i = 0; i < n; i++)
		hand_out(shard, m, &shard->matches[i], outcome);
	outcome->receivers += (unsigned)n;
	return 0;
}

/* What was written is committed in any case. */
static int conclude(struct shard *shard, int r, const struct outcome *outcome)
{
	int wrote = outcome->wait ? turn_wrote(shard) : 0;
	if (!r)
		r = wrote;
	return !r && outcome->lost ? -ENOMEM : r;
}

int shard_distribute(struct shard *shard, struct message *m, const struct session *from, struct outcome *ret)
{
	size_t n;
	struct message *copy = NULL;
	struct audience audience = { message_topic(m), m->retain, from, 0 };
	int r = find_receivers(shard, &audience, &n);
	if (r)
		return r;
	if (m->scarce && sheds(shard, m, n))
		return -ENOBUFS;
	if (m->qos && !m->row && durable_receiver(shard, n) && !(copy = message_copy(m)))
		return -ENOMEM;
	r = distribute(shard, copy ? copy : m, n, ret);
	message_unref(copy);
	return conclude(shard, r, ret);
}

/* --- retained messages ---------------------------------------------------------------------------------------------------- */

static void show_retained(const struct shard *shard)
{
	const struct figures *figures = &shard->broker->figures;
	edged_metric_set(figures->retained_messages, (int64_t)shard->retained.count);
	edged_metric_set(figures->retained_bytes, (int64_t)shard->retained.bytes);
}

static bool retained_full(const struct shard *shard, const struct message *m)
{
	const struct limits *limits = &shard->broker->limits;
	const struct message *old = retained_get(&shard->retained, message_topic(m));
	size_t bytes = shard->retained.bytes - (old ? message_size(old) : 0) + message_size(m);
	if ((!old && shard->retained.count >= limits->retained_messages) || bytes > limits->retained_bytes)
		return true;
	if (m->qos) /* it has been accepted, see scarce() */
		return false;
	pressure_update(shard->broker);
	if (pressure_of(shard->broker) < PRESSURE_KEEP || !retained_grows(shard, m))
		return false;
	pressure_count(shard->broker, PRESSURE_KEEP);
	return true;
}

static bool has_nodes(const struct broker *broker)
{
	uint32_t i = 0;
	return inside_node(broker->insides, &i) != NULL;
}

#define BURIED_MS (7 * 24 * 3600 * UINT64_C(1000)) /* so long at least */
#define SWEEP_MS  (3600 * UINT64_C(1000))

struct old {
	uint64_t before;
	uint32_t count;
	char *topics[256];
};

static int note_old(void *arg, struct edged_slice topic, uint64_t stamp)
{
	struct old *old = arg;
	if (stamp >> STAMP_MS < old->before && (old->topics[old->count] = strndup(topic.ptr, topic.len)))
		old->count++;
	return old->count == sizeof(old->topics) / sizeof(old->topics[0]);
}

/* Some of what was deleted long ago, once an hour. */
static void sweep(struct shard *shard)
{
	struct retained *retained = &shard->retained;
	struct old old = { .before = wall_ms() - BURIED_MS };
	if (wall_ms() - retained->swept < SWEEP_MS)
		return;
	retained->swept = wall_ms();
	retained_each_buried(retained, note_old, &old);
	for (uint32_t i = 0; i < old.count; i++) {
		if (persist_retained_gone(shard->broker, edged_str(old.topics[i])) == 0)
			retained_unbury(retained, edged_str(old.topics[i]));
		free(old.topics[i]);
	}
}

/* That it was deleted is remembered where there are other nodes, for so many topics. The row goes first: should the commit fail
 * it is taken out again later, see removal.h. */
static int bury(struct shard *shard, struct message *m)
{
	struct broker *broker = shard->broker;
	struct edged_slice topic = message_topic(m);
	sweep(shard);
	int r = persist_retained_gone(broker, topic);
	if (!r && has_nodes(broker) && shard->retained.buried < broker->limits.retained_messages) {
		r = persist_retained(broker, m);
		if (!r)
			r = retained_bury(&shard->retained, topic, m->stamp);
	} else if (!r) {
		(void)retained_remove(&shard->retained, topic);
	}
	return r;
}

bool shard_newer(struct shard *shard, struct edged_slice topic, uint64_t stamp, struct edged_slice payload)
{
	uint64_t has = retained_stamp(&shard->retained, topic);
	if (stamp != has)
		return stamp > has;
	/* At the same moment on two nodes: all choose the same one. */
	const struct message *old = retained_get(&shard->retained, topic);
	struct edged_slice kept = old ? message_payload(old) : edged_slice(NULL, 0);
	size_t n = kept.len < payload.len ? kept.len : payload.len;
	int order = n ? memcmp(payload.ptr, kept.ptr, n) : 0;
	return order > 0 || (order == 0 && payload.len > kept.len);
}

int shard_forget_retained(struct shard *shard, struct edged_slice topic)
{
	const struct message_parts parts = { .topic = topic,
		.qos = 1,
		.retain = true,
		.arrived = wall_ms(),
		.stamp = stamp_new(shard->broker) };
	struct outcome outcome = { 0 };
	struct message *m = message_new(&parts);
	size_t n = 0;
	if (!m)
		return -ENOMEM;
	begin_match(shard);
	int r = add_nodes(shard, &n, NULL);
	if (!r)
		r = distribute(shard, m, n, &outcome);
	if (!r)
		r = bury(shard, m);
	message_unref(m);
	show_retained(shard);
	return conclude(shard, r, &outcome);
}

int shard_retain(struct shard *shard, struct message *m, bool *ret_wrote)
{
	struct broker *broker = shard->broker;
	int r = 0;
	if (!shard_newer(shard, message_topic(m), m->stamp, message_payload(m)))
		return 0;
	if (m->payload_len == 0) {
		if (!has_nodes(broker) && !retained_get(&shard->retained, message_topic(m)) &&
		        !removals_in_doubt(&shard->removals))
			return 0;
		r = bury(shard, m);
	} else if (retained_full(shard, m)) {
		count_one(broker->figures.dropped_quota);
		return -ENOSPC;
	} else {
		r = persist_retained(broker, m);
		if (!r)
			r = retained_set(&shard->retained, m);
	}
	show_retained(shard);
	*ret_wrote |= r == 0;
	return r;
}

/* --- publishing ----------------------------------------------------------------------------------------------------------- */

static bool others_want(const struct shard *shard)
{
	const struct broker *broker = shard->broker;
	for (unsigned i = 0; i < broker->shard_count; i++)
		if (i != shard->index && __atomic_load_n(&broker->shards[i]->wanted, __ATOMIC_RELAXED))
			return true;
	return false;
}

static int spread(struct shard *shard, struct message *m, size_t n, bool others, struct outcome *outcome)
{
	int r = distribute(shard, m, n, outcome);
	if (r)
		return r;
	if (m->retain && shard->index == 0)
		note_failure(outcome, shard_retain(shard, m, &outcome->wait));
	if (others || (m->retain && shard->index))
		note_failure(outcome, parcels_add(shard, m, &outcome->wait));
	return 0;
}

/* Gives it to the member that was picked, who lives here; see publish.h. */
int shard_hand_pick(struct shard *shard, struct message *m, const struct pick *pick, struct outcome *outcome)
{
	struct session *s = session_find(shard, edged_slice(pick->client, pick->len));
	struct delivery d = { m, lower(m->qos, pick->qos), m->retain && pick->retain_as_published, &pick->id,
		pick->id != 0 };
	if (!s) /* it has ended meanwhile: a publisher that waits hears so, and may send the message again */
		return -ESTALE;
	if (m->scarce && pick->qos && must_wait(s)) {
		pressure_count(shard->broker, PRESSURE_KEEP);
		return -ENOBUFS;
	}
	return session_deliver(s, &d, &outcome->wait);
}

/* One member of each shared subscription. */
static void spread_picks(struct shard *shard, struct message *m, struct pick *picks, struct outcome *outcome)
{
	for (struct pick *p = picks, *next; p; p = next) {
		next = p->next;
		p->next = NULL;
		outcome->receivers++;
		int r = p->shard == shard->index ? shard_hand_pick(shard, m, p, outcome)
		                                 : parcels_pick(shard, m, p, &outcome->wait);
		note_failure(outcome, r);
		if (r || p->shard == shard->index)
			free(p);
	}
}

int shard_publish(struct shard *shard, const struct message_parts *parts, const struct session *from,
        struct outcome *ret)
{
	size_t n;
	*ret = (struct outcome){ 0 };
	struct audience audience = { parts->topic, parts->retain, from, parts->share };
	int r = find_receivers(shard, &audience, &n);
	if (r)
		return r;
	bool others = shard->broker->shard_count > 1 && !parts->share && others_want(shard);
	struct pick *picks = NULL;
	if (parts->share || !from || !from->apart)
		r = shared_match(shard->broker, parts->topic, parts->share, &picks);
	if (r || (n == 0 && !others && !picks && !parts->retain))
		return r;
	struct message *m = message_new(parts);
	if (!m) {
		picks_free(picks);
		return -ENOMEM;
	}
	if (m->retain && (!m->stamp || !stamp_seen(shard->broker, m->stamp)))
		m->stamp = stamp_new(shard->broker);
	m->scarce = scarce(shard->broker, m);
	if (m->scarce && !admit(shard, m, n, picks, others, &ret->alone))
		r = -ENOBUFS;
	if (!r && ret->alone)
		turn_close(shard);
	if (!r)
		r = spread(shard, m, n, others, ret);
	if (r)
		picks_free(picks);
	else
		spread_picks(shard, m, picks, ret);
	message_unref(m);
	return conclude(shard, r, ret);
}

void shard_publish_will(struct shard *shard, struct message *will, const struct session *from)
{
	struct message_parts parts = {
		.topic = message_topic(will),
		.payload = message_payload(will),
		.publisher = message_publisher(will),
		.props = message_props(will),
		.arrived = wall_ms(),
		.expires = will->expires ? wall_ms() + will->expires : 0,
		.qos = will->qos,
		.retain = will->retain,
		.will = true,
	};
	struct outcome outcome;
	if (will->authored)
		parts.author = *message_author(will);
	if (rights_stands(shard->broker, will) <= 0) { /* and nobody who could say that it may */
		message_unref(will);
		return;
	}
	if (tracing(shard->broker))
		trace_message(shard->broker, &parts, "will");
	if (shard_publish(shard, &parts, from, &outcome))
		count_one(shard->broker->figures.dropped_memory);
	message_unref(will);
}
