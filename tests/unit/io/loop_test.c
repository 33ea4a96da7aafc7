/* SPDX-License-Identifier: Apache-2.0 */
/* io/loop: posts, deferred work, timers, watches, charges; with one loop and with several. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "io/loop.h"
#include "heap.h"

static struct loops *loops;

static int setup(void **state)
{
	(void)state;
	return loops_new(3, &loops);
}

static int teardown(void **state)
{
	(void)state;
	loops_free(loops);
	loops = NULL;
	return 0;
}

/* --- posts --- */

#define POSTERS 4
#define EACH    2000

struct numbered {
	struct post post;
	int from, number;
};
static struct numbered numbered[POSTERS][EACH];
static int next_of[POSTERS], seen;

static void on_numbered(struct post *post)
{
	struct numbered *n = CONTAINER_OF(post, struct numbered, post);
	assert_ptr_equal(loop_self(), loops_at(loops, 0));
	assert_int_equal(n->number, next_of[n->from]++);
	if (++seen == POSTERS * EACH)
		loops_stop(loops);
}

static void *post_all(void *arg)
{
	struct numbered *mine = arg;
	for (int i = 0; i < EACH; i++)
		loop_post(loops_at(loops, 0), &mine[i].post);
	return NULL;
}

static void posts_keep_their_order_for_each_thread(void **state)
{
	(void)state;
	pthread_t threads[POSTERS];
	seen = 0;
	for (int t = 0; t < POSTERS; t++) {
		next_of[t] = 0;
		for (int i = 0; i < EACH; i++)
			numbered[t][i] = (struct numbered){ .post.fn = on_numbered, .from = t, .number = i };
		assert_int_equal(pthread_create(&threads[t], NULL, post_all, numbered[t]), 0);
	}
	assert_int_equal(loops_run(loops), 0);
	for (int t = 0; t < POSTERS; t++)
		pthread_join(threads[t], NULL);
	assert_int_equal(seen, POSTERS * EACH);
}

struct hop {
	struct post post;
	int hops;
};

static void on_hop(struct post *post)
{
	struct hop *hop = CONTAINER_OF(post, struct hop, post);
	unsigned here = loop_index(loop_self());
	assert_int_equal(here, (unsigned)hop->hops % 3);
	if (++hop->hops == 300)
		loops_stop(loops);
	else
		loop_post(loops_at(loops, (unsigned)hop->hops % 3), post);
}

static void a_post_may_be_posted_again_and_travels_between_loops(void **state)
{
	(void)state;
	struct hop hop = { .post.fn = on_hop };
	loop_post(loops_at(loops, 0), &hop.post);
	assert_int_equal(loops_run(loops), 0);
	assert_int_equal(hop.hops, 300);
	assert_true(loop_turns(loops_at(loops, 1)) >= 100);
}

static int dropped;

static void on_drop(struct post *post)
{
	(void)post;
	dropped++;
}

static void posts_that_never_ran_are_dropped(void **state)
{
	(void)state;
	struct post a = { .drop = on_drop }, b = { 0 };
	loop_post(loops_at(loops, 1), &a);
	loop_post(loops_at(loops, 2), &b);
	teardown(NULL);
	assert_int_equal(dropped, 1);
}

static void count_loop(struct loop *loop, void *arg)
{
	assert_ptr_equal(loop_self(), loop);
	unsigned *mask = arg;
	*mask |= 1u << loop_index(loop);
}

static unsigned each_mask;

static void on_each(struct post *post)
{
	(void)post;
	loops_each(loops, count_loop, &each_mask);
	loops_stop(loops);
	loops_each(loops, count_loop, &each_mask); /* the others may have ended meanwhile */
}

static void each_loop_is_called_running_or_not(void **state)
{
	(void)state;
	unsigned mask = 0;
	loops_each(loops, count_loop, &mask);
	assert_int_equal(mask, 7);
	struct post post = { .fn = on_each };
	loop_post(loops_at(loops, 0), &post);
	assert_int_equal(loops_run(loops), 0);
	assert_int_equal(each_mask, 7);
}

/* --- deferred --- */

static struct deferred first, second, endless;
static int runs_first, runs_second, runs_endless;

static void run_first(struct deferred *d)
{
	if (++runs_first == 1) {
		loop_defer(loop_self(), &second);
		loop_defer(loop_self(), &second);
		loop_defer(loop_self(), d);
	}
}

static void run_second(struct deferred *d)
{
	(void)d;
	runs_second++;
}

/* Work that queues itself for ever must not keep sockets and posts from being looked at. */
static void run_endless(struct deferred *d)
{
	runs_endless++;
	loop_defer(loop_self(), d);
}

static void stop_now(struct post *post)
{
	if (++((struct hop *)post)->hops == 3)
		loops_stop(loops);
	else
		loop_post(loop_self(), post);
}

static void deferred_work_runs_once_and_in_bounded_rounds(void **state)
{
	(void)state;
	struct hop hop = { .post.fn = stop_now };
	struct deferred never;
	deferred_init(&first, run_first);
	deferred_init(&second, run_second);
	deferred_init(&endless, run_endless);
	deferred_init(&never, run_second);
	loop_defer(loops_at(loops, 0), &first);
	loop_defer(loops_at(loops, 0), &never);
	loop_defer(loops_at(loops, 0), &endless);
	deferred_cancel(&never);
	loop_post(loops_at(loops, 0), &hop.post);
	assert_int_equal(loops_run(loops), 0);
	assert_int_equal(runs_first, 2);
	assert_int_equal(runs_second, 1);
	assert_true(runs_endless >= 16 && runs_endless < 200);
	deferred_cancel(&endless);
}

