/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions and wills: what is kept, what ends when, and how much is on the way at once. */
#include "rig_test.h"

#define HOUR  "\x11\0\0\x0e\x10"
#define NAMED "\0\1w\0\1x" /* a will: topic "w", payload "x" */

static struct fake_peer *watch(void)
{
	struct fake_peer *w = join(4, "watch", CLEAN);
	subscribe(w, "w", 2);
	quiet(w);
	return w;
}

static void a_session_keeps_what_came_meanwhile(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *p = join(4, "p", CLEAN), *s;
	for (uint8_t version = 4; version <= 5; version++) {
		size_t n = version == 5 ? 5 : 0;
		s = join_with(version, "s", KEEP, HOUR, n, NULL, 0);
		if (version == 5)
			SEND(s, "\x82\7\0\1\0\0\1t\2");
		else
			subscribe(s, "t", 2);
		fake_hang_up(s);
		SEND(p, "\x32\6\0\1t\0\1x\x34\6\0\1t\0\2y\x62\2\0\2");
		s = join_with(version, "s", KEEP, HOUR, n, NULL, 0);
		struct edged_slice got = fake_take(s);
		size_t connack = version == 5 ? 18 : 4;
		assert_int_equal(got.ptr[2], 1);
		assert_int_equal(got.len, connack + (version == 5 ? 18 : 16));
		/* A clean start knows nothing of it, and neither does who comes after. */
		s = join_with(version, "s", CLEAN, HOUR, n, NULL, 0);
		got = fake_take(s);
		assert_int_equal(got.len, connack);
		assert_int_equal(got.ptr[2], 0);
		SEND(p, "\x30\4\0\1tz");
		EXPECT(s, "");
		assert_int_equal(fake_figure(host, "broker_subscriptions", NULL), 0);
		fake_hang_up(s);
		(void)join_with(version, "s", CLEAN, NULL, 0, NULL, 0);
	}
}

/* However long: while the connection lives, so does the session. */
static void a_session_outlives_its_expiry_while_it_is_connected(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *s = fake_connect(host, 0, true);
	SEND(s, "\x10\x13\0\4MQTT\5\2\0\0\5\x11\0\0\0\1\0\1s");
	SEND(s, "\x82\7\0\1\0\0\1t\0");
	quiet(s);
	pass(10000000);
	SEND(join(4, "p", CLEAN), "\x30\4\0\1tx");
	EXPECT(s, "\x30\5\0\1t\0x");
	fake_hang_up(s);
	pass(3000);
	assert_int_equal(fake_figure(host, "broker_sessions", NULL), 1); /* the publisher is still there */
}

static void a_will_goes_out_as_it_was_ordered(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	for (uint8_t qos = 0; qos <= 2; qos++)
		for (uint8_t retain = 0; retain <= 1; retain++) {
			struct fake_peer *w = watch();
			uint8_t flags = (uint8_t)(CLEAN | 4 | qos << 3 | retain << 5);
			fake_hang_up(join_with(4, "p", flags, NULL, 0, NAMED, 6));
			struct edged_slice got = fake_take(w);
			assert_int_equal(got.ptr[0], 0x30 | qos << 1);
			assert_int_equal(got.ptr[got.len - 1], 'x');
			assert_int_equal(fake_figure(host, "broker_retained_messages", NULL), retain);
			SEND(w, "\x31\3\0\1w");
		}
}

