/* SPDX-License-Identifier: Apache-2.0 */
/* What the proxy shows to a cache, what it does with what the cache says, and when the holder of the cache role is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "edged/cap_proxy.h"
#include "node_rig.h"

/* A cache that does as it is told. */
static struct fake {
	char uri[160], caller[512], method[16], seen[256], node[64], data[64];
	unsigned begun, heads, failures, ended, whole, cleared;
	bool refuses, has, stale, shared, conditional, instead;
} fake;

static const struct edged_http_field kept[] = { { { "Content-Type", 12 }, { "text/kept", 9 } },
	{ { "Cache-Status", 12 }, { "kept", 4 } } };
static const struct edged_http_field added[] = { { { "Cache-Status", 12 }, { "passed", 6 } } };
static const struct edged_http_field conditions[] = { { { "If-None-Match", 13 }, { "\"mine\"", 6 } },
	{ { "If-Modified-Since", 17 }, { "then", 4 } } };

static void give(struct edged_proxy_answer *ret)
{
	*ret = (struct edged_proxy_answer){ .struct_size = sizeof(*ret),
		.status = 203,
		.fields = kept,
		.field_count = 2,
		.body = edged_str("kept") };
}

static void copy(const struct edged_http_field *fields, size_t count, const char *name, char *to, size_t size)
{
	for (size_t i = 0; i < count; i++)
		if (edged_slice_is(fields[i].name, name))
			snprintf(to, size, "%.*s", EDGED_SLICE_FMT(fields[i].value));
}

static void *begin(void *self, const struct edged_proxy_request *request, struct edged_proxy_answer *ret,
        bool *ret_shared)
{
	assert_ptr_equal(self, &fake);
	assert_true(!ret->status && !ret->field_count && !*ret_shared);
	fake.begun++;
	snprintf(fake.uri, sizeof(fake.uri), "%.*s", EDGED_SLICE_FMT(request->uri));
	snprintf(fake.method, sizeof(fake.method), "%.*s", EDGED_SLICE_FMT(request->method));
	copy(request->fields, request->field_count, "edged-caller", fake.caller, sizeof(fake.caller));
	if (fake.refuses)
		return NULL;
	if (fake.has)
		give(ret);
	if (fake.conditional) {
		ret->fields = conditions;
		ret->field_count = 2;
	}
	*ret_shared = fake.shared;
	return &fake;
}

static bool head(void *exchange, const struct edged_proxy_answer *answer, struct edged_proxy_answer *ret)
{
	assert_ptr_equal(exchange, &fake);
	fake.heads++;
	snprintf(fake.seen, sizeof(fake.seen), "%d %d", answer->status, (int)answer->length);
	copy(answer->fields, answer->field_count, "edged-node", fake.node, sizeof(fake.node));
	if (fake.instead) {
		give(ret);
	} else {
		ret->fields = added;
		ret->field_count = 1;
	}
	return fake.instead;
}

static void data(void *exchange, struct edged_slice bytes)
{
	(void)exchange;
	size_t n = strlen(fake.data);
	snprintf(fake.data + n, sizeof(fake.data) - n, "%.*s", EDGED_SLICE_FMT(bytes));
}

static bool failed(void *exchange, struct edged_proxy_answer *ret)
{
	(void)exchange;
	fake.failures++;
	if (fake.stale)
		give(ret);
	return fake.stale;
}

static void end(void *exchange, bool whole)
{
	(void)exchange;
	fake.ended++;
	fake.whole += whole;
}

static void clear(void *self)
{
	(void)self;
	fake.cleared++;
}

static const struct edged_proxy_cache functions = { sizeof(functions), begin, head, data, failed, end,
	clear };

static int setup(void **state)
{
	fake = (struct fake){ .begun = 0 };
	int r = rig_setup(state);
	struct world *w = *state;
	return r ? r : proxy_set_cache(w->node[0].proxy, "fake", &functions, &fake);
}

/* Each exchange has its end. */
static void assert_over(const struct world *w)
{
	assert_int_equal(fake.begun, fake.ended);
	assert_int_equal(proxy_counts(w->node[0].proxy).open, 0);
}

static struct client *get(struct world *w, const char *target)
{
	return ask_and_wait(w, 0, "GET", target, "");
}

