/* SPDX-License-Identifier: Apache-2.0 */
#include "io/stream_tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include "base/log.h"
#include "io/stream_out.h"
#include "io/tls.h"

#define RECORD 16384

struct stream_tls {
	SSL *ssl;
	struct tls_context *context;
	size_t retry; /* OpenSSL wants to see exactly these bytes again */
	bool ready;
	char *subject;
	uint8_t *certificate, *issuer; /* DER; made when asked for */
	int certificate_len, issuer_len;
	char fingerprint[65];
	char node_id[TLS_NODE_ID_SIZE];
};

/* What the peer said about our certificate, or about there being none. */
static bool refused_by_peer(int reason)
{
	static const int reasons[] = { SSL_R_TLSV1_ALERT_UNKNOWN_CA, SSL_R_SSLV3_ALERT_BAD_CERTIFICATE,
		SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED,
		SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN,
		SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, SSL_R_TLSV1_ALERT_ACCESS_DENIED };
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i] == reason)
			return true;
	return false;
}

static int set_up_client(SSL *ssl, const struct stream_origin *origin)
{
	const char *name = origin->server_name;
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	bool verify = tls_context_verifies(origin->tls), numeric = false;
	if (verify && !name)
		return -EINVAL;
	if (verify) {
		numeric = X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
		if (!numeric && X509_VERIFY_PARAM_set1_host(param, name, 0) != 1)
			return -ENOMEM;
	}
	if (name && !numeric && SSL_set_tlsext_host_name(ssl, name) != 1)
		return -ENOMEM;
	if (!origin->alpn)
		return 0;
	uint8_t wire[256];
	size_t n = strlen(origin->alpn);
	if (n == 0 || n > 255)
		return -EINVAL;
	wire[0] = (uint8_t)n;
	memcpy(wire + 1, origin->alpn, n);
	return SSL_set_alpn_protos(ssl, wire, (unsigned)n + 1) ? -ENOMEM : 0;
}

int stream_tls_new(struct edged_stream *s, const struct stream_origin *origin)
{
	struct stream_tls *tls = calloc(1, sizeof(*tls));
	if (!tls)
		return -ENOMEM;
	tls->context = tls_context_ref(origin->tls);
	tls->ssl = tls_context_session(origin->tls, origin->client);
	int r = tls->ssl && SSL_set_fd(tls->ssl, origin->fd) == 1 ? 0 : -ENOMEM;
	if (!r && origin->client)
		r = set_up_client(tls->ssl, origin);
	if (r)
		stream_tls_free(tls);
	else
		s->tls = tls;
	return r;
}

void stream_tls_free(struct stream_tls *tls)
{
	if (!tls)
		return;
	SSL_free(tls->ssl);
	tls_context_free(tls->context);
	free(tls->subject);
	free(tls->certificate);
	free(tls->issuer);
	free(tls);
}

bool stream_tls_is_ready(const struct stream_tls *tls)
{
	return tls->ready;
}

/* --- who it is --- */

static char *subject_of(X509 *certificate)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL, *bytes;
	if (!bio)
		return NULL;
	if (X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0) {
		long n = BIO_get_mem_data(bio, &bytes);
		text = n >= 0 ? strndup(bytes, (size_t)n) : NULL;
	}
	BIO_free(bio);
	return text;
}

static bool hash_of(X509 *certificate, char *ret)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	if (X509_digest(certificate, EVP_sha256(), hash, &n) != 1 || n != 32)
		return false;
	for (unsigned i = 0; i < n; i++)
		snprintf(ret + 2 * (size_t)i, 3, "%02x", hash[i]);
	return true;
}

/* What the peer sent behind its own certificate; OpenSSL counts that one to the chain of servers only. */
static X509 *issuer_of(const SSL *ssl)
{
	return sk_X509_value(SSL_get_peer_cert_chain(ssl), SSL_is_server(ssl) ? 0 : 1);
}

static int meet_peer(struct edged_stream *s)
{
	struct stream_tls *tls = s->tls;
	X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
	if (SSL_is_server(tls->ssl))
		s->peer.server_name = SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name);
	if (!certificate)
		return 0;
	tls->subject = subject_of(certificate);
	if (!tls->subject || !hash_of(certificate, tls->fingerprint))
		return -ENOMEM;
	s->peer.trusted = tls_context_judge(tls->context, certificate, issuer_of(tls->ssl), tls->node_id);
	s->peer.subject = tls->subject;
	s->peer.fingerprint = tls->fingerprint;
	s->peer.node_id = tls->node_id[0] ? tls->node_id : NULL;
	return 0;
}

/* --- carrying --- */

/* Forgets the errors of whatever this thread did before; outcome() would take them for this call's. */
static void forget_errors(void)
{
	ERR_clear_error();
	errno = 0;
}

