/* SPDX-License-Identifier: Apache-2.0 */
/* How fast clients may be, and what is shed when memory is short. */
#include "broker.h"
#include "rig_test.h"

static const struct fake_setting slow[] = { { "rates.messages", 10 }, { "rates.bytes", 1000 },
	{ "rates.user_messages", 0 }, { "rates.connects", 5 }, { "rates.patience", 30000 }, { NULL, 0 } };

static struct fake_peer *come_from(const char *address, bool loopback)
{
	const struct edged_peer who = { .address = address,
		.listener = "mqtt=*:1883",
		.uid = -1,
		.trusted = true,
		.loopback = loopback };
	return fake_connect_as(host, 0, &who, 0);
}

static struct fake_peer *join_from(const char *address, int version, const char *id)
{
	struct fake_peer *p = come_from(address, false);
	uint8_t packet[64];
	size_t n = strlen(id), more = version == 5;
	int len = snprintf((char *)packet, sizeof(packet), "\x10%c%c\4MQTT%c\2%c\x3c", (int)(12 + more + n),
	        0, version, 0);
	assert_int_equal(len, 12);
	size_t at = 12;
	if (more)
		packet[at++] = 0;
	packet[at++] = 0;
	packet[at++] = (uint8_t)n;
	memcpy(packet + at, id, n);
	fake_send(p, packet, at + n, 0);
	struct edged_slice got = fake_take(p);
	assert_true(got.len >= 4 && got.ptr[0] == 0x20 && got.ptr[3] == 0);
	return p;
}

static int64_t figure(const char *name, const char *labels)
{
	return fake_figure(host, name, labels);
}

/* n messages of QoS 0 with `size` bytes of payload, "t" */
static void send_many(struct fake_peer *p, int n, size_t size)
{
	uint8_t packet[300] = { 0x30, 0, 0, 1, 't' };
	assert_true(size < 120);
	packet[1] = (uint8_t)(3 + size);
	for (int i = 0; i < n; i++)
		fake_send(p, packet, 5 + size, 0);
}

static int64_t received(void)
{
	return figure("broker_messages_received_total", "qos=\"0\"");
}

static void who_is_too_fast_is_read_later_and_nothing_is_lost(void **state)
{
	(void)state;
	boot(1, slow);
	struct fake_peer *p = join_from("192.0.2.1:1", 4, "a");
	send_many(p, 100, 1);
	int64_t first = received();
	assert_in_range(first, 10, 12); /* a second's worth */
	assert_int_equal(figure("broker_clients_paused", NULL), 1);
	pass(1000);
	assert_in_range(received(), first + 8, first + 12);
	pass(10000);
	assert_int_equal(received(), 100);
	pass(2000);
	assert_int_equal(figure("broker_clients_paused", NULL), 0);
	assert_int_equal(fake_timers(host), 1); /* the keep-alive of the session */
	assert_false(fake_closed(p));
	send_many(p, 10, 1);
	assert_int_equal(received(), 110); /* what it has not used is there again, once */
}

static void large_messages_count_by_their_bytes(void **state)
{
	(void)state;
	boot(1, slow);
	struct fake_peer *p = join_from("192.0.2.1:1", 4, "a");
	for (int i = 0; i < 3; i++) {
		send_many(p, 8, 115);
		pass(1000);
	}
	assert_in_range(received(), 23, 24);
	pass(3000);
	send_many(p, 10, 115);
	assert_in_range(received(), 32, 33); /* 1,200 bytes are more than a second's worth */
}

static void messages_over_http_have_the_rate_of_a_client(void **state)
{
	(void)state;
	boot(1, slow);
	struct broker *b = fake_self(host);
	const struct edged_peer far = { .struct_size = sizeof(far), .address = "192.0.2.1:1", .uid = -1 },
	                        near = { .struct_size = sizeof(near), .uid = -1, .loopback = true };
	struct edged_slice lamp = edged_str("cert:lamp"), fan = edged_str("cert:fan");
	int n = 0;
	while (rate_request(b, &far, lamp, 1))
		n++;
	assert_in_range(n, 10, 12); /* a second's worth */
	assert_true(rate_request(b, &far, fan, 1));
	assert_true(rate_request(b, &near, lamp, 1));
	pass(1000);
	for (n = 0; rate_request(b, &far, lamp, 1);)
		n++;
	assert_in_range(n, 9, 11);
	assert_true(rate_request(b, &far, fan, 2000)); /* a large one, and then none for a while */
	assert_false(rate_request(b, &far, fan, 1));
	pass(2000);
	assert_true(rate_request(b, &far, fan, 1));
	assert_int_equal(b->rates.tables[RATE_USER].count, 2);
	pass(10000);
	assert_true(rate_request(b, &far, edged_str("cert:lamp"), 1));
	assert_in_range(b->rates.tables[RATE_USER].count, 1, 2); /* who owes nothing is forgotten */
}

