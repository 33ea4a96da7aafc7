/* SPDX-License-Identifier: Apache-2.0 */
/* store/journal: what a log holds after it was cut off, torn, damaged, dropped from its front, or met a bad disk. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "heap.h"
#include "store/crc32c.h"
#include "store/journal.h"
#include "temp.h"

#define SEGMENT 65536u

/* Instead of libc's, for the objects in this program. Nothing here goes through a power cut: no sync is needed. */
static int syncs_until_failure = -1, writes_until_failure = -1, failure = EIO;

int fdatasync(int fd)
{
	(void)fd;
	if (syncs_until_failure >= 0 && syncs_until_failure-- == 0) {
		errno = failure;
		return -1;
	}
	return 0;
}

int fsync(int fd)
{
	(void)fd;
	return 0;
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
	if (writes_until_failure >= 0 && writes_until_failure-- == 0) {
		/* A failed write may have written a part. */
		(void)!syscall(SYS_pwrite64, fd, bytes, n / 2, at);
		errno = failure;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, bytes, n, at);
}

/* Records are bytes that follow from their number and that nobody can squeeze; or one byte again and again. */
static bool dull;

struct fixture {
	struct temp temp;
	char folder[300];
	uint64_t limit;
	struct journal *journal;
};

static int open_journal(struct fixture *f)
{
	const struct journal_options options = { f->folder, "test.log", SEGMENT, f->limit };
	return journal_open(&options, &f->journal);
}

static void start(struct fixture *f)
{
	assert_int_equal(open_journal(f), 0);
}

static void stop(struct fixture *f)
{
	journal_free(f->journal);
	f->journal = NULL;
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
	temp_file(&f->temp, "logs", f->folder, sizeof(f->folder));
	f->limit = 100 * SEGMENT;
	start(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	syncs_until_failure = writes_until_failure = -1;
	failure = EIO;
	dull = false;
	stop(f);
	temp_fini(&f->temp);
	free(f);
	return 0;
}

static void fill(char *bytes, size_t n, uint32_t number)
{
	uint32_t v = number * 2654435761u;
	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(dull ? number % 251 : (v = v * 1664525u + 1013904223u) >> 24);
}

/* A group of `count` records that hold their number and are `size` bytes long. */
static int append(struct fixture *f, uint32_t number, unsigned count, size_t size)
{
	static char bytes[300000];
	struct buf body;
	buf_init(&body, 0);
	for (unsigned i = 0; i < count; i++, number++) {
		fill(bytes, size, number);
		memcpy(bytes, &number, sizeof(number));
		assert_int_equal(record_add(&body, edged_slice(bytes, size)), 0);
	}
	int r = journal_reserve(f->journal, body.len);
	journal_begin(f->journal);
	if (!r)
		r = journal_add(f->journal, buf_slice(&body));
	if (!r)
		r = journal_write(f->journal);
	buf_fini(&body);
	return r;
}

/* Reads all: their numbers must rise. Bit i of *ret_seen: number i came. Returns how many. */
static unsigned read_back(struct fixture *f, uint64_t *ret_seen)
{
	static char expected[300000];
	struct buf body;
	uint64_t position = 0, seen = 0;
	unsigned count = 0;
	int64_t last = -1;
	buf_init(&body, 0);
	int r;
	while ((r = journal_read(f->journal, &position, &body)) == 0) {
		struct edged_slice rest = buf_slice(&body), record;
		while (record_take(&rest, &record)) {
			uint32_t number;
			assert_true(record.len >= sizeof(number));
			memcpy(&number, record.ptr, sizeof(number));
			fill(expected, record.len, number);
			assert_memory_equal(record.ptr + 4, expected + 4, record.len - 4);
			assert_true(number > last);
			last = number;
			seen |= number < 64 ? UINT64_C(1) << number : 0;
			count++;
		}
		assert_int_equal(rest.len, 0);
		buf_clear(&body);
	}
	assert_int_equal(r, SEGMENT_END);
	buf_fini(&body);
	if (ret_seen)
		*ret_seen = seen;
	return count;
}

static unsigned files(const struct fixture *f, const char *prefix)
{
	struct temp folder;
	temp_file(&f->temp, "logs", folder.path, sizeof(folder.path));
	return temp_count(&folder, prefix);
}

static const char *file_at(const struct fixture *f, uint64_t first, char path[600])
{
	snprintf(path, 600, "%s/test.log.%016" PRIx64, f->folder, first);
	return path;
}

static void overwrite(const char *path, uint64_t at, const void *bytes, size_t n)
{
	CLEANUP(close_fdp) int fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, n, (off_t)at), n);
}