static bool node_1_holds(struct world *w)
{
	return w->node[1].held != 0;
}

static bool some_came(struct world *w)
{
	return w->client[0].body.len > 0;
}

static bool node_2_holds(struct world *w)
{
	return w->node[2].held != 0;
}

static bool none_open(struct world *w)
{
	return proxy_counts(w->node[0].proxy).open == 0;
}

static void it_sees_what_goes_and_what_comes(void **state)
{
	struct world *w = *state;
	char uri[160];
	join_ok(w, 0, 1);
	struct client *client = get(w, "/nodes/n1/hello/v1/x?y=1");
	assert_string_equal(client->body.ptr, "hello from 1");
	assert_string_equal(client->cache_status, "passed");
	snprintf(uri, sizeof(uri), "/nodes/%s/hello/v1/x?y=1", id_of(w, 1)); /* by whatever name */
	assert_string_equal(fake.uri, uri);
	assert_non_null(strstr(fake.caller, id_of(w, 0)));
	assert_string_equal(fake.seen, "200 12");
	assert_string_equal(fake.data, "hello from 1");
	run_until(w, none_open);
	assert_true(
	        fake.begun == 1 && fake.heads == 1 && fake.ended == 1 && fake.whole == 1 && !fake.failures);
	assert_int_equal(fake.cleared, 1); /* the account is another one than at its start */
	/* who has no part in it is not told more */
	fake.refuses = true;
	assert_string_equal(
	        ask_and_wait(w, 0, "POST", "/nodes/n1/hello/v1/x", "body")->body.ptr, "hello from 1");
	assert_string_equal(fake.method, "POST");
	assert_true(fake.begun == 2 && fake.heads == 1 && fake.ended == 1);
	/* nor of what is refused before, or served here */
	(void)ask_with(w, 0, 0, "GET", "/nodes/n1/hello/v1/x", edged_str(""), NULL, 0, PROXY_HOPS);
	assert_problem(&w->client[0], 508, "too-many-hops");
	/* nor of what becomes another protocol */
	const struct header upgrade = { edged_str("upgrade"), edged_str("websocket") };
	(void)ask_with(w, 0, 0, "GET", "/nodes/n1/hello/v1/x", edged_str(""), &upgrade, 1, 0);
	run_until(w, first_ended);
	(void)get(w, "/nodes/self/hello/v1/x");
	(void)get(w, "/nodes/none/hello/v1/x");
	assert_int_equal(fake.begun, 2);
	assert_int_equal(proxy_set_cache(w->node[0].proxy, "other", &functions, &fake), -EEXIST);
}

static void what_it_has_is_given_and_nobody_asked(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	fake.has = true;
	struct client *client = get(w, "/nodes/n1/hello/v1/x");
	assert_true(client->status == 203 && client->ok && w->node[1].served == 0);
	assert_string_equal(client->body.ptr, "kept");
	assert_string_equal(client->type, "text/kept");
	assert_string_equal(client->cache_status, "kept");
	client = ask_and_wait(w, 0, "HEAD", "/nodes/n1/hello/v1/x", "");
	assert_true(client->status == 203 && client->length == 4 && client->body.len == 0);
	/* by the service, too: even while no node has it */
	assert_string_equal(get(w, "/any/hello/v1/x?z")->body.ptr, "kept");
	assert_string_equal(fake.uri, "/any/hello/v1/x?z");
	assert_int_equal(proxy_counts(w->node[0].proxy).cached, 3);
	run_until(w, none_open);
	assert_over(w);
}

