/* SPDX-License-Identifier: Apache-2.0 */
/* The log of messages: its records, and what is in memory again after a start, also when the log was compacted. */
#include "rig_test.h"

#include "broker.h"
#include "index.h"
#include "record.h"

/* --- records ------------------------------------------------------------------------------------------------------------- */

static void drop_nobody(struct edged_identity *who)
{
	assert_null(who);
}

static void messages_come_back_as_they_were(void **state)
{
	(void)state;
	const struct message_parts rows[] = {
		{ .topic = edged_str("t"), .qos = 1, .arrived = 1 },
		{ .topic = edged_str("a/b"),
		        .payload = edged_slice("\0\1x", 3),
		        .publisher = edged_str("p"),
		        .props = edged_slice("\x26\0\1a\0\1b", 7),
		        .arrived = UINT64_C(1764000000000),
		        .expires = UINT64_C(1764000000001),
		        .qos = 2,
		        .retain = true,
		        .will = true },
	};
	for (size_t i = 0; i < 2; i++) {
		uint8_t bytes[200];
		const struct edged_auth_1 auth = { .struct_size = sizeof(auth), .drop = drop_nobody };
		struct broker broker = { .auth = &auth };
		struct message *m = message_new(&rows[i]), *back;
		struct writer w = writer(bytes, message_bytes_max(m));
		write_message_record(&w, 300, m);
		assert_false(w.failed);
		struct record record;
		assert_true(read_record(edged_slice(bytes, (size_t)(w.at - bytes)), &record));
		assert_int_equal(record.type, RECORD_MESSAGE);
		assert_int_equal(record.message, 300);
		back = read_message(&broker, record.body);
		assert_non_null(back);
		assert_int_equal(back->blob.len, m->blob.len);
		assert_memory_equal(back->blob.data + MESSAGE_HEAD, m->blob.data + MESSAGE_HEAD,
		        m->blob.len - MESSAGE_HEAD);
		assert_int_equal(back->arrived, m->arrived);
		assert_int_equal(back->expires, m->expires);
		assert_int_equal(back->qos, m->qos);
		assert_int_equal(back->retain, m->retain);
		assert_int_equal(back->will, m->will);
		assert_int_equal(back->publisher_len, m->publisher_len);
		assert_int_equal(message_props(back).len, message_props(m).len);
		message_unref(back);
		/* Any front of it is no message, or a shorter one: never more than there is. */
		for (size_t n = 0; n < record.body.len; n++) {
			back = read_message(&broker, edged_slice(record.body.ptr, n));
			assert_true(!back || message_size(back) + back->publisher_len <= n);
			message_unref(back);
		}
		message_unref(m);
	}
}

static void entries_come_back_as_they_were(void **state)
{
	(void)state;
	struct message m = { .row = 1000 };
	uint32_t more[] = { 2, 7, VARINT_MAX };
	const struct entry rows[] = {
		{ .message = &m, .seq = 1001, .qos = 1 },
		{ .message = &m, .seq = 5000, .qos = 2, .retain = true, .subscription_id = 1 },
		{ .message = &m, .seq = 5001, .qos = 2, .id = 65535, .state = ENTRY_SAVING },
		{ .message = &m,
		        .seq = 2,
		        .qos = 2,
		        .id = 1,
		        .state = ENTRY_SENT,
		        .subscription_id = 5,
		        .more_ids = more },
		{ .seq = ROW_MAX, .qos = 2, .id = 1, .state = ENTRY_RELEASING },
	};
	static const uint8_t states[] = { ENTRY_QUEUED, ENTRY_QUEUED, ENTRY_SENT, ENTRY_SENT,
		ENTRY_RELEASED };
	for (size_t i = 0; i < 5; i++) {
		uint8_t bytes[RECORD_ENTRY_MAX];
		struct writer w = writer(bytes, sizeof(bytes));
		struct record r;
		write_entry_record(&w, 77, &rows[i]);
		size_t n = (size_t)(w.at - bytes);
		assert_true(read_record(edged_slice(bytes, n), &r));
		assert_int_equal(r.session, 77);
		assert_int_equal(r.seq, rows[i].seq);
		assert_int_equal(r.message, rows[i].message ? 1000 : 0);
		assert_int_equal(r.qos, rows[i].qos);
		assert_int_equal(r.retain, rows[i].retain);
		assert_int_equal(r.state, states[i]);
		assert_int_equal(r.id, states[i] == ENTRY_QUEUED ? 0 : rows[i].id);
		if (rows[i].subscription_id)
			assert_int_equal(read_varint64(&r.ids), rows[i].subscription_id);
		if (rows[i].more_ids) {
			assert_int_equal(read_varint64(&r.ids), 7);
			assert_int_equal(read_varint64(&r.ids), VARINT_MAX);
		}
		assert_int_equal(read_left(&r.ids), 0);
	}
}

