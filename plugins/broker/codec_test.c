/* SPDX-License-Identifier: Apache-2.0 */
/* Packets: every one, whole, cut at each byte, and with what the specification forbids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "codec.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct sample {
	const char *name;
	uint8_t version;
	const char *bytes;
	size_t len;
	int reason;
};
#define BYTES(s) s, sizeof(s) - 1

/* Parses any packet as the server would. The copy has exactly n bytes, so that the sanitizer sees what reads
 * beyond. */
static int parse(uint8_t version, const char *bytes, size_t n)
{
	uint8_t *copy = malloc(n + 1);
	memcpy(copy, bytes, n);
	uint8_t *exact = realloc(copy, n ? n : 1);
	struct frame f;
	union {
		struct connect connect;
		struct publish publish;
		struct ack ack;
		struct filters filters;
		struct farewell farewell;
	} p;
	int r = frame_read(exact, n, 1000, &f);
	if (r == 0) {
		switch ((enum packet_type)f.type) {
		case CONNECT:
			r = parse_connect(&f, 4, &p.connect);
			break;
		case PUBLISH:
			r = parse_publish(&f, version, 4, &p.publish);
			break;
		case PUBACK:
		case PUBREC:
		case PUBREL:
		case PUBCOMP:
			r = parse_ack(&f, version, 4, &p.ack);
			break;
		case SUBSCRIBE:
		case UNSUBSCRIBE:
			r = parse_filters(&f, version, 4, &p.filters);
			break;
		case DISCONNECT:
		case AUTH:
			r = parse_farewell(&f, version, 4, &p.farewell);
			break;
		default:
			r = f.len ? REASON_MALFORMED : 0;
			break;
		}
	}
	free(exact);
	return r;
}

