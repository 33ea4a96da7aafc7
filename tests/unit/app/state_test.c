/* SPDX-License-Identifier: Apache-2.0 */
/* state.c: the folder, its lock, run.json. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "heap.h"
#include "state.h"
#include "temp.h"

static struct temp temp;

static int setup(void **state)
{
	(void)state;
	temp_init(&temp);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	temp_fini(&temp);
	return 0;
}

static void the_folder_is_made_and_is_private(void **unused)
{
	(void)unused;
	char deep[300];
	struct state *state;
	struct err err = { "" };
	struct stat st;
	temp_file(&temp, "a/b/c", deep, sizeof(deep));
	assert_int_equal(state_open(deep, &state, &err), 0);
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_string_equal(state_folder(state), deep);
	CLEANUP(free_charp) char *path = state_path(state, "x");
	assert_string_equal(path + strlen(deep), "/x");
	state_close(state);
}

static void one_daemon_at_a_time_uses_it(void **unused)
{
	(void)unused;
	struct state *first, *second;
	struct err err = { "" };
	char pid[32];
	assert_int_equal(state_open(temp.path, &first, &err), 0);
	assert_int_equal(state_open(temp.path, &second, &err), -EBUSY);
	snprintf(pid, sizeof(pid), "(pid %d)", (int)getpid());
	assert_non_null(strstr(err.text, pid));
	assert_non_null(strstr(err.text, "--state"));
	state_close(first);
	assert_int_equal(
	        state_open(temp.path, &second, &err), 0); /* what a dead one left behind is no lock */
	state_close(second);
}

static void run_json_is_there_while_it_runs(void **unused)
{
	(void)unused;
	struct state *state;
	struct err err = { "" };
	char text[32] = "";
	char path[300];
	temp_file(&temp, "run.json", path, sizeof(path));
	assert_int_equal(state_open(temp.path, &state, &err), 0);
	assert_int_equal(state_write_run(state, edged_str("{\"pid\":1}\n"), &err), 0);
	assert_int_equal(state_write_run(state, edged_str("{}\n"), &err), 0);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	fclose(file);
	assert_string_equal(text, "{}\n");
	assert_int_equal(temp_count(&temp, "run.json"), 1); /* nothing half-written beside it */
	state_close(state);
	assert_int_equal(access(path, F_OK), -1);
}

static void what_is_no_folder_is_named(void **unused)
{
	(void)unused;
	struct state *state;
	struct err err = { "" };
	char path[300], below[300];
	temp_file(&temp, "file", path, sizeof(path));
	temp_file(&temp, "file/below", below, sizeof(below));
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(state_open(below, &state, &err), -ENOTDIR);
	assert_non_null(strstr(err.text, below));
	assert_non_null(strstr(err.text, "--state"));
}

static void every_lack_of_memory_is_survived(void **unused)
{
	(void)unused;
	if (!heap_can_fail())
		skip();
	for (long n = 0;; n++) {
		struct state *state = NULL;
		struct err err = { "" };
		heap_fail_at(n);
		int r = state_open(temp.path, &state, &err);
		if (!r)
			r = state_write_run(state, edged_str("{}"), &err);
		bool failed = heap_failed();
		heap_fail_at(-1);
		state_close(state);
		assert_true(r == 0 || r == -ENOMEM);
		assert_true(failed || r == 0);
		if (!failed)
			break;
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_folder_is_made_and_is_private),
		T(one_daemon_at_a_time_uses_it),
		T(run_json_is_there_while_it_runs),
		T(what_is_no_folder_is_named),
		T(every_lack_of_memory_is_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
