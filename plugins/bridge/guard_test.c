/* SPDX-License-Identifier: Apache-2.0 */
/* Marks, echoes, back-off, and the packets of a client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "backoff.h"
#include "guard.h"
#include "packets.h"

static struct marks read(const char *const *ids, const char *here, const char *remote)
{
	static uint8_t bytes[500];
	struct writer w = writer(bytes, sizeof(bytes));
	write_u8(&w, PROP_CONTENT_TYPE);
	write_binary(&w, edged_str("a"));
	write_u8(&w, PROP_USER);
	write_binary(&w, edged_str("other"));
	write_binary(&w, edged_str(here));
	for (; *ids; ids++)
		marks_write(&w, edged_str(*ids));
	return marks_read(edged_slice(bytes, (size_t)(w.at - bytes)), edged_str(here), edged_str(remote));
}
#define MARKS(here, remote, ...) read((const char *const[]){ __VA_ARGS__, NULL }, here, remote)

static void marks_tell_where_a_message_has_been(void **state)
{
	(void)state;
	struct marks m = MARKS("me", "you", "x");
	assert_true(!m.here && !m.last && !m.remote);
	m = MARKS("me", "you", "x", "me");
	assert_true(m.here && m.last && !m.remote);
	m = MARKS("me", "you", "me", "x");
	assert_true(m.here && !m.last);
	m = MARKS("me", "you", "you", "me");
	assert_true(m.remote && m.last);
	m = MARKS("me", "", "x");
	assert_false(m.remote);
	uint8_t bytes[64];
	struct writer w = writer(bytes, sizeof(bytes));
	marks_write(&w, edged_str("0123456789abcdef"));
	assert_int_equal(w.at - bytes, MARK_SIZE);
}

static void an_echo_is_known_once(void **state)
{
	(void)state;
	struct guard *g = calloc(1, sizeof(*g));
	assert_non_null(g);
	g->key = 42;
	uint64_t a = guard_hash(g, edged_str("t"), edged_str("x")),
	         b = guard_hash(g, edged_str("tx"), edged_str(""));
	assert_true(a != b);
	guard_note(g, a, 1000);
	guard_note(g, a, 1000);
	assert_false(guard_take(g, b, 1000, 500));
	assert_true(guard_take(g, a, 1500, 500));
	assert_true(guard_take(g, a, 1500, 500));
	assert_false(guard_take(g, a, 1500, 500));
	guard_note(g, a, 1000);
	assert_false(guard_take(g, a, 1501, 500)); /* too old */
	for (int i = 0; i < GUARD_SIZE; i++)
		guard_note(g, b, 1501);
	assert_false(guard_take(g, a, 1501, 5000)); /* pushed out */
	free(g);
}

static void waits_grow_and_are_bounded(void **state)
{
	(void)state;
	uint64_t most[40] = { 0 };
	for (unsigned n = 1; n < 40; n++)
		for (uint64_t i = 0; i < 2000; i++) {
			uint64_t wait = backoff_ms(n, 100, 10000, i * UINT64_C(0x9e3779b97f4a7c15));
			assert_true(wait >= BACKOFF_FLOOR && wait <= 10000);
			if (wait > most[n])
				most[n] = wait;
		}
	assert_true(most[1] <= 100 && most[1] > 90);
	assert_true(most[3] <= 400 && most[3] > 360);
	assert_true(most[39] > 9000);
	assert_int_equal(backoff_ms(5, 100, 10000, 0), BACKOFF_FLOOR); /* full jitter: all of it is spread */
}

