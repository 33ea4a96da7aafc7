/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proxy: `/nodes/{id}/...` is the same path on another node, wherever it is; this node's own id (or `self`) is served
 * here. Ids may be shortened to 8 characters, or be a node's name, while only one node fits.
 *
 * `/any/{service}/...` with the name of a role (`cache`) is served by the node that holds the role, and has the service; by that
 * one only, for others do not have what it keeps. Otherwise it is the path `/{service}/...` on a node of the account that has that service: this one, when it has,
 * else one that is there, drawn by lot among those that did not fail lately (health.h). When it cannot be asked, the next one
 * is, up to PROXY_TRIES: always when the request did not get there, and when it may have, only if its method is idempotent
 * (RFC 9110 section 9.2.2) and no part of an answer has come. `edged-node` in the answer names the node that gave it.
 *
 * A node that answers 502, 503 or 504 counts as failed, too, unless `edged-device` in the answer says that it is about a device
 * behind that node.
 *
 * Bodies stream through in both directions with back-pressure: of each, at most a window (http.body_window, cluster.link_window)
 * and what the client's front end takes is held here. Small bodies are had whole before the request is passed on, so that it
 * can be passed on again; once another has begun to flow, it is not. A client that waits for "100 Continue" gets it when the
 * other node's service wants the body, and what that node answers without wanting it otherwise. A client that leaves cancels the request at the other node; a node that dies breaks the answer off.
 * Small answers of known length are passed on whole.
 *
 * A WebSocket is asked for with an extended CONNECT (RFC 8441); its frames then pass as they are, both ways (tunnel.h). A client
 * that is not trusted here may have one for MQTT: `edged-anybody` tells the other node, whose broker judges it.
 *
 * A cache (edged/cap_proxy.h) sees requests before they go, and may answer. GET and HEAD of this node's own clients go through the
 * node that holds the cache role in two cases: what is kept here has become stale (many nodes ask that one then, and it asks for
 * them all); or the node cannot be asked, and nothing that is kept here may be given instead (that one may have it, or reach the
 * node).
 *
 * Headers for one hop only (RFC 9110 section 7.6.1) are left out, and so is the access key of this node. The other node
 * gets `edged-hops`, and in `edged-caller` who asked:
 *
 *     edged-caller: node="<id>"; address="127.0.0.1:4242"; uid=1000; subject="CN=..."
 *
 * A service may believe it when its peer is a node (peer->node_id); front ends for others must not let it in.
 *
 * Failures are problem documents that name the node, the address, why, and what to do. Main loop only.
 */
#ifndef CLUSTER_PROXY_H
#define CLUSTER_PROXY_H

#include "cluster/nodes.h"
#include "core/router.h"

struct edged_proxy_cache;
struct identity;
struct links;
struct loop;
struct proxy;

enum {
	PROXY_TRIES = 3,         /* nodes asked for one request to /any */
	PROXY_HOPS = 4,          /* nodes that may pass one request on */
	PROXY_WHOLE = 64 * 1024, /* answers up to this length are passed on whole */
};

/* Borrowed, outlives the proxy. */
struct proxy_deps {
	struct loop *loop;
	struct identity *identity;
	struct links *links;
	struct requests *requests;
	struct router *router;
	/* As cluster_find(). */
	bool (*find)(void *arg, struct edged_slice id, struct node_record *ret, bool *ret_ambiguous);
	/* As peers_offering(). */
	void (*offering)(void *arg, struct edged_slice service,
	        void (*each)(void *each_arg, const char *node_id, bool there), void *each_arg);
	/* Who holds the role of that name and has a service of that name; with several holders, which for that path. */
	bool (*holder)(
	        void *arg, struct edged_slice service, struct edged_slice path, char ret_id[NODE_ID_LEN + 1]);
	/* Does this node have it? */
	bool (*serves)(void *arg, struct edged_slice service);
	void *arg;
	uint64_t answer_ms; /* for the other node to begin its answer */
	unsigned tunnels;   /* WebSockets to other nodes at once */
	size_t window;      /* bytes of each of their directions that are held */
};
EDGED_MUST_CHECK int proxy_new(const struct proxy_deps *deps, struct proxy **ret, struct err *err);
void proxy_free(struct proxy *proxy);

/* Passes a request on as /nodes/{node_id} does, as it stands. -ENOENT: no such node is known; the request is still its
 * owner's. */
EDGED_MUST_CHECK int proxy_pass(struct proxy *proxy, edged_handle request, const char *node_id);

/* The cache (edged/cap_proxy.h) from now on, and its plugin's name, which outlives the proxy; functions NULL: none, and its
 * exchanges have ended when it returns. As edged_proxy_1.cache. */
int proxy_set_cache(
        struct proxy *proxy, const char *owner, const struct edged_proxy_cache *functions, void *self);

/* For /metrics. */
struct proxy_counts {
	uint64_t open, total, local, failed;
	uint64_t tunnels;   /* now: WebSockets */
	uint64_t retried;   /* at another node */
	uint64_t cached;    /* answered by the cache of this node */
	uint64_t by_holder; /* sent through the node that holds the cache role */
	uint64_t avoided;   /* now: nodes that failed lately */
};
struct proxy_counts proxy_counts(const struct proxy *proxy);

#endif
