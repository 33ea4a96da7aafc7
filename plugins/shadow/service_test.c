/* SPDX-License-Identifier: Apache-2.0 */
/* The shadow service on a store and a broker that do only what the test tells them: order, durability,
 * limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "offer.h"
#include "service.h"

/* --- the fakes: one row of store, callbacks kept until the test lets them go
 * ---------------------------------------- */

enum { WAITING = 64, PUBLISHED = 64 };

static struct waiting {
	void (*done)(void *arg, int result);
	void (*found)(void *arg, int result, struct edged_slice value);
	void *arg;
	char key[SHADOW_KEY_MAX];
	size_t key_len;
} waiting[WAITING];
static unsigned waiting_count;
static struct row {
	char key[SHADOW_KEY_MAX];
	size_t key_len;
	char *value;
} rows[8], *last_put;
static char *published[PUBLISHED];
static unsigned published_count;
static bool anyone_listens;
static int64_t figure;

static int put(struct edged_host *host, const char *table, struct edged_slice key, struct edged_slice value)
{
	(void)host;
	(void)table;
	for (size_t i = 0; i < 8; i++) {
		bool same = rows[i].value && edged_slice_eq(key, edged_slice(rows[i].key, rows[i].key_len));
		if (rows[i].value && !same)
			continue;
		free(rows[i].value);
		memcpy(rows[i].key, key.ptr, key.len);
		rows[i].key_len = key.len;
		rows[i].value = strndup(value.ptr, value.len);
		last_put = &rows[i];
		return 0;
	}
	return -ENOSPC;
}

static int commit(struct edged_host *host, void (*done)(void *arg, int result), void *arg)
{
	(void)host;
	waiting[waiting_count++] = (struct waiting){ .done = done, .arg = arg };
	return 0;
}

static int get(struct edged_host *host, const char *table, struct edged_slice key,
        void (*found)(void *arg, int result, struct edged_slice value), void *arg)
{
	(void)host;
	(void)table;
	struct waiting *w = &waiting[waiting_count++];
	*w = (struct waiting){ .found = found, .arg = arg, .key_len = key.len };
	memcpy(w->key, key.ptr, key.len);
	return 0;
}

/* Lets the first call that waits come back. */
static void store_answers(int result)
{
	assert_true(waiting_count > 0);
	struct waiting w = waiting[0];
	memmove(waiting, waiting + 1, --waiting_count * sizeof(w));
	if (w.done) {
		if (result && last_put) { /* none of the batch was kept */
			free(last_put->value);
			last_put->value = NULL;
		}
		w.done(w.arg, result);
		return;
	}
	for (size_t i = 0; !result && i < 8; i++)
		if (rows[i].value && edged_slice_eq(edged_slice(w.key, w.key_len),
		                             edged_slice(rows[i].key, rows[i].key_len))) {
			w.found(w.arg, 0, edged_str(rows[i].value));
			return;
		}
	w.found(w.arg, result ? result : -ENOENT, edged_slice(NULL, 0));
}

static int publish(void *ctx, struct edged_host *host, const struct edged_message *message,
        void (*done)(void *arg, int result), void *arg)
{
	(void)ctx;
	(void)host;
	(void)done;
	(void)arg;
	assert_true(published_count < PUBLISHED);
	assert_true(asprintf(&published[published_count++], "%.*s %.*s", EDGED_SLICE_FMT(message->topic),
	                    EDGED_SLICE_FMT(message->payload)) > 0);
	return 0;
}

static bool wanted(void *ctx, struct edged_host *host, struct edged_slice topic)
{
	(void)ctx;
	(void)host;
	(void)topic;
	return anyone_listens;
}

__attribute__((format(printf, 3, 4))) static void log_nothing(
        struct edged_host *host, enum edged_level level, const char *format, ...)
{
	(void)host;
	(void)level;
	(void)format;
}

static int64_t *one_figure(struct edged_host *host, enum edged_metric_type type, const char *name,
        const char *labels, const char *help)
{
	(void)host;
	(void)type;
	(void)name;
	(void)labels;
	(void)help;
	return &figure;
}

