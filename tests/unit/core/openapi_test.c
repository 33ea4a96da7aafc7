/* SPDX-License-Identifier: Apache-2.0 */
/* core/: the OpenAPI document, and skimming JSON. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "core/json_skim.h"
#include "core/openapi.h"
#include "heap.h"

static void json_is_judged(void **state)
{
	(void)state;
	static const char *const good[] = { "{}", " { } ", "{\"a\":1}",
		"{\"a\" : [ 1 , -2.5e+3 , {} , [ ] ] , \"b\":\"\\u00e4\\n\"}",
		"{\"a\":true,\"b\":false,\"c\":null,\"d\":0}" };
	static const char *const bad[] = { "", "[]", "1", "{", "}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
		"{a:1}", "{\"a\":b}", "{\"a\":01}", "{\"a\":1.}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12g4\"}",
		"{\"a\":\"}", "{\"a\":[1,]}", "{\"a\":[1}", "{} {}", "{\"a\":\"\n\"}" };
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (!json_skim_object(edged_str(good[i])))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (json_skim_object(edged_str(bad[i])))
			fail_msg("accepted: %s", bad[i]);
	char deep[200] = "{\"a\":";
	memset(deep + 5, '[', 100);
	memset(deep + 105, ']', 90);
	assert_false(json_skim_object(edged_slice(deep, sizeof(deep))));
}

static void members_are_found(void **state)
{
	(void)state;
	struct edged_slice text = edged_str(" { \"a\" : {\"b\":[1,2]} , \"c\":\"d\" }"), at = text, key,
	                   value;
	assert_true(json_skim_member(&at, &key, &value));
	assert_true(edged_slice_is(key, "\"a\""));
	assert_true(edged_slice_is(value, "{\"b\":[1,2]}"));
	assert_true(json_skim_member(&at, &key, &value));
	assert_true(edged_slice_is(key, "\"c\""));
	assert_false(json_skim_member(&at, &key, &value));
	assert_true(edged_slice_is(json_skim_find(text, "c"), "\"d\""));
	assert_null(json_skim_find(text, "b").ptr);
	at = edged_str("{}");
	assert_false(json_skim_member(&at, &key, &value));
}

static int serve(void *self, edged_handle handle)
{
	(void)self;
	(void)handle;
	return 0;
}

static const struct edged_route routes[] = {
	{ "GET", "/things/{thing}/shadow", serve, "Reads \"it\"",
	        "{\"description\":\"more\",\"tags\":[\"Shadows\"],\"responses\":{\"200\":{\"description\":"
	        "\"it\"}}}",
	        0, 0 },
	{ "POST", "/things/{thing}/shadow", serve, NULL, "no json", 0, 0 },
	{ "HEAD", "/head", serve, NULL, NULL, 0, 0 },
	{ "*", "/topics/{topic...}", serve, NULL, NULL, 0, 0 },
	{ "GET", "/topics/{topic...}", serve, "lists", NULL, 0, 0 },
	{ NULL, NULL, NULL, NULL, NULL, 0, 0 },
};

static uint64_t no_time(void *arg)
{
	(void)arg;
	return 0;
}

static void with_router(void (*fn)(struct router *router))
{
	static const struct request_limits limits = { .open = 1, .streams = 1, .answer_ms = 1 };
	struct requests *requests;
	struct router *router;
	assert_int_equal(requests_new(&limits, no_time, NULL, &requests), 0);
	assert_int_equal(router_new(requests, &router), 0);
	fn(router);
	router_free(router);
	requests_free(requests);
}

static void add(struct router *router)
{
	struct route_owner owner = { "shadow", &owner, NULL, false };
	assert_int_equal(router_add(router, &owner, routes, sizeof(routes[0]), NULL), 0);
}

static struct edged_slice path_item(const struct buf *buf, const char *path)
{
	return json_skim_find(json_skim_find(buf_slice(buf), "paths"), path);
}

static void check_document(struct router *router)
{
	CLEANUP(buf_fini) struct buf empty = BUF_EMPTY;
	assert_int_equal(openapi_print(router, "1.2", &empty), 0);
	assert_true(json_skim_object(buf_slice(&empty)));
	add(router);
	CLEANUP(buf_fini) struct buf buf = BUF_EMPTY;
	assert_int_equal(openapi_print(router, "1.2", &buf), 0);
	assert_true(json_skim_object(buf_slice(&buf)));
	assert_non_null(strstr(buf.ptr, "\"version\":\"1.2\""));
	assert_null(strstr(buf.ptr, "/head"));
	struct edged_slice item = path_item(&buf, "/things/{thing}/shadow");
	assert_true(edged_slice_is(json_skim_find(item, "parameters"),
	        "[{\"name\":\"thing\",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":\"string\"}}]"));
	assert_true(edged_slice_is(json_skim_find(item, "get"),
	        "{\"tags\":[\"Shadows\"],\"operationId\":\"get_things_thing_shadow\",\"summary\":\"Reads "
	        "\\\"it\\\"\","
	        "\"responses\":{\"default\":{\"$ref\":\"#/components/responses/"
	        "Problem\"},\"200\":{\"description\":"
	        "\"it\"}},\"description\":\"more\"}"));
	assert_true(edged_slice_is(json_skim_find(item, "post"),
	        "{\"tags\":[\"shadow\"],\"operationId\":\"post_things_thing_shadow\",\"responses\":{\"2XX\":{"
	        "\"description\":\"Done.\"},\"default\":{\"$ref\":\"#/components/responses/Problem\"}}}"));
	item = path_item(&buf, "/topics/{topic}");
	assert_true(edged_slice_is(json_skim_find(json_skim_find(item, "get"), "summary"), "\"lists\""));
	assert_non_null(json_skim_find(item, "patch").ptr);
	assert_null(json_skim_find(item, "trace").ptr);
}

static void the_document_lists_what_is_served(void **state)
{
	(void)state;
	with_router(check_document);
}

static void print_without_memory(struct router *router)
{
	add(router);
	for (long n = 0;; n++) {
		CLEANUP(buf_fini) struct buf buf = BUF_EMPTY;
		heap_fail_at(n);
		int r = openapi_print(router, "1", &buf);
		bool failed = heap_failed();
		heap_fail_at(-1);
		assert_int_equal(r, failed ? -ENOMEM : 0);
		if (!failed)
			return;
	}
}

static void lack_of_memory_is_told(void **state)
{
	(void)state;
	if (!heap_can_fail())
		skip();
	with_router(print_without_memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_is_judged),
		cmocka_unit_test(members_are_found),
		cmocka_unit_test(the_document_lists_what_is_served),
		cmocka_unit_test(lack_of_memory_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
