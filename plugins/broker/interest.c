/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "interest.h"
#include "shard.h"

#define FILTER_ROOM 2048 /* bytes: the longest topic, and the name of a group */

/* On its way to the main loop. */
struct news {
	struct broker *broker;
	uint32_t epoch;
	int by;
	uint8_t qos;
	uint16_t len;
	char filter[];
};

static void tell(void *arg)
{
	struct news *n = arg;
	const struct interest *i = &n->broker->interest;
	if (i->changed && n->epoch == i->epoch)
		i->changed(i->arg, edged_slice(n->filter, n->len), n->qos, n->by);
	free(n);
}

/* Any shard's own loop. */
static void observe(void *arg, const struct sub *sub, int by)
{
	struct shard *shard = arg;
	struct broker *b = shard->broker;
	char text[FILTER_ROOM];
	if (!__atomic_load_n(&b->interest.on, __ATOMIC_RELAXED))
		return;
	if (sub->target->kind == TARGET_SESSION && ((const struct session *)sub->target)->apart)
		return;
	size_t len = subs_text(&shard->subs, sub, text, sizeof(text));
	struct news *n = malloc(sizeof(*n) + len);
	if (n) {
		*n = (struct news){ .broker = b,
			.epoch = shard->interest_epoch,
			.by = by,
			.qos = sub->options & OPT_QOS,
			.len = (uint16_t)len };
		memcpy(n->filter, text, len);
	}
	if (!n || b->loop->post(b->host, 0, tell, free, n)) {
		free(n);
		count_one(b->figures.dropped_memory);
		b->log->log(b->host, EDGED_ERROR,
		        "no room to tell other nodes of the subscription to \"%.*s\"", (int)len, text);
	}
}

struct order {
	struct shard *shard;
	uint32_t epoch;
};

static void begin(void *arg)
{
	struct order *o = arg;
	struct shard *shard = o->shard;
	shard->interest_epoch = o->epoch;
	shard->subs.changed = observe;
	shard->subs.arg = shard;
	subs_each(&shard->subs, observe, shard);
	free(o);
}

static void end(void *arg)
{
	struct shard *shard = arg;
	shard->subs.changed = NULL;
}

static int order(struct broker *b, unsigned i)
{
	struct order *o = malloc(sizeof(*o));
	if (!o)
		return -ENOMEM;
	*o = (struct order){ b->shards[i], b->interest.epoch };
	int r = b->loop->post(b->host, i, begin, free, o);
	if (r)
		free(o);
	return r;
}

int interest_watch(struct broker *b,
        void (*changed)(void *arg, struct edged_slice filter, uint8_t qos, int by), void *arg)
{
	struct interest *interest = &b->interest;
	int r = 0;
	if (changed && interest->changed)
		return -EEXIST;
	interest->changed = changed;
	interest->arg = arg;
	interest->epoch++;
	__atomic_store_n(&interest->on, changed != NULL, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < b->shard_count && !r; i++)
		r = changed ? order(b, i) : b->loop->post(b->host, i, end, NULL, b->shards[i]);
	if (r)
		interest->changed = NULL;
	return changed ? r : 0; /* what a loop still tells of nobody hears */
}
