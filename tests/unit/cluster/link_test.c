/* SPDX-License-Identifier: Apache-2.0 */
/* Links and the proxy: requests from node to node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node_rig.h"

/* --- links and proxy --- */

static void no_other_node_sees_this_ones_access_key(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	static const struct header headers[] = { { { "Authorization", 13 }, { "Bearer secret", 13 } } };
	for (int afar = 0; afar < 2; afar++) {
		w->from_afar = afar;
		(void)ask_with(w, 0, 0, "GET", "/nodes/n1/hello/v1/x", edged_str(""), headers, 1, 0);
		run_until(w, first_ended);
		assert_int_equal(w->client[0].status, 200);
		assert_string_equal(w->node[1].authorization, "");
	}
}

static void a_request_reaches_the_other_node(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	static const struct header headers[] = { { { "X-Custom", 8 }, { "kept", 4 } },
		{ { "Connection", 10 }, { "x-hop", 5 } }, { { "X-Hop", 5 }, { "gone", 4 } },
		{ { "Authorization", 13 }, { "Bearer secret", 13 } },
		{ { "Edged-Caller", 12 }, { "forged", 6 } }, { { "Edged-Hops", 10 }, { "0", 1 } } };
	struct client *client = ask_with(w, 0, 0, "POST", "/nodes/n1/hello/v1/a%2Fb?c=%20d",
	        edged_str("body"), headers, ARRAY_LEN(headers), 0);
	run_until(w, first_ended);
	assert_int_equal(client->status, 200);
	assert_string_equal(client->body.ptr, "hello from 1");
	assert_string_equal(client->type, "text/plain");
	assert_true(client->ok);
	const struct node *node = &w->node[1];
	assert_string_equal(node->method, "POST");
	assert_string_equal(node->target, "/hello/v1/a%2Fb?c=%20d");
	assert_int_equal(node->body_len, 4);
	assert_string_equal(node->custom, "kept");
	assert_string_equal(node->authorization, "");
	assert_int_equal(node->hops, 1);
	assert_true(node->peer_trusted);
	assert_string_equal(node->peer_id, identity_node_id(w->node[0].identity));
	char caller[256];
	snprintf(caller, sizeof(caller), "node=\"%s\"; address=\"127.0.0.1:5\\\"5\"",
	        identity_node_id(w->node[0].identity));
	assert_string_equal(node->caller, caller);
	/* the next request takes the same link */
	unsigned dials_before = w->dials;
	assert_int_equal(ask_and_wait(w, 0, "HEAD", "/nodes/n1/hello/v1/", "")->status, 200);
	assert_int_equal(w->client[0].length, 12);
	assert_int_equal(w->client[0].body.len, 0);
	assert_int_equal(w->dials, dials_before);
}

static void own_id_is_served_here(void **state)
{
	struct world *w = *state;
	char target[256];
	assert_int_equal(ask(w, 0, 0, "GET", "/nodes/self/hello/v1/x", "")->status, 200);
	assert_string_equal(w->client[0].body.ptr, "hello from 0");
	snprintf(target, sizeof(target), "/nodes/%s/nodes/n0/hello/v1/x",
	        identity_node_id(w->node[0].identity));
	assert_int_equal(ask(w, 0, 0, "GET", target, "")->status, 200);
	assert_string_equal(w->node[0].target, "/hello/v1/x");
	assert_problem(
	        ask(w, 0, 0, "GET", "/nodes/self/nodes/self/nodes/self/nodes/self/nodes/self/hello/v1/x", ""),
	        508, "too-many-hops");
	assert_problem(ask(w, 0, 0, "GET", "/nodes/self", ""), 404, "");
}

static void circles_end(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	assert_problem(
	        ask_and_wait(w, 0, "GET", "/nodes/n1/nodes/n0/nodes/n1/nodes/n0/nodes/n1/hello/v1/", ""), 508,
	        "too-many-hops");
	assert_int_equal(ask_and_wait(w, 0, "GET", "/nodes/n1/nodes/n0/hello/v1/", "")->status, 200);
	assert_int_equal(w->node[0].hops, 2);
	/* who asked first is passed on */
	assert_non_null(strstr(w->node[0].caller, identity_node_id(w->node[0].identity)));
}

static void unknown_and_foreign_nodes_are_refused(void **state)
{
	struct world *w = *state;
	assert_problem(ask(w, 0, 0, "GET", "/nodes/nobody/x", ""), 404, "node-unknown");
	assert_problem(ask(w, 0, 0, "GET", "/nodes/twins/x", ""), 409, "node-ambiguous");
	assert_problem(ask(w, 0, 0, "GET", "/nodes/n1/hello/v1/", ""), 403, "node-not-trusted");
	join_ok(w, 0, 1);
	char token[TOKEN_TEXT_MAX];
	invite(w, 2, "", token); /* node 2 has an account of its own */
	assert_problem(ask(w, 0, 0, "GET", "/nodes/n2/hello/v1/", ""), 403, "node-not-trusted");
	assert_int_equal(w->node[2].served, 0);
}