/* What a call on ssl that returned `r` means: -EAGAIN, 0 for an orderly end, or an error. */
static int outcome(struct edged_stream *s, int r)
{
	int saved = errno;
	switch (SSL_get_error(s->tls->ssl, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return saved && saved != EAGAIN ? -saved : -ECONNRESET;
	default:
		if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
			return -ECONNRESET;
		log_debug("tls", "%s: %s", s->peer.address, ERR_reason_error_string(ERR_peek_last_error()));
		if (refused_by_peer(ERR_GET_REASON(ERR_peek_error())))
			return -EACCES;
		if (tls_context_verifies(s->tls->context) &&
		        tls_verify_error(SSL_get_verify_result(s->tls->ssl)))
			return tls_verify_error(SSL_get_verify_result(s->tls->ssl));
		return -EPROTO;
	}
}

int stream_tls_handshake(struct edged_stream *s)
{
	struct stream_tls *tls = s->tls;
	forget_errors();
	int r = SSL_do_handshake(tls->ssl);
	if (r == 1) {
		tls->ready = true;
		r = meet_peer(s);
		return r ? r : stream_want_write(s, false);
	}
	r = outcome(s, r);
	if (r != -EAGAIN)
		return r ? r : -ECONNRESET;
	r = stream_want_write(s, SSL_want_write(tls->ssl));
	return r ? r : 1;
}

/* Behind a small record with nothing read ahead there is most likely no more, and another read would only say so; what there is
 * after all makes the socket readable. Not where only changes wake the loop. */
static bool is_last(const struct edged_stream *s, size_t got)
{
	return got < RECORD / 4 && !s->half && !SSL_has_pending(s->tls->ssl);
}

/* One record comes at a time; all that is there is taken as far as it fits. */
ssize_t stream_tls_recv(struct edged_stream *s, uint8_t *bytes, size_t n)
{
	size_t all = 0;
	while (all < n) {
		forget_errors();
		size_t got = 0;
		int r = SSL_read_ex(s->tls->ssl, bytes + all, n - all, &got);
		if (r != 1) {
			r = outcome(s, r);
			if (all == 0)
				return r;
			s->again = r != -EAGAIN; /* the end, which comes only after these bytes */
			return (ssize_t)all;
		}
		all += got;
		if (is_last(s, got))
			return (ssize_t)all;
	}
	s->again = true;
	return (ssize_t)all;
}

/* The first bytes of the queue as one record's worth: where they are, when they lie together, else gathered.
 */
static const uint8_t *next_record(struct edged_stream *s, size_t *ret_n)
{
	const struct segment *segment = s->head;
	while (segment->len == 0)
		segment = segment->next;
	size_t want = s->tls->retry ? s->tls->retry : s->queued < RECORD ? s->queued : RECORD;
	*ret_n = want;
	if (segment->len >= want)
		return segment->at;
	uint8_t *record = stream_local(s)->buffer;
	for (size_t n = 0; n < want; segment = segment->next) {
		size_t part = segment->len < want - n ? segment->len : want - n;
		memcpy(record + n, segment->at, part);
		n += part;
	}
	return record;
}

ssize_t stream_tls_send(struct edged_stream *s)
{
	size_t n, sent = 0;
	const uint8_t *record = next_record(s, &n);
	forget_errors();
	int r = SSL_write_ex(s->tls->ssl, record, n, &sent);
	if (r == 1) {
		s->tls->retry = 0;
		return (ssize_t)sent;
	}
	r = outcome(s, r);
	s->tls->retry = r == -EAGAIN ? n : 0;
	return r ? r : -EPIPE;
}

void stream_tls_shutdown(struct stream_tls *tls)
{
	if (!tls->ready || SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN)
		return;
	ERR_clear_error();
	SSL_shutdown(tls->ssl);
	ERR_clear_error();
}

struct edged_slice stream_tls_alpn(const struct stream_tls *tls)
{
	const unsigned char *name = NULL;
	unsigned n = 0;
	SSL_get0_alpn_selected(tls->ssl, &name, &n);
	return edged_slice(n ? name : NULL, n);
}

/* --- for others --- */

static struct edged_slice to_der(X509 *certificate, uint8_t **der, int *len)
{
	if (certificate && !*der)
		*len = i2d_X509(certificate, der);
	return certificate && *len > 0 ? edged_slice(*der, (size_t)*len) : edged_slice(NULL, 0);
}

struct edged_slice stream_peer_certificate(const struct edged_stream *s)
{
	struct stream_tls *tls = s->tls;
	return tls ? to_der(SSL_get0_peer_certificate(tls->ssl), &tls->certificate, &tls->certificate_len)
	           : edged_slice(NULL, 0);
}

struct edged_slice stream_peer_issuer(const struct edged_stream *s)
{
	struct stream_tls *tls = s->tls;
	return tls ? to_der(issuer_of(tls->ssl), &tls->issuer, &tls->issuer_len) : edged_slice(NULL, 0);
}

bool stream_is_tls13(const struct edged_stream *s)
{
	return s->tls && SSL_version(s->tls->ssl) >= TLS1_3_VERSION;
}

int stream_export_key(struct edged_stream *s, const char *label, uint8_t *out, size_t n)
{
	if (!s->tls || !s->tls->ready)
		return -EINVAL;
	return SSL_export_keying_material(s->tls->ssl, out, n, label, strlen(label), NULL, 0, 0) == 1 ? 0
	                                                                                              : -EIO;
}
