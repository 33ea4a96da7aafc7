/* SPDX-License-Identifier: Apache-2.0 */
#include "sys.h"

#include <errno.h>
#include <stdio.h>

#include "publish.h"

#define FIRST_LEVEL "$SYS"

enum { TOPICS = 13 };

struct sys {
	struct broker *broker;
	struct edged_timer *timer;
	uint64_t started; /* ms of the loop's clock */
	int64_t told[TOPICS];
	bool running;
};

/* --- the values ------------------------------------------------------------------------------------------------------------------- */

static const char *const topics[TOPICS] = {
	"$SYS/broker/version",
	"$SYS/broker/uptime",
	"$SYS/broker/clients/connected",
	"$SYS/broker/clients/disconnected",
	"$SYS/broker/clients/total",
	"$SYS/broker/subscriptions/count",
	"$SYS/broker/retained messages/count",
	"$SYS/broker/retained messages/bytes",
	"$SYS/broker/store/messages/bytes",
	"$SYS/broker/publish/messages/received",
	"$SYS/broker/publish/messages/sent",
	"$SYS/broker/publish/messages/dropped",
	"$SYS/broker/load/connections",
};

static int64_t sum(int64_t *const *figures, size_t n)
{
	int64_t all = 0;
	for (size_t i = 0; i < n; i++)
		all += __atomic_load_n(figures[i], __ATOMIC_RELAXED);
	return all;
}

static void read_values(const struct sys *sys, int64_t values[TOPICS])
{
	const struct figures *f = &sys->broker->figures;
	int64_t *const dropped[] = { f->dropped_slow, f->dropped_queue, f->dropped_size, f->dropped_expired,
		f->dropped_quota, f->dropped_memory };
	int64_t sessions = sum(&f->sessions, 1), connected = sum(&f->connections, 1);
	const int64_t now[TOPICS] = {
		0,
		(int64_t)((sys->broker->loop->now(sys->broker->host) - sys->started) / 1000),
		connected,
		sessions > connected ? sessions - connected : 0,
		sessions,
		sum(&f->subscriptions, 1),
		sum(&f->retained_messages, 1),
		sum(&f->retained_bytes, 1),
		sum(&f->queued_bytes, 1),
		sum(f->received, 3),
		sum(f->sent, 3),
		sum(dropped, sizeof(dropped) / sizeof(dropped[0])),
		sum(&f->connects, 1),
	};
	memcpy(values, now, sizeof(now));
}

static struct edged_slice text_of(size_t topic, int64_t value, char out[64])
{
	int n = topic == 0   ? snprintf(out, 64, "edged version %s", EDGED_VERSION)
	        : topic == 1 ? snprintf(out, 64, "%lld seconds", (long long)value)
	                     : snprintf(out, 64, "%lld", (long long)value);
	return edged_slice(out, (size_t)n);
}

/* --- for a new subscription ----------------------------------------------------------------------------------------------------- */

void sys_match(struct sys *sys, struct edged_slice filter, int (*found)(void *arg, struct message *message),
        void *arg)
{
	int64_t values[TOPICS];
	char text[64];
	if (!edged_slice_starts(filter, FIRST_LEVEL))
		return;
	read_values(sys, values);
	for (size_t i = 0; i < TOPICS; i++) {
		if (!filter_matches(filter, edged_str(topics[i])))
			continue;
		const struct message_parts parts = {
			.topic = edged_str(topics[i]), .payload = text_of(i, values[i], text), .retain = true
		};
		struct message *m = message_new(&parts);
		int r = m ? found(arg, m) : -ENOMEM;
		message_unref(m);
		if (r)
			return;
	}
}

/* --- while somebody listens ----------------------------------------------------------------------------------------------------- */

static bool anybody(const struct broker *b)
{
	for (unsigned i = 0; i < b->shard_count; i++)
		if (__atomic_load_n(&b->shards[i]->sys_wanted, __ATOMIC_RELAXED))
			return true;
	return false;
}

static void tell(struct sys *sys, size_t i, int64_t value)
{
	char text[64];
	const struct message_parts parts = { .topic = edged_str(topics[i]),
		.payload = text_of(i, value, text) };
	struct outcome outcome;
	if (shard_publish(sys->broker->shards[0], &parts, NULL, &outcome))
		count_one(sys->broker->figures.dropped_memory);
}

static void tick(void *arg)
{
	struct sys *sys = arg;
	int64_t values[TOPICS];
	sys->running = anybody(sys->broker);
	if (!sys->running)
		return;
	read_values(sys, values); /* before telling them changes some */
	for (size_t i = 0; i < TOPICS; i++)
		if (values[i] != sys->told[i])
			tell(sys, i, values[i]);
	memcpy(sys->told, values, sizeof(values));
	sys->broker->loop->timer_set(sys->timer, sys->broker->limits.sys_ms);
}

static void wake(void *arg)
{
	struct sys *sys = arg;
	if (sys->running || !sys->timer)
		return;
	sys->running = true;
	read_values(sys, sys->told);
	sys->broker->loop->timer_set(sys->timer, sys->broker->limits.sys_ms);
}

void sys_subs_changed(struct shard *shard)
{
	const struct broker *b = shard->broker;
	bool wanted = trie_child(&shard->subs.trie, shard->subs.trie.root, edged_str(FIRST_LEVEL)) != NULL;
	if (wanted == shard->sys_wanted)
		return;
	__atomic_store_n(&shard->sys_wanted, wanted, __ATOMIC_RELAXED);
	if (wanted && b->sys && b->loop->post(b->host, 0, wake, NULL, b->sys))
		b->log->log(b->host, EDGED_WARNING, "no memory to keep $SYS up to date");
}

/* --- life ----------------------------------------------------------------------------------------------------------------------------- */

int sys_new(struct broker *b, struct sys **ret)
{
	struct sys *sys = calloc(1, sizeof(*sys));
	if (!sys)
		return -ENOMEM;
	sys->broker = b;
	sys->started = b->loop->now(b->host);
	sys->timer = b->loop->timer_new(b->host, tick, sys);
	if (!sys->timer) {
		free(sys);
		return -ENOMEM;
	}
	*ret = sys;
	return 0;
}

void sys_stop(struct sys *sys)
{
	if (!sys)
		return;
	sys->broker->loop->timer_free(sys->timer);
	sys->timer = NULL;
}

void sys_free(struct sys *sys)
{
	free(sys);
}
