/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/identity.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include "base/log.h"
#include "cluster/files.h"
#include "cluster/identity_impl.h"
#include "cluster/trust.h"

#define HOUR_MS   (UINT64_C(3600) * 1000)
#define MINUTE_MS (UINT64_C(60) * 1000)

static const char node_file[] = "node.pem", peers_file[] = "peers";

DEFINE_CLEANUP(struct identity *, identity_free)
DEFINE_CLEANUP(EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
DEFINE_CLEANUP(EVP_KDF *, EVP_KDF_free)
DEFINE_CLEANUP(EVP_KDF_CTX *, EVP_KDF_CTX_free)

static void save_known(struct identity *identity)
{
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	struct err err;
	int r = trust_write_known(identity->trust, &text);
	if (r == 0)
		r = file_replace(identity->folder, peers_file, buf_slice(&text), &err);
	else
		err_set(&err, r, "cannot write the list of known nodes");
	if (r < 0)
		log_warning("identity", "%s", err.text);
}

void identity_free(struct identity *identity)
{
	if (!identity)
		return;
	if (identity->account.id[0])
		save_known(identity);
	account_fini(&identity->account);
	signer_forget(identity);
	X509_free(identity->self_signed);
	EVP_PKEY_free(identity->key);
	buf_wipe(&identity->key_pem);
	buf_fini(&identity->chain_pem);
	trust_free(identity->trust);
	free(identity->removed);
	buf_fini(&identity->removed_text);
	free(identity->folder);
	free(identity);
}

/* --- what it is --- */

const char *identity_node_id(const struct identity *identity)
{
	return identity->node_id;
}

const char *identity_name(const struct identity *identity)
{
	return identity->name;
}

const char *identity_account_id(const struct identity *identity)
{
	return identity->account.id;
}

const uint8_t *identity_public_key(const struct identity *identity)
{
	return identity->point;
}

const char *identity_certificate_pem(const struct identity *identity)
{
	return identity->chain_pem.ptr;
}

const char *identity_key_pem(const struct identity *identity)
{
	return identity->key_pem.ptr;
}

const char *identity_ca_pem(const struct identity *identity)
{
	return identity->account.ca_pem.ptr ? identity->account.ca_pem.ptr : "";
}

const char *identity_ca_holder(const struct identity *identity)
{
	return identity->account.holder;
}

uint64_t identity_certificate_until(const struct identity *identity)
{
	return identity->account.certificate ? cert_until(identity->account.certificate) : 0;
}

bool identity_holds_ca(const struct identity *identity)
{
	return identity->account.ca_key != NULL;
}

void identity_on_change(struct identity *identity, void (*changed)(void *arg), void *arg)
{
	identity->changed = changed;
	identity->changed_arg = arg;
}

uint64_t identity_time(struct identity *identity)
{
	return trust_time(identity->trust);
}

uint64_t identity_mono(const struct identity *identity)
{
	return trust_mono(identity->trust);
}

void identity_set_clock(struct identity *identity, uint64_t (*wall_ms)(void *arg), void *arg)
{
	trust_set_clock(identity->trust, wall_ms, arg);
}

void identity_set_mono(struct identity *identity, uint64_t (*mono_ms)(void *arg), void *arg)
{
	trust_set_mono(identity->trust, mono_ms, arg);
}

bool identity_judge(void *identity, struct x509_st *certificate, struct x509_st *issuer, char *ret_node_id)
{
	const struct identity *self = identity;
	return trust_judge(self->trust, certificate, issuer, ret_node_id);
}

/* leaf [signer] CA, or the self-signed one */
static int write_chain(const struct identity *identity, const struct account *account, struct buf *ret)
{
	if (!account->certificate)
		return cert_write(identity->self_signed, ret);
	int r = account_write_chain(account->certificate, account->signer, ret);
	return r ? r : cert_write(account->ca, ret);
}

/* From now on the node is of that account; takes it. Nothing has changed on failure. */
static int account_use(struct identity *identity, struct account *account)
{
	struct buf chain = BUF_EMPTY;
	int r = write_chain(identity, account, &chain);
	if (r) {
		buf_fini(&chain);
		account_fini(account);
		return r;
	}
	if (strcmp(identity->account.id, account->id) == 0 && !account->ca_key) {
		account->ca_key = TAKE(identity->account.ca_key);
	} else {
		trust_set_ca(identity->trust, account->ca);
		removal_forget(identity);
		signer_forget(identity);
	}
	account_fini(&identity->account);
	identity->account = *account;
	buf_fini(&identity->chain_pem);
	identity->chain_pem = chain;
	if (account->certificate)
		trust_seen(identity->trust, cert_from(account->certificate));
	return 0;
}

/* --- signing --- */

int identity_sign(struct identity *identity, struct edged_slice request_der, const char *node_id,
        struct edged_slice name, struct buf *ret_pem)
{
	struct account_issuer issuer;
	if (!signer_issuer(identity, &issuer))
		return -EACCES;
	CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
	CLEANUP(X509_freep) X509 *certificate = NULL;
	uint8_t point[CERT_POINT];
	char id[NODE_ID_LEN + 1];
	int r = cert_read_request(request_der, &key);
	if (!r)
		r = cert_key_point(key, point);
	if (r)
		return r;
	cert_point_id(point, id);
	if (strcmp(id, node_id) != 0)
		return -EINVAL;
	r = account_sign(&issuer, key, name, identity_time(identity), &certificate);
	if (r)
		return r;
	/* Should the clock go back now, time does not: a removal counts from after all that was signed before. */
	trust_seen(identity->trust, cert_from(certificate));
	return account_write_chain(
	        certificate, issuer.key == identity->signer.key ? issuer.certificate : NULL, ret_pem);
}

/* A new certificate for this node, of which `account` has none. */
static int sign_self(struct identity *identity, const struct account_issuer *issuer, struct account *account,
        struct err *err)
{
	int r = account_sign(issuer, identity->key, edged_str(identity->name), identity_time(identity),
	        &account->certificate);
	if (r)
		return err_set(err, r, "cannot sign the node's own certificate");
	if (issuer->certificate != account->ca) {
		X509_up_ref(issuer->certificate);
		account->signer = issuer->certificate;
	}
	return account_save(account, identity->folder, err);
}

/* --- founding an account --- */

/* With the CA in hand: certificate, disk, use. Takes the account. */
static int found(struct identity *identity, struct account *account, struct err *err)
{
	const struct account_issuer issuer = { account->ca, account->ca_key };
	snprintf(account->holder, sizeof(account->holder), "%s", identity->node_id);
	int r = sign_self(identity, &issuer, account, err);
	if (r) {
		account_fini(account);
		return r;
	}
	r = account_use(identity, account);
	return r ? err_set(err, r, "no memory for the account") : 0;
}

static void tell_change(const struct identity *identity)
{
	if (identity->changed)
		identity->changed(identity->changed_arg);
}

int identity_create_account(struct identity *identity, struct err *err)
{
	if (identity->account.id[0])
		return err_set(err, -EEXIST, "this node belongs to account %s", identity->account.id);
	struct account account;
	int r = account_make_ca(&account);
	if (r)
		return err_set(err, r, "cannot make the account's CA");
	/* The key first: after a crash in between, the next start goes on from here. */
	r = account_save_ca(&account, identity->folder, err);
	if (r) {
		account_fini(&account);
		return r;
	}
	r = found(identity, &account, err);
	if (r)
		return r;
	log_notice("identity",
	        "account %s founded; its key is in %s/ca.pem, keep a copy of it at a safe place",
	        identity->account.id, identity->folder);
	tell_change(identity);
	return 0;
}

static int load_account(struct identity *identity, struct err *err)
{
	struct account account;
	int r = account_load(identity->folder, identity->node_id, &account, err);
	if (r)
		return r == ACCOUNT_ABSENT ? 0 : r;
	return account_use(identity, &account);
}

/* After load_account(): the CA's key, when it is here. */
static int load_ca(struct identity *identity, struct err *err)
{
	struct account account;
	int r = account_load_ca(identity->folder, &account, err);
	if (r)
		return r == ACCOUNT_ABSENT ? 0 : r;
	if (!identity->account.id[0])
		return found(identity, &account, err); /* a crash between the CA and the certificate */
	if (strcmp(identity->account.id, account.id) == 0)
		identity->account.ca_key = TAKE(account.ca_key);
	else
		log_warning("identity",
		        "%s/ca.pem is the CA of account %s, but this node belongs to %s: not used",
		        identity->folder, account.id, identity->account.id);
	account_fini(&account);
	return 0;
}

/* --- joining and renewing --- */

static void time_text(uint64_t ms, char ret[32])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	strftime(ret, 32, "%Y-%m-%d %H:%M", &tm);
}

