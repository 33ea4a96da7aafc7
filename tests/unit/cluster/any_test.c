/* SPDX-License-Identifier: Apache-2.0 */
/* /any/{service}/...: which node is asked, and which next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "cluster/health.h"
#include "node_rig.h"

static const char offered[] =
        "{\"data\":[{\"name\":\"hello\",\"self\":\"/hello/v1\"},{\"name\":\"keeper\",\"self\":\"/hold\"}]}";

static void hears(struct world *w, unsigned other)
{
	peers_seen(w->node[0].peers, identity_node_id(w->node[other].identity),
	        identity_account_id(w->node[0].identity), 7);
}

static bool both_known(struct world *w)
{
	for (unsigned i = 1; i < NODES; i++)
		if (!peers_services(w->node[0].peers, identity_node_id(w->node[i].identity)).len)
			return false;
	return true;
}

/* Node 0, and 1 and 2 that have the services. */
static void three(struct world *w)
{
	for (unsigned i = 1; i < NODES; i++) {
		w->node[i].services = offered;
		join_ok(w, 0, i);
		hears(w, i);
	}
	run_until(w, both_known);
}

static unsigned asked(struct world *w, const char *method, const char *target)
{
	unsigned before = w->node[1].served, other = w->node[2].served;
	struct client *client = ask_and_wait(w, 0, method, target, "");
	if (client->status != 200)
		fail_msg("%d: %s", client->status, client->body.ptr);
	assert_int_equal(w->node[1].served + w->node[2].served, before + other + 1);
	return w->node[1].served > before ? 1 : 2;
}

static void the_nearest_is_asked_and_else_one_by_lot(void **state)
{
	struct world *w = *state;
	unsigned count[NODES] = { 0 };
	three(w);
	w->node[0].serves_hello = true;
	assert_int_equal(ask_and_wait(w, 0, "GET", "/any/hello/v1/x", "")->status, 200);
	assert_int_equal(w->node[0].served, 1);
	w->node[0].serves_hello = false;
	for (int i = 0; i < 40; i++)
		count[asked(w, "GET", "/any/hello/v1/x?y=1")]++;
	assert_true(count[1] > 3 && count[2] > 3); /* less once in 10^8 runs */
	assert_string_equal(w->node[1].target, "/hello/v1/x?y=1");
	assert_int_equal(w->node[1].hops, 1);
	assert_non_null(strstr(w->node[1].caller, identity_node_id(w->node[0].identity)));
	assert_int_equal(proxy_counts(w->node[0].proxy).retried, 0);
}

static void one_that_cannot_be_reached_is_passed_over_for_a_while(void **state)
{
	struct world *w = *state;
	three(w);
	links_reset(w->node[0].links);
	w->address_of[1] = 2; /* another node answers there */
	/* nothing has got there: also what must not be done twice goes on to the next */
	for (int i = 0; i < 20; i++)
		assert_int_equal(asked(w, "POST", "/any/hello/v1/x"), 2);
	struct proxy_counts counts = proxy_counts(w->node[0].proxy);
	assert_int_equal(counts.retried, 1); /* once; then it is avoided */
	assert_int_equal(counts.avoided, 1);
	/* when no other is there, it is tried nevertheless */
	w->address_of[1] = 1;
	peers_gone(w->node[0].peers, identity_node_id(w->node[2].identity));
	assert_int_equal(asked(w, "POST", "/any/hello/v1/x"), 1);
	assert_int_equal(proxy_counts(w->node[0].proxy).avoided, 0); /* and it is well again */
}

static void what_a_role_keeps_is_asked_of_its_holder_only(void **state)
{
	struct world *w = *state;
	three(w);
	w->node[0].serves_hello = true;
	w->node[0].hello_holder = &w->node[2];
	for (int i = 0; i < 20; i++)
		assert_int_equal(asked(w, "PUT", "/any/hello/v1/x"), 2);
	assert_int_equal(w->node[0].served, 0);
	/* it does not answer: others do not have what it keeps */
	links_reset(w->node[0].links);
	w->address_of[2] = 1;
	unsigned served = w->node[1].served;
	assert_problem(ask_and_wait(w, 0, "GET", "/any/hello/v1/x", ""), 502, "node-unreachable");
	assert_int_equal(w->node[1].served, served);
	/* this node itself */
	w->node[0].hello_holder = &w->node[0];
	assert_int_equal(ask_and_wait(w, 0, "GET", "/any/hello/v1/x", "")->status, 200);
	assert_int_equal(w->node[0].served, 1);
}

static struct node *holder(struct world *w)
{
	return w->node[1].held ? &w->node[1] : w->node[2].held ? &w->node[2] : NULL;
}

static bool somebody_holds(struct world *w)
{
	return holder(w) != NULL;
}

static void only_what_may_be_done_twice_is_sent_twice(void **state)
{
	struct world *w = *state;
	three(w);
	struct client *client = ask(w, 0, 0, "GET", "/any/hold", "");
	run_until(w, somebody_holds);
	struct node *first = holder(w);
	first->held = 0;
	stream_functions.abort(first->server_stream);
	run_until(w, somebody_holds);
	struct node *second = holder(w);
	assert_true(first != second);
	assert_false(client->ended);
	assert_int_equal(request_reply(second->requests, second->held, 200, NULL, edged_str("ok")), 0);
	run_until(w, first_ended);
	assert_int_equal(client->status, 200);
	assert_int_equal(proxy_counts(w->node[0].proxy).retried, 1);
	/* POST: nobody knows whether it was done */
	second->held = 0;
	unsigned served = w->node[1].served + w->node[2].served;
	client = ask(w, 0, 0, "POST", "/any/hold", "x");
	run_until(w, somebody_holds);
	stream_functions.abort(holder(w)->server_stream);
	run_until(w, first_ended);
	assert_problem(client, 502, "node-lost");
	assert_int_equal(w->node[1].served + w->node[2].served, served + 1);
	assert_int_equal(proxy_counts(w->node[0].proxy).open, 0);
}

