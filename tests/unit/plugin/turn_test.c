/* SPDX-License-Identifier: Apache-2.0 */
/* plugin/turn: calls that wait for the end of a loop's turn. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "heap.h"
#include "plugin/turn.h"

enum { MANY = 500 };

static struct loops *loops;
static struct loop *loop;
static struct turn turn;
static unsigned limit;
static int calls[MANY], all, rounds;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(loops_new(1, &loops), 0);
	loop = loops_at(loops, 0);
	limit = MANY;
	turn_init(&turn, "test", &limit);
	for (int i = 0; i < MANY; i++)
		calls[i] = 0;
	all = rounds = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(turn_count(&turn), 0);
	loops_free(loops);
	return 0;
}

static void count(void *arg)
{
	++*(int *)arg;
	all++;
}

static void stop(void *arg)
{
	(void)arg;
	loops_stop(loops);
}

static struct timer *timer;
static void (*body)(void);

static void begin(struct post *post)
{
	(void)post;
	body();
	timer_set(timer, 5);
}

static struct post first = { .fn = begin };

/* Runs `what` on the loop, and the loop until all that it put off is done. */
static void run(void (*what)(void))
{
	body = what;
	assert_int_equal(timer_new(loop, stop, NULL, &timer), 0);
	loop_post(loop, &first);
	assert_int_equal(loops_run(loops), 0);
	timer_free(timer);
}

static void add_many(void)
{
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < MANY; i++)
			assert_int_equal(turn_add(&turn, loop, count, &calls[i]), 0);
	assert_int_equal(turn_count(&turn), MANY);
	assert_int_equal(turn_add(&turn, loop, stop, &calls[0]), -ENOSPC);
	for (int i = 0; i < MANY; i += 2)
		turn_cancel(&turn, &calls[i]);
	assert_int_equal(turn_count(&turn), MANY / 2);
}

static void each_waits_once(void **state)
{
	(void)state;
	run(add_many);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(calls[i], i % 2);
	assert_int_equal(turn_fini(&turn), 0);
}

/* Adds itself again and again; the loop turns in between, or stop() would never be called. */
static void again(void *arg)
{
	rounds++;
	assert_int_equal(turn_add(&turn, loop, again, arg), 0);
}

static void add_again(void)
{
	assert_int_equal(turn_add(&turn, loop, again, &turn), 0);
}

static void one_that_adds_itself_holds_no_loop(void **state)
{
	(void)state;
	run(add_again);
	assert_true(rounds > 1);
	assert_int_equal(turn_fini(&turn), 1); /* what waited is dropped and told */
}

static void shrink(void)
{
	assert_int_equal(turn_add(&turn, loop, count, &calls[0]), 0);
	assert_int_equal(turn_add(&turn, loop, count, &calls[1]), 0);
	limit = 2; /* as a reload may */
	assert_int_equal(turn_add(&turn, loop, count, &calls[2]), -ENOSPC);
	assert_int_equal(turn_add(&turn, loop, count, &calls[1]), 0); /* it waits already */
}

static void the_limit_may_change(void **state)
{
	(void)state;
	run(shrink);
	assert_int_equal(all, 2);
	assert_int_equal(turn_fini(&turn), 0);
}

static void starve(void)
{
	for (int n = 0; n < 2; n++) {
		heap_fail_at(n);
		assert_int_equal(turn_add(&turn, loop, count, &calls[n]), -ENOMEM);
		heap_fail_at(-1);
	}
	assert_int_equal(turn_count(&turn), 0);
	for (int i = 0; i < 16; i++)
		assert_int_equal(turn_add(&turn, loop, count, &calls[i]), 0);
	heap_fail_at(0); /* more buckets are a matter of speed alone */
	assert_int_equal(turn_add(&turn, loop, count, &calls[16]), 0);
	heap_fail_at(-1);
}

static void lack_of_memory_is_told(void **state)
{
	(void)state;
	if (!heap_can_fail())
		skip();
	run(starve);
	assert_int_equal(all, 17);
	assert_int_equal(turn_fini(&turn), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_waits_once),
		TEST(one_that_adds_itself_holds_no_loop),
		TEST(the_limit_may_change),
		TEST(lack_of_memory_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
