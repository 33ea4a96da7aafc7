/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/work.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include "base/thread.h"

enum { THREADS_MAX = 16 };

struct work_pool {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct list waiting; /* struct edged_work */
	unsigned threads, started, idle;
	bool ending;
	pthread_t thread[THREADS_MAX];
};

struct edged_work {
	uint32_t refs; /* atomic: the asker's, until it was told or does not want to know; the pool's */
	struct ledger_entry entry; /* of the asker */
	struct list link;
	struct loop *loop; /* the asker's */
	struct post post;
	bool cancelled; /* atomic, set on the asker's loop */
	bool told;
	void (*work)(void *arg);
	void (*done)(void *arg);
	void (*drop)(void *arg);
	void *arg;
};

static void work_unref(struct edged_work *work)
{
	if (__atomic_sub_fetch(&work->refs, 1, __ATOMIC_ACQ_REL))
		return;
	if (!work->told)
		work->drop(work->arg);
	free(work);
}

/* --- back on the asker's loop --- */

static void tell(struct post *post)
{
	struct edged_work *work = CONTAINER_OF(post, struct edged_work, post);
	if (!work->cancelled) {
		struct loop_charge charge;
		const char *owner = ledger_owner(work->entry.ledger);
		ledger_remove(&work->entry);
		work->told = true;
		loop_enter(&charge, owner);
		work->done(work->arg);
		loop_leave(&charge);
		work_unref(work);
	}
	work_unref(work);
}

static void lost(struct post *post)
{
	work_unref(CONTAINER_OF(post, struct edged_work, post));
}

/* --- on a thread of the pool --- */

static struct edged_work *take(struct work_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->idle++;
	while (list_empty(&pool->waiting) && !pool->ending)
		pthread_cond_wait(&pool->more, &pool->lock);
	pool->idle--;
	struct edged_work *work = pool->ending ? NULL : list_first(&pool->waiting, struct edged_work, link);
	if (work)
		list_remove(&work->link);
	pthread_mutex_unlock(&pool->lock);
	return work;
}

static void *run(void *arg)
{
	struct work_pool *pool = arg;
	struct edged_work *work;
	while ((work = take(pool))) {
		if (!__atomic_load_n(&work->cancelled, __ATOMIC_ACQUIRE))
			work->work(work->arg);
		loop_post(work->loop, &work->post);
	}
	return NULL;
}

/* --- the pool --- */

int work_pool_new(unsigned threads, struct work_pool **ret)
{
	struct work_pool *pool = calloc(1, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->more, NULL);
	list_init(&pool->waiting);
	pool->threads = threads < THREADS_MAX ? threads : THREADS_MAX;
	*ret = pool;
	return 0;
}

void work_pool_free(struct work_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->ending = true;
	pthread_cond_broadcast(&pool->more);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->started; i++)
		pthread_join(pool->thread[i], NULL);
	while (!list_empty(&pool->waiting)) {
		struct edged_work *work = list_first(&pool->waiting, struct edged_work, link);
		list_remove(&work->link);
		work_unref(work);
	}
	pthread_cond_destroy(&pool->more);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

/* Under the lock. A thread more when all are busy; -EAGAIN when there is none at all. */
static int start_thread(struct work_pool *pool)
{
	if (pool->idle || pool->started == pool->threads)
		return 0;
	int r = thread_start(&pool->thread[pool->started], 0, run, pool);
	if (r == 0)
		pool->started++;
	return pool->started ? 0 : r;
}

/* --- on the asker's loop --- */

/* The plugin has stopped: it is not told. */
static bool silence(struct ledger_entry *entry)
{
	__atomic_store_n(&CONTAINER_OF(entry, struct edged_work, entry)->cancelled, true, __ATOMIC_RELEASE);
	return true;
}

static void release(struct ledger_entry *entry)
{
	ledger_remove(entry);
	work_unref(CONTAINER_OF(entry, struct edged_work, entry));
}

void work_cancel(struct edged_work *work)
{
	if (!work)
		return;
	(void)silence(&work->entry);
	release(&work->entry);
}

int work_begin(struct work_pool *pool, struct ledger *ledger, void (*fn)(void *arg), void (*done)(void *arg),
        void (*drop)(void *arg), void *arg, struct edged_work **ret)
{
	struct edged_work *work = calloc(1, sizeof(*work));
	if (!work)
		return -ENOMEM;
	*work = (struct edged_work){ .refs = 2,
		.loop = loop_self(),
		.post = { .fn = tell, .drop = lost },
		.work = fn,
		.done = done,
		.drop = drop,
		.arg = arg };
	int r = ledger_add(ledger, LEDGER_WORK, &work->entry, silence, release);
	if (r) {
		free(work);
		return r;
	}
	pthread_mutex_lock(&pool->lock);
	r = start_thread(pool);
	if (!r) {
		list_append(&pool->waiting, &work->link);
		pthread_cond_signal(&pool->more);
	}
	pthread_mutex_unlock(&pool->lock);
	if (r) {
		ledger_remove(&work->entry);
		free(work);
		return r;
	}
	*ret = work;
	return 0;
}
