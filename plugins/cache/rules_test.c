/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 9111 in tables: directives, dates, what is stored, how long it is fresh, when it is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "rules.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* "Name: value|Name: value" */
static size_t fields_from(const char *text, struct edged_http_field *fields, size_t most)
{
	size_t n = 0;
	for (const char *end; text && *text; text = *end ? end + 1 : end) {
		end = text + strcspn(text, "|");
		const char *colon = memchr(text, ':', (size_t)(end - text));
		assert_non_null(colon);
		assert_true(n < most);
		fields[n].name = edged_slice(text, (size_t)(colon - text));
		fields[n++].value = edged_slice(colon + 2, (size_t)(end - colon - 2));
	}
	return n;
}

static struct edged_proxy_answer answer_from(int status, const char *text, struct edged_http_field fields[16])
{
	return (struct edged_proxy_answer){
		.status = status, .fields = fields, .field_count = fields_from(text, fields, 16)
	};
}

static struct edged_proxy_request request_from(const char *text, struct edged_http_field fields[16])
{
	return (struct edged_proxy_request){ .method = edged_str("GET"),
		.uri = edged_str("/nodes/x/y"),
		.fields = fields,
		.field_count = fields_from(text, fields, 16) };
}

/* --- headers --- */

static void directives_are_read_as_they_come(void **state)
{
	(void)state;
	static const struct {
		const char *header;
		int64_t max_age, s_maxage, stale_if_error;
	} rows[] = {
		{ "max-age=60", 60, -1, -1 },
		{ "MAX-AGE=60", 60, -1, -1 },
		{ "public, max-age=60 , s-maxage=5,stale-if-error=7", 60, 5, 7 },
		{ "max-age=\"60\"", 60, -1, -1 },
		{ "max-age = 60", 60, -1, -1 },
		{ ",,, max-age=1,,", 1, -1, -1 },
		{ "max-age=1, max-age=2", 1, -1, -1 }, /* the first (section 4.2.1) */
		{ "max-age", CONTROL_BAD, -1, -1 },
		{ "max-age=", CONTROL_BAD, -1, -1 },
		{ "max-age=-1", CONTROL_BAD, -1, -1 },
		{ "max-age=1.5", CONTROL_BAD, -1, -1 },
		{ "max-age=60;", CONTROL_BAD, -1, -1 },
		{ "max-age=99999999999999999999999", CONTROL_MOST, -1, -1 },
		{ "xmax-age=5, max-agex=6", -1, -1, -1 },
		{ "x=\"a, max-age=5\", s-maxage=6", -1, 6, -1 },     /* not in a quoted string */
		{ "x=\"a\\\", max-age=5\", s-maxage=6", -1, 6, -1 }, /* nor behind a quoted quote */
		{ "x=\"open, max-age=5", -1, -1, -1 },
		{ "", -1, -1, -1 },
		{ "\"", -1, -1, -1 },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct control c = control_parse(edged_str(rows[i].header));
		if (c.max_age != rows[i].max_age || c.s_maxage != rows[i].s_maxage ||
		        c.stale_if_error != rows[i].stale_if_error)
			fail_msg("%s: %ld %ld %ld", rows[i].header, (long)c.max_age, (long)c.s_maxage,
			        (long)c.stale_if_error);
	}
	struct control c = control_parse(edged_str("No-Store,no-cache=\"set-cookie\", private, public"));
	assert_true(c.no_store && c.no_cache && c.is_private && c.is_public && !c.must_revalidate);
	c = control_parse(edged_str("must-revalidate, proxy-revalidate, only-if-cached, max-stale"));
	assert_true(c.must_revalidate && c.proxy_revalidate && c.only_if_cached && c.any_stale);
	c = control_parse(edged_str("max-stale=5, min-fresh=6, max-stale"));
	assert_true(c.max_stale == 5 && c.min_fresh == 6 && !c.any_stale);
}

static void fields_of_one_name_are_one_list(void **state)
{
	(void)state;
	struct edged_http_field fields[16];
	size_t n = fields_from("Cache-Control: max-age=5|X: y|cache-control: no-store", fields, 16);
	struct control c = control_of(fields, n);
	assert_true(c.max_age == 5 && c.no_store);
	n = fields_from("Pragma: x, no-cache", fields, 16);
	assert_true(control_of(fields, n).no_cache);
	n = fields_from("Pragma: no-cache|Cache-Control: max-age=5", fields, 16);
	assert_false(control_of(fields, n).no_cache);
}