static const struct sample samples[] = {
	{ "connect 3.1", 3, BYTES("\x10\x10\0\6MQIsdp\3\2\0\x3c\0\2ab"), 0 },
	{ "connect 3.1.1", 4, BYTES("\x10\x0e\0\4MQTT\4\2\0\x3c\0\2ab"), 0 },
	{ "connect 3.1.1, all", 4, BYTES("\x10\x1b\0\4MQTT\4\xee\0\x3c\0\1a\0\1t\0\2pp\0\1u\0\2pw"), 0 },
	{ "connect 3.1.1, user without password", 4, BYTES("\x10\x10\0\4MQTT\4\x82\0\x3c\0\1a\0\1u"), 0 },
	{ "connect 5", 5, BYTES("\x10\x15\0\4MQTT\5\2\0\x3c\x05\x11\0\0\0\x0a\0\3abc"), 0 },
	{ "connect 5, will with properties", 5,
	        BYTES("\x10\x1c\0\4MQTT\5\6\0\x3c\0\0\1a\x07\x18\0\0\0\1\1\1\0\1t\0\1p"), 0 },
	{ "connect 5, password alone", 5, BYTES("\x10\x12\0\4MQTT\5\x42\0\x3c\0\0\1a\0\2pw"), 0 },
	{ "connect, reserved flag", 4, BYTES("\x10\x0d\0\4MQTT\4\3\0\x3c\0\1a"), REASON_MALFORMED },
	{ "connect, will QoS without will", 4, BYTES("\x10\x0d\0\4MQTT\4\x0a\0\x3c\0\1a"), REASON_MALFORMED },
	{ "connect, will QoS 3", 4, BYTES("\x10\x12\0\4MQTT\4\x1e\0\x3c\0\1a\0\1t\0\0"), REASON_MALFORMED },
	{ "connect 3.1.1, password without user", 4, BYTES("\x10\x0f\0\4MQTT\4\x42\0\x3c\0\1a\0\0"),
	        REASON_MALFORMED },
	{ "connect, unknown version", 9, BYTES("\x10\x0d\0\4MQTT\x09\2\0\x3c\0\1a"), REASON_VERSION },
	{ "connect, unknown name", 4, BYTES("\x10\x0d\0\4HTTP\4\2\0\x3c\0\1a"), REASON_VERSION },
	{ "connect, bytes behind", 4, BYTES("\x10\x0e\0\4MQTT\4\2\0\x3c\0\1a\0"), REASON_MALFORMED },
	{ "connect, id with NUL", 4, BYTES("\x10\x0d\0\4MQTT\4\2\0\x3c\0\1\0"), REASON_MALFORMED },
	{ "connect 5, authentication data without method", 5,
	        BYTES("\x10\x12\0\4MQTT\5\2\0\x3c\4\x16\0\1x\0\1a"), REASON_PROTOCOL },
	{ "connect 5, property twice", 5,
	        BYTES("\x10\x18\0\4MQTT\5\2\0\x3c\x0a\x11\0\0\0\1\x11\0\0\0\1\0\1a"), REASON_PROTOCOL },
	{ "connect 5, receive maximum 0", 5, BYTES("\x10\x11\0\4MQTT\5\2\0\x3c\3\x21\0\0\0\1a"),
	        REASON_PROTOCOL },
	{ "connect 5, property of another packet", 5, BYTES("\x10\x11\0\4MQTT\5\2\0\x3c\3\x23\0\1\0\1a"),
	        REASON_PROTOCOL },
	{ "connect 5, unknown property", 5, BYTES("\x10\x10\0\4MQTT\5\2\0\x3c\2\x7f\0\0\1a"),
	        REASON_MALFORMED },
	{ "connect 5, property cut by its length", 5, BYTES("\x10\x10\0\4MQTT\5\2\0\x3c\2\x11\0\0\1a"),
	        REASON_MALFORMED },
	{ "publish QoS 0", 4, BYTES("\x30\x06\0\3a/bp"), 0 },
	{ "publish QoS 1", 4, BYTES("\x33\x08\0\3a/b\0\1p"), 0 },
	{ "publish QoS 2, dup", 4, BYTES("\x3c\x08\0\3a/b\0\1p"), 0 },
	{ "publish QoS 3", 4, BYTES("\x36\x08\0\3a/b\0\1p"), REASON_MALFORMED },
	{ "publish QoS 0, dup", 4, BYTES("\x38\x06\0\3a/bp"), REASON_MALFORMED },
	{ "publish id 0", 4, BYTES("\x32\x08\0\3a/b\0\0p"), REASON_MALFORMED },
	{ "publish, bad UTF-8", 4, BYTES("\x30\x05\0\3a\xc3/"), REASON_MALFORMED },
	{ "publish 5", 5, BYTES("\x30\x0f\0\3a/b\x08\2\0\0\0\1\x23\0\7p"), 0 },
	{ "publish 5, user properties", 5, BYTES("\x32\x16\0\1t\0\1\x0e\x26\0\1a\0\1b\x26\0\1a\0\1c\xff\0"),
	        0 },
	{ "publish 5, too many user properties", 5,
	        BYTES("\x30\x27\0\1t\x23\x26\0\1a\0\1b\x26\0\1a\0\1b\x26\0\1a\0\1b\x26\0\1a\0\1b\x26\0\1a\0\1"
	              "b"),
	        PROPS_TOO_MANY },
	{ "publish 5, subscription identifier", 5, BYTES("\x30\x06\0\1t\2\x0b\1"), REASON_PROTOCOL },
	{ "puback", 4, BYTES("\x40\2\0\1"), 0 },
	{ "puback 5, reason", 5, BYTES("\x40\3\0\1\x10"), 0 },
	{ "puback 5, reason string", 5, BYTES("\x40\x08\0\1\x80\4\x1f\0\1x"), 0 },
	{ "puback 3.1.1 with reason", 4, BYTES("\x40\3\0\1\x10"), REASON_MALFORMED },
	{ "puback id 0", 4, BYTES("\x40\2\0\0"), REASON_PROTOCOL },
	{ "pubrec", 4, BYTES("\x50\2\0\1"), 0 },
	{ "pubrel", 4, BYTES("\x62\2\0\1"), 0 },
	{ "pubrel, wrong flags", 4, BYTES("\x60\2\0\1"), REASON_MALFORMED },
	{ "pubcomp", 4, BYTES("\x70\2\0\1"), 0 },
	{ "subscribe", 4, BYTES("\x82\x0b\0\1\0\1a\1\0\2b#\2"), 0 },
	{ "subscribe, nothing", 4, BYTES("\x82\2\0\1"), REASON_PROTOCOL },
	{ "subscribe, QoS 3", 4, BYTES("\x82\6\0\1\0\1a\3"), REASON_MALFORMED },
	{ "subscribe 3.1.1, options of 5", 4, BYTES("\x82\6\0\1\0\1a\4"), REASON_MALFORMED },
	{ "subscribe 5, identifier and options", 5, BYTES("\x82\x09\0\1\2\x0b\5\0\1a\x2c"), 0 },
	{ "subscribe 5, identifier 0", 5, BYTES("\x82\x09\0\1\2\x0b\0\0\1a\0"), REASON_PROTOCOL },
	{ "subscribe 5, retain handling 3", 5, BYTES("\x82\7\0\1\0\0\1a\x30"), REASON_PROTOCOL },
	{ "subscribe, wrong flags", 4, BYTES("\x80\6\0\1\0\1a\0"), REASON_MALFORMED },
	{ "unsubscribe", 4, BYTES("\xa2\5\0\1\0\1a"), 0 },
	{ "unsubscribe 5", 5, BYTES("\xa2\6\0\1\0\0\1a"), 0 },
	{ "unsubscribe, nothing", 4, BYTES("\xa2\2\0\1"), REASON_PROTOCOL },
	{ "pingreq", 4, BYTES("\xc0\0"), 0 },
	{ "pingreq with body", 4, BYTES("\xc0\1x"), REASON_MALFORMED },
	{ "disconnect", 4, BYTES("\xe0\0"), 0 },
	{ "disconnect 5", 5, BYTES("\xe0\7\4\5\x11\0\0\0\1"), 0 },
	{ "disconnect 3.1.1 with body", 4, BYTES("\xe0\1\0"), REASON_MALFORMED },
	{ "auth", 5, BYTES("\xf0\x08\x18\6\x15\0\3abc"), 0 },
	{ "type 0", 4, BYTES("\0\0"), REASON_MALFORMED },
	{ "length of five bytes", 4, BYTES("\x30\xff\xff\xff\xff\1"), REASON_MALFORMED },
	{ "length longer than needed", 4, BYTES("\x30\x80\0"), REASON_MALFORMED },
	{ "too large", 4, BYTES("\x30\xe9\7"), REASON_TOO_LARGE },
};

