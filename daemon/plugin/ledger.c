/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/ledger.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "plugin/turn.h"

enum {
	SETTLE_ROUNDS = 16
}; /* of all loops; those who talk to each other without an end are not waited for */

static const char *const kinds[LEDGER_KINDS] = {
	[LEDGER_TIMERS] = "timers",
	[LEDGER_STORE_CALLS] = "store calls",
	[LEDGER_POSTS] = "posts",
	[LEDGER_DEFERRED] = "deferred calls",
	[LEDGER_LOGINS] = "logins",
	[LEDGER_WORK] = "pieces of work",
};

/* What belongs to one loop. */
struct page {
	struct list entries;
	struct turn turn;
};

struct ledger {
	struct loops *loops;
	const char *owner;
	const struct ledger_limits *limits;
	atomic_bool closed;
	atomic_uint refs;                 /* the host, and every post on its way */
	atomic_uint counts[LEDGER_KINDS]; /* of deferred calls the turns know it */
	atomic_uint refused[LEDGER_KINDS];
	unsigned left[LEDGER_KINDS]; /* while it closes: one loop after the other adds to it */
	pthread_mutex_t lock;        /* of posts */
	struct list posts;
	struct page pages[];
};

struct sent {
	struct post post;
	struct list link; /* in ledger->posts; on its own once cancelled */
	struct ledger *ledger;
	const struct loop *to;
	void (*fn)(void *arg);
	void (*drop)(void *arg);
	void *arg;
	bool reach; /* of stop(): not posted by another loop */
	bool cancelled;
};

void ledger_limits_set(struct ledger_limits *limits, const struct ledger_limits *to)
{
	for (int kind = 0; kind < LEDGER_KINDS; kind++)
		__atomic_store_n(&limits->most[kind], to->most[kind], __ATOMIC_RELAXED);
}

int ledger_new(
        struct loops *loops, const char *owner, const struct ledger_limits *limits, struct ledger **ret)
{
	unsigned n = loops_count(loops);
	struct ledger *ledger = calloc(1, sizeof(*ledger) + n * sizeof(ledger->pages[0]));
	if (!ledger)
		return -ENOMEM;
	ledger->loops = loops;
	ledger->owner = owner;
	ledger->limits = limits;
	atomic_init(&ledger->refs, 1);
	pthread_mutex_init(&ledger->lock, NULL);
	list_init(&ledger->posts);
	for (unsigned i = 0; i < n; i++) {
		list_init(&ledger->pages[i].entries);
		turn_init(&ledger->pages[i].turn, owner, &limits->most[LEDGER_DEFERRED]);
	}
	*ret = ledger;
	return 0;
}

static void unref(struct ledger *ledger)
{
	if (atomic_fetch_sub(&ledger->refs, 1) != 1)
		return;
	pthread_mutex_destroy(&ledger->lock);
	free(ledger);
}

const char *ledger_owner(const struct ledger *ledger)
{
	return ledger->owner;
}

const char *ledger_kind_name(enum ledger_kind kind)
{
	return kinds[kind];
}

unsigned ledger_count(const struct ledger *ledger, enum ledger_kind kind)
{
	unsigned count = atomic_load_explicit(&ledger->counts[kind], memory_order_relaxed);
	for (unsigned i = 0; kind == LEDGER_DEFERRED && i < loops_count(ledger->loops); i++)
		count += turn_count(&ledger->pages[i].turn);
	return count;
}

unsigned ledger_refused(const struct ledger *ledger, enum ledger_kind kind)
{
	return atomic_load_explicit(&ledger->refused[kind], memory_order_relaxed);
}

static int refuse(struct ledger *ledger, enum ledger_kind kind)
{
	atomic_fetch_add_explicit(&ledger->refused[kind], 1, memory_order_relaxed);
	return -ENOSPC;
}

static int count_up(struct ledger *ledger, enum ledger_kind kind)
{
	if (atomic_load_explicit(&ledger->closed, memory_order_acquire))
		return -ESHUTDOWN;
	if (atomic_fetch_add_explicit(&ledger->counts[kind], 1, memory_order_relaxed) <
	        __atomic_load_n(&ledger->limits->most[kind], __ATOMIC_RELAXED))
		return 0;
	atomic_fetch_sub_explicit(&ledger->counts[kind], 1, memory_order_relaxed);
	return refuse(ledger, kind);
}

static void count_down(struct ledger *ledger, enum ledger_kind kind)
{
	atomic_fetch_sub_explicit(&ledger->counts[kind], 1, memory_order_relaxed);
}

/* --- entries --- */

int ledger_add(struct ledger *ledger, enum ledger_kind kind, struct ledger_entry *entry,
        bool (*silence)(struct ledger_entry *entry), void (*release)(struct ledger_entry *entry))
{
	struct loop *loop = loop_self();
	if (!loop)
		return -EINVAL;
	int r = count_up(ledger, kind);
	if (r)
		return r;
	entry->ledger = ledger;
	entry->kind = kind;
	entry->silence = silence;
	entry->release = release;
	list_append(&ledger->pages[loop_index(loop)].entries, &entry->link);
	return 0;
}

void ledger_remove(struct ledger_entry *entry)
{
	list_remove(&entry->link);
	count_down(entry->ledger, entry->kind);
}

/* --- posts --- */

static bool in_reach(const struct loop *loop)
{
	return !loop || loop_index(loop) == 0;
}

static void sent_free(struct sent *sent)
{
	unref(sent->ledger);
	free(sent);
}

