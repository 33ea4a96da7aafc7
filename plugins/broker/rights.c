/* SPDX-License-Identifier: Apache-2.0 */
#include "rights.h"

#include <errno.h>

#include "auth.h"
#include "client.h"
#include "queue.h"
#include "subscribe.h"

struct standing *standing_new(
        const struct broker *broker, struct edged_identity *who, struct edged_slice principal)
{
	if (who)
		principal = edged_str(broker->auth->principal(who));
	struct standing *standing = calloc(1, sizeof(*standing) + principal.len);
	if (!standing) {
		broker->auth->drop(who);
		return NULL;
	}
	standing->who = who;
	standing->principal_len = (uint16_t)principal.len;
	memcpy(standing->principal, principal.ptr, principal.len);
	return standing;
}

void standing_free(const struct broker *broker, struct standing *standing)
{
	if (!standing)
		return;
	broker->auth->drop(standing->who);
	free(standing);
}

struct edged_slice standing_principal(const struct standing *standing)
{
	return standing ? edged_slice(standing->principal, standing->principal_len) : edged_slice(NULL, 0);
}

/* --- decisions ---------------------------------------------------------------------------------------------------------- */

int rights_ask(const struct session *s, enum edged_action action, struct edged_slice resource)
{
	if (!s->standing || !s->standing->who)
		return 1;
	return s->shard->broker->auth->allow(s->standing->who, action, resource);
}

/* The same about a topic, out of what was decided before if nothing has changed since. */
static int ask_topic(struct session *s, enum edged_action action, struct edged_slice topic)
{
	struct standing *standing = s->standing;
	if (!standing || !standing->who)
		return 1;
	const struct broker *broker = s->shard->broker;
	uint32_t generation = edged_auth_generation(broker->generation);
	uint64_t hash = keyed_hash(broker->key, 16u + action, topic);
	struct decision *d = &standing->decisions[hash % DECISIONS];
	if (d->hash == hash && d->generation == generation)
		return d->yes;
	int r = broker->auth->allow(standing->who, action, topic);
	if (r >= 0)
		*d = (struct decision){ hash, generation, r > 0 };
	return r;
}

uint8_t rights_publish(struct session *s, struct edged_slice topic, bool retain, struct author *ret_author)
{
	if (!s->standing || !s->standing->who)
		return 0;
	const struct broker *broker = s->shard->broker;
	*ret_author =
	        (struct author){ broker->auth, s->standing->who, edged_auth_generation(broker->generation) };
	int r = ask_topic(s, EDGED_PUBLISH, topic);
	if (r > 0 && retain)
		r = ask_topic(s, EDGED_RETAIN_PUBLISH, topic);
	if (r > 0)
		return 0;
	count_one(broker->figures.denied[DENIED_PUBLISH]);
	return r ? REASON_QUOTA : REASON_NOT_AUTHORIZED;
}

int rights_stands(const struct broker *broker, const struct message *m)
{
	struct author *author = message_author(m);
	if (!author)
		return 1;
	uint32_t generation = edged_auth_generation(broker->generation);
	if (__atomic_load_n(&author->judged, __ATOMIC_RELAXED) == generation)
		return 1;
	int r = author->auth->allow(author->who, EDGED_PUBLISH, message_topic(m));
	if (r > 0 && m->retain)
		r = author->auth->allow(author->who, EDGED_RETAIN_PUBLISH, message_topic(m));
	if (r > 0)
		__atomic_store_n(&author->judged, generation, __ATOMIC_RELAXED);
	if (r == 0)
		count_one(broker->figures.denied[DENIED_AUTHOR]);
	return r;
}

int rights_receive(struct session *s, struct edged_slice topic)
{
	return ask_topic(s, EDGED_RECEIVE, topic);
}

int rights_judge_delivery(struct session *s, const struct message *m)
{
	int r = rights_receive(s, message_topic(m));
	if (r == 0)
		count_one(s->shard->broker->figures.denied[DENIED_RECEIVE]);
	return r > 0 ? rights_stands(s->shard->broker, m) : r;
}

/* --- when rights change --------------------------------------------------------------------------------------------------- */

/* It may have come in when there was nobody to judge it. */
static bool came_unjudged(const struct client *c)
{
	const struct broker *broker = c->broker;
	return !c->asked && (c->named || broker->stream->peer(c->stream)->fingerprint) &&
	       broker->auth->decided(broker->host);
}

static void judge_anew(struct session *s)
{
	struct client *c = s->client;
	if (rights_ask(s, EDGED_CONNECT, session_id(s)) == 0) {
		count_one(s->shard->broker->figures.denied[DENIED_CONNECT]);
		if (c)
			client_close(c, REASON_NOT_AUTHORIZED);
		return;
	}
	subscriptions_judge(s);
	session_pump(s);
}

static struct session *next_to_judge(struct session *chain, uint32_t generation)
{
	for (struct session *s = chain; s; s = s->chain)
		if (s->standing && s->standing->who && s->standing->swept != generation)
			return s;
	return NULL;
}

/* Judging may end sessions, also others than the one judged. */
static void judge_sessions(struct shard *shard)
{
	uint32_t generation = edged_auth_generation(shard->broker->generation);
	struct session *s;
	for (size_t i = 0; i < shard->sessions.size; i++)
		while ((s = next_to_judge(shard->sessions.buckets[i], generation))) {
			s->standing->swept = generation;
			judge_anew(s);
		}
}

static void sweep(void *arg)
{
	struct shard *shard = arg;
	__atomic_store_n(&shard->sweeping, false, __ATOMIC_RELEASE);
	judge_sessions(shard);
	for (struct client *c = shard->clients; c; c = c->next)
		if (c->version && !c->closing && came_unjudged(c))
			client_close(c, REASON_ADMIN);
	/* messages whose authors could not be judged wait for everybody */
	for (size_t i = 0; i < shard->sessions.size; i++)
		for (struct session *s = shard->sessions.buckets[i]; s; s = s->chain)
			session_pump(s);
}

void rights_changed(void *arg)
{
	struct broker *b = arg;
	for (unsigned i = 0; i < b->shard_count; i++) {
		struct shard *shard = b->shards[i];
		if (__atomic_exchange_n(&shard->sweeping, true, __ATOMIC_ACQ_REL))
			continue;
		if (b->loop->post(b->host, i, sweep, NULL, shard) == 0)
			continue;
		__atomic_store_n(&shard->sweeping, false, __ATOMIC_RELEASE);
		b->log->log(b->host, EDGED_ERROR,
		        "too many posts wait: live sessions are not judged anew, only what they do next");
	}
}
