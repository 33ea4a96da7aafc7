/* SPDX-License-Identifier: Apache-2.0 */
/* What CONNECT asks for and CONNACK grants. */
#include "rig_test.h"

static struct fake_peer *ask(uint8_t version, const char *id, uint8_t flags)
{
	return join_with(version, id, flags, NULL, 0, NULL, 0);
}

#define GRANTED "\x21\0\x64\x27\0\4\0\0\x22\0\x0a\x2a\1" /* what every MQTT 5 client is told */

static void session_present_says_what_is_there(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *p = ask(4, "old", KEEP);
	EXPECT(p, "\x20\2\0\0");
	p = ask(4, "old", KEEP);
	EXPECT(p, "\x20\2\1\0");
	p = ask(4, "old", CLEAN);
	EXPECT(p, "\x20\2\0\0");
	p = ask(4, "old", KEEP);
	EXPECT(p, "\x20\2\0\0");
	p = ask(3, "older", KEEP);
	EXPECT(p, "\x20\2\0\0");
	p = ask(3, "older", KEEP);
	EXPECT(p, "\x20\2\0\0"); /* MQTT 3.1 has no such flag */
	const char expiry[] = "\x11\0\0\0\x0a";
	p = join_with(5, "new", KEEP, expiry, 5, NULL, 0);
	EXPECT(p, "\x20\x10\0\0\x0d" GRANTED);
	p = join_with(5, "new", KEEP, expiry, 5, NULL, 0);
	EXPECT(p, "\x20\x10\1\0\x0d" GRANTED);
	p = join_with(5, "new", CLEAN, expiry, 5, NULL, 0);
	EXPECT(p, "\x20\x10\0\0\x0d" GRANTED);
	fake_hang_up(p);
	pass(12000);
	p = join_with(5, "new", KEEP, expiry, 5, NULL, 0);
	EXPECT(p, "\x20\x10\0\0\x0d" GRANTED);
	p = ask(4, "", CLEAN);
	EXPECT(p, "\x20\2\0\0");
}

static void every_id_of_the_specification_is_taken(void **state)
{
	(void)state;
	boot(1, NULL);
	static const char *const ids[] = { "0", "0123456789abcdefghijklm", "nopqrstuvwxyzABCDEFGHIJ",
		"KLMNOPQRSTUVWXYZ", "\xe2\x82\xac+/#" };
	for (uint8_t version = 3; version <= 5; version++)
		for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
			(void)join(version, ids[i], CLEAN);
	assert_int_equal(fake_figure(host, "broker_sessions", NULL), 5);
	assert_int_equal(fake_figure(host, "broker_connections", NULL), 5); /* each id once */
}

static void ids_that_are_too_long_are_refused(void **state)
{
	(void)state;
	boot(1, NULL);
	static uint8_t packet[512];
	for (uint8_t version = 4; version <= 5; version++) {
		struct fake_peer *p = fake_connect(host, 0, true);
		struct writer w = writer(packet, sizeof(packet));
		write_bytes(&w,
		        version == 5 ? "\x10\xb8\2\0\4MQTT\5\2\0\x3c\0" : "\x10\xb7\2\0\4MQTT\4\2\0\x3c",
		        version == 5 ? 14 : 13);
		write_u16(&w, 299);
		memset(w.at, 'x', 299);
		fake_send(p, packet, (size_t)(w.at - packet) + 299, 0);
		REFUSED(p, version == 5 ? 0x85 : 2);
	}
}

/* All that a client may send before it has heard CONNACK waits behind it. */
static void connack_comes_first_and_once(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *p = fake_connect(host, 0, true);
	SEND(p, "\x10\x0d\0\4MQTT\4\2\0\x3c\0\1a\xc0\0\x82\6\0\1\0\1t\0\x30\4\0\1tx");
	EXPECT(p, "\x20\2\0\0\xd0\0\x90\3\0\1\0\x30\4\0\1tx");
}

