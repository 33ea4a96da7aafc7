/* SPDX-License-Identifier: Apache-2.0 */
/* What two nodes say to pair: with the right code, and all that an attacker between or beside them may try. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cluster/pair_exchange.h"

static const struct pair_binding session = { "node-a", "node-b", { 1, 2, 3 } };

struct side {
	struct pair_exchange exchange;
	struct buf out;
};

struct pair {
	struct side typed, shown;
};

static void begin(struct side *side, bool shown, const char *code, const struct pair_binding *binding)
{
	assert_int_equal(pair_exchange_init(&side->exchange, shown, code, binding, &side->out), 0);
}

/* Takes the frame that the sender has ready, and says what came of it. */
static int pass(struct side *from, struct side *to)
{
	struct pair_frame frame;
	CLEANUP(buf_fini) struct buf bytes = from->out;
	from->out = (struct buf)BUF_EMPTY;
	ssize_t n = pair_frame_read(buf_slice(&bytes), &frame);
	assert_int_equal(n, bytes.len);
	return pair_exchange_take(&to->exchange, &frame, &to->out);
}

static int take(struct side *to, enum pair_type type, const void *bytes, size_t n)
{
	const struct pair_frame frame = { type, edged_slice(bytes, n) };
	return pair_exchange_take(&to->exchange, &frame, &to->out);
}

static void end(struct pair *pair)
{
	pair_exchange_fini(&pair->typed.exchange);
	pair_exchange_fini(&pair->shown.exchange);
	buf_fini(&pair->typed.out);
	buf_fini(&pair->shown.out);
}

/* Up to the tag of who typed the code. */
static void shares(struct pair *pair, const char *typed, const char *shown,
        const struct pair_binding *typed_binding, const struct pair_binding *shown_binding)
{
	memset(pair, 0, sizeof(*pair));
	begin(&pair->typed, false, typed, typed_binding);
	begin(&pair->shown, true, shown, shown_binding);
	assert_int_equal(pair->shown.out.len, 0);
	assert_int_equal(pass(&pair->typed, &pair->shown), 0);
	assert_int_equal(pass(&pair->shown, &pair->typed), 0);
}

static void the_right_code_proves_both(void **state)
{
	struct pair pair;
	(void)state;
	shares(&pair, "12345674", "12345674", &session, &session);
	assert_int_equal(pass(&pair.typed, &pair.shown), PAIR_PROVEN);
	assert_int_equal(pass(&pair.shown, &pair.typed), PAIR_PROVEN);
	assert_int_equal(pair.typed.exchange.wants, PAIR_TOKEN);
	assert_int_equal(pair.typed.out.len, 0);
	/* nothing more is taken here */
	assert_int_equal(take(&pair.shown, PAIR_SHARE, "x", 1), -EPROTO);
	assert_int_equal(take(&pair.shown, PAIR_TOKEN, "x", 1), -EPROTO);
	end(&pair);
}

static void a_wrong_code_proves_nothing(void **state)
{
	struct pair pair;
	(void)state;
	shares(&pair, "12345674", "12345664", &session, &session);
	assert_int_equal(pass(&pair.typed, &pair.shown), -EACCES);
	assert_int_equal(pair.shown.out.len, 0);
	end(&pair);
}

/* Who sits between them has a TLS session of its own with each. */
static void a_node_in_between_proves_nothing(void **state)
{
	const struct pair_binding other_session = { "node-a", "node-b", { 1, 2, 4 } },
	                          other_typed = { "node-m", "node-b", { 1, 2, 3 } },
	                          other_shown = { "node-a", "node-m", { 1, 2, 3 } },
	                          swapped = { "node-b", "node-a", { 1, 2, 3 } };
	const struct pair_binding *const others[] = { &other_session, &other_typed, &other_shown, &swapped };
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		struct pair pair;
		shares(&pair, "12345674", "12345674", &session, others[i]);
		assert_int_equal(pass(&pair.typed, &pair.shown), -EACCES);
		end(&pair);
	}
}

static void what_was_recorded_fits_no_other_run(void **state)
{
	struct pair pair;
	struct side later = { .out = BUF_EMPTY };
	uint8_t share[CPACE_POINT], tag[CPACE_TAG];
	(void)state;
	shares(&pair, "12345674", "12345674", &session, &session);
	memcpy(share, pair.typed.exchange.own, sizeof(share));
	memcpy(tag, pair.typed.out.ptr + PAIR_HEAD, sizeof(tag));
	assert_int_equal(pass(&pair.typed, &pair.shown), PAIR_PROVEN);
	end(&pair);
	/* the same code, and even the same session: the other side's share is a new one */
	begin(&later, true, "12345674", &session);
	assert_int_equal(take(&later, PAIR_SHARE, share, sizeof(share)), 0);
	assert_int_equal(take(&later, PAIR_TAG, tag, sizeof(tag)), -EACCES);
	pair_exchange_fini(&later.exchange);
	buf_fini(&later.out);
}

static void what_is_sent_back_fits_nothing(void **state)
{
	struct side typed = { .out = BUF_EMPTY };
	struct pair pair;
	uint8_t own[CPACE_POINT];
	(void)state;
	begin(&typed, false, "12345674", &session);
	memcpy(own, typed.exchange.own, sizeof(own));
	assert_int_equal(take(&typed, PAIR_SHARE, own, sizeof(own)), -EINVAL);
	pair_exchange_fini(&typed.exchange);
	buf_fini(&typed.out);
	/* its own tag, and that of a second run in which it plays the other part */
	shares(&pair, "12345674", "12345674", &session, &session);
	assert_int_equal(take(&pair.typed, PAIR_TAG, pair.typed.out.ptr + PAIR_HEAD, CPACE_TAG), -EACCES);
	end(&pair);
}

