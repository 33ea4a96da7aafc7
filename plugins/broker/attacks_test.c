/* SPDX-License-Identifier: Apache-2.0 */
/* What has brought down other brokers, by class (the numbers are the CVEs that name it). Run them under sanitizers, too. */
#include "rig_test.h"

#define BYTES(s)                                                                                             \
	{                                                                                                    \
		s, sizeof(s) - 1                                                                             \
	}

static const struct edged_slice packets[] = {
	BYTES("\x10\x31\0\4MQTT\5\xc6\0\x3c\x0a\x11\0\0\0\x3c\x21\0\x0a\x22\0\0\1a\x0e\x18\0\0\0\5\x26\0\1k\0"
	      "\1v"
	      "\1\1\0\1w\0\1x\0\1u\0\1p"),
	BYTES("\x20\3\0\0\0"),
	BYTES("\x35\x26\0\1t\0\1\x20\1\1\2\0\0\0\x0a\3\0\1c\x08\0\1r\x09\0\1d\x26\0\1k\0\1v\x23\0\1x"),
	BYTES("\x33\7\0\1t\0\2\0x"),
	BYTES("\x40\4\0\1\x10\0"),
	BYTES("\x50\4\0\1\x10\0"),
	BYTES("\x62\4\0\1\x92\0"),
	BYTES("\x70\4\0\1\x92\0"),
	BYTES("\x82\x1b\0\1\2\x0b\5\0\3t/+\x2d\0\1#\2\0\x0a$share/g/t\1"),
	BYTES("\x90\4\0\1\0\0"),
	BYTES("\xa2\x0f\0\2\0\0\1#\0\1t\0\5a/b/c"),
	BYTES("\xb0\4\0\1\0\0"),
	BYTES("\xc0\0"),
	BYTES("\xd0\0"),
	BYTES("\xe0\x0d\4\x0b\x11\0\0\0\1\x1f\0\3why"),
	BYTES("\xf0\x16\x18\x14\x15\0\x0dSCRAM-SHA-256\x16\0\1x"),
};
enum { PACKETS = sizeof(packets) / sizeof(packets[0]) };

static struct fake_peer *in_state(unsigned state)
{
	switch (state) {
	case 0: /* before CONNECT */
		return fake_connect(host, 0, true);
	case 1:
		return join(4, "attacker", CLEAN);
	case 2:
		return join_with(5, "attacker", KEEP, "\x11\0\0\0\x3c", 5, NULL, 0);
	default: { /* with messages on the way both ways */
		struct fake_peer *p = join_with(5, "attacker", CLEAN, "\x11\0\0\0\x3c", 5, NULL, 0);
		SEND(p, "\x82\7\0\1\0\0\1t\2\x34\6\0\1t\0\1\0\x32\6\0\1t\0\2\0");
		return p;
	}
	}
}

static void goes_on(struct fake_peer *good)
{
	SEND(good, "\xc0\0");
	EXPECT(good, "\xd0\0");
}

/* 2018-12543, 2021-28166, 2021-34432, and lists that grew by odd sequences (2017-7654, 2021-34431, 2023-3592). */
static void any_packet_in_any_state_is_survived(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *good = join(4, "good", CLEAN);
	for (unsigned s = 0; s < 4; s++)
		for (size_t i = 0; i < PACKETS; i++)
			for (size_t k = 0; k < PACKETS; k++) {
				struct fake_peer *p = in_state(s);
				fake_send(p, packets[i].ptr, packets[i].len, 0);
				fake_send(p, packets[k].ptr, packets[k].len, 0);
				fake_commit(host, 0);
				fake_hang_up(p);
			}
	goes_on(good);
	pass(200000);
	assert_int_equal(fake_figure(host, "broker_queued_bytes", NULL), 0);
}

/* Lengths that lie: each packet cut at each byte, and with each byte one more, one less, 0 and 255 (2017-7651, the
 * length underflows of NanoMQ, 2024-10525). */
static void lengths_that_lie_are_survived(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *good = join(4, "good", CLEAN);
	for (unsigned s = 0; s < 3; s += 2)
		for (size_t i = 0; i < PACKETS; i++)
			for (size_t at = 0; at < packets[i].len; at++)
				for (unsigned how = 0; how < 5; how++) {
					uint8_t bytes[128];
					memcpy(bytes, packets[i].ptr, packets[i].len);
					bytes[at] = how == 0   ? bytes[at]
					            : how == 1 ? (uint8_t)(bytes[at] + 1)
					            : how == 2 ? (uint8_t)(bytes[at] - 1)
					            : how == 3 ? 0
					                       : 255;
					struct fake_peer *p = in_state(s);
					fake_send(p, bytes, how ? packets[i].len : at, 0);
					fake_hang_up(p);
				}
	goes_on(good);
}

