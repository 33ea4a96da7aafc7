/* SPDX-License-Identifier: Apache-2.0 */
/* Signers over links: how a node is made one, what it does while the holder of the account's key is away, what it cannot do. */
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
#include "cluster/cert.h"
#include "cluster/removal.h"
#include "cluster/removals.h"
#include "cluster/signers.h"
#include "cluster/trust.h"
#include "node_rig.h"

#define DAY TRUST_DAY_MS

static struct signers *signers[NODES];
static struct removals *lists[NODES];

static bool source(void *arg, uint64_t above, const char *but, char ret_id[NODE_ID_LEN + 1])
{
	struct world *w = ((struct node *)arg)->world;
	(void)but;
	snprintf(ret_id, NODE_ID_LEN + 1, "%s", id_of(w, 0));
	return identity_removed(identity_of(w, 0))->version > above;
}

static void removed(void *arg, const char *node_id)
{
	(void)arg, (void)node_id;
}

static void list_changed(void *arg)
{
	const struct node *n = arg;
	signers_look(signers[n->index]);
}

static void make(struct world *w)
{
	for (unsigned i = 0; i < NODES; i++) {
		struct node *n = &w->node[i];
		struct err err = { "" };
		const struct removals_deps list = { w->loop, n->identity, n->links, n->requests, n->router,
			find_node, source, removed, list_changed, n };
		const struct signers_deps deps = { w->loop, n->identity, n->links, n->requests, n->router,
			find_node, n };
		assert_int_equal(removals_new(&list, &lists[i], &err), 0);
		assert_int_equal(signers_new(&deps, &signers[i], &err), 0);
	}
}

static void unmake(void)
{
	for (unsigned i = 0; i < NODES; i++) {
		signers_free(TAKE(signers[i]));
		removals_free(TAKE(lists[i]));
	}
}

static bool one_signs(struct world *w)
{
	return identity_can_sign(identity_of(w, 1));
}

static bool one_gave_up(struct world *w)
{
	(void)w;
	return signers_counts(signers[1]).failures > 0;
}

/* Nobody is at node 0's address any more: another one answers there. */
static void leave(struct world *w)
{
	w->address_of[0] = 1;
	links_reset(w->node[1].links);
	links_reset(w->node[2].links);
}

static void a_node_is_made_a_signer_over_links(void **state)
{
	struct world *w = *state;
	char path[128], text[64];
	make(w);
	join_ok(w, 0, 1);
	snprintf(path, sizeof(path), SIGNERS_PATH "/%.12s", id_of(w, 1));
	assert_problem(ask(w, 0, 1, "PUT", SIGNERS_PATH "/n1", ""), 409, "account-key-elsewhere");
	assert_problem(ask(w, 0, 2, "PUT", SIGNERS_PATH "/n1", ""), 409, "account");
	assert_problem(ask(w, 0, 0, "PUT", SIGNERS_PATH "/nobody", ""), 404, "node-unknown");
	assert_problem(ask(w, 0, 0, "PUT", SIGNERS_PATH "/twins", ""), 409, "node-ambiguous");
	assert_problem(ask(w, 0, 0, "DELETE", SIGNERS_PATH "/n1", ""), 404, "no-signer");
	assert_problem(ask(w, 0, 0, "POST", SIGNERS_PATH, "{}"), 403, "not-a-node");
	assert_problem(ask_and_wait(w, 1, "PUT", "/nodes/n0" SIGNERS_PATH "/n1", ""), 403, "out-of-scope");
	assert_int_equal(ask(w, 0, 0, "PUT", SIGNERS_PATH "/n1", "")->status, 200);
	assert_string_equal(member(&w->client[0], "id", text, sizeof(text)), id_of(w, 1));
	assert_int_equal(
	        ask(w, 0, 0, "PUT", SIGNERS_PATH "/n1", "")->status, 200); /* as often as one likes */
	assert_non_null(
	        strstr(ask(w, 0, 0, "GET", SIGNERS_PATH, "")->body.ptr, "\"certificateExpires\":null"));
	removals_look(lists[1]);
	run_until(w, one_signs);
	assert_null(strstr(ask(w, 0, 0, "GET", SIGNERS_PATH, "")->body.ptr, "null"));
	removals_look(lists[1]); /* the list says now until when */
	run_a_while(w);
	assert_null(strstr(ask(w, 0, 1, "GET", SIGNERS_PATH, "")->body.ptr, "null"));
	assert_int_equal(signers_counts(signers[0]).signed_certificates, 1);
	assert_int_equal(signers_counts(signers[1]).renewals, 1);
	assert_int_equal(signers_counts(signers[1]).signers, 1);
	/* and is none any more */
	assert_int_equal(ask(w, 0, 0, "DELETE", SIGNERS_PATH "/n1", "")->status, 200);
	removals_look(lists[1]);
	run_a_while(w);
	assert_false(identity_can_sign(identity_of(w, 1)));
	assert_problem(ask(w, 0, 1, "POST", "/edge/v1/invites", ""), 409, "account-key-elsewhere");
	assert_int_equal(signers_counts(signers[1]).former, 1);
	unmake();
}

