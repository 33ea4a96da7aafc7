/* SPDX-License-Identifier: Apache-2.0 */
/* Requests through the shared cache: what is sent on, what is given, what is kept, and within which bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "heap.h"
#include "shared.h"

static uint64_t clock_ms = 1000;

static uint64_t now(void)
{
	return clock_ms;
}

static int64_t wall(void)
{
	return 1700000000;
}

static void init(struct shared *shared, size_t count, size_t bytes, size_t answer)
{
	shared_init(shared, "abcdefghijk", count, bytes, answer);
	shared->now = now;
	shared->wall = wall;
}

/* One request from its begin to its end, and what the client and the other node saw of it. */
struct talk {
	struct shared *shared;
	void *exchange;
	struct edged_http_field request[8], answer[32];
	char status_text[96], age[24], type[32], tag[32], sent_tag[32], sent_date[40];
	int status; /* 0: none yet */
	char body[64];
	size_t body_len;
	bool sent;     /* to the other node */
	bool stripped; /* of its own conditions */
	bool shareable;
};

/* "Name: value|Name: value" */
static size_t fields_from(const char *text, struct edged_http_field *fields)
{
	size_t n = 0;
	for (const char *end; text && *text; text = *end ? end + 1 : end) {
		end = text + strcspn(text, "|");
		const char *colon = memchr(text, ':', (size_t)(end - text));
		fields[n].name = edged_slice(text, (size_t)(colon - text));
		fields[n++].value = edged_slice(colon + 2, (size_t)(end - colon - 2));
	}
	return n;
}

static void copy(const struct edged_proxy_answer *from, const char *name, char *to, size_t size)
{
	struct edged_slice value = field_value(from->fields, from->field_count, name);
	if (value.ptr)
		assert_int_equal(value.ptr[value.len], 0); /* terminated */
	snprintf(to, size, "%.*s", EDGED_SLICE_FMT(value));
}

static void see(struct talk *talk, const struct edged_proxy_answer *ret)
{
	copy(ret, "Cache-Status", talk->status_text, sizeof(talk->status_text));
	copy(ret, "Age", talk->age, sizeof(talk->age));
	copy(ret, "Content-Type", talk->type, sizeof(talk->type));
	copy(ret, "ETag", talk->tag, sizeof(talk->tag));
	if (!ret->status)
		return;
	talk->status = ret->status;
	talk->body_len = ret->body.len;
	snprintf(talk->body, sizeof(talk->body), "%.*s", EDGED_SLICE_FMT(ret->body));
}

static struct talk begin(struct shared *shared, const char *method, const char *uri, const char *fields)
{
	struct talk talk = { .shared = shared };
	struct edged_proxy_answer ret = { .length = -1 };
	const struct edged_proxy_request request = { .method = edged_str(method),
		.uri = edged_str(uri),
		.fields = talk.request,
		.field_count = fields_from(fields, talk.request) };
	/* what the request points to lives as long as the exchange: the literals and a copy of the fields */
	static struct edged_http_field kept[64][8];
	static unsigned next;
	struct edged_proxy_request lasting = request;
	lasting.fields = memcpy(kept[next++ % 64], talk.request, sizeof(talk.request));
	talk.exchange = shared_functions()->begin(shared, &lasting, &ret, &talk.shareable);
	talk.sent = ret.status == 0;
	talk.stripped = ret.fields && !ret.field_count;
	copy(&ret, "If-None-Match", talk.sent_tag, sizeof(talk.sent_tag));
	copy(&ret, "If-Modified-Since", talk.sent_date, sizeof(talk.sent_date));
	see(&talk, &ret);
	return talk;
}

static void head(struct talk *talk, int status, const char *fields, int64_t length)
{
	struct edged_proxy_answer ret = { .length = -1 };
	const struct edged_proxy_answer answer = { .status = status,
		.fields = talk->answer,
		.field_count = fields_from(fields, talk->answer),
		.length = length };
	assert_true(talk->sent && talk->exchange);
	bool instead = shared_functions()->head(talk->exchange, &answer, &ret);
	assert_int_equal(instead, ret.status != 0);
	if (!instead)
		talk->status = status;
	see(talk, &ret);
}

