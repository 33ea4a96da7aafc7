/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/turn.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

enum { FIRST_SIZE = 16 };

struct call {
	struct list link;   /* in waiting or spare */
	struct list bucket; /* by arg */
	void (*fn)(void *arg);
	void *arg;
};

static struct list *bucket_of(const struct turn *turn, const void *arg)
{
	/* Fibonacci hashing: pointers differ in their middle bits */
	uint64_t hash = (uint64_t)(uintptr_t)arg * 0x9e3779b97f4a7c15u;
	return &turn->buckets[(hash >> 32) & (turn->size - 1)];
}

static int grow(struct turn *turn)
{
	unsigned size = turn->size ? turn->size * 2 : FIRST_SIZE;
	struct list *buckets = malloc(size * sizeof(*buckets));
	if (!buckets)
		return turn->size ? 0 : -ENOMEM; /* longer chains do, too */
	for (unsigned i = 0; i < size; i++)
		list_init(&buckets[i]);
	free(turn->buckets);
	turn->buckets = buckets;
	turn->size = size;
	list_each (node, &turn->waiting) {
		struct call *call = list_entry(node, struct call, link);
		list_append(bucket_of(turn, call->arg), &call->bucket);
	}
	return 0;
}

static struct call *find(const struct turn *turn, void (*fn)(void *arg), const void *arg)
{
	list_each (node, bucket_of(turn, arg)) {
		struct call *call = list_entry(node, struct call, bucket);
		if (call->arg == arg && call->fn == fn)
			return call;
	}
	return NULL;
}

static struct call *take_spare(struct turn *turn)
{
	struct call *call = list_first(&turn->spare, struct call, link);
	if (call)
		list_remove(&call->link);
	else
		call = malloc(sizeof(*call));
	return call;
}

static void set_count(struct turn *turn, unsigned count)
{
	__atomic_store_n(&turn->count, count, __ATOMIC_RELAXED);
}

unsigned turn_count(const struct turn *turn)
{
	return __atomic_load_n(&turn->count, __ATOMIC_RELAXED);
}

static void retire(struct turn *turn, struct call *call)
{
	list_remove(&call->link);
	list_remove(&call->bucket);
	list_prepend(&turn->spare, &call->link);
	set_count(turn, turn->count - 1);
}

/* What is added meanwhile waits for the next round, so that a call that adds itself holds no loop. */
void turn_run(struct turn *turn)
{
	struct loop *loop = loop_self();
	struct loop_charge charge;
	loop_enter(&charge, turn->owner);
	for (unsigned n = turn->count; n > 0 && !list_empty(&turn->waiting); n--) {
		struct call *call = list_first(&turn->waiting, struct call, link);
		void (*fn)(void *arg) = call->fn;
		void *arg = call->arg;
		retire(turn, call);
		fn(arg);
	}
	loop_leave(&charge);
	if (!list_empty(&turn->waiting))
		loop_defer(loop, &turn->deferred);
}

static void run(struct deferred *deferred)
{
	turn_run(CONTAINER_OF(deferred, struct turn, deferred));
}

void turn_init(struct turn *turn, const char *owner, const unsigned *limit)
{
	*turn = (struct turn){ .owner = owner, .limit = limit };
	deferred_init(&turn->deferred, run);
	list_init(&turn->waiting);
	list_init(&turn->spare);
}

unsigned turn_fini(struct turn *turn)
{
	unsigned dropped = turn->count;
	deferred_cancel(&turn->deferred);
	list_each_safe (node, &turn->waiting)
		retire(turn, list_entry(node, struct call, link));
	list_each_safe (node, &turn->spare)
		free(list_entry(node, struct call, link));
	list_init(&turn->spare);
	free(turn->buckets);
	turn->buckets = NULL;
	turn->size = 0;
	return dropped;
}

int turn_add(struct turn *turn, struct loop *loop, void (*fn)(void *arg), void *arg)
{
	if (turn->size && find(turn, fn, arg))
		return 0;
	if (turn->count >= __atomic_load_n(turn->limit, __ATOMIC_RELAXED))
		return -ENOSPC;
	int r = turn->count >= turn->size ? grow(turn) : 0;
	if (r)
		return r;
	struct call *call = take_spare(turn);
	if (!call)
		return -ENOMEM;
	call->fn = fn;
	call->arg = arg;
	list_append(&turn->waiting, &call->link);
	list_init(&call->bucket);
	list_append(bucket_of(turn, arg), &call->bucket);
	set_count(turn, turn->count + 1);
	loop_defer(loop, &turn->deferred);
	return 0;
}

void turn_cancel(struct turn *turn, const void *arg)
{
	if (!turn->size)
		return;
	list_each_safe (node, bucket_of(turn, arg)) {
		struct call *call = list_entry(node, struct call, bucket);
		if (call->arg == arg)
			retire(turn, call);
	}
}
