/* SPDX-License-Identifier: Apache-2.0 */
/* What is shed when memory is short, step by step. */
#include "edged/cap_session.h"
#include "fake_disk.h"
#include "pressure.h"
#include "rig_test.h"

#define MIB 1048576

static const struct fake_setting tight[] = { { "limits.memory", MIB }, { "limits.queue_messages", 100000 },
	{ "limits.queue_bytes", 16 * MIB }, { "limits.retained_bytes", 16 * MIB },
	{ "limits.packet", 2 * MIB }, { NULL, 0 } };

static int64_t shed(const char *step)
{
	char labels[32];
	snprintf(labels, sizeof(labels), "step=\"%s\"", step);
	return fake_figure(host, "broker_shed_total", labels);
}

static int64_t step(void)
{
	return fake_figure(host, "broker_shedding_step", NULL);
}

/* A message to a topic, n bytes, of which MQTT 5 takes the first for empty properties; at QoS 1 with packet id 1. */
static void publish(struct fake_peer *p, uint8_t first, char topic, size_t n)
{
	uint8_t *packet = calloc(1, n + 16);
	bool id = (first & 6) != 0;
	size_t len = 3 + (id ? 2u : 0u) + n, at = 0;
	packet[at++] = first;
	for (size_t left = len; at == 1 || left; left >>= 7) {
		packet[at] = (uint8_t)(left & 127);
		packet[at++] |= left > 127 ? 128 : 0;
	}
	packet[at++] = 0;
	packet[at++] = 1;
	packet[at++] = (uint8_t)topic;
	if (id) {
		packet[at++] = 0;
		packet[at++] = 1;
	}
	fake_send(p, packet, at + n, 0);
	free(packet);
}

static bool acknowledged(struct fake_peer *p, uint8_t reason)
{
	struct edged_slice got = fake_take(p);
	bool plain = got.len == 4 && memcmp(got.ptr, "\x40\2\0\1", 4) == 0;
	bool with_reason = got.len == 5 && got.ptr[0] == 0x40 && (uint8_t)got.ptr[4] == reason;
	return reason ? with_reason : plain;
}

static int old_setup(void **state)
{
	setup(state);
	boot(1, tight);
	fake_auto_commit(host, true);
	return 0;
}

/* Fills up to a percentage with messages that wait for a client that is away. */
static struct fake_peer *fill(int percent)
{
	struct fake_peer *away = join(4, "away", KEEP), *p = join(5, "p", CLEAN);
	subscribe(away, "q", 1);
	fake_hang_up(away);
	int64_t have = fake_figure(host, "broker_queued_bytes", NULL);
	while (have + 4000 < (int64_t)MIB / 100 * percent) {
		publish(p, 0x32, 'q', 2000);
		assert_true(acknowledged(p, 0));
		int64_t now = fake_figure(host, "broker_queued_bytes", NULL);
		assert_true(now > have);
		have = now;
	}
	return p;
}

static void first_nobody_new_is_let_in(void **state)
{
	(void)state;
	struct fake_peer *p = fill(82);
	struct fake_peer *late = fake_connect(host, 0, true);
	SEND(late, "\x10\x0d\0\4MQTT\4\2\0\x3c\0\1b");
	EXPECT(late, "\x20\2\0\3");
	assert_true(fake_closed(late));
	late = fake_connect(host, 0, true);
	SEND(late, "\x10\x0e\0\4MQTT\5\2\0\x3c\0\0\1b");
	struct edged_slice got = fake_take(late);
	assert_true(got.len > 4 && (uint8_t)got.ptr[3] == 0x97);
	assert_int_equal(shed("connect"), 2);
	assert_int_equal(step(), PRESSURE_CONNECT);
	publish(p, 0x33, 'r', 100); /* the others do not notice */
	assert_true(acknowledged(p, 0x10));
	assert_int_equal(shed("keep"), 0);
}

