/* SPDX-License-Identifier: Apache-2.0 */
/* Packets against the rules, whole and byte by byte: what the client hears, and that it is alone in that. */
#include "rig_test.h"

#define BYTES(s) s, sizeof(s) - 1

struct row {
	const char *what, *bytes;
	size_t len;
	uint8_t reason; /* in DISCONNECT or CONNACK for MQTT 5; 0: nothing is said */
};

static const struct row old_packets[] = {
	{ "PUBREL without its flags", BYTES("\x60\2\0\1"), 0 },
	{ "SUBSCRIBE without its flags", BYTES("\x80\6\0\1\0\1t\0"), 0 },
	{ "UNSUBSCRIBE without its flags", BYTES("\xa0\5\0\1\0\1t"), 0 },
	{ "DISCONNECT with a flag", BYTES("\xe1\0"), 0 },
	{ "PINGREQ with a flag", BYTES("\xc1\0"), 0 },
	{ "PINGREQ with a body", BYTES("\xc0\1x"), 0 },
	{ "PUBACK with a flag", BYTES("\x41\2\0\1"), 0 },
	{ "QoS 3", BYTES("\x36\6\0\1t\0\1x"), 0 },
	{ "DUP at QoS 0", BYTES("\x38\4\0\1tx"), 0 },
	{ "PUBLISH with packet id 0", BYTES("\x32\5\0\1t\0\0"), 0 },
	{ "SUBSCRIBE with packet id 0", BYTES("\x82\6\0\0\0\1t\0"), 0 },
	{ "UNSUBSCRIBE with packet id 0", BYTES("\xa2\5\0\0\0\1t"), 0 },
	{ "PUBLISH without a topic", BYTES("\x30\1x"), 0 },
	{ "+ in a topic", BYTES("\x30\4\0\1+x"), 0 },
	{ "# in a topic", BYTES("\x30\6\0\3a/#x"), 0 },
	{ "an empty topic", BYTES("\x30\3\0\0x"), 0 },
	{ "U+0000 in a topic", BYTES("\x30\4\0\1\0x"), 0 },
	{ "a surrogate in a topic", BYTES("\x30\6\0\3\xed\xa0\x80x"), 0 },
	{ "an overlong character", BYTES("\x30\5\0\2\xc0\xafx"), 0 },
	{ "SUBSCRIBE to nothing", BYTES("\x82\2\0\1"), 0 },
	{ "SUBSCRIBE at QoS 3", BYTES("\x82\6\0\1\0\1t\3"), 0 },
	{ "reserved bits in SUBSCRIBE", BYTES("\x82\6\0\1\0\1t\4"), 0 },
	{ "a filter that is not UTF-8", BYTES("\x82\6\0\1\0\1\xff\0"), 0 },
	{ "UNSUBSCRIBE from nothing", BYTES("\xa2\2\0\1"), 0 },
	{ "the same of UNSUBSCRIBE", BYTES("\xa2\5\0\1\0\1\xff"), 0 },
	{ "a second CONNECT", BYTES("\x10\x0d\0\4MQTT\4\2\0\x3c\0\1a"), 0 },
	{ "CONNACK", BYTES("\x20\2\0\0"), 0 },
	{ "SUBACK", BYTES("\x90\3\0\1\0"), 0 },
	{ "UNSUBACK", BYTES("\xb0\2\0\1"), 0 },
	{ "PINGRESP", BYTES("\xd0\0"), 0 },
	{ "AUTH", BYTES("\xf0\0"), 0 },
	{ "type 0", BYTES("\0\0"), 0 },
	{ "a length of five bytes", BYTES("\x30\xff\xff\xff\xff\1"), 0 },
	{ "a length with a needless byte", BYTES("\xc0\x80\0"), 0 },
	{ "over the largest packet", BYTES("\x30\xff\xff\x7f"), 0 },
};

