/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a service has not here may be at another node: a request for it is passed on to that one. Which one it is, nobody keeps
 * a list of: the nodes of the account that have the service are asked, ELSEWHERE_ASKED at once, with HEAD, and the first that
 * answers 200 gets the request. When all have answered something else, it is 404; when not all could be asked, 503.
 *
 * Where it is is known for ELSEWHERE_KNOWN_MS, and that it is nowhere for ELSEWHERE_NONE_MS. So the cost is bounded by time and
 * by the number of nodes, not by how many things there are, and nothing is told that nobody asks for.
 *
 * A request that came from a node is not passed on: there is one search, by the node that has the client. Main loop only.
 */
#ifndef CLUSTER_ELSEWHERE_H
#define CLUSTER_ELSEWHERE_H

#include <stdbool.h>
#include "edged/plugin.h"
#include "base/err.h"

struct elsewhere;
struct links;
struct loop;
struct proxy;
struct requests;

enum {
	ELSEWHERE_OPEN = 64,   /* searches at once; beyond: 503 */
	ELSEWHERE_ASKED = 16,  /* nodes asked at once in one search */
	ELSEWHERE_MS = 3000,   /* for a search */
	ELSEWHERE_SLOTS = 256, /* outcomes that are known, at most */
	ELSEWHERE_KNOWN_MS = 10000,
	ELSEWHERE_NONE_MS = 1000,
};

/* Borrowed, outlives it. */
struct elsewhere_deps {
	struct loop *loop;
	struct links *links;
	struct requests *requests;
	struct proxy *proxy;
	/* As peers_offering(). */
	void (*offering)(void *arg, struct edged_slice service,
	        void (*each)(void *each_arg, const char *node_id, bool there), void *each_arg);
	void *arg;
};
EDGED_MUST_CHECK int elsewhere_new(const struct elsewhere_deps *deps, struct elsewhere **ret); /* -ENOMEM */
void elsewhere_free(struct elsewhere *elsewhere);

/* Takes the request over: it is passed on to the node where GET `probe`, a path of `service`, is answered with 200; when all
 * have answered something else, with a problem document of 404. Texts are copied, but `type` and `title`. A negative errno: it
 * has not been taken over. */
EDGED_MUST_CHECK int elsewhere_pass(struct elsewhere *elsewhere, edged_handle request,
        struct edged_slice service, struct edged_slice probe, const char *type, const char *title,
        const char *detail);

/* For /metrics. */
struct elsewhere_counts {
	uint64_t open;                 /* searches */
	uint64_t found, none, unknown; /* how requests ended: passed on, 404, 503 */
	uint64_t questions;            /* to nodes */
};
struct elsewhere_counts elsewhere_counts(const struct elsewhere *elsewhere);

#endif