static void end(struct talk *talk, bool whole)
{
	if (talk->exchange)
		shared_functions()->end(talk->exchange, whole);
}

/* A whole request; the other node would answer that. */
static struct talk fetch(struct shared *shared, const char *method, const char *uri, const char *request,
        int status, const char *fields, const char *body)
{
	struct talk talk = begin(shared, method, uri, request);
	if (talk.sent && talk.exchange) {
		head(&talk, status, fields, -1);
		if (talk.status == status && *body)
			shared_functions()->data(talk.exchange, edged_str(body));
	}
	end(&talk, talk.sent);
	return talk;
}

static void assert_status(const struct talk *talk, const char *text)
{
	assert_string_equal(talk->status_text, text);
}

#define FRESH "Cache-Control: max-age=60|Content-Type: text/plain|ETag: \"1\""

/* --- one answer --- */

static void an_answer_is_given_again_while_it_is_fresh(void **state)
{
	(void)state;
	struct shared shared;
	init(&shared, 10, 100000, 10000);
	struct talk talk = fetch(&shared, "GET", "/nodes/a/x?y=1", "", 200,
	        FRESH "|Age: 10|Cache-Status: other; hit", "hello");
	assert_status(&talk, "edged-abcdefg; fwd=uri-miss; stored");
	clock_ms += 20000;
	talk = fetch(&shared, "GET", "/nodes/a/x?y=1", "", 0, "", "");
	assert_false(talk.sent);
	assert_status(&talk, "edged-abcdefg; hit; ttl=30");
	assert_true(talk.status == 200 && talk.body_len == 5);
	assert_string_equal(talk.body, "hello");
	assert_string_equal(talk.age, "30");
	assert_string_equal(talk.type, "text/plain");
	talk = fetch(&shared, "HEAD", "/nodes/a/x?y=1", "", 0, "", "");
	assert_true(!talk.sent && talk.status == 200 && talk.body_len == 5);
	/* the client has it already */
	talk = fetch(&shared, "GET", "/nodes/a/x?y=1", "If-None-Match: \"1\"", 0, "", "");
	assert_true(!talk.sent && talk.status == 304 && talk.body_len == 0);
	assert_string_equal(talk.tag, "\"1\"");
	assert_string_equal(talk.type, "");
	/* something else */
	assert_true(fetch(&shared, "GET", "/nodes/a/x?y=2", "", 200, "", "").sent);
	assert_true(fetch(&shared, "GET", "/nodes/b/x?y=1", "", 200, "", "").sent);
	assert_true(fetch(&shared, "GET", "/nodes/a/x", "", 200, "", "").sent);
	clock_ms += 30000;
	talk = begin(&shared, "GET", "/nodes/a/x?y=1", "Cache-Control: max-stale");
	assert_status(&talk, "edged-abcdefg; hit; ttl=0");
	end(&talk, false);
	clock_ms += 1;
	talk = begin(&shared, "GET", "/nodes/a/x?y=1", "Cache-Control: max-stale");
	assert_status(&talk, "edged-abcdefg; hit; ttl=-1");
	end(&talk, false);
	shared_fini(&shared);
	assert_int_equal(shared.answers.bytes, 0);
}

static void only_what_came_whole_is_kept(void **state)
{
	(void)state;
	struct shared shared;
	init(&shared, 10, 100000, 10000);
	struct talk talk = begin(&shared, "GET", "/nodes/a/x", "");
	head(&talk, 200, FRESH, 10);
	shared_functions()->data(talk.exchange, edged_str("hello"));
	end(&talk, false);
	assert_int_equal(shared.answers.count + shared.answers.bytes, 0);
	talk = fetch(&shared, "HEAD", "/nodes/a/x", "", 200, FRESH, "");
	assert_status(&talk, "edged-abcdefg; fwd=uri-miss");
	assert_true(fetch(&shared, "GET", "/nodes/a/x", "", 200, FRESH, "").sent);
	assert_true(!fetch(&shared, "GET", "/nodes/a/x", "", 0, "", "").sent); /* an empty one is one, too */
	shared_fini(&shared);
}

