/* SPDX-License-Identifier: Apache-2.0 */
/* Strict mode: what AWS IoT Core does not take. Each rule is shown with the mode and, where it is one packet, without. */
#include "rig_test.h"
#include "shard.h"
#include "strict.h"

static const struct fake_setting aws[] = { { "strict", 1 }, { NULL, 0 } };

static void begin(bool strict)
{
	boot(1, strict ? aws : NULL);
	fake_auto_commit(host, true);
}

static void end(void)
{
	fake_host_free(host, true);
	host = NULL;
	fake_disk_free(disk);
	disk = fake_disk_new();
}

/* --- limits ------------------------------------------------------------------------------------------------------------- */

static void limits_are_lowered_and_never_raised(void **state)
{
	(void)state;
	struct limits high, low, none = { 0 };
	memset(&high, 0x3f, sizeof(high));
	strict_limits(&high);
	memset(&low, 0, sizeof(low));
	low = (struct limits){ .packet = 2000,
		.client_id = 23,
		.subscriptions = 5,
		.inflight = 6,
		.receive = 7,
		.receive_old = 8,
		.rates = { .client = { .messages = 9, .bytes = 10 }, .connects = { 12, 1 } },
		.session_expiry = 11,
		.stored = 4,
		.websocket = 12,
		.retry = 13 };
	struct limits before = low;
	strict_limits(&low);
	assert_memory_equal(&low, &before, sizeof(low));
	strict_limits(&none); /* what 0 does not limit */
	const struct {
		const char *rule;
		uint64_t is, aws;
	} rules[] = { { "packet", high.packet, 131072 }, { "client id", high.client_id, 128 },
		{ "subscriptions", high.subscriptions, 50 }, { "not acknowledged, out", high.inflight, 100 },
		{ "not acknowledged, in", high.receive, 100 },
		{ "not acknowledged, MQTT 3", high.receive_old, 100 }, { "aliases", high.aliases, 8 },
		{ "messages a second", high.rates.client.messages, 100 },
		{ "bytes a second", high.rates.client.bytes, 512 * 1024 },
		{ "session", high.session_expiry, 3600 },
		{ "CONNECTs of an id", high.rates.connects[RATE_CONNECTS_ID], 1 },
		{ "stored messages", high.stored, 10 }, { "WebSocket", high.websocket, 86400 },
		{ "waiting for PUBACK", high.retry, 3600 },
		{ "any CONNECTs of an id", none.rates.connects[RATE_CONNECTS_ID], 1 },
		{ "CONNECTs of an address", none.rates.connects[RATE_CONNECTS_ADDRESS], 0 },
		{ "any stored messages", none.stored, 10 }, { "a WebSocket for ever", none.websocket, 86400 },
		{ "waiting for ever", none.retry, 3600 },
		{ "any messages a second", none.rates.client.messages, 100 },
		{ "any bytes a second", none.rates.client.bytes, 512 * 1024 },
		{ "a session for ever", none.session_expiry, 3600 } };
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].is != rules[i].aws)
			fail_msg("%s: %llu", rules[i].rule, (unsigned long long)rules[i].is);
}

static void nobody_authenticates_by_exchanges(void **state)
{
	(void)state;
	struct connect connect = { .props = { .present = 1u << PROP_AUTH_METHOD } }, plain = { 0 };
	assert_int_equal(strict_connect(&connect), REASON_AUTH_METHOD);
	assert_int_equal(strict_connect(&plain), 0);
}

/* --- packets that are answered otherwise ---------------------------------------------------------------------------------- */

enum { NOTHING, CLOSED, TAKEN = 0x1000, ENDED = 0x2000 }; /* with the last byte; with the reason */

static int outcome(struct fake_peer *p)
{
	struct edged_slice got = fake_take(p);
	if (fake_closed(p))
		return got.len >= 3 ? ENDED | (uint8_t)got.ptr[got.ptr[0] == 0x20 ? 3 : 2] : CLOSED;
	return got.len ? TAKEN | (uint8_t)got.ptr[got.len - 1] : NOTHING;
}