static const struct row new_packets[] = {
	{ "PUBREL without its flags", BYTES("\x60\2\0\1"), 0x81 },
	{ "SUBSCRIBE without its flags", BYTES("\x80\7\0\1\0\0\1t\0"), 0x81 },
	{ "UNSUBSCRIBE without its flags", BYTES("\xa0\6\0\1\0\0\1t"), 0x81 },
	{ "DISCONNECT with a flag", BYTES("\xe1\0"), 0x81 },
	{ "AUTH with a flag", BYTES("\xf1\0"), 0x81 },
	{ "QoS 3", BYTES("\x36\7\0\1t\0\1\0x"), 0x81 },
	{ "PUBLISH with packet id 0", BYTES("\x32\6\0\1t\0\0\0"), 0x82 },
	{ "SUBSCRIBE with packet id 0", BYTES("\x82\7\0\0\0\0\1t\0"), 0x82 },
	{ "UNSUBSCRIBE with packet id 0", BYTES("\xa2\6\0\0\0\0\1t"), 0x82 },
	{ "+ in a topic", BYTES("\x30\5\0\1+\0x"), 0x90 },
	{ "an empty topic and no alias", BYTES("\x30\4\0\0\0x"), 0x82 },
	{ "U+0000 in a topic", BYTES("\x30\5\0\1\0\0x"), 0x81 },
	{ "a surrogate in a topic", BYTES("\x30\7\0\3\xed\xa0\x80\0x"), 0x81 },
	{ "no properties, not even their length", BYTES("\x30\3\0\1t"), 0x81 },
	{ "a property length with a needless byte", BYTES("\x30\6\0\1t\x80\0x"), 0x81 },
	{ "properties longer than the packet", BYTES("\x30\6\0\1t\x09\1\0"), 0x81 },
	{ "an unknown property", BYTES("\x30\7\0\1t\2\x7f\0x"), 0x81 },
	{ "a property of another packet", BYTES("\x30\x0a\0\1t\5\x11\0\0\0\1x"), 0x82 },
	{ "a property twice", BYTES("\x30\x09\0\1t\4\1\0\1\0x"), 0x82 },
	{ "a format that is neither 0 nor 1", BYTES("\x30\7\0\1t\2\1\2x"), 0x82 },
	{ "a subscription id of a client", BYTES("\x30\7\0\1t\2\x0b\1x"), 0x82 },
	{ "wildcards in a response topic", BYTES("\x30\x09\0\1t\4\x08\0\1+x"), 0x90 },
	{ "a response topic that is not UTF-8", BYTES("\x30\x09\0\1t\4\x08\0\1\xffx"), 0x81 },
	{ "a content type that is not UTF-8", BYTES("\x30\x09\0\1t\4\3\0\1\xffx"), 0x81 },
	{ "a name that is not UTF-8", BYTES("\x30\x0b\0\1t\6\x26\0\1\xff\0\0x"), 0x81 },
	{ "a value that is not UTF-8", BYTES("\x30\x0b\0\1t\6\x26\0\0\0\1\xffx"), 0x81 },
	{ "alias 0", BYTES("\x30\x08\0\1t\3\x23\0\0x"), 0x94 },
	{ "an alias over the maximum", BYTES("\x30\x08\0\1t\3\x23\0\x0bx"), 0x94 },
	{ "SUBSCRIBE to nothing", BYTES("\x82\3\0\1\0"), 0x82 },
	{ "SUBSCRIBE at QoS 3", BYTES("\x82\7\0\1\0\0\1t\3"), 0x82 },
	{ "reserved bits in SUBSCRIBE", BYTES("\x82\7\0\1\0\0\1t\x40"), 0x81 },
	{ "retain handling 3", BYTES("\x82\7\0\1\0\0\1t\x30"), 0x82 },
	{ "a filter that is not UTF-8", BYTES("\x82\7\0\1\0\0\1\xff\0"), 0x81 },
	{ "subscription id 0", BYTES("\x82\x09\0\1\2\x0b\0\0\1t\0"), 0x82 },
	{ "no local and shared", BYTES("\x82\x10\0\1\0\0\x0a$share/g/t\4"), 0x82 },
	{ "UNSUBSCRIBE from nothing", BYTES("\xa2\3\0\1\0"), 0x82 },
	{ "the same of UNSUBSCRIBE", BYTES("\xa2\6\0\1\0\0\1\xff"), 0x81 },
	{ "a second CONNECT", BYTES("\x10\x0e\0\4MQTT\5\2\0\x3c\0\0\1a"), 0x82 },
	{ "CONNACK", BYTES("\x20\3\0\0\0"), 0x82 },
	{ "PINGRESP", BYTES("\xd0\0"), 0x82 },
	{ "AUTH without a method", BYTES("\xf0\0"), 0x82 },
	{ "a PUBACK with a code of another packet", BYTES("\x40\3\0\1\x92"), 0x82 },
	{ "a PUBREC with no such code", BYTES("\x50\3\0\1\1"), 0x82 },
	{ "a PUBREL with no such code", BYTES("\x62\3\0\1\x80"), 0x82 },
	{ "a PUBCOMP with no such code", BYTES("\x70\3\0\1\x10"), 0x82 },
	{ "a DISCONNECT with no such code", BYTES("\xe0\1\3"), 0x82 },
	{ "a session expiry where there was none", BYTES("\xe0\7\0\5\x11\0\0\0\1"), 0x82 },
	{ "a length of five bytes", BYTES("\x30\xff\xff\xff\xff\1"), 0x81 },
	{ "a length with a needless byte", BYTES("\xc0\x80\0"), 0x81 },
	{ "over the largest packet", BYTES("\x30\xff\xff\x7f"), 0x95 },
};