static void dates_in_three_forms(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t seconds;
	} rows[] = { { "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 },
		{ "Sunday, 06-Nov-94 08:49:37 GMT", 784111777 }, { "Sun Nov  6 08:49:37 1994", 784111777 },
		{ " Sun, 06 Nov 1994 08:49:37 GMT ", 784111777 }, { "Sun Nov 16 08:49:37 1994", 784975777 },
		{ "Thu, 01 Jan 1970 00:00:00 GMT", 0 }, { "0", -1 }, { "", -1 }, { "-1", -1 },
		{ "Sun, 6 Nov 1994 08:49:37 GMT", -1 }, { "Sun, 06 Nov 1994 08:49:37 UTC", -1 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT+1", -1 }, { "Sun, 06 Non 1994 08:49:37 GMT", -1 },
		{ "Sun, 06 Nov 1994 25:49:37 GMT", -1 }, { "Sun, 00 Nov 1994 08:49:37 GMT", -1 },
		{ "Sun, 06 Nov 1994 08:49", -1 }, { "Sun, 06 Nov 94", -1 }, { "Sun, 06 N", -1 } };
	for (size_t i = 0; i < COUNT(rows); i++)
		if (date_parse(edged_str(rows[i].text)) != rows[i].seconds)
			fail_msg("%s: %ld", rows[i].text, (long)date_parse(edged_str(rows[i].text)));
	assert_int_equal(date_parse(edged_slice(NULL, 0)), -1);
}

/* --- storing --- */

static void what_is_stored(void **state)
{
	(void)state;
	static const struct {
		const char *request, *answer;
		int status;
		bool stored;
	} rows[] = {
		{ "", "Cache-Control: max-age=60", 200, true },
		{ "", "Cache-Control: s-maxage=60", 200, true },
		{ "", "Expires: Sun, 06 Nov 2094 08:49:37 GMT", 200, true },
		{ "", "Cache-Control: max-age=60", 404, true },
		{ "", "Cache-Control: max-age=60", 301, true },
		/* nothing says how long it is good */
		{ "", "", 200, false },
		{ "", "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT|ETag: \"a\"", 200, false },
		{ "", "Cache-Control: public|ETag: \"a\"", 200, false },
		/* no use: it can be neither given nor validated */
		{ "", "Cache-Control: max-age=0", 200, false },
		{ "", "Cache-Control: max-age=soon", 200, false },
		{ "", "Cache-Control: no-cache", 200, false },
		{ "", "Cache-Control: no-cache, max-age=60", 200, false },
		{ "", "Expires: 0", 200, false },
		{ "", "Cache-Control: max-age=0|ETag: \"a\"", 200, true },
		{ "", "Cache-Control: no-cache|ETag: \"a\"", 200, true },
		{ "", "Cache-Control: no-cache|Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", 200, true },
		{ "", "Cache-Control: max-age=0, stale-if-error=60", 200, true },
		/* s-maxage is for shared caches, and beats the others */
		{ "", "Cache-Control: max-age=60, s-maxage=0", 200, false },
		{ "", "Cache-Control: max-age=60|Expires: 0", 200, true },
		/* forbidden */
		{ "", "Cache-Control: max-age=60, no-store", 200, false },
		{ "", "Cache-Control: max-age=60, private", 200, false },
		{ "", "Cache-Control: max-age=60, private=\"x\"", 200, false },
		{ "", "Cache-Control: max-age=60|Cache-Control: no-store", 200, false },
		{ "", "Cache-Control: max-age=60|Vary: *", 200, false },
		{ "", "Cache-Control: max-age=60|Vary: accept, *", 200, false },
		{ "", "Cache-Control: max-age=60|Vary: accept", 200, true },
		{ "", "Cache-Control: max-age=60|Set-Cookie: a=b", 200, false },
		/* parts, and what is not known */
		{ "", "Cache-Control: max-age=60", 206, false },
		{ "", "Cache-Control: max-age=60|ETag: \"a\"", 304, false },
		{ "", "Cache-Control: max-age=60", 299, false },
		/* a request that says who asks (section 3.5) */
		{ "Authorization: x", "Cache-Control: max-age=60", 200, false },
		{ "Authorization: x", "Cache-Control: max-age=60, public", 200, true },
		{ "Authorization: x", "Cache-Control: max-age=60, must-revalidate", 200, true },
		{ "Authorization: x", "Cache-Control: s-maxage=60", 200, true },
		{ "Authorization: x", "Cache-Control: max-age=60, proxy-revalidate", 200, false },
	};
	const struct moment moment = { 0, 0, 1700000000 };
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct edged_http_field q[16], a[16];
		struct edged_proxy_request request = request_from(rows[i].request, q);
		struct edged_proxy_answer answer = answer_from(rows[i].status, rows[i].answer, a);
		struct freshness fresh = rules_freshness(&answer, &answer, &moment);
		if (rules_may_store(&request, &answer, &fresh) != rows[i].stored)
			fail_msg("%s -> %d %s", rows[i].request, rows[i].status, rows[i].answer);
	}
}