static const struct link_reply no_reply;
static struct link_failure last_failure;
static bool failed;
static int answered;

static void note_head(void *arg, const struct link_message *answer)
{
	(void)arg;
	answered = answer->status;
}

static void note_data(void *arg, struct edged_slice bytes)
{
	(void)arg;
	(void)bytes;
}

static void note_end(void *arg, const struct link_failure *failure)
{
	(void)arg;
	failed = true;
	if (failure)
		last_failure = *failure;
}

static bool call_over(struct world *w)
{
	(void)w;
	return failed;
}

static int bare_call(struct world *w, unsigned from, unsigned to, const char *target, const char *const *at)
{
	static const struct link_reply reply = { .head = note_head, .data = note_data, .end = note_end };
	struct link_call *call;
	const struct link_request request = { .node_id = identity_node_id(w->node[to].identity),
		.send = { .method = edged_str("GET"),
		        .target = edged_str(target),
		        .authority = edged_str("x") },
		.answer_ms = 5000,
		.reply = &reply,
		.addresses = at };
	(void)no_reply;
	failed = false;
	answered = 0;
	last_failure = (struct link_failure){ .cause = LINK_UNKNOWN };
	return links_request(w->node[from].links, &request, &call, &last_failure);
}

static void strangers_get_nothing_on_either_side(void **state)
{
	struct world *w = *state;
	static const char *const at[] = { "192.0.2.1:2", NULL };
	/* the client refuses a server that is not of its account */
	assert_int_equal(bare_call(w, 0, 1, "/hello/v1/", NULL), 0);
	run_until(w, call_over);
	assert_int_equal(last_failure.cause, LINK_UNTRUSTED);
	/* and the server a client, but for the one path */
	assert_int_equal(bare_call(w, 0, 1, "/hello/v1/", at), 0);
	run_until(w, call_over);
	assert_int_equal(answered, 403);
	/* not even to what the router would let it: a link is for nodes of the account */
	assert_int_equal(bare_call(w, 0, 1, "/nearby", at), 0);
	run_until(w, call_over);
	assert_int_equal(answered, 403);
	assert_int_equal(w->node[1].served, 0);
	assert_int_equal(bare_call(w, 0, 1, JOIN_SIGN_PATH, at), 0);
	run_until(w, call_over);
	assert_int_equal(answered, 405);
}

static void unreachable_nodes_are_named(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	w->refuse_dial = true;
	struct client *client = ask_and_wait(w, 0, "GET", "/nodes/n1/hello/v1/", "");
	assert_problem(client, 502, "node-unreachable");
	assert_non_null(strstr(client->body.ptr, identity_node_id(w->node[1].identity)));
	assert_non_null(strstr(client->body.ptr, "192.0.2.1:2"));
	assert_non_null(strstr(client->body.ptr, "connection refused"));
	w->refuse_dial = false;
	w->address_of[1] = 2;
	assert_problem(ask_and_wait(w, 0, "GET", "/nodes/n1/hello/v1/", ""), 502, "Another node answers");
	w->address_of[1] = 1;
	assert_int_equal(ask_and_wait(w, 0, "GET", "/nodes/n1/hello/v1/", "")->status, 200);
}

static bool service_holds(struct world *w)
{
	return w->node[1].held != 0;
}

static bool service_gone(struct world *w)
{
	return w->node[1].gone == 1;
}

static bool two_events(struct world *w)
{
	return w->client[0].body.len == 14;
}

static void events_stream_through(void **state)
{
	struct world *w = *state;
	struct node *node = &w->node[1];
	join_ok(w, 0, 1);
	struct client *client = ask(w, 0, 0, "GET", "/nodes/n1/stream", "");
	run_until(w, service_holds);
	for (int i = 0; i < 2; i++)
		assert_int_equal(request_stream_write(node->requests, node->held, edged_str("event\n\n")), 0);
	run_until(w, two_events);
	assert_string_equal(client->type, "text/event-stream");
	assert_false(client->ended);
	assert_int_equal(request_stream_end(node->requests, node->held), 0);
	run_until(w, first_ended);
	assert_true(client->ok);
	assert_int_equal(proxy_counts(w->node[0].proxy).open, 0);
}

static void a_client_that_leaves_cancels_at_the_other_node(void **state)
{
	struct world *w = *state;
	static const char *const targets[] = { "/nodes/n1/stream", "/nodes/n1/hold" };
	join_ok(w, 0, 1);
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		w->node[1].held = 0;
		w->node[1].gone = 0;
		struct client *client = ask(w, 0, 0, "GET", targets[i], "");
		run_until(w, service_holds);
		run_a_while(w);
		requests_gone(client->requests, client->request);
		run_until(w, service_gone);
		assert_false(client->ended);
	}
	/* also one that leaves before the link is there */
	links_reset(w->node[0].links);
	struct client *client = ask(w, 0, 0, "GET", "/nodes/n1/hello/v1/", "");
	requests_gone(client->requests, client->request);
	run_a_while(w);
	assert_int_equal(w->node[1].served, 2);
	assert_int_equal(proxy_counts(w->node[0].proxy).open, 0);
}