/* Connects an offender and a bystander; the one is told and closed, the other hears nothing and goes on. */
static void judge(uint8_t version, const struct row *row, size_t piece)
{
	struct fake_peer *good = join(4, "good", CLEAN), *bad = join(version, "bad", CLEAN);
	print_message("MQTT %u: %s\n", version, row->what);
	fake_send(bad, row->bytes, row->len, piece);
	if (row->reason)
		BYE(bad, row->reason);
	else
		EXPECT(bad, "");
	assert_true(fake_closed(bad));
	SEND(good, "\xc0\0");
	EXPECT(good, "\xd0\0");
}

static void packets_against_the_rules_end_the_connection(void **state)
{
	(void)state;
	boot(1, NULL);
	for (size_t i = 0; i < sizeof(old_packets) / sizeof(old_packets[0]); i++)
		for (size_t piece = 0; piece < 2; piece++)
			judge(4, &old_packets[i], piece);
}

static void packets_against_the_rules_end_the_connection_with_a_reason(void **state)
{
	(void)state;
	boot(1, NULL);
	for (size_t i = 0; i < sizeof(new_packets) / sizeof(new_packets[0]); i++)
		for (size_t piece = 0; piece < 2; piece++)
			judge(5, &new_packets[i], piece);
}

static const struct row old_connects[] = {
	{ "the reserved flag", BYTES("\x10\x0d\0\4MQTT\4\3\0\x3c\0\1a"), 0 },
	{ "a flag in the fixed header", BYTES("\x11\x0d\0\4MQTT\4\2\0\x3c\0\1a"), 0 },
	{ "will QoS 3", BYTES("\x10\x13\0\4MQTT\4\x1e\0\x3c\0\1a\0\1w\0\1x"), 0 },
	{ "will QoS without a will", BYTES("\x10\x0d\0\4MQTT\4\x0a\0\x3c\0\1a"), 0 },
	{ "will retain without a will", BYTES("\x10\x0d\0\4MQTT\4\x22\0\x3c\0\1a"), 0 },
	{ "a will flag without a will", BYTES("\x10\x0d\0\4MQTT\4\6\0\x3c\0\1a"), 0 },
	{ "a will without its flag", BYTES("\x10\x13\0\4MQTT\4\2\0\x3c\0\1a\0\1w\0\1x"), 0 },
	{ "a user flag without a user", BYTES("\x10\x0d\0\4MQTT\4\x82\0\x3c\0\1a"), 0 },
	{ "a user without the flag", BYTES("\x10\x10\0\4MQTT\4\2\0\x3c\0\1a\0\1u"), 0 },
	{ "a password flag without a password", BYTES("\x10\x10\0\4MQTT\4\xc2\0\x3c\0\1a\0\1u"), 0 },
	{ "a password without the flag", BYTES("\x10\x13\0\4MQTT\4\x82\0\x3c\0\1a\0\1u\0\1p"), 0 },
	{ "a password without a user", BYTES("\x10\x10\0\4MQTT\4\x42\0\x3c\0\1a\0\1p"), 0 },
	{ "no client id", BYTES("\x10\x0a\0\4MQTT\4\2\0\x3c"), 0 },
	{ "a client id that is not UTF-8", BYTES("\x10\x0d\0\4MQTT\4\2\0\x3c\0\1\xff"), 0 },
	{ "a will topic that is not UTF-8", BYTES("\x10\x13\0\4MQTT\4\6\0\x3c\0\1a\0\1\xff\0\1x"), 0 },
	{ "a user that is not UTF-8", BYTES("\x10\x10\0\4MQTT\4\x82\0\x3c\0\1a\0\1\xff"), 0 },
	{ "U+0000 in the client id", BYTES("\x10\x0d\0\4MQTT\4\2\0\x3c\0\1\0"), 0 },
	{ "a will to a wildcard", BYTES("\x10\x13\0\4MQTT\4\6\0\x3c\0\1a\0\1+\0\1x"), 0 },
	{ "another packet", BYTES("\xc0\0"), 0 },
	{ "another packet that is long", BYTES("\x30\xff\xff\xff\x7f"), 0 },
	{ "an unknown level", BYTES("\x10\x0d\0\4MQTT\2\2\0\x3c\0\1a"), 1 },
	{ "no id and to be kept", BYTES("\x10\x0c\0\4MQTT\4\0\0\x3c\0\0"), 2 },
};

