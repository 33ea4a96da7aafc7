/* SPDX-License-Identifier: Apache-2.0 */
/* Joining by token, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cluster/join_proof.h"
#include "io/stream.h"
#include "node_rig.h"

static void a_node_joins_by_token(void **state)
{
	struct world *w = *state;
	char account[64];
	join_ok(w, 0, 1);
	assert_string_equal(member(&w->client[0], "account", account, sizeof(account)),
	        identity_account_id(w->node[0].identity));
	assert_string_equal(
	        identity_account_id(w->node[0].identity), identity_account_id(w->node[1].identity));
	/* at the first address another node answered, which was passed over */
	assert_int_equal(w->dials, 2);
	assert_int_equal(w->node[2].served, 0);
	assert_int_equal(join_counts(w->node[0].join).joined, 1);
}

static void a_token_works_once(void **state)
{
	struct world *w = *state;
	char token[TOKEN_TEXT_MAX];
	invite(w, 0, "", token);
	assert_int_equal(join(w, 1, token)->status, 200);
	struct client *client = join(w, 2, token);
	assert_problem(client, 403, "inviter-refused");
	assert_non_null(strstr(client->body.ptr, "has been used"));
	assert_string_equal(identity_account_id(w->node[2].identity), "");
}

static void an_expired_token_is_refused(void **state)
{
	struct world *w = *state;
	char token[TOKEN_TEXT_MAX];
	invite(w, 0, "{\"for\": 30}", token);
	w->ms = 30001;
	assert_problem(join(w, 1, token), 403, "inviter-refused");
	w->ms = 0;
	assert_int_equal(join(w, 1, token)->status, 200);
}

static void rewrite(const char *token, void (*change)(struct join_token *token), char ret[TOKEN_TEXT_MAX])
{
	struct join_token parts;
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	assert_int_equal(token_read(edged_str(token), &parts, NULL), 0);
	change(&parts);
	assert_int_equal(token_write(&parts, &text), 0);
	snprintf(ret, TOKEN_TEXT_MAX, "%s", text.ptr);
}

static void change_secret(struct join_token *token)
{
	token->secret[3] ^= 1;
}

static void change_account(struct join_token *token)
{
	snprintf(token->account_id, sizeof(token->account_id), "%s", token->node_id);
}

static void change_node(struct join_token *token)
{
	snprintf(token->node_id, sizeof(token->node_id), "%s", token->account_id);
}

static void tampered_tokens_are_refused(void **state)
{
	struct world *w = *state;
	char token[TOKEN_TEXT_MAX], bad[TOKEN_TEXT_MAX];
	invite(w, 0, "", token);
	snprintf(bad, sizeof(bad), "%s", token);
	bad[40] = bad[40] == 'A' ? 'B' : 'A';
	assert_problem(join(w, 1, bad), 400, "bad-token");
	rewrite(token, change_secret, bad);
	assert_problem(join(w, 1, bad), 403, "inviter-refused");
	rewrite(token, change_node, bad);
	assert_problem(join(w, 1, bad), 502, "inviter-unreachable");
	assert_non_null(strstr(w->client[0].body.ptr, "another node answers"));
	assert_int_equal(join_counts(w->node[0].join).refused, 1);
	/* the inviter's own CA is not the one that the token pins */
	rewrite(token, change_account, bad);
	assert_problem(join(w, 1, bad), 502, "wrong-account");
	assert_string_equal(identity_account_id(w->node[1].identity), "");
}

static void five_wrong_proofs_shut_the_door(void **state)
{
	struct world *w = *state;
	char token[TOKEN_TEXT_MAX], bad[TOKEN_TEXT_MAX];
	invite(w, 0, "", token);
	rewrite(token, change_secret, bad);
	for (int i = 0; i < 5; i++)
		assert_problem(join(w, 1, bad), 403, "inviter-refused");
	struct client *client = join(w, 1, token);
	assert_problem(client, 502, "inviter-refused");
	assert_non_null(strstr(client->body.ptr, "429"));
	w->ms = 600000;
	invite(w, 0, "", token);
	assert_int_equal(join(w, 1, token)->status, 200);
}

