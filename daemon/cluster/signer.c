/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/signer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "cluster/files.h"
#include "cluster/identity_impl.h"
#include "cluster/removal.h"
#include "cluster/trust.h"

static const char signer_file[] = "signer.pem";

static const struct removal *own_line(const struct identity *identity)
{
	uint8_t id[32];
	return node_id_parse(edged_str(identity->node_id), id)
	               ? removal_find_signer(identity_removed(identity), id)
	               : NULL;
}

static bool is_withdrawn(const struct identity *identity)
{
	return identity->signer.certificate &&
	       trust_withdrawn(identity->trust, identity->signer.certificate) != TRUST_COUNTS;
}

bool signer_issuer(struct identity *identity, struct account_issuer *ret)
{
	const struct account *account = &identity->account;
	*ret = account->ca_key ? (struct account_issuer){ account->ca, account->ca_key } : identity->signer;
	return account->ca_key || (ret->key && identity_time(identity) <= cert_until(ret->certificate));
}

bool identity_can_sign(struct identity *identity)
{
	struct account_issuer issuer;
	return signer_issuer(identity, &issuer);
}

/* --- where the account's key is --- */

/* False: with a sentence, and *ret_error. */
static bool begin(
        struct identity *identity, const char *node_id, uint8_t ret_id[32], int *ret_error, struct err *err)
{
	*ret_error =
	        !identity_holds_ca(identity) ? err_set(err, -EACCES, "the account's key is not on this node")
	        : !node_id_parse(edged_str(node_id), ret_id) ? err_set(err, -EINVAL, "no node has this id")
	                                                     : 0;
	return *ret_error == 0;
}

static int add(struct identity *identity, const struct removal *signer, struct err *err)
{
	struct removal_list *next = removal_next_list(identity);
	if (!next)
		return err_set(err, -ENOMEM, "no memory for the list of signers");
	if (removal_add_signer(next, signer)) {
		free(next);
		return err_set(err, -ENOSPC, "there are %d signers, or %d former ones", SIGNERS_MAX,
		        FORMER_SIGNERS_MAX);
	}
	return removal_publish(identity, next, err);
}

int identity_add_signer(struct identity *identity, const char *node_id, struct err *err)
{
	struct removal signer = { .since_ms = identity_time(identity) };
	int r;
	if (!begin(identity, node_id, signer.id, &r, err))
		return r;
	if (identity_is_removed(identity, signer.id))
		return err_set(err, -EKEYREVOKED, "it was removed from the account");
	if (removal_find_signer(identity_removed(identity), signer.id))
		return err_set(err, -EALREADY, "it is a signer");
	return add(identity, &signer, err);
}

int identity_drop_signer(struct identity *identity, const char *node_id, struct err *err)
{
	uint8_t id[32];
	int r;
	if (!begin(identity, node_id, id, &r, err))
		return r;
	if (!removal_find_signer(identity_removed(identity), id))
		return err_set(err, -ENOENT, "it is no signer");
	struct removal_list *next = removal_next_list(identity);
	if (!next)
		return err_set(err, -ENOMEM, "no memory for the list of signers");
	const struct removal former = removal_former_line(identity, id);
	removal_drop_signer(next, &former);
	return removal_publish(identity, next, err);
}

/* A key of its own: who got hold of the one must not have the other. */
static int read_request(struct edged_slice der, const char *node_id, EVP_PKEY **ret)
{
	uint8_t point[CERT_POINT];
	char id[NODE_ID_LEN + 1];
	int r = cert_read_request(der, ret);
	if (!r)
		r = cert_key_point(*ret, point);
	if (r)
		return r;
	cert_point_id(point, id);
	return strcmp(id, node_id) == 0 ? -EINVAL : 0;
}

/* It begins after the latest moment up to which this node's certificates as a signer count for nothing. */
static uint64_t begin_of(struct identity *identity, const uint8_t id[32])
{
	const struct removal *former = removal_find_former(identity_removed(identity), id);
	uint64_t from = identity_time(identity) - ACCOUNT_SKEW_MS;
	return former && from <= former->since_ms ? (former->since_ms / 1000 + 1) * 1000 : from;
}

/* So that all see when it ends; not anew for each that asks again and again. */
static int note_end(struct identity *identity, const struct removal *line, uint64_t until)
{
	struct removal signer = *line;
	struct err err = { "" };
	if (line->until_ms && line->until_ms + REMOVAL_SIGNED_MS > until)
		return 0;
	signer.until_ms = until;
	return add(identity, &signer, &err);
}

