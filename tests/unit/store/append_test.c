/* SPDX-License-Identifier: Apache-2.0 */
/* store/: logs beside tables: what a batch of both promises. The files themselves: journal_test.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "fake_loop.h"
#include "store/store.h"
#include "temp.h"

#define SEGMENT 65536u

/* Instead of libc's, for the objects in this program: those of SQLite use libc's own. */
static int log_syncs, failing_syncs;

int fdatasync(int fd)
{
	log_syncs++;
	if (failing_syncs && failing_syncs--) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

struct fixture {
	struct temp temp;
	char path[300];
	struct fake_loop *loop;
	struct store *store;
	struct store_space *space;
};

static void start(struct fixture *f)
{
	const struct store_options options = {
		.path = f->path,
		.queue_bytes = 1024 * 1024,
		.cache_bytes = 256 * 1024,
		.log_bytes = 8 * SEGMENT,
		.segment_bytes = SEGMENT,
		.executor = { fake_loop_self, fake_loop_post },
	};
	assert_int_equal(store_open(&options, &f->store, NULL, NULL), 0);
	assert_int_equal(store_space_new(f->store, "test", &f->space), 0);
}

static void stop(struct fixture *f)
{
	store_space_free(f->space);
	store_close(f->store);
}

static void restart(struct fixture *f)
{
	stop(f);
	start(f);
}

static int set_up(void **state)
{
	if (!getenv("V"))
		log_set_level((enum edged_level)0);
	struct fixture *f = calloc(1, sizeof(*f));
	temp_init(&f->temp);
	temp_file(&f->temp, "edged.db", f->path, sizeof(f->path));
	f->loop = fake_loop_new();
	fake_loop_enter(f->loop);
	failing_syncs = 0;
	start(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	stop(f);
	fake_loop_free(f->loop);
	temp_fini(&f->temp);
	free(f);
	return 0;
}

struct result {
	bool called;
	int result;
	struct buf text; /* the records, each with a space behind it */
	size_t count, stop_after;
	struct fixture *appends; /* one more for each that is shown */
};

static void on_done(void *arg, int result)
{
	struct result *r = arg;
	r->called = true;
	r->result = result;
}

static void on_found(void *arg, int result, struct edged_slice value)
{
	(void)value;
	on_done(arg, result);
}

static int on_record(void *arg, struct edged_slice record)
{
	struct result *r = arg;
	assert_false(r->called);
	if (record.len < 100)
		buf_addf(&r->text, "%.*s ", EDGED_SLICE_FMT(record));
	if (r->appends && r->count < 10) {
		assert_int_equal(store_append(r->appends->space, "a", record), 0);
		assert_int_equal(store_commit(r->appends->space, NULL, NULL), 0);
	}
	return ++r->count == r->stop_after;
}

static void append(struct fixture *f, const char *log, const char *record)
{
	assert_int_equal(store_append(f->space, log, edged_str(record)), 0);
}

static int commit(struct fixture *f)
{
	struct result r = { 0 };
	assert_int_equal(store_commit(f->space, on_done, &r), 0);
	fake_loop_run_until(f->loop, &r.called);
	return r.result;
}

static int get(struct fixture *f, const char *key)
{
	struct result r = { 0 };
	assert_int_equal(store_get(f->space, "t", edged_str(key), on_found, &r), 0);
	fake_loop_run_until(f->loop, &r.called);
	return r.result;
}

static size_t count_records(struct fixture *f, const char *log)
{
	struct result r = { 0 };
	assert_int_equal(store_replay(f->space, log, on_record, on_done, &r), 0);
	fake_loop_run_until(f->loop, &r.called);
	assert_int_equal(r.result, 0);
	buf_fini(&r.text);
	return r.count;
}

static void assert_records(struct fixture *f, const char *log, const char *text)
{
	struct result r = { 0 };
	assert_int_equal(store_replay(f->space, log, on_record, on_done, &r), 0);
	fake_loop_run_until(f->loop, &r.called);
	assert_int_equal(r.result, 0);
	assert_string_equal(r.text.ptr ? r.text.ptr : "", text);
	buf_fini(&r.text);
}

static void what_was_committed_comes_back_in_order(void **state)
{
	struct fixture *f = *state;
	assert_records(f, "a", "");
	append(f, "a", "one");
	append(f, "b", "1");
	append(f, "a", "two");
	assert_int_equal(commit(f), 0);
	append(f, "a", "three");
	append(f, "b", "2");
	assert_records(f, "a", "one two "); /* not what waits */
	assert_int_equal(commit(f), 0);
	for (int i = 0; i < 2; i++) {
		assert_records(f, "a", "one two three ");
		assert_records(f, "b", "1 2 ");
		restart(f);
	}
	append(f, "a", "four");
	assert_int_equal(commit(f), 0);
	assert_records(f, "a", "one two three four ");
	struct store_counts counts = store_counts(f->store);
	assert_int_equal(counts.records, 1);
	assert_int_equal(counts.syncs, 1);
	assert_int_equal(counts.log_written, 4096);
	assert_int_equal(counts.log_bytes, SEGMENT);
	assert_int_equal(counts.transactions, 0); /* the database was left alone */
}

static void closing_keeps_what_nobody_committed(void **state)
{
	struct fixture *f = *state;
	append(f, "a", "one");
	restart(f);
	assert_records(f, "a", "one ");
}

static void spaces_do_not_see_each_other(void **state)
{
	struct fixture *f = *state;
	struct store_space *own = f->space;
	append(f, "a", "one");
	assert_int_equal(commit(f), 0);
	assert_int_equal(store_space_new(f->store, "te", &f->space), 0);
	assert_records(f, "a", "");
	store_space_free(f->space);
	assert_int_equal(store_space_new(f->store, "test", &f->space), 0);
	assert_records(f, "a", "one ");
	append(f, "a", "two");
	assert_int_equal(commit(f), 0);
	store_space_free(f->space);
	f->space = own;
	append(f, "a", "three");
	assert_int_equal(commit(f), 0);
	assert_records(f, "a", "one two three ");
}

static void bad_names_and_sizes_are_refused(void **state)
{
	struct fixture *f = *state;
	static char big[16 * 1024 * 1024 + 1];
	static const char *const names[] = { "", "A", "a.b", "../a", "123456789012345678901234567890123" };
	uint64_t begin, end;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_int_equal(store_append(f->space, names[i], edged_str("x")), -EINVAL);
		assert_int_equal(store_trim(f->space, names[i], 1), -EINVAL);
		assert_int_equal(store_extent(f->space, names[i], &begin, &end), -EINVAL);
		assert_int_equal(store_replay(f->space, names[i], on_record, on_done, NULL), -EINVAL);
	}
	assert_int_equal(store_append(f->space, "a", edged_slice(NULL, 0)), -EINVAL);
	assert_int_equal(store_append(f->space, "a", edged_slice(big, sizeof(big))), -EINVAL);
	for (char name[] = "a"; *name < 'i'; ++*name)
		append(f, name, "x");
	assert_int_equal(store_append(f->space, "i", edged_str("x")), -ENOSPC);
	/* The queue has a limit; a record that is larger goes alone. */
	assert_int_equal(commit(f), 0);
	assert_int_equal(store_append(f->space, "a", edged_slice(big, sizeof(big) - 1)), 0);
	assert_int_equal(store_append(f->space, "a", edged_str("x")), -ENOSPC);
	assert_int_equal(commit(f), -ENOSPC);
	assert_int_equal(store_counts(f->store).queued_bytes, 0);
	append(f, "a", "y");
	assert_int_equal(commit(f), 0);
	assert_records(f, "a", "x y ");
}

/* A batch of rows and records is refused as a whole when the log is full. */
static void a_full_log_refuses_the_rows_too(void **state)
{
	struct fixture *f = *state;
	static char value[5000];
	uint32_t noise = 1;
	for (size_t i = 0; i < sizeof(value); i++) /* nothing to squeeze: two blocks each */
		value[i] = (char)((noise = noise * 1664525u + 1013904223u) >> 24);
	int r;
	size_t n = 0;
	do {
		char key[16];
		snprintf(key, sizeof(key), "%zu", n);
		assert_int_equal(store_put(f->space, "t", edged_str(key), edged_str("v")), 0);
		assert_int_equal(store_append(f->space, "a", edged_slice(value, sizeof(value))), 0);
		r = commit(f);
		assert_int_equal(get(f, key), r ? -ENOENT : 0);
		n += r == 0;
	} while (!r);
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(n, 8 * 8);
	assert_int_equal(store_counts(f->store).last_error, -ENOSPC);
	/* Who writes elsewhere is served. */
	append(f, "b", "x");
	assert_int_equal(commit(f), 0);
	uint64_t begin, end;
	assert_int_equal(store_extent(f->space, "a", &begin, &end), 0);
	assert_int_equal(end - begin, 8 * SEGMENT);
	assert_int_equal(store_trim(f->space, "a", begin + 2 * SEGMENT), 0);
	assert_int_equal(commit(f), 0);
	assert_int_equal(store_append(f->space, "a", edged_slice(value, sizeof(value))), 0);
	assert_int_equal(commit(f), 0);
	restart(f);
	assert_int_equal(count_records(f, "a"), n - 2 * 8 + 1);
	assert_int_equal(store_extent(f->space, "a", &begin, &end), 0);
	assert_int_equal(begin, 2 * SEGMENT);
}

/* What a sync has failed for is told, is not there, and is not tried again behind the caller's back. */
static void a_failed_sync_is_a_failed_commit(void **state)
{
	struct fixture *f = *state;
	append(f, "a", "one");
	assert_int_equal(commit(f), 0);
	failing_syncs = 1;
	append(f, "a", "two");
	assert_int_equal(commit(f), -EIO);
	assert_records(f, "a", "one ");
	append(f, "a", "three");
	log_syncs = 0;
	assert_int_equal(commit(f), 0);
	assert_int_equal(log_syncs, 1);
	restart(f);
	assert_records(f, "a", "one three ");
}

/* Of a batch whose records fail, the rows may be there; never the other way round. */
static void rows_come_before_records(void **state)
{
	struct fixture *f = *state;
	failing_syncs = 1;
	append(f, "a", "one");
	assert_int_equal(store_put(f->space, "t", edged_str("k"), edged_str("v")), 0);
	assert_int_equal(commit(f), -EIO);
	assert_int_equal(get(f, "k"), 0);
	assert_records(f, "a", "");
}

static void a_long_replay_comes_in_parts_and_can_be_stopped(void **state)
{
	struct fixture *f = *state;
	static char value[1000];
	for (int i = 0; i < 20; i++) {
		for (int k = 0; k < 10; k++)
			assert_int_equal(store_append(f->space, "a", edged_slice(value, sizeof(value))), 0);
		assert_int_equal(commit(f), 0);
	}
	unsigned before = fake_loop_posts(f->loop);
	assert_int_equal(count_records(f, "a"), 200);
	assert_true(fake_loop_posts(f->loop) - before >= 20);
	struct result some = { .stop_after = 55 }, all = { .appends = f };
	assert_int_equal(store_replay(f->space, "a", on_record, on_done, &some), 0);
	fake_loop_run_until(f->loop, &some.called);
	assert_int_equal(some.count, 55);
	/* What is appended meanwhile is not shown. */
	assert_int_equal(store_replay(f->space, "a", on_record, on_done, &all), 0);
	fake_loop_run_until(f->loop, &all.called);
	assert_int_equal(all.count, 200);
	assert_int_equal(count_records(f, "a"), 210);
}

static void a_freed_space_calls_nobody_back(void **state)
{
	struct fixture *f = *state;
	struct result dropped = { 0 };
	struct store_space *space;
	assert_int_equal(store_space_new(f->store, "gone", &space), 0);
	assert_int_equal(store_append(space, "a", edged_str("x")), 0);
	assert_int_equal(store_commit(space, on_done, &dropped), 0);
	assert_int_equal(store_replay(space, "a", on_record, on_done, &dropped), 0);
	assert_int_equal(store_append(space, "a", edged_str("y")), 0);
	store_space_free(space);
	assert_int_equal(commit(f), 0);
	fake_loop_run_waiting(f->loop);
	assert_false(dropped.called);
	assert_int_equal(dropped.count, 0);
	struct store_space *own = f->space;
	assert_int_equal(store_space_new(f->store, "gone", &f->space), 0);
	assert_records(f, "a", "x y ");
	store_space_free(f->space);
	f->space = own;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_committed_comes_back_in_order),
		TEST(closing_keeps_what_nobody_committed),
		TEST(spaces_do_not_see_each_other),
		TEST(bad_names_and_sizes_are_refused),
		TEST(a_full_log_refuses_the_rows_too),
		TEST(a_failed_sync_is_a_failed_commit),
		TEST(rows_come_before_records),
		TEST(a_long_replay_comes_in_parts_and_can_be_stopped),
		TEST(a_freed_space_calls_nobody_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
