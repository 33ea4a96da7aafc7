/* SPDX-License-Identifier: Apache-2.0 */
/* Removing nodes from an account: the signed list, what it means to certificates, and how it travels. */
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
#include "cluster/trust.h"
#include "node_rig.h"

#define DAY TRUST_DAY_MS

static uint64_t wall_ms;
static uint64_t wall(void *arg)
{
	(void)arg;
	return wall_ms;
}

static void remove_ok(struct world *w, unsigned holder, const char *id)
{
	struct err err = { "" };
	if (identity_remove(identity_of(w, holder), id, &err))
		fail_msg("%s", err.text);
}

/* Three of one account; all know each other's certificates. */
static void account_of_three(struct world *w)
{
	wall_ms = clock_wall_ms();
	for (unsigned i = 0; i < NODES; i++)
		identity_set_clock(identity_of(w, i), wall, NULL);
	join_ok(w, 0, 1);
	join_ok(w, 0, 2);
	for (unsigned i = 0; i < NODES; i++)
		for (unsigned j = 0; j < NODES; j++)
			assert_true(judge(w, i, j));
}

static void a_removed_node_is_believed_by_nobody(void **state)
{
	struct world *w = *state;
	struct err err = { "" };
	account_of_three(w);
	remove_ok(w, 0, identity_node_id(identity_of(w, 2)));
	assert_false(judge(w, 0, 2));
	assert_true(judge(w, 1, 2)); /* it has not heard of it */
	assert_int_equal(take_removed(w, 1, 0), 0);
	assert_false(judge(w, 1, 2));
	assert_true(judge(w, 1, 0));
	assert_true(judge(w, 0, 1));
	assert_int_equal(
	        identity_remove(identity_of(w, 0), identity_node_id(identity_of(w, 2)), &err), -EALREADY);
	assert_int_equal(
	        identity_remove(identity_of(w, 0), identity_node_id(identity_of(w, 0)), &err), -EINVAL);
	assert_int_equal(identity_remove(identity_of(w, 0), "nonsense", &err), -EINVAL);
	assert_int_equal(
	        identity_remove(identity_of(w, 1), identity_node_id(identity_of(w, 2)), &err), -EACCES);
	/* and so after a restart */
	struct identity *again;
	assert_int_equal(identity_open(w->node[1].folder, &again, &err), 0);
	assert_int_equal(identity_removed(again)->count, 1);
	assert_true(identity_is_removed(again, identity_removed(again)->removed[0].id));
	identity_free(again);
}

/* Whatever a node takes the time for: it believes the certificate because of no clock. */
static void no_clock_brings_it_back(void **state)
{
	struct world *w = *state;
	account_of_three(w);
	uint64_t began = wall_ms;
	wall_ms += 3 * DAY;
	remove_ok(w, 0, identity_node_id(identity_of(w, 2)));
	assert_int_equal(take_removed(w, 1, 0), 0);
	for (uint64_t day = 0; day < 4000; day++) {
		wall_ms = began - 2000 * DAY + day * DAY;
		assert_false(judge(w, 1, 2));
		assert_false(judge(w, 0, 2));
	}
}

static void its_certificate_is_not_renewed(void **state)
{
	struct world *w = *state;
	account_of_three(w);
	remove_ok(w, 0, identity_node_id(identity_of(w, 2)));
	wall_ms += 5 * DAY; /* two thirds have passed */
	const uint64_t renewals = join_counts(w->node[2].join).renewals;
	struct client *client = ask(w, 0, 2, "POST", "/nodes/n0/edge/v1/account/renew", "{}");
	run_until(w, first_ended);
	assert_problem(client, 403, "node-not-trusted");
	assert_int_equal(join_counts(w->node[2].join).renewals, renewals);
}

