/* SPDX-License-Identifier: Apache-2.0 */
/* io/stream_websocket: frames in and out, and peers that break the rules. */
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

#include "stream_rig.h"

static struct stream_rig rig;
static const struct edged_stream_1 *const api = &stream_functions;
static struct buf wire; /* what the peer sends */
static size_t chunk;    /* in pieces of this size */

static int setup(void **state)
{
	(void)state;
	rig_init(&rig, 1);
	buf_init(&wire, 0);
	chunk = SIZE_MAX;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_fini(&rig);
	buf_fini(&wire);
	assert_int_equal(stream_counts().open, 0);
	return 0;
}

/* Adds a client's frame; `first` is FIN, RSV and opcode. */
static void add_frame(uint8_t first, const void *bytes, size_t n, bool masked)
{
	static const uint8_t mask[4] = { 0x12, 0x34, 0x56, 0x78 };
	uint8_t head[10] = { first };
	size_t len = n < 126 ? 2 : n < 65536 ? 4 : 10;
	head[1] = (uint8_t)((n < 126 ? n : n < 65536 ? 126 : 127) | (masked ? 0x80 : 0));
	for (size_t i = 2; i < len; i++)
		head[i] = (uint8_t)((uint64_t)n >> (8 * (len - 1 - i)));
	assert_int_equal(buf_add(&wire, head, len), 0);
	if (masked)
		assert_int_equal(buf_add(&wire, mask, 4), 0);
	for (size_t i = 0; i < n; i++) {
		uint8_t byte = ((const uint8_t *)bytes)[i] ^ (masked ? mask[i % 4] : 0);
		assert_int_equal(buf_add(&wire, &byte, 1), 0);
	}
}

static int become_websocket(struct stream_rig *r)
{
	assert_int_equal(stream_become_websocket(r->stream), 0);
	assert_int_equal(stream_become_websocket(r->stream), -EINVAL);
	assert_true(api->peer(r->stream)->websocket);
	return 0;
}

static void peer_sends_wire(struct stream_rig *r)
{
	for (size_t i = 0; i < wire.len; i += chunk) {
		peer_writes(r, wire.ptr + i, chunk < wire.len - i ? chunk : wire.len - i);
		if (chunk == SIZE_MAX)
			break;
	}
	shutdown(r->peer_fd, SHUT_WR);
	peer_reads_all(r);
}

static void run(void)
{
	if (!rig.on_open)
		rig.on_open = become_websocket;
	rig.peer = peer_sends_wire;
	rig_run(&rig);
}

static void assert_peer_got(const void *bytes, size_t n)
{
	assert_int_equal(rig.peer_got.len, n);
	assert_memory_equal(rig.peer_got.ptr, bytes, n);
}

static void add_conversation(void)
{
	add_frame(0x82, "abc", 3, true);
	add_frame(0x02, "de", 2, true);
	add_frame(0x89, "ping", 4, true);
	add_frame(0x00, "", 0, true);
	add_frame(0x80, "fg", 2, true);
	add_frame(0x8a, "pong", 4, true);
	add_frame(0x88, "\x03\xe8", 2, true);
}

static void messages_are_joined_pings_answered_and_the_end_is_orderly(void **state)
{
	(void)state;
	add_conversation();
	run();
	assert_int_equal(rig.got.len, 7);
	assert_memory_equal(rig.got.ptr, "abcdefg", 7);
	assert_peer_got("\x8a\x04ping\x88\x02\x03\xe8", 10);
	assert_int_equal(rig.reason, 0);
}

static void frames_may_come_byte_by_byte(void **state)
{
	(void)state;
	add_conversation();
	chunk = 1;
	run();
	assert_memory_equal(rig.got.ptr, "abcdefg", 7);
	assert_peer_got("\x8a\x04ping\x88\x02\x03\xe8", 10);
}

static void long_messages_arrive_whole(void **state)
{
	(void)state;
	static uint8_t bytes[300000];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i % 251);
	add_frame(0x82, bytes, 200, true);
	add_frame(0x82, bytes + 200, 65535, true);
	add_frame(0x82, bytes + 65735, sizeof(bytes) - 65735, true);
	chunk = 7777;
	run();
	assert_int_equal(rig.got.len, sizeof(bytes));
	assert_memory_equal(rig.got.ptr, bytes, sizeof(bytes));
}

