/* SPDX-License-Identifier: Apache-2.0 */
/* Messages on their way through: flags, properties, retained ones, order, age. */
#include "rig_test.h"

static void dup_is_of_the_hop(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join(4, "s", CLEAN), *p = join(4, "p", CLEAN);
	subscribe(s, "t", 2);
	quiet(s);
	SEND(p, "\x3a\6\0\1t\0\1x\x3c\6\0\1t\0\2y");
	EXPECT(s, "\x32\6\0\1t\0\1x\x34\6\0\1t\0\2y");
	EXPECT(p, "\x40\2\0\1\x50\2\0\2");
}

/* Sent again only on a new connection, then with DUP and the same ids. */
static void only_a_new_connection_gets_it_again(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *s = join(4, "s", KEEP);
	subscribe(s, "t", 1);
	quiet(s);
	SEND(join(4, "p", CLEAN), "\x32\6\0\1t\0\1x");
	EXPECT(s, "\x32\6\0\1t\0\1x");
	for (int i = 0; i < 20; i++) {
		pass(5000);
		SEND(s, "\xc0\0");
		EXPECT(s, "\xd0\0");
	}
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	EXPECT(s, "\x20\2\1\0\x3a\6\0\1t\0\1x");
}

static void retained_messages_are_replaced_and_removed(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *p = join(4, "p", CLEAN), *s;
	SEND(p, "\x33\6\0\1t\0\1"
	        "1");
	s = join(4, "s", CLEAN);
	subscribe(s, "t", 2);
	EXPECT(s, "\x90\3\0\1\2\x33\6\0\1t\0\1" /* at the QoS it came with */
	          "1");
	SEND(s, "\x40\2\0\1");
	SEND(p, "\x31\4\0\1t2"); /* QoS 0 takes its place, and goes to who is there without the flag */
	EXPECT(s, "\x30\4\0\1t2");
	subscribe(s, "t", 2);
	EXPECT(s, "\x90\3\0\1\2\x31\4\0\1t2"); /* subscribed again: sent again */
	SEND(p, "\x30\4\0\1t3\x30\3\0\1t");    /* neither replaces nor removes */
	EXPECT(s, "\x30\4\0\1t3\x30\3\0\1t");
	subscribe(s, "t", 0);
	EXPECT(s, "\x90\3\0\1\0\x31\4\0\1t2");
	SEND(p, "\xe0\0"); /* its session ends, the message stays */
	subscribe(s, "+", 0);
	EXPECT(s, "\x90\3\0\1\0\x31\4\0\1t2");
	SEND(join(4, "q", CLEAN), "\x31\3\0\1t"); /* empty: removes, and goes on as a message */
	EXPECT(s, "\x30\3\0\1t");
	subscribe(s, "t", 0);
	EXPECT(s, "\x90\3\0\1\0");
	assert_int_equal(fake_figure(host, "broker_retained_messages", NULL), 0);
}

static void retain_handling_is_the_subscribers_choice(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join(5, "s", CLEAN), *p = join(4, "p", CLEAN);
	SEND(p, "\x31\4\0\1tx");
	SEND(s, "\x82\7\0\1\0\0\1t\x10"); /* 1, and new */
	EXPECT(s, "\x90\4\0\1\0\0\x31\5\0\1t\0x");
	SEND(s, "\x82\7\0\1\0\0\1t\x10"); /* 1, not new */
	EXPECT(s, "\x90\4\0\1\0\0");
	SEND(s, "\x82\7\0\1\0\0\1t\0"); /* 0 */
	EXPECT(s, "\x90\4\0\1\0\0\x31\5\0\1t\0x");
	SEND(s, "\x82\7\0\1\0\0\1+\x20"); /* 2 */
	EXPECT(s, "\x90\4\0\1\0\0");
	SEND(p, "\x31\4\0\1ty");
	EXPECT(s, "\x30\5\0\1t\0y"); /* not as published */
	SEND(s, "\x82\7\0\1\0\0\1t\x28");
	EXPECT(s, "\x90\4\0\1\0\0");
	SEND(p, "\x31\4\0\1tz\x30\4\0\1tz");
	EXPECT(s, "\x31\5\0\1t\0z\x30\5\0\1t\0z"); /* as published */
}

#define ALL                                                                                                  \
	"\1\1\3\0\4text\x08\0\3r/t\x09\0\3\0\xff\1\x26\0\1b\0\1"                                             \
	"2\x26\0\1a\0\1"                                                                                     \
	"1\x26\0\1b\0\1"                                                                                     \
	"2"