static void users_and_passwords_are_read(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *p = join_with(4, "a", CLEAN | 0xc0, NULL, 0, "\0\1u\0\1p", 6);
	EXPECT(p, "\x20\2\0\0");
	p = join_with(4, "a", CLEAN | 0x80, NULL, 0, "\0\0", 2); /* an empty one */
	EXPECT(p, "\x20\2\0\0");
	p = join_with(
	        5, "b", CLEAN | 0x40, NULL, 0, "\0\1\xff", 3); /* MQTT 5: a password alone, of any bytes */
	EXPECT(p, "\x20\x10\0\0\x0d" GRANTED);
	/* With everything: id, will, user, password, in this order. */
	p = join_with(4, "c", CLEAN | 0xe4, NULL, 0, "\0\1w\0\1x\0\1u\0\1p", 12);
	EXPECT(p, "\x20\2\0\0");
}

static void the_server_says_which_keep_alive_holds(void **state)
{
	(void)state;
	const struct fake_setting settings[] = { { "keep_alive", 30 }, { NULL, 0 } };
	boot(1, settings);
	struct fake_peer *p = ask(5, "a", CLEAN); /* it asked for 60 */
	EXPECT(p, "\x20\x13\0\0\x10" GRANTED "\x13\0\x1e");
	pass(44000);
	assert_false(fake_closed(p));
	pass(3000);
	BYE(p, 0x8d);
	p = fake_connect(host, 0, true);
	SEND(p, "\x10\x0e\0\4MQTT\5\2\0\x0a\0\0\1b");
	EXPECT(p, "\x20\x10\0\0\x0d" GRANTED); /* 10 is fine: nothing is said, and 10 holds */
	pass(14000);
	assert_false(fake_closed(p));
	pass(3000);
	BYE(p, 0x8d);
}

static void silence_is_judged_by_the_keep_alive(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *p = fake_connect(host, 0, true), *patient = fake_connect(host, 0, true);
	SEND(p, "\x10\x0d\0\4MQTT\4\2\0\x0a\0\1a");
	SEND(patient, "\x10\x0d\0\4MQTT\4\2\0\0\0\1b");
	for (int i = 0; i < 5; i++) {
		pass(14000);
		SEND(p, "\x30\4\0\1tx"); /* any packet counts */
		assert_false(fake_closed(p));
	}
	pass(14000);
	assert_false(fake_closed(p));
	pass(3000);
	assert_true(fake_closed(p));
	pass(100000000);
	assert_false(fake_closed(patient));
}

/* Reason strings only for who wants them, and nothing larger than the client can take. */
static void the_client_says_how_much_it_wants_to_hear(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *p = join(5, "talk", CLEAN);
	SEND(p, "\xd0\0");
	struct edged_slice got = fake_take(p);
	assert_true(got.len > 10 && got.ptr[4] == PROP_REASON);
	p = join_with(5, "terse", CLEAN, "\x17\0", 2, NULL, 0);
	quiet(p);
	SEND(p, "\xd0\0");
	EXPECT(p, "\xe0\1\x82");
	p = join_with(5, "small", CLEAN, "\x27\0\0\0\x12", 5, NULL, 0); /* 18 bytes: CONNACK just fits */
	EXPECT(p, "\x20\x10\0\0\x0d" GRANTED);
	SEND(p, "\xd0\0");
	EXPECT(p, "\xe0\1\x82");
	p = join_with(5, "tiny", CLEAN, "\x27\0\0\0\x11", 5, NULL, 0);
	EXPECT(p, "");
	assert_true(fake_closed(p));
	p = join_with(5, "tiny", CLEAN, "\x27\0\0\0\4\x15\0\1x", 9, NULL, 0); /* refused, but not told */
	EXPECT(p, "");
	assert_true(fake_closed(p));
	p = join_with(5, "terse", CLEAN, "\x17\0\x15\0\1x", 6, NULL, 0);
	EXPECT(p, "\x20\3\0\x8c\0");
}

static void where_to_answer_is_told_to_who_asks(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *p = join_with(5, "me", CLEAN, "\x19\1", 2, NULL, 0);
	EXPECT(p, "\x20\x1f\0\0\x1c" GRANTED "\x1a\0\x0cresponses/me");
	p = join_with(5, "me", CLEAN, "\x19\0", 2, NULL, 0);
	EXPECT(p, "\x20\x10\0\0\x0d" GRANTED);
	p = join_with(5, "a/+", CLEAN, "\x19\1", 2, NULL, 0); /* no topic could be made of that */
	EXPECT(p, "\x20\x10\0\0\x0d" GRANTED);
}