static void every_packet_is_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(samples); i++) {
		int r = parse(samples[i].version, samples[i].bytes, samples[i].len);
		if (r != samples[i].reason)
			fail_msg("%s: %#x instead of %#x", samples[i].name, r, samples[i].reason);
	}
}

/* A packet that is not all there is waited for; one whose length lies is malformed or, rarely, another good
 * packet. */
static void every_truncation_is_survived(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(samples); i++) {
		const struct sample *s = &samples[i];
		for (size_t n = 0; n < s->len && s->reason == 0; n++)
			assert_int_equal(parse(s->version, s->bytes, n), FRAME_MORE);
		for (size_t n = 2; n < s->len && s->len < 127; n++) {
			char cut[128];
			memcpy(cut, s->bytes, n);
			cut[1] = (char)(n - 2);
			assert_int_not_equal(parse(s->version, cut, n), FRAME_MORE);
		}
		for (int version = 3; version <= 5; version++)
			(void)parse((uint8_t)version, s->bytes, s->len);
	}
}

static void connect_is_taken_apart(void **state)
{
	(void)state;
	static const char bytes[] =
	        "\x10\x25\0\4MQTT\5\xf6\0\x3c\5\x11\0\0\0\x0a\0\2id\x02\1\1\0\1t\0\2pp\0\1u\0\2pw";
	struct frame f;
	struct connect c;
	assert_int_equal(frame_read((const uint8_t *)bytes, sizeof(bytes) - 1, 100, &f), 0);
	assert_int_equal(f.size, sizeof(bytes) - 1);
	assert_int_equal(parse_connect(&f, 4, &c), 0);
	assert_true(c.clean && c.will && c.will_retain && c.has_user && c.has_password);
	assert_int_equal(c.will_qos, 2);
	assert_int_equal(c.keep_alive, 60);
	assert_int_equal(c.props.session_expiry, 10);
	assert_int_equal(c.props.receive_max, 65535);
	assert_int_equal(c.will_props.format, 1);
	assert_true(edged_slice_is(c.client_id, "id"));
	assert_true(edged_slice_is(c.will_topic, "t"));
	assert_true(edged_slice_is(c.will_payload, "pp"));
	assert_true(edged_slice_is(c.user, "u"));
	assert_true(edged_slice_is(c.password, "pw"));
}

static void only_some_properties_go_on(void **state)
{
	(void)state;
	static const char in[] = "\1\1\2\0\0\0\1\3\0\1c\x23\0\7\x26\0\1a\0\1b\x09\0\1d";
	static const char out[] = "\1\1\3\0\1c\x26\0\1a\0\1b\x09\0\1d";
	uint8_t bytes[64];
	struct writer w = writer(bytes, sizeof(bytes));
	struct edged_slice raw = edged_slice(in, sizeof(in) - 1);
	assert_int_equal(props_forward_size(raw), sizeof(out) - 1);
	props_forward(raw, &w);
	assert_false(w.failed);
	assert_int_equal(w.at - bytes, sizeof(out) - 1);
	assert_memory_equal(bytes, out, sizeof(out) - 1);
}

/* A message of MQTT 3 has no properties, not even a place where they would be. */
static void no_bytes_at_all_are_read(void **state)
{
	(void)state;
	struct reader r = reader(NULL, 0);
	assert_int_equal(read_left(&r), 0);
	assert_int_equal(read_u8(&r), 0);
	assert_true(r.failed);
	assert_int_equal(props_forward_size(edged_slice(NULL, 0)), 0);
}