static void requests_that_are_not_for_a_cache(void **state)
{
	(void)state;
	static const char *const fields[] = { "Range: bytes=0-1", "If-Match: \"1\"",
		"If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT", "Cache-Control: no-store" };
	struct shared shared;
	init(&shared, 10, 100000, 10000);
	for (size_t i = 0; i < 4; i++) {
		struct talk talk = fetch(&shared, "GET", "/nodes/a/x", fields[i], 200, FRESH, "part");
		assert_status(&talk, "edged-abcdefg; fwd=bypass");
		assert_int_equal(shared.answers.count, 0);
	}
	(void)fetch(&shared, "GET", "/nodes/a/x", "", 200, FRESH, "hello");
	for (size_t i = 0; i < 4; i++)
		assert_true(fetch(&shared, "GET", "/nodes/a/x", fields[i], 200, FRESH, "part").sent);
	assert_string_equal(fetch(&shared, "GET", "/nodes/a/x", "", 0, "", "").body, "hello");
	assert_null(begin(&shared, "OPTIONS", "/nodes/a/x", "").exchange);
	/* nothing is asked */
	struct talk talk = begin(&shared, "GET", "/nodes/a/x", "Cache-Control: only-if-cached");
	assert_true(!talk.sent && talk.status == 200);
	end(&talk, false);
	talk = begin(&shared, "GET", "/nodes/a/y", "Cache-Control: only-if-cached");
	assert_true(!talk.sent && talk.status == 504 && strstr(talk.body, "not-cached"));
	end(&talk, false);
	talk = begin(&shared, "GET", "/nodes/a/x", "Cache-Control: only-if-cached, max-age=0");
	clock_ms++;
	end(&talk, false);
	talk = begin(&shared, "GET", "/nodes/a/x", "Cache-Control: only-if-cached, max-age=0");
	assert_int_equal(talk.status, 504);
	end(&talk, false);
	shared_fini(&shared);
}

/* --- validation --- */

static void a_stale_answer_is_validated(void **state)
{
	(void)state;
	struct shared shared;
	init(&shared, 10, 100000, 10000);
	(void)fetch(&shared, "GET", "/nodes/a/x", "", 200,
	        FRESH "|Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT|X-Old: 1", "hello");
	clock_ms += 61000;
	/* with the cache's own conditions, whatever the client has */
	struct talk talk = begin(&shared, "GET", "/nodes/a/x", "If-None-Match: \"0\"");
	assert_string_equal(talk.sent_tag, "\"1\"");
	assert_string_equal(talk.sent_date, "Sun, 06 Nov 1994 08:49:37 GMT");
	assert_true(talk.shareable);
	clock_ms += 1000; /* it takes a second */
	head(&talk, 304, "ETag: \"1\"|Cache-Control: max-age=100|Age: 5|Content-Type: other|X-Old: 2", -1);
	assert_status(&talk, "edged-abcdefg; fwd=stale; fwd-status=304; stored");
	assert_true(talk.status == 200);
	assert_string_equal(talk.body, "hello");
	assert_string_equal(talk.age, "6");
	assert_string_equal(talk.type, "text/plain");
	end(&talk, false);
	talk = fetch(&shared, "GET", "/nodes/a/x", "", 0, "", "");
	assert_status(&talk, "edged-abcdefg; hit; ttl=94");
	/* the client wants it validated, and has it */
	talk = begin(&shared, "GET", "/nodes/a/x", "If-None-Match: \"1\"|Cache-Control: no-cache");
	head(&talk, 304, "ETag: \"1\"", -1);
	assert_status(&talk, "edged-abcdefg; fwd=request; fwd-status=304; stored");
	assert_true(talk.status == 304 && talk.body_len == 0);
	end(&talk, false);
	/* it has changed */
	clock_ms += 101000;
	talk = fetch(&shared, "GET", "/nodes/a/x", "", 200, "Cache-Control: max-age=60|ETag: \"2\"", "world");
	assert_status(&talk, "edged-abcdefg; fwd=stale; stored");
	assert_int_equal(shared.answers.count, 1);
	assert_string_equal(fetch(&shared, "GET", "/nodes/a/x", "", 0, "", "").body, "world");
	/* into one that is not to be kept */
	clock_ms += 61000;
	talk = fetch(&shared, "GET", "/nodes/a/x", "", 200, "Cache-Control: private", "secret");
	assert_int_equal(shared.answers.count, 0);
	shared_fini(&shared);
	assert_int_equal(shared.answers.bytes, 0);
}

