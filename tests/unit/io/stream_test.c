/* SPDX-License-Identifier: Apache-2.0 */
/* io/stream: plain streams, their limits, and what handlers may do at awkward moments. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/stream_private.h"
#include "heap.h"
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

static void assert_peer_got(const char *text)
{
	assert_int_equal(rig.peer_got.len, strlen(text));
	assert_memory_equal(rig.peer_got.ptr ? rig.peer_got.ptr : "", text, strlen(text));
}

/* --- bytes --- */

static ssize_t echo(struct stream_rig *r, const uint8_t *bytes, size_t n)
{
	assert_int_equal(api->write(r->stream, bytes, n), 0);
	return (ssize_t)n;
}

static void peer_says_hello(struct stream_rig *r)
{
	peer_writes(r, "hello", 5);
	peer_reads(r, 5);
	shutdown(r->peer_fd, SHUT_WR);
	peer_reads_all(r);
}

static void bytes_go_both_ways_and_the_end_is_in_order(void **state)
{
	(void)state;
	struct stream_counts before = stream_counts();
	rig.on_data = echo;
	rig.peer = peer_says_hello;
	rig_run(&rig);
	assert_peer_got("hello");
	assert_int_equal(rig.opened, 1);
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.reason, 0);
	assert_int_equal(stream_counts().bytes_in - before.bytes_in, 5);
	assert_int_equal(stream_counts().bytes_out - before.bytes_out, 5);
}

static int check_peer(struct stream_rig *r)
{
	const struct edged_peer *peer = api->peer(r->stream);
	assert_string_equal(peer->address, "192.0.2.7:4242");
	assert_string_equal(peer->listener, "test=rig");
	assert_null(peer->subject);
	assert_null(peer->node_id);
	assert_int_equal(peer->uid, 17);
	assert_false(peer->tls);
	assert_false(peer->trusted);
	stream_set_trusted(r->stream, true);
	assert_true(peer->trusted);
	api->close(r->stream);
	return 0;
}

static void the_peer_is_known(void **state)
{
	(void)state;
	rig.origin.uid = 17;
	rig.on_open = check_peer;
	rig_run(&rig);
	assert_int_equal(rig.reason, -ECANCELED);
}

/* Far more than one piece of the queue, in writes that fit no piece evenly, and some larger than the largest. */
static int write_in_bits(struct stream_rig *r)
{
	static uint8_t bytes[200000];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 31 + i / 256);
	for (size_t i = 0, n = 1; i < sizeof(bytes); i += n, n = i % 5000 < 20 ? 20011 : n % 97 + 1) {
		if (n > sizeof(bytes) - i)
			n = sizeof(bytes) - i;
		assert_int_equal(api->write(r->stream, bytes + i, n), 0);
	}
	assert_int_equal(api->queued(r->stream), sizeof(bytes));
	api->close(r->stream);
	return 0;
}

static void many_small_writes_arrive_whole_and_in_order(void **state)
{
	(void)state;
	rig.on_open = write_in_bits;
	rig_run(&rig);
	assert_int_equal(rig.peer_got.len, 200000);
	for (size_t i = 0; i < 200000; i++)
		assert_int_equal((uint8_t)rig.peer_got.ptr[i], (uint8_t)(i * 31 + i / 256));
}

/* Takes records of ten bytes, one at a time. */
static ssize_t take_records(struct stream_rig *r, const uint8_t *bytes, size_t n)
{
	size_t used = n / 10 * 10;
	assert_int_equal(buf_add(&r->got, bytes, used), 0);
	if (r->got.len >= 100000)
		api->close(r->stream);
	return (ssize_t)used;
}

static void peer_dribbles(struct stream_rig *r)
{
	char bytes[100000];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 31 + i / 256);
	for (size_t i = 0, n = 1; i < sizeof(bytes); i += n, n = n * 2 % 8191) {
		if (n > sizeof(bytes) - i)
			n = sizeof(bytes) - i;
		peer_writes(r, bytes + i, n);
	}
	peer_reads_all(r);
}

static void unused_bytes_are_shown_again_in_front_of_the_next(void **state)
{
	(void)state;
	rig.on_data = take_records;
	rig.peer = peer_dribbles;
	rig_run(&rig);
	assert_int_equal(rig.got.len, 100000);
	for (size_t i = 0; i < 100000; i++)
		assert_int_equal(rig.got.ptr[i], (char)(i * 31 + i / 256));
}