static void then_slow_receivers_lose_qos_0(void **state)
{
	(void)state;
	struct fake_peer *slow = join(4, "slow", CLEAN), *quick = join(4, "quick", CLEAN);
	subscribe(slow, "s", 0);
	subscribe(quick, "s", 0);
	struct fake_peer *p = fill(87);
	fake_take(slow);
	fake_take(quick);
	fake_block(slow, true);
	for (int i = 0; i < 20; i++)
		publish(p, 0x30, 's', 1000);
	assert_int_equal(fake_take(quick).len, 20 * 1005);
	assert_in_range(shed("slow"), 3, 4); /* all beyond 16 KiB */
	assert_int_equal(step(), PRESSURE_SLOW);
}

static void then_nothing_is_kept(void **state)
{
	(void)state;
	struct fake_peer *ready = join(4, "ready", CLEAN);
	subscribe(ready, "s", 1);
	struct fake_peer *old = join(4, "old", CLEAN);
	struct fake_peer *p = fill(89);
	while (shed("keep") == 0) {
		publish(p, 0x32, 'q', 2000);
		(void)fake_take(p);
	}
	assert_int_equal(step(), PRESSURE_KEEP);
	publish(p, 0x32, 'q', 2000);
	assert_true(acknowledged(p, 0x97));
	publish(p, 0x33, 'r', 100);
	assert_true(acknowledged(p, 0x97));
	(void)fake_take(ready);
	publish(p, 0x32, 's', 100); /* who takes it at once gets it */
	assert_true(acknowledged(p, 0));
	assert_true(fake_take(ready).len > 100);
	SEND(old, "\x32\6\0\1q\0\1x"); /* MQTT 3 cannot be told */
	assert_int_equal(fake_take(old).len, 0);
	assert_true(fake_closed(old));
	publish(p, 0x33, 'r', 1); /* and what makes room is welcome */
	assert_true(acknowledged(p, 0x10) || acknowledged(p, 0));
	assert_int_equal(shed("read") + shed("away"), 0);
}

static void then_publishers_are_not_read(void **state)
{
	(void)state;
	struct fake_peer *p = fill(88), *blocked[4];
	(void)blocked;
	struct fake_peer *slow = join_with(4, "slow", CLEAN, NULL, 0, NULL, 0);
	(void)slow;                   /* refused by now */
	publish(p, 0x32, 'q', 90000); /* beyond 95 % in one step */
	(void)fake_take(p);
	int64_t before = fake_figure(host, "broker_messages_received_total", "qos=\"0\"");
	for (int i = 0; i < 5; i++)
		publish(p, 0x30, 's', 10);
	assert_int_equal(step(), PRESSURE_READ);
	assert_int_equal(fake_figure(host, "broker_messages_received_total", "qos=\"0\"") - before, 1);
	assert_int_equal(fake_figure(host, "broker_clients_paused", NULL), 1);
	assert_in_range(shed("read"), 1, 2);
	fake_sleep(host, 250);
	assert_in_range(fake_figure(host, "broker_messages_received_total", "qos=\"0\"") - before, 2, 3);
	assert_false(fake_closed(p));
}

static void at_last_those_away_lose_what_waits_for_them(void **state)
{
	(void)state;
	struct fake_peer *old = join(4, "old", KEEP);
	subscribe(old, "o", 1);
	fake_hang_up(old);
	fake_sleep(host, 3000);
	struct fake_peer *p = join(5, "x", CLEAN);
	for (int i = 0; i < 100; i++) {
		publish(p, 0x32, 'o', 2000);
		(void)fake_take(p);
	}
	fake_hang_up(p);
	p = fill(89);
	int64_t before = fake_figure(host, "broker_queued_bytes", NULL);
	publish(p, 0x32, 'q', 200000);
	assert_int_equal(shed("away"), 100); /* those of the session that left first, and that was enough */
	assert_true(fake_figure(host, "broker_queued_bytes", NULL) > before - 300000);
	assert_in_range(step(), PRESSURE_NONE, PRESSURE_KEEP);
	fake_hang_up(p);
}

