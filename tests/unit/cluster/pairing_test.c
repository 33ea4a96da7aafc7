/* SPDX-License-Identifier: Apache-2.0 */
/* Joining by a code: node 0 holds the account's key and is told the code of node 1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "cluster/pair_code.h"
#include "node_rig.h"

static void show(struct world *w, unsigned node, char ret[PAIR_CODE_TEXT + 1])
{
	const struct client *client = ask(w, 0, node, "POST", "/edge/v1/pairing/code", "");
	if (client->status != 201)
		fail_msg("%d: %s", client->status, client->body.ptr);
	member(client, "code", ret, PAIR_CODE_TEXT + 1);
}

static void body_of(char ret[128], const char *target, const char *code)
{
	snprintf(ret, 128, "{\"node\":\"%s\",\"code\":\"%s\"}", target, code);
}

static struct client *type(struct world *w, unsigned node, const char *target, const char *code)
{
	char body[128];
	body_of(body, target, code);
	return ask_and_wait(w, node, "POST", "/edge/v1/pairing", body);
}

/* Well-formed, and not this one. */
static void spoil(const char *code, char ret[PAIR_CODE_TEXT + 1])
{
	char digits[PAIR_CODE + 1];
	memcpy(ret, code, PAIR_CODE_TEXT + 1);
	ret[0] = ret[0] == '9' ? '0' : (char)(ret[0] + 1);
	for (char last = '0'; last <= '9'; last++) {
		ret[PAIR_CODE_TEXT - 1] = last;
		if (pair_code_read(edged_str(ret), digits, NULL) == 0)
			return;
	}
	fail();
}

static void the_right_code_takes_the_node_in(void **state)
{
	struct world *w = *state;
	char code[PAIR_CODE_TEXT + 1], text[64];
	show(w, 1, code);
	const struct client *client = type(w, 0, "n1", code);
	if (client->status != 200)
		fail_msg("%d: %s", client->status, client->body.ptr);
	assert_string_equal(
	        member(client, "nodeId", text, sizeof(text)), identity_node_id(w->node[1].identity));
	assert_string_equal(
	        identity_account_id(w->node[0].identity), identity_account_id(w->node[1].identity));
	assert_true(identity_holds_ca(w->node[0].identity));
	assert_false(identity_holds_ca(w->node[1].identity));
	assert_int_equal(join_counts(w->node[0].join).joined, 1);
	assert_int_equal(join_counts(w->node[0].join).open, 0);
	assert_int_equal(pairing_counts(w->node[0].pairing).admitted, 1);
	assert_int_equal(pairing_counts(w->node[1].pairing).paired, 1);
	assert_int_equal(pairing_counts(w->node[1].pairing).open, 0);
	/* once */
	assert_problem(type(w, 0, "n1", code), 409, "no-code");
}

static void a_wrong_code_founds_no_account(void **state)
{
	struct world *w = *state;
	char code[PAIR_CODE_TEXT + 1], wrong[PAIR_CODE_TEXT + 1];
	show(w, 1, code);
	spoil(code, wrong);
	const struct client *client = type(w, 0, "n1", wrong);
	assert_problem(client, 403, "wrong-code");
	assert_non_null(strstr(client->body.ptr, "4 more times"));
	assert_string_equal(identity_account_id(w->node[0].identity), "");
	assert_string_equal(identity_account_id(w->node[1].identity), "");
	assert_int_equal(join_counts(w->node[0].join).invites, 0);
	assert_int_equal(pairing_counts(w->node[1].pairing).wrong, 1);
}

static void the_sixth_try_is_none(void **state)
{
	struct world *w = *state;
	char code[PAIR_CODE_TEXT + 1], wrong[PAIR_CODE_TEXT + 1];
	show(w, 1, code);
	spoil(code, wrong);
	for (int i = 0; i < 5; i++) {
		assert_problem(type(w, 0, "n1", wrong), 403, "wrong-code");
		assert_problem(type(w, 0, "n1", code), i < 4 ? 429 : 409, i < 4 ? "pairing-busy" : "no-code");
		w->ms += 1000;
	}
	assert_problem(type(w, 0, "n1", code), 409, "no-code");
	const struct pairing_counts counts = pairing_counts(w->node[1].pairing);
	assert_int_equal(counts.exchanges, 5);
	assert_int_equal(counts.wrong, 5);
	assert_int_equal(counts.refused, 6);
	/* the next code is another chance */
	show(w, 1, code);
	assert_int_equal(type(w, 0, "n1", code)->status, 200);
}

static void the_fifth_try_may_be_right(void **state)
{
	struct world *w = *state;
	char code[PAIR_CODE_TEXT + 1], wrong[PAIR_CODE_TEXT + 1];
	show(w, 1, code);
	spoil(code, wrong);
	for (int i = 0; i < 4; i++) {
		assert_problem(type(w, 0, "n1", wrong), 403, "wrong-code");
		w->ms += 1000;
	}
	assert_int_equal(type(w, 0, "n1", code)->status, 200);
}

static void codes_run_out(void **state)
{
	struct world *w = *state;
	char code[PAIR_CODE_TEXT + 1], next[PAIR_CODE_TEXT + 1];
	show(w, 1, code);
	w->ms = 299000;
	assert_int_equal(pairing_counts(w->node[1].pairing).open, 1);
	w->ms = 300001;
	assert_problem(type(w, 0, "n1", code), 409, "no-code");
	show(w, 1, code);
	show(w, 1, next); /* takes its place */
	if (strcmp(code, next))
		assert_problem(type(w, 0, "n1", code), 403, "wrong-code");
	ask(w, 0, 1, "DELETE", "/edge/v1/pairing/code", "");
	assert_int_equal(pairing_counts(w->node[1].pairing).open, 0);
}