static void programs_of_this_machine_have_no_rate(void **state)
{
	(void)state;
	boot(1, slow);
	for (int i = 0; i < 50; i++) {
		struct fake_peer *p = come_from("127.0.0.1:1", true);
		SEND(p, "\x10\x0d\0\4MQTT\4\2\0\x3c\0\1a");
		EXPECT(p, "\x20\2\0\0");
		send_many(p, 10, 1);
	}
	assert_int_equal(received(), 500);
}

static void who_keeps_being_too_fast_is_told_to_go(void **state)
{
	(void)state;
	boot(1, slow);
	struct fake_peer *p = join_from("192.0.2.1:1", 5, "a"), *fat = join_from("192.0.2.2:1", 5, "b");
	for (int i = 0; i < 32; i++) {
		if (i < 30)
			assert_false(fake_closed(p) || fake_closed(fat));
		SEND(p, "\xc0\0");
		uint8_t packet[] = { 0x30, 4, 0, 1, 't', 0 };
		for (int k = 0; k < 20; k++)
			fake_send(p, packet, sizeof(packet), 0);
		static uint8_t large[130] = { 0x30, 0x7f, 0, 1, 't', 0 };
		for (int k = 0; k < 9; k++)
			fake_send(fat, large, 129, 0);
		pass(1000);
	}
	assert_true(fake_closed(p) && fake_closed(fat));
	struct edged_slice got = fake_take(p);
	assert_non_null(memmem(got.ptr, got.len, "\xe0", 1));
	assert_non_null(memmem(got.ptr, got.len, "\x96", 1));
	got = fake_take(fat);
	assert_non_null(memmem(got.ptr, got.len, "\x97", 1));
	assert_int_equal(figure("broker_rate_disconnects_total", NULL), 2);
	p = join_from("192.0.2.1:1", 5, "c"); /* a quiet one stays */
	for (int i = 0; i < 40; i++) {
		send_many(p, 0, 0);
		SEND(p, "\xc0\0");
		pass(1000);
	}
	assert_false(fake_closed(p));
}

/* Many clients of one address, none of them too fast by itself; and those who come after them. */
static void clients_of_an_address_share_a_rate(void **state)
{
	(void)state;
	static const struct fake_setting settings[] = { { "rates.messages", 0 }, { "rates.bytes", 0 },
		{ "rates.user_messages", 0 }, { "rates.user_bytes", 0 }, { "rates.connects", 0 },
		{ "rates.address_messages", 20 }, { "rates.address_bytes", 0 }, { "rates.patience", 30000 },
		{ NULL, 0 } };
	static const char *const ids[] = { "a", "b", "c", "d" };
	for (unsigned loops = 1; loops <= 3; loops += 2) {
		boot(loops, settings);
		struct fake_peer *p[4], *other = join_from("192.0.2.2:1", 4, "o"),
		                        *six = join_from("[2001:db8:0:1::1]:1", 4, "s");
		for (int i = 0; i < 4; i++)
			p[i] = join_from(i % 2 ? "192.0.2.1:1" : "192.0.2.1:2", 4, ids[i]);
		for (int i = 0; i < 10; i++)
			for (int k = 0; k < 4; k++)
				send_many(p[k], 1, 1);
		assert_in_range(received(), 20, 24); /* a second's worth for all of them */
		int64_t before = received();
		assert_int_equal(figure("broker_clients_paused", NULL), 4);
		assert_in_range(figure("broker_rates_exceeded_total", "of=\"address\""), 4, 8);
		assert_int_equal(figure("broker_rates_exceeded_total", "of=\"client\""), 0);
		send_many(other, 20, 1); /* others do not wait */
		send_many(six, 15, 1);
		assert_int_equal(received() - before, 35);
		struct fake_peer *same = join_from("[2001:db8:0:1:ffff::2]:1", 4, "t");
		send_many(same, 20, 1); /* one network */
		assert_in_range(received() - before, 40, 42);
		for (int i = 0; i < 4; i++) /* leaving pays nothing */
			fake_hang_up(p[i]);
		before = received();
		send_many(join_from("192.0.2.1:3", 4, "late"), 10, 1);
		assert_in_range(received() - before, 0, 1);
		pass(20000);
		assert_int_equal(
		        received() - before, 10 + 14); /* nothing is lost, nor of the one that stayed */
		fake_host_free(host, true);
		host = NULL;
	}
}

