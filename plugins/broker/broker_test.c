/* SPDX-License-Identifier: Apache-2.0 */
/* The whole broker on a host in memory: what clients see, what waits for the store, what survives a crash. */
#include "rig_test.h"
#include "record.h"

/* --- connecting ------------------------------------------------------------------------------------------------------------- */

static void clients_of_all_versions_are_accepted(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *p = join_with(3, "a", CLEAN, NULL, 0, NULL, 0);
	EXPECT(p, "\x20\2\0\0");
	p = join_with(4, "b", CLEAN, NULL, 0, NULL, 0);
	EXPECT(p, "\x20\2\0\0");
	p = join_with(5, "c", CLEAN, NULL, 0, NULL, 0);
	EXPECT(p, "\x20\x10\0\0\x0d\x21\0\x64\x27\0\4\0\0\x22\0\x0a\x2a\1");
	SEND(p, "\xc0\0");
	EXPECT(p, "\xd0\0");
	assert_int_equal(fake_figure(host, "broker_connections", NULL), 3);
	SEND(p, "\xe0\0");
	assert_true(fake_closed(p));
	assert_int_equal(fake_figure(host, "broker_connections", NULL), 2);
	assert_int_equal(fake_writes(host), 0);
}

static void who_may_not_come_in_is_told(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *p = fake_connect(host, 0, false);
	SEND(p, "\x10\x0d\0\4MQTT\4\2\0\x3c\0\1a");
	EXPECT(p, "\x20\2\0\5");
	assert_true(fake_closed(p));
	p = fake_connect(host, 0, false);
	SEND(p, "\x10\x0e\0\4MQTT\5\2\0\x3c\0\0\1a");
	REFUSED(p, 0x87);
	p = fake_connect(host, 0, true);
	SEND(p, "\x10\x0d\0\4MQTT\7\2\0\x3c\0\1a");
	REFUSED(p, 0x84);
	p = fake_connect(host, 0, true);
	SEND(p, "\x10\x0c\0\4MQTT\4\0\0\x3c\0\0"); /* no id, to be kept */
	EXPECT(p, "\x20\2\0\2");
	assert_true(fake_closed(p));
	p = fake_connect(host, 0, true);
	SEND(p, "GET / HTTP/1.1\r\n\r\n");
	EXPECT(p, "");
	assert_true(fake_closed(p));
	p = fake_connect(host, 0, true);
	fake_sleep(host, 4000);
	assert_false(fake_closed(p));
	fake_sleep(host, 1500);
	assert_true(fake_closed(p));
	const struct edged_peer slow = { .address = "192.0.2.1:1", .uid = -1, .trusted = true };
	p = fake_connect_as(host, 0, &slow, 3000); /* its TLS handshake took so long */
	fake_sleep(host, 1500);
	assert_false(fake_closed(p));
	fake_sleep(host, 750);
	assert_true(fake_closed(p));
	p = fake_connect_as(host, 0, &slow, 9000);
	fake_sleep(host, 250);
	assert_true(fake_closed(p));
	p = join(4, "a", CLEAN);
	SEND(p, "\x10\x0d\0\4MQTT\4\2\0\x3c\0\1a"); /* a second CONNECT */
	assert_true(fake_closed(p));
}

static void an_id_is_assigned(void **state)
{
	(void)state;
	boot(3, NULL);
	struct fake_peer *p = join_with(5, "", CLEAN, NULL, 0, NULL, 0);
	struct edged_slice got = fake_take(p);
	assert_int_equal(got.len, 18 + 3 + 37);
	assert_memory_equal(got.ptr + 18,
	        "\x12\0\x25"
	        "auto-",
	        8);
	p = join(4, "", CLEAN);
	assert_int_equal(fake_figure(host, "broker_sessions", NULL), 2);
	fake_hang_up(p);
	assert_int_equal(fake_figure(host, "broker_sessions", NULL), 1);
}

static void silence_ends_a_connection(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *p = join(5, "a", CLEAN);
	fake_sleep(host, 80000);
	SEND(p, "\xc0\0");
	quiet(p);
	fake_sleep(host, 80000);
	assert_false(fake_closed(p));
	fake_sleep(host, 15000);
	BYE(p, 0x8d);
	assert_true(fake_closed(p));
	assert_int_equal(fake_timers(host), 0);
}

static void the_newer_connection_takes_over(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *old = join(5, "a", CLEAN), *p;
	subscribe(join(4, "w", CLEAN), "will", 0);
	p = join(5, "a", CLEAN);
	BYE(old, 0x8e);
	assert_true(fake_closed(old));
	assert_false(fake_closed(p));
	assert_int_equal(fake_figure(host, "broker_sessions_taken_over_total", NULL), 1);
}

/* --- messages ------------------------------------------------------------------------------------------------------------- */