static int64_t noon(void)
{
	return 43200;
}

static const struct edged_store_1 store = {
	.struct_size = sizeof(store), .put = put, .commit = commit, .get = get
};
static const struct edged_pubsub_1 pubsub = {
	.struct_size = sizeof(pubsub), .publish = publish, .wanted = wanted
};
static uint64_t clock_ms = 5000;

static uint64_t loop_now(struct edged_host *host)
{
	(void)host;
	return clock_ms;
}

static const struct edged_loop_1 loop = { .struct_size = sizeof(loop), .now = loop_now };
static const struct edged_log_1 log_1 = { sizeof(log_1), log_nothing };
static const struct edged_metrics_1 metrics = { sizeof(metrics), one_figure };

/* --- the tests
 * -----------------------------------------------------------------------------------------------------------
 */

static struct service *service;
static struct shadow_name lamp;
static int last_code;
static int64_t last_version;
static unsigned answers;
static char last_body[16384];

static bool is_lamp(void *arg, const char *thing)
{
	return strcmp(arg, thing) == 0;
}

static int setup_with(unsigned rate, char *registered)
{
	const struct service_deps deps = { .log = &log_1,
		.store = &store,
		.pubsub = &pubsub,
		.metrics = &metrics,
		.limits = { 8192, 8 },
		.loop = &loop,
		.in_flight = 3,
		.rate = rate,
		.cache_bytes = 2000,
		.payload = 1000,
		.now = noon,
		.registered = registered ? is_lamp : NULL,
		.registered_arg = registered };
	anyone_listens = false;
	answers = 0;
	assert_true(shadow_name_set(&lamp, edged_str("lamp"), edged_str("")));
	return service_new(&deps, &service);
}

static int setup(void **state)
{
	(void)state;
	return setup_with(0, NULL);
}

static int setup_strict(void **state)
{
	(void)state;
	return setup_with(0, "lamp");
}

static int setup_slow(void **state)
{
	(void)state;
	return setup_with(20, NULL);
}

static int teardown(void **state)
{
	(void)state;
	service_free(service);
	for (size_t i = 0; i < 8; i++) {
		free(rows[i].value);
		rows[i].value = NULL;
	}
	while (published_count)
		free(published[--published_count]);
	waiting_count = 0;
	return 0;
}

static void answer(void *arg, const struct shadow_outcome *outcome)
{
	last_version = outcome->version;
	(void)arg;
	answers++;
	last_code = outcome->error->code;
	snprintf(last_body, sizeof(last_body), "%.*s", EDGED_SLICE_FMT(outcome->body));
}

static void ask(const struct shadow_name *name, enum shadow_verb verb, const char *payload, bool mirror)
{
	const struct shadow_call call = { .verb = verb,
		.payload = edged_str(payload),
		.match = SHADOW_MATCH_NONE,
		.mirror = mirror,
		.answer = answer };
	service_run(service, name, &call);
}

static void run(enum shadow_verb verb, const char *payload)
{
	ask(&lamp, verb, payload, true);
}

static void an_update_is_accepted_once_it_is_stored(void **state)
{
	(void)state;
	run(SHADOW_UPDATE, "{\"state\":{\"desired\":{\"led\":\"on\"}}}");
	assert_int_equal(waiting_count, 1); /* it is being read */
	store_answers(0);
	assert_int_equal(waiting_count, 1); /* it is being written */
	assert_int_equal(answers, 0);
	assert_int_equal(published_count, 0);
	store_answers(0);
	assert_int_equal(answers, 1);
	assert_int_equal(last_code, 0);
	assert_int_equal(published_count, 1);
	assert_non_null(strstr(published[0], "$aws/things/lamp/shadow/update/accepted {\"state\""));
}