static void one_that_gets_no_certificate_tries_again(void **state)
{
	struct world *w = *state;
	make(w);
	join_ok(w, 0, 1);
	assert_int_equal(ask(w, 0, 0, "PUT", SIGNERS_PATH "/n1", "")->status, 200);
	assert_int_equal(take_removed(w, 1, 0), 0);
	w->refuse_dial = true;
	run_until(w, one_gave_up);
	w->refuse_dial = false;
	run_until(w, one_signs);
	unmake();
}

/* Who is of the account and no signer gets no certificate of one. */
static void others_get_no_certificate(void **state)
{
	struct world *w = *state;
	make(w);
	join_ok(w, 0, 1);
	struct client *client =
	        ask_and_wait(w, 1, "POST", "/nodes/n0" SIGNERS_PATH, "{\"request\":\"AAAA\"}");
	assert_int_equal(client->status, 403);
	unmake();
}

static void the_holder_can_be_one_itself(void **state)
{
	struct world *w = *state;
	struct err err = { "" };
	make(w);
	join_ok(w, 0, 1);
	assert_int_equal(ask(w, 0, 0, "PUT", SIGNERS_PATH "/n0", "")->status, 200);
	run_a_while(w);
	assert_int_equal(signers_counts(signers[0]).renewals, 1);
	/* without the account's key it signs with that */
	char here[128], away[128];
	snprintf(here, sizeof(here), "%s/ca.pem", w->node[0].folder);
	snprintf(away, sizeof(away), "%s/ca.pem.away", w->root);
	assert_int_equal(rename(here, away), 0);
	struct identity *founder;
	assert_int_equal(identity_open(w->node[0].folder, &founder, &err), 0);
	assert_true(identity_can_sign(founder) && !identity_holds_ca(founder));
	identity_free(founder);
	assert_int_equal(rename(away, here), 0);
	unmake();
}

static void a_signer_takes_nodes_in_while_the_holder_is_away(void **state)
{
	struct world *w = *state;
	char token[TOKEN_TEXT_MAX];
	make(w);
	join_ok(w, 0, 1);
	assert_int_equal(ask(w, 0, 0, "PUT", SIGNERS_PATH "/n1", "")->status, 200);
	removals_look(lists[1]);
	run_until(w, one_signs);
	leave(w);
	join_ok(w, 1, 2);
	assert_string_equal(identity_account_id(identity_of(w, 2)), identity_account_id(identity_of(w, 0)));
	assert_true(judge(w, 0, 2) && judge(w, 1, 2) && judge(w, 2, 1) && judge(w, 2, 0));
	assert_int_equal(join_counts(w->node[1].join).joined, 1);
	assert_problem(ask(w, 0, 2, "POST", "/edge/v1/invites", ""), 409, "account-key-elsewhere");
	/* a link on chains of certificates */
	struct client *client = ask_and_wait(w, 2, "GET", "/nodes/n1/hello/v1/x", "");
	assert_int_equal(client->status, 200);
	/* what needs the account's key says so */
	assert_problem(ask(w, 0, 1, "DELETE", "/mds/v1/nodes/n2", ""), 409, "account-key-elsewhere");
	assert_non_null(strstr(w->client[0].body.ptr, id_of(w, 0)));
	invite(w, 1, "", token);
	unmake();
}

