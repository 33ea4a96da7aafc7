/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/account.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <jansson.h>
#include <openssl/x509v3.h>
#include "cluster/cert.h"
#include "cluster/files.h"
#include "cluster/identity.h"
#include "cluster/trust.h"

static const char account_file[] = "account.json", ca_file[] = "ca.pem";

void account_fini(struct account *account)
{
	X509_free(account->certificate);
	X509_free(account->signer);
	X509_free(account->ca);
	EVP_PKEY_free(account->ca_key);
	buf_fini(&account->ca_pem);
	memset(account, 0, sizeof(*account));
}

static int fill_ca(struct account *account)
{
	uint8_t point[CERT_POINT];
	int r = cert_key_new(&account->ca_key);
	if (!r)
		r = cert_key_point(account->ca_key, point);
	if (r)
		return r;
	cert_point_id(point, account->id);
	const struct cert_spec spec = {
		.kind = CERT_CA, .subject_key = account->ca_key, .issuer_key = account->ca_key
	};
	r = cert_make(&spec, &account->ca);
	return r ? r : cert_write(account->ca, &account->ca_pem);
}

int account_make_ca(struct account *ret)
{
	struct account account = { 0 };
	int r = fill_ca(&account);
	if (r)
		account_fini(&account);
	else
		*ret = account;
	return r;
}

static int read_ca(const struct identity_grant *grant, struct account *account, struct err *err)
{
	char id[NODE_ID_LEN + 1];
	if (cert_read(grant->ca_pem, &account->ca) || cert_id(account->ca, id) || !X509_check_ca(account->ca))
		return err_set(err, -EINVAL, "the account's CA is no certificate that can be used");
	if (strcmp(id, grant->account_id) != 0)
		return err_set(
		        err, -EINVAL, "the CA is that of account %s, not of %s", id, grant->account_id);
	snprintf(account->id, sizeof(account->id), "%s", id);
	int r = cert_write(account->ca, &account->ca_pem);
	return r ? err_set(err, r, "no memory for the account's CA") : 0;
}

static int read_certificate(
        const struct identity_grant *grant, const char *node_id, struct account *account, struct err *err)
{
	char id[NODE_ID_LEN + 1], signer[NODE_ID_LEN + 1];
	if (cert_read_chain(grant->certificate_pem, &account->certificate, &account->signer) ||
	        !cert_chain_ok(account->certificate, account->signer, account->ca, signer))
		return err_set(err, -EINVAL,
		        "the node's certificate was not signed by the account's CA, nor by a signer of it");
	if (cert_id(account->certificate, id) || strcmp(id, node_id) != 0)
		return err_set(err, -EINVAL, "the certificate is not that of this node's key");
	if (!signer[0])
		X509_free(TAKE(account->signer)); /* that of somebody who did not sign */
	return 0;
}

int account_read(
        const struct identity_grant *grant, const char *node_id, struct account *ret, struct err *err)
{
	struct account account = { 0 };
	if (!node_id_valid(edged_str(grant->holder)))
		return err_set(
		        err, -EINVAL, "the node that is said to hold the account's key has no valid id");
	snprintf(account.holder, sizeof(account.holder), "%s", grant->holder);
	int r = read_ca(grant, &account, err);
	if (!r)
		r = read_certificate(grant, node_id, &account, err);
	if (r)
		account_fini(&account);
	else
		*ret = account;
	return r;
}

int account_sign(const struct account_issuer *issuer, EVP_PKEY *key, struct edged_slice name, uint64_t now_ms,
        X509 **ret)
{
	uint64_t until = now_ms + ACCOUNT_LEAF_MS, end = cert_until(issuer->certificate);
	const struct cert_spec spec = {
		.kind = CERT_NODE,
		.subject_key = key,
		.issuer = issuer->certificate,
		.issuer_key = issuer->key,
		.from_ms = now_ms - ACCOUNT_SKEW_MS,
		.until_ms = until < end ? until : end,
		.name = name,
	};
	return cert_make(&spec, ret);
}

