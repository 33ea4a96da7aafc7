/* SPDX-License-Identifier: Apache-2.0 */
#include "shared.h"

#include <errno.h>

#include "codec.h"
#include "rights.h"
#include "shard.h"

/* A session, as others see it. */
struct member {
	struct target target;       /* first member */
	struct edged_identity *who; /* held; NULL: it is not judged */
	unsigned shard;
	bool present, far;
	uint16_t len;
	char id[];
};

int shared_init(struct shared *shared, const uint64_t key[2])
{
	int r = subs_init(&shared->subs, key);
	if (!r)
		pthread_mutex_init(&shared->lock, NULL);
	return r;
}

void shared_fini(struct shared *shared)
{
	if (!shared->subs.trie.root)
		return;
	subs_fini(&shared->subs);
	pthread_mutex_destroy(&shared->lock);
}

static struct shared *shared_of(const struct session *s)
{
	return &s->shard->broker->shared;
}

static void count(struct shared *shared)
{
	__atomic_store_n(&shared->count, (uint32_t)shared->subs.count, __ATOMIC_RELAXED);
}

static struct edged_identity *identity_of(const struct session *s)
{
	struct edged_identity *who = s->standing ? s->standing->who : NULL;
	return who ? s->shard->broker->auth->hold(who) : NULL;
}

static struct member *member_of(struct session *s)
{
	if (s->member)
		return s->member;
	struct member *m = calloc(1, sizeof(*m) + s->id_len);
	if (!m)
		return NULL;
	m->who = identity_of(s);
	m->shard = s->shard->index;
	m->present = s->client != NULL;
	m->far = s->apart;
	m->len = s->id_len;
	memcpy(m->id, s->id, s->id_len);
	return s->member = m;
}

int shared_add(struct session *s, const struct filter *filter, uint8_t options, uint32_t id)
{
	struct shared *shared = shared_of(s);
	struct member *m = member_of(s);
	struct sub *sub;
	if (!m)
		return -ENOMEM;
	pthread_mutex_lock(&shared->lock);
	int r = subs_add(&shared->subs, &m->target, filter, options, id, &sub);
	count(shared);
	pthread_mutex_unlock(&shared->lock);
	return r < 0 ? r : 0;
}

void shared_remove(struct session *s, const struct filter *filter)
{
	struct shared *shared = shared_of(s);
	if (!s->member)
		return;
	pthread_mutex_lock(&shared->lock);
	struct sub *sub = subs_find(&shared->subs, &s->member->target, filter);
	if (sub)
		subs_remove(&shared->subs, sub);
	count(shared);
	pthread_mutex_unlock(&shared->lock);
}

void shared_forget(struct session *s)
{
	struct shared *shared = shared_of(s);
	if (!s->member)
		return;
	pthread_mutex_lock(&shared->lock);
	subs_remove_all(&shared->subs, &s->member->target);
	count(shared);
	pthread_mutex_unlock(&shared->lock);
	s->shard->broker->auth->drop(s->member->who);
	free(s->member);
	s->member = NULL;
}

void shared_present(struct session *s, bool present)
{
	struct shared *shared = shared_of(s);
	if (!s->member)
		return;
	pthread_mutex_lock(&shared->lock);
	s->member->present = present;
	s->member->far = s->apart;
	pthread_mutex_unlock(&shared->lock);
}

void shared_standing(struct session *s)
{
	struct shared *shared = shared_of(s);
	if (!s->member)
		return;
	struct edged_identity *who = identity_of(s), *before;
	pthread_mutex_lock(&shared->lock);
	before = s->member->who;
	s->member->who = who;
	pthread_mutex_unlock(&shared->lock);
	s->shard->broker->auth->drop(before);
}

/* --- picking -------------------------------------------------------------------------------------------------------------------- */

static const struct member *owner(const struct sub *sub)
{
	return (const struct member *)sub->target;
}

struct question {
	const struct broker *broker;
	struct edged_slice topic;
	uint32_t share;
};

static enum member_state judge_member(void *arg, const struct sub *sub)
{
	const struct question *q = arg;
	const struct member *m = owner(sub);
	if (m->far)
		return q->share ? MEMBER_BARRED : m->present ? MEMBER_FAR : MEMBER_FAR_AWAY;
	if (m->who && q->broker->auth->allow(m->who, EDGED_RECEIVE, q->topic) == 0)
		return MEMBER_BARRED;
	return m->present ? MEMBER_PRESENT : MEMBER_AWAY;
}

static int pick(struct sub_group *group, struct question *question, struct pick ***last)
{
	const struct sub *sub = sub_group_take_turn(group, judge_member, question);
	if (!sub) {
		count_one(question->broker->figures.denied[DENIED_RECEIVE]);
		return 0;
	}
	const struct member *m = owner(sub);
	struct pick *p = malloc(sizeof(*p) + m->len);
	if (!p)
		return -ENOMEM;
	*p = (struct pick){ .shard = m->shard, .id = sub->id, .qos = sub->options & OPT_QOS, .len = m->len };
	p->retain_as_published = sub->options & OPT_RETAIN_AS_PUBLISHED;
	memcpy(p->client, m->id, m->len);
	**last = p;
	*last = &p->next;
	return 0;
}

int shared_match(struct broker *broker, struct edged_slice topic, uint32_t share, struct pick **ret)
{
	struct shared *shared = &broker->shared;
	*ret = NULL;
	if (__atomic_load_n(&shared->count, __ATOMIC_RELAXED) == 0)
		return 0;
	struct question question = { broker, topic, share };
	struct pick *picks = NULL, **last = &picks;
	struct sub_node *const *nodes;
	pthread_mutex_lock(&shared->lock);
	int n = subs_match(&shared->subs, topic, &nodes), r = n < 0 ? n : 0;
	for (int i = 0; i < n && !r; i++)
		for (struct sub_group *g = nodes[i]->groups; g && !r; g = g->next)
			if (!share || g->number == share)
				r = pick(g, &question, &last);
	pthread_mutex_unlock(&shared->lock);
	if (r)
		picks_free(picks);
	else
		*ret = picks;
	return r;
}

void picks_free(struct pick *picks)
{
	while (picks) {
		struct pick *next = picks->next;
		free(picks);
		picks = next;
	}
}