static int write_three_times(struct stream_rig *r)
{
	become_websocket(r);
	struct edged_blob *blob = edged_blob_new(70000);
	memset(blob->data, 'b', 70000);
	assert_int_equal(api->write(r->stream, "ab", 2), 0);
	assert_int_equal(api->write_blob(r->stream, blob, 0, 70000), 0);
	assert_int_equal(api->write(r->stream, "yz", 2), 0);
	api->close(r->stream);
	edged_blob_unref(blob);
	return 0;
}

static void what_is_written_in_one_turn_is_one_frame(void **state)
{
	(void)state;
	rig.on_open = write_three_times;
	run();
	assert_int_equal(rig.peer_got.len, 10 + 70004 + 4);
	assert_memory_equal(rig.peer_got.ptr,
	        "\x82\x7f\0\0\0\0\0\x01\x11\x74"
	        "abbb",
	        14);
	assert_memory_equal(rig.peer_got.ptr + 10 + 70001, "byz\x88\x02\x03\xe8", 7);
}

static ssize_t answer(struct stream_rig *r, const uint8_t *bytes, size_t n)
{
	assert_int_equal(api->write(r->stream, bytes, n), 0);
	return (ssize_t)n;
}

/* Messages of many sizes, written in pieces, behind each other in one turn. */
static const size_t sizes[] = { 1, 2, 125, 126, 127, 3000, 1, 65535, 65536, 4, 200000, 5 };

static size_t piece_of(size_t n)
{
	return n < 10 ? n : n / 3 + 1;
}

static int write_messages(struct stream_rig *r)
{
	become_websocket(r);
	for (int round = 0; round < 20; round++)
		for (size_t i = 0; i < ARRAY_LEN(sizes) - (round > 1 ? 5 : 0); i++) {
			static uint8_t bytes[200000];
			memset(bytes, (int)i + round, sizes[i]);
			for (size_t at = 0, n; at < sizes[i]; at += n) {
				n = piece_of(sizes[i]) < sizes[i] - at ? piece_of(sizes[i]) : sizes[i] - at;
				assert_int_equal(api->write(r->stream, bytes + at, n), 0);
			}
			api->message_end(r->stream);
			api->message_end(r->stream); /* nothing more to end */
		}
	api->close(r->stream);
	return 0;
}

static void each_message_has_its_frame(void **state)
{
	(void)state;
	rig.on_open = write_messages;
	run();
	const uint8_t *at = (const uint8_t *)rig.peer_got.ptr, *end = at + rig.peer_got.len;
	for (int round = 0; round < 20; round++)
		for (size_t i = 0; i < ARRAY_LEN(sizes) - (round > 1 ? 5 : 0); i++) {
			size_t head = sizes[i] < 126 ? 2 : sizes[i] < 65536 ? 4 : 10, n = 0;
			assert_true((size_t)(end - at) >= head + sizes[i]);
			for (size_t k = head == 2 ? 1 : 2; k < head; k++)
				n = n << 8 | at[k];
			assert_int_equal(at[0], 0x82);
			assert_int_equal(n, sizes[i]);
			for (at += head; n; n--, at++)
				if (*at != (uint8_t)((int)i + round))
					fail_msg("round %d, message %zu", round, i);
		}
	assert_int_equal(end - at, 4); /* the close frame */
}

static void a_ping_does_not_split_a_frame(void **state)
{
	(void)state;
	rig.on_data = answer;
	add_frame(0x82, "one", 3, true);
	add_frame(0x89, "", 0, true);
	add_frame(0x82, "two", 3, true);
	run();
	assert_peer_got("\x8a\x00\x82\x06onetwo\x88\x02\x03\xe8", 14); /* all came in one read */
}