static void a_node_that_dies_breaks_the_answer_off(void **state)
{
	struct world *w = *state;
	struct node *node = &w->node[1];
	join_ok(w, 0, 1);
	struct client *client = ask(w, 0, 0, "GET", "/nodes/n1/stream", "");
	run_until(w, service_holds);
	assert_int_equal(
	        request_stream_write(node->requests, node->held, edged_str("event\n\nevent\n\n")), 0);
	run_until(w, two_events);
	stream_functions.abort(node->server_stream);
	run_until(w, first_ended);
	assert_false(client->ok);
	assert_int_equal(node->gone, 1);
	/* before the head it is a problem document */
	node->held = 0;
	ask(w, 0, 0, "GET", "/nodes/n1/hold", "");
	run_until(w, service_holds);
	stream_functions.abort(node->server_stream);
	run_until(w, first_ended);
	assert_problem(client, 502, "node-lost");
	/* and the next request finds its way again */
	assert_int_equal(ask_and_wait(w, 0, "GET", "/nodes/n1/hello/v1/", "")->status, 200);
}

static void a_death_that_the_cluster_found_ends_calls(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	ask(w, 0, 0, "GET", "/nodes/n1/hold", "");
	run_until(w, service_holds);
	links_drop(w->node[0].links, identity_node_id(w->node[1].identity), "it has died");
	run_until(w, first_ended);
	assert_problem(&w->client[0], 502, "node-unreachable");
}

static void big_answers_come_whole(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	struct client *client = ask_and_wait(w, 0, "GET", "/nodes/n1/big", "");
	assert_int_equal(client->status, 200);
	assert_true(client->ok);
	assert_int_equal(client->body.len, 300000);
}

/* The service writes while there is room. */
static bool writer_stuck(struct world *w)
{
	struct node *node = &w->node[1];
	static char block[10000];
	if (!node->held)
		return false;
	if (node->room)
		node->full = node->room = false;
	if (node->full)
		return node->streamed > 0 && turns_over(w);
	w->turns_left = 30;
	int r = request_stream_write(node->requests, node->held, edged_slice(block, sizeof(block)));
	assert_true(r >= 0);
	node->streamed += sizeof(block);
	node->full = r == EDGED_HTTP_FULL;
	return false;
}

static bool all_arrived(struct world *w)
{
	return w->client[0].body.len == w->node[1].streamed;
}

static void a_slow_client_holds_the_writer_back(void **state)
{
	struct world *w = *state;
	struct node *node = &w->node[1];
	join_ok(w, 0, 1);
	struct client *client = ask(w, 0, 0, "GET", "/nodes/n1/stream", "");
	client->stuck = true;
	w->turns_left = 30;
	run_until(w, writer_stuck);
	/* what a window and the marks of both ends take, and no more */
	assert_in_range(node->streamed, 200000, 500000);
	assert_true(client->body.len < 100000);
	/* others go on over the same link */
	ask(w, 1, 0, "GET", "/nodes/n1/hello/v1/", "");
	run_a_while(w);
	assert_string_equal(w->client[1].body.ptr, "hello from 1");
	client->stuck = false;
	client->waiting = 0;
	requests_room(client->requests, client->request, 0);
	run_until(w, all_arrived);
	request_stream_end(node->requests, node->held);
	run_until(w, first_ended);
	assert_true(client->ok);
}

static void many_requests_at_once_share_a_link(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	unsigned before = w->dials;
	for (unsigned i = 1; i < 8; i++)
		ask(w, i, 0, "GET", "/nodes/n1/hello/v1/", "");
	ask_and_wait(w, 0, "GET", "/nodes/n1/hello/v1/", "");
	run_a_while(w);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(w->client[i].status, 200);
	assert_int_equal(w->dials, before + 1);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_request_reaches_the_other_node),
		T(no_other_node_sees_this_ones_access_key),
		T(own_id_is_served_here),
		T(circles_end),
		T(unknown_and_foreign_nodes_are_refused),
		T(strangers_get_nothing_on_either_side),
		T(unreachable_nodes_are_named),
		T(events_stream_through),
		T(a_client_that_leaves_cancels_at_the_other_node),
		T(a_node_that_dies_breaks_the_answer_off),
		T(a_death_that_the_cluster_found_ends_calls),
		T(big_answers_come_whole),
		T(a_slow_client_holds_the_writer_back),
		T(many_requests_at_once_share_a_link),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
