/* SPDX-License-Identifier: Apache-2.0 */
/* Signers: how a node becomes one and is none any more, what it may sign, and which chains of certificates are believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "cluster/account.h"
#include "cluster/cert.h"
#include "cluster/files.h"
#include "cluster/removal.h"
#include "cluster/signer.h"
#include "node_rig.h"

#define DAY TRUST_DAY_MS

static uint64_t wall_ms;
static uint64_t wall(void *arg)
{
	(void)arg;
	return wall_ms;
}

/* Node `to` gets a certificate from node `from`, without any wire. */
static int enrol(struct world *w, unsigned from, unsigned to)
{
	CLEANUP(buf_fini) struct buf request = BUF_EMPTY, pem = BUF_EMPTY;
	struct err err = { "" };
	assert_int_equal(identity_request(identity_of(w, to), &request), 0);
	int r = identity_sign(
	        identity_of(w, from), buf_slice(&request), id_of(w, to), edged_str("box"), &pem);
	if (r)
		return r;
	const struct identity_grant grant = { identity_account_id(identity_of(w, from)), buf_slice(&pem),
		edged_str(identity_ca_pem(identity_of(w, from))), identity_ca_holder(identity_of(w, from)) };
	return identity_adopt(identity_of(w, to), &grant, &err);
}

/* It has heard that it is a signer: it gets its certificate from node 0. */
static void certify(struct world *w, unsigned i)
{
	CLEANUP(buf_fini) struct buf request = BUF_EMPTY, pem = BUF_EMPTY;
	struct err err = { "" };
	assert_true(identity_signer_due(identity_of(w, i)));
	assert_int_equal(identity_signer_request(identity_of(w, i), &request), 0);
	assert_int_equal(identity_sign_signer(identity_of(w, 0), buf_slice(&request), id_of(w, i), &pem), 0);
	if (identity_signer_adopt(identity_of(w, i), buf_slice(&pem), &err))
		fail_msg("%s", err.text);
	assert_false(identity_signer_due(identity_of(w, i)));
	assert_true(identity_can_sign(identity_of(w, i)));
}

static void set_clocks(struct world *w)
{
	for (unsigned i = 0; i < NODES; i++)
		identity_set_clock(identity_of(w, i), wall, NULL);
}

/* Node 0 holds the account's key, node 1 is a signer, node 2 is of no account. */
static void account_with_signer(struct world *w)
{
	struct err err = { "" };
	wall_ms = clock_wall_ms();
	set_clocks(w);
	assert_int_equal(identity_create_account(identity_of(w, 0), &err), 0);
	assert_int_equal(enrol(w, 0, 1), 0);
	assert_false(identity_can_sign(identity_of(w, 1)));
	assert_int_equal(identity_add_signer(identity_of(w, 0), id_of(w, 1), &err), 0);
	assert_int_equal(take_removed(w, 1, 0), 0);
	assert_false(identity_can_sign(identity_of(w, 1)));
	certify(w, 1);
}

static void reopen(struct world *w, unsigned i)
{
	struct err err = { "" };
	struct identity *again;
	if (identity_open(w->node[i].folder, &again, &err))
		fail_msg("%s", err.text);
	identity_free(again);
}

/* --- becoming one --- */

static void a_signer_signs_as_the_ca_does(void **state)
{
	struct world *w = *state;
	struct stat st;
	struct err err = { "" };
	char path[128];
	account_with_signer(w);
	assert_false(judge(w, 0, 2));
	assert_int_equal(enrol(w, 1, 2), 0);
	for (unsigned i = 0; i < NODES; i++)
		for (unsigned j = 0; j < NODES; j++)
			assert_true(judge(w, i, j));
	assert_string_equal(identity_account_id(identity_of(w, 2)), identity_account_id(identity_of(w, 0)));
	assert_string_equal(identity_ca_holder(identity_of(w, 2)), id_of(w, 0));
	assert_false(identity_can_sign(identity_of(w, 2)));
	assert_int_equal(enrol(w, 2, 1), -EACCES);
	snprintf(path, sizeof(path), "%s/signer.pem", w->node[1].folder);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* and so after a restart of either */
	struct identity *again;
	assert_int_equal(identity_open(w->node[1].folder, &again, &err), 0);
	assert_true(identity_can_sign(again));
	identity_free(again);
	reopen(w, 2);
}