static void large_messages_of_an_address_count(void **state)
{
	(void)state;
	static const struct fake_setting settings[] = { { "rates.address_bytes", 1000 }, { NULL, 0 } };
	boot(1, settings);
	struct fake_peer *a = join_from("192.0.2.1:1", 4, "a"), *b = join_from("192.0.2.1:1", 4, "b");
	send_many(a, 6, 115);
	send_many(b, 6, 115);
	assert_in_range(received(), 9, 10);
	pass(2000);
	assert_int_equal(received(), 12);
}

static void who_shares_a_fast_address_is_told_to_go(void **state)
{
	(void)state;
	static const struct fake_setting settings[] = { { "rates.address_messages", 10 },
		{ "rates.patience", 30000 }, { NULL, 0 } };
	boot(1, settings);
	struct fake_peer *p = join_from("192.0.2.1:1", 5, "a");
	uint8_t packet[] = { 0x30, 4, 0, 1, 't', 0 };
	for (int i = 0; i < 40 && !fake_closed(p); i++) {
		assert_true(i < 35);
		SEND(p, "\xc0\0");
		for (int k = 0; k < 20; k++)
			fake_send(p, packet, sizeof(packet), 0);
		pass(1000);
	}
	struct edged_slice got = fake_take(p);
	assert_non_null(memmem(got.ptr, got.len, "\x97", 1));
	assert_int_equal(figure("broker_rate_disconnects_total", NULL), 1);
}

/* Wherever the client ids belong. */
static void an_address_connects_only_so_often_to_all_loops(void **state)
{
	(void)state;
	boot(4, slow);
	static const char *const ids[] = { "a", "b", "c", "d", "e" };
	for (int i = 0; i < 5; i++)
		(void)join_from("192.0.2.1:1", 4, ids[i]);
	for (int i = 0; i < 5; i++) {
		struct fake_peer *p = come_from("192.0.2.1:1", false);
		char packet[] = "\x10\x0d\0\4MQTT\4\2\0\x3c\0\1a";
		packet[14] = ids[i][0];
		fake_send(p, packet, 15, 0);
		EXPECT(p, "\x20\2\0\3");
	}
}

static void an_address_connects_only_so_often(void **state)
{
	(void)state;
	boot(1, slow);
	for (int i = 0; i < 5; i++)
		fake_hang_up(join_from("192.0.2.1:1", 4, "a"));
	struct fake_peer *p = come_from("192.0.2.1:77", false); /* the port does not matter */
	SEND(p, "\x10\x0e\0\4MQTT\5\2\0\x3c\0\0\1a");
	struct edged_slice got = fake_take(p);
	assert_true(got.len > 4 && got.ptr[0] == 0x20 && (uint8_t)got.ptr[3] == 0x9f);
	assert_true(fake_closed(p));
	p = come_from("192.0.2.1:77", false);
	SEND(p, "\x10\x0d\0\4MQTT\4\2\0\x3c\0\1a");
	EXPECT(p, "\x20\2\0\3");
	assert_true(fake_closed(p));
	fake_hang_up(join_from("192.0.2.2:1", 4, "b"));
	for (int i = 0; i < 5; i++)
		fake_hang_up(join_from("[2001:db8:0:1::1]:1", 4, "a"));
	p = come_from("[2001:db8:0:1:ffff::2]:1", false); /* the same network */
	SEND(p, "\x10\x0d\0\4MQTT\4\2\0\x3c\0\1a");
	EXPECT(p, "\x20\2\0\3");
	fake_hang_up(join_from("[2001:db8:0:2::1]:1", 4, "b"));
	pass(1000);
	fake_hang_up(join_from("192.0.2.1:1", 4, "a"));
	assert_int_equal(figure("broker_connects_too_fast_total", NULL), 3);
	for (int i = 0; i < 20000; i++) { /* the table is bounded, and strangers are let in all the time */
		char address[32];
		snprintf(address, sizeof(address), "10.0.%d.%d:1", i >> 8 & 255, i & 255);
		p = come_from(address, false);
		SEND(p, "\x10\x0d\0\4MQTT\4\2\0\x3c\0\1a");
		EXPECT(p, "\x20\2\0\0");
		fake_hang_up(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		        who_is_too_fast_is_read_later_and_nothing_is_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(large_messages_count_by_their_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(
		        messages_over_http_have_the_rate_of_a_client, setup, teardown),
		cmocka_unit_test_setup_teardown(programs_of_this_machine_have_no_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(who_keeps_being_too_fast_is_told_to_go, setup, teardown),
		cmocka_unit_test_setup_teardown(clients_of_an_address_share_a_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(large_messages_of_an_address_count, setup, teardown),
		cmocka_unit_test_setup_teardown(who_shares_a_fast_address_is_told_to_go, setup, teardown),
		cmocka_unit_test_setup_teardown(an_address_connects_only_so_often, setup, teardown),
		cmocka_unit_test_setup_teardown(
		        an_address_connects_only_so_often_to_all_loops, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
