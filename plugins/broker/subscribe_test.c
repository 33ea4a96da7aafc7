/* SPDX-License-Identifier: Apache-2.0 */
/* Filters, what SUBACK and UNSUBACK say, and who gets what. */
#include "rig_test.h"

static void say(struct fake_peer *peer, uint8_t type, const char *filter, int options)
{
	uint8_t bytes[128];
	struct writer w = writer(bytes, sizeof(bytes));
	write_u8(&w, (uint8_t)(type << 4 | 2));
	write_u8(&w, (uint8_t)(2 + 2 + strlen(filter) + (options >= 0)));
	write_u16(&w, 1);
	write_binary(&w, edged_str(filter));
	if (options >= 0)
		write_u8(&w, (uint8_t)options);
	fake_send(peer, bytes, (size_t)(w.at - bytes), 0);
}

static void publish(struct fake_peer *peer, const char *topic)
{
	uint8_t bytes[128];
	struct writer w = writer(bytes, sizeof(bytes));
	write_u8(&w, 0x30);
	write_u8(&w, (uint8_t)(2 + strlen(topic)));
	write_binary(&w, edged_str(topic));
	fake_send(peer, bytes, (size_t)(w.at - bytes), 0);
}

static void filters_match_level_by_level(void **state)
{
	(void)state;
	static const struct {
		const char *filter, *topic;
		bool match;
	} rows[] = {
		{ "a/b/c", "a/b/c", true },
		{ "a/b/c", "a/b/C", false },
		{ "a/b", "a/b/c", false },
		{ "a/b/c", "a/b", false },
		{ "a", "/a", false },
		{ "a", "a/", false },
		{ "a/", "a/", true },
		{ "/a", "/a", true },
		{ "/", "/", true },
		{ "a//b", "a//b", true },
		{ "a//b", "a/b", false },
		{ "a b", "a b", true },
		{ "#", "a", true },
		{ "#", "a/b/c", true },
		{ "#", "/", true },
		{ "a/#", "a", true },
		{ "a/#", "a/", true },
		{ "a/#", "a/b/c", true },
		{ "a/#", "ab", false },
		{ "+", "a", true },
		{ "+", "/a", false },
		{ "+/+", "/a", true },
		{ "/+", "/a", true },
		{ "a/+", "a", false },
		{ "a/+", "a/", true },
		{ "a/+", "a/b/c", false },
		{ "a/+/c", "a/b/c", true },
		{ "+/b/#", "a/b", true },
		{ "+/b/#", "a/c", false },
		{ "#", "$aws/x", false },
		{ "+/x", "$aws/x", false },
		{ "+/#", "$aws/x", false },
		{ "$aws/x/#", "$aws/x", true },
		{ "$aws/+", "$aws/x", true },
		{ "a/#", "a/$b", true },
		{ "a/+", "a/$b", true },
		/* Nothing is normalised: composed and decomposed, with a mark in front. */
		{ "\xc3\xa9", "\xc3\xa9", true },
		{ "\xc3\xa9", "e\xcc\x81", false },
		{ "a",
		        "\xef\xbb\xbf"
		        "a",
		        false },
		{ "\xef\xbb\xbf"
		  "a",
		        "\xef\xbb\xbf"
		        "a",
		        true },
	};
	boot(1, NULL);
	struct fake_peer *p = join(4, "p", CLEAN);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_peer *s = join(4, "s", CLEAN);
		subscribe(s, rows[i].filter, 0);
		EXPECT(s, "\x90\3\0\1\0");
		print_message("%s: %s\n", rows[i].filter, rows[i].topic);
		publish(p, rows[i].topic);
		struct edged_slice got = fake_take(s);
		assert_int_equal(got.len, rows[i].match ? 4 + strlen(rows[i].topic) : 0);
		if (rows[i].match)
			assert_memory_equal(got.ptr + 4, rows[i].topic, strlen(rows[i].topic));
	}
}