int identity_request(const struct identity *identity, struct buf *ret_der)
{
	return cert_request(identity->key, ret_der);
}

/* One that has run out before it is used would leave a node that believes nobody. */
static int check_clocks(struct identity *identity, const struct account *account, struct err *err)
{
	uint64_t until = cert_until(account->certificate), now = identity_time(identity);
	char end[32], here[32];
	if (identity->account.id[0] || now <= until)
		return 0;
	time_text(until, end);
	time_text(now, here);
	return err_set(err, -ETIME,
	        "the certificate from the other node ends on %s, and this node's clock says %s: the clock of "
	        "one of them is wrong; set it, then join with a new invite",
	        end, here);
}

int identity_adopt(struct identity *identity, const struct identity_grant *grant, struct err *err)
{
	struct account account;
	if (identity->account.id[0] && strcmp(identity->account.id, grant->account_id) != 0)
		return err_set(err, -EEXIST, "this node belongs to account %s already", identity->account.id);
	int r = account_read(grant, identity->node_id, &account, err);
	if (r)
		return r;
	r = check_clocks(identity, &account, err);
	if (!r)
		r = account_save(&account, identity->folder, err);
	if (r) {
		account_fini(&account);
		return r;
	}
	r = account_use(identity, &account);
	if (r)
		return err_set(err, r, "no memory for the account");
	tell_change(identity);
	return 0;
}