static void only_the_holder_of_the_key_invites(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	struct client *client = ask(w, 0, 1, "POST", "/edge/v1/invites", "");
	assert_problem(client, 409, "account-key-elsewhere");
	assert_non_null(strstr(client->body.ptr, identity_node_id(w->node[0].identity)));
}

static void who_belongs_to_an_account_does_not_join(void **state)
{
	struct world *w = *state;
	char token[TOKEN_TEXT_MAX];
	join_ok(w, 0, 1);
	invite(w, 2, "", token);
	assert_problem(ask(w, 0, 1, "POST", "/edge/v1/join", "{}"), 409, "account-exists");
	(void)token;
}

static void only_the_owner_invites_and_joins(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	assert_problem(ask_and_wait(w, 1, "POST", "/nodes/n0/edge/v1/invites", ""), 403, "out-of-scope");
	assert_problem(ask_and_wait(w, 1, "POST", "/nodes/n0/edge/v1/join", "{}"), 403, "out-of-scope");
	assert_int_equal(
	        ask_with(w, 0, 0, "POST", "/edge/v1/invites", edged_str(""), NULL, 0, 1)->status, 403);
}

static void invites_are_counted_and_checked(void **state)
{
	struct world *w = *state;
	char token[TOKEN_TEXT_MAX];
	assert_problem(ask(w, 0, 0, "POST", "/edge/v1/invites", "{\"for\": 0}"), 400, "bad-duration");
	assert_problem(ask(w, 0, 0, "POST", "/edge/v1/invites", "{\"for\": \"1h\"}"), 400, "bad-duration");
	assert_problem(ask(w, 0, 0, "POST", "/edge/v1/invites", "[1]"), 400, "bad-json");
	for (int i = 0; i < JOIN_INVITES; i++)
		invite(w, 0, "", token);
	assert_problem(ask(w, 0, 0, "POST", "/edge/v1/invites", ""), 429, "too-many-invites");
	assert_problem(ask(w, 0, 1, "POST", "/edge/v1/join", "{\"token\": 7}"), 400, "bad-token");
	assert_problem(ask(w, 0, 0, "POST", "/edge/v1/account/sign", "{}"), 400, "wrong-way");
}

/* --- a proof that was made for one connection, sent over another --- */

static struct {
	struct world *world;
	struct join_token token;
	uint8_t exported[PROOF_EXPORT]; /* of the first connection */
	bool recorded, replays;
	struct buf body;
	int status;
	bool ended;
} thief;

static int write_proof(void *arg, struct edged_stream *stream, struct link_send *send)
{
	CLEANUP(buf_fini) struct buf der = BUF_EMPTY, request = BUF_EMPTY, proof_text = BUF_EMPTY;
	uint8_t exported[PROOF_EXPORT], proof[PROOF_LEN];
	(void)arg;
	assert_int_equal(stream_export_key(stream, PROOF_LABEL, exported, sizeof(exported)), 0);
	if (!thief.recorded) {
		memcpy(thief.exported, exported, sizeof(exported));
		thief.recorded = true;
		return -ECANCELED;
	}
	assert_memory_not_equal(thief.exported, exported, sizeof(exported));
	assert_int_equal(identity_request(thief.world->node[1].identity, &der), 0);
	assert_int_equal(proof_make(thief.token.secret, thief.replays ? thief.exported : exported,
	                         buf_slice(&der), proof),
	        0);
	assert_int_equal(base64_write(buf_slice(&der), &request), 0);
	assert_int_equal(base64_write(edged_slice(proof, PROOF_LEN), &proof_text), 0);
	buf_clear(&thief.body);
	assert_int_equal(
	        buf_addf(&thief.body, "{\"request\":\"%s\",\"proof\":\"%s\"}", request.ptr, proof_text.ptr),
	        0);
	send->body = buf_slice(&thief.body);
	return 0;
}

static void thief_head(void *arg, const struct link_message *answer)
{
	(void)arg;
	thief.status = answer->status;
}

static void thief_data(void *arg, struct edged_slice bytes)
{
	(void)arg, (void)bytes;
}

static void thief_end(void *arg, const struct link_failure *failure)
{
	(void)arg, (void)failure;
	thief.ended = true;
}

