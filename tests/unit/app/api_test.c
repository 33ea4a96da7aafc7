/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's own REST paths and its stream of events, with the real router and no sockets. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "conf/tables.h"
#include "core/router.h"
#include "events.h"
#include "heap.h"
#include "io/loop.h"
#include "plugin/host.h"
#include "plugin/metrics.h"

/* --- a front end that notes what it is told --- */

struct client {
	int status;
	bool ended, ok;
	size_t waiting; /* what it says still waits to be sent */
	struct buf body;
};

static void head(void *front, int status, const struct header *headers, size_t count, int64_t length)
{
	(void)headers;
	(void)count;
	(void)length;
	((struct client *)front)->status = status;
}

static size_t body(void *front, struct edged_slice bytes)
{
	struct client *client = front;
	(void)buf_add(&client->body, bytes.ptr, bytes.len);
	return client->waiting;
}

static void end(void *front, bool ok)
{
	struct client *client = front;
	client->ended = true;
	client->ok = ok;
}

static const struct request_front front = { .head = head, .body = body, .end = end };

/* --- the world --- */

static struct world {
	struct requests *requests;
	struct router *router;
	struct conf *conf;
	struct metrics *metrics;
	struct events *events;
	struct loops *loops;
	struct plugins *plugins;
	struct api *api;
	bool ready;
} w;

static const struct edged_peer peer = { .struct_size = sizeof(peer), .address = "test", .loopback = true };

static uint64_t now(void *arg)
{
	(void)arg;
	return 1;
}

static int node_json(void *arg, struct buf *out)
{
	(void)arg;
	return buf_add_str(out, "\"id\":\"abc\"");
}

static bool is_ready(void *arg, struct buf *reasons)
{
	(void)arg;
	if (!w.ready)
		(void)buf_add_str(reasons, "\"not yet\"");
	return w.ready;
}

static int make(void)
{
	static const struct request_limits limits = {
		.open = 200, .streams = 200, .answer_ms = 1000, .stream_mark = 1000, .stream_limit = 2000
	};
	struct conf_findings findings = { 0 };
	struct err err = { "" };
	int r = requests_new(&limits, now, NULL, &w.requests);
	if (!r)
		r = router_new(w.requests, &w.router);
	if (!r)
		r = conf_new(&w.conf);
	if (!r)
		r = conf_declare_daemon(w.conf, &findings);
	if (!r)
		r = metrics_new(&w.metrics);
	if (!r)
		r = events_new(w.requests, &w.events);
	if (!r)
		r = loops_new(1, &w.loops);
	if (!r)
		r = plugins_new(&(struct plugins_deps){ .loops = w.loops,
		                        .requests = w.requests,
		                        .router = w.router,
		                        .conf = w.conf,
		                        .metrics = w.metrics },
		        &w.plugins);
	if (!r)
		r = api_new(&(struct api_deps){ .requests = w.requests,
		                    .router = w.router,
		                    .conf = w.conf,
		                    .plugins = w.plugins,
		                    .metrics = w.metrics,
		                    .events = w.events,
		                    .node_json = node_json,
		                    .ready = is_ready },
		        &w.api, &err);
	conf_findings_fini(&findings);
	return r;
}

static void unmake(void)
{
	api_free(w.api);
	plugins_free(w.plugins);
	loops_free(w.loops);
	if (w.requests)
		(void)requests_abandon(w.requests, NULL);
	events_free(w.events);
	metrics_free(w.metrics);
	conf_free(w.conf);
	router_free(w.router);
	requests_free(w.requests);
	w = (struct world){ 0 };
}

static int setup(void **state)
{
	(void)state;
	return make();
}

static int teardown(void **state)
{
	(void)state;
	unmake();
	return 0;
}

static edged_handle ask(struct client *client, const char *target, const char *last_event_id)
{
	const struct header headers[] = { { edged_str("Last-Event-ID"), edged_str(last_event_id) } };
	edged_handle handle = 0;
	*client = (struct client){ .body = BUF_EMPTY };
	struct request_init init = { .method = edged_str("GET"),
		.target = edged_str(target),
		.headers = headers,
		.header_count = last_event_id != NULL,
		.peer = &peer,
		.front = &front,
		.front_data = client };
	if (requests_open(w.requests, &init, &handle) == 0)
		router_dispatch(w.router, handle);
	return handle;
}

static json_t *ask_json(const char *target, int status)
{
	struct client client;
	ask(&client, target, NULL);
	assert_int_equal(client.status, status);
	assert_true(client.ended && client.ok);
	json_t *answer = json_loadb(client.body.ptr, client.body.len, 0, NULL);
	if (!answer)
		fail_msg("%s: no JSON: %.*s", target, (int)client.body.len, client.body.ptr);
	buf_fini(&client.body);
	return answer;
}

/* --- tests --- */