static void messages_reach_who_subscribed(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *a = join(4, "a", CLEAN), *b = join(4, "b", CLEAN), *c = join(5, "c", CLEAN);
	subscribe(a, "s/+", 0);
	EXPECT(a, "\x90\3\0\1\0");
	subscribe(a, "#", 0);
	EXPECT(a, "\x90\3\0\1\0");
	SEND(c, "\x82\7\0\1\0\0\1t\0");
	EXPECT(c, "\x90\4\0\1\0\0");
	SEND(b, "\x30\6\0\3s/1x\x30\4\0\1ty");
	EXPECT(a, "\x30\6\0\3s/1x\x30\4\0\1ty"); /* once, though two filters match */
	EXPECT(c, "\x30\5\0\1t\0y");
	EXPECT(b, "");
	SEND(a, "\xa2\7\0\2\0\3s/+\xa2\5\0\3\0\1#");
	EXPECT(a, "\xb0\2\0\2\xb0\2\0\3");
	SEND(b, "\x30\6\0\3s/1x");
	EXPECT(a, "");
	SEND(c, "\xa2\6\0\1\0\0\1u");
	EXPECT(c, "\xb0\4\0\1\0\x11");
	assert_int_equal(fake_writes(host), 0);
}

static void large_payloads_go_without_a_copy(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *a = join(4, "a", CLEAN), *b = join(5, "b", CLEAN), *c = join(4, "c", CLEAN);
	subscribe(a, "t", 1);
	quiet(a);
	SEND(b, "\x82\7\0\1\0\0\1t\1");
	quiet(b);
	enum { N = 3000 };
	static uint8_t packet[3 + 3 + 2 + N], v5[3 + 3 + 2 + 1 + N];
	memset(packet, 'x', sizeof(packet));
	memcpy(packet, "\x32\xbd\x17\0\1t\0\1", 8);
	memset(v5, 'x', sizeof(v5));
	memcpy(v5, "\x32\xbe\x17\0\1t\0\1\0", 9);
	fake_send(c, packet, sizeof(packet), 700);
	EXPECT(c, "\x40\2\0\1");
	expect(a, (char *)packet, sizeof(packet), __LINE__);
	expect(b, (char *)v5, sizeof(v5), __LINE__);
}

static void every_quality_of_service_works(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *sub = join(4, "s", CLEAN), *pub = join(4, "p", CLEAN);
	subscribe(sub, "t", 2);
	EXPECT(sub, "\x90\3\0\1\2");
	SEND(pub, "\x32\6\0\1t\0\7"
	          "1");
	EXPECT(pub, "\x40\2\0\7");
	EXPECT(sub, "\x32\6\0\1t\0\1"
	            "1");
	SEND(sub, "\x40\2\0\1");
	SEND(pub, "\x34\6\0\1t\0\x08"
	          "2");
	EXPECT(pub, "\x50\2\0\x08");
	EXPECT(sub, "\x34\6\0\1t\0\2"
	            "2");
	SEND(pub, "\x3c\6\0\1t\0\x08"
	          "2"); /* again: not a second message */
	EXPECT(pub, "\x50\2\0\x08");
	EXPECT(sub, "");
	SEND(pub, "\x62\2\0\x08");
	EXPECT(pub, "\x70\2\0\x08");
	SEND(sub, "\x50\2\0\2");
	EXPECT(sub, "\x62\2\0\2");
	SEND(sub, "\x70\2\0\2");
	EXPECT(sub, "");
	SEND(pub, "\x34\6\0\1t\0\x08"
	          "3"); /* the id is free: a new message */
	EXPECT(pub, "\x50\2\0\x08");
	EXPECT(sub, "\x34\6\0\1t\0\3"
	            "3");
	assert_int_equal(fake_writes(host), 0);
}

static void no_more_is_on_the_way_than_the_client_takes(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *sub = join_with(5, "s", CLEAN, "\x21\0\2", 3, NULL, 0), *pub = join(4, "p", CLEAN);
	quiet(sub);
	SEND(sub, "\x82\7\0\1\0\0\1t\1");
	quiet(sub);
	SEND(pub, "\x32\6\0\1t\0\1"
	          "1\x32\6\0\1t\0\2"
	          "2\x32\6\0\1t\0\3"
	          "3");
	EXPECT(pub, "\x40\2\0\1\x40\2\0\2\x40\2\0\3");
	EXPECT(sub, "\x32\7\0\1t\0\1\0"
	            "1\x32\7\0\1t\0\2\0"
	            "2");
	SEND(sub, "\x40\2\0\2");
	EXPECT(sub, "\x32\7\0\1t\0\3\0"
	            "3");
	SEND(sub, "\x40\2\0\1\x40\2\0\3");
	EXPECT(sub, "");
}

