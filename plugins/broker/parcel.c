/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "parcel.h"
#include "publish.h"
#include "queue.h"
#include "sys.h"

/* --- messages ---------------------------------------------------------------------------------------------------------- */

struct item {
	struct message *message;
	struct pick *pick; /* NULL: for all who subscribed */
};

struct parcel {
	struct shard *to;
	unsigned from;             /* index of the sender */
	struct turn *turn;         /* of the sender, which waits for the answer; or NULL */
	struct edged_joint *joint; /* the receiver's part in the sender's commit; NULL: none */
	int result;
	uint32_t count, size;
	bool answer;
	struct item *items;
};

static void parcel_free(struct parcel *parcel)
{
	if (parcel->joint)
		parcel->to->broker->store->leave_joint(parcel->to->broker->host, parcel->joint);
	for (uint32_t i = 0; i < parcel->count; i++) {
		message_unref(parcel->items[i].message);
		free(parcel->items[i].pick);
	}
	free(parcel->items);
	free(parcel);
}

static int add(struct shard *shard, unsigned to, struct message *m, struct pick *pick, bool answer)
{
	struct parcel *p = shard->parcels[to];
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return -ENOMEM;
		p->from = shard->index;
		p->to = shard->broker->shards[to];
		shard->parcels[to] = p;
	}
	if (p->count == p->size) {
		uint32_t size = p->size ? p->size * 2 : 16;
		struct item *items = realloc(p->items, size * sizeof(*items));
		if (!items)
			return -ENOMEM;
		p->items = items;
		p->size = size;
	}
	p->items[p->count++] = (struct item){ message_ref(m), pick };
	p->answer |= answer;
	return 0;
}

int parcels_add(struct shard *shard, struct message *m, bool *ret_wait)
{
	const struct broker *broker = shard->broker;
	int r = turn_start(shard);
	for (unsigned i = 0; i < broker->shard_count && !r; i++) {
		const struct shard *to = broker->shards[i];
		bool retain = m->retain && i == 0;
		if (i == shard->index || (!retain && !__atomic_load_n(&to->wanted, __ATOMIC_RELAXED)))
			continue;
		bool durable =
		        m->qos && (retain || m->scarce || __atomic_load_n(&to->durable, __ATOMIC_RELAXED));
		r = add(shard, i, m, NULL, durable);
		*ret_wait |= durable;
	}
	return r;
}

int parcels_pick(struct shard *shard, struct message *m, struct pick *pick, bool *ret_wait)
{
	const struct shard *to = shard->broker->shards[pick->shard];
	bool durable = m->qos && pick->qos && (m->scarce || __atomic_load_n(&to->durable, __ATOMIC_RELAXED));
	int r = turn_start(shard);
	if (!r)
		r = add(shard, pick->shard, m, pick, durable);
	*ret_wait |= !r && durable;
	return r;
}

/* Back at the sender. */
static void answered(void *arg)
{
	struct parcel *p = arg;
	turn_report(p->turn, p->result);
	parcel_free(p);
}

static void parcel_drop(void *arg)
{
	parcel_free(arg);
}

static void durable(void *arg, int result)
{
	struct parcel *p = arg;
	if (result && !p->result)
		p->result = result;
	const struct broker *broker =
	        p->to->broker; /* when the broker ends, the sender may be gone already */
	const struct todo again = { .kind = TODO_ANSWER, .fn = durable, .arg = p };
	if (result == -ECANCELED) /* the broker ends: nothing of that turn is acknowledged */
		parcel_free(p);
	else if (broker->loop->post(broker->host, p->from, answered, parcel_drop, p) &&
	         turn_todo(p->to, &again))
		parcel_free(p);
}

static void arrived(void *arg)
{
	struct parcel *p = arg;
	struct shard *shard = p->to;
	bool wrote = false;
	if (p->joint)
		turn_close(shard);
	for (uint32_t i = 0; i < p->count; i++) {
		struct message *m = p->items[i].message;
		const struct pick *pick = p->items[i].pick;
		struct outcome outcome = { 0 };
		int r = pick ? shard_hand_pick(shard, m, pick, &outcome)
		             : shard_distribute(shard, m, NULL, &outcome);
		wrote |= pick && outcome.wait;
		bool retain = !pick && m->retain && shard->index == 0 && r != -ENOBUFS;
		if (retain && shard_retain(shard, m, &wrote) == -ENOMEM)
			r = -ENOMEM;
		if (r && m->qos)
			p->result = r;
	}
	struct todo todo = { .kind = TODO_ANSWER, .fn = durable, .arg = p };
	struct edged_joint *joint = p->joint;
	p->joint = NULL;
	if (wrote && turn_wrote(shard))
		p->result = -ENOMEM;
	if (!p->turn)
		parcel_free(p);
	else if (turn_todo(shard, &todo))
		durable(p, -ENOMEM);
	if (joint)
		turn_close_joint(shard, joint);
}

