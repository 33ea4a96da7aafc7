/* SPDX-License-Identifier: Apache-2.0 */
/* store/: what is promised while all goes well, and when memory is short. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "fake_loop.h"
#include "heap.h"
#include "store/store.h"
#include "temp.h"

struct fixture {
	struct temp temp;
	char path[300];
	struct fake_loop *loop;
	struct store *store;
	struct store_space *space;
};

static struct store_options options_of(const char *path)
{
	return (struct store_options){
		.path = path,
		.queue_bytes = 1024 * 1024,
		.cache_bytes = 256 * 1024,
		.executor = { fake_loop_self, fake_loop_post },
	};
}

static void start(struct fixture *f)
{
	struct store_options options = options_of(f->path);
	int damaged = 0;
	assert_int_equal(store_open(&options, &f->store, &damaged, NULL), 0);
	assert_int_equal(damaged, 0);
	assert_int_equal(store_space_new(f->store, "test", &f->space), 0);
}

static void stop(struct fixture *f)
{
	store_space_free(f->space);
	store_close(f->store);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	temp_init(&f->temp);
	temp_file(&f->temp, "edged.db", f->path, sizeof(f->path));
	f->loop = fake_loop_new();
	fake_loop_enter(f->loop);
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

/* --- callbacks that remember --- */

struct result {
	bool called;
	int result;
	char value[64];
	struct buf rows; /* "key=value " for each */
	size_t count, stop_after;
};

static void on_done(void *arg, int result)
{
	struct result *r = arg;
	r->called = true;
	r->result = result;
}

static void on_found(void *arg, int result, struct edged_slice value)
{
	struct result *r = arg;
	r->called = true;
	r->result = result;
	snprintf(r->value, sizeof(r->value), "%.*s", EDGED_SLICE_FMT(value));
}

static int on_row(void *arg, struct edged_slice key, struct edged_slice value)
{
	struct result *r = arg;
	assert_false(r->called);
	if (r->rows.len < 4096)
		buf_addf(&r->rows, "%.*s=%.*s ", EDGED_SLICE_FMT(key), EDGED_SLICE_FMT(value));
	return ++r->count == r->stop_after;
}

static void put(struct fixture *f, const char *table, const char *key, const char *value)
{
	assert_int_equal(store_put(f->space, table, edged_str(key), edged_str(value)), 0);
}

static int commit(struct fixture *f)
{
	struct result r = { 0 };
	assert_int_equal(store_commit(f->space, on_done, &r), 0);
	fake_loop_run_until(f->loop, &r.called);
	return r.result;
}

static void assert_value(struct fixture *f, const char *table, const char *key, const char *value)
{
	struct result r = { 0 };
	assert_int_equal(store_get(f->space, table, edged_str(key), on_found, &r), 0);
	fake_loop_run_until(f->loop, &r.called);
	assert_int_equal(r.result, value ? 0 : -ENOENT);
	assert_string_equal(r.value, value ? value : "");
}

static void assert_rows(struct fixture *f, const char *table, const char *from, const char *to, size_t limit,
        const char *rows)
{
	struct result r = { 0 };
	assert_int_equal(
	        store_scan(f->space, table, edged_str(from), edged_str(to), limit, on_row, on_done, &r), 0);
	fake_loop_run_until(f->loop, &r.called);
	assert_int_equal(r.result, 0);
	assert_string_equal(r.rows.ptr ? r.rows.ptr : "", rows);
	buf_fini(&r.rows);
}

/* --- tests --- */

static void what_was_committed_is_there_after_a_restart(void **state)
{
	struct fixture *f = *state;
	put(f, "a", "k", "1");
	put(f, "b", "k", "2");
	put(f, "a", "gone", "x");
	assert_int_equal(store_put(f->space, "a", edged_slice("nul\0key", 7), edged_slice(NULL, 0)), 0);
	assert_int_equal(commit(f), 0);
	assert_int_equal(store_del(f->space, "a", edged_str("gone")), 0);
	assert_int_equal(store_del(f->space, "never", edged_str("there")), 0);
	assert_int_equal(commit(f), 0);
	stop(f);
	start(f);
	assert_value(f, "a", "k", "1");
	assert_value(f, "b", "k", "2");
	assert_value(f, "a", "gone", NULL);
	assert_value(f, "c", "k", NULL);
	struct result r = { 0 };
	assert_int_equal(store_get(f->space, "a", edged_slice("nul\0key", 7), on_found, &r), 0);
	fake_loop_run_until(f->loop, &r.called);
	assert_int_equal(r.result, 0);
}