/* Wants one big record, larger than any buffer of the loop. */
static ssize_t take_whole(struct stream_rig *r, const uint8_t *bytes, size_t n)
{
	if (n < 500000)
		return 0;
	assert_int_equal(buf_add(&r->got, bytes, n), 0);
	api->close(r->stream);
	return (ssize_t)n;
}

static int allow_much(struct stream_rig *r)
{
	api->set_read_limit(r->stream, 500000);
	return 0;
}

static void peer_sends_half_a_million(struct stream_rig *r)
{
	static char bytes[500000];
	memset(bytes, 'x', sizeof(bytes));
	bytes[0] = 'a';
	bytes[499999] = 'z';
	peer_writes(r, bytes, sizeof(bytes));
	peer_reads_all(r);
}

static void a_handler_may_wait_for_a_big_record(void **state)
{
	(void)state;
	rig.on_open = allow_much;
	rig.on_data = take_whole;
	rig.peer = peer_sends_half_a_million;
	rig_run(&rig);
	assert_int_equal(rig.got.len, 500000);
	assert_int_equal(rig.got.ptr[0], 'a');
	assert_int_equal(rig.got.ptr[499999], 'z');
}

static void who_leaves_too_much_unused_is_closed(void **state)
{
	(void)state;
	rig.on_data = take_whole; /* without allow_much() */
	rig.peer = peer_sends_half_a_million;
	rig_run(&rig);
	assert_int_equal(rig.reason, -ENOBUFS);
	assert_int_equal(rig.got.len, 0);
}

#define BLOB (10u * 1024 * 1024)

static int send_big_blob(struct stream_rig *r)
{
	struct edged_blob *blob = edged_blob_new(BLOB + 7);
	assert_non_null(blob);
	for (size_t i = 0; i < blob->len; i++)
		blob->data[i] = (uint8_t)(i * 7 + i / 1000);
	assert_int_equal(api->write(r->stream, "<", 1), 0);
	assert_int_equal(api->write_blob(r->stream, blob, BLOB, 8), -EINVAL);
	assert_int_equal(api->write_blob(r->stream, blob, 7, BLOB), 0);
	assert_int_equal(api->queued(r->stream), BLOB + 1);
	assert_true(api->is_full(r->stream));
	edged_blob_unref(blob);
	return 0;
}

static void finish_with_a_bracket(struct stream_rig *r)
{
	assert_int_equal(api->write(r->stream, ">", 1), 0);
	api->close(r->stream);
	assert_int_equal(api->write(r->stream, "x", 1), -EPIPE);
}

static void a_big_blob_arrives_intact_through_a_narrow_socket(void **state)
{
	(void)state;
	int narrow = 4096;
	setsockopt(rig.origin.fd, SOL_SOCKET, SO_SNDBUF, &narrow, sizeof(narrow));
	rig.on_open = send_big_blob;
	rig.on_drained = finish_with_a_bracket;
	rig_run(&rig);
	assert_int_equal(rig.drained, 1);
	assert_int_equal(rig.peer_got.len, BLOB + 2);
	assert_int_equal(rig.peer_got.ptr[0], '<');
	assert_int_equal(rig.peer_got.ptr[BLOB + 1], '>');
	for (size_t i = 0; i < BLOB; i++)
		if ((uint8_t)rig.peer_got.ptr[i + 1] != (uint8_t)((i + 7) * 7 + (i + 7) / 1000))
			fail_msg("byte %zu is wrong", i);
	assert_int_equal(rig.reason, -ECANCELED);
}

static int send_many_small(struct stream_rig *r)
{
	struct edged_blob *blob = edged_blob_new(3);
	memcpy(blob->data, "abc", 3);
	for (int i = 0; i < 5000; i++) {
		assert_int_equal(api->write(r->stream, "12", 2), 0);
		assert_int_equal(api->write_blob(r->stream, blob, 1, 2), 0);
	}
	edged_blob_unref(blob);
	api->close(r->stream);
	return 0;
}

static void many_pieces_keep_their_order(void **state)
{
	(void)state;
	rig.on_open = send_many_small;
	rig_run(&rig);
	assert_int_equal(rig.peer_got.len, 20000);
	for (size_t i = 0; i < 20000; i += 4)
		assert_memory_equal(rig.peer_got.ptr + i, "12bc", 4);
}