/* True when it is still to be done, and then it is the caller's. */
static bool sent_take(struct sent *sent)
{
	struct ledger *ledger = sent->ledger;
	pthread_mutex_lock(&ledger->lock);
	bool ours = !sent->cancelled;
	if (ours) {
		list_remove(&sent->link);
		count_down(ledger, LEDGER_POSTS);
	}
	pthread_mutex_unlock(&ledger->lock);
	return ours;
}

static void post_run(struct post *post)
{
	struct sent *sent = CONTAINER_OF(post, struct sent, post);
	if (sent_take(sent)) {
		struct loop_charge charge;
		loop_enter(&charge, sent->ledger->owner);
		sent->fn(sent->arg);
		loop_leave(&charge);
	}
	sent_free(sent);
}

static void post_drop(struct post *post)
{
	struct sent *sent = CONTAINER_OF(post, struct sent, post);
	if (sent_take(sent) && sent->drop)
		sent->drop(sent->arg);
	sent_free(sent);
}

int ledger_post(
        struct ledger *ledger, struct loop *loop, void (*fn)(void *arg), void (*drop)(void *arg), void *arg)
{
	struct sent *sent = malloc(sizeof(*sent));
	if (!sent)
		return -ENOMEM;
	*sent = (struct sent){ .post = { .fn = post_run, .drop = post_drop },
		.ledger = ledger,
		.to = loop,
		.reach = in_reach(loop_self()),
		.fn = fn,
		.drop = drop,
		.arg = arg };
	pthread_mutex_lock(&ledger->lock); /* closing takes the lock, too: nothing slips in behind it */
	int r = count_up(ledger, LEDGER_POSTS);
	if (!r) {
		list_append(&ledger->posts, &sent->link);
		atomic_fetch_add(&ledger->refs, 1);
	}
	pthread_mutex_unlock(&ledger->lock);
	if (r)
		free(sent);
	else
		loop_post(loop, &sent->post);
	return r;
}

/* The oldest post that waits for that loop, or (NULL) for any; its shell is freed when its loop comes to it. */
static bool take_oldest(struct ledger *ledger, const struct loop *to, struct sent *ret)
{
	bool found = false;
	pthread_mutex_lock(&ledger->lock);
	list_each (node, &ledger->posts) {
		struct sent *sent = list_entry(node, struct sent, link);
		if (to && sent->to != to)
			continue;
		list_remove(&sent->link);
		count_down(ledger, LEDGER_POSTS);
		sent->cancelled = true;
		*ret = *sent;
		found = true;
		break;
	}
	pthread_mutex_unlock(&ledger->lock);
	return found;
}

/* --- deferred calls --- */

int ledger_defer(struct ledger *ledger, void (*fn)(void *arg), void *arg)
{
	struct loop *loop = loop_self();
	if (!loop)
		return -EINVAL;
	if (atomic_load_explicit(&ledger->closed, memory_order_acquire))
		return -ESHUTDOWN;
	int r = turn_add(&ledger->pages[loop_index(loop)].turn, loop, fn, arg);
	return r == -ENOSPC ? refuse(ledger, LEDGER_DEFERRED) : r;
}

void ledger_defer_cancel(struct ledger *ledger, const void *arg)
{
	struct loop *loop = loop_self();
	if (loop)
		turn_cancel(&ledger->pages[loop_index(loop)].turn, arg);
}

/* --- the end --- */

static void settle_page(struct loop *loop, void *arg)
{
	struct ledger *ledger = arg;
	struct sent sent;
	for (unsigned n = ledger_count(ledger, LEDGER_POSTS); n > 0 && take_oldest(ledger, loop, &sent);
	        n--) {
		struct loop_charge charge;
		loop_enter(&charge, ledger->owner);
		sent.fn(sent.arg);
		loop_leave(&charge);
	}
	turn_run(&ledger->pages[loop_index(loop)].turn);
}

void ledger_settle(struct ledger *ledger)
{
	for (int round = 0; round < SETTLE_ROUNDS; round++) {
		if (!ledger_count(ledger, LEDGER_POSTS) && !ledger_count(ledger, LEDGER_DEFERRED))
			return;
		loops_each(ledger->loops, settle_page, ledger);
	}
}

static void close_page(struct loop *loop, void *arg)
{
	struct ledger *ledger = arg;
	struct page *page = &ledger->pages[loop_index(loop)];
	unsigned deferred = turn_fini(&page->turn), one = in_reach(loop);
	ledger->left[LEDGER_DEFERRED] += deferred * one;
	list_each (node, &page->entries) {
		struct ledger_entry *entry = list_entry(node, struct ledger_entry, link);
		ledger->left[entry->kind] += entry->silence(entry) ? one : 0;
	}
}

void ledger_close(struct ledger *ledger, unsigned ret_left[LEDGER_KINDS])
{
	pthread_mutex_lock(&ledger->lock);
	atomic_store_explicit(&ledger->closed, true, memory_order_release);
	pthread_mutex_unlock(&ledger->lock);
	loops_each(ledger->loops, close_page, ledger);
	struct sent sent;
	while (take_oldest(ledger, NULL, &sent)) {
		ledger->left[LEDGER_POSTS] += sent.reach;
		if (sent.drop)
			sent.drop(sent.arg);
	}
	memcpy(ret_left, ledger->left, sizeof(ledger->left));
}

void ledger_free(struct ledger *ledger)
{
	if (!ledger)
		return;
	assert(atomic_load(&ledger->closed));
	for (unsigned i = 0; i < loops_count(ledger->loops); i++)
		while (!list_empty(&ledger->pages[i].entries)) {
			struct ledger_entry *entry =
			        list_first(&ledger->pages[i].entries, struct ledger_entry, link);
			entry->release(entry);
		}
	unref(ledger);
}