static void an_invite_brings_it_back(void **state)
{
	struct world *w = *state;
	struct err err = { "" };
	account_of_three(w);
	remove_ok(w, 0, identity_node_id(identity_of(w, 1)));
	remove_ok(w, 0, identity_node_id(identity_of(w, 2)));
	uint64_t version = identity_removed(identity_of(w, 0))->version;
	assert_int_equal(identity_readmit(identity_of(w, 0), identity_node_id(identity_of(w, 2)), &err), 0);
	assert_true(identity_removed(identity_of(w, 0))->version > version);
	assert_int_equal(identity_removed(identity_of(w, 0))->count, 1);
	assert_true(judge(w, 0, 2));
	assert_false(judge(w, 0, 1));
	version = identity_removed(identity_of(w, 0))->version;
	assert_int_equal(identity_readmit(identity_of(w, 0), identity_node_id(identity_of(w, 2)), &err), 0);
	assert_int_equal(identity_removed(identity_of(w, 0))->version, version);
}

/* --- lists that are not taken --- */

static void old_lists_are_not_taken(void **state)
{
	struct world *w = *state;
	struct err err = { "" };
	account_of_three(w);
	remove_ok(w, 0, identity_node_id(identity_of(w, 2)));
	CLEANUP(buf_fini) struct buf first = BUF_EMPTY, second = BUF_EMPTY;
	struct edged_slice text = identity_removed_text(identity_of(w, 0));
	assert_int_equal(buf_add(&first, text.ptr, text.len), 0);
	assert_int_equal(identity_readmit(identity_of(w, 0), identity_node_id(identity_of(w, 2)), &err), 0);
	text = identity_removed_text(identity_of(w, 0));
	assert_int_equal(buf_add(&second, text.ptr, text.len), 0);
	remove_ok(w, 0, identity_node_id(identity_of(w, 2)));
	assert_int_equal(take_removed(w, 1, 0), 0);
	assert_int_equal(take_removed(w, 1, 0), REMOVED_KNOWN);
	/* the one in which it was free: whoever kept it gains nothing */
	assert_int_equal(identity_take_removed(identity_of(w, 1), buf_slice(&second)), REMOVED_KNOWN);
	assert_int_equal(identity_take_removed(identity_of(w, 1), buf_slice(&first)), REMOVED_KNOWN);
	assert_false(judge(w, 1, 2));
	/* a holder whose clock went back goes on with higher numbers */
	uint64_t version = identity_removed(identity_of(w, 0))->version;
	wall_ms -= 100 * DAY;
	assert_int_equal(identity_readmit(identity_of(w, 0), identity_node_id(identity_of(w, 2)), &err), 0);
	assert_true(identity_removed(identity_of(w, 0))->version > version);
}

static void forged_lists_are_not_taken(void **state)
{
	struct world *w = *state;
	account_of_three(w);
	remove_ok(w, 0, identity_node_id(identity_of(w, 2)));
	struct edged_slice good = identity_removed_text(identity_of(w, 0));
	for (size_t i = 0; i < good.len; i++) { /* each byte, also those of the signature */
		CLEANUP(free_charp) char *bad = malloc(good.len);
		memcpy(bad, good.ptr, good.len);
		bad[i] = (char)(bad[i] == 'a' ? 'b' : 'a');
		int r = identity_take_removed(identity_of(w, 1), edged_slice(bad, good.len));
		assert_true(r == -EBADMSG || r == -EINVAL || r == -ESTALE);
	}
	for (size_t n = 0; n < good.len; n++)
		assert_true(identity_take_removed(identity_of(w, 1), edged_slice(good.ptr, n)) < 0);
	CLEANUP(buf_fini) struct buf longer = BUF_EMPTY;
	assert_int_equal(buf_add(&longer, good.ptr, good.len), 0);
	assert_int_equal(buf_add_str(&longer, "\n"), 0);
	assert_int_equal(identity_take_removed(identity_of(w, 1), buf_slice(&longer)), -EINVAL);
	assert_int_equal(identity_removed(identity_of(w, 1))->version, 0);
	assert_true(judge(w, 1, 2));
	assert_int_equal(take_removed(w, 1, 0), 0);
}