/* --- limits and deadlines --- */

static int write_without_end(struct stream_rig *r)
{
	static const char bytes[4096];
	int result = 0;
	size_t n = 0;
	for (; !result && n < 100u * 1024 * 1024; n += sizeof(bytes))
		result = api->write(r->stream, bytes, sizeof(bytes));
	assert_int_equal(result, -ENOBUFS);
	assert_true(n <= 1024u * 1024 + 2 * sizeof(bytes));
	assert_int_equal(api->write(r->stream, bytes, 1), -EPIPE);
	return 0;
}

static void wait_for_end(struct stream_rig *r)
{
	char byte;
	while (recv(r->peer_fd, &byte, 1, MSG_PEEK) > 0 && __atomic_load_n(&r->closed, __ATOMIC_RELAXED) == 0)
		usleep(1000);
}

static void who_does_not_read_hits_the_hard_limit(void **state)
{
	(void)state;
	rig.on_open = write_without_end;
	rig.peer = wait_for_end;
	rig_run(&rig);
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.reason, -ENOBUFS);
}

static int end_soon(struct stream_rig *r)
{
	api->deadline(r->stream, 60000);
	api->deadline(r->stream, 300);
	return 0;
}

static void peer_sends_a_byte_each_ms(struct stream_rig *r)
{
	while (r->peer_result == 0) {
		peer_writes(r, "x", 1);
		usleep(1000);
	}
}

static void deadlines_are_absolute(void **state)
{
	(void)state;
	rig.on_open = end_soon;
	rig.peer = peer_sends_a_byte_each_ms;
	rig_run(&rig);
	assert_int_equal(rig.reason, -ETIMEDOUT);
	assert_true(rig.got.len > 2);
	assert_true(rig.closed_after_ms >= 300 && rig.closed_after_ms < 60000);
}

static int end_in_half_a_second(struct stream_rig *r)
{
	api->deadline(r->stream, 500);
	return 0;
}

static ssize_t move_deadline(struct stream_rig *r, const uint8_t *bytes, size_t n)
{
	(void)bytes;
	if (++r->step == 1)
		api->deadline(r->stream, 60000);
	if (r->step == 2) {
		api->deadline(r->stream, 50);
		api->deadline(r->stream, 0);
	}
	if (r->step == 3)
		api->close(r->stream);
	return (ssize_t)n;
}

static void peer_sends_three_apart(struct stream_rig *r)
{
	peer_writes(r, "x", 1);
	usleep(600000);
	peer_writes(r, "x", 1);
	usleep(100000);
	peer_writes(r, "x", 1);
	peer_reads_all(r);
}

static void deadlines_move_and_go(void **state)
{
	(void)state;
	rig.on_open = end_in_half_a_second;
	rig.on_data = move_deadline;
	rig.peer = peer_sends_three_apart;
	rig_run(&rig);
	assert_int_equal(rig.reason, -ECANCELED);
}

static int send_and_close(struct stream_rig *r)
{
	send_big_blob(r);
	api->close(r->stream);
	return 0;
}

static void closing_waits_two_seconds_at_most(void **state)
{
	(void)state;
	rig.on_open = send_and_close;
	rig.peer = wait_for_end;
	rig_run(&rig);
	assert_int_equal(rig.reason, -ECANCELED);
	assert_true(rig.closed_after_ms >= 2000 && rig.closed_after_ms < 60000);
}

/* --- awkward moments --- */

static ssize_t say_bye(struct stream_rig *r, const uint8_t *bytes, size_t n)
{
	(void)bytes;
	assert_int_equal(api->write(r->stream, "bye", 3), 0);
	api->close(r->stream);
	api->close(r->stream);
	return (ssize_t)(n > 10 ? 10 : n);
}

static void peer_sends_much_then_reads(struct stream_rig *r)
{
	static char bytes[3 * 1024 * 1024];
	peer_writes(r, bytes, sizeof(bytes));
	r->step = r->peer_result; /* a reset would have stopped it */
	shutdown(r->peer_fd, SHUT_WR);
	peer_reads_all(r);
}

static void last_words_arrive_although_the_peer_is_still_sending(void **state)
{
	(void)state;
	rig.on_data = say_bye;
	rig.peer = peer_sends_much_then_reads;
	rig_run(&rig);
	assert_peer_got("bye");
	assert_int_equal(rig.step, 0);
	assert_int_equal(rig.peer_result, 0);
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.reason, -ECANCELED);
}