static void how_long_it_is_fresh(void **state)
{
	(void)state;
	static const struct {
		const char *answer;
		uint64_t took_ms, waited_ms;
		int64_t left_ms, age_s;
	} rows[] = {
		{ "Cache-Control: max-age=60", 0, 0, 60000, 0 },
		{ "Cache-Control: max-age=60, s-maxage=10", 0, 0, 10000, 0 },
		{ "Cache-Control: max-age=60", 0, 10500, 49500, 10 },
		{ "Cache-Control: max-age=60", 2000, 0, 58000, 2 }, /* what the request took is age */
		{ "Cache-Control: max-age=60|Age: 20", 2000, 10000, 28000, 32 },
		{ "Cache-Control: max-age=60|Age: 20, 30", 0, 0, 40000, 20 },
		{ "Cache-Control: max-age=60|Age: old", 0, 0, 60000, 0 },
		{ "Cache-Control: max-age=60|Age: 99999999999999999999", 0, 0, 60000 - CONTROL_MOST * 1000,
		        CONTROL_MOST },
		{ "Cache-Control: max-age=60|Age: 61", 0, 0, -1000, 61 },
		{ "Cache-Control: max-age=bad|Expires: Tue, 14 Nov 2023 22:14:20 GMT", 0, 0, 0, 0 },
		/* by its own clock, when it tells */
		{ "Date: Sun, 06 Nov 1994 08:49:37 GMT|Expires: Sun, 06 Nov 1994 08:50:37 GMT", 0, 0, 60000,
		        0 },
		{ "Expires: Tue, 14 Nov 2023 22:14:20 GMT", 0, 0, 60000, 0 },
		{ "Expires: Tue, 14 Nov 2023 22:12:20 GMT", 0, 0, 0, 0 },
		{ "Expires: never", 0, 0, 0, 0 },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct edged_http_field a[16];
		const struct moment moment = { 5000, 5000 + rows[i].took_ms, 1700000000 };
		struct edged_proxy_answer answer = answer_from(200, rows[i].answer, a);
		struct freshness fresh = rules_freshness(&answer, &answer, &moment);
		uint64_t now = moment.now_ms + rows[i].waited_ms;
		if (rules_left(&fresh, now) != rows[i].left_ms || rules_age_s(&fresh, now) != rows[i].age_s)
			fail_msg("%s: %ld ms left, %ld s old", rows[i].answer, (long)rules_left(&fresh, now),
			        (long)rules_age_s(&fresh, now));
	}
}

/* --- giving --- */

