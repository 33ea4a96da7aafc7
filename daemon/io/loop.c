/* SPDX-License-Identifier: Apache-2.0 */
#include "io/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#define LOOPS_MAX 64
#define DEFERRED_ROUNDS                                                                                      \
	16 /* work that queues more work gets so many rounds before sockets are looked at again */
#define SLOW_US 50000

struct loop {
	struct loops *all;
	struct event_base *base;
	struct event wake;
	int wake_fd;
	unsigned index;
	_Atomic(struct post *) posted; /* a stack: the newest comes first */
	struct list deferred;
	uint64_t now_ms; /* 0: not read yet in this turn */
	bool turning;    /* its thread is in run(): the time may be kept for the turn */
	atomic_uint_fast64_t turns;
	pthread_t thread;
	bool ended; /* under loops->lock */
	void *local;
	void (*local_fini)(void *local);
};

struct loops {
	unsigned count;
	atomic_bool stop;
	bool running; /* under lock */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct loop loop[];
};

static _Thread_local struct loop *self;
static _Thread_local uint64_t charged_us; /* to the callbacks that ended on this thread */
static atomic_uint_fast64_t slow_count;

static void wake(struct loop *loop)
{
	uint64_t one = 1;
	if (write(loop->wake_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: awake already */
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	(void)arg;
	uint64_t count;
	if (read(fd, &count, sizeof(count)) < 0)
		return; /* posts are run at the end of every turn anyway */
}

/* --- posts --- */

void loop_post(struct loop *loop, struct post *post)
{
	struct post *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
	do
		post->next = head;
	while (!atomic_compare_exchange_weak_explicit(
	        &loop->posted, &head, post, memory_order_release, memory_order_relaxed));
	if (!head && loop != self)
		wake(loop); /* a loop looks at its own posts before it sleeps */
}

/* All that waits, oldest first. */
static struct post *take_posts(struct loop *loop)
{
	struct post *newest = atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire),
	            *oldest = NULL;
	while (newest) {
		struct post *next = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	return oldest;
}

static void run_posts(struct loop *loop)
{
	for (struct post *post = take_posts(loop), *next; post; post = next) {
		next = post->next;
		post->fn(post);
	}
}

static void drop_posts(struct loop *loop)
{
	for (struct post *post = take_posts(loop), *next; post; post = next) {
		next = post->next;
		if (post->drop)
			post->drop(post);
	}
}

/* --- deferred work --- */

void deferred_init(struct deferred *deferred, void (*fn)(struct deferred *deferred))
{
	list_init(&deferred->link);
	deferred->fn = fn;
}

void loop_defer(struct loop *loop, struct deferred *deferred)
{
	if (list_empty(&deferred->link))
		list_append(&loop->deferred, &deferred->link);
}

void deferred_cancel(struct deferred *deferred)
{
	list_remove(&deferred->link);
}

/* Gives the elements of `from` to the empty list `to`. */
static void list_take_all(struct list *to, struct list *from)
{
	list_init(to);
	if (list_empty(from))
		return;
	*to = *from;
	to->next->prev = to;
	to->prev->next = to;
	list_init(from);
}

static void run_deferred(struct loop *loop)
{
	for (int round = 0; round < DEFERRED_ROUNDS && !list_empty(&loop->deferred); round++) {
		struct list now;
		list_take_all(&now, &loop->deferred);
		while (!list_empty(&now)) {
			struct deferred *d = list_entry(now.next, struct deferred, link);
			list_remove(&d->link);
			d->fn(d);
		}
	}
}

/* --- turns --- */

static void finish_turn(struct loop *loop)
{
	run_posts(loop);
	run_deferred(loop);
}

static bool has_work(struct loop *loop)
{
	return !list_empty(&loop->deferred) || atomic_load_explicit(&loop->posted, memory_order_relaxed);
}

static void turn(struct loop *loop)
{
	loop->now_ms = 0;
	event_base_loop(loop->base, EVLOOP_ONCE | (has_work(loop) ? EVLOOP_NONBLOCK : 0));
	finish_turn(loop);
	atomic_fetch_add_explicit(&loop->turns, 1, memory_order_relaxed);
}

static void run(struct loop *loop)
{
	self = loop;
	loop->turning = true;
	finish_turn(loop); /* what was queued before the start */
	while (!atomic_load_explicit(&loop->all->stop, memory_order_acquire))
		turn(loop);
	finish_turn(loop); /* what was closed in the last turn ends properly */
	loop->turning = false;
	pthread_mutex_lock(&loop->all->lock);
	loop->ended = true;
	pthread_cond_broadcast(&loop->all->changed);
	pthread_mutex_unlock(&loop->all->lock);
}

static void *thread_main(void *arg)
{
	run(arg);
	return NULL;
}

static int start_thread(struct loop *loop)
{
	int r = thread_start(&loop->thread, 0, thread_main, loop);
	if (r)
		return r;
	char name[16];
	snprintf(name, sizeof(name), "loop-%u", loop->index);
	pthread_setname_np(loop->thread, name);
	return 0;
}

static void set_running(struct loops *loops, bool running)
{
	pthread_mutex_lock(&loops->lock);
	loops->running = running;
	pthread_mutex_unlock(&loops->lock);
}

int loops_run(struct loops *loops)
{
	unsigned started = 1;
	int r = 0;
	set_running(loops, true);
	while (!r && started < loops->count) {
		r = start_thread(&loops->loop[started]);
		if (!r)
			started++;
	}
	if (r)
		loops_stop(loops);
	run(&loops->loop[0]);
	for (unsigned i = 1; i < started; i++)
		pthread_join(loops->loop[i].thread, NULL);
	set_running(loops, false);
	/* It may be run again, as tests do. */
	for (unsigned i = 0; i < loops->count; i++)
		loops->loop[i].ended = false;
	atomic_store_explicit(&loops->stop, false, memory_order_relaxed);
	return r;
}

void loops_stop(struct loops *loops)
{
	atomic_store_explicit(&loops->stop, true, memory_order_release);
	for (unsigned i = 0; i < loops->count; i++)
		wake(&loops->loop[i]);
}

/* --- calling every loop --- */

struct call {
	struct post post;
	struct loops *loops;
	void (*fn)(struct loop *loop, void *arg);
	void *arg;
	bool done; /* under loops->lock */
};

static void run_call(struct post *post)
{
	struct call *call = CONTAINER_OF(post, struct call, post);
	struct loops *loops = call->loops;
	call->fn(self, call->arg);
	pthread_mutex_lock(&loops->lock);
	call->done = true; /* the caller's stack may go as soon as the lock is free */
	pthread_cond_broadcast(&loops->changed);
	pthread_mutex_unlock(&loops->lock);
}

/* Runs fn, and with `posts` what still waits, on this thread as if it were the loop's. */
static void run_as(struct loop *loop, void (*fn)(struct loop *loop, void *arg), void *arg)
{
	struct loop *before = self;
	self = loop;
	if (fn)
		fn(loop, arg);
	else
		run_posts(loop);
	self = before;
}

static void call_other(struct loop *loop, void (*fn)(struct loop *loop, void *arg), void *arg)
{
	struct loops *loops = loop->all;
	struct call call = { .post.fn = run_call, .loops = loops, .fn = fn, .arg = arg };
	loop_post(loop, &call.post);
	pthread_mutex_lock(&loops->lock);
	while (!call.done && !loop->ended)
		pthread_cond_wait(&loops->changed, &loops->lock);
	bool done = call.done;
	pthread_mutex_unlock(&loops->lock);
	if (!done) /* its thread ended before it saw the post */
		run_as(loop, NULL, NULL);
}

void loops_each(struct loops *loops, void (*fn)(struct loop *loop, void *arg), void *arg)
{
	pthread_mutex_lock(&loops->lock);
	bool running = loops->running;
	pthread_mutex_unlock(&loops->lock);
	for (unsigned i = 0; i < loops->count; i++)
		if (!running || &loops->loop[i] == self)
			run_as(&loops->loop[i], fn, arg);
		else
			call_other(&loops->loop[i], fn, arg);
}

/* --- making and freeing --- */

static struct event_base *new_base(void)
{
	struct event_config *config = event_config_new();
	if (!config)
		return NULL;
	/* one thread per base: no locks; the environment must not choose another mechanism than epoll */
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
	struct event_base *base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

static int loop_init(struct loop *loop, struct loops *all, unsigned index)
{
	loop->all = all;
	loop->index = index;
	list_init(&loop->deferred);
	loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (loop->wake_fd < 0)
		return -errno;
	loop->base = new_base();
	if (!loop->base)
		return -ENOMEM;
	event_assign(&loop->wake, loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wake, loop);
	return event_add(&loop->wake, NULL) ? -ENOMEM : 0;
}

static void loop_fini(struct loop *loop)
{
	if (loop->base) {
		event_del(&loop->wake);
		event_base_free(loop->base);
	}
	if (loop->all && loop->wake_fd >= 0)
		close(loop->wake_fd);
}

int loops_new(unsigned count, struct loops **ret)
{
	if (count == 0 || count > LOOPS_MAX)
		return -EINVAL;
	struct loops *loops = calloc(1, sizeof(*loops) + count * sizeof(loops->loop[0]));
	if (!loops)
		return -ENOMEM;
	signal(SIGPIPE, SIG_IGN); /* a peer that went away is an error code, not a reason to die */
	loops->count = count;
	pthread_mutex_init(&loops->lock, NULL);
	pthread_cond_init(&loops->changed, NULL);
	for (unsigned i = 0; i < count; i++) {
		int r = loop_init(&loops->loop[i], loops, i);
		if (r) {
			loops_free(loops);
			return r;
		}
	}
	self = &loops->loop[0];
	*ret = loops;
	return 0;
}

/* Posts may name objects of any loop, so all are dropped before anything else goes. */
void loops_free(struct loops *loops)
{
	if (!loops)
		return;
	for (unsigned i = 0; i < loops->count; i++)
		drop_posts(&loops->loop[i]);
	for (unsigned i = 0; i < loops->count; i++)
		if (loops->loop[i].local_fini)
			loops->loop[i].local_fini(loops->loop[i].local);
	for (unsigned i = 0; i < loops->count; i++)
		loop_fini(&loops->loop[i]);
	if (self && self->all == loops)
		self = NULL;
	pthread_cond_destroy(&loops->changed);
	pthread_mutex_destroy(&loops->lock);
	free(loops);
}

unsigned loops_count(const struct loops *loops)
{
	return loops->count;
}

struct loop *loops_at(struct loops *loops, unsigned i)
{
	return &loops->loop[i];
}

struct loop *loop_self(void)
{
	return self;
}

struct loops *loop_all(const struct loop *loop)
{
	return loop->all;
}

unsigned loop_index(const struct loop *loop)
{
	return loop->index;
}

struct event_base *loop_base(struct loop *loop)
{
	return loop->base;
}

uint64_t loop_now(struct loop *loop)
{
	if (!loop->turning || loop != self)
		return clock_mono_ms();
	if (loop->now_ms == 0)
		loop->now_ms = clock_mono_ms();
	return loop->now_ms;
}

uint64_t loop_turns(const struct loop *loop)
{
	return atomic_load_explicit(&loop->turns, memory_order_relaxed);
}

void *loop_local(const struct loop *loop)
{
	return loop->local;
}

void loop_set_local(struct loop *loop, void *local, void (*fini)(void *local))
{
	loop->local = local;
	loop->local_fini = fini;
}

/* --- timers --- */

struct timer {
	struct event event;
	struct loop *loop;
	void (*fire)(void *arg);
	void *arg;
	uint64_t due; /* ms of CLOCK_MONOTONIC */
};

static void arm(struct timer *timer, uint64_t ms)
{
	struct timeval in = { .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000) };
	event_add(&timer->event, &in);
}

/* libevent counts with a coarse clock that may be a tick ahead of ours: nothing fires before it is due. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct timer *timer = arg;
	uint64_t now = loop_now(timer->loop);
	if (now < timer->due)
		arm(timer, timer->due - now);
	else
		timer->fire(timer->arg);
}

int timer_new(struct loop *loop, void (*fire)(void *arg), void *arg, struct timer **ret)
{
	struct timer *timer = calloc(1, sizeof(*timer));
	if (!timer)
		return -ENOMEM;
	timer->loop = loop;
	timer->fire = fire;
	timer->arg = arg;
	evtimer_assign(&timer->event, loop->base, on_timer, timer);
	*ret = timer;
	return 0;
}

void timer_free(struct timer *timer)
{
	if (!timer)
		return;
	event_del(&timer->event);
	free(timer);
}

#define LONGEST_MS (UINT64_C(1000) * 60 * 60 * 24 * 365) /* keeps sums far from overflow */

void timer_set(struct timer *timer, uint64_t ms)
{
	if (ms > LONGEST_MS)
		ms = LONGEST_MS;
	timer->due = loop_now(timer->loop) + ms;
	arm(timer, ms);
}

void timer_cancel(struct timer *timer)
{
	event_del(&timer->event);
}

/* --- watches --- */

struct watch {
	struct event event;
	struct loop *loop;
	void (*ready)(void *arg, int what);
	void *arg;
	int fd;
	bool is_signal;
};

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
	struct watch *watch = arg;
	if (watch->is_signal)
		watch->ready(watch->arg, fd);
	else
		watch->ready(
		        watch->arg, (what & EV_READ ? WATCH_READ : 0) | (what & EV_WRITE ? WATCH_WRITE : 0));
}

static int add(struct watch *watch, short events)
{
	event_assign(
	        &watch->event, watch->loop->base, watch->fd, (short)(events | EV_PERSIST), on_watch, watch);
	return events && event_add(&watch->event, NULL) ? -ENOMEM : 0;
}

static short events_of(int what)
{
	return (short)((what & WATCH_READ ? EV_READ : 0) | (what & WATCH_WRITE ? EV_WRITE : 0));
}

static int watch_make(struct loop *loop, int fd, short events, void (*ready)(void *arg, int what), void *arg,
        struct watch **ret)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	if (!watch)
		return -ENOMEM;
	*watch = (struct watch){
		.loop = loop, .fd = fd, .ready = ready, .arg = arg, .is_signal = (events & EV_SIGNAL) != 0
	};
	int r = add(watch, events);
	if (r)
		free(watch);
	else
		*ret = watch;
	return r;
}