/* Whoever holds the request answers 503; how many nodes are avoided then. */
static uint64_t avoided_after_503(struct world *w, const char *device)
{
	struct client *client = ask(w, 0, 0, "GET", "/any/hold", "");
	run_until(w, somebody_holds);
	struct node *node = holder(w);
	if (device)
		assert_int_equal(request_set_header(node->requests, node->held, "edged-device", device), 0);
	assert_int_equal(request_reply(node->requests, node->held, 503, NULL, edged_str("no")), 0);
	node->held = 0;
	run_until(w, first_ended);
	assert_int_equal(client->status, 503);
	return proxy_counts(w->node[0].proxy).avoided;
}

static void a_node_is_not_avoided_for_its_devices(void **state)
{
	struct world *w = *state;
	three(w);
	assert_int_equal(avoided_after_503(w, "lamp"), 0);
	assert_int_equal(avoided_after_503(w, NULL), 1);
}

static void a_service_that_nobody_has(void **state)
{
	struct world *w = *state;
	three(w);
	assert_problem(ask_and_wait(w, 0, "GET", "/any/tea/v1/x", ""), 404, "service-unknown");
	for (unsigned i = 1; i < NODES; i++)
		peers_gone(w->node[0].peers, identity_node_id(w->node[i].identity));
	assert_problem(ask_and_wait(w, 0, "GET", "/any/hello/v1/x", ""), 503, "service-unavailable");
	/* all refuse: the last one is named */
	for (unsigned i = 1; i < NODES; i++)
		hears(w, i);
	links_reset(w->node[0].links);
	w->refuse_dial = true;
	struct client *client = ask_and_wait(w, 0, "GET", "/any/hello/v1/x", "");
	assert_problem(client, 502, "node-unreachable");
	assert_true(strstr(client->body.ptr, identity_node_id(w->node[1].identity)) ||
	            strstr(client->body.ptr, identity_node_id(w->node[2].identity)));
	assert_int_equal(proxy_counts(w->node[0].proxy).retried, 1);
	client = ask_with(w, 0, 0, "GET", "/any/hello/v1/x", edged_str(""), NULL, 0, PROXY_HOPS);
	assert_problem(client, 508, "too-many-hops");
}

static void names_of_services(void **state)
{
	(void)state;
	CLEANUP(buf_fini) struct buf names = BUF_EMPTY;
	assert_int_equal(
	        services_names(edged_str("[{\"name\":\"broker\",\"self\":\"/topics/x\"},{\"name\":7},7,"
	                                 "{\"name\":\"a\\nb\"},{\"self\":\"/\"},{\"name\":\"hi\"}]"),
	                &names),
	        0);
	static const char *const good[] = { "broker", "topics", "hi" }, *const bad[] = { "", "brok", "roker",
		"x", "a", "b", "a\nb", "broker\ntopics", "hi\n", "hihi" };
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(services_offered(buf_slice(&names), edged_str(good[i])));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (strcmp(bad[i], "broker\ntopics") != 0)
			assert_false(services_offered(buf_slice(&names), edged_str(bad[i])));
	buf_fini(&names);
	assert_int_equal(services_names(edged_str("nonsense"), &names), 0);
	assert_false(services_offered(buf_slice(&names), edged_str("x")));
}

static void failures_are_forgotten_in_time(void **state)
{
	(void)state;
	struct health health = { 0 };
	char id[NODE_ID_LEN + 1];
	uint64_t now = 1000, last = 0;
	for (int i = 0; i < 10; i++) {
		health_failed(&health, "a", now);
		uint64_t wait = health_avoided(&health, "a", now);
		assert_true(wait <= HEALTH_MAX_MS && (wait > last || wait == HEALTH_MAX_MS));
		last = wait;
	}
	assert_int_equal(health_avoided(&health, "a", now + HEALTH_MAX_MS), 0);
	assert_int_equal(health_avoided(&health, "b", now), 0);
	health_succeeded(&health, "a");
	assert_int_equal(health_avoided(&health, "a", now), 0);
	health_failed(&health, "a", now);
	assert_int_equal(health_avoided(&health, "a", now), HEALTH_FIRST_MS);
	/* bounded: the one that ends first goes */
	for (int i = 0; i < 2 * HEALTH_NODES; i++) {
		snprintf(id, sizeof(id), "n%d", i);
		health_failed(&health, id, now + (uint64_t)i);
	}
	assert_int_equal(health_count(&health, now), HEALTH_NODES);
	assert_int_equal(health_avoided(&health, "a", now), 0);
	assert_true(health_avoided(&health, id, now) > 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_nearest_is_asked_and_else_one_by_lot),
		T(one_that_cannot_be_reached_is_passed_over_for_a_while),
		T(what_a_role_keeps_is_asked_of_its_holder_only),
		T(only_what_may_be_done_twice_is_sent_twice),
		T(a_node_is_not_avoided_for_its_devices),
		T(a_service_that_nobody_has),
		cmocka_unit_test(names_of_services),
		cmocka_unit_test(failures_are_forgotten_in_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