static bool at_the_second_dial(struct world *w)
{
	return w->dials == 2;
}

/* The operator gives up: before the new node answered, and while it joins. */
static void the_operator_may_leave(void **state)
{
	struct world *w = *state;
	char code[PAIR_CODE_TEXT + 1], body[128];
	show(w, 1, code);
	body_of(body, "n1", code);
	w->hold_dial = 1;
	ask(w, 0, 0, "POST", "/edge/v1/pairing", body);
	run_a_while(w);
	assert_int_equal(w->dials, 1);
	requests_gone(w->node[0].requests, w->client[0].request);
	run_a_while(w);
	assert_int_equal(pairing_counts(w->node[1].pairing).exchanges, 0);
	/* and it can be done again: the first dial is the pairing's, the second the new node's */
	w->dials = 0;
	w->hold_dial = 2;
	ask(w, 0, 0, "POST", "/edge/v1/pairing", body);
	run_until(w, at_the_second_dial);
	assert_problem(ask(w, 1, 1, "POST", "/edge/v1/pairing/code", ""), 409, "join-under-way");
	assert_problem(ask(w, 1, 1, "POST", "/edge/v1/join", "{}"), 409, "join-under-way");
	requests_gone(w->node[0].requests, w->client[0].request);
	run_a_while(w);
	assert_int_equal(pairing_counts(w->node[0].pairing).admitted, 0);
	/* the new node goes on by itself until its join ends, here with the daemon */
	assert_problem(ask(w, 1, 1, "POST", "/edge/v1/pairing/code", ""), 409, "join-under-way");
}

static void one_at_a_time(void **state)
{
	struct world *w = *state;
	char code[PAIR_CODE_TEXT + 1], body[128];
	show(w, 1, code);
	body_of(body, "n1", code);
	ask(w, 0, 0, "POST", "/edge/v1/pairing", body);
	assert_problem(ask(w, 1, 0, "POST", "/edge/v1/pairing", body), 409, "pairing-under-way");
	run_until(w, first_ended);
	assert_int_equal(w->client[0].status, 200);
}

static void another_node_at_the_address_gets_nothing(void **state)
{
	struct world *w = *state;
	char code[PAIR_CODE_TEXT + 1];
	show(w, 1, code);
	w->address_of[1] = 2;
	assert_problem(type(w, 0, "n1", code), 502, "wrong-node");
	assert_int_equal(pairing_counts(w->node[2].pairing).exchanges, 0);
	w->address_of[1] = 0; /* this node itself */
	assert_problem(type(w, 0, "n1", code), 502, "wrong-node");
	assert_problem(type(w, 0, "192.0.2.1:2", code), 502, "wrong-node");
	/* by address it is whoever knows the code */
	w->address_of[1] = 1;
	assert_int_equal(type(w, 0, "192.0.2.1:2", code)->status, 200);
}

static void what_cannot_be_is_said_before_a_try(void **state)
{
	struct world *w = *state;
	char code[PAIR_CODE_TEXT + 1];
	join_ok(w, 0, 1);
	show(w, 2, code);
	assert_problem(ask(w, 0, 1, "POST", "/edge/v1/pairing", "{}"), 409, "account-key-elsewhere");
	assert_problem(ask(w, 0, 1, "POST", "/edge/v1/pairing/code", ""), 409, "account-exists");
	assert_problem(ask(w, 0, 0, "POST", "/edge/v1/pairing", "{}"), 400, "bad-request");
	assert_problem(ask(w, 0, 0, "POST", "/edge/v1/pairing", "{\"node\":\"n2\",\"code\":\"1234\"}"), 400,
	        "bad-code");
	assert_problem(type(w, 0, "nobody", code), 404, "node-unknown");
	assert_problem(type(w, 0, "twins", code), 409, "node-ambiguous");
	w->refuse_dial = true;
	assert_problem(type(w, 0, "n2", code), 502, "node-unreachable");
	w->refuse_dial = false;
	/* of those who are no owners */
	assert_int_equal(
	        ask_with(w, 0, 2, "POST", "/edge/v1/pairing/code", edged_str(""), NULL, 0, 1)->status, 403);
	assert_int_equal(
	        ask_with(w, 0, 0, "POST", "/edge/v1/pairing", edged_str(""), NULL, 0, 1)->status, 403);
	assert_int_equal(pairing_counts(w->node[2].pairing).exchanges, 0);
	assert_int_equal(type(w, 0, "n2", code)->status, 200);
}

static void too_many_invites_are_told(void **state)
{
	struct world *w = *state;
	char code[PAIR_CODE_TEXT + 1], token[TOKEN_TEXT_MAX];
	for (int i = 0; i < JOIN_INVITES; i++)
		invite(w, 0, "", token);
	show(w, 1, code);
	assert_problem(type(w, 0, "n1", code), 429, "too-many-invites");
	/* both had proven themselves: the code has been used */
	assert_int_equal(pairing_counts(w->node[1].pairing).open, 0);
	run_a_while(w);
	assert_string_equal(identity_account_id(w->node[1].identity), "");
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_right_code_takes_the_node_in),
		T(a_wrong_code_founds_no_account),
		T(the_sixth_try_is_none),
		T(the_fifth_try_may_be_right),
		T(codes_run_out),
		T(the_operator_may_leave),
		T(one_at_a_time),
		T(another_node_at_the_address_gets_nothing),
		T(what_cannot_be_is_said_before_a_try),
		T(too_many_invites_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
