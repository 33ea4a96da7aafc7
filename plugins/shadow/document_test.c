/* SPDX-License-Identifier: Apache-2.0 */
/* Shadow documents: merging, delta, versions, limits, messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "heap.h"
#include "message.h"
#include "name.h"
#include "tree.h"

static const struct document_limits limits = { .bytes = 8192, .depth = 8 };

/* Applies one request; returns 0 or the code of the refusal. */
static int update(struct document *document, const char *text, int64_t now)
{
	struct shadow_request request;
	struct shadow_error error = { 0 };
	int r = shadow_request_parse_update(&request, edged_str(text), &limits, &error);
	struct printed before = { 0 };
	if (!r)
		r = document_update(document, &request, now, &limits, &before, &error);
	printed_fini(&before);
	shadow_request_fini(&request);
	return r ? error.code : 0;
}

static void assert_json(char *got, const char *expected)
{
	assert_non_null(got);
	json_t *a = json_loads(got, JSON_DECODE_ANY, NULL), *b = json_loads(expected, JSON_DECODE_ANY, NULL);
	assert_non_null(a);
	assert_non_null(b);
	if (!json_equal(a, b))
		fail_msg("got      %s\nexpected %s", got, expected);
	json_decref(a);
	json_decref(b);
	free(got);
}