static void properties_of_a_message_are_passed_on(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *sub = join(5, "s", CLEAN), *pub = join(5, "p", CLEAN), *old = join(4, "o", CLEAN);
	SEND(sub, "\x82\x09\0\1\2\x0b\5\0\1#\0"); /* subscription identifier 5 */
	SEND(sub, "\x82\x0b\0\1\2\x0b\6\0\3t/#\0");
	quiet(sub);
	subscribe(old, "t", 0);
	quiet(old);
	SEND(pub, "\x30\x16\0\1t\x11\1\1\x23\0\1\2\0\0\0\x0a\x26\0\1k\0\1vx");
	EXPECT(old, "\x30\4\0\1tx");
	struct edged_slice got = fake_take(sub);
	assert_int_equal(got.len, 2 + 3 + 1 + 5 + 4 + 9 + 1);
	assert_memory_equal(got.ptr, "\x30\x17\0\1t\x12\2\0\0\0\x0a\x0b", 12);
	assert_memory_equal(got.ptr + 15, "\1\1\x26\0\1k\0\1vx", 10);
	SEND(pub, "\x30\x07\0\0\3\x23\0\1y"); /* by alias */
	EXPECT(old, "\x30\4\0\1ty");
	quiet(sub);
	SEND(pub, "\x30\x07\0\0\3\x23\0\2y"); /* one that was not set */
	BYE(pub, 0x82);
	assert_true(fake_closed(pub));
	pub = join(5, "p", CLEAN);
	SEND(pub, "\x30\x08\0\1t\3\x23\0\x0by"); /* over the maximum */
	BYE(pub, 0x94);
}

static void options_of_a_subscription_count(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *p = join(5, "p", CLEAN), *q = join(5, "q", CLEAN);
	SEND(p, "\x82\7\0\1\0\0\1t\4"); /* no local */
	quiet(p);
	SEND(q, "\x82\7\0\1\0\0\1t\x08"); /* retain as published */
	quiet(q);
	SEND(p, "\x31\5\0\1t\0x");
	EXPECT(p, "");
	EXPECT(q, "\x31\5\0\1t\0x");
	SEND(q, "\x82\7\0\1\0\0\1t\x18"); /* retained only when new: it is not */
	EXPECT(q, "\x90\4\0\1\0\0");
	SEND(q, "\x82\7\0\1\0\0\1t\x08");
	EXPECT(q, "\x90\4\0\1\0\0\x31\5\0\1t\0x");
	SEND(q, "\x82\7\0\1\0\0\1t\x20"); /* never */
	EXPECT(q, "\x90\4\0\1\0\0");
	SEND(q, "\x82\x10\0\1\0\0\x0a$share/g/t\4"); /* shared and no local */
	BYE(q, 0x82);
}

static void shared_subscribers_take_turns(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *a = join(4, "a", CLEAN), *b = join(4, "b", CLEAN), *p = join(4, "p", CLEAN);
	subscribe(a, "$share/g/t", 0);
	subscribe(b, "$share/g/t", 0);
	subscribe(p, "t", 0);
	quiet(a);
	quiet(b);
	quiet(p);
	for (int i = 0; i < 10; i++)
		SEND(p, "\x30\4\0\1tx");
	assert_int_equal(fake_take(a).len, 5 * 6);
	assert_int_equal(fake_take(b).len, 5 * 6);
	assert_int_equal(fake_take(p).len, 10 * 6);
	fake_hang_up(a);
	SEND(p, "\x30\4\0\1tx\x30\4\0\1tx");
	assert_int_equal(fake_take(b).len, 2 * 6);
}

static void bad_topics_are_refused(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *p = join(5, "p", CLEAN), *all = join(4, "all", CLEAN);
	subscribe(all, "$SYS/#", 0);
	quiet(all);
	SEND(p, "\x32\x0b\0\5$SYS/\0\1\0x");
	EXPECT(p, "\x40\3\0\1\x87");
	EXPECT(all, "");
	SEND(p, "\x82\x0b\0\1\0\0\5a/#/b\0");
	EXPECT(p, "\x90\4\0\1\0\x8f");
	SEND(p, "\x30\6\0\2a#\0x");
	BYE(p, 0x90);
	assert_true(fake_closed(p));
	p = join(4, "q", CLEAN);
	SEND(p, "\x82\x0e\0\1\0\5a/#/b\0\0\1c\1");
	EXPECT(p, "\x90\4\0\1\x80\1");
	SEND(p, "\x30\3\0\0x");
	assert_true(fake_closed(p));
}

/* --- wills and retained messages ---------------------------------------------------------------------------------------------- */