int identity_sign_signer(
        struct identity *identity, struct edged_slice request_der, const char *node_id, struct buf *ret_pem)
{
	uint8_t id[32];
	CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
	CLEANUP(X509_freep) X509 *certificate = NULL;
	int r;
	if (!begin(identity, node_id, id, &r, NULL))
		return r;
	const struct removal *line = removal_find_signer(identity_removed(identity), id);
	if (!line)
		return -ENOENT;
	r = read_request(request_der, node_id, &key);
	if (r)
		return r;
	const struct cert_spec spec = {
		.kind = CERT_SIGNER,
		.subject_key = key,
		.issuer = identity->account.ca,
		.issuer_key = identity->account.ca_key,
		.from_ms = begin_of(identity, id),
		.until_ms = identity_time(identity) + ACCOUNT_SIGNER_MS,
		.node_id = node_id,
	};
	r = cert_make(&spec, &certificate);
	if (r)
		return r;
	/* As with nodes: should it be taken the right, then from after all that was signed before. */
	trust_seen(identity->trust, cert_from(certificate));
	r = note_end(identity, line, cert_until(certificate));
	return r ? r : cert_write(certificate, ret_pem);
}

/* --- where the signer is --- */

void signer_forget(struct identity *identity)
{
	X509_free(identity->signer.certificate);
	EVP_PKEY_free(identity->signer.key);
	EVP_PKEY_free(TAKE(identity->signer_next));
	identity->signer = (struct account_issuer){ NULL, NULL };
}

/* What is worth nothing any more does not lie about. */
void signer_list_changed(struct identity *identity)
{
	if (!is_withdrawn(identity))
		return;
	signer_forget(identity);
	file_remove(identity->folder, signer_file);
	log_notice("identity", "this node is no signer of its account any more");
}

bool identity_signer_due(struct identity *identity)
{
	return own_line(identity) &&
	       (!identity->signer.certificate ||
	               identity_time(identity) >= account_renewal(identity->signer.certificate));
}

int identity_signer_request(struct identity *identity, struct buf *ret_der)
{
	EVP_PKEY_free(TAKE(identity->signer_next));
	int r = cert_key_new(&identity->signer_next);
	return r ? r : cert_request(identity->signer_next, ret_der);
}

static bool is_ours(const struct identity *identity, X509 *certificate, EVP_PKEY *key)
{
	char id[NODE_ID_LEN + 1];
	return identity->account.ca && key && X509_check_private_key(certificate, key) == 1 &&
	       cert_is_signer(certificate, id) && strcmp(id, identity->node_id) == 0 &&
	       cert_signed_by(certificate, identity->account.ca);
}

static int save(const struct identity *identity, X509 *certificate, struct err *err)
{
	CLEANUP(buf_wipe) struct buf pem = BUF_EMPTY;
	int r = cert_write_key(identity->signer_next, &pem);
	if (!r)
		r = cert_write(certificate, &pem);
	return r ? err_set(err, r, "no memory for the signer's key")
	         : file_replace(identity->folder, signer_file, buf_slice(&pem), err);
}

int identity_signer_adopt(struct identity *identity, struct edged_slice certificate_pem, struct err *err)
{
	CLEANUP(X509_freep) X509 *certificate = NULL;
	if (cert_read(certificate_pem, &certificate) ||
	        !is_ours(identity, certificate, identity->signer_next))
		return err_set(err, -EINVAL,
		        "the signer's certificate is not one that the account's CA signed for this node");
	trust_seen(identity->trust, cert_from(certificate));
	if (identity_time(identity) > cert_until(certificate))
		return err_set(err, -ETIME,
		        "the signer's certificate has run out by this node's clock: is that right?");
	int r = save(identity, certificate, err);
	if (r)
		return r;
	EVP_PKEY *key = TAKE(identity->signer_next);
	signer_forget(identity);
	identity->signer = (struct account_issuer){ TAKE(certificate), key };
	signer_list_changed(identity); /* the list may have been faster */
	return 0;
}

void signer_load(struct identity *identity)
{
	CLEANUP(buf_wipe) struct buf pem = { .limit = FILE_LIMIT };
	CLEANUP(X509_freep) X509 *certificate = NULL;
	CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
	if (!identity->account.ca || file_read(identity->folder, signer_file, &pem, NULL))
		return;
	if (cert_read_key(buf_slice(&pem), &key) || cert_read(buf_slice(&pem), &certificate) ||
	        !is_ours(identity, certificate, key)) {
		log_warning("identity",
		        "%s/%s is damaged or of another account: not used; a signer gets another one from "
		        "the "
		        "node that holds the account's key",
		        identity->folder, signer_file);
		return;
	}
	identity->signer = (struct account_issuer){ TAKE(certificate), TAKE(key) };
	signer_list_changed(identity);
}