static ssize_t refuse(struct stream_rig *r, const uint8_t *bytes, size_t n)
{
	(void)bytes;
	(void)n;
	assert_int_equal(api->write(r->stream, "no", 2), 0);
	return -EBADMSG;
}

static void an_error_from_data_closes_after_the_queue_is_out(void **state)
{
	(void)state;
	rig.on_data = refuse;
	rig.peer = peer_sends_much_then_reads;
	rig_run(&rig);
	assert_peer_got("no");
	assert_int_equal(rig.reason, -EBADMSG);
}

static int abort_in_open(struct stream_rig *r)
{
	assert_int_equal(api->write(r->stream, "x", 1), 0);
	api->abort(r->stream);
	api->abort(r->stream);
	api->close(r->stream);
	return 0;
}

static void abort_inside_open_drops_what_is_queued(void **state)
{
	(void)state;
	rig.on_open = abort_in_open;
	rig.origin.owner = NULL;
	rig_run(&rig);
	assert_peer_got("");
	assert_int_equal(rig.opened, 1);
	assert_int_equal(rig.created, 0);
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.reason, -ECANCELED);
}

static int refuse_in_open(struct stream_rig *r)
{
	(void)r;
	return -EACCES;
}

static void a_refusal_in_open_is_not_followed_by_closed(void **state)
{
	(void)state;
	rig.on_open = refuse_in_open;
	rig_run(&rig);
	assert_int_equal(rig.created, -EACCES);
	assert_int_equal(rig.closed, 0);
	assert_peer_got("");
}

static struct timer *resume_timer;

static void resume_later(void *arg)
{
	(void)arg;
	rig.step = 2;
	api->resume(rig.stream);
	timer_free(resume_timer);
}

static ssize_t pause_once(struct stream_rig *r, const uint8_t *bytes, size_t n)
{
	if (r->step == 0) {
		r->step = 1;
		api->pause(r->stream);
		assert_int_equal(timer_new(stream_loop(r->stream), resume_later, NULL, &resume_timer), 0);
		timer_set(resume_timer, 30);
		return 2;
	}
	assert_int_equal(r->step, 2); /* not called while paused */
	assert_int_equal(buf_add(&r->got, bytes, n), 0);
	if (r->got.len == 6)
		api->close(r->stream);
	return (ssize_t)n;
}

static void peer_sends_in_two_parts(struct stream_rig *r)
{
	peer_writes(r, "12345", 5);
	usleep(10000);
	peer_writes(r, "678", 3);
	peer_reads_all(r);
}

static void a_paused_stream_is_silent_and_forgets_nothing(void **state)
{
	(void)state;
	rig.on_data = pause_once;
	rig.peer = peer_sends_in_two_parts;
	rig_run(&rig);
	assert_int_equal(rig.got.len, 6);
	assert_memory_equal(rig.got.ptr, "345678", 6);
}

/* --- choosing --- */

static int choose_by_word(void *arg, struct edged_stream *stream, struct edged_slice alpn,
        struct edged_slice first_bytes, const struct edged_stream_handler **ret_handler, void **ret_self)
{
	(void)stream;
	assert_null(alpn.ptr);
	assert_true(first_bytes.len > 0 && first_bytes.len <= 16);
	if (first_bytes.len < 4)
		return STREAM_NEED_MORE;
	if (!edged_slice_starts(first_bytes, "word"))
		return -ENOPROTOOPT;
	*ret_handler = &rig_handler;
	*ret_self = arg;
	return 0;
}

static void peer_sends_a_word(struct stream_rig *r)
{
	peer_writes(r, "w", 1);
	usleep(5000);
	peer_writes(r, "ord and more", 12);
	shutdown(r->peer_fd, SHUT_WR);
	peer_reads_all(r);
}

static void first_bytes_choose_the_handler_and_are_shown_to_it(void **state)
{
	(void)state;
	rig.chooser.choose = choose_by_word;
	rig.chooser.wants_bytes = true;
	rig.origin.handshake_ms = 5000;
	rig.peer = peer_sends_a_word;
	rig_run(&rig);
	assert_int_equal(rig.got.len, 13);
	assert_memory_equal(rig.got.ptr, "word and more", 13);
}

struct watcher {
	struct stream_owner owner;
	int reason, told;
};

