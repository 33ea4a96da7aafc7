/* SPDX-License-Identifier: Apache-2.0 */
#include "compact.h"

#include <errno.h>

#include "persist.h"
#include "shard.h"

#define LOOK_BYTES  (256u * 1024)      /* appended between two looks at the size */
#define SIZE_MIN    (8u * 1024 * 1024) /* a log that is smaller is left alone */
#define PIECE_BYTES (128u * 1024)      /* written for one commit */

/* --- the end --------------------------------------------------------------------------------------------------------- */

static void cut(struct shard *shard)
{
	struct broker *b = shard->broker;
	struct compaction *c = &b->compaction;
	uint64_t begin, end;
	int r = __atomic_load_n(&c->failed, __ATOMIC_ACQUIRE) ? -EIO : 0;
	if (!r)
		r = b->store->extent(b->host, MESSAGE_LOG, &begin, &end);
	if (!r)
		r = b->store->trim(b->host, MESSAGE_LOG, c->mark);
	if (!r)
		r = b->store->commit(b->host, NULL, NULL);
	if (r)
		return; /* the log stays as long as it is, and the next look begins another */
	__atomic_store_n(&c->size, end - c->mark, __ATOMIC_RELAXED);
	count_one(b->figures.compactions);
}

/* This shard is through, or has given up. The last one cuts the log. */
static void finish(struct shard *shard, int result)
{
	struct compaction *c = &shard->broker->compaction;
	shard->compacting.active = false;
	if (result)
		__atomic_store_n(&c->failed, true, __ATOMIC_RELEASE);
	if (__atomic_sub_fetch(&c->pending, 1, __ATOMIC_ACQ_REL) > 1)
		return;
	cut(shard);
	__atomic_store_n(&c->pending, 0, __ATOMIC_RELEASE);
}

/* --- one piece after the other ------------------------------------------------------------------------------------------- */

/* The entries of one session behind the last one that was written, as far as the piece goes. 1: there are more. */
static int write_session(struct shard *shard, struct session *s, uint64_t until)
{
	struct compacting *at = &shard->compacting;
	const struct compaction *c = &shard->broker->compaction;
	int r = 0;
	if (at->session != s->row) {
		at->session = s->row;
		at->seq = 0;
		r = persist_incoming_again(s, true);
	}
	for (uint32_t i = 0; s->flight && i < s->flight->count && !r; i++) {
		struct entry *e = flight_at(s->flight, i);
		if (e->seq <= at->seq)
			continue;
		if (__atomic_load_n(&c->appended, __ATOMIC_RELAXED) >= until)
			return 1;
		r = persist_entry_again(s, e, at->generation);
		at->seq = e->seq;
	}
	if (!r)
		s->compacted = at->generation;
	return r;
}

/* 1: the piece is full. */
static int write_piece(struct shard *shard)
{
	struct compacting *at = &shard->compacting;
	const struct session_table *table = &shard->sessions;
	uint64_t until = __atomic_load_n(&shard->broker->compaction.appended, __ATOMIC_RELAXED) + PIECE_BYTES;
	if (at->buckets != table->size) { /* it has grown: those that are done say so themselves */
		at->buckets = table->size;
		at->bucket = 0;
	}
	for (; at->bucket < at->buckets; at->bucket++)
		for (struct session *s = table->buckets[at->bucket]; s; s = s->chain) {
			if (!s->row || s->compacted == at->generation)
				continue;
			int r = write_session(shard, s, until);
			if (r)
				return r;
		}
	return 0;
}

static void step(void *arg, int result)
{
	struct shard *shard = arg;
	const struct todo next = { .kind = TODO_CALL, .fn = step, .arg = shard };
	if (result == -ECANCELED) /* the broker ends */
		return;
	if (result) {
		finish(shard, result);
		return;
	}
	if (!shard->compacting.active) { /* all of it was written, and is on the disk */
		finish(shard, 0);
		return;
	}
	int r = write_piece(shard);
	if (r == 0)
		shard->compacting.active = false;
	if (r >= 0)
		r = turn_wrote(shard);
	if (r >= 0)
		r = turn_todo(shard, &next);
	if (r < 0)
		finish(shard, r);
}

static void begin(void *arg)
{
	struct shard *shard = arg;
	shard->compacting = (struct compacting){
		.generation = __atomic_load_n(&shard->broker->compaction.generation, __ATOMIC_ACQUIRE),
		.active = true,
	};
	step(shard, 0);
}

/* --- the beginning --------------------------------------------------------------------------------------------------------- */

static bool due(const struct broker *b, uint64_t size)
{
	return size >= SIZE_MIN && size / 3 >= home_bytes(b->home) &&
	       size / 2 >= __atomic_load_n(&b->compaction.size, __ATOMIC_RELAXED);
}

static void start(struct shard *shard, uint64_t mark)
{
	struct broker *b = shard->broker;
	struct compaction *c = &b->compaction;
	uint32_t none = 0;
	if (!__atomic_compare_exchange_n(
	            &c->pending, &none, b->shard_count + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return; /* one is under way */
	c->mark = mark;
	__atomic_store_n(&c->failed, false, __ATOMIC_RELAXED);
	__atomic_fetch_add(&c->generation, 1, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < b->shard_count; i++)
		if (b->loop->post(b->host, i, begin, NULL, b->shards[i]))
			finish(shard, -ENOMEM);
}

void compact_check(struct shard *shard)
{
	struct broker *b = shard->broker;
	uint64_t begin_at, end;
	if (__atomic_load_n(&b->compaction.appended, __ATOMIC_RELAXED) < LOOK_BYTES ||
	        __atomic_load_n(&b->compaction.pending, __ATOMIC_RELAXED))
		return;
	__atomic_store_n(&b->compaction.appended, 0, __ATOMIC_RELAXED);
	if (b->store->extent(b->host, MESSAGE_LOG, &begin_at, &end) == 0 && due(b, end - begin_at))
		start(shard, end);
}