/* Format, content type, response topic, correlation data, user properties in their order: untouched. */
static void properties_go_through_untouched(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *s = join(5, "s", CLEAN), *p = join(5, "p", CLEAN);
	SEND(s, "\x82\7\0\1\0\0\1t\2");
	quiet(s);
	SEND(p, "\x30\x2f\0\1t\x2a" ALL "x");
	EXPECT(s, "\x30\x2f\0\1t\x2a" ALL "x");
	SEND(p, "\x33\x31\0\1t\0\1\x2a" ALL "x");
	EXPECT(s, "\x32\x31\0\1t\0\1\x2a" ALL "x");
	struct fake_peer *late = join(5, "late", CLEAN);
	SEND(late, "\x82\7\0\1\0\0\1t\0");
	EXPECT(late, "\x90\4\0\1\0\0\x31\x2f\0\1t\x2a" ALL "x");
	/* The same of a will. */
	fake_hang_up(join_with(5, "w", CLEAN | 4, NULL, 0, "\x2a" ALL "\0\1t\0\1y", 43 + 6));
	EXPECT(late, "\x30\x2f\0\1t\x2a" ALL "y");
}

/* At QoS 2 the packet id goes to the disk first, which may take its time. */
static void a_message_that_expires_on_its_way_to_the_disk_is_not_sent(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *s = join(4, "s", KEEP), *p = join(5, "p", CLEAN);
	subscribe(s, "t", 2);
	quiet(s);
	fake_auto_commit(host, false);
	SEND(p, "\x34\x0c\0\1t\0\1\5\2\0\0\0\x0a"
	        "1\x34\x0c\0\1t\0\2\5\2\0\0\0\x64"
	        "2");
	pass(20000);
	fake_auto_commit(host, true);
	EXPECT(s, "\x34\6\0\1t\0\2"
	          "2");
	EXPECT(p, "\x50\2\0\1\x50\2\0\2");
	assert_int_equal(fake_figure(host, "broker_messages_dropped_total", "reason=\"expired\""), 1);
	SEND(s, "\x50\2\0\2");
	EXPECT(s, "\x62\2\0\2");
	SEND(s, "\x70\2\0\2");
	crash();
	EXPECT(join_with(4, "s", KEEP, NULL, 0, NULL, 0), "\x20\2\1\0");
}

static void a_message_tells_how_long_it_still_lives(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *s = join_with(5, "s", KEEP, "\x11\0\0\xff\xff", 5, NULL, 0),
	                 *p = join(5, "p", CLEAN);
	SEND(s, "\x82\7\0\1\0\0\1t\1");
	fake_hang_up(s);
	SEND(p, "\x32\x0c\0\1t\0\1\5\2\0\0\0\x64"
	        "1");
	SEND(p, "\x32\x0c\0\1t\0\2\5\2\0\0\0\x0a"
	        "2");
	SEND(p, "\x31\x0a\0\1r\5\2\0\0\0\x64"
	        "3");
	SEND(p, "\x31\x0a\0\1q\5\2\0\0\0\x0a"
	        "4");
	pass(40000);
	SEND(p, "\xc0\0");
	s = join_with(5, "s", KEEP, "\x11\0\0\xff\xff", 5, NULL, 0);
	EXPECT(s, "\x20\x10\1\0\x0d\x21\0\x64\x27\0\4\0\0\x22\0\x0a\x2a\1\x32\x0c\0\1t\0\1\5\2\0\0\0\x3c"
	          "1");
	assert_int_equal(fake_figure(host, "broker_messages_dropped_total", "reason=\"expired\""), 1);
	SEND(s, "\x40\2\0\1\x82\7\0\1\0\0\1r\0\x82\7\0\2\0\0\1q\0");
	EXPECT(s, "\x90\4\0\1\0\0\x90\4\0\2\0\0\x31\x0a\0\1r\5\2\0\0\0\x3c"
	          "3");
	/* What was sent once is sent again, however old it is by now. */
	SEND(p, "\x32\x0c\0\1t\0\1\5\2\0\0\0\x0a"
	        "5");
	EXPECT(s, "\x32\x0c\0\1t\0\2\5\2\0\0\0\x0a"
	          "5");
	fake_hang_up(s);
	pass(20000);
	s = join_with(5, "s", KEEP, "\x11\0\0\xff\xff", 5, NULL, 0);
	struct edged_slice got = fake_take(s);
	assert_int_equal(got.len, 18 + 14);
	assert_memory_equal(got.ptr + 18,
	        "\x3a\x0c\0\1t\0\2\5\2\0\0\0\0"
	        "5",
	        14);
}

