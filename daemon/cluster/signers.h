/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signers of the account (signer.h), for people and between nodes.
 *
 * `PUT` and `DELETE /edge/v1/account/signers/{id}`, by the owner where the account's key is, change the account's list; `GET
 * /edge/v1/account/signers` shows it anywhere. The list travels as that of removed nodes does (removals.h); a node that finds
 * itself on it as a signer asks the holder for a certificate, over a link, with `POST /edge/v1/account/signers`, and again
 * when that is to be renewed; in vain at growing intervals. Main loop only.
 */
#ifndef CLUSTER_SIGNERS_H
#define CLUSTER_SIGNERS_H

#include "cluster/nodes.h"
#include "core/router.h"

struct identity;
struct links;
struct loop;
struct signers;

#define SIGNERS_PATH "/edge/v1/account/signers"

enum { SIGNERS_LOOK_MS = 3600000 /* is the certificate to be renewed? */ };

/* Borrowed, outlives it. */
struct signers_deps {
	struct loop *loop;
	struct identity *identity;
	struct links *links;
	struct requests *requests;
	struct router *router;
	/* As cluster_find(). */
	bool (*find)(void *arg, struct edged_slice id, struct node_record *ret, bool *ret_ambiguous);
	void *arg;
};
/* Adds its routes. */
EDGED_MUST_CHECK int signers_new(const struct signers_deps *deps, struct signers **ret, struct err *err);
void signers_free(struct signers *signers);
/* The account's list has changed. */
void signers_look(struct signers *signers);

/* For /metrics. */
struct signers_counts {
	uint64_t signers, former; /* now, on the list */
	uint64_t renewals,
	        failures; /* certificates that this node got as a signer, and did not get, since the start */
	uint64_t signed_certificates; /* that it signed for signers, as the holder of the account's key */
};
struct signers_counts signers_counts(const struct signers *signers);

#endif