static void shares_that_are_none_are_refused(void **state)
{
	uint8_t points[3][CPACE_POINT];
	(void)state;
	memset(points, 0, sizeof(points)); /* the neutral element */
	memset(points[1], 0xff, CPACE_POINT);
	points[2][0] = 1;
	for (size_t i = 0; i < ARRAY_LEN(points); i++)
		for (int shown = 0; shown < 2; shown++) {
			struct side side = { .out = BUF_EMPTY };
			begin(&side, shown, "12345674", &session);
			buf_fini(&side.out);
			assert_int_equal(take(&side, PAIR_SHARE, points[i], CPACE_POINT), -EINVAL);
			assert_int_equal(take(&side, PAIR_SHARE, points[i], CPACE_POINT - 1), -EINVAL);
			assert_int_equal(side.out.len, 0);
			pair_exchange_fini(&side.exchange);
		}
}

static void order_is_kept(void **state)
{
	struct pair pair = { 0 };
	uint8_t bytes[CPACE_TAG] = { 0 };
	(void)state;
	begin(&pair.shown, true, "12345674", &session);
	for (int type = PAIR_TAG; type <= PAIR_REFUSED; type++)
		assert_int_equal(take(&pair.shown, (enum pair_type)type, bytes, sizeof(bytes)), -EPROTO);
	pair_exchange_fini(&pair.shown.exchange);
	shares(&pair, "12345674", "12345674", &session, &session);
	assert_int_equal(take(&pair.shown, PAIR_SHARE, pair.typed.exchange.own, CPACE_POINT), -EPROTO);
	assert_int_equal(take(&pair.shown, PAIR_TOKEN, bytes, sizeof(bytes)), -EPROTO);
	assert_int_equal(take(&pair.shown, PAIR_TAG, bytes, CPACE_TAG - 1), -EACCES);
	end(&pair);
}

static void frames_are_judged(void **state)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_EMPTY;
	struct pair_frame frame;
	static char big[PAIR_BODY_MAX + 1];
	(void)state;
	assert_int_equal(pair_frame_write(&bytes, PAIR_TOKEN, edged_str("hello")), 0);
	for (size_t n = 0; n < bytes.len; n++)
		assert_int_equal(pair_frame_read(edged_slice(bytes.ptr, n), &frame), 0);
	assert_int_equal(buf_add_str(&bytes, "more"), 0);
	assert_int_equal(pair_frame_read(buf_slice(&bytes), &frame), PAIR_HEAD + 5);
	assert_int_equal(frame.type, PAIR_TOKEN);
	assert_true(edged_slice_is(frame.body, "hello"));
	assert_int_equal(pair_frame_write(&bytes, PAIR_TOKEN, edged_slice(big, sizeof(big))), -EMSGSIZE);
	assert_int_equal(pair_frame_read(edged_slice("\x00\x00\x01", 3), &frame), -EPROTO);
	assert_int_equal(pair_frame_read(edged_slice("\x06\x00\x01", 3), &frame), -EPROTO);
	assert_int_equal(pair_frame_read(edged_slice("\x01\x04\x01", 3), &frame), -EPROTO);
}

static void codes_are_made_and_read(void **state)
{
	char code[PAIR_CODE + 1], other[PAIR_CODE + 1], text[PAIR_CODE_TEXT + 1];
	struct err err = { "" };
	(void)state;
	assert_int_equal(pair_code_make(code), 0);
	pair_code_format(code, text);
	assert_int_equal(strlen(text), 9);
	assert_int_equal(pair_code_read(edged_str(text), other, &err), 0);
	assert_string_equal(code, other);
	assert_int_equal(pair_code_read(edged_str(" 0794 - 0701 "), other, &err), 0);
	static const char *const bad[] = { "", "1234567", "123456789", "1234567a", "12,345,678" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(pair_code_read(edged_str(bad[i]), other, &err), -EINVAL);
	/* one wrong digit is always noticed */
	for (unsigned at = 0; at < PAIR_CODE; at++)
		for (char digit = '0'; digit <= '9'; digit++) {
			char wrong[PAIR_CODE + 1];
			memcpy(wrong, code, sizeof(wrong));
			wrong[at] = digit;
			assert_int_equal(
			        pair_code_read(edged_str(wrong), other, &err) == 0, digit == code[at]);
		}
	assert_non_null(strstr(err.text, "mistyped"));
	/* not the same again and again */
	unsigned same = 0;
	for (int i = 0; i < 20; i++) {
		assert_int_equal(pair_code_make(other), 0);
		same += strcmp(code, other) == 0;
	}
	assert_true(same < 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_right_code_proves_both),
		cmocka_unit_test(a_wrong_code_proves_nothing),
		cmocka_unit_test(a_node_in_between_proves_nothing),
		cmocka_unit_test(what_was_recorded_fits_no_other_run),
		cmocka_unit_test(what_is_sent_back_fits_nothing),
		cmocka_unit_test(shares_that_are_none_are_refused),
		cmocka_unit_test(order_is_kept),
		cmocka_unit_test(frames_are_judged),
		cmocka_unit_test(codes_are_made_and_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