static void a_will_goes_out_once_and_only_for_the_lost(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *w = watch(), *p;
	p = join_with(4, "p", KEEP | 4, NULL, 0, NAMED, 6);
	SEND(p, "\xd0\0"); /* an error of the client's */
	EXPECT(w, "\x30\4\0\1wx");
	p = join_with(4, "p", KEEP, NULL, 0, NULL, 0); /* the same session, now without */
	fake_hang_up(p);
	EXPECT(w, "");
	p = join_with(4, "p", KEEP | 4, NULL, 0, NAMED, 6);
	SEND(p, "\xe0\0");
	EXPECT(w, "");
	p = join_with(4, "p", KEEP, NULL, 0, NULL, 0);
	fake_hang_up(p);
	EXPECT(w, "");
	p = join_with(5, "p", CLEAN | 4, NULL, 0, "\0" NAMED, 7);
	SEND(p, "\xe0\1\0");
	EXPECT(w, "");
	p = join_with(5, "p", CLEAN | 4, NULL, 0, "\0" NAMED, 7);
	SEND(p, "\xe0\1\x80");
	EXPECT(w, "\x30\4\0\1wx");
	p = join_with(4, "p", CLEAN | 4, NULL, 0, NAMED, 6);
	SEND(w, "\xc0\0");
	quiet(w);
	pass(50000);
	SEND(w, "\xc0\0");
	EXPECT(w, "\xd0\0");
	pass(45000); /* silence: as if the network had failed */
	assert_true(fake_closed(p));
	EXPECT(w, "\x30\4\0\1wx");
	(void)join_with(4, "p", CLEAN | 4, NULL, 0, NAMED, 6);
	(void)join(4, "p", CLEAN); /* taken over */
	EXPECT(w, "\x30\4\0\1wx");
	pass(1000000);
}

#define SLOW "\5\x18\0\0\0\x0a" NAMED /* ten seconds late */

static void a_late_will_comes_at_the_delay_or_at_the_end_of_the_session(void **state)
{
	(void)state;
	static const struct {
		const char *expiry;
		unsigned due; /* s */
	} rows[] = {
		{ "\x11\0\0\0\x3c", 10 },
		{ "\x11\0\0\0\3", 3 },
		{ "\x11\0\0\0\0", 0 },
		{ "\x11\xff\xff\xff\xff", 10 },
	};
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *w = fake_connect(host, 0, true);
	SEND(w, "\x10\x0d\0\4MQTT\4\2\0\0\0\1w");
	subscribe(w, "w", 0);
	quiet(w);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fake_hang_up(join_with(5, "p", CLEAN | 4, rows[i].expiry, 5, SLOW, sizeof(SLOW) - 1));
		if (rows[i].due) {
			pass((rows[i].due - 1) * 1000);
			EXPECT(w, "");
			pass(2000);
		}
		EXPECT(w, "\x30\4\0\1wx");
		pass(100000);
		EXPECT(w, "");
	}
	/* Back in time, with the session or without it: the old will is gone, or goes out as the old session ends. */
	fake_hang_up(join_with(5, "p", CLEAN | 4, HOUR, 5, SLOW, sizeof(SLOW) - 1));
	(void)join_with(5, "p", KEEP, HOUR, 5, NULL, 0);
	pass(30000);
	EXPECT(w, "");
	fake_hang_up(join_with(5, "q", CLEAN | 4, HOUR, 5, SLOW, sizeof(SLOW) - 1));
	(void)join(5, "q", CLEAN);
	EXPECT(w, "\x30\4\0\1wx");
}

/* QoS 1 and 2 stop at the receive maximum; nothing else does. */
static void a_full_window_holds_up_messages_alone(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join_with(5, "s", CLEAN, "\x21\0\1", 3, NULL, 0), *p = join(4, "p", CLEAN);
	quiet(s);
	SEND(s, "\x82\7\0\1\0\0\1t\2");
	quiet(s);
	SEND(p, "\x34\6\0\1t\0\1"
	        "1\x34\6\0\1t\0\2"
	        "2\x30\4\0\1t0");
	EXPECT(s, "\x34\7\0\1t\0\1\0"
	          "1\x30\5\0\1t\0"
	          "0");
	SEND(s, "\xc0\0\x82\7\0\1\0\0\1u\0\xa2\6\0\2\0\0\1u\x34\7\0\1v\0\7\0x");
	EXPECT(s, "\xd0\0\x90\4\0\1\0\0\xb0\4\0\2\0\0\x50\3\0\7\x10");
	SEND(s, "\x62\2\0\7");
	EXPECT(s, "\x70\2\0\7");
	SEND(s, "\x50\2\0\1");
	EXPECT(s, "\x62\2\0\1"); /* still one on the way */
	SEND(s, "\x70\2\0\1");
	EXPECT(s, "\x34\7\0\1t\0\2\0"
	          "2");
	SEND(s, "\x50\3\0\2\x80"); /* an error ends it, too */
	SEND(p, "\x32\6\0\1t\0\1"
	        "3");
	EXPECT(s, "\x32\7\0\1t\0\3\0"
	          "3");
	SEND(s, "\x40\3\0\3\x80");
	SEND(p, "\x32\6\0\1t\0\1"
	        "4");
	EXPECT(s, "\x32\7\0\1t\0\4\0"
	          "4");
}

