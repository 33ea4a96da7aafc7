/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ties this node to others: its identity and TLS, the cluster, the links, joining and the proxy, each with its
 * routes. Main loop only.
 */
#ifndef MESH_H
#define MESH_H

#include <stdbool.h>
#include "base/buf.h"
#include "base/err.h"

struct cluster;
struct conf;
struct dial;
struct dial_options;
struct elsewhere;
struct events;
struct identity;
struct join;
struct links;
struct listeners;
struct loops;
struct mesh;
struct pairing;
struct peers;
struct proxy;
struct requests;
struct router;
struct state;
struct tls_context;

/* Borrowed, outlives the mesh. */
struct mesh_deps {
	struct loops *loops;
	struct conf *conf;
	struct state *state;
	struct listeners *listeners;
	struct requests *requests;
	struct router *router;
	struct events *events;
	/* Appends this node's services as a JSON array. */
	int (*services)(void *arg, struct buf *out);
	/* mesh_peers() may tell something else, or a role has another holder. */
	void (*peers_changed)(void *arg);
	void *arg;
};

EDGED_MUST_CHECK int mesh_new(const struct mesh_deps *deps, struct mesh **ret, struct err *err);
/* Once the listeners are open: looks for others. */
EDGED_MUST_CHECK int mesh_start(struct mesh *mesh, struct err *err);
/* While the loop runs: hands over, says goodbye and ends all links; `done` is called once, after 300 ms at the latest. */
void mesh_stop(struct mesh *mesh, void (*done)(void *arg), void *arg);
void mesh_free(struct mesh *mesh); /* after the loops have ended, before the router goes */

const struct identity *mesh_identity(const struct mesh *mesh);
/* For listeners that speak TLS. */
struct tls_context *mesh_tls(const struct mesh *mesh);
/* For /metrics. Valid as long as the mesh. */
struct mesh_parts {
	struct cluster *cluster;
	struct links *links;
	struct peers *peers;
	struct join *join;
	struct pairing *pairing;
	struct removals *removals;
	struct signers *signers;
	struct proxy *proxy;
	struct elsewhere *elsewhere;
};
const struct mesh_parts *mesh_parts(const struct mesh *mesh);
/* Tells of each other node that has proven to be of this account; `there`: it can be reached now. */
void mesh_peers(const struct mesh *mesh, void (*each)(void *arg, const char *node_id, bool there), void *arg);
/* As dial_start(), to a node: addresses and TLS are filled in. -ENOENT: nobody knows it; -EHOSTUNREACH: not where it is. */
EDGED_MUST_CHECK int mesh_dial(
        const struct mesh *mesh, const char *node_id, struct dial_options *options, struct dial **ret);
/* Services have changed: the others are told. */
void mesh_refresh(struct mesh *mesh);

#endif