#define DEEP "a/b/c/d/e/f/g/h" /* 7 slashes */
#define X64  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X128 X64 X64

/* A packet of `type` with a body. */
static void send_packet(struct fake_peer *p, uint8_t type, const char *body, size_t n)
{
	uint8_t bytes[600];
	struct writer w = writer(bytes, sizeof(bytes));
	write_u8(&w, type);
	write_varint(&w, (uint32_t)n);
	write_bytes(&w, body, n);
	assert_false(w.failed);
	fake_send(p, bytes, (size_t)(w.at - bytes), 0);
}

#define BODY(text) text, sizeof(text) - 1
static const struct row {
	const char *rule;
	uint8_t version, type;
	const char *body;
	size_t n;
	int strict, usual;
} rows[] = {
	{ "no QoS 2: a PUBLISH is not acknowledged", 4, 0x34, BODY("\0\1t\0\1x"), NOTHING, TAKEN | 1 },
	{ "no QoS 2: 0x9B", 5, 0x34, BODY("\0\1t\0\1\0x"), ENDED | 0x9b, TAKEN | 0x10 },
	{ "no QoS 2: a SUBSCRIBE is not acknowledged", 4, 0x82, BODY("\0\1\0\1t\0\0\1u\2"), NOTHING,
	        TAKEN | 2 },
	{ "no QoS 2: 0x9B", 5, 0x82, BODY("\0\1\0\0\1t\2"), ENDED | 0x9b, TAKEN | 2 },
	{ "no subscription identifiers: 0xA1", 5, 0x82, BODY("\0\1\2\x0b\1\0\1t\0"), ENDED | 0xa1,
	        TAKEN | 0 },
	{ "8 filters in a SUBSCRIBE", 5, 0x82,
	        BODY("\0\1\0\0\1a\0\0\1b\0\0\1c\0\0\1d\0\0\1e\0\0\1f\0\0\1g\0\0\1h\1"), TAKEN | 1,
	        TAKEN | 1 },
	{ "8 filters in a SUBSCRIBE: 0x97", 5, 0x82,
	        BODY("\0\1\0\0\1a\0\0\1b\0\0\1c\0\0\1d\0\0\1e\0\0\1f\0\0\1g\0\0\1h\0\0\1i\1"), ENDED | 0x97,
	        TAKEN | 1 },
	{ "8 filters in a SUBSCRIBE: the end", 4, 0x82,
	        BODY("\0\1\0\1a\0\0\1b\0\0\1c\0\0\1d\0\0\1e\0\0\1f\0\0\1g\0\0\1h\0\0\1i\1"), CLOSED,
	        TAKEN | 1 },
	{ "7 slashes in a topic", 5, 0x32, BODY("\0\x0f" DEEP "\0\1\0x"), TAKEN | 0x10, TAKEN | 0x10 },
	{ "7 slashes in a topic: 0x90", 5, 0x32, BODY("\0\x11" DEEP "/i\0\1\0x"), ENDED | 0x90,
	        TAKEN | 0x10 },
	{ "7 slashes in a topic: the end", 4, 0x30, BODY("\0\x11" DEEP "/ix"), CLOSED, NOTHING },
	{ "7 slashes, those of Basic Ingest not counted", 5, 0x32, BODY("\0\x1c$aws/rules/r/" DEEP "\0\1\0x"),
	        TAKEN | 0x10, TAKEN | 0x10 },
	{ "7 slashes in a filter: 0x8F", 5, 0x82, BODY("\0\1\0\0\x11" DEEP "/#\1"), TAKEN | 0x8f, TAKEN | 1 },
	{ "7 slashes, those of $share not counted", 5, 0x82, BODY("\0\1\0\0\x18$share/g/" DEEP "\1"),
	        TAKEN | 1, TAKEN | 1 },
	{ "256 bytes of topic", 5, 0x32, BODY("\1\0" X128 X128 "\0\1\0x"), TAKEN | 0x10, TAKEN | 0x10 },
	{ "256 bytes of topic: 0x90", 5, 0x32, BODY("\1\1y" X128 X128 "\0\1\0x"), ENDED | 0x90,
	        TAKEN | 0x10 },
	{ "128 bytes of a group", 5, 0x82, BODY("\0\1\0\0\x89$share/" X128 "/a\1"), TAKEN | 1, TAKEN | 1 },
	{ "128 bytes of a group: 0x8F", 5, 0x82, BODY("\0\1\0\0\x8a$share/y" X128 "/a\1"), TAKEN | 0x8f,
	        TAKEN | 1 },
};