/*
 * What this turn has stored, and what the receivers of its parcels store, is kept together or not at all: the packet id
 * of a QoS 2 message here without the message there would lose it when its publisher sends it again, the message there
 * without the id here would make it come twice; and what is queued there may refer to a message that is stored here.
 */
static bool join(const struct shard *shard, struct turn *turn)
{
	const struct broker *broker = shard->broker;
	unsigned parts = 1;
	if (!turn || !turn->dirty || turn->joint)
		return false;
	for (unsigned i = 0; i < broker->shard_count; i++)
		parts += shard->parcels[i] && shard->parcels[i]->answer;
	if (parts > 1 && broker->store->joint(broker->host, parts, &turn->joint))
		turn->result = -ENOMEM; /* nothing of it is acknowledged */
	return turn->joint != NULL;
}

void parcels_post(struct shard *shard, struct turn *turn)
{
	const struct broker *broker = shard->broker;
	bool own_joint = join(shard, turn);
	for (unsigned i = 0; i < broker->shard_count; i++) {
		struct parcel *p = shard->parcels[i];
		if (!p)
			continue;
		shard->parcels[i] = NULL;
		p->turn = p->answer ? turn : NULL;
		p->joint = p->turn && own_joint ? turn->joint : NULL;
		if (p->turn)
			turn->pending++;
		if (broker->loop->post(broker->host, i, arrived, parcel_drop, p) == 0)
			continue;
		edged_metric_add(broker->figures.dropped_queue, p->count);
		if (p->turn) {
			turn->pending--;
			turn->result = -ENOSPC;
		}
		parcel_free(p);
	}
}

void parcels_free(struct shard *shard)
{
	for (unsigned i = 0; i < shard->broker->shard_count; i++)
		if (shard->parcels[i])
			parcel_free(shard->parcels[i]);
}

/* --- retained messages for a new subscription --------------------------------------------------------------------------------- */

struct ask {
	struct session *session; /* held */
	struct message **found;
	uint32_t count, size;
	uint32_t epoch, id;
	uint8_t qos;
	uint16_t len;
	char filter[];
};

static void ask_free(struct ask *ask)
{
	for (uint32_t i = 0; i < ask->count; i++)
		message_unref(ask->found[i]);
	free(ask->found);
	free(ask);
}

/* The plugin has stopped. */
static void ask_drop(void *arg)
{
	struct ask *ask = arg;
	session_release(ask->session);
	ask_free(ask);
}

static int collect(void *arg, struct message *m)
{
	struct ask *ask = arg;
	if (ask->count == ask->size) {
		uint32_t size = ask->size ? ask->size * 2 : 16;
		struct message **found = realloc(ask->found, size * sizeof(*found));
		if (!found)
			return -ENOMEM; /* no more, then */
		ask->found = found;
		ask->size = size;
	}
	ask->found[ask->count++] = message_ref(m);
	return 0;
}

static void find(struct ask *ask, struct broker *broker)
{
	struct edged_slice filter = edged_slice(ask->filter, ask->len);
	retained_match(&broker->shards[0]->retained, filter, collect, ask);
	sys_match(broker->sys, filter, collect, ask);
}

static int deliver(const struct ask *ask)
{
	return ask->count ? session_line_up(ask->session, ask->found, ask->count, ask->qos, ask->id) : 0;
}

/* Back on the session's loop. */
static void take_answer(void *arg)
{
	struct ask *ask = arg;
	struct session *s = ask->session;
	if (!s->dead && s->epoch == ask->epoch) {
		(void)deliver(ask);
		session_unblock(s);
	}
	session_release(s);
	ask_free(ask);
}

static void look_up(void *arg)
{
	struct ask *ask = arg;
	struct broker *broker = ask->session->shard->broker; /* neither changes while it is held */
	find(ask, broker);
	if (broker->loop->post(broker->host, ask->session->shard->index, take_answer, ask_drop, ask))
		ask_free(ask); /* that subscription stays blocked until the client connects again */
}

static int send_ask(struct ask *ask)
{
	struct session *s = ask->session;
	const struct broker *broker = s->shard->broker;
	int r = session_block(s);
	if (r)
		return r;
	session_hold(s);
	r = broker->loop->post(broker->host, 0, look_up, ask_drop, ask);
	if (r) {
		s->backlog->blocked--;
		session_release(s);
	}
	return r;
}

int retained_ask(struct session *session, struct edged_slice filter, uint8_t qos, uint32_t id)
{
	struct ask *ask = calloc(1, sizeof(*ask) + filter.len);
	if (!ask)
		return -ENOMEM;
	*ask = (struct ask){ .session = session, .epoch = session->epoch, .id = id, .qos = qos };
	ask->len = (uint16_t)filter.len;
	memcpy(ask->filter, filter.ptr, filter.len);
	int r;
	if (session->shard->index) {
		r = send_ask(ask);
		if (r)
			ask_free(ask);
		return r;
	}
	find(ask, session->shard->broker);
	r = deliver(ask);
	ask_free(ask);
	return r;
}