static void read_file(const char *path, uint64_t at, void *bytes, size_t n)
{
	CLEANUP(close_fdp) int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, bytes, n, (off_t)at), n);
}

/* --- while all goes well --- */

static void the_checksum_is_the_standard_one(void **state)
{
	(void)state;
	char zeros[32] = "", ones[32];
	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283u);
	assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aau); /* RFC 3720, B.4 */
	assert_int_equal(crc32c(0, ones, 32), 0x62a8ab43u);
	assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
}

static void records_come_back_in_order(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(read_back(f, NULL), 0);
	uint32_t number = 0;
	static const size_t sizes[] = { 4, 100, 127, 128, 4056, 4058, 4064, 5000, 16383, 16384, 40000 };
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		for (unsigned count = 1; count <= 3; count++, number += count - 1)
			assert_int_equal(append(f, number, count, sizes[i]), 0);
	assert_int_equal(read_back(f, NULL), number);
	restart(f);
	assert_int_equal(read_back(f, NULL), number);
	assert_int_equal(append(f, number, 1, 10), 0);
	restart(f);
	assert_int_equal(read_back(f, NULL), number + 1);
	assert_true(files(f, "test.log.") > 3);
	struct stat st;
	char path[600];
	assert_int_equal(stat(file_at(f, 0, path), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(f->folder, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

/* What was acknowledged is not touched again: each group begins with a block of its own. */
static void a_block_is_written_once(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(append(f, i, 1, 100), 0);
		assert_int_equal(journal_figures(f->journal).end, (i + 1) * FRAME_BLOCK);
	}
	assert_int_equal(journal_figures(f->journal).written, 5 * FRAME_BLOCK);
	assert_int_equal(journal_figures(f->journal).syncs, 5);
}

static void what_repeats_takes_fewer_blocks(void **state)
{
	struct fixture *f = *state;
	dull = true;
	assert_int_equal(append(f, 0, 3, 5000), 0);
	assert_int_equal(journal_figures(f->journal).end, FRAME_BLOCK);
	assert_int_equal(append(f, 3, 1, 1000), 0); /* squeezed it would take a block, too */
	assert_int_equal(append(f, 4, 1, SQUEEZE_MAX / 4), 0);
	assert_int_equal(append(f, 5, 7, SQUEEZE_MAX / 4), 0); /* too large a group */
	struct journal_figures figures = journal_figures(f->journal);
	assert_in_range(figures.bodies, 15000 + 1000 + 2 * SQUEEZE_MAX, 15100 + 1000 + 2 * SQUEEZE_MAX);
	assert_in_range(figures.squeezed, 7 * (SQUEEZE_MAX / 4), 7 * (SQUEEZE_MAX / 4) + 1500);
	assert_int_equal(read_back(f, NULL), 12);
	restart(f);
	assert_int_equal(read_back(f, NULL), 12);
}

/* Its checksums are right, but it was never squeezed. */
static void a_squeezed_group_that_makes_no_sense_is_damage(void **state)
{
	struct fixture *f = *state;
	static const char bodies[][9] = { "", "\0\0\0", "\5\0\0\0\0\0\0", "\377\377\377\377\1\1\1" };
	char path[600], head[FRAME_HEAD] = "";
	uint64_t salt;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
		assert_int_equal(append(f, (uint32_t)i, 1, 10), 0);
	assert_int_equal(append(f, 9, 1, 10), 0);
	stop(f);
	read_file(file_at(f, 0, path), 16, &salt, sizeof(salt));
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		struct buf forged = BUF_EMPTY;
		buf_add(&forged, head, sizeof(head));
		buf_add(&forged, bodies[i], i == 0 ? 0 : i == 1 ? 3 : 8);
		assert_int_equal(frame_seal(&forged, i * FRAME_BLOCK, salt, true), 0);
		overwrite(path, i * FRAME_BLOCK, forged.ptr, forged.len);
		buf_fini(&forged);
	}
	start(f);
	uint64_t seen;
	assert_int_equal(read_back(f, &seen), 1);
	assert_int_equal(seen, 1 << 9);
	assert_int_equal(files(f, "test.log.0000000000000000.damaged"), 1);
}

static void a_group_larger_than_a_file_has_its_own(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(append(f, 0, 1, 10), 0);
	assert_int_equal(append(f, 1, 1, 300000), 0);
	assert_int_equal(append(f, 2, 1, 10), 0);
	restart(f);
	assert_int_equal(read_back(f, NULL), 3);
	assert_int_equal(files(f, "test.log."), 3);
	journal_trim(f->journal, UINT64_MAX);
	assert_int_equal(read_back(f, NULL), 1);
}

static void what_is_trimmed_goes_and_its_file_is_used_again(void **state)
{
	struct fixture *f = *state;
	uint64_t most = 0;
	for (uint32_t i = 0; i < 200; i++) {
		assert_int_equal(append(f, i, 1, 5000), 0);
		if (i % 10 == 9)
			journal_trim(f->journal, journal_figures(f->journal).end - 4 * 8192);
		if (journal_figures(f->journal).bytes > most)
			most = journal_figures(f->journal).bytes;
	}
	assert_in_range(most, 2 * SEGMENT, 5 * SEGMENT);
	unsigned left = read_back(f, NULL);
	assert_in_range(left, 4, 20);
	restart(f); /* nothing of the former life of a file is read */
	assert_int_equal(read_back(f, NULL), left);
	assert_true(journal_figures(f->journal).begin > 0);
	assert_int_equal(journal_figures(f->journal).end, 200 * 8192);
	/* Less than a whole file: nothing goes. */
	journal_trim(f->journal, journal_figures(f->journal).begin + FRAME_BLOCK);
	assert_int_equal(read_back(f, NULL), left);
}

static void positions_go_on_after_everything_was_trimmed(void **state)
{
	struct fixture *f = *state;
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(append(f, i, 1, 5000), 0);
	uint64_t end = journal_figures(f->journal).end;
	journal_trim(f->journal, end);
	restart(f);
	assert_int_equal(journal_figures(f->journal).end, end);
	assert_true(read_back(f, NULL) < 10);
}

/* --- the end of the log, as a power cut may leave it --- */

#define GROUPS 3

/* Three groups, and a fourth of which the file holds only what `tear` lets be. The three are there, the fourth is not, and
 * the log goes on. */
static void assert_torn(struct fixture *f, const char *path, uint64_t at, const char *whole, const char *torn,
        size_t n, bool expect_whole)
{
	uint64_t seen;
	overwrite(path, at, torn, n);
	restart(f);
	read_back(f, &seen);
	assert_int_equal(seen, expect_whole ? 15 : 7);
	if (!expect_whole) {
		assert_int_equal(append(f, 9, 1, 50), 0);
		restart(f);
		read_back(f, &seen);
		assert_int_equal(seen, 7 | 1 << 9);
		stop(f);
		/* As it was. */
		overwrite(path, at, whole, n);
		start(f);
	}
	assert_int_equal(files(f, "test.log.0000000000000000.damaged"), 0);
}

static void tear_everywhere(struct fixture *f, size_t size, size_t step)
{
	char path[600];
	for (uint32_t i = 0; i < GROUPS; i++)
		assert_int_equal(append(f, i, 1, 5000), 0);
	uint64_t at = journal_figures(f->journal).end;
	assert_int_equal(append(f, GROUPS, 1, size), 0);
	size_t n = (size_t)(journal_figures(f->journal).end - at);
	CLEANUP(free_charp) char *whole = malloc(n);
	CLEANUP(free_charp) char *torn = malloc(n);
	read_file(file_at(f, 0, path), at, whole, n);
	struct frame_head head;
	assert_true(frame_head_read(whole, &head));
	assert_true(head.squeezed == dull);
	size_t used = FRAME_HEAD + head.body;
	/* The front of it is there, what follows is as the file was before: zeros, or something else. */
	for (size_t cut = 0; cut < used; cut += cut < 64 || used - cut <= step ? 1 : step) {
		memset(torn, cut % 2 ? 0 : 0xee, n);
		memcpy(torn, whole, cut);
		if (memcmp(torn, whole, used) != 0)
			assert_torn(f, path, at, whole, torn, n, false);
	}
	memcpy(torn, whole, n);
	memset(torn + used, 0x55, n - used);
	assert_torn(f, path, at, whole, torn, n, true); /* padding means nothing */
	/* Blocks that came in another order: some are there, others not. */
	for (size_t block = 0; block < n; block += FRAME_BLOCK) {
		memcpy(torn, whole, n);
		memset(torn + block, 0, FRAME_BLOCK);
		assert_torn(f, path, at, whole, torn, n, false);
	}
}

static void a_torn_end_is_cut_off(void **state)
{
	tear_everywhere(*state, 150, 1);
}

static void a_torn_end_of_many_blocks_is_cut_off(void **state)
{
	tear_everywhere(*state, 9000, 97);
}

static void a_torn_end_that_was_squeezed_is_cut_off(void **state)
{
	dull = true;
	tear_everywhere(*state, 9000, 1);
}

static void the_first_group_of_a_file_may_be_torn_too(void **state)
{
	struct fixture *f = *state;
	char path[600], zeros[FRAME_BLOCK] = "";
	assert_int_equal(append(f, 0, 1, SEGMENT - FRAME_HEAD - 3), 0);
	assert_int_equal(append(f, 1, 1, 6000), 0);
	overwrite(file_at(f, SEGMENT, path), FRAME_BLOCK, zeros, sizeof(zeros));
	uint64_t seen;
	restart(f);
	read_back(f, &seen);
	assert_int_equal(seen, 1);
	assert_int_equal(append(f, 2, 1, 10), 0);
	restart(f);
	read_back(f, &seen);
	assert_int_equal(seen, 5);
	/* A file that was made, and never written to. */
	stop(f);
	close(open(file_at(f, SEGMENT + FRAME_BLOCK, path), O_WRONLY | O_CREAT, 0600));
	start(f);
	assert_int_equal(append(f, 3, 1, 10), 0);
	restart(f);
	read_back(f, &seen);
	assert_int_equal(seen, 1 | 4 | 8);
	assert_int_equal(files(f, "test.log.0000000000010000"), 1);
}

/* A record that looks like the next group, where a torn group left it: the file's salt is not known to who wrote it. */
static void a_forged_group_is_not_taken_for_one(void **state)
{
	struct fixture *f = *state;
	char path[600];
	assert_int_equal(append(f, 0, 1, 10), 0);
	struct buf forged;
	buf_init(&forged, 0);
	uint32_t number = 7;
	char head[FRAME_HEAD] = "";
	buf_add(&forged, head, sizeof(head));
	assert_int_equal(record_add(&forged, edged_slice(&number, sizeof(number))), 0);
	assert_int_equal(frame_seal(&forged, 2 * FRAME_BLOCK, 0, false), 0);
	stop(f);
	overwrite(file_at(f, 0, path), 2 * FRAME_BLOCK, forged.ptr, forged.len);
	start(f);
	uint64_t seen;
	read_back(f, &seen);
	assert_int_equal(seen, 1);
	assert_int_equal(append(f, 1, 1, 10), 0);
	restart(f);
	read_back(f, &seen);
	assert_int_equal(seen, 3);
	assert_int_equal(files(f, "test.log.0000000000000000.damaged"), 0);
	buf_fini(&forged);
}

/* --- damage --- */

static void a_flipped_bit_costs_its_group_only(void **state)
{
	struct fixture *f = *state;
	char path[600], byte;
	file_at(f, 0, path);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(append(f, i, 1, 300), 0);
	for (size_t at = 0; at < FRAME_HEAD + 302; at += at < FRAME_HEAD ? 1 : 37) {
		uint64_t seen;
		read_file(path, 2 * FRAME_BLOCK + at, &byte, 1);
		char bad = (char)(byte ^ 1 << at % 8);
		overwrite(path, 2 * FRAME_BLOCK + at, &bad, 1);
		restart(f);
		read_back(f, &seen);
		assert_int_equal(seen, 1 | 2 | 8 | 16);
		/* It goes on in a file of its own, and the damage is told once. */
		assert_int_equal(append(f, 5, 1, 10), 0);
		restart(f);
		read_back(f, &seen);
		assert_int_equal(seen, 1 | 2 | 8 | 16 | 32);
		assert_int_equal(files(f, "test.log.0000000000000000.damaged-"), 1);
		stop(f);
		char other[600];
		unlink(file_at(f, 5 * FRAME_BLOCK, other));
		overwrite(path, 2 * FRAME_BLOCK + at, &byte, 1);
		start(f);
	}
}

static void what_was_kept_outlives_the_log(void **state)
{
	struct fixture *f = *state;
	char path[600];
	for (uint32_t i = 0; i < 30; i++)
		assert_int_equal(append(f, i, 1, 5000), 0);
	overwrite(file_at(f, 0, path), 5000, "damage", 6);
	restart(f);
	assert_int_equal(read_back(f, NULL), 29);
	journal_trim(f->journal, journal_figures(f->journal).end);
	assert_int_equal(files(f, "test.log.0000000000000000"), 1);
	assert_int_equal(files(f, "test.log.0000000000000000.damaged-"), 1);
}

static void a_bad_first_head_costs_the_file(void **state)
{
	struct fixture *f = *state;
	char path[600];
	uint64_t seen;
	for (uint32_t i = 0; i < 12; i++)
		assert_int_equal(append(f, i, 1, 10000), 0);
	overwrite(file_at(f, 0, path), 3, "?", 1);
	restart(f);
	read_back(f, &seen);
	assert_int_equal(seen, 0xfe0);
	/* The last file, too: it is kept, and the log goes on in its place. */
	overwrite(file_at(f, 15 * FRAME_BLOCK * 2 + 0, path), 3, "?", 1);
	assert_int_equal(files(f, "test.log.0000000000000000.damaged-"), 1);
}

static void a_missing_file_is_noticed(void **state)
{
	struct fixture *f = *state;
	char path[600];
	uint64_t seen;
	for (uint32_t i = 0; i < 15; i++)
		assert_int_equal(append(f, i, 1, 10000), 0);
	assert_int_equal(unlink(file_at(f, 15 * FRAME_BLOCK, path)), 0);
	restart(f);
	read_back(f, &seen);
	assert_int_equal(seen, 0x7c1f);
	assert_int_equal(files(f, "test.log.0000000000000000.damaged-"), 1);
}

/* Whatever a file says: it is read, and written to, without harm. */
static void garbage_does_no_harm(void **state)
{
	struct fixture *f = *state;
	char path[600], junk[3 * FRAME_BLOCK];
	uint32_t seed = 1;
	for (unsigned round = 0; round < 50; round++) {
		for (size_t i = 0; i < sizeof(junk); i++)
			junk[i] = (char)((seed = seed * 1664525 + 1013904223) >> 24);
		stop(f);
		temp_fini(&f->temp);
		mkdir(f->temp.path, 0700);
		start(f);
		for (uint32_t i = 0; i < 20; i++)
			assert_int_equal(append(f, i, 1, 5000), 0);
		overwrite(file_at(f, 0, path), (uint64_t)(round * 1237 % (SEGMENT - sizeof(junk))), junk,
		        1 + round * 241 % sizeof(junk));
		restart(f);
		read_back(f, NULL);
		assert_int_equal(append(f, 30, 1, 100), 0);
		uint64_t seen;
		restart(f);
		read_back(f, &seen);
		assert_true(seen & 1 << 30);
	}
}

/* --- a bad disk --- */

static void what_could_not_be_synced_is_not_there(void **state)
{
	struct fixture *f = *state;
	for (unsigned writes = 0; writes < 2; writes++)
		for (uint32_t good = 0; good < 3; good++) {
			stop(f);
			temp_fini(&f->temp);
			mkdir(f->temp.path, 0700);
			start(f);
			for (uint32_t i = 0; i < good; i++)
				assert_int_equal(append(f, i, 1, 100), 0);
			*(writes ? &writes_until_failure : &syncs_until_failure) = 0;
			assert_int_equal(append(f, 10, 1, 5000), -EIO);
			uint64_t seen;
			read_back(f, &seen);
			assert_int_equal(seen, (1 << good) - 1);
			if (good == 2) {
				restart(f);
				read_back(f, &seen);
				assert_int_equal(seen, (1 << good) - 1);
			}
			assert_int_equal(append(f, 20, 1, 100), 0);
			restart(f);
			read_back(f, &seen);
			assert_int_equal(seen, ((1 << good) - 1) | 1 << 20);
			assert_int_equal(files(f, "test.log.0000000000000000.damaged"), 0);
		}
}

/* The group whose sync failed is whole on the disk, as what cuts it off failed too: the file that follows says where it
 * ends. */
static void a_file_that_follows_ends_the_one_before(void **state)
{
	struct fixture *f = *state;
	char path[600], whole[2 * FRAME_BLOCK];
	assert_int_equal(append(f, 0, 1, 100), 0);
	assert_int_equal(append(f, 10, 1, 5000), 0);
	read_file(file_at(f, 0, path), FRAME_BLOCK, whole, sizeof(whole));
	stop(f);
	temp_fini(&f->temp);
	mkdir(f->temp.path, 0700);
	start(f);
	assert_int_equal(append(f, 0, 1, 100), 0);
	syncs_until_failure = 0;
	assert_int_equal(append(f, 10, 1, 5000), -EIO);
	assert_int_equal(append(f, 20, 1, 100), 0);
	overwrite(path, FRAME_BLOCK, whole, sizeof(whole));
	uint64_t seen;
	restart(f);
	read_back(f, &seen);
	assert_int_equal(seen, 1 | 1 << 20);
}

static void a_full_disk_at_the_sync_says_so(void **state)
{
	struct fixture *f = *state;
	failure = ENOSPC;
	syncs_until_failure = 0;
	assert_int_equal(append(f, 0, 1, 100), -ENOSPC);
	assert_int_equal(append(f, 0, 1, 100), 0);
}

static void the_limit_holds(void **state)
{
	struct fixture *f = *state;
	stop(f);
	f->limit = 3 * SEGMENT;
	start(f);
	uint32_t n = 0;
	int r;
	while ((r = append(f, n, 1, 5000)) == 0)
		n++;
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(n, 24);
	assert_int_equal(journal_figures(f->journal).bytes, 3 * SEGMENT);
	assert_int_equal(read_back(f, NULL), n);
	journal_trim(f->journal, SEGMENT);
	assert_int_equal(append(f, n, 1, 5000), 0);
	restart(f);
	assert_int_equal(read_back(f, NULL), n + 1 - 8);
}

#define CHECK(condition)                                                                                     \
	do {                                                                                                 \
		if (!(condition))                                                                            \
			_exit(__LINE__ % 250 + 1);                                                           \
	} while (0)

static void on_a_full_disk(struct fixture *f)
{
	signal(SIGXFSZ, SIG_IGN);
	CHECK(append(f, 0, 1, 100) == 0);
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){ SEGMENT / 2, RLIM_INFINITY });
	uint32_t n = 1;
	while (append(f, n, 1, 5000) == 0)
		n++;
	CHECK(n > 2);
	CHECK(append(f, n, 1, 5000) == -ENOSPC);
	CHECK(read_back(f, NULL) == n);
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
	CHECK(append(f, n, 1, 5000) == 0);
	restart(f);
	CHECK(read_back(f, NULL) == n + 1);
	_exit(0);
}

