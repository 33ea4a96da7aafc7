/* SPDX-License-Identifier: Apache-2.0 */
/* plugin/ledger: what is on its way when a plugin is to stop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "plugin/ledger.h"

enum { LOOPS = 3 };

static struct loops *loops;
static struct ledger *ledger;
static struct ledger_limits limits;
static char heard[200];

static int setup(void **state)
{
	(void)state;
	for (int kind = 0; kind < LEDGER_KINDS; kind++)
		limits.most[kind] = 1000;
	heard[0] = '\0';
	assert_int_equal(loops_new(LOOPS, &loops), 0);
	return ledger_new(loops, "test", &limits, &ledger);
}

static int teardown(void **state)
{
	(void)state;
	ledger_free(ledger);
	loops_free(loops);
	return 0;
}

static void hear(const char *what)
{
	size_t n = strlen(heard);
	snprintf(heard + n, sizeof(heard) - n, "%s%u ", what, loop_index(loop_self()));
}

/* A word that goes on to other loops, as the string says: "1", "2", ... by post, "d" by a deferred call. */
static void go_on(void *arg)
{
	const char *way = arg;
	hear("at");
	if (*way == 'd')
		assert_int_equal(ledger_defer(ledger, go_on, (void *)(uintptr_t)(way + 1)), 0);
	else if (*way)
		assert_int_equal(ledger_post(ledger, loops_at(loops, (unsigned)(*way - '0')), go_on, NULL,
		                         (void *)(uintptr_t)(way + 1)),
		        0);
}

static void dropped(void *arg)
{
	size_t n = strlen(heard);
	snprintf(heard + n, sizeof(heard) - n, "%s", (const char *)arg);
}

static unsigned close_it(void)
{
	unsigned left[LEDGER_KINDS], all = 0;
	ledger_close(ledger, left);
	for (int kind = 0; kind < LEDGER_KINDS; kind++)
		all += left[kind];
	return all;
}

static void send_out(struct loop *loop, void *arg)
{
	if (loop_index(loop) == 1)
		go_on(arg);
}

/* What other loops have said last, while the main loop was waiting for them. */
static void words_on_their_way_arrive(void **state)
{
	(void)state;
	loops_each(loops, send_out, (void *)(uintptr_t) "0d1d20");
	ledger_settle(ledger);
	assert_string_equal(heard, "at1 at0 at0 at1 at1 at2 at0 ");
	assert_int_equal(close_it(), 0);
}

static void for_ever(void *arg)
{
	++*(unsigned *)arg;
	assert_int_equal(
	        ledger_post(ledger, loops_at(loops, 1 - loop_index(loop_self())), for_ever, NULL, arg), 0);
}

static void who_never_ends_is_not_waited_for(void **state)
{
	(void)state;
	unsigned count = 0;
	assert_int_equal(ledger_post(ledger, loops_at(loops, 1), for_ever, NULL, &count), 0);
	ledger_settle(ledger);
	assert_in_range(count, 16, 100);
	assert_in_range(close_it(), 0, 1); /* whichever loop it was that posted last */
}

static void post_and_defer(struct loop *loop, void *arg)
{
	(void)loop;
	assert_int_equal(ledger_post(ledger, loops_at(loops, 0), go_on, dropped, arg), 0);
	assert_int_equal(ledger_defer(ledger, go_on, arg), 0);
}

/* stop() runs on the main loop, and can end only what is there. */
static void what_other_loops_hold_is_no_bug(void **state)
{
	(void)state;
	loops_each(loops, post_and_defer, (void *)(uintptr_t) "x");
	assert_int_equal(close_it(), 2);
	assert_string_equal(heard, "xxx");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(words_on_their_way_arrive),
		TEST(who_never_ends_is_not_waited_for),
		TEST(what_other_loops_hold_is_no_bug),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
