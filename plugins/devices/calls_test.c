/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on a broker, a clock and HTTP clients that do only what the test tells them: every way in which a call ends, once. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "calls.h"
#include "heap.h"
#include "topic.h"

/* --- HTTP: requests are numbers from 1 --- */

enum { REQUESTS = 16 };

static struct {
	int answers, status;
	char type[64], body[64], device[32], retry[8];
	void (*on_gone)(void *arg);
	void *arg;
} requests[REQUESTS];
static const char *timeout_text;
static size_t body_len;
static int problem_result;

static struct edged_slice query(struct edged_host *host, edged_handle request, const char *name)
{
	(void)host, (void)request;
	return strcmp(name, "timeout") == 0 ? edged_str(timeout_text) : edged_slice(NULL, 0);
}

static struct edged_slice header(struct edged_host *host, edged_handle request, const char *name)
{
	(void)host, (void)request, (void)name;
	return edged_str("text/plain");
}

static struct edged_slice body(struct edged_host *host, edged_handle request)
{
	(void)host, (void)request;
	return edged_slice("0123456789abcdef", body_len);
}

static int set_header(struct edged_host *host, edged_handle request, const char *name, const char *value)
{
	(void)host;
	if (strcmp(name, DEVICE_HEADER) == 0)
		snprintf(requests[request].device, sizeof(requests[request].device), "%s", value);
	if (strcmp(name, "Retry-After") == 0)
		snprintf(requests[request].retry, sizeof(requests[request].retry), "%s", value);
	return 0;
}

static void answer(edged_handle request, int status, const char *type, struct edged_slice text)
{
	requests[request].answers++;
	requests[request].status = status;
	requests[request].on_gone = NULL;
	snprintf(requests[request].type, sizeof(requests[request].type), "%s", type ? type : "");
	snprintf(requests[request].body, sizeof(requests[request].body), "%.*s", EDGED_SLICE_FMT(text));
}

static int reply(
        struct edged_host *host, edged_handle request, int status, const char *type, struct edged_slice text)
{
	(void)host;
	answer(request, status, type, text);
	return 0;
}

static int problem(struct edged_host *host, edged_handle request, int status, const char *type,
        const char *title, const char *detail)
{
	(void)host, (void)title;
	assert_non_null(detail);
	if (!problem_result)
		answer(request, status, type, edged_slice(NULL, 0));
	return problem_result;
}

static int on_gone(struct edged_host *host, edged_handle request, void (*gone)(void *arg), void *arg)
{
	(void)host;
	requests[request].on_gone = gone;
	requests[request].arg = arg;
	return 0;
}

static const struct edged_http_1 http = { .struct_size = sizeof(http),
	.query = query,
	.header = header,
	.body = body,
	.set_header = set_header,
	.reply = reply,
	.problem = problem,
	.on_gone = on_gone };

/* --- the clock --- */

struct edged_timer {
	void (*fire)(void *arg);
	void *arg;
	uint64_t ms;
	struct edged_timer *next;
};
static struct edged_timer *timers;

static struct edged_timer *timer_new(struct edged_host *host, void (*fire)(void *arg), void *arg)
{
	(void)host;
	struct edged_timer *timer = calloc(1, sizeof(*timer));
	if (timer)
		*timer = (struct edged_timer){ .fire = fire, .arg = arg, .next = timers };
	return timer ? timers = timer : NULL;
}

static void timer_set(struct edged_timer *timer, uint64_t ms)
{
	timer->ms = ms;
}

static void timer_free(struct edged_timer *timer)
{
	struct edged_timer **at = &timers;
	while (*at != timer)
		at = &(*at)->next;
	*at = timer->next;
	free(timer);
}

static const struct edged_loop_1 loop = {
	.struct_size = sizeof(loop), .timer_new = timer_new, .timer_set = timer_set, .timer_free = timer_free
};

/* --- the broker --- */

static void (*answers)(void *arg, const struct edged_message *message);
static void (*presence)(void *arg, const struct edged_message *message);
static void *deliver_arg;
static bool is_connected, listens;
static int publish_result;
static unsigned published;
static char last_topic[CALL_TOPIC_MAX], last_response[CALL_TOPIC_MAX];
static uint32_t last_expiry;

static int subscribe(void *ctx, struct edged_host *host, const char *filter, uint8_t qos,
        void (*deliver)(void *arg, const struct edged_message *message), void *arg, edged_handle *ret)
{
	(void)ctx, (void)host, (void)qos;
	bool answering = strcmp(filter, "devices/+/answer/#") == 0;
	if (!answering)
		assert_string_equal(filter, "$aws/events/presence/disconnected/+");
	*(answering ? &answers : &presence) = deliver;
	deliver_arg = arg;
	*ret = answering ? 1 : 2;
	return 0;
}