static void a_will_is_published_for_the_lost(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *w = join(4, "w", CLEAN);
	subscribe(w, "will", 0);
	quiet(w);
	struct fake_peer *p = join_with(4, "p", CLEAN | 4, NULL, 0, "\0\4will\0\1x", 9);
	SEND(p, "\xe0\0");
	EXPECT(w, "");
	p = join_with(4, "p", CLEAN | 4, NULL, 0, "\0\4will\0\1x", 9);
	fake_hang_up(p);
	EXPECT(w, "\x30\7\0\4willx");
	p = join_with(5, "p", CLEAN | 4, NULL, 0, "\0\0\4will\0\1y", 10);
	SEND(p, "\xe0\1\4"); /* in order, but with the will */
	EXPECT(w, "\x30\7\0\4willy");
}

static void a_will_may_be_delayed(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *w = join(4, "w", CLEAN);
	subscribe(w, "will", 0);
	quiet(w);
	const char expiry[] = "\x11\0\0\0\x3c", tail[] = "\5\x18\0\0\0\x0a\0\4will\0\1x";
	struct fake_peer *p = join_with(5, "p", CLEAN | 4, expiry, 5, tail, sizeof(tail) - 1);
	fake_hang_up(p);
	fake_sleep(host, 5000);
	EXPECT(w, "");
	p = join_with(5, "p", KEEP | 4, expiry, 5, tail, sizeof(tail) - 1); /* back in time */
	fake_sleep(host, 20000);
	EXPECT(w, "");
	fake_hang_up(p);
	fake_sleep(host, 12000);
	EXPECT(w, "\x30\7\0\4willx");
	/* The end of the session comes before the delay. */
	const char soon[] = "\x11\0\0\0\2";
	p = join_with(5, "q", CLEAN | 4, soon, 5, tail, sizeof(tail) - 1);
	fake_hang_up(p);
	fake_sleep(host, 4000);
	EXPECT(w, "\x30\7\0\4willx");
}

static void retained_messages_are_kept(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *p = join(4, "p", CLEAN), *s = join(4, "s", CLEAN);
	SEND(p, "\x31\6\0\3a/b1\x31\6\0\3a/c2");
	subscribe(s, "a/+", 1);
	struct edged_slice got = fake_take(s);
	assert_int_equal(got.len, 5 + 16);
	assert_memory_equal(got.ptr, "\x90\3\0\1\1\x31\6\0\3a/", 11);
	SEND(p, "\x31\5\0\3a/b"); /* removed, and passed on */
	EXPECT(s, "\x30\5\0\3a/b");
	fake_commit(host, 0);
	crash();
	s = join(4, "s", CLEAN);
	subscribe(s, "#", 0);
	EXPECT(s, "\x90\3\0\1\0\x31\6\0\3a/c2");
	assert_int_equal(fake_figure(host, "broker_retained_messages", NULL), 1);
}

static void many_retained_messages_wait_for_a_slow_reader(void **state)
{
	(void)state;
	const struct fake_setting settings[] = { { "limits.inflight", 5 }, { NULL, 0 } };
	boot(1, settings);
	struct fake_peer *p = join(4, "p", CLEAN), *s = join(4, "s", CLEAN);
	enum { COUNT = 2000, SIZE = 600 };
	for (int i = 0; i < COUNT; i++) {
		uint8_t bytes[SIZE + 16];
		memset(bytes, 'x', sizeof(bytes));
		struct writer w = writer(bytes, sizeof(bytes));
		char topic[16];
		snprintf(topic, sizeof(topic), "r%05d", i);
		write_u8(&w, 0x31);
		write_varint(&w, 2 + 6 + SIZE);
		write_binary(&w, edged_str(topic));
		fake_send(p, bytes, (size_t)(w.at - bytes) + SIZE, 0);
	}
	fake_block(s, true);
	subscribe(s, "#", 0);
	SEND(p, "\x30\4\0\1tx"); /* behind them */
	size_t first = fake_take(s).len, total = first;
	assert_in_range(first, 262144, 270000);
	for (size_t n; fake_run(host), (n = fake_take(s).len) > 0;)
		total += n;
	assert_int_equal(total, 5 + COUNT * (3 + 2 + 6 + SIZE) + 6);
}

static void retained_messages_have_limits(void **state)
{
	(void)state;
	const struct fake_setting settings[] = { { "limits.retained_messages", 1 }, { NULL, 0 } };
	boot(1, settings);
	fake_auto_commit(host, true);
	struct fake_peer *p = join(5, "p", CLEAN);
	SEND(p, "\x33\7\0\1a\0\1\0x");
	EXPECT(p, "\x40\3\0\1\x10");
	SEND(p, "\x33\7\0\1b\0\2\0x");
	EXPECT(p, "\x40\3\0\2\x97");
	SEND(p, "\x33\7\0\1a\0\3\0y");
	EXPECT(p, "\x40\3\0\3\x10");
	assert_int_equal(fake_figure(host, "broker_retained_messages", NULL), 1);
}

