/* SPDX-License-Identifier: Apache-2.0 */
/* What identity.c and removal.c share. Nobody else includes this. */
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
	struct removal_list *removed; /* trust has it, too */
	struct buf removed_text;
	void (*list_changed)(void *arg, const struct removal_list *before, const struct removal_list *now);
	void *list_changed_arg;
};

/* The list of the account that is in use, from the disk. */
EDGED_MUST_CHECK int removal_load(struct identity *identity, struct err *err);
/* The account is another one: its list begins empty. */
void removal_forget(struct identity *identity);

#endif