bool identity_signed_by(struct edged_slice ca_pem, const char *account_id, struct edged_slice certificate_der,
        struct edged_slice issuer_der)
{
	CLEANUP(X509_freep) X509 *ca = NULL, *certificate = NULL, *issuer = NULL;
	char id[NODE_ID_LEN + 1];
	return cert_read(ca_pem, &ca) == 0 && cert_id(ca, id) == 0 && strcmp(id, account_id) == 0 &&
	       cert_read_der(certificate_der, &certificate) == 0 &&
	       (!issuer_der.len || cert_read_der(issuer_der, &issuer) == 0) &&
	       cert_chain_ok(certificate, issuer, ca, id);
}

static void renew_here(struct identity *identity, const struct account_issuer *issuer)
{
	struct account next = identity->account;
	struct err err;
	next.certificate = next.signer = NULL;
	int r = sign_self(identity, issuer, &next, &err);
	if (r) {
		X509_free(next.certificate);
		X509_free(next.signer);
		log_error("identity", "certificate not renewed: %s", err.text);
		return;
	}
	X509_free(identity->account.certificate);
	X509_free(identity->account.signer);
	identity->account.certificate = next.certificate;
	identity->account.signer = next.signer;
	struct buf chain = BUF_EMPTY;
	if (write_chain(identity, &identity->account, &chain)) {
		buf_fini(&chain);
		return; /* no memory; what is used now goes on, the next tick of the next start has the new
		           one */
	}
	buf_fini(&identity->chain_pem);
	identity->chain_pem = chain;
	trust_seen(identity->trust, cert_from(next.certificate));
	tell_change(identity);
}

/* At once when its signer was taken the right: those who do not know this node do not believe it any more. */
static uint64_t renewal(const struct identity *identity)
{
	const struct account *account = &identity->account;
	bool counts = !account->signer || trust_withdrawn(identity->trust, account->signer) == TRUST_COUNTS;
	return counts ? account_renewal(account->certificate) : 0;
}

uint64_t identity_tick(struct identity *identity, bool *ret_renew)
{
	save_known(identity);
	*ret_renew = false;
	if (!identity->account.certificate)
		return HOUR_MS;
	struct account_issuer issuer;
	uint64_t now = identity_time(identity), due = renewal(identity);
	/* Soon enough after the clock was set, and for the list of known nodes to be on the disk. */
	if (now < due)
		return due - now < MINUTE_MS ? due - now : MINUTE_MS;
	if (signer_issuer(identity, &issuer))
		renew_here(identity, &issuer);
	else
		*ret_renew = true;
	return HOUR_MS;
}

/* --- keys shared with others --- */

static int derive(EVP_PKEY *own, EVP_PKEY *peer, uint8_t ret[32])
{
	size_t n = 32;
	CLEANUP(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
	if (!ctx || EVP_PKEY_derive_init(ctx) <= 0 || EVP_PKEY_derive_set_peer(ctx, peer) <= 0 ||
	        EVP_PKEY_derive(ctx, ret, &n) <= 0 || n != 32)
		return -EINVAL;
	return 0;
}

static int expand(uint8_t secret[32], struct edged_slice info, uint8_t ret[32])
{
	CLEANUP(EVP_KDF_freep) EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	CLEANUP(EVP_KDF_CTX_freep) EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret, 32),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info.ptr, info.len),
		OSSL_PARAM_construct_end(),
	};
	return ctx && EVP_KDF_derive(ctx, ret, 32, params) > 0 ? 0 : -ENOMEM;
}