/* Over its own receive maximum a client is closed; up to it, it is served. */
static void who_sends_more_than_it_may_is_closed(void **state)
{
	(void)state;
	const struct fake_setting settings[] = { { "limits.receive", 2 }, { NULL, 0 } };
	boot(1, settings);
	struct fake_peer *p = join(5, "p", CLEAN);
	SEND(p, "\x34\6\0\1t\0\1\0\x34\6\0\1t\0\2\0");
	quiet(p);
	SEND(p, "\x3c\6\0\1t\0\2\0"); /* again, not more */
	EXPECT(p, "\x50\2\0\2");
	SEND(p, "\x62\2\0\1\x34\6\0\1t\0\3\0");
	EXPECT(p, "\x70\2\0\1\x50\3\0\3\x10");
	SEND(p, "\x34\6\0\1t\0\4\0");
	BYE(p, 0x93);
}

/* The receive maximum begins anew with each connection (4.9), also when the disk is slow. */
static void who_comes_back_may_send_as_much_again(void **state)
{
	(void)state;
	const struct fake_setting settings[] = { { "limits.receive", 2 }, { NULL, 0 } };
	boot(1, settings);
	struct fake_peer *p = NULL;
	for (int i = 0; i < 3; i++) {
		p = join_with(5, "p", KEEP, HOUR, 5, NULL, 0);
		quiet(p);
		SEND(p, "\x33\7\0\1t\0\1\0x\x33\7\0\1t\0\2\0x");
		EXPECT(p, "");
		assert_false(fake_closed(p));
	}
	fake_commit(host, 0);
	EXPECT(p, "\x40\3\0\1\x10\x40\3\0\2\x10");
	SEND(p, "\x33\7\0\1t\0\1\0x\x33\7\0\1t\0\2\0x\x33\7\0\1t\0\3\0x");
	BYE(p, 0x93);
}

/* PUBCOMP cannot say "no": the connection ends, and the client releases again. */
static void a_release_that_cannot_be_stored_is_not_confirmed(void **state)
{
	(void)state;
	boot(1, NULL);
	for (uint8_t version = 4; version <= 5; version++) {
		struct fake_peer *p = join_with(version, "p", KEEP, HOUR, version == 5 ? 5 : 0, NULL, 0);
		quiet(p);
		fake_send(
		        p, version == 5 ? "\x34\7\0\1t\0\7\0x" : "\x34\6\0\1t\0\7x", version == 5 ? 9 : 8, 0);
		fake_commit(host, 0);
		quiet(p);
		SEND(p, "\x62\2\0\7");
		fake_commit(host, -28);
		if (version == 5)
			BYE(p, 0x97);
		else
			EXPECT(p, "");
		assert_true(fake_closed(p));
		p = join_with(version, "p", KEEP, HOUR, version == 5 ? 5 : 0, NULL, 0);
		quiet(p);
		SEND(p, "\x62\2\0\7");
		EXPECT(p, "");
		fake_commit(host, 0);
		EXPECT(p, "\x70\2\0\7");
		(void)join_with(version, "p", CLEAN, NULL, 0, NULL, 0);
		fake_commit(host, 0);
	}
}