/* Whoever holds the signing key has not the one that the node speaks TLS with. */
static void its_key_is_one_of_its_own(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_fini) struct buf request = BUF_EMPTY, pem = BUF_EMPTY;
	account_with_signer(w);
	assert_int_equal(identity_request(identity_of(w, 1), &request), 0);
	assert_int_equal(
	        identity_sign_signer(identity_of(w, 0), buf_slice(&request), id_of(w, 1), &pem), -EINVAL);
	request.ptr[request.len - 1] ^= 1;
	assert_int_equal(
	        identity_sign_signer(identity_of(w, 0), buf_slice(&request), id_of(w, 1), &pem), -EINVAL);
	assert_int_equal(
	        identity_sign_signer(identity_of(w, 0), buf_slice(&request), id_of(w, 0), &pem), -ENOENT);
	assert_int_equal(
	        identity_sign_signer(identity_of(w, 1), buf_slice(&request), id_of(w, 1), &pem), -EACCES);
	assert_int_equal(pem.len, 0);
}

static void only_the_accounts_key_makes_signers(void **state)
{
	struct world *w = *state;
	struct err err = { "" };
	char id[NODE_ID_LEN + 1];
	account_with_signer(w);
	assert_int_equal(identity_add_signer(identity_of(w, 1), id_of(w, 2), &err), -EACCES);
	assert_int_equal(identity_drop_signer(identity_of(w, 1), id_of(w, 1), &err), -EACCES);
	assert_int_equal(identity_remove(identity_of(w, 1), id_of(w, 2), &err), -EACCES);
	assert_int_equal(identity_add_signer(identity_of(w, 0), "nonsense", &err), -EINVAL);
	assert_int_equal(identity_add_signer(identity_of(w, 0), id_of(w, 1), &err), -EALREADY);
	assert_int_equal(identity_drop_signer(identity_of(w, 0), id_of(w, 2), &err), -ENOENT);
	assert_int_equal(identity_remove(identity_of(w, 0), id_of(w, 2), &err), 0);
	assert_int_equal(identity_add_signer(identity_of(w, 0), id_of(w, 2), &err), -EKEYREVOKED);
	for (uint8_t i = 1; i < SIGNERS_MAX; i++) {
		const uint8_t hash[32] = { i, 7 };
		node_id_format(hash, id);
		assert_int_equal(identity_add_signer(identity_of(w, 0), id, &err), 0);
	}
	node_id_format((const uint8_t[32]){ 99 }, id);
	assert_int_equal(identity_add_signer(identity_of(w, 0), id, &err), -ENOSPC);
	assert_int_equal(take_removed(w, 1, 0), 0); /* the list reads as it was written */
	assert_int_equal(identity_removed(identity_of(w, 1))->signer_count, SIGNERS_MAX);
}

/* Each signer must have room among the former ones. */
static void former_signers_are_bounded(void **state)
{
	struct world *w = *state;
	struct err err = { "" };
	char id[NODE_ID_LEN + 1];
	account_with_signer(w);
	for (uint8_t i = 0; i < FORMER_SIGNERS_MAX - 1; i++) {
		const uint8_t hash[32] = { i, 8 };
		node_id_format(hash, id);
		assert_int_equal(identity_add_signer(identity_of(w, 0), id, &err), 0);
		assert_int_equal(identity_drop_signer(identity_of(w, 0), id, &err), 0);
	}
	node_id_format((const uint8_t[32]){ 99 }, id);
	assert_int_equal(identity_add_signer(identity_of(w, 0), id, &err), -ENOSPC);
	assert_int_equal(identity_drop_signer(identity_of(w, 0), id_of(w, 1), &err), 0);
	assert_int_equal(identity_removed(identity_of(w, 0))->former_count, FORMER_SIGNERS_MAX);
	assert_int_equal(take_removed(w, 1, 0), 0);
	/* they end by themselves */
	wall_ms += 396 * DAY;
	assert_int_equal(identity_add_signer(identity_of(w, 0), id, &err), 0);
	assert_int_equal(identity_removed(identity_of(w, 0))->former_count, 0);
}

/* --- chains --- */

/* A chain as somebody may show it: a leaf for a key of its own, and what stands behind it. */
struct chain {
	X509 *ca, *issuer, *leaf;
	EVP_PKEY *ca_key, *issuer_key, *leaf_key;
	char leaf_id[NODE_ID_LEN + 1];
};

static void chain_fini(struct chain *c)
{
	X509_free(c->ca);
	X509_free(c->issuer);
	X509_free(c->leaf);
	EVP_PKEY_free(c->ca_key);
	EVP_PKEY_free(c->issuer_key);
	EVP_PKEY_free(c->leaf_key);
}