static void expect(const struct writer *w, const uint8_t *start, const char *bytes, size_t n)
{
	assert_false(w->failed);
	assert_int_equal(w->at - start, n);
	assert_memory_equal(start, bytes, n);
}

static void answers_are_written(void **state)
{
	(void)state;
	uint8_t out[128];
	static const uint8_t codes[] = { 0, 2, 0x87 };
#define WRITES(call, bytes)                                                                                  \
	do {                                                                                                 \
		struct writer w = writer(out, sizeof(out));                                                  \
		call;                                                                                        \
		expect(&w, out, BYTES(bytes));                                                               \
	} while (0)
	struct connack refuse = { .reason = REASON_NOT_AUTHORIZED };
	struct connack accept = {
		.present = true, .limits = true, .receive_max = 100, .max_packet = 65536, .shared = true
	};
	WRITES(write_connack(&w, 4, &refuse), "\x20\2\0\5");
	WRITES(write_connack(&w, 3, &accept), "\x20\2\0\0");
	WRITES(write_connack(&w, 4, &accept), "\x20\2\1\0");
	WRITES(write_connack(&w, 5, &refuse), "\x20\3\0\x87\0");
	WRITES(write_connack(&w, 5, &accept), "\x20\x10\1\0\x0d\x21\0\x64\x27\0\1\0\0\x22\0\0\x2a\1");
	WRITES(write_ack(&w, 4, PUBACK, 258, REASON_QUOTA), "\x40\2\1\2");
	WRITES(write_ack(&w, 5, PUBREC, 258, REASON_QUOTA), "\x50\3\1\2\x97");
	WRITES(write_ack(&w, 5, PUBREL, 1, 0), "\x62\2\0\1");
	WRITES(write_codes(&w, 4, SUBACK, 1, codes, 3), "\x90\5\0\1\0\2\x80");
	WRITES(write_codes(&w, 5, SUBACK, 1, codes, 3), "\x90\6\0\1\0\0\2\x87");
	WRITES(write_codes(&w, 4, UNSUBACK, 1, codes, 3), "\xb0\2\0\1");
	WRITES(write_codes(&w, 5, UNSUBACK, 1, codes, 3), "\xb0\6\0\1\0\0\2\x87");
	WRITES(write_disconnect(&w, REASON_TAKEN_OVER, edged_str("")), "\xe0\1\x8e");
	WRITES(write_disconnect(&w, REASON_QUOTA, edged_str("x")), "\xe0\6\x97\4\x1f\0\1x");
	static const uint32_t ids[] = { 1, 300 };
	struct outgoing o = { .version = 5,
		.qos = 1,
		.dup = true,
		.retain = true,
		.id = 7,
		.topic = edged_str("t"),
		.has_expiry = true,
		.expiry = 9,
		.subscription_ids = ids,
		.subscription_count = 2,
		.payload_len = 1 };
	WRITES(write_publish_start(&w, &o); write_bytes(&w, "t", 1);
	        write_publish_middle(&w, &o), "\x3b\x11\0\1t\0\7\x0a\2\0\0\0\x09\x0b\1\x0b\xac\2");
	struct writer full = writer(out, 3);
	write_ack(&full, 4, PUBACK, 1, 0);
	assert_true(full.failed);
}

static void utf8_is_judged(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t len;
		bool good;
	} rows[] = {
		{ BYTES("plain"), true },
		{ BYTES("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbb\xbf"), true },
		{ BYTES("\xf4\x8f\xbf\xbf"), true },
		{ BYTES("\xed\x9f\xbf\xee\x80\x80"), true },
		{ BYTES("a\0b"), false },
		{ BYTES("\xc0\x80"), false },
		{ BYTES("\xc1\xbf"), false },
		{ BYTES("\xe0\x9f\xbf"), false },
		{ BYTES("\xed\xa0\x80"), false },
		{ BYTES("\xf0\x8f\xbf\xbf"), false },
		{ BYTES("\xf4\x90\x80\x80"), false },
		{ BYTES("\xf5\x80\x80\x80"), false },
		{ BYTES("\x80"), false },
		{ BYTES("\xc3"), false },
		{ BYTES("\xe2\x82"), false },
		{ BYTES("\xc3\x28"), false },
	};
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(utf8_valid(edged_slice(rows[i].text, rows[i].len)), rows[i].good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_packet_is_judged),
		cmocka_unit_test(every_truncation_is_survived),
		cmocka_unit_test(connect_is_taken_apart),
		cmocka_unit_test(only_some_properties_go_on),
		cmocka_unit_test(no_bytes_at_all_are_read),
		cmocka_unit_test(answers_are_written),
		cmocka_unit_test(utf8_is_judged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