/* QoS 2: neither PUBLISH nor PUBREL goes out before the disk knows its id; when it cannot, the next connection tries. */
static void what_could_not_be_stored_is_tried_again(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join(4, "s", KEEP), *p = join(5, "p", CLEAN);
	subscribe(s, "t", 2);
	fake_commit(host, 0);
	quiet(s);
	SEND(p, "\x34\7\0\1t\0\1\0x");
	fake_commit(host, -28);
	EXPECT(p, "\x50\3\0\1\x97");
	EXPECT(s, "");
	assert_true(fake_closed(s));
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	EXPECT(s, "\x20\2\1\0");
	fake_commit(host, 0);
	EXPECT(s, "\x34\6\0\1t\0\1x");
	SEND(s, "\x50\2\0\1");
	fake_commit(host, -28);
	EXPECT(s, "");
	assert_true(fake_closed(s));
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	EXPECT(s, "\x20\2\1\0");
	fake_commit(host, 0);
	EXPECT(s, "\x62\2\0\1");
	crash();
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	EXPECT(s, "\x20\2\1\0\x62\2\0\1");
	SEND(s, "\x70\2\0\1");
	fake_commit(host, 0);
	crash();
	EXPECT(join_with(4, "s", KEEP, NULL, 0, NULL, 0), "\x20\2\1\0");
}

/* A session whose own row was lost in a full disk is whole again with the next thing that is acknowledged for it. */
static void an_acknowledgement_covers_what_failed_before(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join(4, "s", KEEP), *p = join(4, "p", CLEAN);
	fake_commit(host, -28); /* the session */
	subscribe(s, "t", 1);
	fake_commit(host, 0);
	EXPECT(s, "\x90\3\0\1\1");
	SEND(p, "\x32\6\0\1t\0\1x");
	fake_commit(host, -28);
	EXPECT(p, "");
	quiet(s);
	p = join(4, "p", CLEAN);
	SEND(p, "\x3a\6\0\1t\0\1x");
	fake_commit(host, 0);
	EXPECT(p, "\x40\2\0\1");
	crash();
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	EXPECT(s, "\x20\2\1\0\x32\6\0\1t\0\1x\x32\6\0\1t\0\2x"); /* at least once */
}

/* The packet id gets to the disk with the message only: else that would be taken for known when it comes after a restart. */
static void an_id_is_not_stored_without_its_message(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join(4, "s", KEEP), *p = join(4, "p", KEEP);
	subscribe(s, "t", 1);
	fake_commit(host, 0);
	fake_hang_up(s);
	fake_commit(host, 0);
	SEND(p, "\x34\6\0\1t\0\1x");
	fake_commit(host, -28);
	assert_true(fake_closed(p));
	p = join_with(4, "p", KEEP, NULL, 0, NULL, 0);
	SEND(p, "\x82\6\0\2\0\1r\0"); /* its session is written, with all that it has */
	fake_commit_some(host, 0, 1);
	crash();
	p = join_with(4, "p", KEEP, NULL, 0, NULL, 0);
	quiet(p);
	SEND(p, "\x3c\6\0\1t\0\1x");
	fake_commit(host, 0);
	EXPECT(p, "\x50\2\0\1");
	crash();
	EXPECT(join_with(4, "s", KEEP, NULL, 0, NULL, 0), "\x20\2\1\0\x32\6\0\1t\0\1x");
}

/* It comes again on a new connection while it is on its way to the disk: that it is known is no promise yet. */
static void what_comes_again_waits_for_the_first_time(void **state)
{
	(void)state;
	boot(1, NULL);
	for (int result = 0; result >= -28; result -= 28) {
		struct fake_peer *p = join(4, "p", KEEP);
		fake_commit(host, 0);
		SEND(p, "\x34\6\0\1t\0\1x");
		fake_hang_up(p);
		p = join_with(4, "p", KEEP, NULL, 0, NULL, 0);
		quiet(p);
		SEND(p, "\x3c\6\0\1t\0\1x");
		EXPECT(p, "");
		fake_commit(host, result);
		if (result)
			assert_true(fake_closed(p));
		else
			EXPECT(p, "\x50\2\0\1");
		(void)join_with(4, "p", CLEAN, NULL, 0, NULL, 0);
		fake_commit(host, 0);
	}
}