static void merges(void **unused)
{
	(void)unused;
	static const struct {
		const char *first, *second, *state;
	} rows[] = {
		{ "{\"desired\":{\"a\":1}}", "{\"desired\":{\"b\":2}}", "{\"desired\":{\"a\":1,\"b\":2}}" },
		{ "{\"desired\":{\"a\":1}}", "{\"desired\":{\"a\":null}}", "{}" },
		{ "{\"desired\":{\"a\":1}}", "{\"desired\":{\"zz\":null}}", "{\"desired\":{\"a\":1}}" },
		{ "{\"desired\":{\"a\":{\"x\":1}}}", "{\"desired\":{\"a\":{\"x\":null}}}",
		        "{\"desired\":{\"a\":{}}}" },
		{ "{\"desired\":{\"d\":{}}}", "{}", "{\"desired\":{\"d\":{}}}" },
		{ "{\"desired\":{\"a\":1}}", "{\"desired\":{\"n\":{\"x\":{\"y\":null}}}}",
		        "{\"desired\":{\"a\":1}}" },
		{ "{\"desired\":{\"a\":1}}", "{\"desired\":{\"n\":{\"x\":null,\"y\":2}}}",
		        "{\"desired\":{\"a\":1,\"n\":{\"y\":2}}}" },
		{ "{\"desired\":{\"a\":[1,2]}}", "{\"desired\":{\"a\":[3]}}", "{\"desired\":{\"a\":[3]}}" },
		{ "{\"desired\":{\"a\":1}}", "{\"desired\":{\"a\":{\"b\":2}}}",
		        "{\"desired\":{\"a\":{\"b\":2}}}" },
		{ "{\"desired\":{\"a\":{\"b\":2}}}", "{\"desired\":{\"a\":\"s\"}}",
		        "{\"desired\":{\"a\":\"s\"}}" },
		{ "{\"desired\":{\"a\":1},\"reported\":{\"b\":1}}", "{\"desired\":null}",
		        "{\"reported\":{\"b\":1}}" },
		{ "{\"desired\":{\"a\":1},\"reported\":{\"b\":1}}", "null", "{}" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct document document;
		char text[256];
		assert_int_equal(document_init(&document), 0);
		snprintf(text, sizeof(text), "{\"state\":%s}", rows[i].first);
		assert_int_equal(update(&document, text, 1), 0);
		snprintf(text, sizeof(text), "{\"state\":%s}", rows[i].second);
		assert_int_equal(update(&document, text, 2), 0);
		assert_int_equal(document.now.version, 2);
		assert_json(json_dumps(document.state, JSON_COMPACT), rows[i].state);
		document_fini(&document);
	}
}

static void delta_is_what_desired_has_and_reported_has_not(void **unused)
{
	(void)unused;
	static const struct {
		const char *desired, *reported, *delta; /* NULL: no delta */
	} rows[] = {
		{ "{\"online\":true}", "{\"online\":false}", "{\"online\":true}" },
		{ "{\"enabled\":true}", "{\"online\":false,\"enabled\":true}", NULL },
		{ NULL, "{\"online\":false}", NULL },
		{ "{\"enabled\":true}", "{}", "{\"enabled\":true}" },
		{ "{\"enabled\":true}", NULL, "{\"enabled\":true}" },
		{ "{\"list\":[\"v1\"]}", "{\"list\":[\"v1\",\"v2\"]}", "{\"list\":[\"v1\"]}" },
		{ "{\"list\":[[\"v1\"]]}", "{\"list\":[[\"v1\"],[\"v2\"]]}", "{\"list\":[[\"v1\"]]}" },
		{ "{\"a\":{\"b\":[\"c\",\"d\"]}}", "{\"a\":{\"b\":[\"d\"]}}",
		        "{\"a\":{\"b\":[\"c\",\"d\"]}}" },
		{ "{\"a\":{\"b\":{\"c\":\"d2\"}}}", "{\"a\":{\"b\":{\"c\":\"d\",\"e\":\"f\"}}}",
		        "{\"a\":{\"b\":{\"c\":\"d2\"}}}" },
		{ "{\"a\":{\"b1\":{\"c\":\"d\"},\"b2\":\"s\"}}", "{\"a\":{\"b1\":{\"c\":\"d\"}}}",
		        "{\"a\":{\"b2\":\"s\"}}" },
		{ "{\"n\":1}", "{\"n\":1.0}", NULL },
		{ "{\"n\":1}", "{\"n\":\"1\"}", "{\"n\":1}" },
		{ "{\"d\":{}}", "{}", "{\"d\":{}}" },
		{ "{\"d\":{}}", "{\"d\":{\"x\":1}}", NULL },
		{ "{\"list\":[1,{\"a\":2.0}]}", "{\"list\":[1.0,{\"a\":2}]}", NULL },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *desired = rows[i].desired ? json_loads(rows[i].desired, 0, NULL) : NULL;
		json_t *reported = rows[i].reported ? json_loads(rows[i].reported, 0, NULL) : NULL;
		json_t *seven = json_integer(7);
		json_t *stamps = desired ? tree_stamp(desired, seven) : NULL, *delta_stamps = NULL;
		int error = -1;
		json_t *delta = tree_delta(desired, reported, stamps, &delta_stamps, &error);
		assert_int_equal(error, 0);
		if (rows[i].delta) {
			assert_json(json_dumps(delta, JSON_COMPACT), rows[i].delta);
			json_t *expected = tree_stamp(delta, seven);
			assert_true(json_equal(expected, delta_stamps));
			json_decref(expected);
		} else {
			assert_null(delta);
		}
		json_decref(desired);
		json_decref(reported);
		json_decref(seven);
		json_decref(stamps);
		json_decref(delta);
		json_decref(delta_stamps);
	}
}

static void bad_requests_have_their_codes(void **unused)
{
	(void)unused;
	static const struct {
		const char *text;
		int code;
	} rows[] = {
		{ "", 400 },
		{ "nonsense", 400 },
		{ "[]", 400 },
		{ "{}", 400 },
		{ "{\"state\":1}", 400 },
		{ "{\"state\":{\"desired\":1}}", 400 },
		{ "{\"state\":{\"reported\":[]}}", 400 },
		{ "{\"state\":{\"delta\":{}}}", 400 },
		{ "{\"state\":{\"desired\":{\"a\":[1,null]}}}", 400 },
		{ "{\"state\":{},\"version\":\"1\"}", 400 },
		{ "{\"state\":{},\"version\":-1}", 400 },
		{ "{\"state\":{},\"version\":1.5}", 400 },
		{ "{\"state\":{},\"clientToken\":7}", 400 },
		{ "{\"state\":{},\"clientToken\":"
		  "\"01234567890123456789012345678901234567890123456789012345678901234\"}",
		        400 },
		{ "{\"state\":{},\"clientToken\":"
		  "\"0123456789012345678901234567890123456789012345678901234567890123\"}",
		        0 },
		{ "{\"state\":{\"desired\":{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"g\":1}}}}}}}}}", 0 },
		{ "{\"state\":{\"desired\":{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"g\":{}}}}}}}}}}", 0 },
		{ "{\"state\":{\"desired\":{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"g\":{\"h\":[]}}}}}}}}"
		  "}}}",
		        400 },
		{ "{\"state\":{\"desired\":{\"a\":\"\xff\"}}}", 415 },
		{ "{\"state\":{\"desired\":{\"a\":1,\"a\":2}}}", 400 },
		{ "{\"state\":{},\"version\":5}", 409 },
		{ "{\"state\":{},\"version\":1}", 0 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct document document;
		assert_int_equal(document_init(&document), 0);
		int code = update(&document, rows[i].text, 1);
		if (code != rows[i].code)
			fail_msg("%s: %d instead of %d", rows[i].text, code, rows[i].code);
		assert_int_equal(document.now.version, code ? 0 : 1);
		document_fini(&document);
	}
}

static void version_must_be_the_current_one(void **unused)
{
	(void)unused;
	struct document document;
	assert_int_equal(document_init(&document), 0);
	assert_int_equal(update(&document, "{\"state\":{\"desired\":{\"a\":1}},\"version\":0}", 1), 0);
	assert_int_equal(update(&document, "{\"state\":{\"desired\":{\"a\":2}},\"version\":0}", 1), 409);
	assert_int_equal(update(&document, "{\"state\":{\"desired\":{\"a\":2}},\"version\":1}", 1), 0);
	struct shadow_request none = { 0 };
	struct printed before = { 0 };
	struct shadow_error error = { 0 };
	assert_int_equal(document_delete(&document, &none, 3, &before, &error), 0);
	assert_false(document.now.exists);
	assert_int_equal(update(&document, "{\"state\":{}}", 4), 0);
	assert_true(document.now.version > 2);
	printed_fini(&before);
	document_fini(&document);
}

static void too_large_a_document_is_refused_whole(void **unused)
{
	(void)unused;
	struct document document;
	assert_int_equal(document_init(&document), 0);
	char text[9000];
	snprintf(text, sizeof(text), "{\"state\":{\"desired\":{\"a\":\"%08000d\"}}}", 0);
	assert_int_equal(update(&document, text, 1), 0);
	snprintf(text, sizeof(text), "{\"state\":{\"reported\":{\"a\":\"%0300d\"}}}", 0);
	assert_int_equal(update(&document, text, 1), 413);
	assert_int_equal(document.now.version, 1);
	assert_null(json_object_get(document.state, "reported"));
	document_fini(&document);
}

static void messages_have_the_shape_of_aws(void **unused)
{
	(void)unused;
	struct document document;
	struct printed before = { 0 }, second = { 0 };
	bool differs;
	assert_int_equal(document_init(&document), 0);
	assert_int_equal(
	        update(&document, "{\"state\":{\"desired\":{\"led\":\"on\",\"l\":[1,{\"x\":2}]}}}", 10), 0);
	struct shadow_request request;
	struct shadow_error error = { 0 };
	assert_int_equal(shadow_request_parse_update(&request,
	                         edged_str("{\"state\":{\"reported\":{\"led\":\"off\",\"gone\":null}},"
	                                   "\"clientToken\":\"t\"}"),
	                         &limits, &error),
	        0);
	assert_int_equal(document_update(&document, &request, 20, &limits, &before, &error), 0);
	assert_json(message_accepted(&document, &request, 20),
	        "{\"state\":{\"reported\":{\"led\":\"off\",\"gone\":null}},\"metadata\":{\"reported\":{"
	        "\"led\":"
	        "{\"timestamp\":20},\"gone\":{\"timestamp\":20}}},\"version\":2,\"timestamp\":20,"
	        "\"clientToken\":\"t\"}");
	assert_json(message_delta(&document, "t", 20, &differs),
	        "{\"version\":2,\"timestamp\":20,\"state\":{\"led\":\"on\",\"l\":[1,{\"x\":2}]},\"metadata\":"
	        "{\"led\":"
	        "{\"timestamp\":10},\"l\":[{\"timestamp\":10},{\"x\":{\"timestamp\":10}}]},\"clientToken\":"
	        "\"t\"}");
	assert_json(message_get(&document, NULL), "{\"state\":{\"desired\":{\"led\":\"on\",\"l\":[1,{\"x\":2}"
	                                          "]},\"reported\":{\"led\":\"off\"},\"delta\":"
	                                          "{\"led\":\"on\",\"l\":[1,{\"x\":2}]}},\"metadata\":{"
	                                          "\"desired\":{\"led\":{\"timestamp\":10},\"l\":"
	                                          "[{\"timestamp\":10},{\"x\":{\"timestamp\":10}}]},"
	                                          "\"reported\":{\"led\":{\"timestamp\":20}},\"delta\":"
	                                          "{\"led\":{\"timestamp\":10},\"l\":[{\"timestamp\":10},{"
	                                          "\"x\":{\"timestamp\":10}}]}},\"version\":2,"
	                                          "\"timestamp\":20}");
	assert_json(message_documents(&before, &document, NULL, 20),
	        "{\"previous\":{\"state\":{\"desired\":{\"led\":\"on\",\"l\":[1,{\"x\":2}]}},\"metadata\":{"
	        "\"desired\":"
	        "{\"led\":{\"timestamp\":10},\"l\":[{\"timestamp\":10},{\"x\":{\"timestamp\":10}}]}},"
	        "\"version\":1},"
	        "\"current\":{\"state\":{\"desired\":{\"led\":\"on\",\"l\":[1,{\"x\":2}]},\"reported\":{"
	        "\"led\":\"off\"}},"
	        "\"metadata\":{\"desired\":{\"led\":{\"timestamp\":10},\"l\":[{\"timestamp\":10},{\"x\":{"
	        "\"timestamp\":10}}]},"
	        "\"reported\":{\"led\":{\"timestamp\":20}}},\"version\":2},\"timestamp\":20}");
	shadow_request_fini(&request);
	assert_int_equal(
	        shadow_request_parse_update(&request, edged_str("{\"state\":null}"), &limits, &error), 0);
	assert_int_equal(document_update(&document, &request, 30, &limits, &second, &error), 0);
	assert_json(message_accepted(&document, &request, 30),
	        "{\"state\":null,\"metadata\":{\"timestamp\":30},\"version\":3,\"timestamp\":30}");
	assert_json(message_get(&document, NULL),
	        "{\"state\":{},\"metadata\":{},\"version\":3,\"timestamp\":30}");
	assert_null(message_delta(&document, NULL, 30, &differs));
	assert_false(differs);
	shadow_request_fini(&request);
	printed_fini(&before);
	printed_fini(&second);
	document_fini(&document);
}

static void stored_form_reads_back(void **unused)
{
	(void)unused;
	struct document document, back;
	assert_int_equal(document_init(&document), 0);
	assert_int_equal(update(&document, "{\"state\":{\"desired\":{\"a\":{\"b\":[1,2.5,true]}}}}", 5), 0);
	char *text = document_print(&document);
	assert_int_equal(document_parse(&back, edged_str(text)), 0);
	assert_true(json_equal(back.state, document.state));
	assert_true(json_equal(back.metadata, document.metadata));
	assert_true(back.now.exists);
	for (size_t n = 0; n < strlen(text); n++) {
		struct document broken;
		assert_int_equal(document_parse(&broken, edged_slice(text, n)), -EINVAL);
	}
	char *again = document_print(&back);
	assert_string_equal(again, text);
	free(again);
	free(text);
	document_fini(&document);
	document_fini(&back);
}

static void topics_name_shadows(void **unused)
{
	(void)unused;
	static const struct {
		const char *topic, *thing, *name; /* thing NULL: not a request topic */
		enum shadow_verb verb;
	} rows[] = {
		{ "$aws/things/lamp/shadow/get", "lamp", "", SHADOW_GET },
		{ "$aws/things/lamp/shadow/name/n1/update", "lamp", "n1", SHADOW_UPDATE },
		{ "$aws/things/a:b_c-D/shadow/delete", "a:b_c-D", "", SHADOW_DELETE },
		{ "$aws/things/lamp/shadow/name/get", NULL, NULL, 0 },
		{ "$aws/things/lamp/shadow/get/accepted", NULL, NULL, 0 },
		{ "$aws/things//shadow/get", NULL, NULL, 0 },
		{ "$aws/things/lamp/shadow/name//get", NULL, NULL, 0 },
		{ "$aws/things/la mp/shadow/get", NULL, NULL, 0 },
		{ "$aws/things/lamp/shadow", NULL, NULL, 0 },
		{ "$aws/things/lamp/shadow/", NULL, NULL, 0 },
		{ "$aws/things/", NULL, NULL, 0 },
		{ "x", NULL, NULL, 0 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct shadow_name name;
		enum shadow_verb verb;
		bool found = shadow_topic_parse(edged_str(rows[i].topic), &name, &verb);
		assert_int_equal(found, rows[i].thing != NULL);
		if (!found)
			continue;
		assert_string_equal(name.thing, rows[i].thing);
		assert_string_equal(name.name, rows[i].name);
		assert_int_equal(verb, rows[i].verb);
		char topic[SHADOW_TOPIC_MAX], key[SHADOW_KEY_MAX];
		static const char *const verbs[] = { "get", "update", "delete" };
		shadow_topic_print(topic, &name, verbs[verb]);
		assert_string_equal(topic, rows[i].topic);
		struct shadow_name back;
		assert_true(shadow_key_parse(shadow_key(key, &name), &back));
		assert_string_equal(back.thing, name.thing);
		assert_string_equal(back.name, name.name);
	}
}

static void *failing_malloc(size_t n)
{
	return malloc(n);
}

static void every_allocation_may_fail(void **unused)
{
	(void)unused;
	if (!heap_can_fail())
		skip();
	json_set_alloc_funcs(failing_malloc, free); /* through this program, where malloc can fail */
	for (long n = 0;; n++) {
		struct document document;
		assert_int_equal(document_init(&document), 0);
		assert_int_equal(update(&document, "{\"state\":{\"desired\":{\"a\":{\"x\":1}}}}", 1), 0);
		heap_fail_at(n);
		int code = update(
		        &document, "{\"state\":{\"desired\":{\"a\":{\"x\":2},\"b\":[1,{\"c\":3}]}}}", 2);
		bool failed = heap_failed();
		heap_fail_at(-1);
		if (code) {
			assert_int_equal(document.now.version, 1);
			assert_json(
			        json_dumps(document.state, JSON_COMPACT), "{\"desired\":{\"a\":{\"x\":1}}}");
		} else {
			assert_json(json_dumps(document.state, JSON_COMPACT),
			        "{\"desired\":{\"a\":{\"x\":2},\"b\":[1,{\"c\":3}]}}");
		}
		document_fini(&document);
		if (!failed)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(merges),
		cmocka_unit_test(delta_is_what_desired_has_and_reported_has_not),
		cmocka_unit_test(bad_requests_have_their_codes),
		cmocka_unit_test(version_must_be_the_current_one),
		cmocka_unit_test(too_large_a_document_is_refused_whole),
		cmocka_unit_test(messages_have_the_shape_of_aws),
		cmocka_unit_test(stored_form_reads_back),
		cmocka_unit_test(topics_name_shadows),
		cmocka_unit_test(every_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