/* The old connection is told and closed; what it had is the new one's. */
static void a_connection_with_the_same_id_takes_over(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	for (uint8_t version = 4; version <= 5; version++) {
		struct fake_peer *old =
		        join_with(version, "a", KEEP, "\x11\0\0\0\x0a", version == 5 ? 5 : 0, NULL, 0);
		quiet(old);
		if (version == 5)
			SEND(old, "\x82\7\0\1\0\0\1t\0");
		else
			subscribe(old, "t", 0);
		quiet(old);
		struct fake_peer *p =
		        join_with(version, "a", KEEP, "\x11\0\0\0\x0a", version == 5 ? 5 : 0, NULL, 0);
		if (version == 5)
			BYE(old, 0x8e);
		else
			EXPECT(old, "");
		assert_true(fake_closed(old));
		assert_int_equal(fake_take(p).ptr[2], 1);
		SEND(join(4, "b", CLEAN), "\x30\4\0\1tx");
		assert_true(fake_take(p).len >= 6);
	}
}

/* As mosquitto treats them: nothing of its own comes back, and what is retained says so. */
static void a_bridge_of_mosquitto_is_known_by_a_bit(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t len;
	} hello[] = { { "\x10\x0f\0\6MQIsdp\x83\2\0\x3c\0\1b", 17 },
		{ "\x10\x0d\0\4MQTT\x84\2\0\x3c\0\1b", 15 } };
	boot(1, NULL);
	struct fake_peer *other = join(4, "other", CLEAN);
	for (size_t i = 0; i < 2; i++) {
		struct fake_peer *bridge = fake_connect(host, 0, true);
		fake_send(bridge, hello[i].bytes, hello[i].len, 0);
		EXPECT(bridge, "\x20\2\0\0");
		subscribe(bridge, "t", 0);
		subscribe(bridge, "$share/g/s", 0);
		quiet(bridge);
		SEND(bridge, "\x30\4\0\1tx");
		EXPECT(bridge, "");
		SEND(bridge, "\x30\4\0\1sx"); /* which is not said of shared subscriptions */
		EXPECT(bridge, "\x30\4\0\1sx");
		SEND(other, "\x31\4\0\1ty");
		EXPECT(bridge, "\x31\4\0\1ty");
		SEND(other, "\x31\3\0\1t");
		EXPECT(bridge, "\x31\3\0\1t");
		SEND(other, "\x30\4\0\1tz");
		EXPECT(bridge, "\x30\4\0\1tz");
	}
	struct fake_peer *p = fake_connect(host, 0, true);
	SEND(p, "\x10\x0e\0\4MQTT\x85\2\0\x3c\0\0\1b"); /* MQTT 5 has options for that */
	REFUSED(p, REASON_VERSION);
}

/* By its will and by itself. */
static void a_bridge_of_mosquitto_says_that_it_is_there(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *bridge = fake_connect(host, 0, true), *s = join(4, "s", CLEAN);
	subscribe(s, "$SYS/broker/#", 0);
	quiet(s);
	SEND(bridge, "\x10\x30\0\4MQTT\x84\6\0\x3c\0\1b\0\x1e$SYS/broker/connection/b/state\0\1"
	             "0");
	EXPECT(bridge, "\x20\2\0\0");
	SEND(bridge, "\x30\x21\0\x1e$SYS/broker/connection/b/state1");
	EXPECT(s, "\x30\x21\0\x1e$SYS/broker/connection/b/state1");
	SEND(bridge, "\x30\x12\0\x0f$SYS/broker/loaz"); /* nowhere else */
	SEND(bridge, "\x30\x1c\0\x19$SYS/broker/connection/b/1");
	EXPECT(s, "");
	fake_hang_up(bridge);
	EXPECT(s, "\x30\x21\0\x1e$SYS/broker/connection/b/state0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(session_present_says_what_is_there),
		T(every_id_of_the_specification_is_taken),
		T(ids_that_are_too_long_are_refused),
		T(connack_comes_first_and_once),
		T(users_and_passwords_are_read),
		T(the_server_says_which_keep_alive_holds),
		T(silence_is_judged_by_the_keep_alive),
		T(the_client_says_how_much_it_wants_to_hear),
		T(where_to_answer_is_told_to_who_asks),
		T(a_connection_with_the_same_id_takes_over),
		T(a_bridge_of_mosquitto_is_known_by_a_bit),
		T(a_bridge_of_mosquitto_says_that_it_is_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