int identity_shared_key(
        const struct identity *identity, const uint8_t peer[33], const char *label, uint8_t ret[32])
{
	CLEANUP(EVP_PKEY_freep) EVP_PKEY *other = NULL;
	uint8_t secret[32];
	int r = cert_key_from_point(peer, &other);
	if (!r)
		r = derive(identity->key, other, secret);
	if (r)
		return r;
	/* Both keys go in, in an order that both sides see alike, so that the result is of this pair and no
	 * other. */
	bool first = memcmp(identity->point, peer, CERT_POINT) < 0;
	CLEANUP(buf_fini) struct buf info = BUF_EMPTY;
	r = buf_add_str(&info, label);
	if (!r)
		r = buf_add(&info, first ? identity->point : peer, CERT_POINT);
	if (!r)
		r = buf_add(&info, first ? peer : identity->point, CERT_POINT);
	if (!r)
		r = expand(secret, buf_slice(&info), ret);
	explicit_bzero(secret, sizeof(secret));
	return r;
}

/* --- opening --- */

static int node_make(struct identity *identity, struct err *err)
{
	CLEANUP(buf_wipe) struct buf pem = BUF_EMPTY;
	int r = cert_key_new(&identity->key);
	if (!r) {
		const struct cert_spec spec = { .kind = CERT_NODE,
			.subject_key = identity->key,
			.issuer_key = identity->key,
			.name = edged_str(identity->name) };
		r = cert_make(&spec, &identity->self_signed);
	}
	if (!r)
		r = cert_write_key(identity->key, &pem);
	if (!r)
		r = cert_write(identity->self_signed, &pem);
	return r ? err_set(err, r, "cannot make the node's key")
	         : file_replace(identity->folder, node_file, buf_slice(&pem), err);
}

static int node_load(struct identity *identity, struct err *err)
{
	CLEANUP(buf_wipe) struct buf pem = BUF_EMPTY;
	pem.limit = FILE_LIMIT;
	int r = file_read(identity->folder, node_file, &pem, err);
	if (r == -ENOENT)
		return node_make(identity, err);
	if (r)
		return r;
	if (cert_read_key(buf_slice(&pem), &identity->key) ||
	        cert_read(buf_slice(&pem), &identity->self_signed) ||
	        X509_check_private_key(identity->self_signed, identity->key) != 1)
		return err_set(err, -EINVAL,
		        "%s/%s is damaged: restore it from a backup, or remove the folder to begin with a "
		        "new "
		        "identity (the node must then join its account again)",
		        identity->folder, node_file);
	return 0;
}

static int node_finish(struct identity *identity, struct err *err)
{
	int r = cert_key_point(identity->key, identity->point);
	if (r)
		return err_set(
		        err, r, "%s/%s: the key is not of the curve P-256", identity->folder, node_file);
	cert_point_id(identity->point, identity->node_id);
	r = cert_write_key(identity->key, &identity->key_pem);
	if (!r)
		r = cert_write(identity->self_signed, &identity->chain_pem);
	return r ? err_set(err, r, "no memory for the node's key") : 0;
}

static void known_load(struct identity *identity)
{
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	text.limit = FILE_LIMIT;
	if (file_read(identity->folder, peers_file, &text, NULL) == 0)
		trust_read_known(identity->trust, buf_slice(&text));
}

static int open_all(struct identity *identity, const char *folder, struct err *err)
{
	if (gethostname(identity->name, sizeof(identity->name) - 1) || !identity->name[0])
		snprintf(identity->name, sizeof(identity->name), "localhost");
	identity->folder = strdup(folder);
	if (!identity->folder || trust_new(&identity->trust))
		return err_set(err, -ENOMEM, "no memory for the identity");
	int r = folder_make(folder, err);
	if (!r)
		r = node_load(identity, err);
	if (!r)
		r = node_finish(identity, err);
	if (!r)
		r = load_account(identity, err);
	if (!r)
		r = load_ca(identity, err);
	if (!r)
		r = removal_load(identity, err);
	if (!r)
		signer_load(identity);
	if (!r)
		known_load(identity);
	return r;
}

int identity_open(const char *folder, struct identity **ret, struct err *err)
{
	CLEANUP(identity_freep) struct identity *identity = calloc(1, sizeof(*identity));
	if (!identity)
		return err_set(err, -ENOMEM, "no memory for the identity");
	int r = open_all(identity, folder, err);
	if (r)
		return r;
	*ret = TAKE(identity);
	return 0;
}