/* Signed by the key of another account, and by a node's own. */
static void lists_of_others_are_not_taken(void **state)
{
	struct world *w = *state;
	struct err err = { "" };
	account_of_three(w);
	CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	CLEANUP(free_charp) char *memory = calloc(1, sizeof(struct removal_list));
	struct removal_list *list = (void *)memory;
	*list = (struct removal_list){ .version = wall_ms * 2, .count = 1 };
	assert_int_equal(cert_key_new(&key), 0);
	assert_int_equal(removal_list_write(list, identity_account_id(identity_of(w, 0)), key, &text), 0);
	assert_int_equal(identity_take_removed(identity_of(w, 1), buf_slice(&text)), -EBADMSG);
	buf_fini(&text);
	assert_int_equal(removal_list_write(list, identity_node_id(identity_of(w, 0)), key, &text), 0);
	assert_int_equal(identity_take_removed(identity_of(w, 1), buf_slice(&text)), -ESTALE);
	/* a node of no account takes none */
	struct identity *stranger;
	char folder[128];
	snprintf(folder, sizeof(folder), "%s/stranger", w->root);
	assert_int_equal(identity_open(folder, &stranger, &err), 0);
	remove_ok(w, 0, identity_node_id(identity_of(w, 2)));
	assert_int_equal(identity_take_removed(stranger, identity_removed_text(identity_of(w, 0))), -ESTALE);
	assert_int_equal(identity_remove(stranger, identity_node_id(identity_of(w, 2)), &err), -EACCES);
	identity_free(stranger);
	snprintf(folder, sizeof(folder), "%s/stranger/node.pem", w->root);
	assert_int_equal(remove(folder), 0);
	snprintf(folder, sizeof(folder), "%s/stranger", w->root);
	assert_int_equal(remove(folder), 0);
}

static void the_list_is_bounded_and_its_lines_end(void **state)
{
	struct world *w = *state;
	struct err err = { "" };
	account_of_three(w);
	char id[NODE_ID_LEN + 1];
	for (uint32_t i = 0; i < REMOVALS_MAX; i++) {
		uint8_t hash[32] = { (uint8_t)i, (uint8_t)(i >> 8), 7 };
		node_id_format(hash, id);
		remove_ok(w, 0, id);
	}
	assert_int_equal(
	        identity_remove(identity_of(w, 0), identity_node_id(identity_of(w, 2)), &err), -ENOSPC);
	assert_true(identity_removed_text(identity_of(w, 0)).len <= REMOVALS_TEXT);
	assert_int_equal(take_removed(w, 1, 0), 0);
	assert_int_equal(identity_removed(identity_of(w, 1))->count, REMOVALS_MAX);
	/* one more than there may be, rightly signed, is no list */
	static char text[REMOVALS_TEXT + 2];
	memset(text, 'x', sizeof(text));
	assert_int_equal(identity_take_removed(identity_of(w, 1), edged_slice(text, sizeof(text))), -EINVAL);
	/* once no certificate of theirs can be good any more, their lines go */
	wall_ms += 38 * DAY;
	remove_ok(w, 0, identity_node_id(identity_of(w, 2)));
	assert_int_equal(identity_removed(identity_of(w, 0))->count, 1);
}

/* --- the way of a list --- */

static unsigned source_of[4], sources; /* who claims a newer list, in the order in which they are preferred */
static uint64_t claimed;
static unsigned removed_calls, changed_calls;
static const char *told;
static unsigned told_count;

static bool source(void *arg, uint64_t above, const char *but, char ret_id[NODE_ID_LEN + 1])
{
	struct world *w = ((struct node *)arg)->world;
	bool found = false;
	for (unsigned i = sources; i-- > 0 && claimed > above;) {
		const char *id = identity_node_id(identity_of(w, source_of[i]));
		if (found && strcmp(id, but) == 0)
			continue;
		snprintf(ret_id, NODE_ID_LEN + 1, "%s", id);
		found = true;
	}
	return found;
}

static void removed(void *arg, const char *node_id)
{
	(void)arg;
	(void)node_id;
	removed_calls++;
}

static void changed(void *arg)
{
	(void)arg;
	changed_calls++;
}

static struct removals *make(struct world *w, unsigned i)
{
	struct node *n = &w->node[i];
	struct err err = { "" };
	struct removals *ret;
	const struct removals_deps deps = { w->loop, n->identity, n->links, n->requests, n->router, find_node,
		source, removed, changed, n };
	assert_int_equal(removals_new(&deps, &ret, &err), 0);
	return ret;
}