static void messages_expire(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join_with(5, "s", CLEAN, "\x11\0\0\xff\xff", 5, NULL, 0),
	                 *p = join(5, "p", CLEAN);
	SEND(s, "\x82\7\0\1\0\0\1t\1");
	fake_commit(host, 0);
	fake_hang_up(s);
	/* The wall clock is the real one: an expiry of one second passes only in real time, so one is made in the past. */
	SEND(p, "\x32\x0c\0\1t\0\1\5\2\0\0\0\x64x");
	fake_commit(host, 0);
	s = join_with(5, "s", KEEP, "\x11\0\0\xff\xff", 5, NULL, 0);
	struct edged_slice got = fake_take(s);
	const char *expiry = memchr(got.ptr, '\x64', got.len);
	assert_non_null(expiry ? expiry : memchr(got.ptr, '\x63', got.len));
}

/* --- durability ------------------------------------------------------------------------------------------------------------------ */

static void an_acknowledgement_waits_for_the_store(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join(4, "s", KEEP), *p = join(4, "p", CLEAN);
	subscribe(s, "t", 1);
	EXPECT(s, "");
	fake_commit(host, 0);
	EXPECT(s, "\x90\3\0\1\1");
	fake_hang_up(s);
	SEND(p, "\x32\6\0\1t\0\1"
	        "1");
	SEND(p, "\x32\6\0\1u\0\2"
	        "2"); /* nobody gets it, but it keeps its place */
	EXPECT(p, "");
	fake_commit(host, 0);
	EXPECT(p, "\x40\2\0\1\x40\2\0\2");
	SEND(p, "\x32\6\0\1u\0\3"
	        "3");
	EXPECT(p, "\x40\2\0\3");
	assert_int_equal(fake_disk_rows_of(disk, "messages", RECORD_MESSAGE), 1);
	assert_int_equal(fake_disk_rows_of(disk, "messages", RECORD_ENTRY), 1);
	crash();
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	EXPECT(s, "\x20\2\1\0\x32\6\0\1t\0\1"
	          "1");
	SEND(s, "\x40\2\0\1");
	fake_commit(host, 0);
	crash();
	EXPECT(join_with(4, "s", KEEP, NULL, 0, NULL, 0), "\x20\2\1\0");
}

static void what_the_store_refuses_is_not_acknowledged(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join(4, "s", KEEP), *p = join(4, "p", CLEAN), *q = join(5, "q", CLEAN);
	subscribe(s, "t", 1);
	fake_commit(host, 0);
	SEND(p, "\x32\6\0\1t\0\1"
	        "1");
	SEND(q, "\x32\7\0\1t\0\1\0"
	        "1");
	fake_commit(host, -28);
	EXPECT(p, "");
	assert_true(fake_closed(p));
	EXPECT(q, "\x40\3\0\1\x97");
	assert_int_equal(fake_figure(host, "broker_store_failures_total", NULL), 2);
}

/* The connection ends while its retained messages wait behind the SUBACK. */
static void a_subscription_that_cannot_be_stored_ends_the_connection(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join(4, "s", KEEP), *p = join(4, "p", CLEAN);
	SEND(p, "\x31\4\0\1tx");
	fake_commit(host, 0);
	subscribe(s, "t", 1);
	fake_commit(host, -28);
	EXPECT(s, "");
	assert_true(fake_closed(s));
}

static void a_message_is_written_once(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	for (int i = 0; i < 20; i++) {
		char id[16];
		snprintf(id, sizeof(id), "s%d", i);
		struct fake_peer *s = join(4, id, KEEP);
		subscribe(s, "t", 1);
		fake_hang_up(s);
	}
	struct fake_peer *p = join(4, "p", CLEAN);
	SEND(p, "\x32\6\0\1t\0\1"
	        "1");
	EXPECT(p, "\x40\2\0\1");
	assert_int_equal(fake_disk_rows_of(disk, "messages", RECORD_MESSAGE), 1);
	assert_int_equal(fake_disk_rows_of(disk, "messages", RECORD_ENTRY), 20);
	struct fake_peer *s =
	        join_with(4, "s0", CLEAN, NULL, 0, NULL, 0); /* it wants to know nothing of before */
	EXPECT(s, "\x20\2\0\0");
	assert_int_equal(fake_disk_rows(disk, "sessions"), 19);
	assert_int_equal(fake_disk_rows(disk, "subs"), 19);
}

static void a_discarded_session_does_not_come_back(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join(4, "s", KEEP);
	subscribe(s, "t", 1);
	fake_commit(host, 0);
	fake_hang_up(s);
	s = join_with(4, "s", CLEAN, NULL, 0, NULL, 0);
	EXPECT(s, "");
	SEND(s, "\xc0\0");
	EXPECT(s, "");
	fake_commit(host, 0);
	EXPECT(s, "\x20\2\0\0\xd0\0");
	crash();
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	EXPECT(s, "\x20\2\0\0");
}