/* The first writing of all that is missing fails as well, after the second was begun. */
static void what_is_missing_is_so_until_it_is_durable(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join(4, "s", KEEP), *p = join(4, "p", KEEP), *q = join(5, "q", CLEAN);
	subscribe(s, "t", 1);
	fake_commit(host, 0);
	fake_hang_up(s);
	fake_commit(host, 0);
	SEND(p, "\x34\6\0\1t\0\1x");
	fake_commit(host, -28);
	SEND(q, "\x33\7\0\1t\0\1\0y"); /* writes all of s */
	p = join_with(4, "p", KEEP, NULL, 0, NULL, 0);
	SEND(p, "\x3c\6\0\1t\0\1x");
	fake_commit_some(host, -28, 1);
	fake_commit(host, 0);
	crash();
	EXPECT(join_with(4, "s", KEEP, NULL, 0, NULL, 0), "\x20\2\1\0\x32\6\0\1t\0\1x\x32\6\0\1t\0\2y");
}

/* The disk takes something again, be it of others: that an entry went is not forgotten. */
static void what_went_while_the_disk_was_full_does_not_come_again(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join(4, "s", KEEP), *p = join(5, "p", CLEAN);
	subscribe(s, "t", 1);
	fake_commit(host, 0);
	quiet(s);
	SEND(p, "\x33\7\0\1t\0\1\0x\x33\7\0\1t\0\2\0y");
	fake_commit(host, 0);
	quiet(s);
	SEND(s, "\x40\2\0\1");
	SEND(p, "\x33\7\0\1r\0\3\0z"); /* retained: something to be committed */
	fake_commit(host, -28);
	SEND(p, "\x33\7\0\1r\0\4\0z");
	fake_commit_some(host, 0, 1);
	fake_commit_some(host, 0, 1);
	crash();
	EXPECT(join_with(4, "s", KEEP, NULL, 0, NULL, 0), "\x20\2\1\0\x32\6\0\1t\0\1y");
}

/* What was to go, and could not be removed, goes when the client asks again. */
static void what_could_not_be_removed_does_not_come_back(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join(4, "s", KEEP), *p = join(5, "p", CLEAN);
	subscribe(s, "t", 1);
	SEND(p, "\x33\7\0\1r\0\1\0x");
	fake_commit(host, 0);
	quiet(p);
	SEND(s, "\xa2\5\0\2\0\1t");
	SEND(p, "\x33\6\0\1r\0\2\0");
	fake_commit(host, -28);
	assert_true(fake_closed(s));
	EXPECT(p, "\x40\3\0\2\x97");
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	EXPECT(s, "\x20\2\1\0");
	SEND(s, "\xa2\5\0\2\0\1t");
	SEND(p, "\x33\6\0\1r\0\3\0");
	EXPECT(s, "");
	EXPECT(p, "");
	fake_commit(host, 0);
	EXPECT(s, "\xb0\2\0\2");
	EXPECT(p, "\x40\3\0\3\x10");
	assert_int_equal(fake_disk_rows(disk, "subs") + fake_disk_rows(disk, "retained"), 0);
	fake_hang_up(s);
	s = join_with(4, "s", CLEAN, NULL, 0, NULL, 0);
	fake_commit(host, -28);
	assert_true(fake_closed(s));
	s = join_with(4, "s", CLEAN, NULL, 0, NULL, 0);
	EXPECT(s, "");
	fake_commit(host, 0);
	EXPECT(s, "\x20\2\0\0");
	assert_int_equal(fake_disk_rows(disk, "sessions"), 0);
}

/* A publisher of MQTT 3 that was not answered sends its message again, and nobody gets it twice. */
static void what_could_not_be_acknowledged_is_not_handed_out_twice(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *s = join(4, "s", KEEP), *live = join(4, "live", CLEAN), *p = join(4, "p", KEEP);
	subscribe(s, "t", 2);
	subscribe(live, "t", 2);
	quiet(live);
	fake_auto_commit(host, false);
	SEND(p, "\x35\6\0\1t\0\7x");
	EXPECT(live, "\x34\6\0\1t\0\1x");
	fake_commit(host, -28);
	EXPECT(p, "");
	for (int i = 0; i < 2; i++) { /* no luck, and then some */
		p = join_with(4, "p", KEEP, NULL, 0, NULL, 0);
		EXPECT(p, "\x20\2\1\0");
		SEND(p, "\x3d\6\0\1t\0\7x");
		EXPECT(p, "");
		fake_commit(host, i ? 0 : -28);
		assert_int_equal(fake_closed(p), !i);
	}
	EXPECT(p, "\x50\2\0\7");
	EXPECT(live, "");
	crash();
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	p = join_with(4, "p", KEEP, NULL, 0, NULL, 0);
	fake_commit(host, 0);
	EXPECT(s, "\x20\2\1\0\x3c\6\0\1t\0\1x");
	quiet(p);
	SEND(p, "\x3d\6\0\1t\0\7x");
	EXPECT(p, "\x50\2\0\7");
	EXPECT(s, "");
	assert_int_equal(fake_disk_rows(disk, "retained"), 1);
}