/* The limit is lower than before: what was stored must still fit. */
static void a_lower_limit_is_kept_at_the_next_start(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *a = join(4, "a", KEEP), *b = join(4, "b", KEEP), *p = join(5, "p", CLEAN);
	subscribe(a, "q", 1);
	subscribe(b, "q", 1);
	fake_hang_up(a);
	fake_hang_up(b);
	for (int i = 0; i < 35; i++) {
		publish(p, 0x32, 'q', 20000);
		(void)fake_take(p);
	}
	assert_int_equal(step(), 0);
	fake_host_free(host, true);
	boot(1, tight);
	fake_auto_commit(host, true);
	fake_run(host);
	assert_int_equal(shed("away"), 35); /* those of one of them */
	assert_int_equal(step(), 0);
	join(4, "new", CLEAN);
}

/* --- several loops --------------------------------------------------------------------------------------------------------- */

static int two_loops(void **state)
{
	setup(state);
	boot(2, tight);
	fake_auto_commit(host, true);
	return 0;
}

/* A client that lives on that loop; the name is made for it. */
static struct fake_peer *join_on(
        unsigned loop, uint8_t version, const char *kind, uint8_t flags, char name[16])
{
	for (int i = 0; i < 200; i++) {
		snprintf(name, 16, "%s%d", kind, i);
		struct fake_peer *p = join(version, name, flags);
		if (fake_loop_of(p) == loop)
			return p;
		if (flags == KEEP) /* its session goes, too */
			SEND(p, "\xe0\0");
		fake_hang_up(p);
	}
	fail_msg("no client id for loop %u", loop);
	return NULL;
}

/* Messages at QoS 1 that it has been sent, all acknowledged. */
static unsigned collect(struct fake_peer *p)
{
	unsigned count = 0;
	struct edged_slice got;
	while ((got = fake_take(p)).len) {
		uint8_t *bytes = fake_copy(got.ptr, got.len), acks[4096];
		size_t at = 0, n = 0;
		struct frame f;
		for (; frame_read(bytes + at, got.len - at, VARINT_MAX, &f) == 0; at += f.size) {
			struct publish m;
			if (f.type != PUBLISH || parse_publish(&f, MQTT_3_1_1, 10, &m))
				continue;
			count++;
			memcpy(acks + n, (uint8_t[]){ 0x40, 2, (uint8_t)(m.id >> 8), (uint8_t)m.id }, 4);
			n += 4;
		}
		free(bytes);
		if (n)
			fake_send(p, acks, n, 0);
	}
	return count;
}

/* The publisher is on one loop, who is away on the other: whatever is acknowledged is there when it is back. */
static void keeps_what_is_acknowledged(uint8_t version, unsigned loop)
{
	char id[16], name[16];
	struct fake_peer *away = join_on(loop, 4, "away", KEEP, id), *p;
	subscribe(away, "q", 1);
	fake_hang_up(away);
	p = join_on(1 - loop, version, "p", CLEAN, name);
	unsigned taken = 0, refused = 0;
	for (int i = 0; i < 1000 && !refused && !fake_closed(p); i++) {
		publish(p, 0x32, 'q', 2000);
		struct edged_slice got = fake_take(p);
		if (got.len == 4)
			taken++;
		else if (version == 5)
			refused += got.len == 5 && (uint8_t)got.ptr[4] == 0x97;
	}
	assert_int_equal(step(), PRESSURE_KEEP);
	assert_true(shed("keep") > 0);
	assert_int_equal(refused, version == 5);
	assert_int_equal(fake_closed(p), version != 5);
	assert_int_equal(fake_figure(host, "broker_store_failures_total", NULL), 0);
	assert_int_equal(fake_figure(host, "broker_messages_dropped_total", "reason=\"queue-full\""), 0);
	/* Memory is short for those who come, too: the limit is what it was at the next start. */
	fake_host_free(host, true);
	boot(2, NULL);
	fake_auto_commit(host, true);
	away = join_with(4, id, KEEP, NULL, 0, NULL, 0);
	assert_int_equal(collect(away), taken);
}