static void packets_beyond_a_rule_are_not_taken(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int strict = 0; strict < 2; strict++) {
			begin(strict);
			struct fake_peer *p = join(rows[i].version, "a", CLEAN);
			send_packet(p, rows[i].type, rows[i].body, rows[i].n);
			int want = strict ? rows[i].strict : rows[i].usual, got = outcome(p);
			if (got != want)
				fail_msg(
				        "%s: %#x instead of %#x, strict %d", rows[i].rule, got, want, strict);
			end();
		}
}

/* --- CONNECT -------------------------------------------------------------------------------------------------------------- */

/* All behind the protocol's version: flags, keep-alive and so on. */
static const struct row connects[] = {
	{ "client id of 128 bytes", 4, 0x10, BODY("\2\0\x3c\0\x80" X128), TAKEN, TAKEN },
	{ "client id of 128 bytes: 2", 4, 0x10, BODY("\2\0\x3c\0\x81y" X128), ENDED | 2, TAKEN },
	{ "client id of 128 bytes: 0x85", 5, 0x10, BODY("\2\0\x3c\0\0\x81y" X128), ENDED | 0x85, TAKEN | 1 },
	{ "client id without $ in front: 0x85", 5, 0x10, BODY("\2\0\x3c\0\0\2$a"), ENDED | 0x85, TAKEN | 1 },
	{ "no QoS 2 in a will: 0x9B", 5, 0x10, BODY("\x16\0\x3c\0\0\1a\0\0\1w\0\1x"), ENDED | 0x9b,
	        TAKEN | 1 },
	{ "no QoS 2 in a will: the end", 4, 0x10, BODY("\x16\0\x3c\0\1a\0\1w\0\1x"), CLOSED, TAKEN },
	{ "7 slashes in a will's topic: 0x90", 5, 0x10, BODY("\6\0\x3c\0\0\1a\0\0\x11" DEEP "/i\0\1x"),
	        ENDED | 0x90, TAKEN | 1 },
};

static struct fake_peer *ask(uint8_t version, const char *body, size_t n)
{
	char bytes[400] = { 0, 4, 'M', 'Q', 'T', 'T', (char)version };
	struct fake_peer *p = fake_connect(host, 0, true);
	memcpy(bytes + 7, body, n);
	send_packet(p, 0x10, bytes, 7 + n);
	return p;
}

static void a_connect_beyond_a_rule_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(connects) / sizeof(connects[0]); i++)
		for (int strict = 0; strict < 2; strict++) {
			begin(strict);
			const struct row *row = &connects[i];
			int want = strict ? row->strict : row->usual;
			int got = outcome(ask(row->version, row->body, row->n));
			/* what is granted has a test of its own */
			if (got != want && !(row->version == 5 && got & TAKEN && want & TAKEN))
				fail_msg("%s: %#x instead of %#x, strict %d", row->rule, got, want, strict);
			end();
		}
}

/* What an MQTT 5 client is told: receive maximum 100, packets of 128 KiB, 8 aliases, shared subscriptions, QoS 1, no subscription
 * identifiers. */