/* --- timers and watches --- */

static struct timer *timers[3];
static int fired[3];
static uint64_t started;

static void on_short(void *arg)
{
	(void)arg;
	fired[0]++;
	assert_true(clock_mono_ms() >= started + 20);
	timer_free(timers[0]); /* in its own callback */
	timer_set(timers[1], 10);
}

static void on_long(void *arg)
{
	(void)arg;
	fired[1]++;
	assert_true(loop_now(loop_self()) >= started + 30);
	loops_stop(loops);
}

static void on_cancelled(void *arg)
{
	(void)arg;
	fired[2]++;
}

static void timers_fire_once_and_never_early(void **state)
{
	(void)state;
	struct loop *loop = loops_at(loops, 0);
	assert_int_equal(timer_new(loop, on_short, NULL, &timers[0]), 0);
	assert_int_equal(timer_new(loop, on_long, NULL, &timers[1]), 0);
	assert_int_equal(timer_new(loop, on_cancelled, NULL, &timers[2]), 0);
	started = clock_mono_ms();
	timer_set(timers[0], 20);
	timer_set(timers[1], UINT64_MAX);
	timer_set(timers[2], 1);
	timer_cancel(timers[2]);
	assert_int_equal(loops_run(loops), 0);
	assert_int_equal(fired[0], 1);
	assert_int_equal(fired[1], 1);
	assert_int_equal(fired[2], 0);
	timer_free(timers[1]);
	timer_free(timers[2]);
	timer_free(NULL);
}

static struct watch *watch, *signal_watch;
static int pair[2], reads, writes, signals;

static void on_ready(void *arg, int what)
{
	assert_ptr_equal(arg, pair);
	if (what & WATCH_WRITE) {
		writes++;
		assert_int_equal(watch_change(watch, WATCH_READ), 0);
		assert_int_equal(write(pair[1], "x", 1), 1);
	} else {
		char c;
		reads++;
		assert_int_equal(read(pair[0], &c, 1), 1);
		watch_free(watch);
		raise(SIGUSR1);
	}
}

static void on_signal(void *arg, int signo)
{
	(void)arg;
	assert_int_equal(signo, SIGUSR1);
	signals++;
	loops_stop(loops);
}

static void watches_follow_descriptors_and_signals(void **state)
{
	(void)state;
	struct loop *loop = loops_at(loops, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(watch_new(loop, pair[0], WATCH_READ | WATCH_WRITE, on_ready, pair, &watch), 0);
	assert_int_equal(watch_signal(loop, SIGUSR1, on_signal, NULL, &signal_watch), 0);
	assert_int_equal(loops_run(loops), 0);
	assert_int_equal(writes, 1);
	assert_int_equal(reads, 1);
	assert_int_equal(signals, 1);
	watch_free(signal_watch);
	close(pair[0]);
	close(pair[1]);
}

/* --- charging --- */

static void hold(uint64_t ms)
{
	for (uint64_t end = clock_mono_ms() + ms; clock_mono_ms() < end;)
		;
}

static void slow_callbacks_are_charged_to_the_innermost_owner(void **state)
{
	(void)state;
	struct loop_charge outer, inner;
	uint64_t before = loop_slow_count(), begin = clock_mono_ms();
	loop_enter(&outer, "outer");
	loop_enter(&inner, "inner");
	uint64_t entered = clock_mono_ms();
	hold(60);
	loop_leave(&inner);
	uint64_t left = clock_mono_ms();
	assert_int_equal(loop_slow_count(), before + 1);
	loop_leave(&outer);
	if (clock_mono_ms() - left + entered - begin >= 50)
		skip(); /* the machine was so busy that the outer one was slow, too */
	assert_int_equal(loop_slow_count(), before + 1);
}

static void no_memory_is_an_error_and_leaks_nothing(void **state)
{
	(void)state;
	struct loops *some = NULL;
	assert_int_equal(loops_new(0, &some), -EINVAL);
	for (long n = 0; heap_can_fail(); n++) {
		heap_fail_at(n);
		int r = loops_new(2, &some);
		heap_fail_at(-1);
		if (!r) {
			loops_free(some);
			break;
		}
		assert_int_equal(r, -ENOMEM);
		assert_null(some);
	}
}

#define WITH_LOOPS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_LOOPS(posts_keep_their_order_for_each_thread),
		WITH_LOOPS(a_post_may_be_posted_again_and_travels_between_loops),
		WITH_LOOPS(posts_that_never_ran_are_dropped),
		WITH_LOOPS(each_loop_is_called_running_or_not),
		WITH_LOOPS(deferred_work_runs_once_and_in_bounded_rounds),
		WITH_LOOPS(timers_fire_once_and_never_early),
		WITH_LOOPS(watches_follow_descriptors_and_signals),
		cmocka_unit_test(slow_callbacks_are_charged_to_the_innermost_owner),
		cmocka_unit_test(no_memory_is_an_error_and_leaks_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
