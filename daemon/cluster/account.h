/* SPDX-License-Identifier: Apache-2.0 */
/* What belonging to an account consists of, in memory and on disk. Part of identity; main loop only. */
#ifndef CLUSTER_ACCOUNT_H
#define CLUSTER_ACCOUNT_H

#include <openssl/x509.h>
#include "base/buf.h"
#include "cluster/trust.h"
#include "core/nodeid.h"

struct identity_grant;

#define ACCOUNT_LEAF_MS   (7 * TRUST_DAY_MS)        /* life of a node's certificate */
#define ACCOUNT_SIGNER_MS (365 * TRUST_DAY_MS)      /* life of a signer's */
#define ACCOUNT_SKEW_MS   (UINT64_C(5) * 60 * 1000) /* it begins that much earlier: clocks differ */

/* All zero without account. */
struct account {
	X509 *certificate; /* this node's */
	X509 *signer;      /* that of the signer that signed it; NULL: the CA did */
	X509 *ca;
	EVP_PKEY *ca_key; /* NULL: elsewhere */
	char id[NODE_ID_LEN + 1];
	char holder[NODE_ID_LEN + 1]; /* who holds the CA's key */
	struct buf ca_pem;
};

#define ACCOUNT_ABSENT 1 /* no such file */

/* A new CA. The caller fills in the rest. */
EDGED_MUST_CHECK int account_make_ca(struct account *ret);
/* Reads CA and certificate and checks that they belong together, to this node, and to that account. */
EDGED_MUST_CHECK int account_read(
        const struct identity_grant *grant, const char *node_id, struct account *ret, struct err *err);
void account_fini(struct account *account);
/* Who signs: the CA, or a signer. */
struct account_issuer {
	X509 *certificate;
	EVP_PKEY *key;
};
/* A new certificate for a node's key, which ends with the issuer's at the latest. */
EDGED_MUST_CHECK int account_sign(const struct account_issuer *issuer, EVP_PKEY *key, struct edged_slice name,
        uint64_t now_ms, X509 **ret);
/* When a certificate is to be renewed, ms since 1970: at two thirds of its life. */
uint64_t account_renewal(const X509 *certificate);
/* The certificate, and its signer's if it has one. */
EDGED_MUST_CHECK int account_write_chain(X509 *certificate, X509 *signer, struct buf *ret_pem);

/* account.json: all but the CA's key. ACCOUNT_ABSENT. */
EDGED_MUST_CHECK int account_load(
        const char *folder, const char *node_id, struct account *ret, struct err *err);
EDGED_MUST_CHECK int account_save(const struct account *account, const char *folder, struct err *err);
/* ca.pem: id, CA and its key. ACCOUNT_ABSENT. */
EDGED_MUST_CHECK int account_load_ca(const char *folder, struct account *ret, struct err *err);
EDGED_MUST_CHECK int account_save_ca(const struct account *account, const char *folder, struct err *err);

#endif