static void what_other_nodes_validate_is_fetched_whole(void **state)
{
	(void)state;
	struct shared shared;
	init(&shared, 10, 100000, 10000);
	struct talk talk = begin(&shared, "GET", "/nodes/a/x", "If-None-Match: \"1\"|edged-hops: 1");
	assert_false(talk.stripped);
	end(&talk, false);
	talk = fetch(&shared, "GET", "/nodes/a/x", "If-None-Match: \"1\"|edged-hops: 2", 200, FRESH, "hello");
	assert_true(talk.stripped && talk.status == 200);
	talk = fetch(&shared, "GET", "/nodes/a/x", "If-None-Match: \"1\"|edged-hops: 2", 0, "", "");
	assert_true(!talk.sent && talk.status == 304);
	talk = begin(&shared, "GET", "/nodes/a/y", "edged-hops: 2");
	assert_false(talk.stripped);
	end(&talk, false);
	shared_fini(&shared);
}

static void odd_answers_to_a_validation(void **state)
{
	(void)state;
	struct shared shared;
	init(&shared, 10, 100000, 10000);
	/* 304 speaks of another body: what is here was asked for, and is not trusted any longer */
	(void)fetch(&shared, "GET", "/nodes/a/x", "", 200, FRESH, "hello");
	clock_ms += 61000;
	struct talk talk = begin(&shared, "GET", "/nodes/a/x", "");
	head(&talk, 304, "ETag: \"2\"|Cache-Control: max-age=100", -1);
	assert_string_equal(talk.body, "hello");
	end(&talk, false);
	assert_int_equal(shared.answers.count, 0);
	/* 304 says that it must not be kept */
	(void)fetch(&shared, "GET", "/nodes/a/x", "", 200, FRESH, "hello");
	clock_ms += 61000;
	talk = begin(&shared, "GET", "/nodes/a/x", "");
	head(&talk, 304, "Cache-Control: no-store", -1);
	assert_string_equal(talk.body, "hello");
	end(&talk, false);
	assert_int_equal(shared.answers.count, 0);
	/* 304 that the client itself asked for */
	talk = begin(&shared, "GET", "/nodes/a/x", "If-None-Match: \"1\"");
	assert_string_equal(talk.sent_tag, "");
	head(&talk, 304, FRESH, -1);
	assert_int_equal(talk.status, 304);
	end(&talk, true);
	assert_int_equal(shared.answers.count, 0);
	/* what is validated is purged meanwhile */
	(void)fetch(&shared, "GET", "/nodes/a/x", "", 200, FRESH, "hello");
	clock_ms += 61000;
	talk = begin(&shared, "GET", "/nodes/a/x", "");
	assert_int_equal(shared_purge(&shared, edged_str("/nodes/a/")), 1);
	head(&talk, 304, "ETag: \"1\"", -1);
	assert_string_equal(talk.body, "hello");
	end(&talk, false);
	assert_int_equal(shared.answers.count + shared.answers.bytes, 0);
	shared_fini(&shared);
}

static void no_cache_is_validated_each_time(void **state)
{
	(void)state;
	struct shared shared;
	init(&shared, 10, 100000, 10000);
	(void)fetch(&shared, "GET", "/nodes/a/x", "", 200, "Cache-Control: no-cache|ETag: \"1\"", "hello");
	for (int i = 0; i < 3; i++) {
		struct talk talk = begin(&shared, "GET", "/nodes/a/x", "Cache-Control: max-stale");
		assert_string_equal(talk.sent_tag, "\"1\"");
		assert_false(talk.shareable); /* nobody else can know it better */
		head(&talk, 304, "", -1);
		assert_string_equal(talk.body, "hello");
		end(&talk, false);
	}
	shared_fini(&shared);
}

/* --- the other node cannot --- */

