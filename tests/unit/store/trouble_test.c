/* SPDX-License-Identifier: Apache-2.0 */
/* store/: damaged files, full disks, I/O errors at every point, and kill -9. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "fake_loop.h"
#include "faulty_vfs.h"
#include "store/store.h"
#include "temp.h"

struct fixture {
	struct temp temp;
	char path[300];
	struct fake_loop *loop;
	struct store *store;
	struct store_space *space;
};

static int open_store(struct fixture *f, int *ret_damaged, struct err *err)
{
	struct store_options options = {
		.path = f->path,
		.queue_bytes = 8 * 1024 * 1024,
		.cache_bytes = 64 * 1024,
		.executor = { fake_loop_self, fake_loop_post },
	};
	int r = store_open(&options, &f->store, ret_damaged, err);
	if (!r && store_space_new(f->store, "test", &f->space))
		abort();
	return r;
}

static void close_store(struct fixture *f)
{
	store_space_free(f->space);
	store_close(f->store);
}

static int set_up(void **state)
{
	if (!getenv("V"))
		log_set_level(
		        (enum edged_level)0); /* the log of what is provoked here only hides what is not */
	struct fixture *f = calloc(1, sizeof(*f));
	temp_init(&f->temp);
	temp_file(&f->temp, "edged.db", f->path, sizeof(f->path));
	f->loop = fake_loop_new();
	fake_loop_enter(f->loop);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	faulty_vfs_fail(FAULT_NONE, 0, 0);
	fake_loop_free(f->loop);
	temp_fini(&f->temp);
	free(f);
	return 0;
}

struct result {
	bool called;
	int result;
	unsigned count;
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

static int on_row(void *arg, struct edged_slice key, struct edged_slice value)
{
	struct result *r = arg;
	(void)key;
	(void)value;
	r->count++;
	return 0;
}

static int put(struct fixture *f, unsigned number, size_t size)
{
	static char value[1024 * 1024];
	struct result r = { 0 };
	memset(value, (int)(number % 251), size);
	int why = store_put(f->space, "a", edged_slice(&number, sizeof(number)), edged_slice(value, size));
	if (!why)
		why = store_commit(f->space, on_done, &r);
	if (why)
		return why;
	fake_loop_run_until(f->loop, &r.called);
	return r.result;
}

static int get(struct fixture *f, unsigned number)
{
	struct result r = { 0 };
	int why = store_get(f->space, "a", edged_slice(&number, sizeof(number)), on_found, &r);
	if (why)
		return why;
	fake_loop_run_until(f->loop, &r.called);
	return r.result;
}

static int scan(struct fixture *f, unsigned *ret_count)
{
	struct result r = { 0 };
	struct edged_slice none = edged_slice(NULL, 0);
	int why = store_scan(f->space, "a", none, none, 0, on_row, on_done, &r);
	if (why)
		return why;
	fake_loop_run_until(f->loop, &r.called);
	*ret_count = r.count;
	return r.result;
}

static void fill(struct fixture *f, unsigned rows)
{
	assert_int_equal(open_store(f, NULL, NULL), 0);
	for (unsigned i = 0; i < rows; i++)
		assert_int_equal(put(f, i, 2000), 0);
	close_store(f);
}

static void overwrite(const char *path, off_t at, const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, n, at), n);
	close(fd);
}

/* --- damage --- */

static void assert_begins_anew(struct fixture *f)
{
	int damaged = 0;
	assert_int_equal(open_store(f, &damaged, NULL), 0);
	assert_int_equal(damaged, 1);
	assert_int_equal(get(f, 0), -ENOENT);
	assert_int_equal(put(f, 0, 10), 0);
	assert_int_equal(get(f, 0), 0);
	close_store(f);
	assert_int_equal(temp_count(&f->temp, "edged.db.damaged-"), 1);
}

static void garbage_is_set_aside(void **state)
{
	struct fixture *f = *state;
	overwrite(f->path, 0,
	        "this is no database at all, but long enough to have been read as its header: "
	        "..............................................................",
	        139);
	assert_begins_anew(f);
	int damaged = 0;
	assert_int_equal(open_store(f, &damaged, NULL), 0);
	assert_int_equal(damaged, 0);
	assert_int_equal(get(f, 0), 0);
	close_store(f);
}