static void rules_are_kept_up(void **state)
{
	(void)state;
	static const struct {
		uint8_t first;
		size_t n;
		bool masked;
		uint16_t code;
	} rows[] = {
		{ 0x82, 3, false, 1002 }, /* not masked */
		{ 0xc2, 3, true, 1002 },  /* compressed, never agreed on */
		{ 0x81, 3, true, 1003 },  /* text */
		{ 0x80, 3, true, 1002 },  /* continues nothing */
		{ 0x83, 3, true, 1002 },  /* unknown opcode */
		{ 0x09, 3, true, 1002 },  /* ping in fragments */
		{ 0x89, 126, true, 1002 },
		{ 0x8b, 1, true, 1002 },
		{ 0x88, 1, true, 1002 },
	};
	static const uint8_t bytes[200];
	teardown(NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setup(NULL);
		add_frame(0x82, "ok", 2, true);
		add_frame(rows[i].first, bytes, rows[i].n, rows[i].masked);
		add_frame(0x82, "never seen", 10, true);
		run();
		uint8_t expected[4] = { 0x88, 2, (uint8_t)(rows[i].code >> 8), (uint8_t)rows[i].code };
		assert_peer_got(expected, 4);
		assert_int_equal(rig.got.len, 2);
		assert_true(rig.reason < 0);
		teardown(NULL);
	}
	setup(NULL);
}

static void a_second_message_inside_a_message_is_refused(void **state)
{
	(void)state;
	add_frame(0x02, "a", 1, true);
	add_frame(0x82, "b", 1, true);
	run();
	assert_peer_got("\x88\x02\x03\xea", 4);
}

static void garbage_does_no_harm(void **state)
{
	(void)state;
	teardown(NULL);
	unsigned seed = 7;
	for (int round = 0; round < 50; round++) {
		setup(NULL);
		for (int i = 0; i < 400; i++) {
			uint8_t byte = (uint8_t)rand_r(&seed);
			assert_int_equal(buf_add(&wire, &byte, 1), 0);
		}
		run();
		assert_int_equal(rig.closed, 1);
		teardown(NULL);
	}
	setup(NULL);
}

/* As HTTP does it: answer the upgrade, then hand over with what came behind the request. */
static int second_open(void *self, struct edged_stream *stream, void **ret_conn)
{
	(void)stream;
	*ret_conn = self;
	return 0;
}

static ssize_t second_data(void *conn, const uint8_t *bytes, size_t n)
{
	struct stream_rig *r = conn;
	assert_int_equal(buf_add(&r->got, bytes, n), 0);
	assert_int_equal(api->write(r->stream, bytes, n), 0);
	return (ssize_t)n;
}

static void second_closed(void *conn, int reason)
{
	rig_handler.closed(conn, reason);
}

static const struct edged_stream_handler second = {
	.struct_size = sizeof(second), .open = second_open, .data = second_data, .closed = second_closed
};

static ssize_t upgrade(struct stream_rig *r, const uint8_t *bytes, size_t n)
{
	if (n < 5)
		return 0;
	assert_int_equal(api->write(r->stream, "101 ", 4), 0);
	assert_int_equal(stream_become_websocket(r->stream), 0);
	assert_int_equal(stream_hand_over(r->stream, &second, r, edged_slice(bytes + 4, n - 4)), 0);
	return (ssize_t)n;
}

static int stay_plain(struct stream_rig *r)
{
	(void)r;
	return 0;
}

static void bytes_behind_the_upgrade_are_frames(void **state)
{
	(void)state;
	rig.on_open = stay_plain;
	rig.on_data = upgrade;
	assert_int_equal(buf_add(&wire, "GET ", 4), 0);
	add_frame(0x82, "first", 5, true);
	add_frame(0x88, "", 0, true);
	run();
	assert_int_equal(rig.got.len, 5);
	assert_memory_equal(rig.got.ptr, "first", 5);
	assert_peer_got("101 \x82\x05"
	                "first\x88\x02\x03\xe8",
	        15);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(messages_are_joined_pings_answered_and_the_end_is_orderly),
		WITH_RIG(frames_may_come_byte_by_byte),
		WITH_RIG(long_messages_arrive_whole),
		WITH_RIG(what_is_written_in_one_turn_is_one_frame),
		WITH_RIG(each_message_has_its_frame),
		WITH_RIG(a_ping_does_not_split_a_frame),
		WITH_RIG(rules_are_kept_up),
		WITH_RIG(a_second_message_inside_a_message_is_refused),
		WITH_RIG(garbage_does_no_harm),
		WITH_RIG(bytes_behind_the_upgrade_are_frames),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