int watch_new(struct loop *loop, int fd, int what, void (*ready)(void *arg, int what), void *arg,
        struct watch **ret)
{
	return watch_make(loop, fd, events_of(what), ready, arg, ret);
}

int watch_signal(
        struct loop *loop, int signo, void (*ready)(void *arg, int signo), void *arg, struct watch **ret)
{
	return watch_make(loop, signo, EV_SIGNAL, ready, arg, ret);
}

int watch_change(struct watch *watch, int what)
{
	event_del(&watch->event);
	return add(watch, events_of(what));
}

void watch_free(struct watch *watch)
{
	if (!watch)
		return;
	event_del(&watch->event);
	free(watch);
}

/* --- charging --- */

/* Time that inner callbacks were charged with is taken off the outer one by moving its start. */
void loop_enter(struct loop_charge *charge, const char *owner)
{
	charge->owner = owner;
	charge->start_us = clock_mono_us() - charged_us;
}

void loop_leave(struct loop_charge *charge)
{
	uint64_t us = clock_mono_us() - charged_us - charge->start_us;
	charged_us += us;
	if (us <= SLOW_US)
		return;
	atomic_fetch_add_explicit(&slow_count, 1, memory_order_relaxed);
	log_warning("loop", "%s held its loop for %llu ms", charge->owner, (unsigned long long)(us / 1000));
}

uint64_t loop_slow_count(void)
{
	return atomic_load_explicit(&slow_count, memory_order_relaxed);
}