static void a_truncated_file_is_set_aside(void **state)
{
	struct fixture *f = *state;
	fill(f, 20);
	struct stat st;
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(truncate(f->path, st.st_size / 2 + 100), 0);
	int damaged = 0;
	unsigned rows;
	assert_int_equal(open_store(f, &damaged, NULL), 0);
	/* Seen at once or when it is first read: in the end there is a file that works, and the old one is kept. */
	(void)!scan(f, &rows);
	assert_int_equal(put(f, 100, 10), 0);
	assert_int_equal(get(f, 100), 0);
	close_store(f);
	assert_in_range(temp_count(&f->temp, "edged.db.damaged-"), 1, 2); /* with its log, if there was one */
}

static void the_log_of_a_damaged_file_goes_with_it(void **state)
{
	struct fixture *f = *state;
	char log[310];
	overwrite(f->path, 0, "garbage", 7);
	overwrite(temp_file(&f->temp, "edged.db-wal", log, sizeof(log)), 0, "more", 4);
	int damaged = 0;
	assert_int_equal(open_store(f, &damaged, NULL), 0);
	assert_int_equal(damaged, 1);
	close_store(f);
	assert_int_equal(temp_count(&f->temp, "edged.db.damaged-"), 2);
}

/* Whatever bit is wrong: it starts, does not crash, takes writes, and what it cannot read is kept aside. */
static void flipped_bits_do_not_stop_it(void **state)
{
	struct fixture *f = *state;
	fill(f, 10);
	struct stat st;
	assert_int_equal(stat(f->path, &st), 0);
	CLEANUP(free_charp) char *good = malloc((size_t)st.st_size);
	CLEANUP(free_charp) char *bad = malloc((size_t)st.st_size);
	int fd = open(f->path, O_RDONLY);
	assert_int_equal(read(fd, good, (size_t)st.st_size), st.st_size);
	close(fd);
	unsigned set_aside = 0;
	for (unsigned round = 0; round < 120; round++) {
		unlink(f->path);
		memcpy(bad, good, (size_t)st.st_size);
		/* Headers of the file and of each page, where a bit does the most harm; and anywhere. */
		off_t at = round < 60 ? (round % 6) * 4096 + round / 6 * 3 : (round * 7919 * 13) % st.st_size;
		bad[at] ^= (char)(1 << round % 8);
		overwrite(f->path, 0, bad, (size_t)st.st_size);
		int damaged = 0, r = open_store(f, &damaged, NULL);
		if (r == -EINVAL)
			continue; /* the bit was in the mark: this is somebody else's file now */
		assert_int_equal(r, 0);
		unsigned rows;
		(void)!scan(f, &rows);
		(void)!put(f, 0, 10);
		(void)!put(f, 5, 10);
		assert_int_equal(put(f, 7, 2000), 0);
		assert_int_equal(get(f, 7), 0);
		close_store(f);
		set_aside = temp_count(&f->temp, "edged.db.damaged-");
	}
	assert_true(set_aside > 10);
}

static void files_of_others_are_left_alone(void **state)
{
	struct fixture *f = *state;
	static const char *const makers[] = {
		"CREATE TABLE theirs(a)",
		"PRAGMA application_id = 7; CREATE TABLE theirs(a)",
		"PRAGMA application_id = 1701078884; PRAGMA user_version = 2; CREATE TABLE rows(a)",
	};
	for (size_t i = 0; i < ARRAY_LEN(makers); i++) {
		sqlite3 *sqlite;
		struct err err;
		unlink(f->path);
		assert_int_equal(sqlite3_open(f->path, &sqlite), SQLITE_OK);
		assert_int_equal(sqlite3_exec(sqlite, makers[i], NULL, NULL, NULL), SQLITE_OK);
		sqlite3_close(sqlite);
		assert_int_equal(open_store(f, NULL, &err), -EINVAL);
		assert_non_null(strstr(err.text, "another program or by a newer version"));
		assert_int_equal(temp_count(&f->temp, "edged.db.damaged-"), 0);
	}
}

static void what_is_no_file_is_refused(void **state)
{
	struct fixture *f = *state;
	struct err err;
	assert_int_equal(mkdir(f->path, 0700), 0);
	assert_true(open_store(f, NULL, &err) < 0);
	assert_non_null(strstr(err.text, f->path));
	rmdir(f->path);
	assert_int_equal(mkfifo(f->path, 0600), 0);
	assert_int_equal(open_store(f, NULL, &err), -EINVAL);
	unlink(f->path);
	assert_int_equal(symlink("elsewhere", f->path), 0);
	assert_true(open_store(f, NULL, &err) < 0);
	unlink(f->path);
	temp_file(&f->temp, "missing/edged.db", f->path, sizeof(f->path));
	assert_int_equal(open_store(f, NULL, &err), -ENOENT);
	assert_non_null(strstr(err.text, "missing/edged.db"));
}