static void another_loop_refuses_for_mqtt_5(void **state)
{
	(void)state;
	keeps_what_is_acknowledged(5, 1);
}

static void another_loop_refuses_for_mqtt_3(void **state)
{
	(void)state;
	keeps_what_is_acknowledged(4, 0);
}

/* Who takes it at once gets it, on whatever loop; only what would have to wait is refused. */
static void the_ready_go_on(void **state)
{
	(void)state;
	char id[16], name[16];
	struct fake_peer *away = join_on(1, 4, "away", KEEP, id), *here, *there;
	subscribe(away, "q", 1);
	here = join_on(0, 4, "here", CLEAN, name);
	subscribe(here, "s", 1);
	there = join_on(1, 4, "there", CLEAN, name);
	subscribe(there, "s", 1);
	subscribe(there, "q", 1);
	quiet(here);
	quiet(there);
	struct fake_peer *other = join_on(0, 5, "other", CLEAN, name), *p = join_on(0, 5, "p", CLEAN, name);
	fake_hang_up(away);
	while (shed("keep") == 0) {
		publish(p, 0x32, 'q', 2000);
		(void)fake_take(p);
		(void)collect(there);
	}
	publish(p, 0x32, 's', 100);
	assert_true(acknowledged(p, 0));
	assert_int_equal(collect(here), 1);
	assert_int_equal(collect(there), 1);
	/* A whole shard refuses or takes; QoS 2 is not taken at all, for another loop might refuse it. */
	publish(p, 0x32, 'q', 2000);
	assert_true(acknowledged(p, 0x97));
	assert_int_equal(collect(there), 0);
	SEND(p, "\x34\7\0\1s\0\7\0x");
	EXPECT(p, "\x50\3\0\7\x97");
	assert_int_equal(collect(here) + collect(there), 0);
	/* What other clients send in the same turn is not refused with it. */
	publish(other, 0x33, 'r', 100); /* kept by loop 0: refused there */
	assert_true(acknowledged(other, 0x97));
	publish(other, 0x33, 'r', 1);
	struct edged_slice got = fake_take(other);
	assert_true(got.len >= 4 && (got.len == 4 || (uint8_t)got.ptr[4] == 0x10));
}

/* --- what bridges have spooled ---------------------------------------------------------------------------------------------- */

/* A bridge whose other side is away. */
static const struct edged_session_1 *spool(edged_handle *ret)
{
	return open_inside("test/a", 1000, 16 * MIB, ret);
}

static uint64_t spooled(void)
{
	edged_handle handle;
	const struct edged_session_1 *sessions = spool(&handle);
	struct edged_session_figures f = { .struct_size = sizeof(f) };
	assert_int_equal(sessions->figures(sessions->ctx, handle, &f), 0);
	return f.waiting;
}

/* n messages of 20,000 bytes wait for a bridge, and the same for a client on the last loop; then the limit is a mebibyte. */
static void fill_and_lower(unsigned loops, bool client, int n)
{
	char id[16];
	edged_handle handle;
	const char *filter = "q";
	uint8_t qos = 1;
	boot(loops, NULL);
	fake_auto_commit(host, true);
	const struct edged_session_1 *sessions = spool(&handle);
	assert_int_equal(sessions->subscribe(sessions->ctx, handle, &filter, &qos, 1), 0);
	fake_run(host);
	if (client) {
		struct fake_peer *away = join_on(loops - 1, 4, "away", KEEP, id);
		subscribe(away, "q", 1);
		fake_hang_up(away);
	}
	struct fake_peer *p = join(5, "p", CLEAN);
	for (int i = 0; i < n; i++) {
		publish(p, 0x32, 'q', 20000);
		assert_true(acknowledged(p, 0));
	}
	fake_host_free(host, true);
	boot(loops, tight);
	fake_auto_commit(host, true);
	fake_run(host);
}