static void when_it_is_given(void **state)
{
	(void)state;
	static const struct {
		const char *answer, *request;
		int seconds; /* it has been here */
		enum rules_use use;
		bool on_error;
	} rows[] = {
		{ "max-age=60", "", 0, RULES_GIVE, false },
		{ "max-age=60", "", 59, RULES_GIVE, false },
		{ "max-age=60", "", 60, RULES_STALE, false },
		/* the request wants it younger */
		{ "max-age=60", "no-cache", 0, RULES_REQUEST, false },
		{ "max-age=60", "max-age=10", 10, RULES_GIVE, false },
		{ "max-age=60", "max-age=10", 11, RULES_REQUEST, false },
		{ "max-age=60", "max-age=0", 1, RULES_REQUEST, false },
		{ "max-age=60", "max-age=ten", 0, RULES_REQUEST, false },
		{ "max-age=60", "min-fresh=20", 40, RULES_GIVE, false },
		{ "max-age=60", "min-fresh=20", 41, RULES_REQUEST, false },
		{ "max-age=60", "min-fresh=20, max-stale", 61, RULES_STALE, false },
		{ "max-age=60", "min-fresh=x", 0, RULES_REQUEST, false },
		/* or takes a stale one */
		{ "max-age=60", "max-stale", 1000, RULES_GIVE, false },
		{ "max-age=60", "max-stale=10", 70, RULES_GIVE, false },
		{ "max-age=60", "max-stale=10", 71, RULES_STALE, false },
		{ "max-age=60", "max-stale=x", 61, RULES_STALE, false },
		/* which the answer may forbid */
		{ "max-age=60, must-revalidate", "max-stale", 61, RULES_STALE, false },
		{ "max-age=60, proxy-revalidate", "max-stale", 61, RULES_STALE, false },
		{ "s-maxage=60", "max-stale", 61, RULES_STALE, false },
		{ "max-age=60, no-cache", "max-stale", 0, RULES_STALE, false },
		{ "max-age=60, must-revalidate", "", 59, RULES_GIVE, false },
		/* the other node cannot (RFC 5861) */
		{ "max-age=60, stale-if-error=30", "", 90, RULES_STALE, true },
		{ "max-age=60, stale-if-error=30", "", 91, RULES_STALE, false },
		{ "max-age=60", "stale-if-error=30", 90, RULES_STALE, true },
		{ "max-age=60", "stale-if-error=30", 91, RULES_STALE, false },
		{ "max-age=60, stale-if-error=30", "no-cache", 0, RULES_REQUEST, false },
		{ "max-age=60, stale-if-error=30", "max-age=0", 1, RULES_REQUEST, true },
		{ "max-age=60, stale-if-error=30, must-revalidate", "", 61, RULES_STALE, false },
		{ "max-age=60, stale-if-error=x", "", 61, RULES_STALE, false },
		{ "s-maxage=60, stale-if-error=30", "stale-if-error=30", 61, RULES_STALE, false },
		{ "no-cache, stale-if-error=30", "", 1, RULES_STALE, false },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct moment moment = { 1000, 1000, 1700000000 };
		struct edged_http_field field = { edged_str("Cache-Control"), edged_str(rows[i].answer) };
		struct edged_proxy_answer answer = { .status = 200, .fields = &field, .field_count = 1 };
		struct freshness fresh = rules_freshness(&answer, &answer, &moment);
		struct control control = control_parse(edged_str(rows[i].request));
		uint64_t now = 1000 + (uint64_t)rows[i].seconds * 1000;
		if (rules_use(&fresh, &control, now) != rows[i].use)
			fail_msg("%s, asked with %s after %d s: %d", rows[i].answer, rows[i].request,
			        rows[i].seconds, rules_use(&fresh, &control, now));
		if (rows[i].use != RULES_GIVE &&
		        rules_use_on_error(&fresh, &control, now) != rows[i].on_error)
			fail_msg("%s, asked with %s after %d s, on an error", rows[i].answer, rows[i].request,
			        rows[i].seconds);
	}
}

static void what_the_client_has_already(void **state)
{
	(void)state;
	static const char stored[] = "ETag: \"a,b\"|Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT";
	static const struct {
		const char *request, *stored;
		bool same;
	} rows[] = {
		{ "", stored, false },
		{ "If-None-Match: \"a,b\"", stored, true },
		{ "If-None-Match: \"x\", W/\"a,b\"", stored, true },
		{ "If-None-Match: \"x\"|If-None-Match: \"a,b\"", stored, true },
		{ "If-None-Match: *", stored, true },
		{ "If-None-Match: \"a\"", stored, false },
		{ "If-None-Match: a,b", stored, false },
		{ "If-None-Match: \"a,b\"", "X: y", false },
		{ "If-None-Match:  ", stored, false },
		/* the date counts only without a tag */
		{ "If-None-Match: \"x\"|If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", stored, false },
		{ "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", stored, true },
		{ "If-Modified-Since: Sun, 06 Nov 1994 08:49:38 GMT", stored, true },
		{ "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT", stored, false },
		{ "If-Modified-Since: yesterday", stored, false },
		{ "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", "ETag: \"a\"", false },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct edged_http_field q[16], a[16];
		struct edged_proxy_request request = request_from(rows[i].request, q);
		size_t n = fields_from(rows[i].stored, a, 16);
		if (rules_not_modified(&request, a, n) != rows[i].same)
			fail_msg("%s of %s", rows[i].request, rows[i].stored);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(directives_are_read_as_they_come),
		cmocka_unit_test(fields_of_one_name_are_one_list),
		cmocka_unit_test(dates_in_three_forms),
		cmocka_unit_test(what_is_stored),
		cmocka_unit_test(how_long_it_is_fresh),
		cmocka_unit_test(when_it_is_given),
		cmocka_unit_test(what_the_client_has_already),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