static void closing_keeps_what_nobody_committed(void **state)
{
	struct fixture *f = *state;
	put(f, "a", "k", "1");
	stop(f);
	start(f);
	assert_value(f, "a", "k", "1");
}

static void writes_without_commit_are_committed_in_time(void **state)
{
	struct fixture *f = *state;
	put(f, "a", "k", "1");
	uint64_t start_ms = clock_mono_ms();
	while (!store_counts(f->store).transactions && clock_mono_ms() < start_ms + 10000)
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	assert_int_equal(store_counts(f->store).transactions, 1);
	assert_in_range(clock_mono_ms() - start_ms, 500, 5000);
	assert_int_equal(store_counts(f->store).queued_bytes, 0);
}

static void files_are_private(void **state)
{
	struct fixture *f = *state;
	put(f, "a", "k", "1");
	assert_int_equal(commit(f), 0);
	static const char *const names[] = { "edged.db", "edged.db-wal", "edged.db.lock" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char path[300];
		struct stat st;
		assert_int_equal(stat(temp_file(&f->temp, names[i], path, sizeof(path)), &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	assert_true(store_counts(f->store).file_bytes > 0);
}

static void bad_names_and_sizes_are_refused(void **state)
{
	struct fixture *f = *state;
	static char big[17 * 1024 * 1024];
	struct edged_slice key = edged_str("k"), none = edged_slice(NULL, 0);
	static const char *const names[] = { "", "A", "a-b", "a/b", "a b",
		"123456789012345678901234567890123" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_int_equal(store_put(f->space, names[i], key, none), -EINVAL);
		assert_int_equal(store_del(f->space, names[i], key), -EINVAL);
		assert_int_equal(store_get(f->space, names[i], key, on_found, NULL), -EINVAL);
		assert_int_equal(
		        store_scan(f->space, names[i], none, none, 0, on_row, on_done, NULL), -EINVAL);
	}
	assert_int_equal(store_put(f->space, "a", none, none), -EINVAL);
	assert_int_equal(store_put(f->space, "a", edged_slice(big, 1025), none), -EINVAL);
	assert_int_equal(store_put(f->space, "a", key, edged_slice(big, 16 * 1024 * 1024 + 1)), -EINVAL);
	assert_int_equal(store_get(f->space, "a", edged_slice(big, 1025), on_found, NULL), -EINVAL);
	assert_int_equal(store_put(f->space, "a", edged_slice(big, 1024), none), 0);
	struct store_space *space;
	assert_int_equal(store_space_new(f->store, "", &space), -EINVAL);
	assert_int_equal(store_space_new(f->store, "a/b", &space), -EINVAL);
	assert_int_equal(store_space_new(f->store, "a b", &space), -EINVAL);
}

static void values_of_the_largest_size_come_back(void **state)
{
	struct fixture *f = *state;
	size_t n = 16 * 1024 * 1024;
	char *big = malloc(n);
	memset(big, 'x', n);
	assert_int_equal(store_put(f->space, "a", edged_str("k"), edged_slice(big, n)), 0);
	assert_int_equal(commit(f), 0);
	struct result r = { .stop_after = 1 };
	assert_int_equal(store_scan(f->space, "a", edged_str(""), edged_str(""), 0, on_row, on_done, &r), 0);
	fake_loop_run_until(f->loop, &r.called);
	assert_int_equal(r.count, 1);
	assert_true(r.rows.len > n);
	buf_fini(&r.rows);
	free(big);
}

static void spaces_do_not_see_each_other(void **state)
{
	struct fixture *f = *state;
	struct store_space *first = f->space, *other, *same;
	put(f, "a", "k", "1");
	assert_int_equal(commit(f), 0);
	assert_int_equal(store_space_new(f->store, "other", &other), 0);
	assert_int_equal(store_space_new(f->store, "test", &same), 0);
	f->space = other;
	assert_value(f, "a", "k", NULL);
	f->space = same;
	assert_value(f, "a", "k", "1");
	f->space = first;
	store_space_free(other);
	store_space_free(same);
}

static void a_caller_sees_its_own_writes_before_the_commit(void **state)
{
	struct fixture *f = *state;
	put(f, "a", "b", "old");
	put(f, "a", "d", "old");
	put(f, "a", "f", "old");
	assert_int_equal(commit(f), 0);
	put(f, "a", "a", "1");
	put(f, "a", "a", "2");
	put(f, "a", "b", "new");
	put(f, "a", "c", "tmp");
	assert_int_equal(store_del(f->space, "a", edged_str("c")), 0);
	assert_int_equal(store_del(f->space, "a", edged_str("d")), 0);
	put(f, "a", "e", "5");
	put(f, "a", "g", "7");
	put(f, "z", "b", "other table");
	assert_value(f, "a", "a", "2");
	assert_value(f, "a", "b", "new");
	assert_value(f, "a", "c", NULL);
	assert_value(f, "a", "d", NULL);
	assert_value(f, "a", "f", "old");
	for (int i = 0; i < 2; i++) {
		assert_rows(f, "a", "", "", 0, "a=2 b=new e=5 f=old g=7 ");
		assert_rows(f, "a", "b", "g", 0, "b=new e=5 f=old ");
		assert_rows(f, "a", "", "", 3, "a=2 b=new e=5 ");
		assert_rows(f, "a", "h", "", 0, "");
		assert_int_equal(commit(f), 0);
	}
	assert_int_equal(store_counts(f->store).failures, 0);
}

static void long_scans_come_in_order_and_can_be_stopped(void **state)
{
	struct fixture *f = *state;
	char key[16];
	for (int i = 0; i < 3000; i++) {
		snprintf(key, sizeof(key), "%05d", (i * 7919) % 3000);
		put(f, "a", key, "some value that makes many chunks of the rows");
	}
	assert_int_equal(commit(f), 0);
	unsigned before = fake_loop_posts(f->loop);
	struct result all = { 0 }, some = { .stop_after = 2500 }, limited = { 0 };
	struct edged_slice none = edged_slice(NULL, 0);
	assert_int_equal(store_scan(f->space, "a", none, none, 0, on_row, on_done, &all), 0);
	fake_loop_run_until(f->loop, &all.called);
	assert_true(fake_loop_posts(f->loop) - before > 1);
	assert_int_equal(all.count, 3000);
	assert_memory_equal(all.rows.ptr, "00000=", 6);
	assert_int_equal(store_scan(f->space, "a", none, none, 0, on_row, on_done, &some), 0);
	fake_loop_run_until(f->loop, &some.called);
	assert_int_equal(some.count, 2500);
	assert_int_equal(
	        store_scan(f->space, "a", edged_str("00100"), none, 2600, on_row, on_done, &limited), 0);
	fake_loop_run_until(f->loop, &limited.called);
	assert_int_equal(limited.count, 2600);
	assert_memory_equal(limited.rows.ptr, "00100=", 6);
	buf_fini(&all.rows);
	buf_fini(&some.rows);
	buf_fini(&limited.rows);
}

struct ordered {
	unsigned *next;
	unsigned number;
	bool last_seen;
};

static void on_ordered(void *arg, int result)
{
	struct ordered *o = arg;
	assert_int_equal(result, 0);
	assert_int_equal(o->number, *o->next);
	(*o->next)++;
	o->last_seen = true;
}

static void on_ordered_value(void *arg, int result, struct edged_slice value)
{
	struct ordered *o = arg;
	char expected[16];
	snprintf(expected, sizeof(expected), "%u", o->number - 1);
	assert_true(edged_slice_is(value, expected));
	on_ordered(arg, result);
}

static void callbacks_come_in_order_and_few_posts(void **state)
{
	struct fixture *f = *state;
	static struct ordered all[2000];
	unsigned next = 0, before = fake_loop_posts(f->loop);
	for (unsigned i = 0; i < ARRAY_LEN(all); i += 2) {
		char value[16];
		snprintf(value, sizeof(value), "%u", i);
		all[i] = (struct ordered){ &next, i, false };
		all[i + 1] = (struct ordered){ &next, i + 1, false };
		put(f, "a", "k", value);
		assert_int_equal(store_commit(f->space, on_ordered, &all[i]), 0);
		/* A get sees the write before it, and not the one behind it. */
		assert_int_equal(store_get(f->space, "a", edged_str("k"), on_ordered_value, &all[i + 1]), 0);
	}
	fake_loop_run_until(f->loop, &all[ARRAY_LEN(all) - 1].last_seen);
	struct store_counts counts = store_counts(f->store);
	assert_int_equal(counts.commits, 1000);
	assert_int_equal(counts.writes, 1000);
	assert_true(counts.transactions < 500);
	assert_true(fake_loop_posts(f->loop) - before <= counts.transactions + 1);
}

static void a_full_queue_refuses(void **state)
{
	struct fixture *f = *state;
	static char value[300 * 1024];
	int r = 0;
	unsigned n = 0;
	struct edged_slice bytes = edged_slice(value, sizeof(value));
	while (!r && n < 100)
		r = store_put(f->space, "a", edged_slice(&n, sizeof(n)), bytes), n++;
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(n, 4);
	/* The queue of one does not hinder another. */
	struct store_space *other;
	assert_int_equal(store_space_new(f->store, "other", &other), 0);
	assert_int_equal(store_put(other, "a", edged_str("k"), bytes), 0);
	store_space_free(other);
	assert_int_equal(commit(f), 0);
	assert_int_equal(store_put(f->space, "a", edged_str("k"), bytes), 0);
	assert_int_equal(commit(f), 0);
	assert_int_equal(store_counts(f->store).queued_bytes, 0);
}

static void tables_have_a_limit(void **state)
{
	struct fixture *f = *state;
	char name[16];
	for (unsigned i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		put(f, name, "k", "v");
	}
	assert_int_equal(store_put(f->space, "t256", edged_str("k"), edged_str("v")), -ENOSPC);
	assert_int_equal(commit(f), 0);
}

static void a_freed_space_calls_nobody_back(void **state)
{
	struct fixture *f = *state;
	struct result dropped = { 0 };
	struct store_space *space;
	assert_int_equal(store_space_new(f->store, "gone", &space), 0);
	struct edged_slice key = edged_str("k"), none = edged_slice(NULL, 0);
	assert_int_equal(store_put(space, "a", key, key), 0);
	assert_int_equal(store_commit(space, on_done, &dropped), 0);
	assert_int_equal(store_get(space, "a", key, on_found, &dropped), 0);
	assert_int_equal(store_scan(space, "a", none, none, 0, on_row, on_done, &dropped), 0);
	assert_int_equal(store_put(space, "a", edged_str("uncommitted"), key), 0);
	store_space_free(space);
	assert_int_equal(commit(f), 0);
	fake_loop_run_waiting(f->loop);
	assert_false(dropped.called);
	assert_int_equal(dropped.count, 0);
	struct store_space *own = f->space;
	assert_int_equal(store_space_new(f->store, "gone", &f->space), 0);
	assert_value(f, "a", "k", "k");
	assert_value(f, "a", "uncommitted", "k");
	store_space_free(f->space);
	f->space = own;
}

struct suicide {
	struct store_space *space;
	bool called;
};

static void on_done_free(void *arg, int result)
{
	struct suicide *s = arg;
	assert_int_equal(result, 0);
	s->called = true;
	store_space_free(s->space);
}

static int on_row_free(void *arg, struct edged_slice key, struct edged_slice value)
{
	struct suicide *s = arg;
	(void)key;
	(void)value;
	assert_false(s->called);
	s->called = true;
	store_space_free(s->space);
	return 0;
}

static void a_callback_may_free_its_space(void **state)
{
	struct fixture *f = *state;
	struct suicide s = { 0 }, rows = { 0 };
	struct result never = { 0 };
	assert_int_equal(store_space_new(f->store, "gone", &s.space), 0);
	assert_int_equal(store_put(s.space, "a", edged_str("k"), edged_str("v")), 0);
	assert_int_equal(store_put(s.space, "a", edged_str("l"), edged_str("v")), 0);
	assert_int_equal(store_commit(s.space, on_done_free, &s), 0);
	assert_int_equal(store_commit(s.space, on_done, &never), 0);
	fake_loop_run_until(f->loop, &s.called);
	assert_int_equal(store_space_new(f->store, "gone", &rows.space), 0);
	assert_int_equal(
	        store_scan(rows.space, "a", edged_str(""), edged_str(""), 0, on_row_free, on_done, &rows), 0);
	fake_loop_run_until(f->loop, &rows.called);
	assert_false(never.called);
}

static void only_one_may_hold_it(void **state)
{
	struct fixture *f = *state;
	struct store_options options = options_of(f->path);
	struct store *second = NULL;
	struct err err;
	char pid[32];
	assert_int_equal(store_open(&options, &second, NULL, &err), -EBUSY);
	snprintf(pid, sizeof(pid), "pid %d", (int)getpid());
	assert_non_null(strstr(err.text, pid));
	assert_null(second);
}

/* --- several loops --- */

#define WRITERS 4
#define ROUNDS  100

struct writer {
	struct store_space *space;
	unsigned number;
	int failures;
};

/* Moves one unit from one account to another, in one batch each: the sum never changes for who reads both. */
static void *write_many(void *arg)
{
	struct writer *w = arg;
	struct fake_loop *loop = fake_loop_new();
	fake_loop_enter(loop);
	for (unsigned i = 0; i < ROUNDS; i++) {
		char left[16], right[16], value[16];
		snprintf(left, sizeof(left), "%u/left", w->number);
		snprintf(right, sizeof(right), "%u/right", w->number);
		snprintf(value, sizeof(value), "%u", i);
		struct result r = { 0 };
		w->failures += store_put(w->space, "a", edged_str(left), edged_str(value)) != 0;
		w->failures += store_put(w->space, "a", edged_str(right), edged_str(value)) != 0;
		w->failures += store_commit(w->space, on_done, &r) != 0;
		fake_loop_run_until(loop, &r.called);
		w->failures += r.result != 0;
	}
	fake_loop_free(loop);
	return NULL;
}

static void loops_share_transactions(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[WRITERS];
	struct writer writers[WRITERS];
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ f->space, i, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(writers[i].failures, 0);
	}
	assert_int_equal(store_counts(f->store).commits, WRITERS * ROUNDS);
	assert_rows(f, "a", "0", "1", 0, "0/left=99 0/right=99 ");
	assert_rows(f, "a", "3", "4", 0, "3/left=99 3/right=99 ");
}

static void start_grouping(struct fixture *f, uint64_t group_ms, uint64_t group_max_ms)
{
	stop(f);
	struct store_options options = options_of(f->path);
	options.group_ms = group_ms;
	options.group_max_ms = group_max_ms;
	assert_int_equal(store_open(&options, &f->store, NULL, NULL), 0);
	assert_int_equal(store_space_new(f->store, "test", &f->space), 0);
}

static void company_is_waited_for(void **state)
{
	struct fixture *f = *state;
	start_grouping(f, 20, 10000);
	pthread_t threads[WRITERS];
	struct writer writers[WRITERS];
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ f->space, i, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
	}
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	assert_true(store_counts(f->store).transactions < 2 * ROUNDS);
}

static void who_comes_alone_does_not_wait(void **state)
{
	struct fixture *f = *state;
	start_grouping(f, 10000, 10000);
	uint64_t start_ms = clock_mono_ms();
	for (int i = 0; i < 5; i++) {
		put(f, "a", "k", "v");
		assert_int_equal(commit(f), 0);
	}
	assert_true(clock_mono_ms() - start_ms < 10000);
}

/* Commits until some wait for company. */
static void bring_company(struct fixture *f)
{
	uint64_t sent = 0;
	do {
		for (int i = 0; i < 10; i++, sent++) {
			put(f, "a", "k", "v");
			assert_int_equal(store_commit(f->space, NULL, NULL), 0);
		}
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	} while (store_counts(f->store).commits == sent);
}

static void a_steady_flow_waits_no_longer_than_the_maximum(void **state)
{
	struct fixture *f = *state;
	start_grouping(f, 10000, 50);
	bring_company(f);
	uint64_t start_ms = clock_mono_ms();
	struct result r = { 0 };
	put(f, "a", "k", "v");
	assert_int_equal(store_commit(f->space, on_done, &r), 0);
	while (!r.called && clock_mono_ms() < start_ms + 8000) {
		put(f, "a", "k", "v");
		assert_int_equal(store_commit(f->space, NULL, NULL), 0);
		nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
		fake_loop_run_waiting(f->loop);
	}
	assert_true(r.called);
}

static void many_bytes_wait_no_longer(void **state)
{
	struct fixture *f = *state;
	static char value[70 * 1024];
	start_grouping(f, 10000, 10000);
	bring_company(f);
	uint64_t start_ms = clock_mono_ms();
	assert_int_equal(store_put(f->space, "a", edged_str("k"), edged_slice(value, sizeof(value))), 0);
	assert_int_equal(commit(f), 0);
	assert_true(clock_mono_ms() - start_ms < 8000);
}

static void a_read_ends_the_wait(void **state)
{
	struct fixture *f = *state;
	start_grouping(f, 100, 10000);
	bring_company(f);
	struct result r = { 0 };
	uint64_t start_ms = clock_mono_ms();
	assert_int_equal(store_get(f->space, "a", edged_str("k"), on_found, &r), 0);
	while (!r.called && clock_mono_ms() < start_ms + 8000) {
		put(f, "a", "k", "v");
		assert_int_equal(store_commit(f->space, NULL, NULL), 0);
		nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
		fake_loop_run_waiting(f->loop);
	}
	assert_true(r.called);
}

/* --- without memory --- */

static int everything(const char *path, struct fake_loop *loop)
{
	struct store_options options = options_of(path);
	struct store *store = NULL;
	struct store_space *space = NULL;
	struct edged_slice key = edged_str("k"), value = edged_str("v"), none = edged_slice(NULL, 0);
	int damaged = 0, r = store_open(&options, &store, &damaged, NULL);
	assert_int_equal(damaged, 0);
	struct result committed = { 0 }, found = { 0 }, scanned = { 0 };
	if (!r)
		r = store_space_new(store, "test", &space);
	if (!r)
		r = store_put(space, "a", key, value);
	if (!r)
		r = store_commit(space, on_done, &committed);
	if (!r) {
		fake_loop_run_until(loop, &committed.called);
		r = committed.result;
	}
	if (!r)
		r = store_put(space, "a", edged_str("l"), value);
	if (!r)
		r = store_get(space, "a", key, on_found, &found);
	if (!r) {
		fake_loop_run_until(loop, &found.called);
		r = found.result;
	}
	if (!r)
		r = store_scan(space, "a", none, none, 0, on_row, on_done, &scanned);
	if (!r) {
		fake_loop_run_until(loop, &scanned.called);
		r = scanned.result;
	}
	store_space_free(space);
	store_close(store);
	buf_fini(&scanned.rows);
	return r;
}

static void memory_may_run_out_anywhere(void **state)
{
	struct fixture *f = *state;
	if (!heap_can_fail())
		skip();
	stop(f);
	long n = 0;
	for (;; n++) {
		heap_fail_at(n);
		int r = everything(f->path, f->loop);
		bool failed = heap_failed();
		heap_fail_at(-1);
		if (!failed) {
			assert_int_equal(r, 0);
			break;
		}
		/* Some failures are made up for, e.g. the sync of a folder; none gives another error. */
		if (r)
			assert_int_equal(r, -ENOMEM);
	}
	assert_true(n > 10);
	start(f);
	assert_value(f, "a", "k", "v");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_committed_is_there_after_a_restart),
		TEST(closing_keeps_what_nobody_committed),
		TEST(writes_without_commit_are_committed_in_time),
		TEST(files_are_private),
		TEST(bad_names_and_sizes_are_refused),
		TEST(values_of_the_largest_size_come_back),
		TEST(spaces_do_not_see_each_other),
		TEST(a_caller_sees_its_own_writes_before_the_commit),
		TEST(long_scans_come_in_order_and_can_be_stopped),
		TEST(callbacks_come_in_order_and_few_posts),
		TEST(a_full_queue_refuses),
		TEST(tables_have_a_limit),
		TEST(a_freed_space_calls_nobody_back),
		TEST(a_callback_may_free_its_space),
		TEST(only_one_may_hold_it),
		TEST(loops_share_transactions),
		TEST(company_is_waited_for),
		TEST(who_comes_alone_does_not_wait),
		TEST(a_steady_flow_waits_no_longer_than_the_maximum),
		TEST(many_bytes_wait_no_longer),
		TEST(a_read_ends_the_wait),
		TEST(memory_may_run_out_anywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