/* 2019-11779: a stack that grew with the levels of a topic. */
static void a_topic_of_slashes_is_refused(void **state)
{
	(void)state;
	boot(1, NULL);
	static uint8_t bytes[70000];
	static const unsigned depths[] = { 200, 201, 65536 };
	for (size_t d = 0; d < 3; d++) {
		unsigned levels = depths[d];
		struct fake_peer *p = join(5, "p", CLEAN);
		uint16_t n = (uint16_t)(levels - 1);
		struct writer w = writer(bytes, sizeof(bytes));
		write_u8(&w, 0x82);
		write_varint(&w, 2u + 1 + 2 + n + 1);
		write_bytes(&w, "\0\1\0", 3);
		write_u16(&w, n);
		memset(w.at, '/', n);
		w.at += n;
		write_u8(&w, 0);
		fake_send(p, bytes, (size_t)(w.at - bytes), 0);
		struct edged_slice got = fake_take(p);
		assert_int_equal((uint8_t)got.ptr[got.len - 1], levels <= 200 ? 0 : 0x8f);
		w = writer(bytes, sizeof(bytes));
		write_u8(&w, 0x31);
		write_varint(&w, 2u + n + 1 + 1);
		write_u16(&w, n);
		memset(w.at, '/', n);
		w.at += n;
		write_bytes(&w, "\0x", 2);
		fake_send(p, bytes, (size_t)(w.at - bytes), 0);
		if (levels > 200)
			BYE(p, 0x90);
		else
			assert_true(fake_take(p).len > n);
	}
}

/* 2021-41039: user properties without end. */
static void user_properties_have_a_limit(void **state)
{
	(void)state;
	boot(1, NULL);
	static uint8_t bytes[1000];
	for (unsigned n = 32; n <= 33; n++) {
		struct fake_peer *p = join(5, "p", CLEAN);
		struct writer w = writer(bytes, sizeof(bytes));
		write_u8(&w, 0x30);
		write_varint(&w, 3 + 2 + n * 7);
		write_bytes(&w, "\0\1t", 3);
		write_varint(&w, n * 7);
		for (unsigned i = 0; i < n; i++)
			write_bytes(&w, "\x26\0\1k\0\1v", 7);
		fake_send(p, bytes, (size_t)(w.at - bytes), 0);
		if (n == 33)
			BYE(p, 0x97);
		else
			goes_on(p);
	}
}

/* 2017-7650: wildcards in an id are letters like others, and one id is never another's. */
static void an_id_of_wildcards_is_nobody_else(void **state)
{
	(void)state;
	static const char *const ids[] = { "+", "#", "a", "a/b", "a/+", "$SYS", "$share/g/t", "%c", "..",
		"A" };
	boot(1, NULL);
	struct fake_peer *peers[10];
	for (size_t i = 0; i < 10; i++)
		peers[i] = join(4, ids[i], CLEAN);
	for (size_t i = 0; i < 10; i++)
		goes_on(peers[i]);
	assert_int_equal(fake_figure(host, "broker_sessions", NULL), 10);
}

