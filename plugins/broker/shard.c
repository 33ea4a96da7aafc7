/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "client.h"
#include "inside.h"
#include "parcel.h"
#include "shard.h"
#include "sys.h"

unsigned shard_of(const struct broker *broker, struct edged_slice client_id)
{
	if (inside_id(client_id)) /* plugins are on the main loop */
		return 0;
	return (unsigned)(keyed_hash(broker->key, 1, client_id) % broker->shard_count);
}

uint32_t shard_now(const struct shard *shard)
{
	return (uint32_t)(shard->broker->loop->now(shard->broker->host) / 1000);
}

int shard_new(struct broker *broker, unsigned index, struct shard **ret)
{
	struct shard *shard = calloc(1, sizeof(*shard));
	if (!shard)
		return -ENOMEM;
	shard->broker = broker;
	shard->index = index;
	shard->parcels = calloc(broker->shard_count, sizeof(struct parcel *));
	if (!shard->parcels || subs_init(&shard->subs, broker->key))
		goto no_memory;
	shard->subs.strict = broker->strict;
	if (index == 0 && retained_init(&shard->retained, broker->key))
		goto no_memory;
	*ret = shard;
	return 0;
no_memory:
	shard_free(shard);
	return -ENOMEM;
}

void shard_free(struct shard *shard)
{
	if (!shard)
		return;
	clients_free(shard);
	turns_free(shard);
	if (shard->parcels)
		parcels_free(shard);
	for (size_t i = 0; i < shard->sessions.size; i++)
		while (shard->sessions.buckets[i])
			session_free(shard->sessions.buckets[i]);
	session_table_fini(&shard->sessions);
	retained_fini(&shard->retained);
	if (shard->subs.trie.root)
		subs_fini(&shard->subs);
	alarms_fini(&shard->alarms);
	free(shard->matches);
	free(shard->more);
	free(shard->parcels);
	free(shard);
}

static void arm(struct shard *shard)
{
	const struct alarm *next = alarms_next(&shard->alarms);
	if (!shard->timer || (next && next->due == shard->timer_due))
		return;
	shard->timer_due = next ? next->due : 0;
	if (!next) {
		shard->broker->loop->timer_cancel(shard->timer);
		return;
	}
	uint64_t now = shard->broker->loop->now(shard->broker->host), due = (uint64_t)next->due * 1000;
	shard->broker->loop->timer_set(shard->timer, due > now ? due - now : 0);
}

static void fire(void *arg)
{
	struct shard *shard = arg;
	uint32_t now = shard_now(shard);
	struct alarm *next;
	shard->timer_due = 0;
	while ((next = alarms_next(&shard->alarms)) && next->due <= now) {
		struct session *session = (struct session *)((char *)next - offsetof(struct session, alarm));
		alarm_cancel(&shard->alarms, next);
		session_alarm(session);
	}
	arm(shard);
}

void shard_alarm(struct shard *shard, struct session *session, uint32_t due)
{
	alarm_set(&shard->alarms, &session->alarm, due);
	arm(shard);
}

void shard_alarm_cancel(struct shard *shard, struct session *session)
{
	alarm_cancel(&shard->alarms, &session->alarm);
}

int shard_start(struct shard *shard)
{
	shard->timer = shard->broker->loop->timer_new(shard->broker->host, fire, shard);
	if (!shard->timer)
		return -ENOMEM;
	arm(shard);
	pressure_update(shard->broker); /* the limit may be lower than it was */
	if (pressure_of(shard->broker) >= PRESSURE_AWAY)
		pressure_relieve(shard);
	return 0;
}

void shard_stop(struct shard *shard)
{
	rate_gate_fini(shard);
	shard->broker->loop->timer_free(shard->timer);
	shard->timer = NULL;
	shard->broker->loop->defer_cancel(shard->broker->host, shard);
}

void shard_subs_changed(struct shard *shard, int64_t by)
{
	if (by == 0)
		return;
	__atomic_store_n(&shard->wanted, (uint32_t)shard->subs.count, __ATOMIC_RELAXED);
	edged_metric_add(shard->broker->figures.subscriptions, by);
	sys_subs_changed(shard);
}