static void a_stale_answer_is_given_only_when_that_is_allowed(void **state)
{
	(void)state;
	struct shared shared;
	init(&shared, 10, 100000, 10000);
	(void)fetch(&shared, "GET", "/nodes/a/x", "", 200,
	        "Cache-Control: max-age=60, stale-if-error=100|ETag: \"1\"", "hello");
	(void)fetch(&shared, "GET", "/nodes/a/y", "", 200, FRESH, "other");
	clock_ms += 70000;
	struct edged_proxy_answer ret = { .length = -1 };
	struct talk talk = begin(&shared, "GET", "/nodes/a/x", "");
	assert_true(shared_functions()->failed(talk.exchange, &ret));
	see(&talk, &ret);
	assert_status(&talk, "edged-abcdefg; fwd=stale; detail=stale-if-error");
	assert_string_equal(talk.body, "hello");
	end(&talk, false);
	talk = fetch(&shared, "GET", "/nodes/a/x", "", 503, "Cache-Control: max-age=1", "broken");
	assert_status(&talk, "edged-abcdefg; fwd=stale; fwd-status=503; detail=stale-if-error");
	assert_string_equal(talk.body, "hello");
	/* 501 is an answer */
	talk = begin(&shared, "GET", "/nodes/a/x", "");
	head(&talk, 501, "", -1);
	assert_int_equal(talk.status, 501);
	end(&talk, true);
	talk = begin(&shared, "GET", "/nodes/a/y", "");
	assert_false(shared_functions()->failed(talk.exchange, &ret));
	end(&talk, false);
	talk = fetch(&shared, "GET", "/nodes/a/y", "", 503, "", "broken");
	assert_int_equal(talk.status, 503);
	assert_int_equal(shared.answers.count, 2); /* an error does not take it away */
	clock_ms += 100000;
	talk = begin(&shared, "GET", "/nodes/a/x", "");
	assert_false(shared_functions()->failed(talk.exchange, &ret));
	end(&talk, false);
	shared_fini(&shared);
}

/* --- variants --- */

static void answers_are_told_apart_by_what_vary_names(void **state)
{
	(void)state;
	struct shared shared;
	init(&shared, 100, 100000, 10000);
	const char *vary = "Cache-Control: max-age=60|Vary: Accept, X-Unit";
	(void)fetch(&shared, "GET", "/any/s/x", "Accept: a", 200, vary, "a");
	struct talk talk = fetch(&shared, "GET", "/any/s/x", "Accept: b", 200, vary, "b");
	assert_status(&talk, "edged-abcdefg; fwd=vary-miss; stored");
	(void)fetch(&shared, "GET", "/any/s/x", "Accept: a|X-Unit: C", 200, vary, "ac");
	(void)fetch(&shared, "GET", "/any/s/x", "", 200, vary, "none");
	(void)fetch(&shared, "GET", "/any/s/x", "Accept: a|Accept: b", 200, vary, "ab");
	assert_int_equal(shared.answers.count, 5);
	static const char *const rows[][2] = { { "Accept: a", "a" }, { "accept: b", "b" },
		{ "X-Unit: C|Accept: a", "ac" }, { "Other: x", "none" }, { "Accept: a|Accept: b", "ab" } };
	for (size_t i = 0; i < 5; i++) {
		talk = begin(&shared, "GET", "/any/s/x", rows[i][0]);
		assert_string_equal(talk.body, rows[i][1]);
		end(&talk, false);
	}
	static const char *const others[] = { "Accept: A", "Accept: a|X-Unit: F", "X-Unit: C",
		"Accept: b|Accept: a", "Accept: " };
	for (size_t i = 0; i < 5; i++) {
		talk = begin(&shared, "GET", "/any/s/x", others[i]);
		if (!talk.sent)
			fail_msg("%s: %s", others[i], talk.body);
		end(&talk, false);
	}
	/* again for the same: in the place of the old one */
	(void)fetch(&shared, "GET", "/any/s/x", "Cache-Control: no-cache", 200, vary, "new");
	assert_int_equal(shared.answers.count, 5);
	assert_string_equal(fetch(&shared, "GET", "/any/s/x", "", 0, "", "").body, "new");
	/* and no more than some of one URI */
	for (char i = 'A'; i <= 'Z'; i++) {
		char accept[] = "Accept: ?";
		accept[8] = i;
		(void)fetch(&shared, "GET", "/any/s/x", accept, 200, vary, "x");
	}
	assert_int_equal(shared.answers.count, ANSWER_VARIANTS);
	shared_fini(&shared);
	assert_int_equal(shared.answers.bytes, 0);
}

