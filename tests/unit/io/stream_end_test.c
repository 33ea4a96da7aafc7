/* SPDX-License-Identifier: Apache-2.0 */
/* io/stream: the ways a stream ends, and what its handler may still say then. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/stream_private.h"
#include "stream_rig.h"

static struct stream_rig rig;
static const struct edged_stream_1 *const api = &stream_functions;

static int setup(void **state)
{
	(void)state;
	rig_init(&rig, 2);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_fini(&rig);
	assert_int_equal(stream_counts().open, 0);
	return 0;
}

static void peer_writes_and_reads_all(struct stream_rig *r)
{
	peer_writes(r, "hello", 5);
	peer_reads_all(r);
}

/* --- a handler that goes --- */

#define BIG (8 * 1024 * 1024) /* more than a socket takes */

static struct edged_blob *blob;

static void end_handler(struct post *post)
{
	(void)post;
	streams_end(rig.loops, &rig_handler, &rig);
	assert_int_equal(rig.closed, 1);
	if (!blob)
		return;
	assert_int_equal(blob->refs, 1); /* nobody but us holds what was the handler's */
	memset(blob->data, 'x', blob->len);
}

static struct post end_post = { .fn = end_handler };

static void arrived_then_end(void *conn)
{
	struct stream_rig *r = conn;
	loop_post(loops_at(r->loops, 0), &end_post);
}

static ssize_t move_to_the_other_loop(struct stream_rig *r, const uint8_t *bytes, size_t n)
{
	(void)bytes;
	assert_int_equal(api->move(r->stream, 1, arrived_then_end), 0);
	return (ssize_t)n;
}

static void say_bye(struct stream_rig *r)
{
	assert_int_equal(loop_index(loop_self()), 1);
	assert_int_equal(r->reason, -ESHUTDOWN);
	assert_int_equal(api->write(r->stream, "bye", 3), 0);
}

static void a_handler_that_goes_has_last_words(void **state)
{
	(void)state;
	rig.on_data = move_to_the_other_loop;
	rig.on_closed = say_bye;
	rig.peer = peer_writes_and_reads_all;
	rig_run(&rig);
	assert_int_equal(rig.peer_got.len, 3);
	assert_memory_equal(rig.peer_got.ptr, "bye", 3);
	assert_int_equal(rig.peer_result, 0);
}

static void say_much(struct stream_rig *r)
{
	api->set_marks(r->stream, BIG, 4 * BIG);
	assert_int_equal(api->write(r->stream, "<", 1), 0);
	assert_int_equal(api->write_blob(r->stream, blob, 0, blob->len), 0);
	assert_int_equal(api->write(r->stream, ">", 1), 0);
}

static void say_too_much(struct stream_rig *r)
{
	say_much(r);
	say_much(r);
	say_much(r);
}

static int run_with_blob(void (*last_words)(struct stream_rig *r))
{
	blob = edged_blob_new(BIG);
	assert_non_null(blob);
	memset(blob->data, '.', BIG);
	rig.on_data = move_to_the_other_loop;
	rig.on_closed = last_words;
	rig.peer = peer_writes_and_reads_all;
	rig_run(&rig);
	int wrong = 0;
	for (size_t i = 0; i < rig.peer_got.len; i++)
		wrong += rig.peer_got.ptr[i] == 'x';
	edged_blob_unref(blob);
	blob = NULL;
	return wrong;
}

/* The handler's memory may go with it. */
static void last_words_outlive_their_blob(void **state)
{
	(void)state;
	assert_int_equal(run_with_blob(say_much), 0);
	assert_int_equal(rig.peer_got.len, BIG + 2);
	assert_int_equal(rig.peer_got.ptr[BIG + 1], '>');
}

static void last_words_have_a_limit(void **state)
{
	(void)state;
	assert_int_equal(run_with_blob(say_too_much), 0);
	assert_true(rig.peer_got.len < 3 * BIG);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_handler_that_goes_has_last_words),
		TEST(last_words_outlive_their_blob),
		TEST(last_words_have_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
