/* SPDX-License-Identifier: Apache-2.0 */
/* What a node keeps of the others of its account: the proof of it, and their services. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cluster/trust.h"
#include "node_rig.h"

static bool trusts(const struct world *w, unsigned i, unsigned other)
{
	return peers_trusted(w->node[i].peers, id_of(w, other));
}

/* Node i hears in gossip that node `other` is there and of the account of node `of`. */
static void hears(struct world *w, unsigned i, unsigned other, unsigned of, uint64_t services)
{
	peers_seen(w->node[i].peers, id_of(w, other), identity_account_id(w->node[of].identity), services);
}

static bool nobody_asks(struct world *w)
{
	for (unsigned i = 0; i < NODES; i++)
		if (peers_counts(w->node[i].peers).asked)
			return false;
	return true;
}

static void assert_services(const struct world *w, unsigned i, unsigned other, const char *wanted)
{
	struct edged_slice list = peers_services(w->node[i].peers, id_of(w, other));
	char text[256];
	snprintf(text, sizeof(text), "%.*s", EDGED_SLICE_FMT(list));
	assert_string_equal(text, wanted);
}

static void both_trust_each_other_once_joined(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	assert_false(trusts(w, 0, 1));
	assert_false(trusts(w, 1, 0));
	hears(w, 0, 1, 0, 7);
	run_until(w, nobody_asks);
	assert_true(trusts(w, 0, 1));
	assert_services(w, 0, 1, "[{\"id\":\"edged-hello\"}]");
	/* the link proves it to the other side too, which believes it when it also hears the claim */
	assert_false(trusts(w, 1, 0));
	hears(w, 1, 0, 0, 8);
	assert_true(trusts(w, 1, 0));
	run_until(w, nobody_asks);
	assert_services(w, 1, 0, "[{\"id\":\"edged-hello\"}]");
	assert_int_equal(peers_counts(w->node[0].peers).proven, 1);
}

static void a_false_claim_proves_nothing(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	hears(w, 0, 2, 0, 7); /* node 2 is of no account */
	run_until(w, nobody_asks);
	assert_false(trusts(w, 0, 2));
	assert_services(w, 0, 2, "");
	assert_int_equal(w->node[2].services_asked, 0);
	assert_int_equal(peers_counts(w->node[0].peers).failures, 1);
	/* and it is not asked again at once, also when its record changes in other ways */
	hears(w, 0, 2, 0, 7);
	run_a_while(w);
	assert_int_equal(peers_counts(w->node[0].peers).questions, 1);
	/* a neighbour that claims nothing is left alone */
	peers_seen(w->node[1].peers, id_of(w, 2), "", 7);
	run_a_while(w);
	assert_int_equal(peers_counts(w->node[1].peers).known, 0);
	assert_false(trusts(w, 1, 2));
}

static void services_are_asked_for_once_for_each_change(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	for (int i = 0; i < 3; i++) {
		hears(w, 0, 1, 0, 7);
		run_until(w, nobody_asks);
	}
	assert_int_equal(w->node[1].services_asked, 1);
	w->node[1].services = "{\"data\":[]}";
	hears(w, 0, 1, 0, 8);
	run_until(w, nobody_asks);
	assert_int_equal(w->node[1].services_asked, 2);
	assert_services(w, 0, 1, "[]");
	/* a node that went and came back is the same */
	peers_gone(w->node[0].peers, id_of(w, 1));
	hears(w, 0, 1, 0, 8);
	run_until(w, nobody_asks);
	assert_int_equal(w->node[1].services_asked, 2);
	peers_forget(w->node[0].peers, id_of(w, 1));
	assert_services(w, 0, 1, "");
	assert_false(trusts(w, 0, 1));
}