static void its_conditions_take_the_place_of_the_clients(void **state)
{
	struct world *w = *state;
	const struct header headers[] = { { edged_str("if-none-match"), edged_str("\"theirs\"") },
		{ edged_str("x-custom"), edged_str("stays") } };
	join_ok(w, 0, 1);
	fake.conditional = true;
	struct client *client = ask_with(w, 0, 0, "GET", "/nodes/n1/hold", edged_str(""), headers, 2, 0);
	struct node *other = &w->node[1];
	run_until(w, node_1_holds);
	assert_true(
	        edged_slice_is(request_header(other->requests, other->held, "if-none-match"), "\"mine\""));
	assert_true(
	        edged_slice_is(request_header(other->requests, other->held, "if-modified-since"), "then"));
	assert_true(edged_slice_is(request_header(other->requests, other->held, "x-custom"), "stays"));
	fake.instead = true;
	assert_int_equal(request_reply(other->requests, other->held, 304, NULL, edged_str("")), 0);
	run_until(w, first_ended);
	assert_true(client->status == 203);
	assert_string_equal(client->body.ptr, "kept");
	/* 304 is for the cache alone: when that stops meanwhile, the client is told that there is no answer */
	other->held = 0;
	client = ask(w, 0, 0, "GET", "/nodes/n1/hold", "");
	run_until(w, node_1_holds);
	assert_int_equal(proxy_set_cache(w->node[0].proxy, NULL, NULL, NULL), 0);
	assert_int_equal(fake.begun, fake.ended);
	assert_int_equal(request_reply(other->requests, other->held, 304, NULL, edged_str("")), 0);
	run_until(w, first_ended);
	assert_problem(client, 502, "node-lost");
	run_until(w, none_open);
	assert_over(w);
	assert_int_equal(fake.whole, 0);
}

static void only_a_whole_answer_is_whole(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	struct client *client = ask(w, 0, 0, "GET", "/nodes/n1/stream", "");
	struct node *other = &w->node[1];
	run_until(w, node_1_holds);
	assert_int_equal(request_stream_write(other->requests, other->held, edged_str("some")), 0);
	run_until(w, some_came);
	stream_functions.abort(other->server_stream); /* the other node goes */
	run_until(w, first_ended);
	assert_false(client->ok);
	assert_string_equal(fake.data, "some");
	/* the client goes */
	other->held = 0;
	client = ask(w, 0, 0, "GET", "/nodes/n1/hold", "");
	run_until(w, node_1_holds);
	requests_gone(client->requests, client->request);
	run_until(w, none_open);
	assert_over(w);
	assert_int_equal(fake.whole, 0);
}

static void a_node_that_is_away(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	w->refuse_dial = true;
	links_reset(w->node[0].links);
	assert_problem(get(w, "/nodes/n1/hello/v1/x"), 502, "node-unreachable");
	assert_int_equal(fake.failures, 1);
	fake.stale = true;
	assert_string_equal(get(w, "/nodes/n1/hello/v1/x")->body.ptr, "kept");
	/* nobody has the service */
	assert_string_equal(get(w, "/any/hello/v1/x")->body.ptr, "kept");
	fake.stale = false;
	assert_problem(get(w, "/any/hello/v1/x"), 404, "service-unknown");
	/* the holder of the cache role cannot be reached either */
	w->node[0].cache_holder = &w->node[2];
	assert_problem(get(w, "/any/hello/v1/x"), 404, "service-unknown");
	assert_int_equal(proxy_counts(w->node[0].proxy).by_holder, 1);
	run_until(w, none_open);
	assert_over(w);
}

/* Node 1 is away, node 2 holds the cache role and answers what the test says. */
static struct client *ask_by_holder(struct world *w, const char *method)
{
	w->node[2].held = 0;
	return ask(w, 0, 0, method, "/nodes/n1/hold", "");
}

/* As a node with a cache would (its proxy is not part of this). */
static void answer_as_holder(struct world *w, int status, bool from_cache)
{
	struct node *holder = &w->node[2];
	if (from_cache)
		assert_int_equal(
		        request_set_header(holder->requests, holder->held, "cache-status", "theirs"), 0);
	assert_int_equal(request_reply(holder->requests, holder->held, status, NULL, edged_str("theirs")), 0);
	run_until(w, first_ended);
}

/* On node 2 /nodes/... is held for the test. */
static int hold_all(void *self, edged_handle request)
{
	struct node *node = self;
	struct edged_slice target = request_target(node->requests, request);
	snprintf(node->target, sizeof(node->target), "%.*s", EDGED_SLICE_FMT(target));
	node->hops = request_hops(node->requests, request);
	node->held = request;
	return 0;
}

static const struct edged_route all[] = { { "*", "/nodes/{id}/{rest...}", hold_all, NULL, NULL, 0, 0 },
	{ 0 } };

static void make_holder(struct world *w)
{
	struct node *holder = &w->node[2];
	struct err err;
	join_ok(w, 0, 1);
	join_ok(w, 0, 2);
	w->node[0].cache_holder = holder;
	proxy_free(holder->proxy);
	holder->proxy = NULL;
	const struct route_owner owner = { "holder", &all, holder, true };
	assert_int_equal(router_add(holder->router, &owner, all, sizeof(all[0]), &err), 0);
}