static void delta_and_documents_are_made_for_those_who_listen(void **state)
{
	(void)state;
	anyone_listens = true;
	run(SHADOW_UPDATE, "{\"state\":{\"desired\":{\"led\":\"on\"}}}");
	store_answers(0);
	store_answers(0);
	assert_int_equal(published_count, 3);
	assert_non_null(strstr(published[1], "/update/delta {"));
	assert_non_null(strstr(published[2], "/update/documents {\"previous\":null"));
}

static void what_could_not_be_stored_did_not_happen(void **state)
{
	(void)state;
	run(SHADOW_UPDATE, "{\"state\":{\"desired\":{\"led\":\"on\"}}}");
	store_answers(0);
	store_answers(-ENOSPC);
	assert_int_equal(last_code, 500);
	assert_non_null(strstr(published[0], "/update/rejected {\"code\":500"));
	run(SHADOW_GET, ""); /* what is in memory is not what is stored: it is read again */
	store_answers(0);
	assert_int_equal(last_code, 404);
	run(SHADOW_UPDATE, "{\"state\":{\"desired\":{\"led\":\"on\"}}}");
	store_answers(0);
	assert_non_null(strstr(last_body, "\"version\":1"));
}

static void a_thing_that_is_not_registered_has_no_shadows(void **state)
{
	(void)state;
	struct shadow_name other;
	assert_true(shadow_name_set(&other, edged_str("fan"), edged_str("")));
	static const char *const payloads[] = { "", "{\"state\":{}}", "" };
	for (int verb = SHADOW_GET; verb <= SHADOW_DELETE; verb++) {
		ask(&other, (enum shadow_verb)verb, payloads[verb], true);
		assert_int_equal(last_code, 404);
		assert_non_null(strstr(last_body, "Thing not found"));
	}
	assert_int_equal(published_count, 3);
	assert_non_null(strstr(published[1], "$aws/things/fan/shadow/update/rejected {\"code\":404"));
	assert_int_equal(waiting_count, 0); /* nothing was read */
	run(SHADOW_UPDATE, "{\"state\":{}}");
	store_answers(0);
	store_answers(0);
	assert_int_equal(last_code, 0);
}

static void settle(void)
{
	while (waiting_count)
		store_answers(0);
}

static void ask_if(int64_t match, enum shadow_verb verb, const char *payload, bool patch)
{
	const struct shadow_call call = { .verb = verb,
		.payload = edged_str(payload),
		.match = match,
		.patch = patch,
		.whole = patch,
		.answer = answer };
	service_run(service, &lamp, &call);
}

static void conditions_hold_on_the_version(void **state)
{
	(void)state;
	ask_if(SHADOW_MATCH_ANY, SHADOW_UPDATE, "{\"state\":{}}", false);
	store_answers(0);
	assert_int_equal(last_code, 412);
	run(SHADOW_UPDATE, "{\"state\":{\"desired\":{\"led\":\"on\"}}}");
	store_answers(0);
	assert_int_equal(last_version, 1);
	ask_if(2, SHADOW_UPDATE, "{\"state\":{}}", false);
	assert_int_equal(last_code, 412);
	ask_if(1, SHADOW_UPDATE, "{\"state\":{\"desired\":{\"led\":\"off\"}}}", false);
	store_answers(0);
	assert_int_equal(last_code, 0);
	assert_int_equal(last_version, 2);
	ask_if(1, SHADOW_DELETE, "", false);
	assert_int_equal(last_code, 412);
	ask_if(SHADOW_MATCH_ANY, SHADOW_DELETE, "", false);
	store_answers(0);
	assert_int_equal(last_code, 0);
}

static void a_merge_patch_changes_the_state(void **state)
{
	(void)state;
	ask_if(SHADOW_MATCH_NONE, SHADOW_UPDATE, "{\"desired\":{\"led\":\"on\",\"n\":1}}", true);
	store_answers(0);
	store_answers(0);
	assert_int_equal(last_code, 0);
	ask_if(SHADOW_MATCH_NONE, SHADOW_UPDATE, "{\"desired\":{\"n\":null},\"reported\":{\"led\":\"on\"}}",
	        true);
	store_answers(0);
	assert_non_null(strstr(
	        last_body, "{\"state\":{\"desired\":{\"led\":\"on\"},\"reported\":{\"led\":\"on\"}},"));
	ask_if(SHADOW_MATCH_NONE, SHADOW_UPDATE, "{\"state\":{}}", true);
	assert_int_equal(last_code, 400);
	ask_if(SHADOW_MATCH_NONE, SHADOW_UPDATE, "[]", true);
	assert_int_equal(last_code, 400);
}