static void a_full_disk_refuses_and_recovers(void **state)
{
	pid_t child = fork();
	if (child == 0)
		on_a_full_disk(*state);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void memory_may_run_out_anywhere(void **state)
{
	struct fixture *f = *state;
	if (!heap_can_fail())
		skip();
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(append(f, i, 1, 5000), 0);
	for (long n = 0;; n++) {
		stop(f);
		heap_fail_at(n);
		int r = open_journal(f);
		bool failed = heap_failed();
		heap_fail_at(-1);
		if (r)
			assert_int_equal(r, -ENOMEM);
		if (!f->journal)
			start(f);
		assert_int_equal(read_back(f, NULL), 20);
		if (!failed)
			break;
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_checksum_is_the_standard_one),
		TEST(records_come_back_in_order),
		TEST(a_block_is_written_once),
		TEST(what_repeats_takes_fewer_blocks),
		TEST(a_group_larger_than_a_file_has_its_own),
		TEST(what_is_trimmed_goes_and_its_file_is_used_again),
		TEST(positions_go_on_after_everything_was_trimmed),
		TEST(a_torn_end_is_cut_off),
		TEST(a_torn_end_of_many_blocks_is_cut_off),
		TEST(a_torn_end_that_was_squeezed_is_cut_off),
		TEST(the_first_group_of_a_file_may_be_torn_too),
		TEST(a_forged_group_is_not_taken_for_one),
		TEST(a_flipped_bit_costs_its_group_only),
		TEST(a_squeezed_group_that_makes_no_sense_is_damage),
		TEST(what_was_kept_outlives_the_log),
		TEST(a_bad_first_head_costs_the_file),
		TEST(a_missing_file_is_noticed),
		TEST(garbage_does_no_harm),
		TEST(what_could_not_be_synced_is_not_there),
		TEST(a_file_that_follows_ends_the_one_before),
		TEST(a_full_disk_at_the_sync_says_so),
		TEST(the_limit_holds),
		TEST(a_full_disk_refuses_and_recovers),
		TEST(memory_may_run_out_anywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