static bool thief_ended(struct world *w)
{
	(void)w;
	return thief.ended;
}

/* The status of the answer, 0: none. */
static int steal(struct world *w)
{
	static const struct link_reply reply = { .head = thief_head, .data = thief_data, .end = thief_end };
	static const char *const addresses[] = { "192.0.2.1:1", NULL };
	const struct link_request request = {
		.node_id = identity_node_id(w->node[0].identity),
		.send = { .method = edged_str("POST"),
		        .target = edged_str(JOIN_SIGN_PATH),
		        .authority = edged_str("n0") },
		.answer_ms = 5000,
		.reply = &reply,
		.addresses = addresses,
		.prepare = write_proof,
	};
	struct link_call *call;
	struct link_failure failure;
	thief.status = 0;
	thief.ended = false;
	assert_int_equal(links_request(w->node[1].links, &request, &call, &failure), 0);
	run_until(w, thief_ended);
	return thief.status;
}

static void a_proof_is_worth_nothing_on_another_connection(void **state)
{
	struct world *w = *state;
	char token[TOKEN_TEXT_MAX];
	memset(&thief, 0, sizeof(thief));
	thief.world = w;
	invite(w, 0, "", token);
	assert_int_equal(token_read(edged_str(token), &thief.token, NULL), 0);
	assert_int_equal(steal(w), 0);
	thief.replays = true;
	assert_int_equal(steal(w), 403);
	assert_int_equal(join_counts(w->node[0].join).refused, 1);
	thief.replays = false; /* made for this one, it fits */
	assert_int_equal(steal(w), 200);
	assert_int_equal(steal(w), 403); /* once */
	buf_fini(&thief.body);
}

static bool renewed(struct world *w)
{
	return join_counts(w->node[1].join).renewals == 1;
}

static uint64_t five_days_on(void *arg)
{
	(void)arg;
	return clock_wall_ms() + UINT64_C(5) * 24 * 3600 * 1000;
}

static bool failed_to_renew(struct world *w)
{
	return join_counts(w->node[1].join).renewal_failures == 1;
}

/* Begun anew, it looks at the certificate at once. */
static void begin_anew(struct world *w)
{
	struct err err;
	/* pairing goes on with the join that it was given */
	pairing_stop(w->node[1].pairing);
	pairing_free(w->node[1].pairing);
	w->node[1].pairing = NULL;
	join_free(w->node[1].join);
	const struct join_deps deps = { w->loop, w->node[1].identity, w->node[1].links, w->node[1].requests,
		w->node[1].router, secure_addresses, &w->node[1], NULL, JOIN_LIMITS_DEFAULT };
	assert_int_equal(join_new(&deps, &w->node[1].join, &err), 0);
}

static void certificates_are_renewed_over_a_link(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	char *before = strdup(identity_certificate_pem(w->node[1].identity));
	for (int i = 0; i < 2; i++)
		identity_set_clock(w->node[i].identity, five_days_on, NULL);
	begin_anew(w);
	run_until(w, renewed);
	assert_string_not_equal(before, identity_certificate_pem(w->node[1].identity));
	free(before);
}

/* A node that starts does not know yet where the others are: that must not cost it an hour. */
static void a_renewal_that_failed_is_tried_again_soon(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	for (int i = 0; i < 2; i++)
		identity_set_clock(w->node[i].identity, five_days_on, NULL);
	w->refuse_dial = true;
	begin_anew(w);
	run_until(w, failed_to_renew);
	w->refuse_dial = false;
	run_until(w, renewed);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_node_joins_by_token),
		T(a_token_works_once),
		T(an_expired_token_is_refused),
		T(tampered_tokens_are_refused),
		T(five_wrong_proofs_shut_the_door),
		T(only_the_holder_of_the_key_invites),
		T(who_belongs_to_an_account_does_not_join),
		T(only_the_owner_invites_and_joins),
		T(invites_are_counted_and_checked),
		T(a_proof_is_worth_nothing_on_another_connection),
		T(certificates_are_renewed_over_a_link),
		T(a_renewal_that_failed_is_tried_again_soon),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