static void make_leaf(struct chain *c, uint64_t from, uint64_t until)
{
	uint8_t point[CERT_POINT];
	const struct cert_spec spec = { CERT_NODE, c->leaf_key, c->issuer, c->issuer_key, from, until,
		edged_str("box"), NULL };
	X509_free(TAKE(c->leaf));
	assert_int_equal(cert_make(&spec, &c->leaf), 0);
	assert_int_equal(cert_key_point(c->leaf_key, point), 0);
	cert_point_id(point, c->leaf_id);
}

/* Everything right: by the key of node `holder`'s account, in the name of node 1; good for ten days, the leaf for five. */
static void chain_init(struct world *w, unsigned holder, struct chain *c)
{
	CLEANUP(buf_wipe) struct buf pem = BUF_EMPTY;
	struct err err = { "" };
	*c = (struct chain){ .ca = NULL };
	assert_int_equal(file_read(w->node[holder].folder, "ca.pem", &pem, &err), 0);
	assert_int_equal(cert_read_key(buf_slice(&pem), &c->ca_key), 0);
	assert_int_equal(cert_read(buf_slice(&pem), &c->ca), 0);
	assert_int_equal(cert_key_new(&c->issuer_key), 0);
	assert_int_equal(cert_key_new(&c->leaf_key), 0);
	const struct cert_spec spec = { CERT_SIGNER, c->issuer_key, c->ca, c->ca_key, wall_ms - DAY,
		wall_ms + 10 * DAY, { NULL, 0 }, id_of(w, 1) };
	assert_int_equal(cert_make(&spec, &c->issuer), 0);
	make_leaf(c, wall_ms - DAY, wall_ms + 5 * DAY);
}

static bool believed(struct world *w, const struct chain *c, X509 *issuer)
{
	char id[NODE_ID_LEN + 1];
	bool trusted = identity_judge(identity_of(w, 0), c->leaf, issuer, id);
	assert_string_equal(id, c->leaf_id); /* whose key it is shows in any case */
	return trusted;
}

/* The issuer with another extension, or without it, signed anew by the account's key. */
static X509 *changed(const struct chain *c, int nid, const char *value)
{
	X509 *copy = X509_dup(c->issuer);
	int at = X509_get_ext_by_NID(copy, nid, -1);
	assert_true(at >= 0);
	X509_EXTENSION_free(X509_delete_ext(copy, at));
	if (value) {
		X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
		assert_non_null(extension);
		assert_int_equal(X509_add_ext(copy, extension, -1), 1);
		X509_EXTENSION_free(extension);
	}
	assert_true(X509_sign(copy, c->ca_key, EVP_sha256()) > 0);
	X509 *read = X509_dup(copy); /* as it would come over the wire */
	X509_free(copy);
	return read;
}