#define GRANTED "\x21\0\x64\x27\0\2\0\0\x22\0\x08\x2a\1\x24\1\x29\0"

static void what_is_granted(void **state)
{
	(void)state;
	begin(true);
	static const struct {
		const char *rule, *body;
		size_t n;
		const char *answer;
		size_t answer_n;
	} asked[] = {
		{ "limits", BODY("\2\0\x3c\0\0\1a"), BODY("\x20\x14\0\0\x11" GRANTED) },
		{ "keep-alive of 30 s and more", BODY("\2\0\x0a\0\0\1a"),
		        BODY("\x20\x17\0\0\x14" GRANTED "\x13\0\x1e") },
		{ "keep-alive of 1,200 s and less", BODY("\2\4\xb1\0\0\1a"),
		        BODY("\x20\x17\0\0\x14" GRANTED "\x13\4\xb0") },
		{ "keep-alive 0 is 1,200 s", BODY("\2\0\0\0\0\1a"),
		        BODY("\x20\x17\0\0\x14" GRANTED "\x13\4\xb0") },
		{ "sessions of an hour", BODY("\2\0\x3c\5\x11\0\0\x1c\x20\0\1a"),
		        BODY("\x20\x19\0\0\x16" GRANTED "\x11\0\0\x0e\x10") },
	};
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		struct fake_peer *p = ask(5, asked[i].body, asked[i].n);
		struct edged_slice got = fake_take(p);
		if (!edged_slice_eq(got, edged_slice(asked[i].answer, asked[i].answer_n)))
			fail_msg("%s: %zu bytes", asked[i].rule, got.len);
		pass(1000);
	}
	struct fake_peer *old = ask(4, BODY("\2\0\0\0\1b")); /* is not told, and not waited for any longer */
	EXPECT(old, "\x20\2\0\0");
	pass(1799 * 1000);
	assert_false(fake_closed(old));
	pass(5000);
	assert_true(fake_closed(old));
}

/* --- messages ------------------------------------------------------------------------------------------------------------- */

static void level_above(bool strict, unsigned loops, const char *filter)
{
	boot(loops, strict ? aws : NULL);
	fake_auto_commit(host, true);
	struct fake_peer *p = join(4, "a", CLEAN);
	subscribe(p, filter, 0);
	quiet(p);
	SEND(p, "\x30\4\0\1sx");
	if (strict)
		EXPECT(p, "");
	else
		EXPECT(p, "\x30\4\0\1sx");
	SEND(p, "\x30\5\0\2s/x\x30\6\0\3s/ax");
	EXPECT(p, "\x30\5\0\2s/x\x30\6\0\3s/ax");
	end();
}

static void a_filter_does_not_match_the_level_above(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++)
		level_above(i & 1, i & 2 ? 2 : 1, i & 4 ? "$share/g/s/#" : "s/#");
}

static void retained_messages_come_to_their_own_topic_alone(void **state)
{
	(void)state;
	begin(true);
	struct fake_peer *p = join(4, "a", CLEAN);
	SEND(p, "\x31\6\0\3r/ax\x31\x09\0\6$aws/ax"); /* reserved topics keep none */
	static const char *const others[] = { "r/+", "r/#", "#", "$aws/a" };
	for (size_t i = 0; i < 4; i++) {
		subscribe(p, others[i], 0);
		EXPECT(p, "\x90\3\0\1\0");
	}
	subscribe(p, "r/a", 0);
	EXPECT(p, "\x90\3\0\1\0\x31\6\0\3r/ax");
	SEND(p, "\x31\5\0\3r/a"); /* an empty one takes it away, and is told */
	EXPECT(p, "\x30\5\0\3r/a");
	subscribe(p, "r/a", 0);
	EXPECT(p, "\x90\3\0\1\0");
}

