/* SPDX-License-Identifier: Apache-2.0 */
/* io/deadline: in order, moved, cleared, and after the process stood still. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "base/clock.h"
#include "io/deadline.h"

enum { MANY = 200 };

static struct loops *loops;
static struct deadlines deadlines;
static uint64_t began;
static struct deadline many[MANY], *passed[MANY];
static int count, wanted;

static void on_passed(struct deadline *d)
{
	assert_int_equal(d->due, 0);
	passed[count++] = d;
	if (count == wanted)
		loops_stop(loops);
}

static int setup(void **state)
{
	(void)state;
	count = 0;
	for (int i = 0; i < MANY; i++)
		many[i] = (struct deadline){ 0 };
	int r = loops_new(1, &loops);
	began = r ? 0 : loop_now(loops_at(loops, 0));
	if (!r)
		r = deadlines_init(&deadlines, loops_at(loops, 0), on_passed);
	return r ? r : deadlines_reserve(&deadlines, MANY);
}

static int teardown(void **state)
{
	(void)state;
	deadlines_fini(&deadlines);
	loops_free(loops);
	return 0;
}

static void set_in(int i, uint64_t ms)
{
	deadline_set(&deadlines, &many[i], began + ms);
}

static void they_pass_in_order(void **state)
{
	(void)state;
	for (int i = 0; i < MANY; i++)
		set_in(i, 1 + (uint64_t)(i * 37 % MANY));
	for (int i = 0; i < MANY; i += 3)
		deadline_clear(&deadlines, &many[i]);
	set_in(1, 300);
	wanted = MANY - (MANY + 2) / 3;
	assert_int_equal(loops_run(loops), 0);
	assert_int_equal(count, wanted);
	assert_ptr_equal(passed[count - 1], &many[1]);
	for (int i = 1; i + 1 < count; i++)
		assert_true((passed[i - 1] - many) * 37 % MANY < (passed[i] - many) * 37 % MANY);
}

/* What came while the process stood still is found afterwards. */
static void on_heard(struct post *post)
{
	(void)post;
	set_in(0, 60000);
}

static void stand_still(struct post *post)
{
	static struct post heard = { .fn = on_heard };
	(void)post;
	nanosleep(&(struct timespec){ .tv_nsec = (DEADLINE_LATE_MS + 200) * 1000000L }, NULL);
	loop_post(loops_at(loops, 0), &heard);
}

static void who_spoke_while_the_process_stood_still_is_heard(void **state)
{
	static struct post still = { .fn = stand_still };
	(void)state;
	set_in(0, 20);
	set_in(1, 30);
	wanted = 1;
	loop_post(loops_at(loops, 0), &still);
	assert_int_equal(loops_run(loops), 0);
	assert_ptr_equal(passed[0], &many[1]);
	assert_true(many[0].due > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(they_pass_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(
		        who_spoke_while_the_process_stood_still_is_heard, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
