/* SPDX-License-Identifier: Apache-2.0 */
#include "io/tls.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include "base/cleanup.h"

struct tls_context {
	atomic_uint refs;
	int min_version;
	bool verify;
	tls_judge *judge;
	void *judge_arg;
	pthread_mutex_t lock;
	SSL_CTX *current; /* under lock */
	size_t alpn_len;
	uint8_t alpn[]; /* names with a length byte in front, in order of preference */
};

DEFINE_CLEANUP(BIO *, BIO_free_all)
DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)

static const char *openssl_reason(void)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;
	return reason ? reason : "no reason given";
}

/* A key with a pass phrase is refused; nobody is there to type it. */
static int no_password(char *buffer, int size, int writing, void *arg)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static int use_certificates(SSL_CTX *ctx, const char *pem, struct err *err)
{
	CLEANUP(BIO_free_allp) BIO *bio = BIO_new_mem_buf(pem, -1);
	if (!bio)
		return -ENOMEM;
	CLEANUP(X509_freep) X509 *leaf = PEM_read_bio_X509(bio, NULL, no_password, NULL);
	if (!leaf || SSL_CTX_use_certificate(ctx, leaf) != 1)
		return err_set(err, -EINVAL, "the certificate cannot be used: %s", openssl_reason());
	for (X509 *issuer; (issuer = PEM_read_bio_X509(bio, NULL, no_password, NULL));)
		if (SSL_CTX_add0_chain_cert(ctx, issuer) != 1) {
			X509_free(issuer);
			return err_set(
			        err, -EINVAL, "the certificate's chain cannot be used: %s", openssl_reason());
		}
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return err_set(err, -EINVAL, "the certificate's chain cannot be read: %s", openssl_reason());
	ERR_clear_error();
	return 0;
}

static int use_key(SSL_CTX *ctx, const char *pem, struct err *err)
{
	CLEANUP(BIO_free_allp) BIO *bio = BIO_new_mem_buf(pem, -1);
	if (!bio)
		return -ENOMEM;
	CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	if (!key)
		return err_set(err, -EINVAL, "the private key cannot be read: %s", openssl_reason());
	if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
		return err_set(err, -EINVAL, "certificate and private key do not belong together: %s",
		        openssl_reason());
	return 0;
}

/* Every certificate is let through; the judge decides what its bearer may do. */
static int accept_any(X509_STORE_CTX *store, void *arg)
{
	(void)store;
	(void)arg;
	return 1;
}

/* Our first choice that the client knows. When there is none the handshake goes on without. */
static int select_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
        const unsigned char *offered, unsigned int offered_len, void *arg)
{
	(void)ssl;
	const struct tls_context *tls = arg;
	for (size_t ours = 0; ours < tls->alpn_len; ours += 1u + tls->alpn[ours])
		for (unsigned theirs = 0; theirs < offered_len && theirs + offered[theirs] < offered_len;
		        theirs += 1u + offered[theirs]) {
			if (tls->alpn[ours] != offered[theirs] ||
			        memcmp(tls->alpn + ours + 1, offered + theirs + 1, tls->alpn[ours]) != 0)
				continue;
			*ret = offered + theirs + 1;
			*ret_len = offered[theirs];
			return SSL_TLSEXT_ERR_OK;
		}
	return SSL_TLSEXT_ERR_NOACK;
}

static void set_manners(SSL_CTX *ctx, struct tls_context *tls)
{
	SSL_CTX_set_min_proto_version(ctx, tls->min_version);
	SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
	/* no resumption: a removed peer must be judged again, and tickets would carry its certificate about
	 */
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_max_cert_list(ctx, 32 * 1024);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (!tls->verify)
		SSL_CTX_set_cert_verify_callback(ctx, accept_any, NULL);
	if (tls->alpn_len)
		SSL_CTX_set_alpn_select_cb(ctx, select_alpn, tls);
}

static int use_authorities(SSL_CTX *ctx, const char *pem, struct err *err)
{
	if (!pem)
		return SSL_CTX_set_default_verify_paths(ctx) == 1
		               ? 0
		               : err_set(err, -EINVAL, "the system's CA certificates cannot be read");
	CLEANUP(BIO_free_allp) BIO *bio = BIO_new_mem_buf(pem, -1);
	unsigned count = 0;
	for (X509 *ca; bio && (ca = PEM_read_bio_X509(bio, NULL, no_password, NULL)); count++) {
		int added = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca);
		X509_free(ca);
		if (added != 1)
			return err_set(
			        err, -EINVAL, "a CA's certificate cannot be used: %s", openssl_reason());
	}
	if (!count)
		return err_set(
		        err, -EINVAL, "there is no CA's certificate in what was given: %s", openssl_reason());
	ERR_clear_error();
	return 0;
}

