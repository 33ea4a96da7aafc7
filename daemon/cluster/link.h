/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links: requests from node to node over mutual TLS 1.3 with HTTP/2 inside (ALPN "edged-link/1").
 *
 * A link goes one way: the node that has requests dials, and is the HTTP/2 client; a pair that talks both
 * ways has two links. It is dialled with the first request, shared by all that follow, and closed 60 s after
 * the last one ended. Both certificates are judged (identity_judge); the one dialled must be the node asked
 * for and of the account. An address where another node answers is passed over.
 *
 * Headers of links: `edged-hops` counts the nodes that passed a request on, `edged-caller` says who made it
 * (see proxy.h). Only links write them.
 *
 * Main loop only.
 */
#ifndef CLUSTER_LINK_H
#define CLUSTER_LINK_H

#include "cluster/link_session.h"
#include "cluster/nodes.h"
#include "core/router.h"
#include "io/stream.h"

struct links;
struct link_call;
struct tls_context;
struct dial;
struct dial_options;

#define LINK_PROTOCOL "edged-link/1"

struct links_limits {
	struct link_limits link;
	unsigned dialled;    /* links to other nodes at once */
	unsigned served;     /* links from other nodes at once */
	unsigned calls;      /* requests to one node at once, those that wait for the link included */
	uint64_t dial_ms;    /* to connect, handshake included */
	uint64_t idle_ms;    /* life of a link without requests; the serving side waits twice as long */
	uint64_t request_ms; /* for an incoming request to go on */
};
#define LINKS_LIMITS_DEFAULT                                                                                 \
	{                                                                                                    \
		LINK_LIMITS_DEFAULT, 64, 64, 256, 5000, 60000, 30000                                         \
	}

/* Borrowed, outlives the links. */
struct links_deps {
	struct loop *loop; /* the main loop */
	struct requests *requests;
	struct router *router;
	struct tls_context
	        *tls; /* for dialling: own certificate, identity_judge, ALPN LINK_PROTOCOL, TLS 1.3 */
	/* Where is a node? As cluster_find(). */
	bool (*find)(void *arg, struct edged_slice id, struct node_record *ret);
	/* A node that proved its key was judged, by its certificate (DER), on a link that either side dialled; or NULL. */
	void (*judged)(void *arg, const char *node_id, bool trusted, struct edged_slice certificate);
	void *arg;
	struct links_limits limits;
	/* Other ways to connect than dial_start() and dial_cancel(); NULL: those. For tests. */
	int (*dial)(struct loop *loop, const struct dial_options *options, struct dial **ret);
	void (*dial_cancel)(struct dial *dial);
};
EDGED_MUST_CHECK int links_new(const struct links_deps *deps, struct links **ret);
/* While the loop runs: ends all calls (LINK_STOPPED) and aborts all streams. Nothing can be sent any more. */
void links_stop(struct links *links);
void links_free(struct links *links); /* once no stream calls any more: after loops_run() */

/* Who serves LINK_PROTOCOL: listeners_serve(listeners, LINK_PROTOCOL, links_handler(), links_server(links)).
 */
const struct edged_stream_handler *links_handler(void);
void *links_server(struct links *links);

/* Why a call has no (whole) answer. */
enum link_cause {
	LINK_UNKNOWN,     /* nobody knows that node */
	LINK_NO_ADDRESS,  /* known, but not where it is */
	LINK_UNREACHABLE, /* nothing answered at its addresses */
	LINK_WRONG_NODE,  /* another node answered at all of them */
	LINK_UNTRUSTED,   /* it is of another account, or of none */
	LINK_BUSY,        /* a limit is reached */
	LINK_TIMEOUT,     /* it did not answer in time */
	LINK_BROKEN,      /* it broke the answer off, or the connection ended */
	LINK_REJECTED,    /* the request or the answer is beyond what a link carries */
	LINK_STOPPED,     /* this node is stopping */
};
struct link_failure {
	enum link_cause cause;
	char address[64]; /* where it was tried, "" when it was not */
	char why[256];
	bool sent; /* the other node may have worked on it */
};

/* Called from the loop, never from within links_request(). After end() the call has gone. */
struct link_reply {
	void (*head)(void *arg, const struct link_message *answer);
	void (*data)(
	        void *arg, struct edged_slice bytes); /* count against the window until link_call_consume() */
	void (*end)(void *arg, const struct link_failure *failure); /* NULL: the whole answer came */
	/* For a body that comes (send.body_comes). The other node wants it: link_call_send() may be called from now on, and
	 * the request is not sent to it once more. */
	void (*wanted)(void *arg);
	/* So many of its bytes have left. */
	void (*sent)(void *arg, size_t n);
};

struct link_request {
	const char *node_id;   /* NODE_ID_LEN characters */
	struct link_send send; /* all it points to must live until end() or link_call_cancel() */
	uint64_t
	        answer_ms; /* for the head of the answer; while a body comes, for the next sign of the other node */
	const struct link_reply *reply;
	void *arg;
	/* For joining: dial these ("host:port", at most 8) on a connection of its own, and let the node be of
	 * any account; prepare() sees the stream before the request is sent and may still change it. Others
	 * leave it NULL. */
	const char *const *addresses;
	int (*prepare)(void *arg, struct edged_stream *stream, struct link_send *send);
	bool brief; /* a link that was made for it ends with it, unless others use it meanwhile */
};
/* Begins a request. When it cannot, *ret_failure says why, and no callback comes. */
EDGED_MUST_CHECK int links_request(struct links *links, const struct link_request *request,
        struct link_call **ret, struct link_failure *ret_failure);
void link_call_cancel(struct link_call *call);
/* More of a body that comes; `last`: that was all. -ENOMEM: the call must be cancelled. */
EDGED_MUST_CHECK int link_call_send(struct link_call *call, struct edged_slice bytes, bool last);
void link_call_consume(struct link_call *call, size_t n);

/* The certificate or the account has changed: all links finish what is open and are begun anew. */
void links_reset(struct links *links);
/* That node is not there any more: calls to it end now, with `why` as the reason. */
void links_drop(struct links *links, const char *node_id, const char *why);
/* The stream behind a request that came over a link, see link_serve.h. */
struct edged_stream *links_stream_of(const struct links *links, const struct edged_peer *peer);

/* For /metrics. */
struct links_counts {
	uint64_t dialled, served, open;           /* now; open: calls without their whole answers */
	uint64_t dials, failures, calls, answers; /* since the start; failures: dials that came to nothing */
	uint64_t refused;                         /* calls and links beyond the limits */
};
/* Bytes of bodies held now, in and out. */
uint64_t links_held(const struct links *links);
struct links_counts links_counts(const struct links *links);

#endif