/* --- full disk: files of this process may not grow over 300 kB --- */

#define CHECK(condition)                                                                                     \
	do {                                                                                                 \
		if (!(condition))                                                                            \
			return __LINE__ - first;                                                             \
	} while (0)

static int on_a_full_disk(struct fixture *f)
{
	int first = __LINE__;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 300 * 1024, RLIM_INFINITY });
	CHECK(open_store(f, NULL, NULL) == 0);
	unsigned n = 0;
	while (n < 100 && put(f, n, 10000) == 0)
		n++;
	CHECK(n > 15 && n < 100);
	CHECK(put(f, n, 10000) == -ENOSPC);
	CHECK(store_counts(f->store).last_error == -ENOSPC);
	/* What is stored can be read, what was refused is not there. */
	CHECK(get(f, 0) == 0 && get(f, n - 1) == 0 && get(f, n) == -ENOENT);
	/* A batch is kept as a whole or not at all. */
	struct result batch = { 0 };
	char big[50000] = "";
	CHECK(store_put(f->space, "a", edged_str("small"), edged_str("x")) == 0);
	for (unsigned i = 0; i < 8; i++)
		CHECK(store_put(f->space, "a", edged_slice(&(unsigned){ 1000 + i }, 4),
		              edged_slice(big, sizeof(big))) == 0);
	CHECK(store_commit(f->space, on_done, &batch) == 0);
	fake_loop_run_until(f->loop, &batch.called);
	CHECK(batch.result == -ENOSPC && get(f, 1000) == -ENOENT);
	struct result small = { 0 };
	CHECK(store_get(f->space, "a", edged_str("small"), on_found, &small) == 0);
	fake_loop_run_until(f->loop, &small.called);
	CHECK(small.result == -ENOENT);
	/* Room again: it goes on by itself. */
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
	CHECK(put(f, n, 10000) == 0 && get(f, n) == 0);
	CHECK(store_counts(f->store).last_error == 0);
	close_store(f);
	CHECK(open_store(f, NULL, NULL) == 0);
	for (unsigned i = 0; i <= n; i++)
		CHECK(get(f, i) == 0);
	close_store(f);
	return 0;
}

static int in_child(int (*fn)(struct fixture *f), struct fixture *f)
{
	pid_t child = fork();
	if (child == 0)
		_exit(fn(f));
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_full_disk_refuses_and_recovers(void **state)
{
	assert_int_equal(in_child(on_a_full_disk, *state), 0);
}

/* An overdue batch that could not be kept is told by the next commit, whose own writes are not kept either. */
static int lost_in_silence(struct fixture *f)
{
	int first = __LINE__;
	static char big[400000];
	signal(SIGXFSZ, SIG_IGN);
	CHECK(open_store(f, NULL, NULL) == 0);
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 200 * 1024, RLIM_INFINITY });
	CHECK(store_put(f->space, "a", edged_str("lost"), edged_slice(big, sizeof(big))) == 0);
	for (int i = 0; i < 2000 && !store_counts(f->store).failures; i++)
		usleep(5000);
	CHECK(store_counts(f->store).failures == 1);
	CHECK(put(f, 1, 10) == -ENOSPC && get(f, 1) == -ENOENT);
	CHECK(put(f, 1, 10) == 0 && get(f, 1) == 0);
	close_store(f);
	return 0;
}

static void a_commit_tells_what_was_lost_before(void **state)
{
	assert_int_equal(in_child(lost_in_silence, *state), 0);
}

/* --- I/O errors at every point --- */

/* Opens, writes, reads, closes; with one call of the kind failing, or all from there on. What was acknowledged must be
 * there afterwards, what was refused must not. Returns how many calls there were. */
static unsigned with_faults(struct fixture *f, enum fault kind, unsigned nth, unsigned how_many)
{
	enum { ROWS = 6 };
	int result[ROWS];
	faulty_vfs_fail(kind, nth, how_many);
	int opened = open_store(f, NULL, NULL);
	for (unsigned i = 0; i < ROWS; i++)
		result[i] = opened ? -EIO : put(f, i, 5000);
	if (!opened)
		close_store(f);
	unsigned calls = faulty_vfs_calls();
	faulty_vfs_fail(FAULT_NONE, 0, 0);
	assert_int_equal(open_store(f, NULL, NULL), 0);
	for (unsigned i = 0; i < ROWS; i++) {
		int there = get(f, i);
		if (result[i] == 0)
			assert_int_equal(there, 0);
		else if (how_many == 1 && !opened)
			assert_int_equal(there, -ENOENT);
		assert_true(result[i] == 0 || result[i] == -EIO || result[i] == -ENOSPC);
	}
	assert_int_equal(put(f, 100, 10), 0);
	close_store(f);
	assert_int_equal(temp_count(&f->temp, "edged.db.damaged-"), 0);
	return calls;
}