static int make_ctx(struct tls_context *tls, const char *certificate_pem, const char *key_pem, SSL_CTX **ret,
        struct err *err)
{
	ERR_clear_error();
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	if (!ctx)
		return err_set(err, -ENOMEM, "no memory for TLS");
	set_manners(ctx, tls);
	int r = certificate_pem ? use_certificates(ctx, certificate_pem, err) : 0;
	if (!r && key_pem)
		r = use_key(ctx, key_pem, err);
	ERR_clear_error();
	if (r) {
		SSL_CTX_free(ctx);
		return r;
	}
	*ret = ctx;
	return 0;
}

static size_t alpn_size(const char *const *names)
{
	size_t n = 0;
	for (; names && *names; names++)
		n += 1 + strlen(*names);
	return n;
}

int tls_context_new(const struct tls_options *options, struct tls_context **ret, struct err *err)
{
	for (const char *const *name = options->alpn; name && *name; name++)
		if (strlen(*name) == 0 || strlen(*name) > 255)
			return err_set(err, -EINVAL, "'%s' cannot be an ALPN name", *name);
	struct tls_context *tls = calloc(1, sizeof(*tls) + alpn_size(options->alpn));
	if (!tls)
		return err_set(err, -ENOMEM, "no memory for TLS");
	atomic_init(&tls->refs, 1);
	tls->min_version = options->min_version;
	tls->judge = options->judge;
	tls->judge_arg = options->judge_arg;
	for (const char *const *name = options->alpn; name && *name; name++) {
		size_t n = strlen(*name);
		tls->alpn[tls->alpn_len] = (uint8_t)n;
		memcpy(tls->alpn + tls->alpn_len + 1, *name, n);
		tls->alpn_len += 1 + n;
	}
	pthread_mutex_init(&tls->lock, NULL);
	tls->verify = options->verify;
	int r = make_ctx(tls, options->certificate_pem, options->key_pem, &tls->current, err);
	if (!r && tls->verify)
		r = use_authorities(tls->current, options->ca_pem, err);
	if (r)
		tls_context_free(tls);
	else
		*ret = tls;
	return r;
}

void tls_context_free(struct tls_context *tls)
{
	if (!tls || atomic_fetch_sub(&tls->refs, 1) != 1)
		return;
	SSL_CTX_free(tls->current);
	pthread_mutex_destroy(&tls->lock);
	free(tls);
}

struct tls_context *tls_context_ref(struct tls_context *tls)
{
	atomic_fetch_add(&tls->refs, 1);
	return tls;
}

int tls_context_replace(
        struct tls_context *tls, const char *certificate_pem, const char *key_pem, struct err *err)
{
	SSL_CTX *ctx = NULL;
	int r = make_ctx(tls, certificate_pem, key_pem, &ctx, err);
	if (r)
		return r;
	pthread_mutex_lock(&tls->lock);
	SSL_CTX *old = tls->current;
	tls->current = ctx;
	pthread_mutex_unlock(&tls->lock);
	SSL_CTX_free(old); /* sessions that use it keep it */
	return 0;
}

SSL *tls_context_session(struct tls_context *tls, bool client)
{
	pthread_mutex_lock(&tls->lock);
	SSL *ssl = SSL_new(tls->current);
	pthread_mutex_unlock(&tls->lock);
	if (!ssl)
		return NULL;
	if (client)
		SSL_set_connect_state(ssl);
	else
		SSL_set_accept_state(ssl);
	return ssl;
}

bool tls_context_verifies(const struct tls_context *tls)
{
	return tls->verify;
}

const char *tls_reason(int error)
{
	switch (error) {
	case -EKEYREJECTED:
		return "its certificate is not signed by a CA that is trusted for it";
	case -EKEYEXPIRED:
		return "its certificate has expired or is not valid yet; is the clock right?";
	case -EREMCHG:
		return "its certificate is for another name";
	case -EACCES:
		return "it wants a certificate of ours, or does not accept the one it got";
	case -EPROTO:
		return "it does not speak TLS as we do (1.2 or 1.3 with forward secrecy)";
	case -EPROTONOSUPPORT:
		return "it does not offer the protocol that was asked for (ALPN)";
	default:
		return NULL;
	}
}

int tls_verify_error(long x509_result)
{
	switch (x509_result) {
	case X509_V_OK:
		return 0;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return -EKEYEXPIRED;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return -EREMCHG;
	default:
		return -EKEYREJECTED;
	}
}

bool tls_context_judge(const struct tls_context *tls, X509 *certificate, X509 *issuer, char *ret_node_id)
{
	ret_node_id[0] = '\0';
	return tls->judge && tls->judge(tls->judge_arg, certificate, issuer, ret_node_id);
}