/* --- changes --- */

static void what_changes_something_takes_its_answers_away(void **state)
{
	(void)state;
	static const char *const methods[] = { "POST", "PUT", "DELETE", "PATCH", "FROBNICATE" };
	struct shared shared;
	init(&shared, 10, 100000, 10000);
	assert_null(begin(&shared, "POST", "/nodes/a/x", "").exchange); /* nothing is here */
	for (size_t i = 0; i < 5; i++) {
		(void)fetch(&shared, "GET", "/nodes/a/x", "", 200, FRESH, "hello");
		(void)fetch(&shared, "GET", "/nodes/a/xy", "", 200, FRESH, "other");
		(void)fetch(&shared, methods[i], "/nodes/a/x", "", 500, "", "");
		(void)fetch(&shared, methods[i], "/nodes/a/x", "", 404, "", "");
		assert_int_equal(shared.answers.count, 2);
		(void)fetch(&shared, methods[i], "/nodes/a/x", "", i % 2 ? 204 : 303, "", "");
		assert_int_equal(shared.answers.count, 1);
	}
	/* what began before the change is not kept */
	struct talk get = begin(&shared, "GET", "/nodes/a/x", ""),
	            late = begin(&shared, "GET", "/nodes/a/x", "");
	head(&get, 200, FRESH, 5);
	shared_functions()->data(get.exchange, edged_str("he"));
	(void)fetch(&shared, "POST", "/nodes/a/x", "", 200, "", "");
	shared_functions()->data(get.exchange, edged_str("llo"));
	end(&get, true);
	head(&late, 200, FRESH, 0);
	end(&late, true);
	assert_int_equal(shared.answers.count, 1);
	/* of another account */
	get = begin(&shared, "GET", "/nodes/a/x", "");
	head(&get, 200, FRESH, 0);
	shared_functions()->clear(&shared);
	end(&get, true);
	assert_int_equal(shared.answers.count + shared.answers.bytes, 0);
	shared_fini(&shared);
}

/* --- bounds --- */

static void bounds_hold(void **state)
{
	(void)state;
	static char block[3000];
	struct shared shared;
	memset(block, 'x', sizeof(block));
	init(&shared, 3, 20000, 5000);
	/* too large: told, or seen */
	struct talk talk = begin(&shared, "GET", "/nodes/a/large", "");
	head(&talk, 200, FRESH, 5001);
	assert_status(&talk, "edged-abcdefg; fwd=uri-miss");
	end(&talk, true);
	talk = begin(&shared, "GET", "/nodes/a/large", "");
	head(&talk, 200, FRESH, -1);
	for (int i = 0; i < 3; i++)
		shared_functions()->data(talk.exchange, edged_slice(block, sizeof(block)));
	end(&talk, true);
	assert_int_equal(shared.answers.count + shared.answers.bytes, 0);
	/* too many */
	static const char *const uris[] = { "/1", "/2", "/3", "/4" };
	for (size_t i = 0; i < 4; i++) {
		(void)fetch(&shared, "GET", uris[i], "", 200, FRESH, "x");
		assert_false(fetch(&shared, "GET", "/1", "", 0, "", "").sent); /* used again and again */
	}
	assert_int_equal(shared.answers.count, 3);
	assert_int_equal(shared.answers.evicted, 1);
	assert_true(fetch(&shared, "GET", "/2", "", 200, "", "").sent);
	shared_fini(&shared);
	/* too much, with what still comes */
	init(&shared, 100, 20000, 5000);
	struct talk coming[10];
	for (size_t i = 0; i < 10; i++) {
		static const char *const more[] = { "/0", "/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8",
			"/9" };
		coming[i] = begin(&shared, "GET", more[i], "");
		head(&coming[i], 200, FRESH, sizeof(block));
		shared_functions()->data(coming[i].exchange, edged_slice(block, sizeof(block)));
		assert_true(shared.answers.bytes <= 20000);
	}
	for (size_t i = 0; i < 10; i++)
		end(&coming[i], true);
	assert_in_range(shared.answers.count, 3, 6);
	size_t count = shared.answers.count;
	(void)fetch(&shared, "GET", "/last", "", 200, FRESH, "");
	assert_true(shared.answers.bytes <= 20000 && shared.answers.count >= count - 1);
	assert_false(fetch(&shared, "GET", "/last", "", 0, "", "").sent);
	/* too many headers */
	char fields[600] = FRESH;
	for (int i = 0; i < ANSWER_FIELDS; i++)
		snprintf(fields + strlen(fields), sizeof(fields) - strlen(fields), "|X-%d: y", i);
	talk = fetch(&shared, "GET", "/headers", "", 200, fields, "");
	assert_status(&talk, "edged-abcdefg; fwd=uri-miss");
	shared_fini(&shared);
	assert_int_equal(shared.answers.bytes, 0);
}