static void what_is_no_list_or_too_long_is_not_kept(void **state)
{
	static char longer[2000];
	static const char *const bad[] = { "", "nonsense", "{\"data\":7}", "[]", "{\"data\":[}", longer };
	struct world *w = *state;
	snprintf(longer, sizeof(longer), "{\"data\":[\"%01500d\"]}", 7);
	join_ok(w, 0, 1);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		w->node[1].services = bad[i];
		hears(w, 0, 1, 0, 100 + i);
		run_until(w, nobody_asks);
		assert_services(w, 0, 1, "");
		assert_int_equal(peers_counts(w->node[0].peers).refused, i + 1);
		assert_int_equal(peers_counts(w->node[0].peers).bytes, 0);
		assert_true(trusts(w, 0, 1));
	}
}

static bool asked_twice(struct world *w)
{
	return w->node[1].services_asked == 2 && nobody_asks(w);
}

static void a_node_that_is_busy_is_asked_again(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	w->node[1].services_status = 503;
	hears(w, 0, 1, 0, 7);
	run_until(w, nobody_asks);
	assert_services(w, 0, 1, "");
	w->node[1].services_status = 200;
	run_until(w, asked_twice); /* after PEERS_RETRY_MS */
	assert_services(w, 0, 1, "[{\"id\":\"edged-hello\"}]");
}

static uint64_t wall;

static uint64_t fake_wall(void *arg)
{
	(void)arg;
	return wall;
}

static uint64_t mono;

static uint64_t fake_mono(void *arg)
{
	(void)arg;
	return mono;
}

static void a_proof_ends_with_the_certificate(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	hears(w, 0, 1, 0, 7);
	run_until(w, nobody_asks);
	wall = clock_wall_ms() + 8 * TRUST_DAY_MS; /* certificates live a week */
	identity_set_clock(w->node[0].identity, fake_wall, NULL);
	assert_true(trusts(w, 0, 1)); /* known before: believed for a while */
	wall += TRUST_GRACE_MS;
	assert_true(trusts(w, 0, 1)); /* a clock that jumps is no time that passes */
	mono = clock_mono_ms() + TRUST_GRACE_MS + 1000;
	identity_set_mono(w->node[0].identity, fake_mono, NULL);
	assert_false(trusts(w, 0, 1));
	assert_services(w, 0, 1, "");
}

static unsigned asked_before;

static bool asked_again(struct world *w)
{
	return w->node[1].services_asked > asked_before && nobody_asks(w);
}

/* After the clock was set: who has renewed shows its certificate to those whose own it finds ended. */
static void who_has_a_new_certificate_shows_it(void **state)
{
	struct world *w = *state;
	bool renew;
	join_ok(w, 0, 1);
	hears(w, 0, 1, 0, 7);
	run_until(w, nobody_asks);
	asked_before = w->node[1].services_asked;
	wall = clock_wall_ms() + 8 * TRUST_DAY_MS;
	identity_set_clock(w->node[0].identity, fake_wall, NULL);
	identity_tick(w->node[0].identity, &renew);
	run_until(w, asked_again);
	assert_true(trusts(w, 0, 1));
	assert_int_equal(w->node[1].services_asked, asked_before + 1);
}

static void a_link_that_finds_it_untrusted_ends_the_proof(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	hears(w, 0, 1, 0, 7);
	run_until(w, nobody_asks);
	assert_true(trusts(w, 0, 1));
	peers_judged(w->node[0].peers, id_of(w, 1), false, edged_slice(NULL, 0));
	assert_false(trusts(w, 0, 1));
}

static void a_question_ends_with_its_node(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	hears(w, 0, 1, 0, 7);
	assert_int_equal(peers_counts(w->node[0].peers).asked, 1);
	peers_gone(w->node[0].peers, id_of(w, 1));
	assert_int_equal(peers_counts(w->node[0].peers).asked, 0);
	run_a_while(w);
	assert_int_equal(w->node[1].services_asked, 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(both_trust_each_other_once_joined),
		T(a_false_claim_proves_nothing),
		T(services_are_asked_for_once_for_each_change),
		T(what_is_no_list_or_too_long_is_not_kept),
		T(a_node_that_is_busy_is_asked_again),
		T(a_proof_ends_with_the_certificate),
		T(who_has_a_new_certificate_shows_it),
		T(a_link_that_finds_it_untrusted_ends_the_proof),
		T(a_question_ends_with_its_node),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