static void each_path_answers(void **state)
{
	(void)state;
	static const char *const paths[] = { "/healthz", "/openapi.json", "/edge/v1/node",
		"/edge/v1/services", "/edge/v1/plugins", "/edge/v1/config" };
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		json_decref(ask_json(paths[i], 200));
	json_t *node = ask_json("/edge/v1/node", 200);
	assert_string_equal(json_string_value(json_object_get(node, "id")), "abc");
	json_decref(node);
	json_t *document = ask_json("/openapi.json", 200);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		assert_non_null(json_object_get(json_object_get(document, "paths"), paths[i]));
	json_decref(document);
	struct client client;
	ask(&client, "/metrics", NULL);
	assert_int_equal(client.status, 200);
	assert_non_null(strstr(client.body.ptr, "edged_plugins_running 0\n"));
	buf_fini(&client.body);
}

static void readiness_has_reasons(void **state)
{
	(void)state;
	json_t *answer = ask_json("/readyz", 503);
	assert_string_equal(json_string_value(json_array_get(json_object_get(answer, "node"), 0)), "not yet");
	json_decref(answer);
	w.ready = true;
	assert_int_equal(plugins_start(w.plugins), 0);
	answer = ask_json("/readyz", 200);
	assert_int_equal(json_array_size(json_object_get(answer, "node")), 0);
	json_decref(answer);
}

static void emit(int n)
{
	char json[32];
	snprintf(json, sizeof(json), "{\"n\":%d}", n);
	events_emit(w.events, "test", edged_str(json));
}

static void events_reach_who_watches(void **state)
{
	(void)state;
	static struct client early, late, back; /* the teardown ends their streams */
	ask(&early, "/edge/v1/events", NULL);
	for (int i = 1; i <= 3; i++)
		emit(i);
	ask(&late, "/edge/v1/events", NULL);
	ask(&back, "/edge/v1/events", "1");
	emit(4);
	assert_non_null(strstr(early.body.ptr, "id: 1\nevent: test\ndata: {\"time\":"));
	assert_non_null(strstr(early.body.ptr, "\"data\":{\"n\":4}}\n\n"));
	assert_null(strstr(late.body.ptr, "id: 3\n"));
	assert_non_null(strstr(late.body.ptr, "id: 4\n"));
	assert_null(strstr(back.body.ptr, "id: 1\n"));
	assert_non_null(strstr(back.body.ptr, "id: 2\n"));
	assert_non_null(strstr(back.body.ptr, "id: 4\n"));
	assert_false(early.ended || late.ended || back.ended);
	buf_fini(&early.body);
	buf_fini(&late.body);
	buf_fini(&back.body);
}

/* Of more events than are kept the last 256 come; nonsense in the header is no wish. */
static void old_events_are_forgotten(void **state)
{
	(void)state;
	static struct client back, nonsense;
	for (int i = 1; i <= 300; i++)
		emit(i);
	ask(&back, "/edge/v1/events", "1");
	assert_null(strstr(back.body.ptr, "id: 44\n"));
	assert_non_null(strstr(back.body.ptr, "id: 45\n"));
	assert_non_null(strstr(back.body.ptr, "id: 300\n"));
	ask(&nonsense, "/edge/v1/events", "1x");
	assert_null(strstr(nonsense.body.ptr, "id:"));
	buf_fini(&back.body);
	buf_fini(&nonsense.body);
}

static void watchers_have_limits(void **state)
{
	(void)state;
	static struct client clients[65];
	edged_handle handles[65];
	for (int i = 0; i < 64; i++) {
		handles[i] = ask(&clients[i], "/edge/v1/events", NULL);
		assert_int_equal(clients[i].status, 200);
	}
	ask(&clients[64], "/edge/v1/events", NULL);
	assert_int_equal(clients[64].status, 503);
	assert_non_null(strstr(clients[64].body.ptr, "too-many-watchers"));
	buf_fini(&clients[64].body);
	requests_gone(w.requests, handles[0]); /* one leaves, and there is a place */
	handles[64] = ask(&clients[64], "/edge/v1/events", NULL);
	assert_int_equal(clients[64].status, 200);
	clients[1].waiting = 100000; /* one that does not read is ended, the others go on */
	emit(1);
	emit(2);
	assert_true(clients[1].ended);
	assert_false(clients[2].ended);
	assert_non_null(strstr(clients[2].body.ptr, "id: 2\n"));
	assert_null(strstr(clients[0].body.ptr, "id: 1\n"));
	for (int i = 0; i < 65; i++)
		buf_fini(&clients[i].body);
}

static void work(void)
{
	static const char *const paths[] = { "/healthz", "/readyz", "/metrics", "/openapi.json",
		"/edge/v1/node", "/edge/v1/plugins", "/edge/v1/config", "/edge/v1/events" };
	if (make())
		return;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		static struct client client;
		ask(&client, paths[i], NULL);
		emit((int)i);
		buf_fini(&client.body);
	}
}

/* Each allocation fails once: no crash, no leak, and nobody is left without an answer. */
static void every_lack_of_memory_is_survived(void **state)
{
	(void)state;
	if (!heap_can_fail())
		skip();
	for (long n = 0;; n++) {
		heap_fail_at(n);
		work();
		bool failed = heap_failed();
		heap_fail_at(-1);
		unmake();
		if (!failed)
			break;
		assert_true(n < 20000);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_path_answers),
		TEST(readiness_has_reasons),
		TEST(events_reach_who_watches),
		TEST(old_events_are_forgotten),
		TEST(watchers_have_limits),
		cmocka_unit_test(every_lack_of_memory_is_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
