/* SPDX-License-Identifier: Apache-2.0 */
#include "pressure.h"

#include <stdlib.h>

#include "queue.h"
#include "shard.h"

static int64_t read_figure(const int64_t *figure)
{
	return __atomic_load_n(figure, __ATOMIC_RELAXED);
}

int64_t pressure_memory(const struct broker *b)
{
	const struct figures *f = &b->figures;
	return __atomic_load_n(&b->queued, __ATOMIC_RELAXED) + read_figure(f->retained_bytes) +
	       (int64_t)b->stream->waiting(b->host) + read_figure(f->connections) * CONNECTION_BYTES +
	       read_figure(f->sessions) * SESSION_BYTES + read_figure(f->subscriptions) * SUBSCRIPTION_BYTES;
}

static enum pressure level_of(int64_t memory, int64_t limit)
{
	static const int percent[] = { [PRESSURE_CONNECT] = 80,
		[PRESSURE_SLOW] = 85,
		[PRESSURE_KEEP] = 90,
		[PRESSURE_READ] = 95,
		[PRESSURE_AWAY] = 100 };
	enum pressure level = PRESSURE_AWAY;
	while (level > PRESSURE_NONE && memory < limit / 100 * percent[level])
		level--;
	return level;
}

void pressure_update(struct broker *b)
{
	int64_t memory = pressure_memory(b);
	enum pressure level = level_of(memory, (int64_t)b->limits.memory);
	if (pressure_of(b) == level ||
	        __atomic_exchange_n(&b->pressure, (uint8_t)level, __ATOMIC_RELAXED) == level)
		return;
	edged_metric_set(b->figures.pressure, level);
	edged_metric_set(b->figures.memory, memory);
	uint64_t now = b->loop->now(b->host), said = __atomic_load_n(&b->pressure_said, __ATOMIC_RELAXED);
	if (level && now - said >= PRESSURE_SAY_MS &&
	        __atomic_compare_exchange_n(
	                &b->pressure_said, &said, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		b->log->log(b->host, EDGED_WARNING,
		        "%lld of %lld bytes (limits.memory) are in use: shedding load, step %d of %d",
		        (long long)memory, (long long)b->limits.memory, (int)level, PRESSURE_STEPS);
}

void pressure_count(struct broker *b, enum pressure step)
{
	count_one(b->figures.shed[step - 1]);
}

/* --- the last step -------------------------------------------------------------------------------------------------------- */

static int by_age(const void *a, const void *b)
{
	const struct session *x = *(struct session *const *)a, *y = *(struct session *const *)b;
	return x->left < y->left ? -1 : x->left > y->left;
}

static size_t gather(const struct session_table *table, bool inside, struct session **ret)
{
	size_t n = 0;
	for (size_t i = 0; i < table->size; i++)
		for (struct session *s = table->buckets[i]; s; s = s->chain)
			if (!s->client && s->inside == inside && s->flight && s->flight->count)
				ret[n++] = s;
	return n;
}

static bool relieved(const struct broker *b)
{
	return pressure_memory(b) < (int64_t)b->limits.memory / 100 * 95;
}

/* Of the clients of this shard that are away, or of the plugins that are. True: that was enough. */
static bool drop_waiting(struct shard *shard, bool inside)
{
	struct broker *b = shard->broker;
	struct session **away = malloc((shard->sessions.count + 1) * sizeof(struct session *));
	if (!away)
		return true; /* not now */
	size_t n = gather(&shard->sessions, inside, away);
	qsort(away, n, sizeof(struct session *), by_age);
	bool wrote = false;
	for (size_t i = 0; i < n && !relieved(b); i++) {
		uint32_t dropped = session_purge(away[i]);
		edged_metric_add(b->figures.shed[PRESSURE_AWAY - 1], dropped);
		wrote |= away[i]->row != 0;
	}
	free(away);
	if (wrote)
		(void)turn_wrote(shard);
	pressure_update(b);
	return relieved(b);
}

static void visit(void *arg);

/* What plugins have spooled lives on shard 0, and goes when there is nothing else on any shard: 0 is visited last. */
static void go_on(struct shard *shard)
{
	struct broker *b = shard->broker;
	unsigned next = (shard->index + 1) % b->shard_count;
	if (b->loop->post(b->host, next, visit, NULL, b->shards[next]))
		__atomic_store_n(&b->relieving, false, __ATOMIC_RELEASE);
}

static void visit(void *arg)
{
	struct shard *shard = arg;
	struct broker *b = shard->broker;
	bool enough = drop_waiting(shard, false), last = shard->index == 0;
	if (!enough && last)
		(void)drop_waiting(shard, true);
	if (enough || last)
		__atomic_store_n(&b->relieving, false, __ATOMIC_RELEASE);
	else
		go_on(shard);
}

void pressure_relieve(struct shard *shard)
{
	struct broker *b = shard->broker;
	uint32_t now = shard_now(shard) | 1;
	if (shard->relieved == now) /* it has to go over all sessions */
		return;
	shard->relieved = now;
	if (drop_waiting(shard, false) || __atomic_exchange_n(&b->relieving, true, __ATOMIC_ACQ_REL))
		return;
	if (b->shard_count > 1)
		go_on(b->shards[0]);
	else
		visit(shard);
}