static void a_client_says_hello(void **state)
{
	(void)state;
	uint8_t bytes[1000];
	struct frame f;
	struct connect c;
	struct hello h = {
		.version = MQTT_5, .keep_alive = 60, .receive_max = 7, .session_expiry = 99, .packet = 5000
	};
	h.client_id = edged_str("me");
	h.user = edged_str("u");
	h.password = edged_str("p");
	h.node = edged_str("node");
	struct writer w = writer(bytes, sizeof(bytes));
	write_connect(&w, &h);
	assert_false(w.failed);
	assert_int_equal(frame_read(bytes, (size_t)(w.at - bytes), sizeof(bytes), &f), 0);
	assert_int_equal(f.size, w.at - bytes);
	assert_int_equal(parse_connect(&f, 10, &c), 0);
	assert_false(c.clean);
	assert_true(edged_slice_is(c.client_id, "me") && edged_slice_is(c.user, "u") &&
	            edged_slice_is(c.password, "p"));
	assert_int_equal(c.props.session_expiry, 99);
	assert_int_equal(c.props.receive_max, 7);
	assert_int_equal(c.props.max_packet, 5000);
	assert_int_equal(c.props.users, 1);
	h.version = MQTT_3_1_1;
	h.bridge_bit = true;
	char id[300];
	memset(id, 'i', sizeof(id));
	h.client_id = edged_slice(id, sizeof(id));
	w = writer(bytes, sizeof(bytes));
	write_connect(&w, &h);
	assert_int_equal(frame_read(bytes, (size_t)(w.at - bytes), sizeof(bytes), &f), 0);
	assert_int_equal(f.body[6], 0x84);
	assert_int_equal(f.size, w.at - bytes);
	w = writer(bytes, 100);
	write_connect(&w, &h);
	assert_true(w.failed);
}

static struct frame frame(const char *bytes, size_t n)
{
	struct frame f;
	assert_int_equal(frame_read((const uint8_t *)bytes, n, 1000, &f), 0);
	return f;
}
#define FRAME(bytes) frame(bytes, sizeof(bytes) - 1)

static void a_server_answers(void **state)
{
	(void)state;
	struct welcome w;
	struct frame f = FRAME("\x20\x2\1\0");
	assert_true(parse_connack(&f, MQTT_3_1_1, &w));
	assert_true(w.present && w.reason == 0 && w.retain && w.max_qos == 2 && w.receive_max == 65535);
	f = FRAME("\x20\2\0\4");
	assert_true(parse_connack(&f, MQTT_3_1_1, &w));
	assert_int_equal(w.reason, REASON_PASSWORD);
	f = FRAME("\x20\x1f\0\0\x1c\x24\1\x25\0\x21\0\5\x27\0\0\1\0\x26\0\x0a"
	          "edged-node"
	          "\0\1n");
	assert_true(parse_connack(&f, MQTT_5, &w));
	assert_true(!w.retain && w.max_qos == 1 && w.receive_max == 5 && w.packet == 256);
	assert_true(edged_slice_is(w.node, "n"));
	f = FRAME("\x20\3\0\0\5");
	assert_false(parse_connack(&f, MQTT_5, &w));
	f = FRAME("\x20\2\2\0");
	assert_false(parse_connack(&f, MQTT_3_1_1, &w));
	uint8_t bytes[100];
	const char *const filters[] = { "a/#", "b" };
	const uint8_t options[] = { 0x1d, 2 };
	struct writer out = writer(bytes, sizeof(bytes));
	write_subscribe(&out, MQTT_3_1_1, 9, filters, options, 2);
	f = frame((char *)bytes, (size_t)(out.at - bytes));
	struct filters list;
	assert_int_equal(parse_filters(&f, MQTT_3_1_1, 1, &list), 0);
	assert_int_equal(list.count, 2);
	out = writer(bytes, sizeof(bytes));
	write_subscribe(&out, MQTT_5, 9, filters, options, 2);
	f = frame((char *)bytes, (size_t)(out.at - bytes));
	assert_int_equal(parse_filters(&f, MQTT_5, 1, &list), 0);
	struct edged_slice codes, text;
	uint16_t id;
	uint8_t reason;
	f = FRAME("\x90\5\0\x9\0\1\x87");
	assert_true(parse_suback(&f, MQTT_5, &id, &codes));
	assert_int_equal(id, 9);
	assert_true(edged_slice_is(codes, "\x01\x87"));
	f = FRAME("\xe0\7\x8b\5\x1f\0\2hi");
	assert_true(parse_disconnect(&f, &reason, &text));
	assert_true(reason == 0x8b && edged_slice_is(text, "hi"));
	assert_non_null(strstr(refusal_text(reason), "shuts down"));
	f = FRAME("\xe0\0");
	assert_true(parse_disconnect(&f, &reason, &text));
	assert_int_equal(reason, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks_tell_where_a_message_has_been),
		cmocka_unit_test(an_echo_is_known_once),
		cmocka_unit_test(waits_grow_and_are_bounded),
		cmocka_unit_test(a_client_says_hello),
		cmocka_unit_test(a_server_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
