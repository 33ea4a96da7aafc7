/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who this node is and whom it trusts: the node's key (P-256) and certificate, the account it belongs to, and the keys
 * of the account when it holds them. Everything lives in STATE/identity, mode 0600. Main loop only, but for
 * identity_judge().
 */
#ifndef CLUSTER_IDENTITY_H
#define CLUSTER_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "core/nodeid.h"

struct identity;
struct x509_st;
struct evp_pkey_st;

/* Loads, or at the first start makes, the key and a self-signed certificate. */
EDGED_MUST_CHECK int identity_open(const char *folder, struct identity **ret, struct err *err);
void identity_free(struct identity *identity);

const char *identity_node_id(const struct identity *identity); /* NODE_ID_LEN characters */
const char *identity_name(const struct identity *identity);    /* the host's name */
const char *identity_account_id(const struct identity *identity); /* "" while it belongs to none */
/* The public key as a compressed point (SEC 1, 33 bytes). */
const uint8_t *identity_public_key(const struct identity *identity);
const char *identity_certificate_pem(const struct identity *identity); /* chain, leaf first */
const char *identity_key_pem(const struct identity *identity);

/* The shared secret of this node and the owner of `peer` (static ECDH, then HKDF-SHA-256 with `label`): the same 32
 * bytes on both sides. -EINVAL: no point of the curve. Costs about 100 us: cache it. */
EDGED_MUST_CHECK int identity_shared_key(
	const struct identity *identity, const uint8_t peer[33], const char *label, uint8_t ret[32]);

/* A tls_judge (io/tls.h): trusted when the account's CA signed it and the node was not removed. Any thread. */
bool identity_judge(void *identity, struct x509_st *certificate, char *ret_node_id);

#endif