static void note(void *arg, struct edged_slice uri, const struct answer *answer)
{
	char *text = arg;
	(void)answer;
	snprintf(text + strlen(text), 100 - strlen(text), "%.*s ", EDGED_SLICE_FMT(uri));
}

static void what_is_here_is_listed_and_purged_by_uri(void **state)
{
	(void)state;
	static const char *const uris[] = { "/nodes/b/1", "/nodes/a/2", "/any/s/1", "/nodes/a/1" };
	struct shared shared;
	char text[100] = "";
	init(&shared, 10, 100000, 10000);
	for (size_t i = 0; i < 4; i++)
		(void)fetch(&shared, "GET", uris[i], "", 200, FRESH, "x");
	answers_each(&shared.answers, edged_slice(NULL, 0), edged_slice(NULL, 0), note, text);
	assert_string_equal(text, "/any/s/1 /nodes/a/1 /nodes/a/2 /nodes/b/1 ");
	*text = 0;
	answers_each(&shared.answers, edged_str("/nodes/"), edged_str("/nodes/a/1"), note, text);
	assert_string_equal(text, "/nodes/a/2 /nodes/b/1 ");
	assert_int_equal(shared_purge(&shared, edged_str("/nodes/a/")), 2);
	assert_int_equal(shared_purge(&shared, edged_str("")), 2);
	assert_int_equal(shared.answers.count + shared.answers.bytes, 0);
	shared_fini(&shared);
}

static void without_memory_a_request_passes(void **state)
{
	(void)state;
	bool failed = true;
	for (long n = 0; failed; n++) {
		struct shared shared;
		init(&shared, 10, 100000, 10000);
		heap_fail_at(n);
		struct talk talk =
		        fetch(&shared, "GET", "/nodes/a/x", "", 200, FRESH "|Vary: Accept", "hello");
		failed = heap_failed();
		heap_fail_at(-1);
		assert_true(talk.sent && (!talk.exchange || talk.status == 200));
		assert_true(failed || shared.answers.count == 1);
		assert_int_equal(shared.answers.bytes > 0, shared.answers.count);
		shared_fini(&shared);
		assert_int_equal(shared.answers.bytes, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_given_again_while_it_is_fresh),
		cmocka_unit_test(only_what_came_whole_is_kept),
		cmocka_unit_test(requests_that_are_not_for_a_cache),
		cmocka_unit_test(a_stale_answer_is_validated),
		cmocka_unit_test(what_other_nodes_validate_is_fetched_whole),
		cmocka_unit_test(odd_answers_to_a_validation),
		cmocka_unit_test(no_cache_is_validated_each_time),
		cmocka_unit_test(a_stale_answer_is_given_only_when_that_is_allowed),
		cmocka_unit_test(answers_are_told_apart_by_what_vary_names),
		cmocka_unit_test(what_changes_something_takes_its_answers_away),
		cmocka_unit_test(bounds_hold),
		cmocka_unit_test(without_memory_a_request_passes),
		cmocka_unit_test(what_is_here_is_listed_and_purged_by_uri),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
