/* SPDX-License-Identifier: Apache-2.0 */
/* The asking side of joining an account and of getting certificates later on: one request to the node that signs. */
#ifndef CLUSTER_JOIN_CLIENT_H
#define CLUSTER_JOIN_CLIENT_H

#include "base/err.h"
#include "core/nodeid.h"

struct identity;
struct join_client;
struct join_token;
struct links;

struct join_result {
	int status;       /* 0: done; else the HTTP status that says how it failed */
	const char *type; /* of the problem, static */
	char why[768];
	char node_id[NODE_ID_LEN + 1]; /* who signed */
};

struct join_client_options {
	struct identity *identity;
	struct links *links;
	const struct join_token *token; /* joins by it; copied. NULL: */
	const char *node_id;            /* asks this node ... */
	bool signer; /* ... for a signer's certificate (signer.h); else the node's own is renewed */
	void (*done)(void *arg,
	        const struct join_result *result); /* once, from the loop; then the client has gone */
	void *arg;
};
/* On failure *ret_failure says why, and done() is not called. */
EDGED_MUST_CHECK int join_client_start(
        const struct join_client_options *options, struct join_client **ret, struct join_result *ret_failure);
void join_client_free(struct join_client *client); /* done() is not called any more */

#endif