/* 2024-8376, 2026-22040: one id again and again, with subscriptions that come and go, and messages for it. */
static void a_storm_of_take_overs_leaves_one(void **state)
{
	(void)state;
	boot(3, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *p = join(4, "p", CLEAN);
	for (unsigned i = 0; i < 300; i++) {
		struct fake_peer *s = join_with(5, "s", i % 3 ? KEEP : CLEAN, "\x11\0\0\0\x3c", 5, NULL, 0);
		SEND(s, "\x82\x0b\0\1\0\0\1t\2\0\1+\1\x34\6\0\1t\0\7\0");
		SEND(p, "\x32\5\0\1t\0\1");
		if (i % 4 == 0)
			SEND(s, "\xa2\6\0\1\0\0\1t\x50\2\0\1\x40\2\0\2");
		if (i % 5 == 0)
			fake_hang_up(s);
	}
	assert_int_equal(fake_take(p).len, 300 * 4); /* each acknowledged */
	assert_in_range(fake_figure(host, "broker_connections", NULL), 1, 2);
	assert_in_range(fake_figure(host, "broker_sessions", NULL), 1, 2);
	goes_on(p);
}

/* 2023-0809, 2020-13849: who never says CONNECT costs little, and not for long. */
static void who_never_connects_is_gone_in_time(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *dribble = fake_connect(host, 0, true), *big = fake_connect(host, 0, true);
	SEND(big, "\x10\xff\xff\xff\x7f"); /* a CONNECT of 256 MB */
	assert_true(fake_closed(big));
	for (unsigned i = 0; i < 4; i++) {
		pass(1000);
		fake_send(dribble, &"\x10\x0d\0\4MQTT"[i], 1, 0);
		assert_false(fake_closed(dribble));
	}
	pass(1200);
	assert_true(fake_closed(dribble));
}

/* 2023-28366: packet ids of QoS 2 that are never released, also over many connections. */
static void ids_that_are_never_released_have_a_limit(void **state)
{
	(void)state;
	const struct fake_setting settings[] = { { "limits.receive", 20 }, { "limits.receive_old", 20 },
		{ NULL, 0 } };
	boot(1, settings);
	fake_auto_commit(host, true);
	struct fake_peer *good = join(4, "good", CLEAN);
	for (uint8_t version = 4; version <= 5; version++) {
		unsigned taken = 0;
		for (uint16_t id = 1; id <= 200; id++) {
			struct fake_peer *p = join_with(
			        version, "p", KEEP, "\x11\0\0\0\x3c", version == 5 ? 5 : 0, NULL, 0);
			quiet(p);
			for (unsigned i = 0; i < 3 && !fake_closed(p); i++, id++) {
				uint8_t bytes[] = { 0x34, 6, 0, 1, 't', (uint8_t)(id >> 8), (uint8_t)id, 0 };
				fake_send(p, bytes, sizeof(bytes), 0);
				struct edged_slice got = fake_take(p);
				taken += got.len >= 4 && got.ptr[0] == 0x50;
			}
			fake_hang_up(p);
		}
		assert_int_equal(taken, 20);
		quiet(join_with(version, "p", CLEAN, NULL, 0, NULL, 0));
	}
	goes_on(good);
}

/* A message of 10,000 bytes whose topic is that letter. */
static void send_large(struct fake_peer *p, uint8_t first, char topic)
{
	static uint8_t bytes[10003];
	memcpy(bytes, "\x30\x90\x4e\0\1t", 6);
	bytes[0] = first;
	bytes[5] = (uint8_t)topic;
	fake_send(p, bytes, sizeof(bytes), 0);
}

/* A line of messages that nobody limits: retained ones, for one subscription after the other, to a client that does not read. */
static void who_subscribes_again_and_does_not_read_has_a_limit(void **state)
{
	(void)state;
	enum { COUNT = 50, TIMES = 200 };
	const struct fake_setting settings[] = { { "limits.retained_messages", 60 },
		{ "limits.queue_bytes", 100000 }, { NULL, 0 } };
	boot(1, settings);
	struct fake_peer *good = join(4, "good", CLEAN), *slow = join(4, "slow", CLEAN);
	for (char i = 0; i < COUNT; i++)
		send_large(good, 0x31, (char)('0' + i));
	fake_block(slow, true);
	for (unsigned i = 0; i < TIMES; i++)
		subscribe(slow, "+", 0);
	assert_in_range(fake_figure(host, "broker_queued_bytes", NULL), 1, 2 * COUNT * 64);
	int64_t dropped = fake_figure(host, "broker_messages_dropped_total", "reason=\"queue-full\"");
	assert_in_range(dropped, COUNT * (TIMES - 3), COUNT * (TIMES - 1));
	/* What is live lines up behind them, and has a limit of its own. */
	for (unsigned i = 0; i < 100; i++)
		send_large(good, 0x30, 'z');
	assert_in_range(fake_figure(host, "broker_queued_bytes", NULL), 80000, 100000 + 3 * COUNT * 64);
	fake_block(slow, false);
	size_t n = 0;
	for (size_t more; fake_run(host), (more = fake_take(slow).len) > 0;)
		n += more;
	assert_int_equal((n - TIMES * 5) % 10003, 0);
	assert_in_range((n - TIMES * 5) / 10003, COUNT + 8, 3 * COUNT + 10);
	assert_int_equal(fake_figure(host, "broker_queued_bytes", NULL), 0);
	goes_on(slow);
	goes_on(good);
}

/* A list that only grew at its end: here a line that is never empty. */
static void a_line_that_is_never_empty_keeps_its_order(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *s = join_with(5, "s", CLEAN, "\x21\0\1", 3, NULL, 0), *p = join(4, "p", CLEAN);
	SEND(p, "\x33\6\0\1q\0\1x\x33\6\0\1r\0\1x");
	quiet(s);
	SEND(s, "\x82\7\0\1\0\0\1q\1\x82\7\0\2\0\0\1r\1\x82\7\0\3\0\0\1t\1");
	quiet(s);
	for (uint16_t i = 0, next = 0; i < 1000; i++) {
		uint8_t bytes[] = { 0x32, 7, 0, 1, 't', 0, 1, (uint8_t)(i >> 8), (uint8_t)i };
		fake_send(p, bytes, sizeof(bytes), 0);
		if (i < 5)
			continue;
		uint8_t ack[] = { 0x40, 2, (uint8_t)((i - 4) >> 8), (uint8_t)(i - 4) };
		fake_send(s, ack, sizeof(ack), 0);
		struct edged_slice got = fake_take(s);
		if (i == 5) /* the other retained one */
			continue;
		assert_int_equal(got.len, 10);
		assert_memory_equal(got.ptr + 8, ((uint8_t[]){ (uint8_t)(next >> 8), (uint8_t)next }), 2);
		next++;
	}
	fake_hang_up(s);
	assert_int_equal(fake_figure(host, "broker_queued_bytes", NULL), 0);
	quiet(p);
	goes_on(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(any_packet_in_any_state_is_survived),
		T(lengths_that_lie_are_survived),
		T(a_topic_of_slashes_is_refused),
		T(user_properties_have_a_limit),
		T(an_id_of_wildcards_is_nobody_else),
		T(a_storm_of_take_overs_leaves_one),
		T(who_never_connects_is_gone_in_time),
		T(ids_that_are_never_released_have_a_limit),
		T(who_subscribes_again_and_does_not_read_has_a_limit),
		T(a_line_that_is_never_empty_keeps_its_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