static void filters_against_the_rules_are_refused_one_by_one(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "a#", "#/a", "a/#/b", "##", "a+", "+a", "a/+b/c", "a/b+", "++",
		"$share/", "$share/g", "$share//a", "$share/g+/a", "$share/g#/a", "$share/g/",
		"$share/g/a#" };
	boot(1, NULL);
	struct fake_peer *old = join(4, "old", CLEAN), *p = join(5, "new", CLEAN);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		print_message("\"%s\"\n", bad[i]);
		subscribe(old, bad[i], 1);
		EXPECT(old, "\x90\3\0\1\x80");
	}
	SEND(p, "\x82\x15\0\1\0\0\3a/b\2\0\2a#\1\0\1c\1\0\0\0");
	EXPECT(p, "\x90\7\0\1\0\2\x8f\1\x8f");
	SEND(p, "\xa2\x12\0\2\0\0\3a/b\0\2a#\0\1x\0\1c");
	EXPECT(p, "\xb0\7\0\2\0\0\x8f\x11\0");
	assert_int_equal(fake_figure(host, "broker_subscriptions", NULL), 0);
}

static void each_filter_has_its_code_in_order(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *p = join(4, "p", CLEAN);
	SEND(p, "\x82\x12\x12\x34\0\1a\2\0\1b\0\0\1c\1\0\1#\2");
	EXPECT(p, "\x90\6\x12\x34\2\0\1\2");
	SEND(p, "\xa2\x0e\x43\x21\0\1a\0\1x\0\1c\0\1a");
	EXPECT(p, "\xb0\2\x43\x21");
	assert_int_equal(fake_figure(host, "broker_subscriptions", NULL), 2);
	publish(p, "a");
	EXPECT(p, "\x30\3\0\1a"); /* by "#" */
}

static void the_lower_quality_holds(void **state)
{
	(void)state;
	boot(1, NULL);
	for (uint8_t granted = 0; granted <= 2; granted++)
		for (uint8_t qos = 0; qos <= 2; qos++) {
			struct fake_peer *s = join(4, "s", CLEAN), *p = join(4, "p", CLEAN);
			subscribe(s, "t", granted);
			quiet(s);
			uint8_t packet[] = { (uint8_t)(0x30 | qos << 1), 5, 0, 1, 't', 0, 1 };
			fake_send(p, packet, 7, 0);
			uint8_t least = qos < granted ? qos : granted;
			assert_int_equal(fake_take(s).ptr[0], 0x30 | least << 1);
		}
}

static void a_subscription_takes_the_place_of_its_like(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join(4, "s", CLEAN), *p = join(4, "p", CLEAN);
	SEND(p, "\x33\6\0\1t\0\1r");
	subscribe(s, "t", 0);
	EXPECT(s, "\x90\3\0\1\0\x31\4\0\1tr");
	subscribe(s, "t", 1);
	EXPECT(s, "\x90\3\0\1\1\x33\6\0\1t\0\1r");
	SEND(s, "\x40\2\0\1");
	SEND(p, "\x32\6\0\1t\0\2x");
	EXPECT(s, "\x32\6\0\1t\0\2x"); /* once, at the new QoS */
	assert_int_equal(fake_figure(host, "broker_subscriptions", NULL), 1);
}

static void unsubscribing_is_exact_and_lets_deliveries_end(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *s = join(4, "s", KEEP), *p = join(4, "p", CLEAN);
	subscribe(s, "a/+", 2);
	quiet(s);
	say(s, UNSUBSCRIBE, "a/b", -1);
	say(s, UNSUBSCRIBE, "A/+", -1);
	say(s, UNSUBSCRIBE, "#", -1);
	EXPECT(s, "\xb0\2\0\1\xb0\2\0\1\xb0\2\0\1");
	SEND(p, "\x34\x08\0\3a/b\0\1x");
	EXPECT(s, "\x34\x08\0\3a/b\0\1x");
	say(s, UNSUBSCRIBE, "a/+", -1);
	EXPECT(s, "\xb0\2\0\1");
	SEND(p, "\x34\x08\0\3a/b\0\2y");
	EXPECT(s, ""); /* nothing new */
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	EXPECT(s, "\x20\2\1\0\x3c\x08\0\3a/b\0\1x"); /* what had begun goes on */
	SEND(s, "\x50\2\0\1");
	EXPECT(s, "\x62\2\0\1");
	SEND(s, "\x70\2\0\1");
	EXPECT(s, "");
}