static void a_client_has_50_subscriptions(void **state)
{
	(void)state;
	begin(true);
	struct fake_peer *p = join(5, "a", CLEAN);
	for (int i = 0; i < 51; i++) {
		char body[] = "\0\1\0\0\3txx\1";
		body[6] = (char)('0' + i / 10);
		body[7] = (char)('0' + i % 10);
		send_packet(p, 0x82, body, 9);
		assert_int_equal(outcome(p), TAKEN | (i < 50 ? 1 : 0x97));
	}
}

static void a_message_expires_after_a_week(void **state)
{
	(void)state;
	begin(true);
	struct fake_peer *p = join(5, "a", CLEAN);
	send_packet(p, 0x82, BODY("\0\1\0\0\1t\0"));
	quiet(p);
	send_packet(p, 0x30, BODY("\0\1t\5\2\0\x20\0\0x"));
	EXPECT(p, "\x30\x0a\0\1t\5\2\0\x09\x3a\x80x");
}

/* Will Delay Interval is not among the properties that AWS heeds. */
static void a_will_does_not_wait(void **state)
{
	(void)state;
	begin(true);
	struct fake_peer *p = join(4, "watcher", CLEAN);
	subscribe(p, "w", 0);
	quiet(p);
	fake_hang_up(ask(5, BODY("\6\0\x3c\5\x11\0\0\0\x64\0\1a\5\x18\0\0\0\x64\0\1w\0\1x")));
	pass(0);
	EXPECT(p, "\x30\4\0\1wx");
}

/* --- coming back ---------------------------------------------------------------------------------------------------------- */

static void again_too_soon(unsigned loops)
{
	boot(loops, aws);
	fake_auto_commit(host, true);
	struct fake_peer *first = join(5, "a", CLEAN);
	for (int i = 0; i < 3; i++) { /* who is refused is not counted */
		REFUSED(ask(5, BODY("\2\0\x3c\0\0\1a")), REASON_QUOTA);
		struct fake_peer *old = ask(4, BODY("\2\0\x3c\0\1a"));
		EXPECT(old, "");
		assert_true(fake_closed(old));
		pass(300);
	}
	assert_false(fake_closed(first));
	fake_hang_up(join(4, "b", CLEAN)); /* another is another, and one without has none */
	fake_hang_up(join(4, "", CLEAN));
	fake_hang_up(join(4, "", CLEAN));
	pass(100);
	(void)join(4, "a", CLEAN);
	BYE(first, REASON_TAKEN_OVER);
	assert_int_equal(fake_figure(host, "broker_client_connects_too_fast_total", NULL), 6);
	assert_int_equal(fake_figure(host, "broker_connects_refused_total", NULL), 6);
	end();
	boot(loops, NULL);
	(void)join(4, "a", CLEAN);
	(void)join(5, "a", CLEAN);
	end();
}

static void an_id_connects_once_a_second(void **state)
{
	(void)state;
	again_too_soon(1);
	again_too_soon(3);
}

static uint32_t now_s(void)
{
	return shard_now(((struct broker *)fake_self(host))->shards[0]);
}

/* PUBLISH packets at QoS 1 that have come; their payloads, of one byte each, go to `text`, and each is acknowledged. */
static unsigned receive(struct fake_peer *p, char *text, bool ack)
{
	struct edged_slice got = fake_take(p);
	unsigned n = 0;
	uint8_t acks[4 * 200];
	for (size_t at = 0; at + 2 <= got.len; at += 2 + (size_t)got.ptr[at + 1]) {
		if ((got.ptr[at] & 0xf0) != 0x30)
			continue;
		assert_int_equal(got.ptr[at], 0x32); /* never DUP */
		memcpy(&acks[n * 4], "\x40\2", 2);
		memcpy(&acks[n * 4 + 2], got.ptr + at + 5, 2);
		text[n++] = got.ptr[at + 1 + got.ptr[at + 1]];
		assert_true(n < 200);
	}
	text[n] = 0;
	if (ack && n)
		fake_send(p, acks, 4 * n, 0);
	return n;
}