static void topic_aliases_end_with_the_connection(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *s = join(4, "s", CLEAN),
	                 *p = join_with(5, "p", KEEP, "\x11\0\0\xff\xff", 5, NULL, 0);
	subscribe(s, "#", 0);
	quiet(s);
	for (char alias = 1; alias <= 10; alias++) { /* all that were granted */
		uint8_t packet[] = { 0x30, 8, 0, 1, (uint8_t)('a' + alias), 3, 0x23, 0, (uint8_t)alias, 'x' };
		fake_send(p, packet, sizeof(packet), 0);
	}
	quiet(s);
	SEND(p, "\x30\7\0\0\3\x23\0\x0ay");
	EXPECT(s, "\x30\4\0\1ky");
	SEND(p, "\x30\x08\0\1z\3\x23\0\x0ay\x30\7\0\0\3\x23\0\x0ay"); /* given anew */
	EXPECT(s, "\x30\4\0\1zy\x30\4\0\1zy");
	p = join_with(5, "p", KEEP, "\x11\0\0\xff\xff", 5, NULL, 0);
	quiet(p);
	SEND(p, "\x30\7\0\0\3\x23\0\1y");
	BYE(p, 0x82);
	EXPECT(s, "");
}

/* No more than it said, none to who said nothing, and all of them anew on each connection. */
static void aliases_go_to_who_takes_them(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join_with(5, "s", CLEAN, "\x22\0\2", 3, NULL, 0), *none = join(5, "n", CLEAN),
	                 *p = join(4, "p", CLEAN);
	SEND(s, "\x82\7\0\1\0\0\1#\1");
	SEND(none, "\x82\7\0\1\0\0\1#\0");
	quiet(s);
	quiet(none);
	SEND(p, "\x30\x08\0\5topicx");
	EXPECT(none, "\x30\x09\0\5topic\0x");
	struct edged_slice got = fake_take(s);
	assert_int_equal(got.len, 14);
	uint8_t first = (uint8_t)got.ptr[12], again[] = "\x30\7\0\0\3\x23\0\0x";
	assert_memory_equal(got.ptr, "\x30\x0c\0\5topic\3\x23\0", 12);
	assert_in_range(first, 1, 2);
	again[7] = first;
	SEND(p, "\x30\x08\0\5topicx");
	expect(s, (char *)again, 9, __LINE__);
	EXPECT(none, "\x30\x09\0\5topic\0x");
	SEND(p, "\x30\4\0\1tx"); /* too short to be worth it */
	EXPECT(s, "\x30\5\0\1t\0x");
	SEND(p, "\x32\x0a\0\5other\0\1x");
	got = fake_take(s);
	assert_memory_equal(got.ptr, "\x32\x0e\0\5other\0\1\3\x23\0", 14);
	assert_int_equal((uint8_t)got.ptr[14], 3 - first);
	SEND(p, "\x30\x08\0\5thirdx"); /* there are but two */
	EXPECT(s, "\x30\x09\0\5third\0x");
	s = join_with(5, "s", CLEAN, "\x22\0\1", 3, NULL, 0);
	SEND(s, "\x82\7\0\1\0\0\1#\1");
	quiet(s);
	SEND(p, "\x30\x08\0\5otherx");
	EXPECT(s, "\x30\x0c\0\5other\3\x23\0\1x");
}

/* An alias is given only with a packet that goes out. */
static void an_alias_is_not_lost_with_a_packet_too_large(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join_with(5, "s", CLEAN, "\x22\0\1\x27\0\0\0\x14", 8, NULL, 0),
	                 *p = join(4, "p", CLEAN);
	SEND(s, "\x82\7\0\1\0\0\1#\0");
	quiet(s);
	SEND(p, "\x30\x14\0\5topicx123456789012");
	EXPECT(s, "");
	SEND(p, "\x30\x11\0\5topicx123456789"); /* 20 bytes without an alias: just fits */
	EXPECT(s, "\x30\x12\0\5topic\0x123456789");
	SEND(p, "\x30\x08\0\5topicx");
	EXPECT(s, "\x30\x0c\0\5topic\3\x23\0\1x");
	SEND(p, "\x30\x12\0\5topicx1234567890");
	EXPECT(s, "\x30\x11\0\0\3\x23\0\1x1234567890");
}

