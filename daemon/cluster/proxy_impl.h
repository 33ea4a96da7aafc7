/* SPDX-License-Identifier: Apache-2.0 */
/* What proxy.c, proxy_answer.c and proxy_ask.c share. Nobody else includes this and their headers. */
#ifndef CLUSTER_PROXY_IMPL_H
#define CLUSTER_PROXY_IMPL_H

#include "cluster/health.h"
#include "cluster/link.h"
#include "cluster/proxy.h"
#include "cluster/proxy_cache.h"
#include "cluster/proxy_head.h"
#include "cluster/tunnel.h"

struct proxy {
	struct proxy_deps deps;
	struct list open;
	struct health health;
	struct proxy_cache cache;
	struct proxy_counts counts;
};

/* How far the answer to the client is. */
enum phase { PHASE_WAITING, PHASE_WHOLE, PHASE_STREAM, PHASE_TUNNEL, PHASE_DONE };

/* One request that is passed on. */
struct proxied {
	struct list node;
	struct proxy *proxy;
	edged_handle request;   /* the client's; 0: answered or gone */
	struct link_call *call; /* at the other node */
	struct deferred later;  /* ends it, when that must not be done at once */
	struct proxy_head head; /* what is sent on */
	enum phase phase;
	int status;
	char type[256]; /* of the answer's content */
	bool has_type;
	struct buf body;   /* PHASE_WHOLE: all so far; PHASE_STREAM: what the client has no room for yet */
	size_t unconsumed; /* bytes of the answer that still count against the link's window */
	int64_t length;    /* of the answer to HEAD */
	bool full, ended, is_head;
	bool reading; /* the client's body, bit by bit */
	bool websocket;
	struct tunnel *tunnel; /* PHASE_TUNNEL, until its stream has ended */
	size_t unsent;         /* bytes of that stream that have not left */
	struct node_record target;
	bool names_node;  /* in its answer */
	char service[64]; /* "": it is for that node */
	char tried[PROXY_TRIES][NODE_ID_LEN + 1];
	unsigned tries;
	struct proxy_exchange exchange; /* with the cache */
	struct detour *detour; /* NULL, unless the holder of the cache role is asked in another's place */
	bool holder_asked;     /* once is enough */
};

/* What it is for while the holder of the cache role is asked. */
struct detour {
	struct node_record target;   /* without an id: any node with the service */
	struct edged_slice path;     /* for that node */
	bool failed;                 /* it has been asked before */
	struct link_failure failure; /* and could not */
};

static inline struct requests *proxied_requests(const struct proxied *proxied)
{
	return proxied->proxy->deps.requests;
}

/* Is this node meant, by its id or as "self"? */
bool proxy_is_self(const struct proxy *proxy, struct edged_slice id);

#endif
