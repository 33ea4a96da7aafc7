/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other nodes of this account: which of them have proven it, and which services they have.
 *
 * What a node says of its account in gossip is a claim. The proof is a link with it, whoever dialled: its certificate was
 * judged, and its key answered. So a node that claims this account is asked over a link for its services
 * (GET /edge/v1/services), which brings both; and again when the hash of its services changes, or its certificate has run
 * out, so that the proof is of the renewed one. Nobody is asked twice for the same: there is no polling. What fails is
 * tried again at growing intervals.
 *
 * A proof holds as long as links with the node are accepted (identity.h: a known node's certificate is believed a while
 * beyond its end), and ends at once when a link finds the node untrusted or this node's account changes. Main loop only.
 */
#ifndef CLUSTER_PEERS_H
#define CLUSTER_PEERS_H

#include <stdbool.h>
#include <stdint.h>
#include "edged/slice.h"
#include "base/buf.h"
#include "base/err.h"

struct identity;
struct links;
struct loop;
struct peers;

enum {
	PEERS_MAX = 1024,         /* nodes kept; those beyond count as not proven */
	PEERS_ASKED = 4,          /* asked at once */
	PEERS_LIST = 32 * 1024,   /* bytes of one node's list of services; a longer one is not kept */
	PEERS_ANSWER_MS = 10000,  /* for a node to begin its answer */
	PEERS_RETRY_MS = 1000,    /* after a first failure; doubles with each */
	PEERS_RETRY_MAX = 600000, /* up to this */
};

/* Borrowed, outlives it. */
struct peers_deps {
	struct loop *loop;
	struct links *links;
	struct identity *identity;
	size_t bytes; /* of all lists of services together; what does not fit is not kept */
};
EDGED_MUST_CHECK int peers_new(const struct peers_deps *deps, struct peers **ret);
void peers_free(struct peers *peers);

/* A node is there, and says that it is of that account ("": none) and that its services have that hash. */
void peers_seen(struct peers *peers, const char *node_id, const char *account, uint64_t services);
/* It is not there now; what is known of it stays. */
void peers_gone(struct peers *peers, const char *node_id);
/* Nobody knows it any more. */
void peers_forget(struct peers *peers, const char *node_id);
/* A link with that node was judged, by this certificate (DER). */
void peers_judged(struct peers *peers, const char *node_id, bool trusted, struct edged_slice certificate);
/* The identity has changed. When that is the account, all is forgotten, and true returned: those that are there must be
 * told of with peers_seen() again. */
bool peers_account_changed(struct peers *peers);

/* Has it proven that it is of this account? */
bool peers_trusted(const struct peers *peers, const char *node_id);
/* Its services as a JSON array; empty while they are not known. Valid until the next call of anything here. */
struct edged_slice peers_services(const struct peers *peers, const char *node_id);

/* Tells of each trusted node; `there`: now. */
void peers_each(
        const struct peers *peers, void (*each)(void *arg, const char *node_id, bool there), void *arg);
/* Tells of each trusted node that has the service, by name or by the first part of its path; `there`: now. */
void peers_offering(const struct peers *peers, struct edged_slice service,
        void (*each)(void *arg, const char *node_id, bool there), void *arg);
/* The names by which services of a JSON array can be called, each between two line ends: for services_offered(). */
EDGED_MUST_CHECK int services_names(struct edged_slice list, struct buf *ret);
bool services_offered(struct edged_slice names, struct edged_slice service);

/* For /metrics. */
struct peers_counts {
	uint64_t known, proven, asked, bytes; /* now */
	uint64_t questions, failures;         /* since the start */
	uint64_t refused;                     /* nodes and lists beyond the limits */
};
struct peers_counts peers_counts(const struct peers *peers);

#endif
