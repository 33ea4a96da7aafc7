/* SPDX-License-Identifier: Apache-2.0 */
/* What identity.c, removal.c and signer.c share. Nobody else includes this. */
#ifndef CLUSTER_IDENTITY_IMPL_H
#define CLUSTER_IDENTITY_IMPL_H

#include "cluster/account.h"
#include "cluster/cert.h"
#include "cluster/identity.h"
#include "cluster/removal_list.h"

struct identity {
	char *folder;
	char node_id[NODE_ID_LEN + 1];
	char name[64];
	uint8_t point[CERT_POINT];
	EVP_PKEY *key;
	X509 *self_signed;
	struct buf key_pem;
	struct buf chain_pem;
	struct account account;
	struct trust *trust;
	void (*changed)(void *arg);
	void *changed_arg;
	struct account_issuer
	        signer; /* what this node signs with when the CA's key is elsewhere; NULL: it is no signer */
	EVP_PKEY *signer_next;        /* the key that a certificate was requested for, or NULL */
	struct removal_list *removed; /* trust has it, too */
	struct buf removed_text;
	void (*list_changed)(void *arg, const struct removal_list *before, const struct removal_list *now);
	void *list_changed_arg;
};

/* The list of the account that is in use, from the disk. */
EDGED_MUST_CHECK int removal_load(struct identity *identity, struct err *err);
/* The account is another one: its list begins empty. */
void removal_forget(struct identity *identity);
/* The list as it is, without lines that have done their work, and with a higher version; NULL: no memory. For publishing. */
struct removal_list *removal_next_list(struct identity *identity);
/* Signs it and has it from now on, durably. Takes the list. */
EDGED_MUST_CHECK int removal_publish(struct identity *identity, struct removal_list *next, struct err *err);
/* The list tells when a signer's latest certificate ends; not anew for one that was signed so soon after the one before. */
#define REMOVAL_SIGNED_MS UINT64_C(60000)
/* The line of one that is no signer any more, from now on, but at least from after all that was signed for it: the clock may
 * have gone back since. */
struct removal removal_former_line(struct identity *identity, const uint8_t id[32]);

/* The signer's key and certificate of the account in use, from the disk; after the list. */
void signer_load(struct identity *identity);
/* The list is another one: perhaps it says that this node is no signer any more. */
void signer_list_changed(struct identity *identity);
void signer_forget(struct identity *identity);
/* What this node signs with now. False: it may not. */
bool signer_issuer(struct identity *identity, struct account_issuer *ret);

#endif
