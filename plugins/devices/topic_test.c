/* SPDX-License-Identifier: Apache-2.0 */
/* Topics of calls and answers, and times in a query. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "seconds.h"
#include "topic.h"

#define ID "0123456789abcdef0123456789abcdef"

static void topics_name_thing_call_and_id(void **state)
{
	(void)state;
	char topic[CALL_TOPIC_MAX], thing[THING_NAME_MAX + 1], name[CALL_NAME_MAX];
	call_topic_print(topic, "lamp", edged_str("set"), ID);
	assert_string_equal(topic, "devices/lamp/call/set/" ID);
	answer_topic_print(topic, "lamp", ID);
	assert_string_equal(topic, "devices/lamp/answer/" ID);
	/* the longest ones fit */
	memset(thing, 't', sizeof(thing) - 1);
	thing[sizeof(thing) - 1] = '\0';
	memset(name, 'n', sizeof(name));
	call_topic_print(topic, thing, edged_slice(name, sizeof(name)), ID);
	assert_int_equal(strlen(topic), 8 + THING_NAME_MAX + 6 + CALL_NAME_MAX + 1 + CALL_ID_LEN);
}

static void answers_are_read(void **state)
{
	(void)state;
	struct answer answer;
	assert_true(answer_topic_parse(edged_str("devices/lamp/answer/" ID), &answer));
	assert_true(edged_slice_is(answer.thing, "lamp") && edged_slice_is(answer.id, ID));
	assert_int_equal(answer.status, 0);
	assert_true(answer_topic_parse(edged_str("devices/lamp/answer/" ID "/404"), &answer));
	assert_int_equal(answer.status, 404);
}

static void other_topics_are_no_answers(void **state)
{
	(void)state;
	static const char *const topics[] = { "", "/", "devices", "devices/lamp", "devices/lamp/answer",
		"devices/lamp/answer/", "devices/lamp/answer/1", "device/lamp/answer/" ID,
		"devices/lamp/call/" ID, "devices/lamp/answer/" ID "0", "devices/lamp/answer/" ID "/",
		"devices/lamp/answer/" ID "/200", "devices/lamp/answer/" ID "/399",
		"devices/lamp/answer/" ID "/600", "devices/lamp/answer/" ID "/40",
		"devices/lamp/answer/" ID "/4040", "devices/lamp/answer/" ID "/404/",
		"devices/lamp/answer/" ID "/4o4" };
	struct answer answer;
	for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
		assert_false(answer_topic_parse(edged_str(topics[i]), &answer));
}

static void names_of_calls_are_simple(void **state)
{
	(void)state;
	char name[CALL_NAME_MAX + 1];
	memset(name, 'n', sizeof(name));
	assert_true(call_name_valid(edged_slice(name, CALL_NAME_MAX)));
	assert_false(call_name_valid(edged_slice(name, CALL_NAME_MAX + 1)));
	assert_true(call_name_valid(edged_str("v1.set:led_2-x")));
	assert_false(call_name_valid(edged_slice(NULL, 0)));
	assert_false(call_name_valid(edged_slice("a\0b", 3)));
	static const char *const bad[] = { "+", "#", "a/b", "a b", "\xc3\xa4", "$" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(call_name_valid(edged_str(bad[i])));
}

static void seconds_are_read_to_the_millisecond(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = { { "3", 3000 }, { "0.25", 250 }, { "0.001", 1 }, { "10.5", 10500 }, { "0", 0 },
		{ "9999999.999", 9999999999 } };
	static const char *const bad[] = { "", ".", ".5", "1.", "1.2345", "-1", "+1", "1s", "1e3", "0x1",
		" 1", "1 ", "1.5.2", "10000000" };
	uint64_t ms;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(seconds_parse(edged_str(good[i].text), &ms));
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(seconds_parse(edged_str(bad[i]), &ms));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(topics_name_thing_call_and_id),
		cmocka_unit_test(answers_are_read),
		cmocka_unit_test(other_topics_are_no_answers),
		cmocka_unit_test(names_of_calls_are_simple),
		cmocka_unit_test(seconds_are_read_to_the_millisecond),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