uint64_t account_renewal(const X509 *certificate)
{
	uint64_t begin = cert_from(certificate) + ACCOUNT_SKEW_MS, end = cert_until(certificate);
	return begin < end ? begin + (end - begin) / 3 * 2 : begin;
}

int account_write_chain(X509 *certificate, X509 *signer, struct buf *ret_pem)
{
	int r = cert_write(certificate, ret_pem);
	return r || !signer ? r : cert_write(signer, ret_pem);
}

/* --- on disk --- */

int account_save(const struct account *account, const char *folder, struct err *err)
{
	CLEANUP(buf_fini) struct buf certificate = BUF_EMPTY;
	int r = account_write_chain(account->certificate, account->signer, &certificate);
	if (r)
		return err_set(err, r, "cannot write the node's certificate");
	json_t *json = json_pack("{s:s,s:s,s:s,s:s}", "account", account->id, "holder", account->holder,
	        "certificate", certificate.ptr, "ca", account->ca_pem.ptr);
	char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
	json_decref(json);
	if (!text)
		return err_set(err, -ENOMEM, "no memory to write the account");
	r = file_replace(folder, account_file, edged_str(text), err);
	free(text);
	return r;
}

static int load_json(const json_t *json, const char *node_id, struct account *ret, struct err *err)
{
	const char *id, *holder, *certificate, *ca;
	if (json_unpack((json_t *)(uintptr_t)json, "{s:s,s:s,s:s,s:s}", "account", &id, "holder", &holder,
	            "certificate", &certificate, "ca", &ca))
		return err_set(err, -EINVAL, "it is no account file");
	const struct identity_grant grant = { id, edged_str(certificate), edged_str(ca), holder };
	return account_read(&grant, node_id, ret, err);
}

int account_load(const char *folder, const char *node_id, struct account *ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = { .limit = FILE_LIMIT };
	struct err why;
	int r = file_read(folder, account_file, &text, err);
	if (r)
		return r == -ENOENT ? ACCOUNT_ABSENT : r;
	json_t *json = json_loadb(text.ptr ? text.ptr : "", text.len, 0, NULL);
	r = json ? load_json(json, node_id, ret, &why) : err_set(&why, -EINVAL, "it is no JSON");
	json_decref(json);
	if (r)
		return err_set(err, r,
		        "%s/%s is damaged (%s): restore it from a backup, or remove it and join the account "
		        "again",
		        folder, account_file, why.text);
	return 0;
}

int account_save_ca(const struct account *account, const char *folder, struct err *err)
{
	CLEANUP(buf_wipe) struct buf pem = BUF_EMPTY;
	int r = cert_write_key(account->ca_key, &pem);
	if (!r)
		r = cert_write(account->ca, &pem);
	return r ? err_set(err, r, "cannot write the account's CA")
	         : file_replace(folder, ca_file, buf_slice(&pem), err);
}

static int parse_ca(struct edged_slice pem, struct account *ret)
{
	int r = cert_read_key(pem, &ret->ca_key);
	if (!r)
		r = cert_read(pem, &ret->ca);
	if (!r)
		r = X509_check_private_key(ret->ca, ret->ca_key) == 1 ? cert_id(ret->ca, ret->id) : -EINVAL;
	return r ? r : cert_write(ret->ca, &ret->ca_pem);
}

int account_load_ca(const char *folder, struct account *ret, struct err *err)
{
	CLEANUP(buf_wipe) struct buf pem = { .limit = FILE_LIMIT };
	struct account account = { 0 };
	int r = file_read(folder, ca_file, &pem, err);
	if (r)
		return r == -ENOENT ? ACCOUNT_ABSENT : r;
	r = parse_ca(buf_slice(&pem), &account);
	if (r) {
		account_fini(&account);
		return err_set(err, r, "%s/%s is damaged: restore it from a backup", folder, ca_file);
	}
	*ret = account;
	return 0;
}