static uint64_t five_days_on(void *arg)
{
	(void)arg;
	return clock_wall_ms() + 5 * DAY;
}

static bool two_renewed(struct world *w)
{
	return join_counts(w->node[2].join).renewals == 1;
}

static void begin_anew(struct world *w, unsigned i)
{
	struct err err;
	struct node *n = &w->node[i];
	pairing_stop(n->pairing);
	pairing_free(n->pairing);
	n->pairing = NULL;
	join_free(n->join);
	const struct join_deps deps = { w->loop, n->identity, n->links, n->requests, n->router,
		secure_addresses, n, NULL, JOIN_LIMITS_DEFAULT };
	assert_int_equal(join_new(&deps, &n->join, &err), 0);
}

static void a_node_renews_at_a_signer_while_the_holder_is_away(void **state)
{
	struct world *w = *state;
	CLEANUP(X509_freep) X509 *leaf = NULL, *issuer = NULL;
	char id[NODE_ID_LEN + 1];
	make(w);
	join_ok(w, 0, 1);
	join_ok(w, 0, 2);
	assert_int_equal(ask(w, 0, 0, "PUT", SIGNERS_PATH "/n1", "")->status, 200);
	removals_look(lists[1]);
	run_until(w, one_signs);
	assert_int_equal(take_removed(w, 2, 0), 0);
	for (unsigned i = 1; i < NODES; i++)
		identity_set_clock(identity_of(w, i), five_days_on, NULL);
	leave(w);
	begin_anew(w, 2);
	run_until(w, two_renewed);
	assert_int_equal(join_counts(w->node[2].join).renewal_failures, 0);
	assert_int_equal(
	        cert_read_chain(edged_str(identity_certificate_pem(identity_of(w, 2))), &leaf, &issuer), 0);
	assert_true(cert_is_signer(issuer, id));
	assert_string_equal(id, id_of(w, 1));
	assert_true(judge(w, 1, 2) && judge(w, 0, 2));
	unmake();
}

/* A removal is the owner's word with the account's key: an invite of a signer does not take it back. */
static void a_signer_does_not_take_back_who_was_removed(void **state)
{
	struct world *w = *state;
	struct err err = { "" };
	char token[TOKEN_TEXT_MAX];
	make(w);
	join_ok(w, 0, 1);
	assert_int_equal(ask(w, 0, 0, "PUT", SIGNERS_PATH "/n1", "")->status, 200);
	removals_look(lists[1]);
	run_until(w, one_signs);
	assert_int_equal(identity_remove(identity_of(w, 0), id_of(w, 2), &err), 0);
	assert_int_equal(take_removed(w, 1, 0), 0);
	invite(w, 1, "", token);
	struct client *client = join(w, 2, token);
	assert_problem(client, 502, "inviter-refused");
	assert_non_null(strstr(client->body.ptr, id_of(w, 0)));
	assert_string_equal(identity_account_id(identity_of(w, 2)), "");
	invite(w, 0, "", token);
	assert_int_equal(join(w, 2, token)->status, 200);
	unmake();
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_node_is_made_a_signer_over_links),
		T(one_that_gets_no_certificate_tries_again),
		T(others_get_no_certificate),
		T(the_holder_can_be_one_itself),
		T(a_signer_takes_nodes_in_while_the_holder_is_away),
		T(a_node_renews_at_a_signer_while_the_holder_is_away),
		T(a_signer_does_not_take_back_who_was_removed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
