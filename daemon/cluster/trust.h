/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose certificates are believed: those that the account's CA signed, or a signer whose certificate the CA signed
 * (cert_chain_ok()); the time below which nobody is believed, and the nodes that were known before: their certificates may
 * have run out a while ago, by the clock; or by however much, when they were in time a while ago in this process, since then
 * the clock has been set.
 *
 * What a former signer, or a removed one, has signed counts as run out since then: nodes that are known go on for the time of
 * grace, in which they get a certificate elsewhere; others are refused, so that who stole the signer's key makes no new nodes.
 *
 * Any thread: one lock, held for a few instructions; a judgement works on its own reference to the CA.
 */
#ifndef CLUSTER_TRUST_H
#define CLUSTER_TRUST_H

#include <openssl/x509.h>
#include "base/buf.h"
#include "core/nodeid.h"

struct removal_list;
struct trust;

enum {
	TRUST_KNOWN_MAX = 1024, /* nodes remembered; beyond, others just do not get the time of grace */
};
/* Days, in ms. */
#define TRUST_DAY_MS   (UINT64_C(24) * 3600 * 1000)
#define TRUST_GRACE_MS (30 * TRUST_DAY_MS)
/* Nothing of this daemon existed earlier (2026-01-01): a clock before it is not set. */
#define TRUST_EPOCH_MS (UINT64_C(1767225600) * 1000)

EDGED_MUST_CHECK int trust_new(struct trust **ret);
void trust_free(struct trust *trust);

/* The CA from now on, NULL: none. Takes a reference. Forgets the nodes known. */
void trust_set_ca(struct trust *trust, X509 *ca);
/* Nobody of that list is believed from now on; it is borrowed until the next call. NULL: nobody was removed. */
void trust_set_removed(struct trust *trust, const struct removal_list *list);
bool trust_is_removed(struct trust *trust, const uint8_t id[32]);
/* As a tls_judge (io/tls.h). */
bool trust_judge(struct trust *trust, X509 *certificate, X509 *issuer, char ret_id[NODE_ID_LEN + 1]);
/* Since when what is signed with that signer's certificate counts for nothing, ms; TRUST_COUNTS: it counts. */
#define TRUST_COUNTS UINT64_MAX
uint64_t trust_withdrawn(struct trust *trust, X509 *signer);

/* Wall clock in ms, but never before what trust_seen() was told. */
uint64_t trust_time(struct trust *trust);
uint64_t trust_mono(const struct trust *trust); /* the monotonic one */
void trust_seen(struct trust *trust, uint64_t from_ms);
void trust_set_clock(struct trust *trust, uint64_t (*wall_ms)(void *arg), void *arg);
/* Test hook: the monotonic clock; NULL: the real one. */
void trust_set_mono(struct trust *trust, uint64_t (*mono_ms)(void *arg), void *arg);

/* The nodes known, one id a line. Lines that are no ids are skipped. */
void trust_read_known(struct trust *trust, struct edged_slice text);
/* TRUST_UNCHANGED since the last call: nothing was written. */
#define TRUST_UNCHANGED 1
EDGED_MUST_CHECK int trust_write_known(struct trust *trust, struct buf *ret);

#endif
