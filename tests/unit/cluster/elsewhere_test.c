/* SPDX-License-Identifier: Apache-2.0 */
/* A request for what is not here goes to the node that has it, and the others are asked no more than they must be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "cluster/elsewhere.h"
#include "node_rig.h"

/* The service "hello" of a node, which has the thing or not. */
struct place {
	struct node *node;
	struct elsewhere *elsewhere;
	bool has, holds;
	unsigned asked;
	edged_handle held;
};
static struct place places[NODES];

static void offering(void *arg, struct edged_slice service,
        void (*each)(void *each_arg, const char *node_id, bool there), void *each_arg)
{
	peers_offering(((struct node *)arg)->peers, service, each, each_arg);
}

static int serve(void *self, edged_handle request)
{
	struct place *place = self;
	struct requests *requests = place->node->requests;
	char probe[64];
	struct edged_slice path = request_path(requests, request);
	place->asked++;
	if (place->holds) {
		place->held = request;
		return 0;
	}
	if (place->has)
		return request_reply(requests, request, 200, "text/plain", edged_str(place->node->folder));
	snprintf(probe, sizeof(probe), "%.*s", EDGED_SLICE_FMT(path));
	return elsewhere_pass(place->elsewhere, request, edged_str("hello"), edged_str(probe),
	        "no-such-thing", "There is no such thing", "Nowhere.");
}

static const struct edged_route routes[] = { { "GET", "/thing/{name}", serve, NULL, NULL, 0, 0 },
	{ "POST", "/thing/{name}", serve, NULL, NULL, 0, 0 }, { 0 } };

static bool all_known(struct world *w)
{
	for (unsigned i = 1; i < NODES; i++)
		if (!peers_services(w->node[0].peers, identity_node_id(w->node[i].identity)).len)
			return false;
	return true;
}

static void hears(struct world *w, unsigned node, unsigned other)
{
	peers_seen(w->node[node].peers, identity_node_id(w->node[other].identity),
	        identity_account_id(w->node[0].identity), 7);
}

/* Node 0 knows that 1 and 2 have the service, too. */
static int setup(void **state)
{
	int r = rig_setup(state);
	struct world *w = *state;
	for (unsigned i = 0; i < NODES && !r; i++) {
		struct node *node = &w->node[i];
		struct err err = { "" };
		places[i] = (struct place){ .node = node };
		const struct elsewhere_deps deps = { w->loop, node->links, node->requests, node->proxy,
			offering, node };
		r = elsewhere_new(&deps, &places[i].elsewhere);
		const struct route_owner owner = { "place", &places[i], &places[i], true };
		if (!r)
			r = router_add(node->router, &owner, routes, sizeof(routes[0]), &err);
		node->services = "{\"data\":[{\"name\":\"hello\",\"self\":\"/hello/v1\"}]}";
	}
	for (unsigned i = 1; i < NODES && !r; i++) {
		join_ok(w, 0, i);
		hears(w, 0, i);
	}
	if (!r)
		run_until(w, all_known);
	return r;
}

static int teardown(void **state)
{
	for (unsigned i = 0; i < NODES; i++)
		elsewhere_free(places[i].elsewhere);
	return rig_teardown(state);
}

static struct elsewhere_counts counts(void)
{
	return elsewhere_counts(places[0].elsewhere);
}

static void expect_from(const struct client *client, const struct place *place)
{
	if (client->status != 200)
		fail_msg("%d: %s", client->status, client->body.ptr);
	assert_memory_equal(client->body.ptr, place->node->folder, strlen(place->node->folder));
}

static void it_goes_to_the_node_that_has_it(void **state)
{
	struct world *w = *state;
	places[2].has = true;
	expect_from(ask_and_wait(w, 0, "GET", "/thing/lamp?x=1", ""), &places[2]);
	assert_int_equal(counts().questions, 2);
	assert_int_equal(places[2].asked, 2); /* the question, and the request */
	/* where it is is known */
	expect_from(ask_and_wait(w, 0, "POST", "/thing/lamp", "body"), &places[2]);
	assert_int_equal(counts().questions, 2);
	assert_int_equal(counts().found, 2);
	/* of another thing it is not */
	expect_from(ask_and_wait(w, 0, "GET", "/thing/fan", ""), &places[2]);
	assert_int_equal(counts().questions, 4);
	assert_int_equal(counts().open, 0);
}