static void an_intermediate_is_a_ca_that_names_its_node(void **state)
{
	struct world *w = *state;
	CLEANUP(chain_fini) struct chain c;
	char names_node[128], names_two[300];
	account_with_signer(w);
	chain_init(w, 0, &c);
	snprintf(names_node, sizeof(names_node), "URI:urn:edged:node:%s", id_of(w, 1));
	snprintf(names_two, sizeof(names_two), "URI:urn:edged:signer:%sx,DNS:urn:edged:signer:%s",
	        id_of(w, 1), id_of(w, 1));
	const struct {
		int nid;
		const char *value;
	} wrong[] = {
		{ NID_basic_constraints, "critical,CA:FALSE" },
		{ NID_basic_constraints, "critical,CA:FALSE,pathlen:0" },
		{ NID_basic_constraints, "critical,CA:TRUE" },
		{ NID_basic_constraints, "critical,CA:TRUE,pathlen:1" },
		{ NID_basic_constraints, NULL },
		{ NID_key_usage, "critical,digitalSignature" },
		{ NID_key_usage, "critical,cRLSign" },
		{ NID_key_usage, NULL },
		{ NID_subject_alt_name, names_node },
		{ NID_subject_alt_name, names_two },
		{ NID_subject_alt_name, "URI:urn:edged:signer:somebody" },
		{ NID_subject_alt_name, NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		X509 *issuer = changed(&c, wrong[i].nid, wrong[i].value);
		if (believed(w, &c, issuer))
			fail_msg("number %zu is believed", i);
		X509_free(issuer);
	}
	/* the way of changing them is right */
	X509 *same = changed(&c, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
	assert_true(believed(w, &c, same));
	X509_free(same);
	assert_true(believed(w, &c, c.issuer));
}

static void a_leaf_without_its_intermediate_is_not_believed(void **state)
{
	struct world *w = *state;
	CLEANUP(chain_fini) struct chain c, d;
	account_with_signer(w);
	chain_init(w, 0, &c);
	chain_init(w, 0, &d);
	assert_false(believed(w, &c, NULL));
	assert_false(believed(w, &c, c.ca));
	assert_false(believed(w, &c, c.leaf));
	assert_false(believed(w, &c, d.issuer)); /* another signer's */
	assert_true(believed(w, &c, c.issuer));
}

/* A node's own certificate and key sign nothing, and neither does the CA's certificate pass for a node's or a signer's. */
static void a_node_is_no_issuer(void **state)
{
	struct world *w = *state;
	CLEANUP(chain_fini) struct chain c;
	account_with_signer(w);
	chain_init(w, 0, &c);
	X509_free(TAKE(c.issuer));
	EVP_PKEY_free(TAKE(c.issuer_key));
	assert_int_equal(cert_read(edged_str(identity_certificate_pem(identity_of(w, 1))), &c.issuer), 0);
	assert_int_equal(cert_read_key(edged_str(identity_key_pem(identity_of(w, 1))), &c.issuer_key), 0);
	make_leaf(&c, wall_ms - DAY, wall_ms + DAY);
	assert_false(believed(w, &c, c.issuer));
	assert_true(judge(w, 0, 1));
	/* a signer is no node */
	CLEANUP(chain_fini) struct chain d;
	char id[NODE_ID_LEN + 1];
	chain_init(w, 0, &d);
	assert_false(identity_judge(identity_of(w, 0), d.issuer, NULL, id));
	assert_false(identity_judge(identity_of(w, 0), d.issuer, d.ca, id));
}

static void there_is_one_level_of_them(void **state)
{
	struct world *w = *state;
	CLEANUP(chain_fini) struct chain c, d;
	account_with_signer(w);
	chain_init(w, 0, &c);
	chain_init(w, 0, &d);
	/* the issuer of d is now signed by that of c, not by the CA */
	X509_free(TAKE(d.issuer));
	const struct cert_spec spec = { CERT_SIGNER, d.issuer_key, c.issuer, c.issuer_key, wall_ms - DAY,
		wall_ms + 10 * DAY, { NULL, 0 }, id_of(w, 1) };
	assert_int_equal(cert_make(&spec, &d.issuer), 0);
	make_leaf(&d, wall_ms - DAY, wall_ms + DAY);
	assert_false(believed(w, &d, d.issuer));
	assert_false(believed(w, &d, c.issuer));
	assert_true(believed(w, &c, c.issuer));
}

static void a_signer_of_another_account_is_none(void **state)
{
	struct world *w = *state;
	struct err err = { "" };
	CLEANUP(chain_fini) struct chain c;
	account_with_signer(w);
	assert_int_equal(identity_create_account(identity_of(w, 2), &err), 0);
	chain_init(w, 2, &c);
	assert_false(believed(w, &c, c.issuer));
	char id[NODE_ID_LEN + 1];
	assert_true(identity_judge(identity_of(w, 2), c.leaf, c.issuer, id));
}

/* As with the certificates of nodes: who was known is borne for 30 days. */
static void an_intermediate_ends(void **state)
{
	struct world *w = *state;
	CLEANUP(chain_fini) struct chain c, d;
	account_with_signer(w);
	chain_init(w, 0, &c);
	chain_init(w, 0, &d);
	make_leaf(&c, wall_ms - DAY, wall_ms + 10 * DAY);
	make_leaf(&d, wall_ms - DAY, wall_ms + 10 * DAY);
	assert_true(believed(w, &c, c.issuer));
	wall_ms += 11 * DAY;
	assert_true(believed(w, &c, c.issuer));
	assert_false(believed(w, &d, d.issuer)); /* nobody knew it */
	/* the key goes on signing: what outlives its certificate is worth nothing */
	make_leaf(&d, wall_ms - DAY, wall_ms + DAY);
	assert_false(believed(w, &d, d.issuer));
	make_leaf(&d, wall_ms - 3 * DAY, wall_ms - 2 * DAY);
	assert_false(believed(w, &d, d.issuer));
	identity_set_mono(identity_of(w, 0), wall, NULL); /* it ran all the time */
	wall_ms += 30 * DAY;
	assert_false(believed(w, &c, c.issuer));
}

static void a_removed_node_is_refused_whoever_signed(void **state)
{
	struct world *w = *state;
	struct err err = { "" };
	CLEANUP(chain_fini) struct chain c;
	account_with_signer(w);
	chain_init(w, 0, &c);
	assert_true(believed(w, &c, c.issuer));
	assert_int_equal(identity_remove(identity_of(w, 0), c.leaf_id, &err), 0);
	assert_false(believed(w, &c, c.issuer));
	make_leaf(&c, wall_ms - DAY, wall_ms + DAY); /* a new one for the same key */
	assert_false(believed(w, &c, c.issuer));
}

/* Also of one that no list ever called a signer. */
static void an_intermediate_of_a_removed_node_is_refused(void **state)
{
	struct world *w = *state;
	struct err err = { "" };
	CLEANUP(chain_fini) struct chain c;
	wall_ms = clock_wall_ms();
	set_clocks(w);
	assert_int_equal(identity_create_account(identity_of(w, 0), &err), 0);
	assert_int_equal(enrol(w, 0, 1), 0);
	chain_init(w, 0, &c);
	assert_int_equal(identity_remove(identity_of(w, 0), id_of(w, 1), &err), 0);
	assert_int_equal(identity_removed(identity_of(w, 0))->former_count, 0);
	assert_false(believed(w, &c, c.issuer));
	assert_int_equal(identity_readmit(identity_of(w, 0), id_of(w, 1), &err), 0);
	assert_true(believed(w, &c, c.issuer));
}

static void a_joining_node_checks_the_inviters_chain(void **state)
{
	struct world *w = *state;
	CLEANUP(chain_fini) struct chain c, other;
	struct err err = { "" };
	account_with_signer(w);
	chain_init(w, 0, &c);
	assert_int_equal(identity_create_account(identity_of(w, 2), &err), 0);
	chain_init(w, 2, &other);
	uint8_t *leaf = NULL, *issuer = NULL, *foreign = NULL;
	int n = i2d_X509(c.leaf, &leaf), m = i2d_X509(c.issuer, &issuer),
	    k = i2d_X509(other.issuer, &foreign);
	const struct edged_slice ca = edged_str(identity_ca_pem(identity_of(w, 0))),
	                         none = edged_slice(NULL, 0), leaf_der = edged_slice(leaf, (size_t)n),
	                         issuer_der = edged_slice(issuer, (size_t)m);
	const char *account = identity_account_id(identity_of(w, 0));
	assert_true(identity_signed_by(ca, account, leaf_der, issuer_der));
	assert_false(identity_signed_by(ca, account, leaf_der, none));
	assert_false(identity_signed_by(ca, account, leaf_der, edged_slice(foreign, (size_t)k)));
	assert_false(identity_signed_by(ca, account, leaf_der, edged_slice(issuer, 10)));
	assert_false(identity_signed_by(ca, identity_account_id(identity_of(w, 2)), leaf_der, issuer_der));
	assert_false(identity_signed_by(edged_str(identity_ca_pem(identity_of(w, 2))),
	        identity_account_id(identity_of(w, 2)), leaf_der, issuer_der));
	OPENSSL_free(leaf);
	OPENSSL_free(issuer);
	OPENSSL_free(foreign);
}

static void what_a_node_is_given_must_be_such_a_chain(void **state)
{
	struct world *w = *state;
	CLEANUP(chain_fini) struct chain c;
	CLEANUP(buf_fini) struct buf request = BUF_EMPTY, pem = BUF_EMPTY;
	struct err err = { "" };
	account_with_signer(w);
	chain_init(w, 0, &c);
	assert_int_equal(identity_request(identity_of(w, 2), &request), 0);
	assert_int_equal(
	        identity_sign(identity_of(w, 1), buf_slice(&request), id_of(w, 2), edged_str("box"), &pem),
	        0);
	struct identity_grant grant = { identity_account_id(identity_of(w, 0)), buf_slice(&pem),
		edged_str(identity_ca_pem(identity_of(w, 0))), id_of(w, 0) };
	const char *second = strstr(pem.ptr + 1, "-----BEGIN");
	assert_non_null(second);
	grant.certificate_pem = edged_slice(pem.ptr, (size_t)(second - pem.ptr));
	assert_int_equal(identity_adopt(identity_of(w, 2), &grant, &err), -EINVAL);
	CLEANUP(buf_fini) struct buf other = BUF_EMPTY;
	assert_int_equal(buf_add(&other, pem.ptr, (size_t)(second - pem.ptr)), 0);
	assert_int_equal(cert_write(c.issuer, &other), 0);
	grant.certificate_pem = buf_slice(&other);
	assert_int_equal(identity_adopt(identity_of(w, 2), &grant, &err), -EINVAL);
	assert_string_equal(identity_account_id(identity_of(w, 2)), "");
	grant.certificate_pem = buf_slice(&pem);
	assert_int_equal(identity_adopt(identity_of(w, 2), &grant, &err), 0);
	/* the signer's own: of that key, and for this node */
	buf_clear(&other);
	assert_int_equal(cert_write(c.issuer, &other), 0);
	assert_int_equal(identity_signer_adopt(identity_of(w, 1), buf_slice(&other), &err), -EINVAL);
	assert_int_equal(identity_signer_adopt(identity_of(w, 1), buf_slice(&pem), &err), -EINVAL);
	assert_true(identity_can_sign(identity_of(w, 1)));
}

/* --- its life --- */

static void a_signer_renews_and_ends(void **state)
{
	struct world *w = *state;
	CLEANUP(X509_freep) X509 *leaf = NULL, *issuer = NULL;
	uint64_t until = wall_ms + 365 * DAY;
	account_with_signer(w);
	until = identity_removed(identity_of(w, 0))->signers[0].until_ms;
	assert_in_range(until - wall_ms, 364 * DAY, 365 * DAY);
	wall_ms += 243 * DAY;
	assert_false(identity_signer_due(identity_of(w, 1)));
	wall_ms += DAY;
	assert_true(identity_signer_due(identity_of(w, 1)));
	assert_true(identity_can_sign(identity_of(w, 1)));
	/* the holder is away: it signs on, and nothing outlives its certificate */
	wall_ms += 120 * DAY;
	assert_int_equal(enrol(w, 1, 2), 0);
	assert_int_equal(
	        cert_read_chain(edged_str(identity_certificate_pem(identity_of(w, 2))), &leaf, &issuer), 0);
	assert_int_equal(cert_until(leaf), cert_until(issuer));
	assert_true(cert_until(leaf) < wall_ms + 2 * DAY);
	assert_true(judge(w, 1, 2));
	wall_ms += 2 * DAY;
	assert_false(identity_can_sign(identity_of(w, 1)));
	assert_int_equal(enrol(w, 1, 2), -EACCES);
	certify(w, 1);
	assert_int_equal(enrol(w, 1, 2), 0);
	assert_true(identity_removed(identity_of(w, 0))->signers[0].until_ms > until + 300 * DAY);
}

/* Would node 0 believe a node that it never heard of, which node 1 signs for? */
static bool a_stranger_is_believed(struct world *w)
{
	CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
	CLEANUP(X509_freep) X509 *leaf = NULL, *issuer = NULL;
	CLEANUP(buf_fini) struct buf request = BUF_EMPTY, pem = BUF_EMPTY;
	uint8_t point[CERT_POINT];
	char id[NODE_ID_LEN + 1];
	assert_int_equal(cert_key_new(&key), 0);
	assert_int_equal(cert_key_point(key, point), 0);
	cert_point_id(point, id);
	assert_int_equal(cert_request(key, &request), 0);
	assert_int_equal(
	        identity_sign(identity_of(w, 1), buf_slice(&request), id, edged_str("box"), &pem), 0);
	assert_int_equal(cert_read_chain(buf_slice(&pem), &leaf, &issuer), 0);
	return identity_judge(identity_of(w, 0), leaf, issuer, id);
}

/* Whether the holder takes the right from it or the node from the account. */
static void known_nodes_of_a_former_signer_go_elsewhere(struct world *w, bool whole)
{
	struct err err = { "" };
	CLEANUP(chain_fini) struct chain c;
	bool renew;
	account_with_signer(w);
	assert_int_equal(enrol(w, 1, 2), 0);
	assert_true(judge(w, 0, 2) && judge(w, 1, 2) && judge(w, 2, 1) && judge(w, 2, 0));
	identity_tick(identity_of(w, 2), &renew);
	assert_false(renew);
	/* a thief has its key */
	chain_init(w, 0, &c);
	make_leaf(&c, wall_ms - DAY, wall_ms + 6 * DAY);
	assert_int_equal(whole ? identity_remove(identity_of(w, 0), id_of(w, 1), &err)
	                       : identity_drop_signer(identity_of(w, 0), id_of(w, 1), &err),
	        0);
	assert_int_equal(take_removed(w, 2, 0), 0);
	assert_false(believed(w, &c, c.issuer));
	make_leaf(&c, wall_ms + DAY, wall_ms + 6 * DAY);
	assert_false(believed(w, &c, c.issuer));
	assert_int_equal(identity_time(identity_of(w, 0)), wall_ms); /* it does not move the time either */
	assert_true(judge(w, 0, 2));                                 /* known before */
	assert_true(judge(w, 0, 1) == !whole);
	assert_true(judge(w, 2, 1) == !whole);
	/* it gets a certificate elsewhere, at once, not at two thirds */
	identity_tick(identity_of(w, 2), &renew);
	assert_true(renew);
	assert_int_equal(take_removed(w, 1, 0), 0);
	assert_false(identity_can_sign(identity_of(w, 1)));
	assert_int_equal(enrol(w, 1, 2), -EACCES);
	assert_int_equal(file_read(w->node[1].folder, "signer.pem", &(struct buf)BUF_EMPTY, NULL), -ENOENT);
	assert_int_equal(enrol(w, 0, 2), 0);
	identity_tick(identity_of(w, 2), &renew);
	assert_false(renew);
	/* whatever the clock says, the thief's nodes are nobody's */
	uint64_t began = wall_ms;
	for (uint64_t day = 0; day < 500; day++) {
		wall_ms = began - 50 * DAY + day * DAY;
		assert_false(believed(w, &c, c.issuer));
	}
	wall_ms = began;
}

static void a_signer_is_taken_the_right(void **state)
{
	struct world *w = *state;
	struct err err = { "" };
	known_nodes_of_a_former_signer_go_elsewhere(w, false);
	/* as one again it has another key and a later certificate; the stolen one stays worthless */
	CLEANUP(chain_fini) struct chain c;
	chain_init(w, 0, &c);
	assert_false(believed(w, &c, c.issuer));
	assert_int_equal(identity_add_signer(identity_of(w, 0), id_of(w, 1), &err), 0);
	assert_int_equal(take_removed(w, 1, 0), 0);
	certify(w, 1);
	assert_false(believed(w, &c, c.issuer));
	assert_true(a_stranger_is_believed(w));
	reopen(w, 1);
	/* and once more */
	assert_int_equal(identity_drop_signer(identity_of(w, 0), id_of(w, 1), &err), 0);
	assert_int_equal(identity_removed(identity_of(w, 0))->former_count, 1);
	assert_int_equal(identity_add_signer(identity_of(w, 0), id_of(w, 1), &err), 0);
	assert_int_equal(take_removed(w, 1, 0), 0);
	certify(w, 1);
	assert_true(a_stranger_is_believed(w));
}

static void a_signer_is_removed(void **state)
{
	struct world *w = *state;
	struct err err = { "" };
	CLEANUP(chain_fini) struct chain c;
	char id[NODE_ID_LEN + 1];
	known_nodes_of_a_former_signer_go_elsewhere(w, true);
	chain_init(w, 0, &c);
	/* the line of the node ends after 37 days; what it could sign does not */
	wall_ms += 38 * DAY;
	node_id_format((const uint8_t[32]){ 99 }, id);
	assert_int_equal(identity_remove(identity_of(w, 0), id, &err), 0);
	assert_int_equal(identity_removed(identity_of(w, 0))->count, 1);
	assert_int_equal(identity_removed(identity_of(w, 0))->former_count, 1);
	make_leaf(&c, wall_ms - 30 * DAY, wall_ms - 29 * DAY);
	assert_false(believed(w, &c, c.issuer));
	/* nor does it when the node is invited anew */
	assert_int_equal(enrol(w, 0, 1), 0);
	assert_true(judge(w, 0, 1));
	assert_false(believed(w, &c, c.issuer));
}

/* A month after, also who was known has had its time. */
static void the_time_of_grace_counts_from_the_removal(void **state)
{
	struct world *w = *state;
	struct err err = { "" };
	account_with_signer(w);
	identity_set_mono(identity_of(w, 0), wall, NULL);
	assert_int_equal(enrol(w, 1, 2), 0);
	assert_true(judge(w, 0, 2));
	assert_int_equal(identity_drop_signer(identity_of(w, 0), id_of(w, 1), &err), 0);
	wall_ms += 29 * DAY;
	assert_true(judge(w, 0, 2));
	wall_ms += 2 * DAY;
	assert_false(judge(w, 0, 2));
}

/* Whatever the holder's clock says when the right is taken, it is taken from what was signed before. */
static void a_clock_that_goes_back_leaves_no_signer(void **state)
{
	struct world *w = *state;
	struct err err = { "" };
	struct identity *holder;
	CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
	CLEANUP(X509_freep) X509 *leaf = NULL, *issuer = NULL;
	CLEANUP(buf_fini) struct buf request = BUF_EMPTY, pem = BUF_EMPTY;
	uint8_t point[CERT_POINT];
	char id[NODE_ID_LEN + 1];
	account_with_signer(w);
	assert_int_equal(identity_drop_signer(identity_of(w, 0), id_of(w, 1), &err), 0);
	assert_int_equal(identity_add_signer(identity_of(w, 0), id_of(w, 1), &err), 0);
	assert_int_equal(take_removed(w, 1, 0), 0);
	wall_ms += 4 * DAY;
	certify(w, 1);
	assert_int_equal(cert_key_new(&key), 0);
	assert_int_equal(cert_key_point(key, point), 0);
	cert_point_id(point, id);
	assert_int_equal(cert_request(key, &request), 0);
	assert_int_equal(
	        identity_sign(identity_of(w, 1), buf_slice(&request), id, edged_str("box"), &pem), 0);
	assert_int_equal(cert_read_chain(buf_slice(&pem), &leaf, &issuer), 0);
	wall_ms -= 3 * DAY;
	assert_int_equal(identity_open(w->node[0].folder, &holder, &err), 0);
	identity_set_clock(holder, wall, NULL);
	assert_true(identity_time(holder) < cert_from(issuer));
	assert_int_equal(identity_drop_signer(holder, id_of(w, 1), &err), 0);
	assert_false(identity_judge(holder, leaf, issuer, id));
	identity_free(holder);
}

/* --- the account's key is off line --- */

static void without_the_key_signers_do_all_but_two_things(void **state)
{
	struct world *w = *state;
	struct err err = { "" };
	char here[128], away[128];
	bool renew;
	account_with_signer(w);
	snprintf(here, sizeof(here), "%s/ca.pem", w->node[0].folder);
	snprintf(away, sizeof(away), "%s/ca.pem", w->root);
	assert_int_equal(rename(here, away), 0);
	struct identity *founder;
	assert_int_equal(identity_open(w->node[0].folder, &founder, &err), 0);
	identity_set_clock(founder, wall, NULL);
	assert_false(identity_holds_ca(founder));
	assert_false(identity_can_sign(founder));
	assert_string_equal(identity_account_id(founder), identity_account_id(identity_of(w, 0)));
	assert_int_equal(identity_add_signer(founder, id_of(w, 2), &err), -EACCES);
	assert_int_equal(identity_drop_signer(founder, id_of(w, 1), &err), -EACCES);
	assert_int_equal(identity_remove(founder, id_of(w, 1), &err), -EACCES);
	assert_int_equal(enrol(w, 1, 2), 0);
	/* the founder's own certificate is renewed by the signer */
	wall_ms += 5 * DAY;
	identity_tick(founder, &renew);
	assert_true(renew);
	CLEANUP(buf_fini) struct buf request = BUF_EMPTY, pem = BUF_EMPTY;
	assert_int_equal(identity_request(founder, &request), 0);
	assert_int_equal(
	        identity_sign(identity_of(w, 1), buf_slice(&request), id_of(w, 0), edged_str("box"), &pem),
	        0);
	const struct identity_grant grant = { identity_account_id(identity_of(w, 1)), buf_slice(&pem),
		edged_str(identity_ca_pem(identity_of(w, 1))), identity_ca_holder(identity_of(w, 1)) };
	assert_int_equal(identity_adopt(founder, &grant, &err), 0);
	identity_tick(founder, &renew);
	assert_false(renew);
	identity_free(founder);
	/* the signer signs for itself */
	uint64_t before = identity_certificate_until(identity_of(w, 1));
	identity_tick(identity_of(w, 1), &renew);
	assert_false(renew);
	assert_true(identity_certificate_until(identity_of(w, 1)) > before);
	assert_true(judge(w, 2, 1));
	/* the key comes back */
	assert_int_equal(rename(away, here), 0);
	assert_int_equal(identity_open(w->node[0].folder, &founder, &err), 0);
	assert_true(identity_holds_ca(founder) && identity_can_sign(founder));
	assert_int_equal(identity_remove(founder, id_of(w, 2), &err), 0);
	identity_free(founder);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_signer_signs_as_the_ca_does),
		T(its_key_is_one_of_its_own),
		T(only_the_accounts_key_makes_signers),
		T(former_signers_are_bounded),
		T(an_intermediate_is_a_ca_that_names_its_node),
		T(a_leaf_without_its_intermediate_is_not_believed),
		T(a_node_is_no_issuer),
		T(there_is_one_level_of_them),
		T(a_signer_of_another_account_is_none),
		T(an_intermediate_ends),
		T(a_removed_node_is_refused_whoever_signed),
		T(an_intermediate_of_a_removed_node_is_refused),
		T(a_joining_node_checks_the_inviters_chain),
		T(what_a_node_is_given_must_be_such_a_chain),
		T(a_signer_renews_and_ends),
		T(a_signer_is_taken_the_right),
		T(a_signer_is_removed),
		T(the_time_of_grace_counts_from_the_removal),
		T(a_clock_that_goes_back_leaves_no_signer),
		T(without_the_key_signers_do_all_but_two_things),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
