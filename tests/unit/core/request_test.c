/* SPDX-License-Identifier: Apache-2.0 */
/* core/: targets, templates, requests and routes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/buf.h"
#include "core/problem.h"
#include "core/request.h"
#include "core/router.h"
#include "core/target.h"
#include "core/template.h"
#include "heap.h"

/* --- a front end that notes what it is told
 * ------------------------------------------------------------------- */

struct fake_front {
	int heads, ends, status;
	bool ok;
	int64_t length;
	size_t waiting; /* what body() reports */
	int wanted;
	size_t taken;
	struct buf headers, body;
};

static void fake_head(void *front, int status, const struct header *headers, size_t count, int64_t length)
{
	struct fake_front *fake = front;
	fake->heads++;
	fake->status = status;
	fake->length = length;
	for (size_t i = 0; i < count; i++)
		buf_addf(&fake->headers, "%.*s: %.*s\n", EDGED_SLICE_FMT(headers[i].name),
		        EDGED_SLICE_FMT(headers[i].value));
}

static size_t fake_body(void *front, struct edged_slice bytes)
{
	struct fake_front *fake = front;
	assert_int_equal(fake->heads, 1);
	buf_add(&fake->body, bytes.ptr, bytes.len);
	fake->waiting += bytes.len;
	return fake->waiting;
}

static void fake_end(void *front, bool ok)
{
	struct fake_front *fake = front;
	assert_int_equal(fake->heads, 1);
	fake->ends++;
	fake->ok = ok;
}

static void fake_body_wanted(void *front, size_t n)
{
	struct fake_front *fake = front;
	fake->wanted++;
	fake->taken += n;
}

static const struct request_front fake_functions = {
	.head = fake_head, .body = fake_body, .end = fake_end, .body_wanted = fake_body_wanted
};

/* --- a small world
 * --------------------------------------------------------------------------------------------- */

struct world {
	uint64_t now;
	uint64_t woken; /* ms that wake asked for, UINT64_MAX: not yet */
	struct requests *requests;
	struct router *router;
	struct fake_front front;
	struct edged_peer peer;
	unsigned hops;
	/* what the routes below saw */
	edged_handle later;
	char seen[256];
	int gone, room, result;
	unsigned entered, left;
};

static struct world *world; /* the one of the running test */

static uint64_t fake_now(void *arg)
{
	return ((struct world *)arg)->now;
}

static void fake_wake(void *arg, uint64_t ms)
{
	((struct world *)arg)->woken = ms;
}

static int setup(void **state)
{
	world = calloc(1, sizeof(*world));
	world->now = 1000;
	world->woken = UINT64_MAX;
	static const struct request_limits limits = { .open = 4,
		.streams = 2,
		.answer_ms = 500,
		.stream_mark = 10,
		.stream_limit = 20,
		.body = 20,
		.bodies = 30 };
	assert_int_equal(requests_new(&limits, fake_now, world, &world->requests), 0);
	requests_on_wake(world->requests, fake_wake, world);
	assert_int_equal(router_new(world->requests, &world->router), 0);
	*state = world;
	return 0;
}

static void reset_front(void)
{
	buf_fini(&world->front.headers);
	buf_fini(&world->front.body);
	world->front = (struct fake_front){ 0 };
}

static int teardown(void **state)
{
	(void)state;
	router_free(world->router);
	requests_free(world->requests);
	reset_front();
	free(world);
	return 0;
}

static edged_handle open_with(
        const char *method, const char *target, const struct header *headers, size_t count)
{
	reset_front();
	struct request_init init = { .method = edged_str(method),
		.target = edged_str(target),
		.headers = headers,
		.header_count = count,
		.body = edged_str("the body"),
		.peer = &world->peer,
		.front = &fake_functions,
		.front_data = &world->front,
		.hops = world->hops };
	edged_handle handle = 0;
	int r = requests_open(world->requests, &init, &handle);
	return r ? 0 : handle;
}

static edged_handle open_one(const char *method, const char *target)
{
	return open_with(method, target, NULL, 0);
}

/* Sends one request through the router; returns the status, 0 while there is none. */
static int ask(const char *method, const char *target)
{
	edged_handle handle = open_one(method, target);
	assert_int_not_equal(handle, 0);
	router_dispatch(world->router, handle);
	return world->front.status;
}

#define assert_slice(slice, text)                                                                            \
	do {                                                                                                 \
		struct edged_slice s_ = (slice);                                                             \
		assert_non_null(s_.ptr);                                                                     \
		assert_int_equal(s_.len, strlen(text));                                                      \
		assert_memory_equal(s_.ptr, text, s_.len);                                                   \
	} while (0)

static void assert_contains(const struct buf *buf, const char *text)
{
	if (!buf->ptr || !strstr(buf->ptr, text))
		fail_msg("no '%s' in '%s'", text, buf->ptr ? buf->ptr : "");
}

/* --- targets
 * ---------------------------------------------------------------------------------------------------- */