static void the_broker_speaks_of_itself_to_who_asks(void **state)
{
	(void)state;
	for (unsigned loops = 1; loops <= 3; loops += 2) {
		boot(loops, NULL);
		struct fake_peer *s = join(4, "s", CLEAN), *all = join(4, "all", CLEAN);
		subscribe(all, "#", 0);
		quiet(all);
		size_t timers = fake_timers(host);
		subscribe(s, "$SYS/broker/clients/+", 0);
		EXPECT(s, "\x90\3\0\1\0"
		          "\x31\x20\0\x1d$SYS/broker/clients/connected"
		          "2"
		          "\x31\x23\0\x20$SYS/broker/clients/disconnected"
		          "0"
		          "\x31\x1c\0\x19$SYS/broker/clients/total"
		          "2");
		assert_int_equal(fake_timers(host), timers + 1);
		pass(11000);
		EXPECT(s, ""); /* nothing has changed */
		(void)join(4, "more", CLEAN);
		timers = fake_timers(host);
		pass(10000);
		EXPECT(s, "\x30\x20\0\x1d$SYS/broker/clients/connected"
		          "3"
		          "\x30\x1c\0\x19$SYS/broker/clients/total"
		          "3");
		EXPECT(all, ""); /* "#" is not for $SYS */
		SEND(s, "\xc0\0\xa2\x19\0\2\0\x15$SYS/broker/clients/+");
		EXPECT(s, "\xd0\0\xb0\2\0\2");
		pass(11000);
		assert_int_equal(fake_timers(host), timers - 1);
		subscribe(s, "$SYS/broker/uptime", 0);
		EXPECT(s, "\x90\3\0\1\0\x31\x1e\0\x12$SYS/broker/uptime32 seconds");
		pass(10000);
		EXPECT(s, "\x30\x1e\0\x12$SYS/broker/uptime42 seconds");
		fake_host_free(host, true);
		host = NULL;
	}
}

static void messages_keep_their_order(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	for (unsigned qos = 0; qos <= 2; qos++) {
		struct fake_peer *s = join_with(5, "s", CLEAN, "\x21\0\3", 3, NULL, 0),
		                 *p = join(4, "p", CLEAN);
		quiet(s);
		uint8_t filter[] = "\x82\7\0\1\0\0\1t\2";
		filter[8] = (uint8_t)qos;
		fake_send(s, filter, 9, 0);
		quiet(s);
		for (uint8_t i = 0; i < 30; i++) {
			uint8_t packet[] = { (uint8_t)(0x30 | qos << 1), 6, 0, 1, 't', 0, (uint8_t)(i + 1),
				i };
			if (!qos)
				memcpy(packet, "\x30\4\0\1t", 5), packet[5] = i;
			fake_send(p, packet, qos ? 8 : 6, 0);
		}
		for (uint8_t i = 0; i < 30;) {
			struct edged_slice got = fake_take(s);
			uint8_t all[600];
			memcpy(all, got.ptr, got.len);
			struct frame f;
			assert_true(got.len > 0);
			for (size_t at = 0; at < got.len; at += f.size) {
				struct publish m;
				assert_int_equal(frame_read(all + at, got.len - at, 1000, &f), 0);
				if (f.type == PUBREL) {
					uint8_t comp[] = { 0x70, 2, f.body[0], f.body[1] };
					fake_send(s, comp, 4, 0);
					continue;
				}
				assert_int_equal(parse_publish(&f, 5, 0, &m), 0);
				assert_int_equal((uint8_t)m.payload.ptr[0], i++);
				uint8_t ack[] = { qos == 1 ? 0x40 : 0x50, 2, (uint8_t)(m.id >> 8),
					(uint8_t)m.id };
				if (qos)
					fake_send(s, ack, 4, 0);
			}
		}
	}
}

/* MQTT 3 has no word for "not allowed": acknowledged as usual, and dropped. MQTT 5 is told. */
static void who_may_not_publish_is_acknowledged(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join(4, "s", CLEAN), *p = join(4, "p", CLEAN), *q = join(5, "q", CLEAN);
	subscribe(s, "$SYS/#", 0);
	quiet(s);
	SEND(p, "\x32\x0a\0\5$SYS/\0\1x\x34\x0a\0\5$SYS/\0\2x");
	EXPECT(p, "\x40\2\0\1\x50\2\0\2");
	SEND(q, "\x32\x0b\0\5$SYS/\0\1\0x\x34\x0b\0\5$SYS/\0\2\0x");
	EXPECT(q, "\x40\3\0\1\x87\x50\3\0\2\x87");
	EXPECT(s, "");
	SEND(q, "\x34\7\0\1t\0\2\0x"); /* its id is free: a new message */
	EXPECT(q, "\x50\3\0\2\x10");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(dup_is_of_the_hop),
		T(only_a_new_connection_gets_it_again),
		T(retained_messages_are_replaced_and_removed),
		T(retain_handling_is_the_subscribers_choice),
		T(properties_go_through_untouched),
		T(a_message_that_expires_on_its_way_to_the_disk_is_not_sent),
		T(a_message_tells_how_long_it_still_lives),
		T(topic_aliases_end_with_the_connection),
		T(aliases_go_to_who_takes_them),
		T(an_alias_is_not_lost_with_a_packet_too_large),
		T(the_broker_speaks_of_itself_to_who_asks),
		T(messages_keep_their_order),
		T(who_may_not_publish_is_acknowledged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
