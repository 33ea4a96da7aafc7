/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joining an account, and staying in it.
 *
 * `POST /edge/v1/invites` on the node that holds the account's key (the first invite founds the account), or on a signer,
 * gives a token (token.h). `POST /edge/v1/join` with it on the new node dials the inviter, makes sure by its
 * key that it is the one, and sends a certificate request with a proof: HMAC-SHA-256 under the token's secret
 * over this TLS connection's keying material (RFC 8446 section 7.5) and the request. So the secret never
 * travels, and a proof is worth nothing on another connection. What comes back must be the account that the
 * token names, and the inviter's own certificate of it. `POST /edge/v1/account/sign` is where the inviter
 * takes it: the one path that is open to nodes that are not trusted.
 *
 * Certificates live a week and are renewed over a link to the holder of the key, or, when that does not sign them, to one of
 * the signers that the account's list names (signer.h): `POST /edge/v1/account/renew`.
 *
 * Invites are kept in memory only: a restart takes them back. Main loop only.
 */
#ifndef CLUSTER_JOIN_H
#define CLUSTER_JOIN_H

#include "core/router.h"

struct identity;
struct join;
struct join_result;
struct join_token;
struct links;
struct loop;

#define JOIN_SIGN_PATH "/edge/v1/account/sign"

enum {
	JOIN_INVITES = 16, /* open at once */
	JOIN_MAX_S = 24 * 3600,
	JOIN_SOURCES = 64, /* addresses whose wrong proofs are counted; beyond, the oldest is forgotten */
	JOIN_ANSWER_MS = 20000, /* for the inviter to answer, dialling several addresses included */
	JOIN_RETRY_MS = 1000,   /* after a first failure to renew; doubles with each */
	JOIN_RETRY_MAX = 3600000,
	JOIN_LOOK_MS = 60000, /* after renewing: who signed may have lost the right to meanwhile */
};

struct join_limits {
	uint64_t invite_s;   /* life of an invite when it is not said, up to JOIN_MAX_S */
	unsigned tries;      /* wrong proofs of one source, then it is refused ... */
	uint64_t penalty_ms; /* ... for so long */
};
#define JOIN_LIMITS_DEFAULT                                                                                  \
	{                                                                                                    \
		600, 5, 600000                                                                               \
	}

/* Borrowed, outlives it. */
struct join_deps {
	struct loop *loop;
	struct identity *identity;
	struct links *links;
	struct requests *requests;
	struct router *router;
	/* Addresses of the listeners that speak TLS, as listeners_info() tells them; returns how many. */
	unsigned (*secure_addresses)(void *arg, char (*ret)[64], unsigned max);
	void *arg;
	uint64_t (*now)(void *arg); /* monotonic ms; NULL: the loop's */
	struct join_limits limits;
};
/* Adds its routes, and begins to look after the certificate. */
EDGED_MUST_CHECK int join_new(const struct join_deps *deps, struct join **ret, struct err *err);
void join_free(struct join *join);
/* The account's list has changed: perhaps who signed this node's certificate is no signer any more. */
void join_look(struct join *join);

/* How long to wait for the next try after so many more failures than one. */
uint64_t join_retry_ms(unsigned failures);

/* For those who bring invites to new nodes by other ways (pairing.h). May this node invite? False: the request was answered
 * with the reason. */
bool join_may_invite(const struct join *join, edged_handle request);
/* An invite for one more node, good for so long; founds the account if there is none. JOIN_ANSWERED: the request was, with
 * the reason. */
#define JOIN_ANSWERED 1
EDGED_MUST_CHECK int join_invite(
        struct join *join, edged_handle request, uint64_t seconds, struct join_token *ret);
/* Joins by that invite; done() is called once, from the loop, unless the join is freed before. On failure *ret_failure says
 * why, and it is not called. */
EDGED_MUST_CHECK int join_begin(struct join *join, const struct join_token *token,
        void (*done)(void *arg, const struct join_result *result), void *arg,
        struct join_result *ret_failure);

/* For /metrics. */
struct join_counts {
	uint64_t open, shut; /* now: invites, and sources that are refused */
	uint64_t invites, joined, refused, renewals, renewal_failures;
};
struct join_counts join_counts(const struct join *join);

#endif