/* n messages for topic "t", with payloads from `first` on. */
static void publish(struct fake_peer *p, char first, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char packet[] = "\x32\6\0\1t\0\1x";
		packet[6] = (char)(i + 1);
		packet[7] = (char)(first + i);
		fake_send(p, packet, 8, 0);
	}
	quiet(p);
}

/* "s" subscribes to "t" and leaves, and n messages are stored for it; `pub` stays. */
static struct fake_peer *leave_with(unsigned n)
{
	struct fake_peer *pub = join(4, "pub", CLEAN), *s = join(4, "s", KEEP);
	subscribe(s, "t", 1);
	fake_hang_up(s);
	publish(pub, 'A', n);
	pass(1700);
	return pub;
}

static void stored_messages_come_ten_a_second(void **state)
{
	(void)state;
	char text[200];
	begin(true);
	(void)leave_with(35);
	struct fake_peer *s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	unsigned came[60] = { 0 }, all = 0;
	for (unsigned tenth = 0; tenth < 60; tenth++) {
		came[tenth] = receive(s, text, true);
		for (unsigned i = 0; i < came[tenth]; i++)
			assert_int_equal(text[i], 'A' + (char)all++); /* in order */
		unsigned second = 0;
		for (unsigned i = tenth < 9 ? 0 : tenth - 9; i <= tenth; i++)
			second += came[i];
		assert_in_range(second, 0, 10);
		if (tenth == 41)
			assert_int_equal(all, 35); /* the first ten, then no second is left out */
		pass(100);
	}
	assert_int_equal(came[0], 10);
	assert_int_equal(all, 35);
	/* Nothing waits: the next thing to be looked at is the keep-alive. */
	assert_true(((struct broker *)fake_self(host))->shards[0]->timer_due >= now_s() + 80);
	end();
	begin(false);
	(void)leave_with(35);
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	assert_int_equal(receive(s, text, true), 35);
}

static void new_messages_do_not_wait_behind_stored_ones(void **state)
{
	(void)state;
	char text[200];
	begin(true);
	struct fake_peer *pub = leave_with(25);
	struct fake_peer *s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	assert_int_equal(receive(s, text, false), 10); /* which are not acknowledged */
	publish(pub, 'a', 3);
	assert_int_equal(receive(s, text, true), 3);
	assert_string_equal(text, "abc");
	publish(pub, 'd', 2);
	assert_int_equal(receive(s, text, false), 2);
	pass(2000);
	assert_in_range(receive(s, text, true), 10, 15);
	assert_int_equal(text[0], 'A' + 10);
	pass(1000);
	(void)receive(s, text, true);
	publish(pub, 'f', 1);
	assert_int_equal(receive(s, text, true), 1);
	/* Once more: what was not acknowledged, in the order in which it came. */
	fake_hang_up(s);
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	assert_int_equal(receive(s, text, true), 10);
	assert_string_equal(text, "ABCDEFGHIJ");
	pass(2000);
	assert_int_equal(receive(s, text, true), 2);
	assert_string_equal(text, "de");
	fake_hang_up(s);
	pass(1000);
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	assert_int_equal(receive(s, text, true), 0);
	assert_int_equal(fake_figure(host, "broker_queued_bytes", NULL), 0);
}

/* The window counts what was sent ahead, and what is away can be purged while stored messages wait. */
static void stored_messages_keep_to_the_window(void **state)
{
	(void)state;
	char text[200];
	static const struct fake_setting narrow[] = { { "strict", 1 }, { "rates.stored_messages", 2 },
		{ "limits.inflight", 4 }, { NULL, 0 } };
	boot(1, narrow);
	fake_auto_commit(host, true);
	struct fake_peer *pub = leave_with(5);
	struct fake_peer *s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	assert_int_equal(receive(s, text, false), 2);
	publish(pub, 'a', 3);
	assert_int_equal(receive(s, text, false), 2); /* "c" finds no room */
	pass(4000);
	assert_int_equal(receive(s, text, false), 0);
	SEND(s, "\x40\2\0\3"); /* "a": ids go up from 1 */
	assert_int_equal(receive(s, text, false), 1);
	assert_string_equal(text, "C");
	SEND(s, "\x40\2\0\1\x40\2\0\2\x40\2\0\4\x40\2\0\5");
	assert_int_equal(receive(s, text, true), 2);
	assert_string_equal(text, "Dc");
	pass(2000);
	assert_int_equal(receive(s, text, true), 1);
	assert_string_equal(text, "E");
	publish(pub, 'd', 1);
	assert_int_equal(receive(s, text, true), 1);
}