/* One copy, with the highest QoS and the ids of all subscriptions that match. */
static void overlapping_subscriptions_give_one_message(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join(5, "s", CLEAN), *p = join(4, "p", CLEAN);
	SEND(s, "\x82\x09\0\1\2\x0b\5\0\1t\0");
	SEND(s, "\x82\x0a\0\1\3\x0b\x80\1\0\1#\2");
	SEND(s, "\x82\7\0\1\0\0\1+\1"); /* without an id */
	quiet(s);
	SEND(p, "\x34\6\0\1t\0\1x");
	struct edged_slice got = fake_take(s);
	assert_int_equal(got.len, 2 + 3 + 2 + 1 + 5 + 1);
	assert_memory_equal(got.ptr, "\x34\x0c\0\1t\0\1\5", 8);
	assert_true(memcmp(got.ptr + 8, "\x0b\5\x0b\x80\1x", 6) == 0 ||
	            memcmp(got.ptr + 8, "\x0b\x80\1\x0b\5x", 6) == 0);
}

/* Also one that waits in line: behind retained messages, or behind a SUBACK that waits for the disk. */
static void a_message_in_line_keeps_all_identifiers(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join_with(5, "s", KEEP, "\x11\0\0\x0e\x10", 5, NULL, 0),
	                 *v = join_with(5, "v", CLEAN, "\x21\0\1", 3, NULL, 0), *p = join(4, "p", CLEAN);
	SEND(p, "\x33\6\0\1r\0\1x\x33\6\0\1q\0\1x");
	fake_commit(host, 0);
	quiet(s);
	quiet(v);
#define BOTH "\x82\x09\0\1\2\x0b\5\0\1t\1\x82\x09\0\2\2\x0b\6\0\1+\x20"
	SEND(s, BOTH "\x82\7\0\3\0\0\1q\0");
	SEND(v, BOTH "\x82\7\0\3\0\0\1q\1\x82\7\0\4\0\0\1r\1");
	EXPECT(v, "\x90\4\0\1\0\1\x90\4\0\2\0\0\x90\4\0\3\0\1\x33\7\0\1q\0\1\0x\x90\4\0\4\0\1");
	SEND(p, "\x32\6\0\1t\0\2y\x30\4\0\1tz");
	EXPECT(v, ""); /* its window is one message */
	SEND(v, "\x40\2\0\1\x40\2\0\2");
	EXPECT(v, "\x33\7\0\1r\0\2\0x\x32\x0b\0\1t\0\3\4\x0b\5\x0b\6y\x30\x09\0\1t\4\x0b\5\x0b\6z");
	quiet(p);
	EXPECT(s, "\x32\x0b\0\1t\0\1\4\x0b\5\x0b\6y"); /* it is durable, and for the queue */
	fake_commit(host, 0);
	EXPECT(s, "\x90\4\0\1\0\1\x90\4\0\2\0\0\x90\4\0\3\0\0\x31\5\0\1q\0x\x30\x09\0\1t\4\x0b\5\x0b\6z");
}

/* There is no room for the retained messages in front of it; when they have expired, it need not wait for room. */
static void what_has_expired_holds_up_nothing(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *s = join_with(5, "s", CLEAN, "\x21\0\1", 3, NULL, 0), *p = join(5, "p", CLEAN);
	quiet(s);
	SEND(p, "\x33\x0c\0\1q\0\1\5\2\0\0\0\x0a"
	        "1\x33\x0c\0\1r\0\2\5\2\0\0\0\x0a"
	        "2");
	SEND(s, "\x82\7\0\1\0\0\1q\1\x82\7\0\2\0\0\1r\1\x82\7\0\3\0\0\1t\0");
	EXPECT(s, "\x90\4\0\1\0\1\x33\x0c\0\1q\0\1\5\2\0\0\0\x0a"
	          "1\x90\4\0\2\0\1\x90\4\0\3\0\0");
	SEND(p, "\x30\5\0\1t\0"
	        "3");
	EXPECT(s, "");
	pass(20000);
	SEND(p, "\x30\5\0\1t\0"
	        "4");
	EXPECT(s, "\x30\5\0\1t\0"
	          "3\x30\5\0\1t\0"
	          "4");
}