static void the_holder_of_the_cache_role_is_asked_when_the_node_is_away(void **state)
{
	struct world *w = *state;
	char uri[160];
	make_holder(w);
	links_reset(w->node[0].links);
	w->address_of[1] = 0; /* another node answers there */
	struct client *client = ask_by_holder(w, "GET");
	run_until(w, node_2_holds);
	snprintf(uri, sizeof(uri), "/nodes/%s/hold", id_of(w, 1));
	assert_string_equal(w->node[2].target, uri);
	assert_int_equal(w->node[2].hops, 1);
	answer_as_holder(w, 200, true);
	assert_true(client->status == 200);
	assert_string_equal(client->body.ptr, "theirs");
	/* what changes something is asked of nobody else, and a request from another node goes no further */
	assert_problem(ask_and_wait(w, 0, "POST", "/nodes/n1/hold", ""), 502, "node-unreachable");
	client = ask_with(w, 0, 0, "GET", "/nodes/n1/hold", edged_str(""), NULL, 0, 1);
	run_until(w, first_ended);
	assert_problem(client, 502, "node-unreachable");
	assert_int_equal(proxy_counts(w->node[0].proxy).by_holder, 1);
	/* what the holder says itself is not the node's answer: the failure is that of the node */
	client = ask_by_holder(w, "GET");
	run_until(w, node_2_holds);
	answer_as_holder(w, 404, false);
	assert_problem(client, 502, "node-unreachable");
	assert_non_null(strstr(client->body.ptr, id_of(w, 1)));
	client = ask_by_holder(w, "GET");
	run_until(w, node_2_holds);
	stream_functions.abort(w->node[2].server_stream);
	run_until(w, first_ended);
	assert_problem(client, 502, "node-unreachable");
	assert_non_null(strstr(client->body.ptr, id_of(w, 1)));
	assert_int_equal(proxy_counts(w->node[0].proxy).by_holder, 3);
	run_until(w, none_open);
	assert_over(w);
}

static void what_many_may_ask_for_is_asked_of_the_holder_first(void **state)
{
	struct world *w = *state;
	make_holder(w);
	fake.shared = true;
	struct client *client = ask_by_holder(w, "GET");
	run_until(w, node_2_holds);
	answer_as_holder(w, 200, true);
	assert_string_equal(client->body.ptr, "theirs");
	assert_true(w->node[1].served == 0);
	/* it cannot: the node itself is asked */
	for (int i = 0; i < 2; i++) {
		w->node[1].held = 0;
		client = ask_by_holder(w, "GET");
		run_until(w, node_2_holds);
		if (i == 0)
			assert_int_equal(request_reply(w->node[2].requests, w->node[2].held, 502, NULL,
			                         edged_str("no")),
			        0);
		else
			stream_functions.abort(w->node[2].server_stream);
		run_until(w, node_1_holds);
		assert_string_equal(w->node[1].target, "/hold");
		assert_int_equal(
		        request_reply(w->node[1].requests, w->node[1].held, 200, NULL, edged_str("own")), 0);
		run_until(w, first_ended);
		assert_string_equal(client->body.ptr, "own");
	}
	/* it has just failed: for a while nobody waits for it */
	w->node[1].held = 0;
	client = ask_by_holder(w, "GET");
	run_until(w, node_1_holds);
	assert_int_equal(request_reply(w->node[1].requests, w->node[1].held, 200, NULL, edged_str("own")), 0);
	run_until(w, first_ended);
	assert_true(w->node[2].held == 0 && proxy_counts(w->node[0].proxy).by_holder == 3);
	run_until(w, none_open);
	assert_over(w);
	assert_int_equal(fake.whole, 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_sees_what_goes_and_what_comes),
		TEST(what_it_has_is_given_and_nobody_asked),
		TEST(its_conditions_take_the_place_of_the_clients),
		TEST(only_a_whole_answer_is_whole),
		TEST(a_node_that_is_away),
		TEST(the_holder_of_the_cache_role_is_asked_when_the_node_is_away),
		TEST(what_many_may_ask_for_is_asked_of_the_holder_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