/* It also goes when nobody asks, with the next thing that is written; but not what has come back meanwhile. */
static void what_could_not_be_removed_goes_with_the_next_commit(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *s = join(4, "s", KEEP), *u = join(4, "u", KEEP), *v = join(4, "v", KEEP),
	                 *p = join(5, "p", CLEAN);
	subscribe(s, "t", 1);
	subscribe(u, "t", 1);
	subscribe(v, "t", 1);
	SEND(p, "\x33\7\0\1r\0\1\0x\x33\7\0\1q\0\1\0x");
	assert_int_equal(fake_disk_rows(disk, "sessions"), 3);
	fake_auto_commit(host, false);
	(void)join_with(4, "s", CLEAN, NULL, 0, NULL, 0);
	SEND(u, "\xa2\5\0\2\0\1t");
	SEND(v, "\xa2\5\0\2\0\1t");
	SEND(p, "\x33\6\0\1r\0\2\0\x33\6\0\1q\0\2\0");
	fake_commit(host, -28);
	assert_true(fake_closed(u) && fake_closed(v));
	/* Two of them are there again: one with the very commit that takes the others out. */
	SEND(p, "\x33\7\0\1q\0\1\0y");
	v = join_with(4, "v", KEEP, NULL, 0, NULL, 0);
	subscribe(v, "t", 1);
	/* In doubt, who wants to be new waits. */
	struct fake_peer *s2 = join_with(4, "s", CLEAN, NULL, 0, NULL, 0);
	EXPECT(s2, "");
	fake_commit(host, 0);
	assert_int_equal(fake_disk_rows(disk, "sessions"), 2);
	assert_int_equal(fake_disk_rows(disk, "subs"), 1);
	assert_int_equal(fake_disk_rows(disk, "retained"), 1);
	/* And the doubt is over. */
	s2 = join(4, "s", CLEAN);
	crash();
	v = join_with(4, "v", KEEP, NULL, 0, NULL, 0);
	EXPECT(v, "\x20\2\1\0");
	u = join_with(4, "u", KEEP, NULL, 0, NULL, 0);
	EXPECT(u, "\x20\2\1\0");
	SEND(join(4, "p", CLEAN), "\x30\4\0\1tz");
	EXPECT(v, "\x30\4\0\1tz");
	EXPECT(u, "");
	subscribe(u, "+", 0);
	fake_commit(host, 0);
	EXPECT(u, "\x90\3\0\1\0\x31\4\0\1qy");
}

static size_t sessions(void)
{
	return (size_t)fake_figure(host, "broker_sessions", NULL);
}

/* Away since the first crash, however many follow. */
static void a_session_cut_off_by_a_crash_is_away_from_then_on(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	SEND(fake_connect(host, 0, true), "\x10\x13\0\4MQTT\5\2\0\0\5" HOUR "\0\1s");
	pass(2 * 3600 * 1000); /* that it was connected costs it nothing */
	crash();
	for (unsigned minutes = 0; minutes < 50; minutes += 10) {
		assert_int_equal(sessions(), 1);
		pass(10 * 60 * 1000);
		crash();
	}
	assert_int_equal(sessions(), 1);
	pass(9 * 60 * 1000);
	assert_int_equal(sessions(), 1);
	pass(2 * 60 * 1000);
	assert_int_equal(sessions(), 0);
	/* While the daemon is down, too; and one that has come back begins anew. */
	fake_auto_commit(host, true);
	(void)join_with(5, "s", CLEAN, HOUR, 5, NULL, 0);
	(void)join_with(5, "t", CLEAN, HOUR, 5, NULL, 0);
	crash();
	wall_ahead += 50 * 60 * 1000;
	crash();
	fake_auto_commit(host, true);
	(void)join_with(5, "t", KEEP, HOUR, 5, NULL, 0);
	crash();
	assert_int_equal(sessions(), 2);
	wall_ahead += 20 * 60 * 1000;
	crash();
	pass(1000);
	assert_int_equal(sessions(), 1);
}