static void a_thing_has_so_many_requests_in_flight(void **state)
{
	(void)state;
	struct shadow_name other;
	assert_true(shadow_name_set(&other, edged_str("lamp"), edged_str("x")));
	ask(&other, SHADOW_GET, "", false);
	run(SHADOW_GET, "");
	run(SHADOW_GET, "");
	run(SHADOW_GET, ""); /* three, on two shadows, are the limit here */
	assert_int_equal(last_code, 429);
	assert_int_equal(answers, 1);
	assert_true(shadow_name_set(&other, edged_str("other"), edged_str("")));
	ask(&other, SHADOW_GET, "", false); /* another thing has its own */
	assert_int_equal(answers, 1);
	settle();
	assert_int_equal(answers, 5);
	run(SHADOW_GET, "");
	settle();
	assert_int_equal(answers, 6);
	assert_int_equal(last_code, 404);
}

static int get_code(const struct shadow_name *name)
{
	ask(name, SHADOW_GET, "", false);
	settle();
	return last_code;
}

static void a_thing_has_its_rate(void **state)
{
	(void)state;
	struct shadow_name named, other;
	assert_true(shadow_name_set(&named, edged_str("lamp"), edged_str("x")));
	assert_true(shadow_name_set(&other, edged_str("other"), edged_str("")));
	for (int i = 0; i < 20; i++)
		assert_int_equal(get_code(i % 2 ? &named : &lamp), 404);
	assert_int_equal(get_code(&lamp), 429);
	assert_int_equal(get_code(&named), 429); /* all its shadows together */
	assert_int_equal(get_code(&other), 404);
	clock_ms += 100; /* what is refused costs nothing */
	assert_int_equal(get_code(&lamp), 404);
	assert_int_equal(get_code(&lamp), 404);
	assert_int_equal(get_code(&lamp), 429);
	clock_ms += 2000;
	for (int i = 0; i < 20; i++)
		assert_int_equal(get_code(&lamp), 404);
	assert_int_equal(get_code(&lamp), 429);
	for (int i = 0; i < 100; i++) { /* others come and are forgotten */
		char text[24];
		snprintf(text, sizeof(text), "thing%d", i);
		assert_true(shadow_name_set(&other, edged_str(text), edged_str("")));
		assert_int_equal(get_code(&other), 404);
		clock_ms += 30;
	}
}

static void a_document_too_large_changes_nothing(void **state)
{
	(void)state;
	char text[900];
	for (int i = 0; i < 10; i++) {
		snprintf(text, sizeof(text), "{\"state\":{\"reported\":{\"k%d\":\"%0800d\"}}}", i, 0);
		run(SHADOW_UPDATE, text);
		settle();
		assert_int_equal(last_code, 0);
	}
	snprintf(text, sizeof(text), "{\"state\":{\"reported\":{\"k10\":\"%0800d\"}}}", 0);
	run(SHADOW_UPDATE, text);
	settle();
	assert_int_equal(last_code, 413);
	run(SHADOW_UPDATE, "{\"state\":{\"desired\":{\"n\":2}},\"version\":10}");
	settle();
	assert_int_equal(last_version, 11);
	run(SHADOW_GET, "");
	settle();
	assert_non_null(strstr(last_body, "\"k9\""));
	assert_null(strstr(last_body, "\"k10\""));
}