static void stop_when_gone(struct stream_owner *owner, int reason)
{
	struct watcher *w = CONTAINER_OF(owner, struct watcher, owner);
	w->reason = reason;
	w->told++;
	loops_stop(rig.loops);
}

static void peer_sends_garbage(struct stream_rig *r)
{
	peer_writes(r, "garbage", 7);
	peer_reads_all(r);
}

static void garbage_is_closed(void **state)
{
	(void)state;
	struct watcher w = { .owner.gone = stop_when_gone };
	rig.chooser.choose = choose_by_word;
	rig.chooser.wants_bytes = true;
	rig.origin.owner = &w.owner;
	rig.peer = peer_sends_garbage;
	rig_run(&rig);
	assert_int_equal(w.told, 1);
	assert_int_equal(w.reason, -ENOPROTOOPT);
	assert_int_equal(rig.opened, 0);
}

static void who_says_nothing_is_closed_in_time(void **state)
{
	(void)state;
	struct watcher w = { .owner.gone = stop_when_gone };
	rig.chooser.choose = choose_by_word;
	rig.chooser.wants_bytes = true;
	rig.origin.handshake_ms = 30;
	rig.origin.owner = &w.owner;
	rig_run(&rig);
	assert_int_equal(w.reason, -ETIMEDOUT);
}

/* --- changing hands --- */

static int second_opens;

static int second_open(void *self, struct edged_stream *stream, void **ret_conn)
{
	assert_ptr_equal(self, &second_opens);
	assert_ptr_equal(stream, rig.stream);
	assert_false(rig.inside);
	second_opens++;
	*ret_conn = &rig;
	return 0;
}

static ssize_t second_data(void *conn, const uint8_t *bytes, size_t n)
{
	assert_ptr_equal(conn, &rig);
	assert_int_equal(buf_add(&rig.got, bytes, n), 0);
	if (rig.got.len >= 9)
		api->close(rig.stream);
	return (ssize_t)n;
}

static void second_closed(void *conn, int reason)
{
	rig_handler.closed(conn, reason);
}

static const struct edged_stream_handler second_handler = { .struct_size = sizeof(second_handler),
	.open = second_open,
	.data = second_data,
	.closed = second_closed };

static ssize_t hand_over(struct stream_rig *r, const uint8_t *bytes, size_t n)
{
	struct edged_slice pending = edged_slice(bytes + 3, n - 3);
	assert_int_equal(api->write(r->stream, "first.", 6), 0);
	assert_int_equal(stream_hand_over(r->stream, &second_handler, &second_opens, pending), 0);
	assert_int_equal(stream_hand_over(r->stream, &second_handler, &second_opens, pending), -EPIPE);
	return (ssize_t)n;
}

static void peer_talks_to_both(struct stream_rig *r)
{
	peer_writes(r, "oneSECO", 7);
	peer_reads(r, 6);
	peer_writes(r, "ND...", 5);
	peer_reads_all(r);
}

static void a_handler_hands_over_inside_data(void **state)
{
	(void)state;
	second_opens = 0;
	rig.on_data = hand_over;
	rig.peer = peer_talks_to_both;
	rig_run(&rig);
	assert_int_equal(second_opens, 1);
	assert_int_equal(rig.got.len, 9);
	assert_memory_equal(rig.got.ptr, "SECOND...", 9);
	assert_int_equal(rig.closed, 1);
	assert_peer_got("first.");
}

static void hand_over_now(void *arg)
{
	(void)arg;
	timer_free(resume_timer);
	assert_int_equal(
	        stream_hand_over(rig.stream, &second_handler, &second_opens, edged_slice("pend", 4)), 0);
}

static ssize_t hand_over_later(struct stream_rig *r, const uint8_t *bytes, size_t n)
{
	(void)bytes;
	assert_int_equal(api->write(r->stream, "more", 4), 0);
	api->pause(r->stream);
	assert_int_equal(timer_new(stream_loop(r->stream), hand_over_now, NULL, &resume_timer), 0);
	timer_set(resume_timer, 1);
	return (ssize_t)n - 3;
}

static void peer_sends_seven(struct stream_rig *r)
{
	peer_writes(r, "1234567", 7);
	peer_reads(r, 4); /* so that the rest comes by itself */
	peer_writes(r, "89", 2);
	peer_reads_all(r);
}