static void what_is_spooled_goes_last(void **state)
{
	(void)state;
	for (unsigned loops = 1; loops <= 3; loops++) {
		fill_and_lower(loops, true, 30);
		assert_int_equal(shed("away"), 30);
		assert_int_equal(spooled(), 30);
		assert_int_equal(step(), PRESSURE_NONE);
		fake_host_free(host, true);
		fake_disk_free(disk);
		setup(state);
	}
}

static void but_it_goes(void **state)
{
	(void)state;
	for (unsigned loops = 1; loops <= 3; loops++) {
		fill_and_lower(loops, false, 60);
		assert_int_equal(shed("away"), 60);
		assert_int_equal(spooled(), 0);
		fake_host_free(host, true);
		fake_disk_free(disk);
		setup(state);
	}
}

/* Nothing is stored for this one, and its loop has no durable session: its answer is waited for all the same. */
static void a_slow_receiver_on_another_loop_gets_what_is_acknowledged(void **state)
{
	(void)state;
	char id[16], name[16];
	struct fake_peer *slow = join_on(1, 4, "slow", CLEAN, id), *p = join_on(0, 5, "p", CLEAN, name);
	subscribe(slow, "q", 1);
	fake_run(host);
	unsigned taken = 0;
	for (bool refused = false; !refused; taken += !refused) {
		publish(p, 0x32, 'q', 2000);
		refused = !acknowledged(p, 0);
		assert_true(taken < 1000);
	}
	assert_int_equal(collect(slow), taken);
}

/* In one go of bytes: of two messages the one that nobody must keep is acknowledged. */
static void a_refusal_is_about_one_message(void **state)
{
	(void)state;
	char id[16], name[16];
	struct fake_peer *away = join_on(1, 4, "away", KEEP, id),
	                 *there = join_on(1, 4, "there", CLEAN, name);
	subscribe(away, "q", 1);
	subscribe(there, "s", 1);
	quiet(there);
	struct fake_peer *p = join_on(0, 5, "p", CLEAN, name);
	p = join_with(
	        5, name, KEEP, "\x11\0\0\1\0", 5, NULL, 0); /* durable, so that SUBACK waits for its turn */
	quiet(p);
	fake_hang_up(away);
	while (shed("keep") == 0) {
		publish(p, 0x32, 'q', 2000);
		(void)fake_take(p);
	}
	SEND(p, "\x32\7\0\1q\0\1\0x\x82\7\0\2\0\0\1x\0");
	EXPECT(p, "\x40\3\0\1\x97\x90\4\0\2\0\0");
	SEND(p, "\x32\7\0\1q\0\1\0x\x32\7\0\1s\0\2\0x\x32\7\0\1q\0\3\0x");
	EXPECT(p, "\x40\3\0\1\x97\x40\2\0\2\x40\3\0\3\x97");
	assert_int_equal(collect(there), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(first_nobody_new_is_let_in, old_setup, teardown),
		cmocka_unit_test_setup_teardown(then_slow_receivers_lose_qos_0, old_setup, teardown),
		cmocka_unit_test_setup_teardown(then_nothing_is_kept, old_setup, teardown),
		cmocka_unit_test_setup_teardown(then_publishers_are_not_read, old_setup, teardown),
		cmocka_unit_test_setup_teardown(
		        at_last_those_away_lose_what_waits_for_them, old_setup, teardown),
		cmocka_unit_test_setup_teardown(a_lower_limit_is_kept_at_the_next_start, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_spooled_goes_last, setup, teardown),
		cmocka_unit_test_setup_teardown(but_it_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(another_loop_refuses_for_mqtt_5, two_loops, teardown),
		cmocka_unit_test_setup_teardown(another_loop_refuses_for_mqtt_3, two_loops, teardown),
		cmocka_unit_test_setup_teardown(the_ready_go_on, two_loops, teardown),
		cmocka_unit_test_setup_teardown(
		        a_slow_receiver_on_another_loop_gets_what_is_acknowledged, two_loops, teardown),
		cmocka_unit_test_setup_teardown(a_refusal_is_about_one_message, two_loops, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
