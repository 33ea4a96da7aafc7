/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and certificates (OpenSSL 3): the few things that identity needs, with its conventions: P-256 only,
 * ids from the compressed public point. Functions without state; any thread.
 */
#ifndef CLUSTER_CERT_H
#define CLUSTER_CERT_H

#include <stdbool.h>
#include <stdint.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "core/nodeid.h"

enum { CERT_POINT = 33 /* bytes of a compressed point */ };

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(X509 *, X509_free)

/* A new P-256 key. */
EDGED_MUST_CHECK int cert_key_new(EVP_PKEY **ret);
/* -EINVAL: the key is not of that curve. */
EDGED_MUST_CHECK int cert_key_point(const EVP_PKEY *key, uint8_t ret[CERT_POINT]);
/* A public key from its point. -EINVAL: no point of the curve. */
EDGED_MUST_CHECK int cert_key_from_point(const uint8_t point[CERT_POINT], EVP_PKEY **ret);
void cert_point_id(const uint8_t point[CERT_POINT], char ret[NODE_ID_LEN + 1]);
/* The id that belongs to the certificate's key; -EINVAL as above. */
EDGED_MUST_CHECK int cert_id(X509 *certificate, char ret[NODE_ID_LEN + 1]);

enum cert_kind { CERT_CA, CERT_SIGNER, CERT_NODE };
struct cert_spec {
	enum cert_kind kind;
	EVP_PKEY *subject_key; /* public part is enough */
	X509 *issuer;          /* NULL: self-signed */
	EVP_PKEY *issuer_key;
	uint64_t from_ms, until_ms; /* since 1970; until 0: for ever */
	struct edged_slice name; /* of a node: host name for the alternative names; ignored when it is none */
	const char *node_id;     /* of a signer: the node that has its key */
};
EDGED_MUST_CHECK int cert_make(const struct cert_spec *spec, X509 **ret);
/* Did that key sign it? Says nothing of what either is. */
bool cert_signed_by(X509 *certificate, X509 *issuer);
/* A node's certificate: no CA, and "urn:edged:node:<id>" among its names is the id of its key. */
bool cert_is_node(X509 *certificate);
/* A signer's certificate: a CA for nodes and for no further CA (path length 0, RFC 5280 section 4.2.1.9), that names the
 * node which has its key as URI "urn:edged:signer:<id>"; ret_id gets that id. */
bool cert_is_signer(X509 *certificate, char ret_id[NODE_ID_LEN + 1]);
/* Did `ca` sign that certificate of a node; or, when `issuer` is the certificate of a signer, did that one sign it, and the
 * CA the signer's? No other way from the CA to a node is believed. Says nothing of now, but a certificate must not outlive
 * its signer's. ret_signer gets the signer's node, "": the CA itself. `issuer` is what came behind the certificate, or NULL. */
bool cert_chain_ok(X509 *certificate, X509 *issuer, X509 *ca, char ret_signer[NODE_ID_LEN + 1]);
/* Validity, in ms since 1970. */
uint64_t cert_from(const X509 *certificate);
uint64_t cert_until(const X509 *certificate);

EDGED_MUST_CHECK int cert_write(X509 *certificate, struct buf *ret_pem);
EDGED_MUST_CHECK int cert_write_key(EVP_PKEY *key, struct buf *ret_pem);
/* The first certificate or key in the text. -EINVAL: none. */
EDGED_MUST_CHECK int cert_read(struct edged_slice pem, X509 **ret);
/* A certificate, and the one behind it: NULL when there is none. */
EDGED_MUST_CHECK int cert_read_chain(struct edged_slice pem, X509 **ret, X509 **ret_issuer);
EDGED_MUST_CHECK int cert_read_key(struct edged_slice pem, EVP_PKEY **ret);
EDGED_MUST_CHECK int cert_read_der(struct edged_slice der, X509 **ret);

/* Certificate requests (PKCS #10, DER). Reading checks the signature: whoever made it has the key. */
EDGED_MUST_CHECK int cert_request(EVP_PKEY *key, struct buf *ret_der);
EDGED_MUST_CHECK int cert_read_request(struct edged_slice der, EVP_PKEY **ret);

/* May this text be a host name of one label (RFC 1123)? */
bool cert_name_ok(struct edged_slice name);

#endif