static int unsubscribe(void *ctx, struct edged_host *host, edged_handle subscription)
{
	(void)ctx, (void)host;
	*(subscription == 1 ? &answers : &presence) = NULL;
	return 0;
}

static int publish(void *ctx, struct edged_host *host, const struct edged_message *message,
        void (*done)(void *arg, int result), void *arg)
{
	(void)ctx, (void)host, (void)arg;
	assert_null(done);
	assert_int_equal(message->qos, 0);
	assert_true(edged_slice_is(message->content_type, "text/plain"));
	published += !publish_result;
	snprintf(last_topic, sizeof(last_topic), "%.*s", EDGED_SLICE_FMT(message->topic));
	snprintf(last_response, sizeof(last_response), "%.*s", EDGED_SLICE_FMT(message->response_topic));
	last_expiry = message->expiry;
	return publish_result;
}

static bool wanted(void *ctx, struct edged_host *host, struct edged_slice topic)
{
	(void)ctx, (void)host, (void)topic;
	return listens;
}

static bool connected(void *ctx, struct edged_host *host, struct edged_slice id)
{
	(void)ctx, (void)host, (void)id;
	return is_connected;
}

static const struct edged_pubsub_1 pubsub = { .struct_size = sizeof(pubsub),
	.publish = publish,
	.subscribe = subscribe,
	.unsubscribe = unsubscribe,
	.wanted = wanted,
	.connected = connected };

/* --- figures --- */

static struct {
	const char *name;
	int64_t value;
} figures[16];
static size_t figure_count;

static int64_t *figure(struct edged_host *host, enum edged_metric_type type, const char *name,
        const char *labels, const char *help)
{
	(void)host, (void)type, (void)help;
	figures[figure_count].name = labels ? labels : name;
	figures[figure_count].value = 0;
	return &figures[figure_count++].value;
}

static int64_t value(const char *name)
{
	for (size_t i = 0; i < figure_count; i++)
		if (strcmp(figures[i].name, name) == 0)
			return figures[i].value;
	fail_msg("no figure %s", name);
	return 0;
}

static const struct edged_metrics_1 metrics = { sizeof(metrics), figure };

/* --- the tests --- */

static struct calls *calls;

static int setup(void **state)
{
	(void)state;
	const struct calls_deps deps = { .http = &http,
		.loop = &loop,
		.pubsub = &pubsub,
		.metrics = &metrics,
		.in_flight = 3,
		.of_a_thing = 2,
		.payload = 10,
		.ms = 10000,
		.most_ms = 20000 };
	memset(requests, 0, sizeof(requests));
	timeout_text = NULL;
	body_len = 4;
	problem_result = publish_result = 0;
	is_connected = listens = true;
	published = 0;
	figure_count = 0;
	return calls_new(&deps, &calls) || calls_start(calls);
}

static int teardown(void **state)
{
	(void)state;
	calls_stop(calls);
	assert_null(answers);
	assert_null(presence);
	assert_null(timers);
	assert_int_equal(value("devices_calls_in_flight"), 0);
	calls_free(calls);
	return 0;
}

static void make(edged_handle request, const char *thing)
{
	assert_int_equal(calls_make(calls, request, thing, edged_str("set")), 0);
}

static void expect(edged_handle request, int status, const char *type)
{
	assert_int_equal(requests[request].answers, 1);
	assert_int_equal(requests[request].status, status);
	assert_string_equal(requests[request].type, type);
}

/* A message on the response topic of the last call, or below it. */
static struct edged_message message_from(const char *publisher, const char *payload)
{
	return (struct edged_message){ .struct_size = sizeof(struct edged_message),
		.topic = edged_str(last_response),
		.publisher = edged_str(publisher),
		.payload = edged_str(payload) };
}

static void say(const struct edged_message *message)
{
	answers(deliver_arg, message);
}

static void leave(const char *thing)
{
	char topic[200];
	snprintf(topic, sizeof(topic), "$aws/events/presence/disconnected/%s", thing);
	const struct edged_message message = { .struct_size = sizeof(message), .topic = edged_str(topic) };
	presence(deliver_arg, &message);
}

static void an_answer_ends_its_call(void **state)
{
	(void)state;
	make(1, "lamp");
	assert_int_equal(timers->ms, 10000);
	assert_int_equal(last_expiry, 10);
	assert_memory_equal(last_topic, "devices/lamp/call/set/", 22);
	const struct edged_message message = message_from("lamp", "[1]");
	say(&message);
	expect(1, 200, "application/json");
	assert_string_equal(requests[1].body, "[1]");
	assert_string_equal(requests[1].device, "lamp");
	say(&message);
	assert_int_equal(requests[1].answers, 1);
	assert_int_equal(value("devices_answers_ignored_total"), 1);
	assert_int_equal(value("end=\"answered\""), 1);
}