static void a_handler_hands_over_outside_data_with_what_it_left(void **state)
{
	(void)state;
	second_opens = 0;
	rig.on_data = hand_over_later;
	rig.peer = peer_sends_seven;
	rig_run(&rig);
	assert_int_equal(rig.got.len, 9);
	assert_memory_equal(rig.got.ptr, "pend56789", 9);
}

/* --- moving --- */

static void arrived(void *conn)
{
	struct stream_rig *r = conn;
	assert_ptr_equal(loop_self(), stream_loop(r->stream));
	assert_int_equal(loop_index(loop_self()), (unsigned)r->step % 2);
}

/* Takes three bytes at a time, echoes them and goes to the other loop. */
static ssize_t hop(struct stream_rig *r, const uint8_t *bytes, size_t n)
{
	assert_ptr_equal(loop_self(), stream_loop(r->stream));
	assert_int_equal(loop_index(loop_self()), (unsigned)r->step % 2);
	if (n < 3)
		return 0;
	assert_int_equal(api->write(r->stream, bytes, 3), 0);
	r->step++;
	assert_int_equal(api->move(r->stream, 9, arrived), -EINVAL);
	assert_int_equal(api->move(r->stream, (unsigned)r->step % 2, arrived), 0);
	return 3;
}

static void peer_sends_steps(struct stream_rig *r)
{
	char bytes[3000];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	peer_writes(r, bytes, sizeof(bytes));
	peer_reads(r, sizeof(bytes));
}

static void a_stream_moves_between_loops_and_loses_nothing(void **state)
{
	(void)state;
	rig.on_data = hop;
	rig.peer = peer_sends_steps;
	rig_run(&rig);
	assert_int_equal(rig.step, 1000);
	assert_int_equal(rig.peer_got.len, 3000);
	for (size_t i = 0; i < 3000; i++)
		assert_int_equal(rig.peer_got.ptr[i], (char)i);
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.reason, 0);
}

static ssize_t move_with_deadline(struct stream_rig *r, const uint8_t *bytes, size_t n)
{
	(void)bytes;
	if (r->step++ == 0) {
		api->deadline(r->stream, 40);
		assert_int_equal(api->move(r->stream, 1, arrived), 0);
	}
	return (ssize_t)n;
}

static void a_deadline_moves_along(void **state)
{
	(void)state;
	rig.on_data = move_with_deadline;
	rig.peer = peer_sends_garbage;
	rig_run(&rig);
	assert_int_equal(rig.reason, -ETIMEDOUT);
	assert_true(rig.closed_after_ms >= 40 && rig.closed_after_ms < 60000);
}

static ssize_t move_and_abort(struct stream_rig *r, const uint8_t *bytes, size_t n)
{
	(void)bytes;
	assert_int_equal(api->move(r->stream, 1, arrived), 0);
	api->abort(r->stream);
	return (ssize_t)n;
}

static void a_stream_that_ends_does_not_move(void **state)
{
	(void)state;
	rig.on_data = move_and_abort;
	rig.peer = peer_sends_garbage;
	rig_run(&rig);
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.reason, -ECANCELED);
}

static void end_all(struct post *post)
{
	(void)post;
	assert_int_equal(rig.closed, 0);
	streams_end(rig.loops, &rig_handler, &rig);
	assert_int_equal(rig.closed, 1);
}

static struct post end_post = { .fn = end_all };

static void arrived_then_end(void *conn)
{
	struct stream_rig *r = conn;
	loop_post(loops_at(r->loops, 0), &end_post);
}

static ssize_t move_away(struct stream_rig *r, const uint8_t *bytes, size_t n)
{
	(void)bytes;
	assert_int_equal(api->move(r->stream, 1, arrived_then_end), 0);
	return (ssize_t)n;
}

static void all_streams_of_a_handler_end_on_all_loops(void **state)
{
	(void)state;
	rig.on_data = move_away;
	rig.peer = peer_sends_garbage;
	rig_run(&rig);
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.reason, -ESHUTDOWN);
}

/* --- cost, and no memory --- */

#define CROWD 200

static int crowd_open(void *self, struct edged_stream *stream, void **ret_conn)
{
	(void)self;
	(void)stream;
	*ret_conn = NULL;
	return 0;
}

static void crowd_closed(void *conn, int reason)
{
	(void)conn;
	(void)reason;
}

static const struct edged_stream_handler crowd_handler = {
	.struct_size = sizeof(crowd_handler), .open = crowd_open, .closed = crowd_closed
};