static const struct row new_connects[] = {
	{ "the reserved flag", BYTES("\x10\x0e\0\4MQTT\5\3\0\x3c\0\0\1a"), 0x81 },
	{ "will QoS 3", BYTES("\x10\x15\0\4MQTT\5\x1e\0\x3c\0\0\1a\0\0\1w\0\1x"), 0x81 },
	{ "will QoS without a will", BYTES("\x10\x0e\0\4MQTT\5\x0a\0\x3c\0\0\1a"), 0x81 },
	{ "will retain without a will", BYTES("\x10\x0e\0\4MQTT\5\x22\0\x3c\0\0\1a"), 0x81 },
	{ "a will flag without a will", BYTES("\x10\x0e\0\4MQTT\5\6\0\x3c\0\0\1a"), 0x81 },
	{ "a will without its flag", BYTES("\x10\x15\0\4MQTT\5\2\0\x3c\0\0\1a\0\0\1w\0\1x"), 0x81 },
	{ "a user flag without a user", BYTES("\x10\x0e\0\4MQTT\5\x82\0\x3c\0\0\1a"), 0x81 },
	{ "a user without the flag", BYTES("\x10\x11\0\4MQTT\5\2\0\x3c\0\0\1a\0\1u"), 0x81 },
	{ "a password flag without a password", BYTES("\x10\x0e\0\4MQTT\5\x42\0\x3c\0\0\1a"), 0x81 },
	{ "a password without the flag", BYTES("\x10\x11\0\4MQTT\5\2\0\x3c\0\0\1a\0\1p"), 0x81 },
	{ "no client id", BYTES("\x10\x0b\0\4MQTT\5\2\0\x3c\0"), 0x81 },
	{ "a client id that is not UTF-8", BYTES("\x10\x0e\0\4MQTT\5\2\0\x3c\0\0\1\xff"), 0x81 },
	{ "a will topic that is not UTF-8", BYTES("\x10\x15\0\4MQTT\5\6\0\x3c\0\0\1a\0\0\1\xff\0\1x"), 0x81 },
	{ "a user that is not UTF-8", BYTES("\x10\x11\0\4MQTT\5\x82\0\x3c\0\0\1a\0\1\xff"), 0x81 },
	{ "a will to a wildcard", BYTES("\x10\x15\0\4MQTT\5\6\0\x3c\0\0\1a\0\0\1+\0\1x"), 0x90 },
	{ "an unknown level", BYTES("\x10\x0e\0\4MQTT\6\2\0\x3c\0\0\1a"), 0x84 },
	{ "an unknown protocol", BYTES("\x10\x0e\0\4MQTS\5\2\0\x3c\0\0\1a"), 0x84 },
	{ "receive maximum 0", BYTES("\x10\x11\0\4MQTT\5\2\0\x3c\3\x21\0\0\0\1a"), 0x82 },
	{ "maximum packet size 0", BYTES("\x10\x13\0\4MQTT\5\2\0\x3c\5\x27\0\0\0\0\0\1a"), 0x82 },
	{ "a property twice", BYTES("\x10\x14\0\4MQTT\5\2\0\x3c\6\x22\0\1\x22\0\1\0\1a"), 0x82 },
	{ "a property of another packet", BYTES("\x10\x11\0\4MQTT\5\2\0\x3c\3\x23\0\1\0\1a"), 0x82 },
	{ "problem information 2", BYTES("\x10\x10\0\4MQTT\5\2\0\x3c\2\x17\2\0\1a"), 0x82 },
	{ "proof without a method", BYTES("\x10\x12\0\4MQTT\5\2\0\x3c\4\x16\0\1x\0\1a"), 0x82 },
	{ "an unknown method", BYTES("\x10\x12\0\4MQTT\5\2\0\x3c\4\x15\0\1x\0\1a"), 0x8c },
};

/* What follows a CONNECT that was refused is not looked at. */
static void refuse(uint8_t version, const struct row *row, size_t piece)
{
	struct fake_peer *p = fake_connect(host, 0, true);
	uint8_t bytes[64];
	print_message("CONNECT %u: %s\n", version, row->what);
	memcpy(bytes, row->bytes, row->len);
	memcpy(bytes + row->len, "\x31\4\0\1rx", 6);
	fake_send(p, bytes, row->len + 6, piece);
	if (row->reason)
		REFUSED(p, row->reason);
	else
		EXPECT(p, "");
	assert_true(fake_closed(p));
	assert_int_equal(fake_figure(host, "broker_retained_messages", NULL), 0);
	assert_int_equal(fake_figure(host, "broker_sessions", NULL), 0);
}

static void connects_against_the_rules_are_refused(void **state)
{
	(void)state;
	boot(1, NULL);
	for (size_t i = 0; i < sizeof(old_connects) / sizeof(old_connects[0]); i++)
		for (size_t piece = 0; piece < 2; piece++)
			refuse(4, &old_connects[i], piece);
	for (size_t i = 0; i < sizeof(new_connects) / sizeof(new_connects[0]); i++)
		for (size_t piece = 0; piece < 2; piece++)
			refuse(5, &new_connects[i], piece);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(packets_against_the_rules_end_the_connection),
		T(packets_against_the_rules_end_the_connection_with_a_reason),
		T(connects_against_the_rules_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