static void what_is_sent_again_has_another_packet_id(void **state)
{
	(void)state;
	for (int strict = 0; strict < 2; strict++) {
		begin(strict);
		struct fake_peer *pub = join(4, "pub", CLEAN), *s = join(4, "s", KEEP);
		subscribe(s, "t", 1);
		quiet(s);
		publish(pub, 'x', 2);
		EXPECT(s, "\x32\6\0\1t\0\1x\x32\6\0\1t\0\2y");
		SEND(s, "\x40\2\0\1");
		pass(1000);
		fake_hang_up(s);
		s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
		if (strict)
			EXPECT(s, "\x20\2\1\0\x32\6\0\1t\0\3y");
		else
			EXPECT(s, "\x20\2\1\0\x3a\6\0\1t\0\2y");
		SEND(s, "\x40\2\0\2"); /* to AWS IoT this id means nothing any more */
		SEND(s, "\x40\2\0\3");
		assert_int_equal(fake_figure(host, "broker_queued_bytes", NULL), 0);
		end();
	}
}

static void a_message_is_given_up_after_an_hour(void **state)
{
	(void)state;
	char text[200];
	begin(true);
	struct fake_peer *pub = join(4, "pub", CLEAN), *s = join(4, "s", KEEP);
	subscribe(s, "t", 1);
	quiet(s);
	for (int i = 0; i < 2; i++)
		publish(pub, 0, 60); /* 100 fit on the way */
	assert_int_equal(receive(s, text, false), 100);
	for (int i = 0; i < 72; i++) {
		pass(50000);
		SEND(s, "\xc0\0");
		SEND(pub, "\xc0\0");
		if (i == 40)
			publish(pub, 'x', 1);
	}
	assert_int_equal(receive(s, text, false), 1); /* those that waited for room are as old */
	assert_string_equal(text, "x");
	assert_int_equal(fake_figure(host, "broker_messages_dropped_total", "reason=\"expired\""), 120);
	fake_hang_up(s);
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	assert_int_equal(receive(s, text, true), 1);
	assert_int_equal(fake_figure(host, "broker_queued_bytes", NULL), 0);
}

/* Comes back to the session of "s" with another version; is it there? */
static bool present(uint8_t version)
{
	struct fake_peer *s = join_with(version, "s", KEEP, "\x11\0\0\0\x64", version == 5 ? 5 : 0, NULL, 0);
	struct edged_slice got = fake_take(s);
	assert_true(got.len >= 4 && got.ptr[3] == 0);
	bool is = got.ptr[2];
	fake_hang_up(s);
	pass(1000);
	return is;
}

static void versions_have_sessions_of_their_own(void **state)
{
	(void)state;
	static const struct {
		uint8_t first, then;
		bool strict, usual;
	} cases[] = { { 4, 5, false, true }, { 5, 4, false, true }, { 3, 5, false, true },
		{ 3, 4, true, true }, { 4, 4, true, true }, { 5, 5, true, true } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int mode = 0; mode < 4; mode++) {
			bool strict = mode & 1, want = strict ? cases[i].strict : cases[i].usual;
			begin(strict);
			assert_false(present(cases[i].first));
			if (mode & 2) { /* the same after a restart */
				fake_host_free(host, true);
				begin(strict);
			}
			if (present(cases[i].then) != want)
				fail_msg(
				        "MQTT %d after %d, strict %d", cases[i].then, cases[i].first, strict);
			if (cases[i].first > 3) /* MQTT 3.1 is not told */
				assert_int_equal(present(cases[i].first), want);
			assert_int_equal(fake_figure(host, "broker_sessions", NULL), 1);
			end();
		}
}

