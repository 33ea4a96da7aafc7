/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signers: nodes that may sign certificates of nodes as the holder of the account's key does, so that joining and renewing
 * need neither that node nor that key. Part of a node's identity.
 *
 * The account's list (removal_list.h) says which nodes are signers; so all know whom they can ask. A node that finds itself
 * there makes a key for signing, which is not the one it speaks TLS with, and has the holder sign a certificate for it that
 * lives a year; at two thirds it gets another one, with another key. Both are in STATE/identity/signer.pem. One that is none
 * any more has a line that says since when, and throws them away. Main loop only.
 */
#ifndef CLUSTER_SIGNER_H
#define CLUSTER_SIGNER_H

#include "base/buf.h"
#include "base/err.h"

struct identity;

/* --- where the account's key is; durable on return --- */
/* -EACCES: it is not here; -EINVAL: no node's id; -EALREADY; -EKEYREVOKED: that node was removed; -ENOSPC: there are as many
 * signers, or former ones, as there may be; others with a sentence. */
EDGED_MUST_CHECK int identity_add_signer(struct identity *identity, const char *node_id, struct err *err);
/* What it signs from now on counts for nothing. -EACCES; -ENOENT: it is no signer; others with a sentence. */
EDGED_MUST_CHECK int identity_drop_signer(struct identity *identity, const char *node_id, struct err *err);
/* A certificate for the key that a signer's request (PKCS #10, DER) is for. -EACCES; -ENOENT: it is no signer; -EINVAL: no
 * valid request, or for the key that it speaks TLS with. */
EDGED_MUST_CHECK int identity_sign_signer(
        struct identity *identity, struct edged_slice request_der, const char *node_id, struct buf *ret_pem);

/* --- where the signer is --- */
/* It is one, and has no certificate for it, or one that is to be renewed. */
bool identity_signer_due(struct identity *identity);
/* A request for a new key, which is kept until the next one. */
EDGED_MUST_CHECK int identity_signer_request(struct identity *identity, struct buf *ret_der);
/* What came back: keeps it and the key, durably, and signs with them from now on. -EINVAL: it is not that of the account's CA
 * for that key and this node; -ETIME: it has run out by this node's clock. */
EDGED_MUST_CHECK int identity_signer_adopt(
        struct identity *identity, struct edged_slice certificate_pem, struct err *err);

#endif