static void operations_on_one_shadow_keep_their_order(void **state)
{
	(void)state;
	run(SHADOW_UPDATE, "{\"state\":{\"desired\":{\"n\":1}}}");
	run(SHADOW_UPDATE, "{\"state\":{\"desired\":{\"n\":2}},\"version\":1}");
	run(SHADOW_GET, "");
	assert_int_equal(waiting_count, 1);
	run(SHADOW_GET, "");
	assert_int_equal(last_code, 429);
	store_answers(0);
	store_answers(0);
	assert_int_equal(waiting_count, 1);
	store_answers(0);
	assert_int_equal(answers, 4);
	assert_non_null(strstr(last_body, "\"n\":2"));
	assert_non_null(strstr(last_body, "\"version\":2"));
}

static void a_document_that_left_memory_is_read_again(void **state)
{
	(void)state;
	static const char *const things[] = { "a", "b", "c", "d", "e" };
	for (size_t i = 0; i < 5; i++) {
		struct shadow_name name;
		assert_true(shadow_name_set(&name, edged_str(things[i]), edged_str("")));
		ask(&name, SHADOW_UPDATE, "{\"state\":{\"desired\":{\"x\":1}}}", false);
		store_answers(0);
		store_answers(0);
		assert_int_equal(last_code, 0);
	}
	struct shadow_name first;
	assert_true(shadow_name_set(&first, edged_str("a"), edged_str("")));
	ask(&first, SHADOW_GET, "", false);
	assert_int_equal(waiting_count, 1);
	store_answers(0);
	assert_non_null(strstr(last_body, "\"x\":1"));
}

static void a_deleted_shadow_counts_on(void **state)
{
	(void)state;
	run(SHADOW_UPDATE, "{\"state\":{\"desired\":{\"n\":1}}}");
	store_answers(0);
	store_answers(0);
	run(SHADOW_DELETE, "{\"clientToken\":\"t\"}");
	store_answers(0);
	assert_string_equal(last_body, "{\"version\":1,\"timestamp\":43200,\"clientToken\":\"t\"}");
	run(SHADOW_DELETE, "");
	assert_int_equal(last_code, 404);
	run(SHADOW_UPDATE, "{\"state\":{}}");
	store_answers(0);
	assert_non_null(strstr(last_body, "\"version\":2"));
}

static void a_damaged_row_is_an_error_of_its_own(void **state)
{
	(void)state;
	assert_int_equal(put(NULL, "shadows", edged_slice("lamp\0", 5), edged_str("{\"state\":")), 0);
	run(SHADOW_GET, "");
	store_answers(0);
	assert_int_equal(last_code, 500);
}