/* A full disk at the start is made good with the next write for the session. */
static void since_when_it_is_away_is_stored_later_if_need_be(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *s = join_with(5, "s", CLEAN, HOUR, 5, NULL, 0);
	SEND(s, "\x82\7\0\1\0\0\1t\1");
	fake_disk_at_start(disk, -ENOSPC);
	crash();
	assert_int_equal(fake_figure(host, "broker_store_failures_total", NULL), 1);
	fake_disk_at_start(disk, 0);
	fake_auto_commit(host, true);
	pass(40 * 60 * 1000);
	SEND(join(4, "p", CLEAN), "\x32\6\0\1t\0\1x");
	crash();
	pass(19 * 60 * 1000);
	assert_int_equal(sessions(), 1);
	pass(2 * 60 * 1000);
	assert_int_equal(sessions(), 0);
}

/* A time that the clock cannot count to is for ever, and not over at once. */
static void the_longest_expiry_outlives_a_restart(void **state)
{
	(void)state;
	const struct fake_setting settings[] = { { "session_expiry", 0 }, { NULL, 0 } };
	boot(1, settings);
	fake_auto_commit(host, true);
	fake_hang_up(join_with(5, "s", CLEAN, "\x11\xff\xff\xff\xfe", 5, NULL, 0));
	crash();
	pass(1000000);
	assert_int_equal(sessions(), 1);
}

static void ids_in_use_are_not_given_again(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join(4, "s", CLEAN), *p = join(4, "p", CLEAN);
	subscribe(s, "t", 1);
	quiet(s);
	SEND(p, "\x32\5\0\1t\0\1"); /* id 1, never acknowledged */
	EXPECT(s, "\x32\5\0\1t\0\1");
	for (uint32_t i = 2; i <= 65535 + 2; i++) {
		SEND(p, "\x32\5\0\1t\0\1");
		struct edged_slice got = fake_take(s);
		uint16_t id = (uint16_t)((uint8_t)got.ptr[5] << 8 | (uint8_t)got.ptr[6]);
		assert_int_equal(id, i <= 65535 ? i : i - 65535 + 1);
		uint8_t ack[] = { 0x40, 2, (uint8_t)(id >> 8), (uint8_t)id };
		fake_send(s, ack, 4, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_session_keeps_what_came_meanwhile),
		T(a_session_outlives_its_expiry_while_it_is_connected),
		T(a_will_goes_out_as_it_was_ordered),
		T(a_will_goes_out_once_and_only_for_the_lost),
		T(a_late_will_comes_at_the_delay_or_at_the_end_of_the_session),
		T(a_full_window_holds_up_messages_alone),
		T(who_sends_more_than_it_may_is_closed),
		T(who_comes_back_may_send_as_much_again),
		T(a_release_that_cannot_be_stored_is_not_confirmed),
		T(what_could_not_be_stored_is_tried_again),
		T(an_acknowledgement_covers_what_failed_before),
		T(an_id_is_not_stored_without_its_message),
		T(what_comes_again_waits_for_the_first_time),
		T(what_is_missing_is_so_until_it_is_durable),
		T(what_went_while_the_disk_was_full_does_not_come_again),
		T(what_could_not_be_removed_does_not_come_back),
		T(what_could_not_be_acknowledged_is_not_handed_out_twice),
		T(what_could_not_be_removed_goes_with_the_next_commit),
		T(a_session_cut_off_by_a_crash_is_away_from_then_on),
		T(since_when_it_is_away_is_stored_later_if_need_be),
		T(the_longest_expiry_outlives_a_restart),
		T(ids_in_use_are_not_given_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