static int serve_told(void *self, edged_handle request)
{
	struct node *n = self;
	told_count++;
	return request_reply(n->requests, request, *told ? 200 : 500, "application/json", edged_str(told));
}

static const struct edged_route told_routes[] = {
	{ "GET", "/edge/v1/account/removed", serve_told, NULL, NULL, 0, 0 },
	{ 0 },
};

static struct removals *asking;
static bool has_asked(struct world *w)
{
	(void)w;
	return removals_counts(asking).failures > 0;
}
static bool has_list(struct world *w)
{
	return identity_removed(identity_of(w, 1))->version > 0;
}

static void a_list_is_fetched_from_who_tells_of_it(void **state)
{
	struct world *w = *state;
	account_of_three(w);
	struct removals *holder = make(w, 0);
	asking = make(w, 1);
	removed_calls = changed_calls = 0;
	struct client *client = ask(w, 0, 0, "DELETE", "/mds/v1/nodes/n2", "");
	assert_int_equal(client->status, 200);
	assert_int_equal(removed_calls, 1);
	claimed = identity_removed(identity_of(w, 0))->version;
	sources = 0;
	removals_look(asking); /* nobody tells of news */
	run_a_while(w);
	assert_int_equal(removals_counts(asking).questions, 0);
	sources = 1;
	source_of[0] = 0;
	removals_look(asking);
	removals_look(asking); /* asked once */
	run_until(w, has_list);
	assert_false(judge(w, 1, 2));
	assert_int_equal(removals_counts(asking).questions, 1);
	assert_int_equal(removals_counts(asking).removed, 1);
	assert_int_equal(removed_calls, 2);
	assert_int_equal(changed_calls, 2);
	/* a list that names this node itself makes it no trouble of its own */
	remove_ok(w, 0, identity_node_id(identity_of(w, 1)));
	assert_int_equal(take_removed(w, 1, 0), 0);
	assert_int_equal(removed_calls, 3); /* by the holder */
	client = ask(w, 0, 1, "GET", "/edge/v1/account/removed", "");
	assert_int_equal(client->status, 200);
	assert_non_null(strstr(client->body.ptr, identity_node_id(identity_of(w, 2))));
	removals_free(asking);
	removals_free(holder);
}

static void who_lies_about_its_list_is_passed_over(void **state)
{
	static const char *const lies[] = { "", "nonsense", "{}", "{\"document\":7}",
		"{\"document\":\"edged-removed-1\\n\"}" };
	struct world *w = *state;
	struct err err = { "" };
	account_of_three(w);
	struct removals *holder = make(w, 0);
	const struct route_owner owner = { "liar", &w->node[2], &w->node[2], true };
	assert_int_equal(router_add(w->node[2].router, &owner, told_routes, sizeof(told_routes[0]), &err), 0);
	remove_ok(w, 0, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	sources = 1;
	source_of[0] = 2;
	claimed = UINT64_MAX;
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		told = lies[i];
		told_count = 0;
		asking = make(w, 1);
		removals_look(asking);
		run_until(w, has_asked);
		removals_look(asking); /* its word alone does not make it asked again */
		run_a_while(w);
		assert_int_equal(told_count, 1);
		assert_int_equal(identity_removed(identity_of(w, 1))->version, 0);
		removals_free(asking);
	}
	/* one that knows is asked next, at once */
	asking = make(w, 1);
	removals_look(asking);
	run_until(w, has_asked);
	claimed = identity_removed(identity_of(w, 0))->version;
	sources = 2;
	source_of[1] = 0;
	removals_look(asking);
	run_until(w, has_list);
	removals_free(asking);
	removals_free(holder);
	router_remove(w->node[2].router, &w->node[2]);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_removed_node_is_believed_by_nobody),
		T(no_clock_brings_it_back),
		T(its_certificate_is_not_renewed),
		T(an_invite_brings_it_back),
		T(old_lists_are_not_taken),
		T(forged_lists_are_not_taken),
		T(lists_of_others_are_not_taken),
		T(the_list_is_bounded_and_its_lines_end),
		T(a_list_is_fetched_from_who_tells_of_it),
		T(who_lies_about_its_list_is_passed_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