/* However it ended: by a connection without session expiry that is taken over or says goodbye. */
static void an_ended_session_does_not_come_back(void **state)
{
	(void)state;
	for (int taken_over = 0; taken_over <= 1; taken_over++) {
		boot(1, NULL);
		fake_auto_commit(host, true);
		struct fake_peer *p = join_with(5, "p", CLEAN, "\x11\0\0\0\x3c", 5, NULL, 0), *q;
		subscribe(p, "t", 1);
		fake_hang_up(p);
		p = join(5, "p", KEEP);
		fake_auto_commit(host, false);
		if (!taken_over)
			SEND(p, "\xe0\0");
		q = join_with(5, "p", KEEP, NULL, 0, NULL, 0);
		EXPECT(q, ""); /* nothing is said before it is true */
		fake_commit(host, 0);
		assert_int_equal(fake_take(q).ptr[2], 0);
		fake_host_free(host, false);
		boot(1, NULL);
		fake_auto_commit(host, true);
		p = join_with(5, "p", KEEP, NULL, 0, NULL, 0);
		assert_int_equal(fake_take(p).ptr[2], 0);
		fake_host_free(host, true);
		host = NULL;
	}
}

/* QoS 2 out of the broker: crash at each step; the client gets the message once, counting by its packet ids. */
static void no_message_of_qos_2_comes_twice(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join(4, "s", KEEP), *p = join(4, "p", KEEP);
	subscribe(s, "t", 2);
	fake_commit(host, 0);
	quiet(s);
	SEND(p, "\x34\6\0\1t\0\7x");
	EXPECT(p, "");
	EXPECT(s, ""); /* its id is not on the disk yet */
	fake_commit(host, 0);
	EXPECT(p, "\x50\2\0\7");
	fake_run(host);
	EXPECT(s, "\x34\6\0\1t\0\1x");
	crash(); /* the subscriber has it, its PUBREC is lost */
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	EXPECT(s, "\x20\2\1\0\x3c\6\0\1t\0\1x");
	p = join_with(4, "p", KEEP, NULL, 0, NULL, 0);
	EXPECT(p, "\x20\2\1\0");
	SEND(p, "\x3c\6\0\1t\0\7x"); /* PUBREC was lost, too */
	EXPECT(p, "\x50\2\0\7");
	EXPECT(s, "");
	SEND(s, "\x50\2\0\1");
	EXPECT(s, "");
	fake_commit(host, 0);
	EXPECT(s, "\x62\2\0\1");
	SEND(p, "\x62\2\0\7");
	EXPECT(p, "");
	fake_commit(host, 0);
	EXPECT(p, "\x70\2\0\7");
	crash(); /* PUBCOMP is lost */
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	EXPECT(s, "\x20\2\1\0\x62\2\0\1");
	SEND(s, "\x70\2\0\1");
	fake_commit(host, 0);
	crash();
	EXPECT(join_with(4, "s", KEEP, NULL, 0, NULL, 0), "\x20\2\1\0");
	p = join(4, "p", KEEP);
	SEND(p, "\x62\2\0\7"); /* its id is free */
	EXPECT(p, "\x70\2\0\7");
	SEND(p, "\x34\6\0\1u\0\7x");
	EXPECT(p, "");
}

static void what_was_not_acknowledged_is_sent_again_in_order(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *s = join(4, "s", KEEP), *p = join(4, "p", CLEAN);
	subscribe(s, "t", 2);
	quiet(s);
	SEND(p, "\x32\6\0\1t\0\1"
	        "1\x34\6\0\1t\0\2"
	        "2\x32\6\0\1t\0\3"
	        "3");
	quiet(s);
	fake_hang_up(s);
	SEND(p, "\x32\6\0\1t\0\4"
	        "4");
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	EXPECT(s, "\x20\2\1\0\x3a\6\0\1t\0\1"
	          "1\x3c\6\0\1t\0\2"
	          "2\x3a\6\0\1t\0\3"
	          "3\x32\6\0\1t\0\4"
	          "4");
	SEND(s, "\x50\2\0\2");
	EXPECT(s, "\x62\2\0\2");
	fake_hang_up(s);
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	EXPECT(s, "\x20\2\1\0\x3a\6\0\1t\0\1"
	          "1\x62\2\0\2\x3a\6\0\1t\0\3"
	          "3\x3a\6\0\1t\0\4"
	          "4");
}