static void targets_are_decoded(void **state)
{
	(void)state;
	static const struct {
		const char *raw, *path, *segments; /* segments with '|' for NUL; path NULL: refused */
	} rows[] = {
		{ "/", "/", "|" },
		{ "/a/b", "/a/b", "|a|b" },
		{ "/a%2Fb/c%20d?x", "/a/b/c d", "|a/b|c d" },
		{ "http://host:80/a/", "/a/", "|a|" },
		{ "HTTPS://host", "/", "|" },
		{ "/l\xc3\xa4mp", "/l\xc3\xa4mp", "|l\xc3\xa4mp" },
		{ "*", "*", "*" },
		{ "", NULL, NULL },
		{ "a", NULL, NULL },
		{ "host:80", NULL, NULL },
		{ "http://host?x", NULL, NULL },
		{ "/%", NULL, NULL },
		{ "/%4", NULL, NULL },
		{ "/%4x", NULL, NULL },
		{ "/%00", NULL, NULL },
		{ "/a b", NULL, NULL },
		{ "/a\tb", NULL, NULL },
		{ "/a#b", NULL, NULL },
		{ "/?a=%zz", NULL, NULL },
		{ "/?a=%00", NULL, NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct edged_slice raw = edged_str(rows[i].raw);
		CLEANUP(free_charp) char *memory = malloc(target_memory(raw));
		struct target target;
		int r = target_parse(raw, memory, &target);
		assert_int_equal(r, rows[i].path ? 0 : -EINVAL);
		if (r)
			continue;
		assert_slice(target.path, rows[i].path);
		char segments[64] = "";
		for (size_t n = 0; n < target.segments.len; n++)
			segments[n] = target.segments.ptr[n] ? target.segments.ptr[n] : '|';
		assert_string_equal(segments, rows[i].segments);
	}
}

static void queries_are_decoded(void **state)
{
	(void)state;
	edged_handle handle = open_one("GET", "/?a=1&b&&c=&d=x%26y=z&%65=+&a=2&f");
	struct requests *requests = world->requests;
	assert_slice(request_query(requests, handle, "a"), "1");
	assert_slice(request_query(requests, handle, "b"), "");
	assert_slice(request_query(requests, handle, "c"), "");
	assert_slice(request_query(requests, handle, "d"), "x&y=z");
	assert_slice(request_query(requests, handle, "e"), "+");
	assert_slice(request_query(requests, handle, "f"), "");
	assert_null(request_query(requests, handle, "1").ptr);
	assert_null(request_query(requests, handle, "").ptr);
	requests_gone(requests, handle);
	assert_null(request_query(requests, handle, "a").ptr);
}

/* --- templates
 * -------------------------------------------------------------------------------------------------- */

static void templates_are_judged(void **state)
{
	(void)state;
	static const char *const good[] = { "/", "/a", "/a/", "/a/{b}", "/{a}/{b_2...}", "/$a/b.json" };
	static const char *const bad[] = { "", "a", "//", "/a//b", "/{}", "/{...}", "/{a...}/b", "/{a}/{a}",
		"/a{b}", "/{a b}", "/{1}", "/a?b", "/a%20", "/a b", "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}" };
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(template_check(good[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = { "" };
		assert_int_equal(template_check(bad[i], &err), -EINVAL);
		assert_true(err.text[0]);
	}
	assert_int_equal(template_compare("/a/{x}", "/a/{y}"), 0);
	assert_true(template_compare("/a/b", "/a/{y}") < 0);
	assert_true(template_compare("/a/{y}", "/a/{y...}") < 0);
	assert_true(template_compare("/a/z", "/a/{y}") < 0);
	assert_true(template_compare("/a", "/a/{y...}") < 0);
}

/* --- routes
 * ----------------------------------------------------------------------------------------------------- */

static int serve_echo(void *self, edged_handle handle)
{
	struct requests *requests = world->requests;
	snprintf(world->seen, sizeof(world->seen), "%s x=%.*s rest=%.*s", (const char *)self,
	        EDGED_SLICE_FMT(request_param(requests, handle, "x")),
	        EDGED_SLICE_FMT(request_param(requests, handle, "rest")));
	/* the body of the answer may lie in the request itself */
	return request_reply(requests, handle, 200, "text/plain", request_body(requests, handle));
}

static int serve_later(void *self, edged_handle handle)
{
	(void)self;
	world->later = handle;
	return 0;
}

static int serve_failing(void *self, edged_handle handle)
{
	(void)self;
	(void)handle;
	return world->result;
}

static void on_gone(void *arg)
{
	((struct world *)arg)->gone++;
}

static void on_room(void *arg)
{
	((struct world *)arg)->room++;
}

static int serve_stream(void *self, edged_handle handle)
{
	(void)self;
	world->later = handle;
	return request_stream_begin(
	        world->requests, handle, 200, "text/event-stream", on_room, on_gone, world);
}

static const struct edged_route core_routes[] = {
	{ "GET", "/healthz", serve_echo, NULL, NULL, EDGED_SCOPE_NODE, 0 },
	{ "*", "/nodes/{x}/{rest...}", serve_echo, NULL, NULL, EDGED_SCOPE_NODE, 0 },
	{ NULL, NULL, NULL, NULL, NULL, EDGED_SCOPE_ACCOUNT, 0 },
};

static const struct edged_route plugin_routes[] = {
	{ "GET", "/things/{x}/shadow", serve_echo, "reads", NULL, EDGED_SCOPE_ACCOUNT, 0 },
	{ "POST", "/things/{thing}/shadow", serve_echo, NULL, NULL, EDGED_SCOPE_ACCOUNT, 0 },
	{ "GET", "/things/all/shadow", serve_failing, NULL, NULL, EDGED_SCOPE_ACCOUNT, 0 },
	{ "POST", "/topics/{rest...}", serve_echo, NULL, NULL, EDGED_SCOPE_LINK_LOCAL, 0 },
	{ "GET", "/near", serve_echo, NULL, NULL, EDGED_SCOPE_PROXIMITY, 0 },
	{ "GET", "/mine", serve_echo, NULL, NULL, EDGED_SCOPE_NODE, 0 },
	{ "GET", "/later", serve_later, NULL, NULL, EDGED_SCOPE_ACCOUNT, 0 },
	{ "GET", "/stream", serve_stream, NULL, NULL, EDGED_SCOPE_ACCOUNT, 0 },
	{ "GET", "/fail", serve_failing, NULL, NULL, EDGED_SCOPE_ACCOUNT, 0 },
	{ NULL, NULL, NULL, NULL, NULL, EDGED_SCOPE_ACCOUNT, 0 },
};

static const int core_id, plugin_id, other_id;
static const struct route_owner core_owner = { "edged", &core_id, (void *)"core", true };
static const struct route_owner plugin_owner = { "shadow", &plugin_id, (void *)"plugin", false };
static const struct route_owner other_owner = { "other", &other_id, (void *)"other", false };

static void add_all(void)
{
	assert_int_equal(
	        router_add(world->router, &core_owner, core_routes, sizeof(core_routes[0]), NULL), 0);
	assert_int_equal(
	        router_add(world->router, &plugin_owner, plugin_routes, sizeof(plugin_routes[0]), NULL), 0);
}

static void routes_are_found(void **state)
{
	(void)state;
	add_all();
	static const struct {
		const char *method, *target;
		int status;
		const char *seen;
	} rows[] = {
		{ "GET", "/things/lamp/shadow", 200, "plugin x=lamp rest=" },
		{ "GET", "/things/a%2Fb/shadow?name=n", 200, "plugin x=a/b rest=" },
		{ "GET", "/th%69ngs/l/shadow", 200, "plugin x=l rest=" },
		{ "POST", "/things/all/shadow", 200, "plugin x= rest=" },
		{ "POST", "/topics/a/b%2Fc/d", 200, "plugin x= rest=a/b/c/d" },
		{ "POST", "/topics/", 200, "plugin x= rest=" },
		{ "POST", "/topics", 200, "plugin x= rest=" },
		{ "DELETE", "/nodes/n1/things/l", 200, "core x=n1 rest=things/l" },
		{ "OPTIONS", "/nodes/n1/", 200, "core x=n1 rest=" },
		{ "GET", "/things//shadow", 404, "" },
		{ "GET", "/things/a/b/shadow", 404, "" },
		{ "GET", "/nodes", 404, "" },
		{ "GET", "/", 404, "" },
		{ "GET", "/things/lamp/shadow/", 404, "" },
		{ "DELETE", "/things/lamp/shadow", 405, "" },
		{ "get", "/healthz", 405, "" },
		{ "OPTIONS", "/healthz", 204, "" },
		{ "OPTIONS", "*", 204, "" },
		{ "GET", "*", 400, "" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		world->seen[0] = '\0';
		assert_int_equal(ask(rows[i].method, rows[i].target), rows[i].status);
		assert_string_equal(world->seen, rows[i].seen);
		assert_int_equal(world->front.ends, 1);
		assert_true(world->front.ok);
		if (rows[i].status == 200)
			assert_string_equal(world->front.body.ptr, "the body");
	}
	assert_int_equal(requests_counts(world->requests).open, 0);
}

static void other_methods_are_named(void **state)
{
	(void)state;
	add_all();
	assert_int_equal(ask("DELETE", "/things/all/shadow"), 405);
	assert_contains(&world->front.headers, "Allow: GET, HEAD, POST, OPTIONS\n");
	assert_contains(&world->front.headers, "Content-Type: application/problem+json\n");
	assert_contains(&world->front.body, "\"type\":\"urn:edged:problem:method-not-allowed\"");
	assert_contains(&world->front.body, "\"status\":405");
	assert_contains(&world->front.body, "\"instance\":\"/things/all/shadow\"");
	assert_int_equal(ask("OPTIONS", "/near"), 204);
	assert_contains(&world->front.headers, "Allow: GET, HEAD, OPTIONS\n");
	assert_int_equal(world->front.length, 0);
}

static void head_is_get_without_body(void **state)
{
	(void)state;
	add_all();
	assert_int_equal(ask("HEAD", "/near"), 200);
	assert_int_equal(world->front.length, 8);
	assert_int_equal(world->front.body.len, 0);
	assert_int_equal(ask("HEAD", "/nothing"), 404);
	assert_true(world->front.length > 20);
	assert_int_equal(world->front.body.len, 0);
}

static void missing_paths_get_hints(void **state)
{
	(void)state;
	add_all();
	assert_int_equal(ask("GET", "/near/"), 404);
	assert_contains(&world->front.body, "without the '/'");
	router_remove(world->router, &plugin_id);
	assert_int_equal(ask("GET", "/things/lamp/shadow"), 404);
	assert_contains(&world->front.body, "urn:edged:problem:service-stopped");
	assert_contains(&world->front.body, "'shadow'");
	assert_int_equal(ask("GET", "/healthz"), 200);
	assert_int_equal(
	        router_add(world->router, &plugin_owner, plugin_routes, sizeof(plugin_routes[0]), NULL), 0);
	assert_int_equal(ask("GET", "/things/lamp/shadow"), 200);
}

static void former_plugins_are_bounded(void **state)
{
	(void)state;
	static const struct edged_route routes[] = {
		{ "GET", "/once", serve_echo, NULL, NULL, EDGED_SCOPE_ACCOUNT, 0 },
		{ NULL, NULL, NULL, NULL, NULL, EDGED_SCOPE_ACCOUNT, 0 },
	};
	for (int i = 0; i < 100; i++) {
		char name[16];
		snprintf(name, sizeof(name), "p%d", i);
		struct route_owner owner = { name, name, NULL, false };
		assert_int_equal(router_add(world->router, &owner, routes, sizeof(routes[0]), NULL), 0);
		router_remove(world->router, name);
	}
	assert_int_equal(ask("GET", "/once"), 404);
	assert_contains(&world->front.body, "'p99'");
}

static void tables_are_all_or_nothing(void **state)
{
	(void)state;
	add_all();
	static const struct {
		struct edged_route second;
		int result;
		const char *word;
	} rows[] = {
		{ { "GET", "/things/{y}/shadow", serve_echo, NULL, NULL, 0, 0 }, -EEXIST, "shadow" },
		{ { "*", "/things/{y}/shadow", serve_echo, NULL, NULL, 0, 0 }, -EEXIST, "shadow" },
		{ { "GET", "/first", serve_echo, NULL, NULL, 0, 0 }, -EEXIST, "other" },
		{ { "GET", "/edge/v1/x", serve_echo, NULL, NULL, 0, 0 }, -EACCES, "daemon" },
		{ { "GET", "/metrics", serve_echo, NULL, NULL, 0, 0 }, -EACCES, "daemon" },
		{ { "GET", "/{all...}", serve_echo, NULL, NULL, 0, 0 }, -EACCES, "daemon" },
		{ { "GET", "no", serve_echo, NULL, NULL, 0, 0 }, -EINVAL, "'/'" },
		{ { "get", "/x", serve_echo, NULL, NULL, 0, 0 }, -EINVAL, "method" },
		{ { "", "/x", serve_echo, NULL, NULL, 0, 0 }, -EINVAL, "method" },
		{ { "GET", "/x", NULL, NULL, NULL, 0, 0 }, -EINVAL, "function" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct edged_route routes[] = { { "GET", "/first", serve_echo, NULL, NULL,
			                                      EDGED_SCOPE_ACCOUNT, 0 },
			rows[i].second, { 0 } };
		struct err err = { "" };
		assert_int_equal(router_add(world->router, &other_owner, routes, sizeof(routes[0]), &err),
		        rows[i].result);
		assert_non_null(strstr(err.text, rows[i].word));
		assert_int_equal(ask("GET", "/first"), 404);
	}
	assert_int_equal(router_add(world->router, &other_owner, plugin_routes, 8, NULL), -EINVAL);
	assert_int_equal(router_add(world->router, &other_owner, NULL, 0, NULL), 0);
}

static void adding_survives_lack_of_memory(void **state)
{
	(void)state;
	if (!heap_can_fail())
		skip();
	for (long n = 0;; n++) {
		heap_fail_at(n);
		int r = router_add(
		        world->router, &plugin_owner, plugin_routes, sizeof(plugin_routes[0]), NULL);
		bool failed = heap_failed();
		heap_fail_at(-1);
		assert_int_equal(r, failed ? -ENOMEM : 0);
		if (!failed)
			break;
		assert_int_equal(ask("GET", "/near"), 404);
	}
	assert_int_equal(ask("GET", "/near"), 200);
}

static void longer_rows_of_a_later_abi_are_read(void **state)
{
	(void)state;
	struct {
		struct edged_route route;
		const char *more;
	} routes[] = { { { "GET", "/a", serve_echo, NULL, NULL, 0, 0 }, "x" },
		{ { "GET", "/b", serve_echo, NULL, NULL, 0, 0 }, "y" }, { { 0 }, NULL } };
	assert_int_equal(
	        router_add(world->router, &other_owner, &routes[0].route, sizeof(routes[0]), NULL), 0);
	assert_int_equal(ask("GET", "/b"), 200);
	router_remove(world->router, &other_id);
}

static void scopes_are_kept(void **state)
{
	(void)state;
	add_all();
	static const struct {
		const char *node;
		bool trusted;
		unsigned hops;
		int account, node_only, link_local, proximity;
	} rows[] = {
		{ NULL, false, 0, 200, 200, 200, 200 },
		{ "n", true, 1, 200, 403, 200, 200 },
		{ "n", false, 1, 403, 403, 200, 200 },
		{ "n", false, 2, 403, 403, 403, 200 },
		{ "n", false, 0, 403, 403, 200, 200 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		world->peer.node_id = rows[i].node;
		world->peer.trusted = rows[i].trusted;
		world->hops = rows[i].hops;
		assert_int_equal(ask("GET", "/things/x/shadow"), rows[i].account);
		assert_int_equal(ask("GET", "/mine"), rows[i].node_only);
		assert_int_equal(ask("POST", "/topics/x"), rows[i].link_local);
		assert_int_equal(ask("GET", "/near"), rows[i].proximity);
	}
}

static void an_open_route_judges_those_who_come_by_themselves(void **state)
{
	(void)state;
	static const struct edged_route open_routes[] = {
		{ "GET", "/open", serve_echo, NULL, NULL, EDGED_SCOPE_ACCOUNT, EDGED_ROUTE_OPEN },
		{ "GET", "/shut", serve_echo, NULL, NULL, EDGED_SCOPE_ACCOUNT, 0 },
		{ 0 },
	};
	assert_int_equal(
	        router_add(world->router, &other_owner, open_routes, sizeof(open_routes[0]), NULL), 0);
	world->peer.node_id = "n";
	assert_int_equal(ask("GET", "/open"), 200);
	assert_int_equal(ask("GET", "/shut"), 403);
	world->hops = 1; /* a foreign node */
	assert_int_equal(ask("GET", "/open"), 403);
	router_remove(world->router, &other_id);
}

static void failing_services_become_problems(void **state)
{
	(void)state;
	add_all();
	static const struct {
		int result, status;
	} rows[] = { { -EINVAL, 400 }, { -EACCES, 403 }, { -ENOENT, 404 }, { -ENOSPC, 503 }, { -EIO, 500 } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		world->result = rows[i].result;
		assert_int_equal(ask("GET", "/fail"), rows[i].status);
		assert_contains(&world->front.headers, PROBLEM_CONTENT_TYPE);
	}
}

static void enter(void *arg, const char *owner)
{
	assert_string_equal(owner, "shadow");
	((struct world *)arg)->entered++;
}

static void leave(void *arg)
{
	((struct world *)arg)->left++;
}

static void note_route(void *arg, const struct route_owner *owner, const struct edged_route *route)
{
	buf_addf(arg, "%s %s %s\n", owner->name, route->method, route->path);
}

static void routes_can_be_walked_and_charged(void **state)
{
	(void)state;
	add_all();
	router_set_around(world->router, enter, leave, world);
	ask("GET", "/near");
	assert_int_equal(world->entered, 1);
	assert_int_equal(world->left, 1);
	CLEANUP(buf_fini) struct buf buf = BUF_EMPTY;
	router_each(world->router, note_route, &buf);
	assert_string_equal(buf.ptr,
	        "shadow GET /fail\nedged GET /healthz\nshadow GET /later\nshadow GET /mine\n"
	        "shadow GET /near\nedged * /nodes/{x}/{rest...}\nshadow GET /stream\n"
	        "shadow GET /things/all/shadow\nshadow POST /things/{thing}/shadow\n"
	        "shadow GET /things/{x}/shadow\nshadow POST /topics/{rest...}\n");
}

/* --- requests
 * --------------------------------------------------------------------------------------------------- */

static void requests_are_read(void **state)
{
	(void)state;
	static const struct header headers[] = { { { "Host", 4 }, { "h", 1 } },
		{ { "X-Empty", 7 }, { NULL, 0 } } };
	edged_handle handle = open_with("PUT", "/a%20b?c", headers, 2);
	struct requests *requests = world->requests;
	assert_slice(request_method(requests, handle), "PUT");
	assert_slice(request_path(requests, handle), "/a b");
	assert_slice(request_target(requests, handle), "/a%20b?c");
	assert_slice(request_header(requests, handle, "host"), "h");
	assert_slice(request_header(requests, handle, "x-empty"), "");
	assert_null(request_header(requests, handle, "hos").ptr);
	assert_slice(request_body(requests, handle), "the body");
	assert_ptr_equal(request_peer(requests, handle), &world->peer);
	size_t count;
	assert_ptr_equal(request_headers(requests, handle, &count), headers);
	assert_int_equal(count, 2);
	assert_int_equal(request_reply(requests, handle, 204, NULL, edged_str(NULL)), 0);
	assert_null(request_method(requests, handle).ptr);
	assert_null(request_peer(requests, handle));
	assert_int_equal(request_reply(requests, handle, 204, NULL, edged_str(NULL)), -ENOENT);
	assert_int_equal(request_set_header(requests, handle, "A", "b"), -ENOENT);
	assert_int_equal(request_stream_write(requests, handle, edged_str("x")), -ENOENT);
	assert_int_equal(world->front.ends, 1);
}

static void headers_of_answers_are_judged(void **state)
{
	(void)state;
	edged_handle handle = open_one("GET", "/");
	struct requests *requests = world->requests;
	static const char *const names[] = { "", "a b", "a:", "Content-Length", "transfer-encoding",
		"Connection", "a\n" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(request_set_header(requests, handle, names[i], "x"), -EINVAL);
	assert_int_equal(request_set_header(requests, handle, "A", "b\r\nC: d"), -EINVAL);
	for (int i = 0; i < 32; i++)
		assert_int_equal(request_set_header(requests, handle, "ETag", "\"1\""), 0);
	assert_int_equal(request_set_header(requests, handle, "ETag", "\"1\""), -ENOSPC);
	assert_int_equal(request_reply(requests, handle, 101, NULL, edged_str("x")), -EINVAL);
	assert_int_equal(request_reply(requests, handle, 600, NULL, edged_str("x")), -EINVAL);
	assert_int_equal(request_reply(requests, handle, 200, "a\nb", edged_str("x")), -EINVAL);
	assert_int_equal(request_reply(requests, handle, 200, "text/plain", edged_str("x")), 0);
	assert_contains(&world->front.headers, "Content-Type: text/plain\nETag: \"1\"\n");
}

static void late_answers_are_timeouts(void **state)
{
	(void)state;
	add_all();
	assert_int_equal(ask("GET", "/later"), 0);
	assert_int_equal(world->woken, 500);
	world->now += 499;
	assert_int_equal(requests_expire(world->requests), 1);
	assert_int_equal(world->front.ends, 0);
	world->now += 1;
	assert_int_equal(requests_expire(world->requests), UINT64_MAX);
	assert_int_equal(world->front.status, 504);
	assert_int_equal(request_reply(world->requests, world->later, 200, NULL, edged_str("x")), -ENOENT);
	assert_int_equal(world->front.ends, 1);
	struct request_counts counts = requests_counts(world->requests);
	assert_int_equal(counts.expired, 1);
	assert_int_equal(counts.answered_5xx, 1);
}

/* --- bodies that come bit by bit --- */

static edged_handle open_coming(const char *target, int64_t length)
{
	reset_front();
	const struct request_init init = { .method = edged_str("PUT"),
		.target = edged_str(target),
		.body_comes = true,
		.body_length = length,
		.peer = &world->peer,
		.front = &fake_functions,
		.front_data = &world->front };
	edged_handle handle;
	assert_int_equal(requests_open(world->requests, &init, &handle), 0);
	router_dispatch(world->router, handle);
	return handle;
}

static void note_body(void *arg, struct edged_slice bytes, bool last)
{
	(void)arg;
	size_t n = strlen(world->seen);
	snprintf(
	        world->seen + n, sizeof(world->seen) - n, "%.*s%s", EDGED_SLICE_FMT(bytes), last ? "." : ",");
}

static int serve_bits(void *self, edged_handle handle)
{
	(void)self;
	world->later = handle;
	world->seen[0] = '\0';
	return 0;
}

static const struct edged_route bits[] = {
	{ "PUT", "/bits", serve_bits, NULL, NULL, 0, EDGED_ROUTE_STREAMED_BODY },
	{ 0 },
};

static void add_bits(void)
{
	const struct route_owner owner = { "bits", world, NULL, false };
	add_all();
	assert_int_equal(router_add(world->router, &owner, bits, sizeof(bits[0]), NULL), 0);
}

static void a_body_is_read_as_it_comes(void **state)
{
	(void)state;
	struct requests *requests = world->requests;
	add_bits();
	edged_handle handle = open_coming("/bits", 7);
	assert_int_equal(world->later, handle);
	assert_int_equal(request_body_length(requests, handle), 7);
	requests_body(requests, handle, edged_str("early"), false); /* nobody has asked */
	assert_string_equal(world->seen, "");
	assert_int_equal(request_read_body(requests, handle, note_body, NULL), 0);
	assert_int_equal(request_read_body(requests, handle, note_body, NULL), -EALREADY);
	assert_int_equal(world->front.wanted, 1);
	requests_body(requests, handle, edged_str("one"), false);
	requests_body(requests, handle, edged_str("four"), true);
	requests_body(requests, handle, edged_str("more"), true);
	assert_string_equal(world->seen, "one,four.");
	assert_int_equal(requests_counts(requests).body_waiting, 7);
	assert_int_equal(requests_counts(requests).bodies_open, 1);
	assert_int_equal(request_body_taken(requests, handle, 8), -EINVAL);
	assert_int_equal(request_body_taken(requests, handle, 3), 0);
	assert_int_equal(world->front.taken, 3);
	assert_int_equal(request_reply(requests, handle, 200, NULL, edged_str("")), 0);
	assert_int_equal(requests_counts(requests).body_waiting, 0);
	assert_int_equal(requests_counts(requests).bodies_open, 0);
	assert_int_equal(request_body_taken(requests, handle, 4), -ENOENT);
	/* one that is there is not read */
	handle = open_one("PUT", "/bits");
	assert_int_equal(request_read_body(requests, handle, note_body, NULL), -ENODATA);
	requests_gone(requests, handle);
}

static void the_time_to_answer_does_not_run_while_the_client_is_awaited(void **state)
{
	(void)state;
	struct requests *requests = world->requests;
	add_bits();
	edged_handle handle = open_coming("/bits", -1);
	assert_int_equal(requests_expire(requests), 500);
	assert_int_equal(request_read_body(requests, handle, note_body, NULL), 0);
	assert_int_equal(requests_expire(requests), UINT64_MAX);
	world->now += 10000;
	requests_body(requests, handle, edged_str("bytes"), false);
	assert_int_equal(requests_expire(requests), 500);
	world->now += 400;
	assert_int_equal(request_body_taken(requests, handle, 2), 0); /* it goes on */
	assert_int_equal(requests_expire(requests), 500);
	assert_int_equal(request_body_taken(requests, handle, 3), 0);
	assert_int_equal(requests_expire(requests), UINT64_MAX);
	requests_body(requests, handle, edged_str(""), true);
	assert_int_equal(requests_expire(requests), 500);
	world->now += 500;
	requests_expire(requests);
	assert_int_equal(world->front.status, 504);
}

static void other_routes_get_bodies_whole(void **state)
{
	(void)state;
	struct requests *requests = world->requests;
	add_bits();
	edged_handle handle = open_coming("/nodes/x/rest", -1);
	assert_int_equal(world->front.wanted, 1);
	requests_body(requests, handle, edged_str("bit "), false);
	assert_int_equal(world->front.taken, 4); /* more may come */
	assert_int_equal(world->front.heads, 0);
	assert_int_equal(requests_counts(requests).collected, 4);
	requests_body(requests, handle, edged_str("by bit"), false);
	requests_body(requests, handle, edged_str(""), true);
	assert_int_equal(world->front.status, 200);
	assert_string_equal(world->front.body.ptr, "bit by bit");
	assert_int_equal(requests_counts(requests).collected, 0);
	assert_int_equal(requests_counts(requests).bodies_open, 0);
	/* too long by its own word, and by its bytes */
	open_coming("/nodes/x/rest", 21);
	assert_int_equal(world->front.status, 413);
	assert_int_equal(world->front.wanted, 0);
	handle = open_coming("/nodes/x/rest", -1);
	requests_body(requests, handle, edged_str("123456789012345678901"), false);
	assert_int_equal(world->front.status, 413);
	/* too much of all */
	edged_handle first = open_coming("/nodes/x/rest", -1);
	requests_body(requests, first, edged_str("12345678901234567890"), false);
	handle = open_coming("/nodes/x/rest", -1);
	requests_body(requests, handle, edged_str("12345678901"), false);
	assert_int_equal(world->front.status, 503);
	requests_gone(requests, first);
	assert_int_equal(requests_counts(requests).collected, 0);
}

static void clients_that_left_are_not_answered(void **state)
{
	(void)state;
	add_all();
	ask("GET", "/later");
	requests_gone(world->requests, world->later);
	assert_int_equal(request_reply(world->requests, world->later, 200, NULL, edged_str("x")), -ENOENT);
	assert_int_equal(world->front.heads, 0);
	assert_int_equal(requests_counts(world->requests).gone, 1);
	assert_int_equal(requests_expire(world->requests), UINT64_MAX);
}

static void open_requests_are_bounded(void **state)
{
	(void)state;
	edged_handle handles[4];
	for (int i = 0; i < 4; i++)
		assert_int_not_equal(handles[i] = open_one("GET", "/"), 0);
	assert_int_equal(open_one("GET", "/"), 0);
	requests_gone(world->requests, handles[2]);
	assert_int_not_equal(handles[2] = open_one("GET", "/"), 0);
	for (int i = 0; i < 4; i++)
		requests_gone(world->requests, handles[i]);
	assert_int_equal(requests_counts(world->requests).open, 0);
}

static void streams_tell_when_they_are_full(void **state)
{
	(void)state;
	add_all();
	struct requests *requests = world->requests;
	assert_int_equal(ask("GET", "/stream"), 200);
	assert_int_equal(world->front.length, -1);
	edged_handle handle = world->later;
	assert_int_equal(request_stream_write(requests, handle, edged_str("12345")), 0);
	assert_int_equal(request_stream_write(requests, handle, edged_str("67890")), EDGED_HTTP_FULL);
	assert_int_equal(request_stream_write(requests, handle, edged_str("12345678")), EDGED_HTTP_FULL);
	assert_int_equal(request_stream_write(requests, handle, edged_str("123")), -ENOBUFS);
	assert_int_equal(world->front.body.len, 18);
	world->front.waiting = 6;
	requests_room(requests, handle, 6);
	assert_int_equal(world->room, 0);
	world->front.waiting = 5;
	requests_room(requests, handle, 5);
	requests_room(requests, handle, 0);
	assert_int_equal(world->room, 1);
	assert_int_equal(request_stream_write(requests, handle, edged_str("1")), 0);
	assert_int_equal(request_reply(requests, handle, 200, NULL, edged_str("x")), -EALREADY);
	world->now += 1000000;
	assert_int_equal(requests_expire(requests), UINT64_MAX);
	assert_int_equal(request_stream_end(requests, handle), 0);
	assert_int_equal(request_stream_end(requests, handle), -ENOENT);
	assert_int_equal(world->front.ends, 1);
	assert_int_equal(world->gone, 0);
}

static void streams_learn_that_the_client_left(void **state)
{
	(void)state;
	add_all();
	ask("GET", "/stream");
	assert_int_equal(requests_counts(world->requests).streams, 1);
	requests_gone(world->requests, world->later);
	requests_gone(world->requests, world->later);
	assert_int_equal(world->gone, 1);
	assert_int_equal(world->front.ends, 0);
	assert_int_equal(requests_counts(world->requests).streams, 0);
}

static void streams_are_bounded(void **state)
{
	(void)state;
	add_all();
	assert_int_equal(ask("GET", "/stream"), 200);
	assert_int_equal(ask("GET", "/stream"), 200);
	assert_int_equal(ask("GET", "/stream"), 503);
	assert_int_equal(world->front.ends, 1);
	assert_int_equal(requests_abandon(world->requests, NULL), 2);
	assert_int_equal(world->gone, 2);
}

static void head_of_a_stream_ends_it(void **state)
{
	(void)state;
	add_all();
	assert_int_equal(ask("HEAD", "/stream"), 200);
	assert_int_equal(world->front.ends, 1);
	assert_int_equal(world->woken, 0);
	assert_int_equal(world->gone, 0);
	assert_int_equal(request_stream_write(world->requests, world->later, edged_str("event")), 0);
	assert_int_equal(world->front.body.len, 0);
	assert_null(request_header(world->requests, world->later, "host").ptr);
	assert_null(request_query(world->requests, world->later, "q").ptr);
	requests_expire(world->requests);
	assert_int_equal(world->gone, 1);
	assert_int_equal(request_stream_write(world->requests, world->later, edged_str("event")), -ENOENT);
	assert_int_equal(world->front.ends, 1);
}

static void a_stopped_service_leaves_no_request_behind(void **state)
{
	(void)state;
	add_all();
	ask("GET", "/stream");
	assert_int_equal(requests_abandon(world->requests, &other_id), 0);
	assert_int_equal(requests_abandon(world->requests, &plugin_id), 1);
	assert_int_equal(world->front.ends, 1);
	assert_false(world->front.ok);
	assert_int_equal(world->gone, 0);
	ask("GET", "/later");
	assert_int_equal(requests_abandon(world->requests, &plugin_id), 1);
	assert_int_equal(world->front.status, 503);
	assert_true(world->front.ok);
}

static void problems_survive_lack_of_memory(void **state)
{
	(void)state;
	if (!heap_can_fail())
		skip();
	for (long n = 0;; n++) {
		edged_handle handle = open_one("GET", "/");
		assert_int_equal(buf_reserve(&world->front.body, 4096), 0);
		assert_int_equal(buf_reserve(&world->front.headers, 4096), 0);
		heap_fail_at(n);
		int r = request_problem(world->requests, handle, 404, "x", NULL, "detail");
		bool failed = heap_failed();
		heap_fail_at(-1);
		assert_int_equal(r, 0);
		assert_int_equal(world->front.status, 404);
		assert_true(world->front.body.len > 0);
		if (!failed)
			break;
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(targets_are_decoded),
		TEST(queries_are_decoded),
		TEST(templates_are_judged),
		TEST(routes_are_found),
		TEST(other_methods_are_named),
		TEST(head_is_get_without_body),
		TEST(missing_paths_get_hints),
		TEST(former_plugins_are_bounded),
		TEST(tables_are_all_or_nothing),
		TEST(adding_survives_lack_of_memory),
		TEST(longer_rows_of_a_later_abi_are_read),
		TEST(scopes_are_kept),
		TEST(an_open_route_judges_those_who_come_by_themselves),
		TEST(failing_services_become_problems),
		TEST(routes_can_be_walked_and_charged),
		TEST(requests_are_read),
		TEST(headers_of_answers_are_judged),
		TEST(late_answers_are_timeouts),
		TEST(a_body_is_read_as_it_comes),
		TEST(the_time_to_answer_does_not_run_while_the_client_is_awaited),
		TEST(other_routes_get_bodies_whole),
		TEST(clients_that_left_are_not_answered),
		TEST(open_requests_are_bounded),
		TEST(streams_tell_when_they_are_full),
		TEST(streams_learn_that_the_client_left),
		TEST(streams_are_bounded),
		TEST(head_of_a_stream_ends_it),
		TEST(a_stopped_service_leaves_no_request_behind),
		TEST(problems_survive_lack_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