static void too_large_a_request_is_not_even_parsed(void **state)
{
	(void)state;
	char text[1100];
	memset(text, ' ', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	run(SHADOW_UPDATE, text);
	assert_int_equal(last_code, 413);
	assert_int_equal(waiting_count, 0);
}

static void waiting_operations_are_answered_at_the_end(void **state)
{
	(void)state;
	run(SHADOW_GET, "");
	run(SHADOW_GET, "");
	service_free(service);
	service = NULL;
	assert_int_equal(answers, 2);
	assert_int_equal(last_code, 500);
}

/* --- "edged.shadow/1" --- */

static struct offer *offer;
static const struct edged_shadow_1 *shadows;

static int setup_offer(void **state)
{
	int r = setup(state);
	if (!r)
		r = offer_new(service, &offer);
	shadows = r ? NULL : offer_capability(offer);
	return r;
}

static int teardown_offer(void **state)
{
	offer_free(offer);
	return teardown(state);
}

static void plugin_answer(void *arg, const struct edged_shadow_result *result)
{
	(void)arg;
	answers++;
	last_code = result->status;
	last_version = result->version;
	snprintf(last_body, sizeof(last_body), "%.*s", EDGED_SLICE_FMT(result->document));
}

static void change_as_plugin(enum edged_shadow_change how, const char *text, int64_t match)
{
	assert_int_equal(shadows->change(shadows->ctx, NULL, edged_str("lamp"), edged_str(""), how,
	                         edged_str(text), match, plugin_answer, NULL),
	        0);
	while (waiting_count)
		store_answers(0);
}

static void a_plugin_merges_and_replaces(void **state)
{
	(void)state;
	change_as_plugin(
	        EDGED_SHADOW_MERGE, "{\"desired\":{\"a\":1},\"reported\":{\"r\":1}}", EDGED_SHADOW_ANY);
	assert_int_equal(last_version, 1);
	change_as_plugin(EDGED_SHADOW_MERGE, "{\"desired\":{\"b\":2}}", 1);
	assert_non_null(strstr(last_body, "\"desired\":{\"a\":1,\"b\":2}"));
	change_as_plugin(EDGED_SHADOW_REPLACE, "{\"desired\":{\"c\":3}}", EDGED_SHADOW_EXISTS);
	assert_int_equal(last_code, 200);
	assert_int_equal(last_version, 3);
	assert_non_null(strstr(last_body, "\"desired\":{\"c\":3}"));
	assert_non_null(strstr(last_body, "\"reported\":{\"r\":1}"));
	change_as_plugin(EDGED_SHADOW_REPLACE, "{\"desired\":{}}", 2);
	assert_int_equal(last_code, 412);
	change_as_plugin(EDGED_SHADOW_REPLACE, "{\"desired\":{}}", 3);
	assert_null(strstr(last_body, "desired"));
}

static void a_plugin_hears_why_not(void **state)
{
	(void)state;
	change_as_plugin(EDGED_SHADOW_MERGE, "{\"desired\":{}}", EDGED_SHADOW_EXISTS);
	assert_int_equal(last_code, 412);
	change_as_plugin(EDGED_SHADOW_MERGE, "{", EDGED_SHADOW_ANY);
	assert_int_equal(last_code, 400);
	assert_int_equal(
	        shadows->get(shadows->ctx, NULL, edged_str("#"), edged_str(""), plugin_answer, NULL), 0);
	assert_int_equal(last_code, 400);
	assert_int_equal(answers, 3);
}

static void a_plugin_that_stops_hears_nothing_more(void **state)
{
	(void)state;
	struct edged_host here = { 0 }, there = { 0 };
	assert_int_equal(
	        shadows->get(shadows->ctx, &here, edged_str("lamp"), edged_str(""), plugin_answer, NULL), 0);
	assert_int_equal(
	        shadows->get(shadows->ctx, &there, edged_str("lamp"), edged_str(""), plugin_answer, NULL), 0);
	shadows->forget(shadows->ctx, &here);
	store_answers(0);
	assert_int_equal(answers, 1);
	assert_int_equal(last_code, 404);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_update_is_accepted_once_it_is_stored, setup, teardown),
		cmocka_unit_test_setup_teardown(
		        delta_and_documents_are_made_for_those_who_listen, setup, teardown),
		cmocka_unit_test_setup_teardown(what_could_not_be_stored_did_not_happen, setup, teardown),
		cmocka_unit_test_setup_teardown(
		        a_thing_that_is_not_registered_has_no_shadows, setup_strict, teardown),
		cmocka_unit_test_setup_teardown(conditions_hold_on_the_version, setup, teardown),
		cmocka_unit_test_setup_teardown(a_merge_patch_changes_the_state, setup, teardown),
		cmocka_unit_test_setup_teardown(a_thing_has_its_rate, setup_slow, teardown),
		cmocka_unit_test_setup_teardown(a_thing_has_so_many_requests_in_flight, setup, teardown),
		cmocka_unit_test_setup_teardown(a_document_too_large_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(operations_on_one_shadow_keep_their_order, setup, teardown),
		cmocka_unit_test_setup_teardown(a_document_that_left_memory_is_read_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_deleted_shadow_counts_on, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_row_is_an_error_of_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(too_large_a_request_is_not_even_parsed, setup, teardown),
		cmocka_unit_test_setup_teardown(waiting_operations_are_answered_at_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(a_plugin_merges_and_replaces, setup_offer, teardown_offer),
		cmocka_unit_test_setup_teardown(a_plugin_hears_why_not, setup_offer, teardown_offer),
		cmocka_unit_test_setup_teardown(
		        a_plugin_that_stops_hears_nothing_more, setup_offer, teardown_offer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