static void what_makes_no_sense_is_no_record(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t n;
	} rows[] = {
		{ "", 0 },
		{ "\0", 1 },
		{ "\6\1\1", 3 },
		{ "\1", 1 },                                       /* a message without a number */
		{ "\1\0x", 3 },                                    /* with number 0 */
		{ "\1\x81\x80\x80\x80\x80\x80\x80\x80\x40x", 11 }, /* with one that is too large */
		{ "\2\1\5\6\1", 5 },                    /* an entry of a message that would be such */
		{ "\2\1\5\1", 4 },                      /* an entry that ends early */
		{ "\2\1\0\1\1", 5 },                    /* without a number */
		{ "\2\1\5\1\0", 5 },                    /* QoS 0 */
		{ "\2\1\5\1\3", 5 },                    /* QoS 3 */
		{ "\2\1\5\0\1", 5 },                    /* nothing to send */
		{ "\2\1\5\1\x21", 5 },                  /* an unknown flag */
		{ "\2\1\5\1\x0e\0\1", 7 },              /* an unknown state */
		{ "\2\1\5\1\6\0\0", 7 },                /* sent, with packet id 0 */
		{ "\2\1\5\1\5\0\1", 7 },                /* sent, at QoS 1: not worth a record */
		{ "\2\1\5\1\x0a\0\1", 7 },              /* released, and with a message */
		{ "\2\1\5\1\1\0", 6 },                  /* subscription identifier 0 */
		{ "\2\1\5\1\1\xff\xff\xff\xff\1", 10 }, /* one that is too large */
		{ "\2\1\5\1\1\x80", 6 },                /* half of one */
		{ "\3\1", 2 },
		{ "\3\1\1\1", 4 },
		{ "\4\1\0", 3 },
		{ "\4\1\0\0", 4 },
		{ "\5\1\0\1\1", 5 },
		{ "\3\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\1\1", 13 },
	};
	struct record r;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (read_record(edged_slice(rows[i].bytes, rows[i].n), &r))
			fail_msg("row %zu", i);
	assert_true(read_record(edged_slice("\2\1\5\1\1", 5), &r));
	assert_true(read_record(edged_slice("\2\1\5\1\6\0\1", 7), &r));
	assert_true(read_record(edged_slice("\2\1\5\0\x0a\0\1", 7), &r));
	assert_true(read_record(edged_slice("\4\1\0\1", 4), &r));
}

static void the_index_finds_what_it_holds(void **state)
{
	(void)state;
	enum { N = 5000 };
	static char there[N];
	struct index index = { 0 };
	void *old;
	uint32_t random = 1;
	for (unsigned i = 0; i < 20 * N; i++) {
		random = random * 1664525 + 1013904223;
		unsigned k = (random >> 8) % N;
		uint64_t a = k % 7, b = k / 7 * UINT64_C(0x100000000);
		if (random >> 30) {
			assert_int_equal(index_set(&index, a, b, &there[k], &old), 0);
			assert_ptr_equal(old, there[k] ? &there[k] : NULL);
			there[k] = 1;
		} else {
			assert_ptr_equal(index_take(&index, a, b), there[k] ? &there[k] : NULL);
			there[k] = 0;
		}
	}
	size_t count = 0;
	for (unsigned k = 0; k < N; k++) {
		assert_ptr_equal(
		        index_get(&index, k % 7, k / 7 * UINT64_C(0x100000000)), there[k] ? &there[k] : NULL);
		count += (size_t)there[k];
	}
	assert_int_equal(index.count, count);
	index_fini(&index);
	assert_null(index_get(&index, 1, 1));
}

/* --- the log becomes long ---------------------------------------------------------------------------------------------------- */

#define BIG 60000

/* A message of 60 kB to a session that acknowledges it: in the log it is over at once. */
static void pass_one(struct fake_peer *publisher, struct fake_peer *busy)
{
	static uint8_t packet[BIG + 16] = "\x32\xe5\xd4\3\0\1b\0\1"; /* 60,005 bytes follow */
	fake_send(publisher, packet, 4 + 60005, 0);
	struct edged_slice got = fake_take(busy);
	assert_int_equal(got.len, 4 + 60005);
	uint8_t ack[] = { 0x40, 2, (uint8_t)got.ptr[7], (uint8_t)got.ptr[8] };
	fake_send(busy, ack, sizeof(ack), 0);
	quiet(publisher);
}

static size_t log_size(void)
{
	return fake_disk_rows_of(disk, "messages", RECORD_MESSAGE) * BIG;
}