static void queues_are_bounded(void **state)
{
	(void)state;
	const struct fake_setting settings[] = { { "limits.queue_messages", 3 }, { NULL, 0 } };
	boot(1, settings);
	fake_auto_commit(host, true);
	struct fake_peer *s = join(4, "s", KEEP), *p = join(5, "p", CLEAN), *q = join(4, "q", CLEAN);
	subscribe(s, "t", 1);
	fake_hang_up(s);
	for (int i = 0; i < 3; i++)
		SEND(p, "\x32\7\0\1t\0\1\0x");
	EXPECT(p, "\x40\2\0\1\x40\2\0\1\x40\2\0\1");
	SEND(p, "\x32\7\0\1t\0\1\0x");
	EXPECT(p, "\x40\3\0\1\x97");
	SEND(q, "\x32\6\0\1t\0\1x"); /* it cannot be told */
	EXPECT(q, "\x40\2\0\1");
	assert_int_equal(fake_figure(host, "broker_messages_dropped_total", "reason=\"queue-full\""), 2);
	assert_int_equal(fake_disk_rows_of(disk, "messages", RECORD_ENTRY), 3);
	assert_int_equal(fake_figure(host, "broker_queued_bytes", NULL), 6);
}

/* What MQTT 5 clients are told is what holds for them, whatever the limit of older clients. */
static void the_receive_maximum_told_is_the_one_that_holds(void **state)
{
	(void)state;
	const struct fake_setting settings[] = { { "limits.receive", 3 }, { "limits.receive_old", 1 },
		{ NULL, 0 } };
	boot(1, settings);
	struct fake_peer *p = join(5, "p", CLEAN);
	SEND(p, "\x34\6\0\1t\0\1\0\x34\6\0\1t\0\2\0\x34\6\0\1t\0\3\0");
	EXPECT(p, "\x50\3\0\1\x10\x50\3\0\2\x10\x50\3\0\3\x10");
	SEND(p, "\x34\6\0\1t\0\4\0");
	BYE(p, 0x93);
	assert_true(fake_closed(p));
}

static void slow_readers_lose_only_their_own(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *slow = join(4, "slow", CLEAN), *fast = join(4, "fast", CLEAN),
	                 *p = join(4, "p", CLEAN);
	subscribe(slow, "t", 0);
	subscribe(fast, "t", 0);
	quiet(slow);
	quiet(fast);
	fake_block(slow, true);
	static uint8_t packet[10000];
	memcpy(packet, "\x30\x8d\x4e\0\1t", 6);
	for (int i = 0; i < 100; i++)
		fake_send(p, packet, sizeof(packet), 0);
	assert_int_equal(fake_take(fast).len, 100 * sizeof(packet));
	assert_int_equal(fake_take(slow).len, 27 * sizeof(packet));
	assert_int_equal(fake_figure(host, "broker_messages_dropped_total", "reason=\"slow\""), 73);
	assert_false(fake_closed(slow));
}

static void sessions_end(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *s = join_with(5, "s", CLEAN, "\x11\0\0\0\x0a", 5, NULL, 0);
	SEND(s, "\x82\7\0\1\0\0\1t\1");
	fake_hang_up(s);
	assert_int_equal(fake_disk_rows(disk, "sessions"), 1);
	fake_sleep(host, 9000);
	assert_int_equal(fake_figure(host, "broker_sessions", NULL), 1);
	fake_sleep(host, 3000);
	assert_int_equal(fake_figure(host, "broker_sessions", NULL), 0);
	assert_int_equal(fake_figure(host, "broker_subscriptions", NULL), 0);
	assert_int_equal(fake_disk_rows(disk, "sessions") + fake_disk_rows(disk, "subs"), 0);
	/* At DISCONNECT the client may say otherwise, but not from nothing to something. */
	s = join_with(5, "s", CLEAN, "\x11\0\0\0\x0a", 5, NULL, 0);
	SEND(s, "\xe0\7\0\5\x11\0\0\0\0");
	assert_int_equal(fake_figure(host, "broker_sessions", NULL), 0);
	s = join(5, "s", CLEAN);
	SEND(s, "\xe0\7\0\5\x11\0\0\0\1");
	BYE(s, 0x82);
	/* Over the limit of seven days: lowered, and said so. */
	s = join_with(5, "s", CLEAN, "\x11\xff\xff\xff\xff", 5, NULL, 0);
	struct edged_slice got = fake_take(s);
	assert_memory_equal(got.ptr + got.len - 5, "\x11\0\x09\x3a\x80", 5);
	assert_int_equal(fake_timers(host), 1); /* its keep-alive, nothing else */
}