/* A shared subscription is served by itself: two messages, each with its own identifier. */
static void a_shared_copy_has_its_own_identifier(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join(5, "s", CLEAN);
	SEND(s, "\x82\x09\0\1\2\x0b\5\0\1t\0");
	SEND(s, "\x82\x12\0\1\2\x0b\6\0\x0a$share/g/t\0");
	quiet(s);
	SEND(join(4, "p", CLEAN), "\x30\4\0\1tx");
	struct edged_slice got = fake_take(s);
	assert_int_equal(got.len, 18);
	assert_memory_equal(got.ptr, "\x30\7\0\1t\2\x0b\5x\x30\7\0\1t\2\x0b\6x", 18);
}

/* Members on three loops, publishers on three loops: each message once, to those who are there. */
static void shared_subscribers_may_live_on_several_loops(void **state)
{
	(void)state;
	enum { N = 6, MESSAGES = 60 };
	boot(3, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *s[N], *p[N];
	char id[32];
	for (int i = 0; i < N; i++) {
		for (int k = 0; i == 0 || k == 0 || fake_loop_of(s[i]) != (unsigned)i % 3;
		        k++) { /* two on each loop */
			snprintf(id, sizeof(id), i ? "s%d.%d" : "s0", i, k);
			s[i] = join_with(4, id, i == 0 ? KEEP : CLEAN, NULL, 0, NULL, 0);
			if (i == 0)
				break;
			if (fake_loop_of(s[i]) != (unsigned)i % 3)
				fake_hang_up(s[i]);
		}
		subscribe(s[i], "$share/g/t", 1);
		quiet(s[i]);
		snprintf(id, sizeof(id), "p%d", i);
		p[i] = join(4, id, CLEAN);
	}
	for (int i = 0; i < MESSAGES; i++) {
		SEND(p[i % N], "\x32\6\0\1t\0\1x");
		EXPECT(p[i % N], "\x40\2\0\1");
	}
	for (int i = 0; i < N; i++)
		assert_int_equal(fake_take(s[i]).len, MESSAGES / N * 8); /* by turns */
	for (int i = 0; i < 5; i++) /* one keeps its session, but others are there */
		fake_hang_up(s[i]);
	for (int i = 0; i < N; i++)
		SEND(p[i], "\x32\6\0\1t\0\2y");
	assert_int_equal(fake_take(s[5]).len, N * 8);
	SEND(s[5], "\xa2\x0e\0\2\0\x0a$share/g/t");
	EXPECT(s[5], "\xb0\2\0\2");
	SEND(p[1], "\x32\6\0\1t\0\3z"); /* now only the one that is away is left */
	EXPECT(s[5], "");
	fake_host_free(host, false);
	boot(3, NULL);
	fake_auto_commit(host, true);
	s[0] = join_with(4, "s0", KEEP, NULL, 0, NULL, 0);
	struct edged_slice got = fake_take(s[0]);
	assert_int_equal(got.len, 4 + (MESSAGES / N + 1) * 8); /* what it had not acknowledged, and "z" */
	assert_int_equal(got.ptr[got.len - 1], 'z');
	SEND(join(5, "q", CLEAN), "\x30\5\0\1t\0w");
	assert_true(fake_take(s[0]).len == 6);
	(void)join_with(4, "s0", CLEAN, NULL, 0, NULL, 0);
	SEND(join(4, "q", CLEAN), "\x32\6\0\1t\0\1x"); /* nobody is left */
	assert_int_equal(fake_figure(host, "broker_subscriptions", NULL), 0);
}

static void no_local_spares_the_publisher_alone(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *p = join(5, "p", CLEAN), *q = join(5, "q", CLEAN);
	SEND(p, "\x82\7\0\1\0\0\1t\4");
	SEND(q, "\x82\7\0\1\0\0\1t\4");
	quiet(p);
	quiet(q);
	SEND(p, "\x30\5\0\1t\0x");
	EXPECT(p, "");
	EXPECT(q, "\x30\5\0\1t\0x");
}

/* The connection that left it had the same client id. */
static void no_local_holds_for_wills(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	static const char *const tails[] = { "\0\0\1t\0\1x", "\5\x18\0\0\0\1\0\1t\0\1x" };
	static const size_t sizes[] = { 7, 12 };
	for (size_t i = 0; i < 2; i++) { /* at once, and delayed */
		struct fake_peer *p = join_with(5, "p", CLEAN | 4, "\x11\0\0\xff\xff", 5, tails[i], sizes[i]);
		SEND(p, "\x82\7\0\1\0\0\1t\5");
		fake_hang_up(p);
		pass(2000);
		p = join(5, "p", KEEP);
		EXPECT(p, "");
	}
}

/* It is the message of the member it was given to, whatever becomes of that one. */
static void a_shared_message_stays_with_its_member(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	const char expiry[] = "\x11\0\0\xff\xff";
	struct fake_peer *a = join_with(5, "a", CLEAN, expiry, 5, NULL, 0), *b, *p = join(4, "p", CLEAN);
	quiet(a);
	SEND(a, "\x82\x10\0\1\0\0\x0a$share/g/t\2");
	quiet(a);
	SEND(p, "\x34\6\0\1t\0\1x\x34\6\0\1t\0\2y\x34\6\0\1t\0\3z");
	EXPECT(a, "\x34\7\0\1t\0\1\0x\x34\7\0\1t\0\2\0y\x34\7\0\1t\0\3\0z");
	b = join(5, "b", CLEAN);
	SEND(b, "\x82\x10\0\1\0\0\x0a$share/g/t\1");
	quiet(b);
	SEND(a, "\x50\3\0\1\x97"); /* refused: gone */
	fake_hang_up(a);
	EXPECT(b, "");
	SEND(p, "\x34\6\0\1t\0\4u"); /* to who is there, at its QoS */
	EXPECT(b, "\x32\7\0\1t\0\1\0u");
	a = join_with(5, "a", KEEP, expiry, 5, NULL, 0);
	struct edged_slice got = fake_take(a);
	assert_int_equal(got.len, 18 + 9 + 9);
	assert_memory_equal(got.ptr + 18, "\x3c\7\0\1t\0\2\0y\x3c\7\0\1t\0\3\0z", 18);
	fake_hang_up(a);
	(void)join(5, "a", CLEAN); /* its session ends, and its messages with it */
	EXPECT(b, "");
}

static void an_answer_too_large_for_the_client_is_not_sent(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *p = join_with(5, "p", CLEAN, "\x27\0\0\0\x14", 5, NULL, 0);
	quiet(p);
	uint8_t packet[3 + 30 * 4 + 2] = "\x82\x7b\0\1\0";
	for (size_t i = 0; i < 30; i++)
		memcpy(packet + 5 + i * 4, "\0\1t\0", 4);
	fake_send(p, packet, sizeof(packet), 0);
	EXPECT(p, "\xe0\1\x95");
	assert_true(fake_closed(p));
	p = join_with(5, "p", CLEAN, "\x27\0\0\0\x14", 5, NULL, 0);
	quiet(p);
	SEND(p, "\x82\7\0\1\0\0\1t\1");
	quiet(p);
	SEND(join(4, "q", CLEAN), "\x30\x16\0\1t0123456789012345678\x32\6\0\1t\0\1x");
	EXPECT(p, "\x32\7\0\1t\0\1\0x"); /* as if the large one had been delivered */
	assert_int_equal(fake_figure(host, "broker_messages_dropped_total", "reason=\"too-large\""), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(filters_match_level_by_level),
		T(filters_against_the_rules_are_refused_one_by_one),
		T(each_filter_has_its_code_in_order),
		T(the_lower_quality_holds),
		T(a_subscription_takes_the_place_of_its_like),
		T(unsubscribing_is_exact_and_lets_deliveries_end),
		T(overlapping_subscriptions_give_one_message),
		T(a_message_in_line_keeps_all_identifiers),
		T(what_has_expired_holds_up_nothing),
		T(a_shared_copy_has_its_own_identifier),
		T(shared_subscribers_may_live_on_several_loops),
		T(no_local_spares_the_publisher_alone),
		T(no_local_holds_for_wills),
		T(a_shared_message_stays_with_its_member),
		T(an_answer_too_large_for_the_client_is_not_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