/* --- WebSocket ------------------------------------------------------------------------------------------------------------ */

static struct fake_peer *come(bool websocket, const char *body, size_t n)
{
	const struct edged_peer who = { .address = "192.0.2.1:1",
		.listener = "http=*:8083",
		.uid = -1,
		.loopback = true,
		.trusted = true,
		.websocket = websocket };
	char bytes[100] = { 0, 4, 'M', 'Q', 'T', 'T', 5 };
	struct fake_peer *p = fake_connect_as(host, 0, &who, 0);
	memcpy(bytes + 7, body, n);
	send_packet(p, 0x10, bytes, 7 + n);
	quiet(p);
	return p;
}

static void a_websocket_ends_after_a_day(void **state)
{
	(void)state;
	for (int strict = 0; strict < 2; strict++) {
		begin(strict);
		struct fake_peer *watcher = join(4, "watcher", CLEAN);
		subscribe(watcher, "w", 0);
		subscribe(watcher, "$aws/events/presence/disconnected/+", 0);
		struct fake_peer *web = come(true, BODY("\6\0\x3c\0\0\3web\0\0\1w\0\1x"));
		struct fake_peer *tcp = come(false, BODY("\2\0\x3c\0\0\3tcp"));
		for (int i = 0; i < 24 * 60; i++) {
			assert_false(fake_closed(web));
			SEND(web, "\xc0\0");
			SEND(tcp, "\xc0\0");
			SEND(watcher, "\xc0\0");
			quiet(web);
			quiet(watcher);
			pass(60000);
		}
		pass(1000);
		assert_false(fake_closed(tcp));
		assert_int_equal(fake_closed(web), strict);
		if (strict) {
			BYE(web, REASON_CONNECT_TIME);
			struct edged_slice told = fake_take(watcher);
			assert_non_null(memmem(told.ptr, told.len, "\x30\4\0\1wx", 6)); /* the will */
			assert_non_null(memmem(
			        told.ptr, told.len, "\"disconnectReason\":\"WEBSOCKET_TTL_EXPIRATION\"", 45));
		}
		end();
	}
}

static void how_long_a_websocket_lasts_can_be_set(void **state)
{
	(void)state;
	static const struct fake_setting brief[] = { { "websocket_lifetime", 5000 }, { NULL, 0 } };
	boot(1, brief);
	struct fake_peer *web = come(true, BODY("\2\0\0\0\0\3web")); /* without keep-alive */
	pass(4000);
	assert_false(fake_closed(web));
	pass(2000);
	BYE(web, REASON_CONNECT_TIME);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_are_lowered_and_never_raised),
		cmocka_unit_test(nobody_authenticates_by_exchanges),
		T(packets_beyond_a_rule_are_not_taken),
		T(a_connect_beyond_a_rule_is_refused),
		T(what_is_granted),
		T(a_filter_does_not_match_the_level_above),
		T(retained_messages_come_to_their_own_topic_alone),
		T(a_client_has_50_subscriptions),
		T(a_message_expires_after_a_week),
		T(a_will_does_not_wait),
		T(an_id_connects_once_a_second),
		T(stored_messages_come_ten_a_second),
		T(new_messages_do_not_wait_behind_stored_ones),
		T(stored_messages_keep_to_the_window),
		T(what_is_sent_again_has_another_packet_id),
		T(a_message_is_given_up_after_an_hour),
		T(versions_have_sessions_of_their_own),
		T(a_websocket_ends_after_a_day),
		T(how_long_a_websocket_lasts_can_be_set),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
