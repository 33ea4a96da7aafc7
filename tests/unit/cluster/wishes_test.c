/* SPDX-License-Identifier: Apache-2.0 */
/* What the operator wishes of roles, on disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cluster/files.h"
#include "cluster/wishes.h"

static char folder[64], path[96];

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/edged-wishes-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/roles", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static void they_last(void **state)
{
	(void)state;
	struct wishes wishes = { 0 }, again = { 7, 7 };
	struct err err = { "" };
	assert_int_equal(wishes_load(folder, &again, &err), 0);
	assert_int_equal(again.pinned | again.vetoed, 0);
	assert_int_equal(wishes_set(&wishes, folder, ROLE_cache, WISH_PIN, &err), 0);
	assert_int_equal(wishes_set(&wishes, folder, ROLE_networkProxy, WISH_VETO, &err), 0);
	assert_int_equal(wishes_load(folder, &again, &err), 0);
	assert_int_equal(wish_of(&again, ROLE_cache), WISH_PIN);
	assert_int_equal(wish_of(&again, ROLE_networkProxy), WISH_VETO);
	assert_int_equal(wish_of(&again, ROLE_cloudGateway), WISH_NONE);
	/* the latest wish is the one */
	assert_int_equal(wishes_set(&wishes, folder, ROLE_cache, WISH_VETO, &err), 0);
	assert_int_equal(wishes_set(&wishes, folder, ROLE_networkProxy, WISH_NONE, &err), 0);
	assert_int_equal(wishes_load(folder, &again, &err), 0);
	assert_int_equal(wish_of(&again, ROLE_cache), WISH_VETO);
	assert_int_equal(again.pinned, 0);
	assert_int_equal(wish_of(&again, ROLE_networkProxy), WISH_NONE);
}

static void damage_is_an_error(void **state)
{
	static const char *const bad[] = { "pin", "pin ", "pin butler\n", "vetocache\n", "none cache\n",
		"pin cache\nx\n" };
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct wishes wishes = { 0 };
		struct err err = { "" };
		assert_int_equal(file_replace(folder, "roles", edged_str(bad[i]), &err), 0);
		assert_int_equal(wishes_load(folder, &wishes, &err), -EINVAL);
		assert_non_null(strstr(err.text, "edgectl role"));
	}
}

static void what_is_not_kept_is_not_in_use(void **state)
{
	(void)state;
	struct wishes wishes = { 0 };
	struct err err = { "" };
	assert_true(wishes_set(&wishes, "/nonexistent", ROLE_cache, WISH_PIN, &err) < 0);
	assert_int_equal(wishes.pinned, 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(they_last), T(damage_is_an_error),
		T(what_is_not_kept_is_not_in_use) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