static void what_an_answer_is(void **state)
{
	(void)state;
	static const struct {
		const char *payload, *said, *type;
		int status;
	} rows[] = {
		{ "", NULL, "", 204 },
		{ "on", NULL, "application/octet-stream", 200 },
		{ "\"on\"", NULL, "application/json", 200 },
		{ "on", "text/plain", "text/plain", 200 },
		{ "on", "a\r\nb: c", "application/octet-stream", 200 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make(i + 1, "lamp");
		struct edged_message message = message_from("lamp", rows[i].payload);
		message.content_type = edged_str(rows[i].said);
		say(&message);
		expect(i + 1, rows[i].status, rows[i].type);
	}
}

static void others_and_the_past_do_not_answer(void **state)
{
	(void)state;
	make(1, "lamp");
	struct edged_message message = message_from("fan", "1");
	say(&message);
	message = message_from("", "1"); /* a plugin, such as a bridge */
	say(&message);
	message = message_from("lamp", "1");
	message.will = true;
	say(&message);
	message.will = false;
	message.retain = true;
	say(&message);
	assert_int_equal(requests[1].answers, 0);
	assert_int_equal(value("devices_answers_ignored_total"), 4);
	message.retain = false;
	say(&message);
	expect(1, 200, "application/json");
}

static void time_ends_a_call(void **state)
{
	(void)state;
	timeout_text = "0.5";
	make(1, "lamp");
	assert_int_equal(timers->ms, 500);
	assert_int_equal(last_expiry, 1);
	timers->fire(timers->arg);
	expect(1, 504, "device-timeout");
	timeout_text = "20.001";
	make(2, "lamp");
	expect(2, 400, "bad-parameter");
}

static void a_device_that_leaves_ends_its_own_calls(void **state)
{
	(void)state;
	make(1, "lamp");
	make(2, "d330"); /* in the same bucket */
	make(3, "lamp");
	leave("lam");
	leave("lamp");
	expect(1, 502, "device-left");
	expect(3, 502, "device-left");
	assert_int_equal(requests[2].answers, 0);
	assert_int_equal(value("end=\"left\""), 2);
}

static void a_caller_that_leaves_ends_its_call(void **state)
{
	(void)state;
	make(1, "lamp");
	requests[1].on_gone(requests[1].arg);
	assert_int_equal(requests[1].answers, 0);
	assert_int_equal(value("end=\"cancelled\""), 1);
	assert_int_equal(value("devices_calls_in_flight"), 0);
}

static void there_are_so_many_calls(void **state)
{
	(void)state;
	make(1, "lamp");
	make(2, "lamp");
	make(3, "lamp");
	expect(3, 429, "too-many-calls");
	assert_string_equal(requests[3].retry, "1");
	make(4, "fan");
	make(5, "fan");
	expect(5, 503, "too-many-calls");
	assert_string_equal(requests[5].device, ""); /* that is the node's */
	assert_int_equal(published, 3);
}

static void what_cannot_go_out_is_told(void **state)
{
	(void)state;
	body_len = 11;
	make(1, "lamp");
	expect(1, 413, "too-large");
	body_len = 10;
	is_connected = false;
	make(2, "lamp");
	expect(2, 503, "device-away");
	is_connected = true;
	listens = false;
	make(3, "lamp");
	expect(3, 503, "device-not-listening");
	listens = true;
	publish_result = -EMSGSIZE;
	make(4, "lamp");
	expect(4, 413, "too-large");
	publish_result = -ENOBUFS;
	make(5, "lamp");
	expect(5, 503, "device-busy");
	assert_int_equal(published, 0);
}

static void calls_are_answered_at_the_end(void **state)
{
	(void)state;
	make(1, "lamp");
	calls_stop(calls);
	expect(1, 503, "stopping");
}

static void a_call_that_cannot_be_answered_is_over_too(void **state)
{
	(void)state;
	make(1, "lamp");
	problem_result = -ENOMEM;
	leave("lamp");
	assert_null(requests[1].on_gone);
}

static void without_memory_nothing_is_kept(void **state)
{
	(void)state;
	for (long n = 0;; n++) {
		heap_fail_at(n);
		int r = calls_make(calls, 1, "lamp", edged_str("set"));
		if (!heap_failed()) {
			heap_fail_at(-1);
			assert_int_equal(r, 0);
			break;
		}
		assert_int_equal(r, -ENOMEM);
		assert_null(timers);
	}
	assert_int_equal(published, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_answer_ends_its_call),
		TEST(what_an_answer_is),
		TEST(others_and_the_past_do_not_answer),
		TEST(time_ends_a_call),
		TEST(a_device_that_leaves_ends_its_own_calls),
		TEST(a_caller_that_leaves_ends_its_call),
		TEST(there_are_so_many_calls),
		TEST(what_cannot_go_out_is_told),
		TEST(calls_are_answered_at_the_end),
		TEST(a_call_that_cannot_be_answered_is_over_too),
		TEST(without_memory_nothing_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