static void what_is_here_is_not_looked_for(void **state)
{
	struct world *w = *state;
	places[0].has = places[1].has = true;
	expect_from(ask_and_wait(w, 0, "GET", "/thing/lamp", ""), &places[0]);
	assert_int_equal(counts().questions, 0);
}

static void what_is_nowhere_is_404_and_known_for_a_while(void **state)
{
	struct world *w = *state;
	assert_problem(ask_and_wait(w, 0, "GET", "/thing/lamp", ""), 404, "no-such-thing");
	assert_int_equal(counts().questions, 2);
	assert_problem(ask_and_wait(w, 0, "GET", "/thing/lamp", ""), 404, "no-such-thing");
	assert_int_equal(counts().none, 2);
}

static bool one_knows_two(struct world *w)
{
	return peers_services(w->node[1].peers, identity_node_id(w->node[2].identity)).len > 0;
}

static void a_node_asked_by_another_does_not_ask_on(void **state)
{
	struct world *w = *state;
	hears(w, 1, 2);
	run_until(w, one_knows_two);
	places[2].has = true;
	assert_problem(ask_and_wait(w, 0, "GET", "/nodes/n1/thing/lamp", ""), 404, "no-such-thing");
	assert_int_equal(elsewhere_counts(places[1].elsewhere).questions, 0);
}

static void without_all_answers_nobody_says_that_it_is_nowhere(void **state)
{
	struct world *w = *state;
	links_reset(w->node[0].links);
	w->refuse_dial = true;
	assert_problem(ask_and_wait(w, 0, "GET", "/thing/lamp", ""), 503, "nodes-silent");
	/* nor is that remembered */
	w->refuse_dial = false;
	places[1].has = true;
	expect_from(ask_and_wait(w, 0, "GET", "/thing/lamp", ""), &places[1]);
	/* the one that has it leaves */
	peers_gone(w->node[0].peers, identity_node_id(w->node[1].identity));
	assert_problem(ask_and_wait(w, 0, "GET", "/thing/lamp", ""), 503, "nodes-silent");
	hears(w, 0, 1);
	expect_from(ask_and_wait(w, 0, "GET", "/thing/lamp", ""), &places[1]);
}

static bool both_hold(struct world *w)
{
	(void)w;
	return places[1].held && places[2].held;
}

static void a_client_that_leaves_ends_its_search(void **state)
{
	struct world *w = *state;
	places[1].holds = places[2].holds = true;
	const struct client *client = ask(w, 0, 0, "GET", "/thing/lamp", "");
	run_until(w, both_hold);
	assert_int_equal(counts().open, 1);
	requests_gone(client->requests, client->request);
	assert_int_equal(counts().open, 0);
	run_a_while(w);
	for (unsigned i = 1; i < NODES; i++)
		assert_null(request_peer(w->node[i].requests, places[i].held)); /* gone there, too */
}

static void the_first_answer_ends_the_search(void **state)
{
	struct world *w = *state;
	places[1].holds = places[2].has = true;
	expect_from(ask_and_wait(w, 0, "GET", "/thing/lamp", ""), &places[2]);
	run_a_while(w);
	assert_null(request_peer(w->node[1].requests, places[1].held));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(it_goes_to_the_node_that_has_it),
		T(what_is_here_is_not_looked_for),
		T(what_is_nowhere_is_404_and_known_for_a_while),
		T(a_node_asked_by_another_does_not_ask_on),
		T(without_all_answers_nobody_says_that_it_is_nowhere),
		T(a_client_that_leaves_ends_its_search),
		T(the_first_answer_ends_the_search),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