/* Whatever byte of whatever row is damaged: the broker starts. */
static void damage_does_not_keep_it_from_starting(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *s = join(4, "s", KEEP), *p = join(5, "p", CLEAN);
	subscribe(s, "t", 2);
	SEND(s, "\x34\6\0\1u\0\7x");
	fake_hang_up(s);
	SEND(p, "\x33\x0e\0\1t\0\1\7\x26\0\1a\0\1bx");
	SEND(p, "\x34\x0e\0\1t\0\1\7\x26\0\1a\0\1bx");
	static const char *const tables[] = { "sessions", "subs", "messages", "retained" };
	for (size_t t = 0; t < 4; t++)
		for (size_t row = 0; row < 6; row++)
			for (size_t byte = 0; fake_disk_damage(disk, tables[t], row, byte); byte++) {
				fake_host_free(host, false);
				boot(1, NULL);
				p = join(4, "p", CLEAN);
				subscribe(p, "#", 2);
				s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
				assert_false(fake_closed(s));
				(void)fake_disk_damage(disk, tables[t], row, byte); /* mended */
			}
}

/* --- several loops --------------------------------------------------------------------------------------------------------------- */

static void loops_share_the_work(void **state)
{
	(void)state;
	boot(3, NULL);
	enum { N = 64 }; /* that one of three loops gets none of them: once in 10^10 runs */
	struct fake_peer *peers[N];
	unsigned used = 0;
	for (int i = 0; i < N; i++) {
		char id[16];
		snprintf(id, sizeof(id), "c%d", i);
		peers[i] = join(4, id, i % 2 ? KEEP : CLEAN);
		used |= 1u << fake_loop_of(peers[i]);
		subscribe(peers[i], "t", 1);
	}
	assert_int_equal(used, 7);
	fake_commit(host, 0);
	for (int i = 0; i < N; i++)
		EXPECT(peers[i], "\x90\3\0\1\1");
	struct fake_peer *p = join(4, "p", CLEAN);
	SEND(p, "\x33\6\0\1t\0\1x");
	EXPECT(p, ""); /* other loops' disks, too */
	fake_commit(host, 0);
	fake_commit(host, 0);
	EXPECT(p, "\x40\2\0\1");
	for (int i = 0; i < N; i++)
		EXPECT(peers[i], "\x32\6\0\1t\0\1x");
	for (int i = 0; i < N; i++) {
		char id[16];
		snprintf(id, sizeof(id), "d%d", i);
		struct fake_peer *late = join(4, id, CLEAN);
		subscribe(late, "#", 0);
		EXPECT(late, "\x90\3\0\1\0\x31\4\0\1tx");
	}
	/* Take-over: the same id arrives on another loop and is moved to where the session is. */
	struct fake_peer *again = join_with(4, "c1", KEEP, NULL, 0, NULL, 0);
	assert_true(fake_closed(peers[1]));
	EXPECT(again, "\x20\2\1\0\x3a\6\0\1t\0\1x");
	assert_int_equal(fake_loop_of(again), fake_loop_of(peers[1]));
}

/* The end comes while loops wait for each other. */
static void it_stops_in_the_middle_of_everything(void **state)
{
	(void)state;
	boot(3, NULL);
	for (int i = 0; i < 6; i++) {
		char id[16];
		snprintf(id, sizeof(id), "c%d", i);
		subscribe(join(4, id, KEEP), "t", 2);
	}
	SEND(join(4, "p", KEEP), "\x35\6\0\1t\0\1x");
	fake_host_free(host, false);
	host = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(clients_of_all_versions_are_accepted),
		T(who_may_not_come_in_is_told),
		T(an_id_is_assigned),
		T(silence_ends_a_connection),
		T(the_newer_connection_takes_over),
		T(messages_reach_who_subscribed),
		T(large_payloads_go_without_a_copy),
		T(every_quality_of_service_works),
		T(no_more_is_on_the_way_than_the_client_takes),
		T(properties_of_a_message_are_passed_on),
		T(options_of_a_subscription_count),
		T(shared_subscribers_take_turns),
		T(bad_topics_are_refused),
		T(a_will_is_published_for_the_lost),
		T(a_will_may_be_delayed),
		T(retained_messages_are_kept),
		T(many_retained_messages_wait_for_a_slow_reader),
		T(retained_messages_have_limits),
		T(messages_expire),
		T(an_acknowledgement_waits_for_the_store),
		T(what_the_store_refuses_is_not_acknowledged),
		T(a_subscription_that_cannot_be_stored_ends_the_connection),
		T(a_message_is_written_once),
		T(a_discarded_session_does_not_come_back),
		T(an_ended_session_does_not_come_back),
		T(no_message_of_qos_2_comes_twice),
		T(what_was_not_acknowledged_is_sent_again_in_order),
		T(queues_are_bounded),
		T(the_receive_maximum_told_is_the_one_that_holds),
		T(slow_readers_lose_only_their_own),
		T(sessions_end),
		T(damage_does_not_keep_it_from_starting),
		T(loops_share_the_work),
		T(it_stops_in_the_middle_of_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
