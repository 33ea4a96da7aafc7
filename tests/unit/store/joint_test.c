/* SPDX-License-Identifier: Apache-2.0 */
/* store/joint: batches of several loops that are kept together or not at all. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "fake_loop.h"
#include "store/store.h"
#include "temp.h"

enum { LOOPS = 3 };

static struct temp temp;
static char path[300];
static struct fake_loop *loops[LOOPS];
static struct store *store;
static struct store_space *space;

struct result {
	bool called;
	int result;
};

static void open_store(void)
{
	const struct store_options options = {
		.path = path,
		.queue_bytes = 1024 * 1024,
		.cache_bytes = 256 * 1024,
		.executor = { fake_loop_self, fake_loop_post },
	};
	assert_int_equal(store_open(&options, &store, NULL, NULL), 0);
	assert_int_equal(store_space_new(store, "test", &space), 0);
}

static void close_store(void)
{
	store_space_free(space);
	store_close(store);
}

static int set_up(void **state)
{
	(void)state;
	temp_init(&temp);
	temp_file(&temp, "edged.db", path, sizeof(path));
	for (size_t i = 0; i < LOOPS; i++)
		loops[i] = fake_loop_new();
	open_store();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close_store();
	for (size_t i = 0; i < LOOPS; i++)
		fake_loop_free(loops[i]);
	temp_fini(&temp);
	return 0;
}

static void on_done(void *arg, int result)
{
	*(struct result *)arg = (struct result){ true, result };
}

static void on_found(void *arg, int result, struct edged_slice value)
{
	(void)value;
	*(struct result *)arg = (struct result){ true, result };
}

static void wait_for(unsigned loop, struct result *r, int expected)
{
	fake_loop_run_until(loops[loop], &r->called);
	assert_int_equal(r->result, expected);
}

static bool kept(const char *key)
{
	struct result found = { 0 };
	fake_loop_enter(loops[LOOPS - 1]);
	assert_int_equal(store_get(space, "t", edged_str(key), on_found, &found), 0);
	fake_loop_run_until(loops[LOOPS - 1], &found.called);
	return found.result == 0;
}

/* A batch with one row; joint NULL: by itself. */
static void write_row(unsigned loop, const char *key, struct edged_joint *joint, struct result *ret)
{
	fake_loop_enter(loops[loop]);
	*ret = (struct result){ 0 };
	assert_int_equal(store_put(space, "t", edged_str(key), edged_str("v")), 0);
	if (joint)
		assert_int_equal(store_commit_joint(space, joint, on_done, ret), 0);
	else
		assert_int_equal(store_commit(space, on_done, ret), 0);
}

static struct edged_joint *joint_of(unsigned parts)
{
	struct edged_joint *joint = NULL;
	assert_int_equal(store_joint_new(parts, &joint), 0);
	return joint;
}

static void all_parts_wait_for_the_last(void **state)
{
	(void)state;
	struct result a, b, behind;
	struct edged_joint *joint = joint_of(2);
	write_row(0, "a", joint, &a);
	write_row(0, "behind", NULL, &behind);
	assert_false(kept("a"));
	assert_false(kept("behind"));
	uint64_t before = store_counts(store).transactions;
	write_row(1, "b", joint, &b);
	wait_for(0, &a, 0);
	wait_for(0, &behind, 0);
	wait_for(1, &b, 0);
	assert_int_equal(store_counts(store).transactions, before + 1);
	assert_true(kept("a") && kept("b") && kept("behind"));
}

/* Neither can go before the other: both go at once. */
static void joints_may_cross(void **state)
{
	(void)state;
	struct result a1, a2, b1, b2;
	struct edged_joint *one = joint_of(2), *two = joint_of(2);
	write_row(0, "a1", one, &a1);
	write_row(1, "b2", two, &b2);
	write_row(0, "a2", two, &a2);
	assert_false(kept("b2"));
	write_row(1, "b1", one, &b1);
	wait_for(0, &a2, 0);
	wait_for(1, &b1, 0);
	assert_true(kept("a1") && kept("a2") && kept("b1") && kept("b2"));
}

/* A complete one whose part is behind an incomplete one stays as a whole. */
static void what_waits_holds_its_other_parts(void **state)
{
	(void)state;
	struct result a1, a2, b1, b2;
	struct edged_joint *one = joint_of(2), *two = joint_of(2);
	write_row(1, "b2", two, &b2);
	write_row(0, "a1", one, &a1);
	write_row(0, "a2", two, &a2);
	assert_false(kept("b2") || kept("a2") || kept("a1"));
	write_row(1, "b1", one, &b1);
	wait_for(0, &a2, 0);
	wait_for(1, &b1, 0);
	assert_true(kept("b2") && kept("a1"));
}

static void one_that_leaves_takes_all_with_it(void **state)
{
	(void)state;
	struct result a, before, behind;
	struct edged_joint *joint = joint_of(2);
	write_row(0, "before", NULL, &before);
	write_row(0, "a", joint, &a);
	write_row(0, "behind", NULL, &behind);
	store_joint_leave(store, joint);
	wait_for(0, &before, 0);
	wait_for(0, &a, -EIO);
	wait_for(0, &behind, 0);
	assert_true(kept("before") && kept("behind") && !kept("a"));
	/* It may also leave first. */
	joint = joint_of(2);
	store_joint_leave(store, joint);
	write_row(1, "a", joint, &a);
	wait_for(1, &a, -EIO);
	assert_false(kept("a"));
}

static void the_end_does_not_wait_for_parts(void **state)
{
	(void)state;
	struct result a, behind;
	struct edged_joint *joint = joint_of(2);
	write_row(0, "a", joint, &a);
	write_row(0, "behind", NULL, &behind);
	close_store();
	open_store();
	assert_false(kept("a"));
	assert_true(kept("behind"));
	store_joint_leave(store, joint); /* the part that did not come */
	joint = joint_of(1);
	write_row(0, "a", joint, &a);
	wait_for(0, &a, 0);
	fake_loop_enter(loops[0]);
	joint = joint_of(2);
	store_joint_leave(store, joint);
	store_joint_leave(store, joint);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(all_parts_wait_for_the_last),
		T(joints_may_cross),
		T(what_waits_holds_its_other_parts),
		T(one_that_leaves_takes_all_with_it),
		T(the_end_does_not_wait_for_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
