/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS contexts (OpenSSL 3). One context serves a listener or dials other nodes. Certificates can be replaced while
 * streams run: new handshakes use the new ones.
 */
#ifndef IO_TLS_H
#define IO_TLS_H

#include <stdbool.h>
#include "edged/slice.h"
#include "base/err.h"

struct tls_context;
struct x509_st;
struct evp_pkey_st;

/* Judges the peer's certificate during the handshake; any thread that runs a loop. Returns true when it is signed by
 * somebody this node trusts; `issuer` is the certificate that the peer sent behind its own, NULL: none. The handshake succeeds either way (so that a joining node can bring its token); the
 * stream's peer gets trusted = false. ret_node_id (57 bytes) gets the id of the node that holds the key, or "". */
typedef bool tls_judge(void *arg, struct x509_st *certificate, struct x509_st *issuer, char *ret_node_id);

struct tls_options {
	const char *certificate_pem; /* chain, leaf first */
	const char *key_pem;
	const char *const *
	        alpn; /* in order of preference, NULL-terminated; a client offering none of them goes on without */
	int min_version; /* 0x0303 (TLS 1.2) or 0x0304 (TLS 1.3) */
	tls_judge *judge;
	void *judge_arg;
	/* For dialling servers outside the cluster: a peer whose certificate is not signed by one of ca_pem (NULL: the
	 * system's CAs), or is for another name than the stream's server_name, fails the handshake. Such a context is
	 * not for tls_context_replace(). */
	bool verify;
	const char *ca_pem;
};

/* Copies what it needs. -EINVAL with a sentence: certificate and key do not fit, ... */
EDGED_MUST_CHECK int tls_context_new(
        const struct tls_options *options, struct tls_context **ret, struct err *err);
void tls_context_free(struct tls_context *tls); /* counted: streams that use it keep it */
struct tls_context *tls_context_ref(struct tls_context *tls);
EDGED_MUST_CHECK int tls_context_replace(
        struct tls_context *tls, const char *certificate_pem, const char *key_pem, struct err *err);

/* For streams: a session with the newest certificate, or NULL; and what the judge says (false without one). */
struct ssl_st;
struct ssl_st *tls_context_session(struct tls_context *tls, bool client);
bool tls_context_verifies(const struct tls_context *tls);
/* The errors that streams end with when TLS failed, in words: -EKEYREJECTED, -EKEYEXPIRED, -EREMCHG (the name), -EACCES (the
 * peer does not like our certificate), -EPROTO, -EPROTONOSUPPORT (ALPN). NULL for others. */
const char *tls_reason(int error);
/* Which of them the peer's certificate failed with; 0: it was not that. */
int tls_verify_error(long x509_result);
bool tls_context_judge(const struct tls_context *tls, struct x509_st *certificate, struct x509_st *issuer,
        char *ret_node_id);
#define TLS_NODE_ID_SIZE 57

#endif