static int choose_crowd(void *arg, struct edged_stream *stream, struct edged_slice alpn,
        struct edged_slice first_bytes, const struct edged_stream_handler **ret_handler, void **ret_self)
{
	(void)stream;
	(void)alpn;
	(void)first_bytes;
	*ret_handler = &crowd_handler;
	*ret_self = arg;
	return 0;
}

static int new_idle(struct loops *loops, int *ret_peer)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	struct stream_origin origin = {
		.fd = pair[0], .listener = "mqtt=*:1883", .address = "192.168.100.200:54321", .uid = -1
	};
	struct stream_chooser chooser = { .choose = choose_crowd };
	*ret_peer = pair[1];
	return stream_new(loops_at(loops, 0), &origin, &chooser, NULL);
}

static void an_idle_stream_costs_400_bytes_at_most(void **state)
{
	(void)state;
	struct loops *loops;
	int peers[CROWD + 1];
	assert_int_equal(loops_new(1, &loops), 0);
	assert_int_equal(new_idle(loops, &peers[CROWD]), 0);
	size_t before = mallinfo2().uordblks;
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(new_idle(loops, &peers[i]), 0);
	size_t each = (mallinfo2().uordblks - before) / CROWD;
	print_message("an idle stream: %zu bytes of heap, %zu of them its own\n", each,
	        sizeof(struct edged_stream));
	assert_true(sizeof(struct edged_stream) <= 400);
	if (heap_can_fail())
		assert_true(each <= 528); /* with its address, the deadline's place and libevent's tables */
	for (int i = 0; i <= CROWD; i++)
		close(peers[i]);
	loops_free(loops);
}

static void no_memory_refuses_a_stream_and_leaks_nothing(void **state)
{
	(void)state;
	int r = -1, peer;
	for (long n = 0; heap_can_fail() && r; n++) {
		struct loops *loops;
		assert_int_equal(loops_new(1, &loops), 0);
		heap_fail_at(n);
		r = new_idle(loops, &peer);
		bool failed = heap_failed();
		heap_fail_at(-1);
		if (!failed)
			assert_int_equal(r, 0);
		loops_free(loops);
		close(peer);
		if (failed && !r)
			r = -1; /* libevent's event_add() failed: the stream ended by itself */
	}
	assert_int_equal(stream_counts().open, 0);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(bytes_go_both_ways_and_the_end_is_in_order),
		WITH_RIG(the_peer_is_known),
		WITH_RIG(many_small_writes_arrive_whole_and_in_order),
		WITH_RIG(unused_bytes_are_shown_again_in_front_of_the_next),
		WITH_RIG(a_handler_may_wait_for_a_big_record),
		WITH_RIG(who_leaves_too_much_unused_is_closed),
		WITH_RIG(a_big_blob_arrives_intact_through_a_narrow_socket),
		WITH_RIG(many_pieces_keep_their_order),
		WITH_RIG(who_does_not_read_hits_the_hard_limit),
		WITH_RIG(deadlines_are_absolute),
		WITH_RIG(deadlines_move_and_go),
		WITH_RIG(closing_waits_two_seconds_at_most),
		WITH_RIG(last_words_arrive_although_the_peer_is_still_sending),
		WITH_RIG(an_error_from_data_closes_after_the_queue_is_out),
		WITH_RIG(abort_inside_open_drops_what_is_queued),
		WITH_RIG(a_refusal_in_open_is_not_followed_by_closed),
		WITH_RIG(a_paused_stream_is_silent_and_forgets_nothing),
		WITH_RIG(first_bytes_choose_the_handler_and_are_shown_to_it),
		WITH_RIG(garbage_is_closed),
		WITH_RIG(who_says_nothing_is_closed_in_time),
		WITH_RIG(a_handler_hands_over_inside_data),
		WITH_RIG(a_handler_hands_over_outside_data_with_what_it_left),
		WITH_RIG(a_stream_moves_between_loops_and_loses_nothing),
		WITH_RIG(a_deadline_moves_along),
		WITH_RIG(a_stream_that_ends_does_not_move),
		WITH_RIG(all_streams_of_a_handler_end_on_all_loops),
		cmocka_unit_test(an_idle_stream_costs_400_bytes_at_most),
		cmocka_unit_test(no_memory_refuses_a_stream_and_leaks_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
