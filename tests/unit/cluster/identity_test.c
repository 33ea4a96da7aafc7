/* SPDX-License-Identifier: Apache-2.0 */
/* Identity: keys made once and kept, accounts, signing, judging, time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cluster/cert.h"
#include "cluster/files.h"
#include "cluster/identity.h"
#include "cluster/trust.h"

#define DAY TRUST_DAY_MS

struct world {
	char root[64];
	char folder[3][96];
	struct identity *node[3];
	uint64_t wall;
	unsigned changes;
};

static uint64_t wall(void *arg)
{
	return ((struct world *)arg)->wall;
}

static void changed(void *arg)
{
	((struct world *)arg)->changes++;
}

static void open_node(struct world *w, unsigned i)
{
	struct err err = { "" };
	int r = identity_open(w->folder[i], &w->node[i], &err);
	if (r)
		fail_msg("%s", err.text);
	identity_set_clock(w->node[i], wall, w);
	identity_on_change(w->node[i], changed, w);
}

static void reopen_node(struct world *w, unsigned i)
{
	identity_free(w->node[i]);
	open_node(w, i);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	snprintf(w->root, sizeof(w->root), "/tmp/edged-identity-XXXXXX");
	assert_non_null(mkdtemp(w->root));
	w->wall = clock_wall_ms(); /* opening a node may sign by the real clock */
	for (unsigned i = 0; i < 3; i++) {
		snprintf(w->folder[i], sizeof(w->folder[i]), "%s/%u", w->root, i);
		open_node(w, i);
	}
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = { "node.pem", "account.json", "ca.pem", "peers" };
	struct world *w = *state;
	for (unsigned i = 0; i < 3; i++) {
		identity_free(w->node[i]);
		for (size_t n = 0; n < ARRAY_LEN(names); n++) {
			char path[256];
			snprintf(path, sizeof(path), "%s/%s", w->folder[i], names[n]);
			unlink(path);
		}
		rmdir(w->folder[i]);
	}
	int r = rmdir(w->root);
	free(w);
	return r;
}

/* Node `to` gets a certificate from node `from`, without any wire. */
static int enrol(struct world *w, unsigned from, unsigned to, struct err *err)
{
	CLEANUP(buf_fini) struct buf request = BUF_EMPTY, pem = BUF_EMPTY;
	assert_int_equal(identity_request(w->node[to], &request), 0);
	int r = identity_sign(
	        w->node[from], buf_slice(&request), identity_node_id(w->node[to]), edged_str("box"), &pem);
	if (r)
		return r;
	const struct identity_grant grant = { identity_account_id(w->node[from]), buf_slice(&pem),
		edged_str(identity_ca_pem(w->node[from])), identity_ca_holder(w->node[from]) };
	return identity_adopt(w->node[to], &grant, err);
}

static void found_account(struct world *w)
{
	struct err err = { "" };
	assert_int_equal(identity_create_account(w->node[0], &err), 0);
	if (enrol(w, 0, 1, &err))
		fail_msg("%s", err.text);
}

static bool judge(struct world *w, unsigned who, unsigned whom, char id[NODE_ID_LEN + 1])
{
	CLEANUP(X509_freep) X509 *certificate = NULL, *issuer = NULL;
	assert_int_equal(
	        cert_read_chain(edged_str(identity_certificate_pem(w->node[whom])), &certificate, &issuer),
	        0);
	return identity_judge(w->node[who], certificate, issuer, id);
}

static void the_key_is_made_once(void **state)
{
	struct world *w = *state;
	char id[NODE_ID_LEN + 1];
	char *pem = strdup(identity_certificate_pem(w->node[0]));
	snprintf(id, sizeof(id), "%s", identity_node_id(w->node[0]));
	assert_true(node_id_valid(edged_str(id)));
	assert_string_not_equal(id, identity_node_id(w->node[1]));
	reopen_node(w, 0);
	assert_string_equal(identity_node_id(w->node[0]), id);
	assert_string_equal(identity_certificate_pem(w->node[0]), pem);
	assert_string_equal(identity_account_id(w->node[0]), "");
	free(pem);
}