static void errors_anywhere_lose_nothing_acknowledged(void **state)
{
	struct fixture *f = *state;
	faulty_vfs_register();
	static const enum fault kinds[] = { FAULT_SYNC, FAULT_WRITE, FAULT_READ, FAULT_TRUNCATE, FAULT_FULL };
	static const unsigned how_many[] = { 1, 2, 1000000 };
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
		for (size_t h = 0; h < ARRAY_LEN(how_many); h++)
			for (unsigned nth = 1, calls = 1; nth <= calls && nth < 60; nth++) {
				temp_fini(&f->temp);
				mkdir(f->temp.path, 0700);
				calls = with_faults(f, kinds[k], nth, how_many[h]);
			}
	faulty_vfs_unregister();
}

/* A kill leaves the kernel's cache alone, a power cut does not: nothing is acknowledged without a sync. */
static void each_acknowledgement_is_synced(void **state)
{
	struct fixture *f = *state;
	faulty_vfs_register();
	assert_int_equal(open_store(f, NULL, NULL), 0);
	for (unsigned i = 0; i < 10; i++) {
		faulty_vfs_fail(FAULT_SYNC, 1000, 1); /* counts, and fails none */
		assert_int_equal(put(f, i, 100), 0);
		assert_true(faulty_vfs_calls() >= 1);
	}
	close_store(f);
	faulty_vfs_unregister();
}

/* --- kill -9 --- */

/* Writes in batches of two rows and tells through the pipe the number of each that was acknowledged. */
static void write_until_killed(struct fixture *f, unsigned number, int pipe_fd)
{
	if (open_store(f, NULL, NULL))
		_exit(1);
	for (;; number++) {
		unsigned twin = number | 0x80000000u;
		if (store_put(f->space, "a", edged_slice(&twin, sizeof(twin)), edged_slice(NULL, 0)) ||
		        put(f, number, 700) || write(pipe_fd, &number, sizeof(number)) != sizeof(number))
			_exit(1);
	}
}

/* `us` after its start, or after the first acknowledgement. */
static unsigned kill_somewhere(struct fixture *f, unsigned number, unsigned us, bool acknowledging)
{
	int fds[2];
	unsigned acknowledged;
	assert_int_equal(pipe(fds), 0);
	pid_t child = fork();
	if (child == 0)
		write_until_killed(f, number, fds[1]);
	close(fds[1]);
	if (acknowledging && read(fds[0], &acknowledged, sizeof(acknowledged)) == sizeof(acknowledged))
		number = acknowledged + 1;
	usleep(us);
	kill(child, SIGKILL);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	while (read(fds[0], &acknowledged, sizeof(acknowledged)) == sizeof(acknowledged))
		number = acknowledged + 1;
	close(fds[0]);
	return number;
}

static void kill_loses_nothing_acknowledged(void **state)
{
	struct fixture *f = *state;
	unsigned number = 0, seed = (unsigned)clock_mono_us();
	uint64_t end = clock_mono_ms() + 3000;
	for (unsigned round = 0; round < 2 || clock_mono_ms() < end; round++) {
		number = kill_somewhere(f, number, (unsigned)rand_r(&seed) % 60000, round % 2);
		int damaged = 0;
		assert_int_equal(open_store(f, &damaged, NULL), 0);
		assert_int_equal(damaged, 0);
		unsigned count = 0;
		assert_int_equal(scan(f, &count), 0);
		/* One batch may be there that was not acknowledged yet; and never half a batch. */
		assert_in_range(count, 2 * number, 2 * number + 2);
		assert_int_equal(count % 2, 0);
		number = count / 2;
		for (unsigned i = 0; i < number; i += 1 + number / 20)
			assert_int_equal(get(f, i), 0);
		close_store(f);
	}
	assert_true(number > 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(garbage_is_set_aside),
		TEST(a_truncated_file_is_set_aside),
		TEST(the_log_of_a_damaged_file_goes_with_it),
		TEST(flipped_bits_do_not_stop_it),
		TEST(files_of_others_are_left_alone),
		TEST(what_is_no_file_is_refused),
		TEST(a_full_disk_refuses_and_recovers),
		TEST(a_commit_tells_what_was_lost_before),
		TEST(errors_anywhere_lose_nothing_acknowledged),
		TEST(each_acknowledgement_is_synced),
		TEST(kill_loses_nothing_acknowledged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
