/* SPDX-License-Identifier: Apache-2.0 */
/* base/: buffers, handles, maps and state machines. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/handle.h"
#include "base/map.h"
#include "base/sm.h"
#include "base/thread.h"
#include "heap.h"

static void buf_grows_up_to_its_limit(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 10);
	assert_int_equal(buf_add_str(&buf, "12345"), 0);
	assert_int_equal(buf_add_str(&buf, "123456"), -ENOBUFS);
	assert_string_equal(buf.ptr, "12345");
	assert_int_equal(buf_addf(&buf, "%d", 67890), 0);
	buf_drop(&buf, 4);
	assert_string_equal(buf.ptr, "567890");
	buf_fini(&buf);
}

static void buf_writes_json_strings(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		size_t len;
		const char *out;
	} rows[] = {
		{ "plain", 5, "\"plain\"" },
		{ "a\"b\\c\n\x01", 7, "\"a\\\"b\\\\c\\n\\u0001\"" },
		{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"" },
		{ "\xff\xc3", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf_fini) struct buf buf = BUF_EMPTY;
		assert_int_equal(buf_add_json(&buf, edged_slice(rows[i].in, rows[i].len)), 0);
		assert_string_equal(buf.ptr, rows[i].out);
	}
}

static void stale_handles_find_nothing(void **state)
{
	(void)state;
	struct handles handles;
	handles_init(&handles, 3);
	int a = 1, b = 2;
	uint64_t ha, hb, hc;
	assert_int_equal(handles_add(&handles, &a, &ha), 0);
	assert_int_equal(handles_add(&handles, &b, &hb), 0);
	assert_ptr_equal(handles_get(&handles, ha), &a);
	assert_ptr_equal(handles_remove(&handles, ha), &a);
	assert_null(handles_get(&handles, ha));
	assert_int_equal(handles_add(&handles, &a, &hc), 0);
	assert_int_equal((uint32_t)ha, (uint32_t)hc);
	assert_null(handles_get(&handles, ha));
	assert_null(handles_get(&handles, 0));
	assert_null(handles_get(&handles, UINT64_MAX));
	assert_int_equal(handles_add(&handles, &a, &ha), 0);
	assert_int_equal(handles_add(&handles, &a, &ha), -ENOSPC);
	handles_fini(&handles);
}

static void map_keeps_what_was_put(void **state)
{
	(void)state;
	struct map map;
	map_init(&map);
	static int values[1000];
	char key[16];
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_int_equal(map_add(&map, edged_str(key), &values[i]), 0);
	}
	assert_int_equal(map_add(&map, edged_str("k7"), &values[0]), -EEXIST);
	assert_ptr_equal(map_get(&map, edged_str("k999")), &values[999]);
	assert_ptr_equal(map_remove(&map, edged_str("k7")), &values[7]);
	assert_null(map_get(&map, edged_str("k7")));
	size_t n = 0;
	for (struct map_entry *e = map_first(&map); e; e = map_next(&map, e))
		n++;
	assert_int_equal(n, 999);
	map_fini(&map);
}

static void map_survives_lack_of_memory(void **state)
{
	(void)state;
	if (!heap_can_fail())
		skip();
	for (long n = 0;; n++) {
		struct map map;
		map_init(&map);
		int value = 0;
		heap_fail_at(n);
		int r = 0;
		for (int i = 0; i < 40 && !r; i++)
			r = map_add(&map, edged_slice(&i, sizeof(i)), &value);
		bool failed = heap_failed();
		heap_fail_at(-1);
		assert_int_equal(r, failed ? -ENOMEM : 0);
		map_fini(&map);
		if (!failed)
			break;
	}
}

static void sm_knows_its_moves(void **state)
{
	(void)state;
	static const struct sm_state table[] = { { "a", SM_TO(1) }, { "b", 0 } };
	struct sm sm;
	sm_init(&sm, table, 2, 0);
	assert_true(sm_may(&sm, 1));
	assert_false(sm_may(&sm, 0));
	sm_move(&sm, 1);
	assert_string_equal(sm_name(&sm), "b");
}

static void *note_signals(void *arg)
{
	pthread_sigmask(SIG_BLOCK, NULL, arg);
	return NULL;
}

static void threads_get_no_signals(void **state)
{
	(void)state;
	pthread_t thread;
	sigset_t theirs, ours;
	assert_int_equal(thread_start(&thread, 0, note_signals, &theirs), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(sigismember(&theirs, SIGTERM) && sigismember(&theirs, SIGHUP));
	pthread_sigmask(SIG_BLOCK, NULL, &ours);
	assert_false(sigismember(&ours, SIGTERM));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buf_grows_up_to_its_limit),
		cmocka_unit_test(buf_writes_json_strings),
		cmocka_unit_test(stale_handles_find_nothing),
		cmocka_unit_test(map_keeps_what_was_put),
		cmocka_unit_test(map_survives_lack_of_memory),
		cmocka_unit_test(sm_knows_its_moves),
		cmocka_unit_test(threads_get_no_signals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