static void files_are_private(void **state)
{
	struct world *w = *state;
	struct stat st;
	char path[256];
	found_account(w);
	assert_int_equal(stat(w->folder[0], &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	static const char *const names[] = { "node.pem", "account.json", "ca.pem" };
	for (size_t n = 0; n < ARRAY_LEN(names); n++) {
		snprintf(path, sizeof(path), "%s/%s", w->folder[0], names[n]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
}

static void damage_is_an_error_and_no_new_identity(void **state)
{
	struct world *w = *state;
	struct identity *identity = NULL;
	struct err err = { "" };
	found_account(w);
	assert_int_equal(file_replace(w->folder[0], "account.json", edged_str("{\"account\": 1}"), &err), 0);
	assert_int_equal(identity_open(w->folder[0], &identity, &err), -EINVAL);
	assert_non_null(strstr(err.text, "account.json"));
	assert_int_equal(file_replace(w->folder[0], "node.pem", edged_str("rubbish"), &err), 0);
	assert_int_equal(identity_open(w->folder[0], &identity, &err), -EINVAL);
	assert_non_null(strstr(err.text, "node.pem"));
	assert_null(identity);
}

static void nodes_of_an_account_trust_each_other(void **state)
{
	struct world *w = *state;
	char id[NODE_ID_LEN + 1];
	assert_false(judge(w, 0, 1, id));
	assert_string_equal(id, identity_node_id(w->node[1]));
	found_account(w);
	assert_int_equal(w->changes, 2);
	assert_true(judge(w, 0, 1, id));
	assert_string_equal(id, identity_node_id(w->node[1]));
	assert_true(judge(w, 1, 0, id));
	assert_false(judge(w, 0, 2, id));
	assert_string_equal(id, identity_node_id(w->node[2]));
	assert_string_equal(identity_account_id(w->node[0]), identity_account_id(w->node[1]));
	assert_true(identity_holds_ca(w->node[0]));
	assert_false(identity_holds_ca(w->node[1]));
	assert_string_equal(identity_ca_holder(w->node[1]), identity_node_id(w->node[0]));
}

static void the_account_survives_a_restart(void **state)
{
	struct world *w = *state;
	char id[NODE_ID_LEN + 1];
	found_account(w);
	reopen_node(w, 0);
	reopen_node(w, 1);
	assert_true(judge(w, 0, 1, id));
	assert_true(judge(w, 1, 0, id));
	assert_true(identity_holds_ca(w->node[0]));
	assert_string_equal(identity_ca_holder(w->node[1]), identity_node_id(w->node[0]));
}

static void a_crash_while_founding_is_mended(void **state)
{
	struct world *w = *state;
	char path[256], id[NODE_ID_LEN + 1];
	struct err err = { "" };
	assert_int_equal(identity_create_account(w->node[0], &err), 0);
	snprintf(id, sizeof(id), "%s", identity_account_id(w->node[0]));
	snprintf(path, sizeof(path), "%s/account.json", w->folder[0]);
	assert_int_equal(unlink(path), 0);
	reopen_node(w, 0);
	assert_string_equal(identity_account_id(w->node[0]), id);
	assert_true(judge(w, 0, 0, id));
}

static void another_account_is_not_trusted(void **state)
{
	struct world *w = *state;
	char id[NODE_ID_LEN + 1];
	struct err err = { "" };
	found_account(w);
	assert_int_equal(identity_create_account(w->node[2], &err), 0);
	assert_false(judge(w, 0, 2, id));
	assert_false(judge(w, 2, 0, id));
	assert_int_equal(identity_create_account(w->node[1], &err), -EEXIST);
	assert_int_equal(enrol(w, 2, 1, &err), -EEXIST);
}

/* Node 0 is the CA; what node 2 is offered must be right in every part. */
static void a_wrong_grant_is_refused(void **state)
{
	struct world *w = *state;
	struct err err = { "" };
	CLEANUP(buf_fini) struct buf request = BUF_EMPTY, pem = BUF_EMPTY;
	found_account(w);
	assert_int_equal(identity_create_account(w->node[2], &err), 0);
	char *foreign_ca = strdup(identity_ca_pem(w->node[2]));
	char foreign_id[NODE_ID_LEN + 1];
	snprintf(foreign_id, sizeof(foreign_id), "%s", identity_account_id(w->node[2]));
	char path[256];
	snprintf(path, sizeof(path), "%s/account.json", w->folder[2]);
	unlink(path);
	snprintf(path, sizeof(path), "%s/ca.pem", w->folder[2]);
	unlink(path);
	reopen_node(w, 2);
	assert_int_equal(identity_request(w->node[2], &request), 0);
	assert_int_equal(identity_sign(w->node[0], buf_slice(&request), identity_node_id(w->node[2]),
	                         edged_str("bad name,DNS:x"), &pem),
	        0);
	const struct identity_grant right = { identity_account_id(w->node[0]), buf_slice(&pem),
		edged_str(identity_ca_pem(w->node[0])), identity_node_id(w->node[0]) };
	struct identity_grant grant = right;
	grant.account_id = foreign_id;
	assert_int_equal(identity_adopt(w->node[2], &grant, &err), -EINVAL);
	grant.ca_pem = edged_str(foreign_ca);
	assert_int_equal(identity_adopt(w->node[2], &grant, &err), -EINVAL);
	grant = right;
	grant.ca_pem = edged_str(foreign_ca);
	assert_int_equal(identity_adopt(w->node[2], &grant, &err), -EINVAL);
	grant = right;
	grant.certificate_pem = edged_str(identity_certificate_pem(w->node[1]));
	assert_int_equal(identity_adopt(w->node[2], &grant, &err), -EINVAL);
	assert_non_null(strstr(err.text, "not that of this node"));
	grant = right;
	grant.holder = "somebody";
	assert_int_equal(identity_adopt(w->node[2], &grant, &err), -EINVAL);
	assert_string_equal(identity_account_id(w->node[2]), "");
	assert_int_equal(identity_adopt(w->node[2], &right, &err), 0);
	free(foreign_ca);
}

static void only_a_valid_request_is_signed(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_fini) struct buf request = BUF_EMPTY, pem = BUF_EMPTY;
	found_account(w);
	assert_int_equal(identity_request(w->node[2], &request), 0);
	const char *id = identity_node_id(w->node[2]);
	struct edged_slice der = buf_slice(&request);
	assert_int_equal(identity_sign(w->node[1], der, id, edged_str(""), &pem), -EACCES);
	assert_int_equal(
	        identity_sign(w->node[0], der, identity_node_id(w->node[1]), edged_str(""), &pem), -EINVAL);
	assert_int_equal(
	        identity_sign(w->node[0], edged_slice(der.ptr, der.len - 1), id, edged_str(""), &pem),
	        -EINVAL);
	request.ptr[request.len - 1] ^= 1; /* the signature */
	assert_int_equal(identity_sign(w->node[0], der, id, edged_str(""), &pem), -EINVAL);
	assert_int_equal(pem.len, 0);
}

static void the_ca_itself_is_no_node(void **state)
{
	struct world *w = *state;
	CLEANUP(X509_freep) X509 *ca = NULL;
	char id[NODE_ID_LEN + 1];
	found_account(w);
	assert_int_equal(cert_read(edged_str(identity_ca_pem(w->node[0])), &ca), 0);
	assert_false(identity_judge(w->node[1], ca, NULL, id));
}

static void known_nodes_get_time_of_grace(void **state)
{
	struct world *w = *state;
	char id[NODE_ID_LEN + 1];
	struct err err = { "" };
	bool renew;
	found_account(w);
	assert_int_equal(enrol(w, 0, 2, &err), 0);
	assert_true(judge(w, 0, 1, id)); /* 1 is known, 2 is not */
	identity_tick(w->node[0], &renew);
	w->wall += 8 * DAY;
	reopen_node(w, 0);
	assert_true(judge(w, 0, 1, id));
	assert_false(judge(w, 0, 2, id));
	w->wall += 31 * DAY;
	assert_false(judge(w, 0, 1, id));
}

static uint64_t fixed_mono(void *arg)
{
	return *(uint64_t *)arg;
}

/* A board that got the time by NTP after it had worked without: what was in time a moment ago is believed, however far the
 * clock jumped, until all have renewed; but not for ever, and not from before a restart. */
static void a_clock_that_is_set_locks_nobody_out(void **state)
{
	struct world *w = *state;
	char id[NODE_ID_LEN + 1];
	uint64_t mono = 1000;
	bool renew;
	struct err err;
	uint64_t now = w->wall;
	w->wall = 0; /* founded without a clock */
	for (unsigned i = 0; i < 3; i++)
		reopen_node(w, i);
	found_account(w);
	assert_true(identity_certificate_until(w->node[0]) < TRUST_EPOCH_MS + 8 * DAY);
	identity_set_mono(w->node[0], fixed_mono, &mono);
	assert_true(judge(w, 0, 1, id) && judge(w, 1, 0, id));
	w->wall = now;
	assert_true(judge(w, 0, 1, id) && judge(w, 1, 0, id));
	assert_false(judge(w, 1, 2, id));
	mono += TRUST_GRACE_MS;
	assert_true(judge(w, 0, 1, id));
	mono += 2000;
	assert_false(judge(w, 0, 1, id));
	/* within that, all renew */
	identity_tick(w->node[0], &renew);
	assert_true(identity_certificate_until(w->node[0]) > now);
	identity_tick(w->node[1], &renew);
	assert_true(renew);
	assert_int_equal(enrol(w, 0, 1, &err), 0);
	assert_true(judge(w, 0, 1, id) && judge(w, 1, 0, id));
	reopen_node(w, 0);
	assert_true(judge(w, 0, 1, id));
}

static void a_first_certificate_that_has_run_out_is_refused(void **state)
{
	struct world *w = *state;
	struct err err = { "" };
	uint64_t now = w->wall;
	w->wall = 0;
	reopen_node(w, 0);
	found_account(w);
	w->wall = now; /* this one has a clock */
	reopen_node(w, 2);
	CLEANUP(buf_fini) struct buf request = BUF_EMPTY, pem = BUF_EMPTY;
	assert_int_equal(identity_request(w->node[2], &request), 0);
	w->wall = 0;
	reopen_node(w, 0);
	assert_int_equal(identity_sign(w->node[0], buf_slice(&request), identity_node_id(w->node[2]),
	                         edged_str("box"), &pem),
	        0);
	w->wall = now;
	const struct identity_grant grant = { identity_account_id(w->node[0]), buf_slice(&pem),
		edged_str(identity_ca_pem(w->node[0])), identity_ca_holder(w->node[0]) };
	assert_int_equal(identity_adopt(w->node[2], &grant, &err), -ETIME);
	assert_non_null(strstr(err.text, "2026-01-0"));
	assert_non_null(strstr(err.text, "clock"));
	assert_string_equal(identity_account_id(w->node[2]), "");
	w->wall = 0; /* by a clock like the other's it is good */
	reopen_node(w, 2);
	assert_int_equal(identity_adopt(w->node[2], &grant, &err), 0);
}

static void time_is_not_before_what_was_seen(void **state)
{
	struct world *w = *state;
	char id[NODE_ID_LEN + 1];
	uint64_t then = w->wall;
	found_account(w);
	w->wall = 0; /* a board without a clock has restarted */
	reopen_node(w, 1);
	assert_true(identity_time(w->node[1]) > then - DAY);
	assert_true(judge(w, 1, 0, id));
	/* A certificate that was made later moves time on, but only when the CA signed it. */
	w->wall = then + 5 * DAY;
	assert_true(identity_tick(w->node[0], &(bool){ false }) > 0);
	w->wall = 0;
	assert_true(judge(w, 1, 0, id));
	assert_true(identity_time(w->node[1]) > then + 4 * DAY);
}

static void certificates_renew_at_two_thirds(void **state)
{
	struct world *w = *state;
	bool renew = true;
	found_account(w);
	char *before = strdup(identity_certificate_pem(w->node[0]));
	w->wall += 4 * DAY;
	assert_int_equal(identity_tick(w->node[0], &renew), 60 * 1000);
	assert_string_equal(identity_certificate_pem(w->node[0]), before);
	w->wall += DAY / 2;
	identity_tick(w->node[0], &renew);
	assert_string_equal(identity_certificate_pem(w->node[0]), before);
	w->wall += DAY / 2;
	unsigned changes = w->changes;
	identity_tick(w->node[0], &renew);
	assert_string_not_equal(identity_certificate_pem(w->node[0]), before);
	assert_int_equal(w->changes, changes + 1);
	assert_false(renew);
	identity_tick(w->node[1], &renew);
	assert_true(renew);
	struct err err;
	assert_int_equal(enrol(w, 0, 1, &err), 0); /* the same account: a renewal */
	identity_tick(w->node[1], &renew);
	assert_false(renew);
	reopen_node(w, 0);
	assert_string_not_equal(identity_certificate_pem(w->node[0]), before);
	free(before);
}

static void shared_keys_are_shared(void **state)
{
	struct world *w = *state;
	uint8_t a[32], b[32], c[32], bad[33];
	const uint8_t *p0 = identity_public_key(w->node[0]), *p1 = identity_public_key(w->node[1]);
	assert_int_equal(identity_shared_key(w->node[0], p1, "gossip", a), 0);
	assert_int_equal(identity_shared_key(w->node[1], p0, "gossip", b), 0);
	assert_memory_equal(a, b, 32);
	assert_int_equal(identity_shared_key(w->node[1], p0, "other", c), 0);
	assert_memory_not_equal(a, c, 32);
	assert_int_equal(identity_shared_key(w->node[2], p0, "gossip", c), 0);
	assert_memory_not_equal(a, c, 32);
	memset(bad, 0xff, sizeof(bad));
	assert_int_equal(identity_shared_key(w->node[0], bad, "gossip", c), -EINVAL);
	memset(bad, 0, sizeof(bad));
	assert_int_equal(identity_shared_key(w->node[0], bad, "gossip", c), -EINVAL);
}

static void the_id_follows_from_the_point(void **state)
{
	struct world *w = *state;
	char id[NODE_ID_LEN + 1];
	cert_point_id(identity_public_key(w->node[0]), id);
	assert_string_equal(id, identity_node_id(w->node[0]));
}

static void a_joining_node_checks_the_inviter(void **state)
{
	struct world *w = *state;
	found_account(w);
	CLEANUP(X509_freep) X509 *certificate = NULL;
	assert_int_equal(cert_read(edged_str(identity_certificate_pem(w->node[1])), &certificate), 0);
	uint8_t *der = NULL;
	int n = i2d_X509(certificate, &der);
	struct edged_slice ca = edged_str(identity_ca_pem(w->node[0]));
	const char *account = identity_account_id(w->node[0]);
	assert_true(identity_signed_by(ca, account, edged_slice(der, (size_t)n), edged_slice(NULL, 0)));
	assert_false(identity_signed_by(
	        ca, identity_node_id(w->node[0]), edged_slice(der, (size_t)n), edged_slice(NULL, 0)));
	assert_false(identity_signed_by(ca, account, edged_slice(der, 10), edged_slice(NULL, 0)));
	der[n - 1] ^= 1;
	assert_false(identity_signed_by(ca, account, edged_slice(der, (size_t)n), edged_slice(NULL, 0)));
	OPENSSL_free(der);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_key_is_made_once),
		T(files_are_private),
		T(damage_is_an_error_and_no_new_identity),
		T(nodes_of_an_account_trust_each_other),
		T(the_account_survives_a_restart),
		T(a_crash_while_founding_is_mended),
		T(another_account_is_not_trusted),
		T(a_wrong_grant_is_refused),
		T(only_a_valid_request_is_signed),
		T(the_ca_itself_is_no_node),
		T(known_nodes_get_time_of_grace),
		T(a_clock_that_is_set_locks_nobody_out),
		T(a_first_certificate_that_has_run_out_is_refused),
		T(time_is_not_before_what_was_seen),
		T(certificates_renew_at_two_thirds),
		T(shared_keys_are_shared),
		T(the_id_follows_from_the_point),
		T(a_joining_node_checks_the_inviter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