/* What waits in every state, beside 60 MB that pass: it is all there after a crash, and the log stays short. */
static void keeps_all_states(unsigned loops)
{
	boot(loops, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *s = join(4, "s", KEEP), *two = join(4, "two", KEEP), *busy = join(4, "busy", KEEP),
	                 *p = join(4, "p", KEEP);
	subscribe(s, "t", 1);
	subscribe(two, "t", 2);
	subscribe(busy, "b", 1);
	quiet(busy);
	quiet(two);
	fake_hang_up(s);
	SEND(p, "\x34\6\0\1t\0\1"
	        "1\x34\6\0\1t\0\2"
	        "2\x34\6\0\1t\0\3"
	        "3");
	SEND(p, "\x62\2\0\1\x62\2\0\2"); /* 3 stays open */
	SEND(two, "\x50\2\0\1\x50\2\0\2");
	SEND(two, "\x70\2\0\1"); /* the first is done, the second released, the third was sent */
	quiet(p);
	size_t most = 0;
	for (int i = 0; i < 1000; i++) {
		pass_one(p, busy);
		most = log_size() > most ? log_size() : most;
	}
	assert_true(fake_figure(host, "broker_log_compactions_total", NULL) >= 5);
	assert_in_range(most, 8000000, 10000000);
	fake_host_free(host, false);
	boot(loops, NULL);
	fake_auto_commit(host, true);
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	EXPECT(s, "\x20\2\1\0\x32\6\0\1t\0\1"
	          "1\x32\6\0\1t\0\2"
	          "2\x32\6\0\1t\0\3"
	          "3");
	two = join_with(4, "two", KEEP, NULL, 0, NULL, 0);
	EXPECT(two, "\x20\2\1\0\x62\2\0\2\x3c\6\0\1t\0\3"
	            "3");
	p = join(4, "p", KEEP);
	SEND(p, "\x3c\6\0\1t\0\3"
	        "3");
	EXPECT(p, "\x50\2\0\3");
	EXPECT(s, "");
	busy = join_with(4, "busy", KEEP, NULL, 0, NULL, 0);
	EXPECT(busy, "\x20\2\1\0");
}

static void what_waits_outlives_what_passes(void **state)
{
	(void)state;
	keeps_all_states(1);
}

static void the_same_with_several_loops(void **state)
{
	(void)state;
	keeps_all_states(3);
}

/* A queue that takes many pieces to write anew, while it is read, and while more comes. */
static void a_long_queue_is_written_anew_in_pieces(void **state)
{
	(void)state;
	static const struct fake_setting settings[] = { { "limits.queue_bytes", 100000000 }, { NULL, 0 } };
	boot(1, settings);
	struct fake_peer *s = join(4, "s", KEEP), *busy = join(4, "busy", KEEP), *p = join(4, "p", CLEAN);
	subscribe(s, "t", 1);
	subscribe(busy, "b", 1);
	fake_commit(host, 0);
	quiet(busy);
	fake_hang_up(s);
	static uint8_t packet[20000 + 16] = "\x32\xa5\x9c\1\0\1t\0\1"; /* 20,005 bytes follow */
	for (int i = 0; i < 60; i++) {
		packet[9] = (uint8_t)i;
		fake_send(p, packet, 4 + 20005, 0);
	}
	fake_commit(host, 0);
	quiet(p);
	bool more = true, met = false;
	for (unsigned i = 0; i < 400 && more; i++) {
		pass_one(p, busy);
		fake_commit(host, 0);
		more = fake_figure(host, "broker_log_compactions_total", NULL) == 0;
		/* Some were written twice, so it is under way: the client comes, and takes some. */
		if (!met && fake_disk_rows_of(disk, "messages", RECORD_MESSAGE) > 60 + i + 10) {
			met = true;
			s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
			quiet(s);
			SEND(s, "\x40\2\0\1\x40\2\0\7");
			fake_hang_up(s);
			packet[9] = 60;
			fake_send(p, packet, 4 + 20005, 0);
		}
	}
	assert_true(met && !more);
	fake_commit(host, 0);
	fake_host_free(host, false);
	boot(1, settings);
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	struct edged_slice got = fake_take(s);
	assert_int_equal(got.len, 4 + (size_t)59 * (4 + 20005));
	for (int i = 0, k = 0; i < 59; i++, k++) {
		k += k == 0 || k == 6;
		assert_int_equal((uint8_t)got.ptr[4 + i * 20009 + 9], k);
	}
}

/* A compaction that could not be written does not cut the log. */
static void a_compaction_that_fails_loses_nothing(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *s = join(4, "s", KEEP), *busy = join(4, "busy", KEEP), *p = join(4, "p", CLEAN);
	subscribe(s, "t", 1);
	subscribe(busy, "b", 1);
	fake_commit(host, 0);
	quiet(busy);
	fake_hang_up(s);
	SEND(p, "\x32\6\0\1t\0\1x");
	fake_commit(host, 0);
	quiet(p);
	/* Up to the turn that begins one: its first piece is refused. */
	while (log_size() < 8300000) {
		pass_one(p, busy);
		fake_commit(host, 0);
	}
	pass_one(p, busy);
	fake_commit(host, -28);
	p = join_with(4, "p", CLEAN, NULL, 0, NULL, 0);
	fake_commit(host, 0);
	size_t before = log_size();
	assert_int_equal(fake_figure(host, "broker_log_compactions_total", NULL), 0);
	crash();
	assert_int_equal(log_size(), before);
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	EXPECT(s, "\x20\2\1\0\x32\6\0\1t\0\1x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_come_back_as_they_were),
		cmocka_unit_test(entries_come_back_as_they_were),
		cmocka_unit_test(what_makes_no_sense_is_no_record),
		cmocka_unit_test(the_index_finds_what_it_holds),
		T(what_waits_outlives_what_passes),
		T(the_same_with_several_loops),
		T(a_long_queue_is_written_anew_in_pieces),
		T(a_compaction_that_fails_loses_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
