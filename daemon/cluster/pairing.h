/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joining by a code of eight digits instead of a token, for when there is nothing to copy a token with.
 *
 * `POST /edge/v1/pairing/code` on the new node shows a code. `POST /edge/v1/pairing` with it on the node that holds the
 * account's key, or on a signer, dials the new node; both prove over this one TLS session that they know the code (pair_exchange.h), the new
 * node is sent an invite, and joins by it as by any other (join.h).
 *
 * One code is open at a time and works once; it dies after a few exchanges, whoever began them, and in a few minutes.
 * Exchanges come one at a time and not too fast. Who does not know the code has one guess for each. Main loop only.
 */
#ifndef CLUSTER_PAIRING_H
#define CLUSTER_PAIRING_H

#include "cluster/nodes.h"
#include "core/router.h"
#include "io/stream.h"

struct dial;
struct dial_options;
struct identity;
struct join;
struct pairing;
struct tls_context;

enum {
	PAIRING_DIAL_MS = 5000,      /* to connect, TLS included */
	PAIRING_EXCHANGE_MS = 10000, /* from connecting until both have proven that they know the code */
	PAIRING_JOIN_MS = 30000,     /* then, for the new node to join */
	PAIRING_INVITE_S = 60,       /* life of the invite that it gets */
};

struct pairing_limits {
	uint64_t life_ms; /* of a code */
	unsigned tries;   /* exchanges of one code */
	uint64_t gap_ms;  /* from the start of one to that of the next */
};
#define PAIRING_LIMITS_DEFAULT                                                                               \
	{                                                                                                    \
		300000, 5, 1000                                                                              \
	}

/* Borrowed, outlives it. */
struct pairing_deps {
	struct loop *loop;
	struct identity *identity;
	struct join *join;
	struct requests *requests;
	struct router *router;
	struct tls_context *tls; /* for dialling: own certificate, TLS 1.3 */
	/* As cluster_find(). */
	bool (*find)(void *arg, struct edged_slice id, struct node_record *ret, bool *ret_ambiguous);
	void *arg;
	uint64_t (*now)(void *arg); /* monotonic ms; NULL: the loop's */
	struct pairing_limits limits;
	/* Other ways to connect than dial_start() and dial_cancel(); NULL: those. For tests. */
	int (*dial)(struct loop *loop, const struct dial_options *options, struct dial **ret);
	void (*dial_cancel)(struct dial *dial);
};
/* Adds its routes. */
EDGED_MUST_CHECK int pairing_new(const struct pairing_deps *deps, struct pairing **ret, struct err *err);
void pairing_stop(struct pairing *pairing); /* while the loop runs: ends its streams */
void pairing_free(struct pairing *pairing);

/* Who serves PAIR_PROTOCOL (pair_exchange.h), with the pairing as `self`. */
extern const struct edged_stream_handler pairing_handler;

/* For /metrics. */
struct pairing_counts {
	uint64_t open;                     /* now: codes, 0 or 1 */
	uint64_t codes, exchanges, paired; /* as the new node: shown, begun, joined */
	uint64_t wrong, refused;           /* exchanges with a wrong code; others that were not begun */
	uint64_t asked, admitted;          /* as the trusted node: codes typed, nodes that joined by them */
};
struct pairing_counts pairing_counts(struct pairing *pairing);

#endif
