/* SPDX-License-Identifier: Apache-2.0 */
/* The proxy towards the client: the answer to it, whole, as a stream or as a WebSocket, and the end of its request. */
#ifndef CLUSTER_PROXY_ANSWER_H
#define CLUSTER_PROXY_ANSWER_H

#include "cluster/proxy_impl.h"

/* The client's request is answered or gone, and what the call borrowed from it goes with it: so the call ends now, and
 * the rest once no callback is on the stack. */
void proxied_done(struct proxied *proxied);
/* The client has left (`arg`: the struct proxied). */
void proxied_gone(void *arg);

/* Says why there is no answer; after a detour, why the node that the request is for could not be asked. */
void proxied_answer_problem(struct proxied *proxied, const struct link_failure *failure);
/* Answers with what the cache of this node has. */
void proxied_answer_cached(struct proxied *proxied, const struct edged_proxy_answer *answer);

/* The other node's answer as it comes: its head, with what the cache adds to it; `length`: of the body, -1 when not known. */
void proxied_answer_head(struct proxied *proxied, int status, const struct header *headers, size_t count,
        int64_t length, const struct edged_proxy_answer *added);
/* A part of its body, or of what a WebSocket's other end sends. */
void proxied_answer_data(struct proxied *proxied, struct edged_slice bytes);
/* failure NULL: all has come. */
void proxied_answer_end(struct proxied *proxied, const struct link_failure *failure);

/* The other node has taken the WebSocket: from now on its bytes pass both ways. */
void proxied_begin_tunnel(struct proxied *proxied, const struct link_message *answer);

#endif
