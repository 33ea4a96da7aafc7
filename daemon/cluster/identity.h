/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who this node is and whom it trusts: the node's key (P-256) and certificate, the account it belongs to, and
 * the keys of the account when it holds them. Everything lives in STATE/identity, mode 0600:
 *
 *     node.pem      the node's private key and its self-signed certificate, made at first start, never changed
 *     account.json  the account: its CA's certificate, this node's certificate and its signer's, who holds the CA's key
 *     ca.pem        the CA's private key and certificate; only on the node that made the account, and there only while the
 *                   owner does not keep it elsewhere: it is needed to add signers and to remove nodes
 *     signer.pem    on a signer: its signing key and certificate (signer.h)
 *     removed       the list of nodes that were removed, and of signers (removal.h)
 *     peers         ids of nodes that proved to be of the account (see the rule for expired certificates)
 *
 * Each is replaced as a whole (written aside, fsync, rename), so a power cut leaves the old or the new one.
 *
 * Trust. A node of the account shows a certificate that the account's CA signed, or one of its signers, and that names the id
 * of its key as URI "urn:edged:node:<id>". The account's id is made from the CA's public key, so it pins the CA. A signer's
 * certificate comes from the CA, has path length 0, and comes in TLS behind each that the signer signed: so there is one level
 * of them, and no list must be known to believe a node. What it means that a signer is none any more is in trust.h.
 *
 * Time. Boards without a clock start in 1970: time is never believed to be before the newest start date of a
 * certificate that the CA signed and this node has seen. A certificate lives 7 days and is renewed at two
 * thirds; when the CA could not be reached, nodes that were known before are believed for 30 days more. When the clock is set
 * while the daemon runs, such as by NTP, nodes whose certificates were in time before that are believed as long, so that
 * all can renew.
 *
 * Main loop only, but for identity_judge() and identity_time().
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

/* Loads, or at the first start makes, the key and a self-signed certificate. A damaged file is an error with
 * a sentence, never a new identity. */
EDGED_MUST_CHECK int identity_open(const char *folder, struct identity **ret, struct err *err);
void identity_free(struct identity *identity);

const char *identity_node_id(const struct identity *identity);    /* NODE_ID_LEN characters */
const char *identity_name(const struct identity *identity);       /* the host's name */
const char *identity_account_id(const struct identity *identity); /* "" while it belongs to none */
/* The public key as a compressed point (SEC 1, 33 bytes). */
const uint8_t *identity_public_key(const struct identity *identity);
const char *identity_certificate_pem(
        const struct identity *identity); /* chain, leaf first; valid until it changes */
const char *identity_key_pem(const struct identity *identity);

/* The shared secret of this node and the owner of `peer` (static ECDH, then HKDF-SHA-256 with `label`): the
 * same 32 bytes on both sides. -EINVAL: no point of the curve. Costs about 100 us: cache it. */
EDGED_MUST_CHECK int identity_shared_key(
        const struct identity *identity, const uint8_t peer[33], const char *label, uint8_t ret[32]);

/* A tls_judge (io/tls.h): trusted when the account's CA signed it, or a signer, and its time is right. The id is that of
 * its key, trusted or not. Any thread. */
bool identity_judge(void *identity, struct x509_st *certificate, struct x509_st *issuer, char *ret_node_id);

/* Called after the certificate or the account changed: TLS contexts must be replaced, links begun anew.
 * Called on the main loop from within identity_create_account(), identity_adopt() and identity_tick(). */
void identity_on_change(struct identity *identity, void (*changed)(void *arg), void *arg);

/* --- the account --- */
/* PEM of the account's CA, "" without account. */
const char *identity_ca_pem(const struct identity *identity);
/* Id of the node that holds the CA's key, "" without account. */
const char *identity_ca_holder(const struct identity *identity);
/* When this node's certificate from it ends, ms since 1970; 0 without account. */
uint64_t identity_certificate_until(const struct identity *identity);
bool identity_holds_ca(const struct identity *identity);
/* Makes a CA and a certificate of it for this node. -EEXIST: it belongs to an account. */
EDGED_MUST_CHECK int identity_create_account(struct identity *identity, struct err *err);
/* A certificate request (PKCS #10, DER) for this node's key. */
EDGED_MUST_CHECK int identity_request(const struct identity *identity, struct buf *ret_der);
/* May this node sign? It holds the CA's key, or is a signer whose certificate is in time. */
bool identity_can_sign(struct identity *identity);
/* Signs a request; ret_pem gets the certificate, and the signer's when it was not the CA. The key's id must be node_id.
 * `name` is the host's name, "" for none. -EACCES: this node may not sign; -EINVAL: no valid request, or of another key. */
EDGED_MUST_CHECK int identity_sign(struct identity *identity, struct edged_slice request_der,
        const char *node_id, struct edged_slice name, struct buf *ret_pem);
/* What came back: checks that `ca` is the CA of account_id, that it or a signer signed `certificate` for this node's key,
 * and keeps them. For joining and for renewing. -EEXIST: it belongs to another account; -ETIME: a first certificate that
 * has run out by this node's clock. */
struct identity_grant {
	const char *account_id;
	struct edged_slice certificate_pem,
	        ca_pem;     /* the certificate with that of its signer, if it has one */
	const char *holder; /* id of the node that holds the CA's key */
};
EDGED_MUST_CHECK int identity_adopt(
        struct identity *identity, const struct identity_grant *grant, struct err *err);
/* Did that CA (PEM, of that account) sign this node certificate (DER), or the signer whose certificate came behind it (DER,
 * may be empty)? For a node that joins and trusts nobody yet. */
bool identity_signed_by(struct edged_slice ca_pem, const char *account_id, struct edged_slice certificate_der,
        struct edged_slice issuer_der);

/* Wall clock in ms, never before the newest certificate seen. Any thread. */
uint64_t identity_time(struct identity *identity);
/* The monotonic clock in ms by which the time of grace is counted. Any thread. */
uint64_t identity_mono(const struct identity *identity);
/* To be called when the account has changed, and when the time that it returned last (ms, at most one hour) has passed: renews the certificate
 * when this node may sign, writes the list of known peers when it grew. *ret_renew: renewal is due, and others must
 * sign. */
uint64_t identity_tick(struct identity *identity, bool *ret_renew);

/* Test hook: what the wall clock says, in ms; NULL: CLOCK_REALTIME. */
void identity_set_clock(struct identity *identity, uint64_t (*wall_ms)(void *arg), void *arg);
/* Test hook: the monotonic clock in ms; NULL: the real one. */
void identity_set_mono(struct identity *identity, uint64_t (*mono_ms)(void *arg), void *arg);

#endif
