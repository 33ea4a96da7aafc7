/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The serving side of links: streams of protocol "edged-link/1" that other nodes opened. Their requests go
 * through the router like those of local clients, with the node as peer. A node that is not trusted gets to
 * one path only, the one by which nodes join. Main loop; a stream that was accepted on another loop moves
 * there first.
 */
#ifndef CLUSTER_LINK_SERVE_H
#define CLUSTER_LINK_SERVE_H

#include "cluster/link_session.h"
#include "core/router.h"
#include "io/stream.h"

struct link_server;

struct link_server_options {
	struct loop *loop; /* the main loop */
	struct requests *requests;
	struct router *router;
	struct link_limits limits;
	unsigned connections;    /* at once; those beyond are closed */
	uint64_t idle_ms;        /* life of a connection without requests */
	uint64_t request_ms;     /* for a request to go on, or to be whole when its node is not trusted */
	const char *open_path;   /* for nodes that are not trusted, or NULL */
	void (*busy)(void *arg); /* link_server_check() is to be called every second */
	void (*served)(void *arg, struct edged_stream *stream); /* a connection was taken */
	void *arg;
};
EDGED_MUST_CHECK int link_server_new(const struct link_server_options *options, struct link_server **ret);
void link_server_stop(struct link_server *server); /* while the loop runs: aborts all connections */
void link_server_free(struct link_server *server); /* once no stream calls any more */
/* For listeners_serve(), with the server as `self`. */
extern const struct edged_stream_handler link_server_handler;

/* Returns whether requests are open, so that it is to be called again. */
bool link_server_check(struct link_server *server);
/* Finishes what is open, then ends the connections: trust has changed. */
void link_server_reset(struct link_server *server);
unsigned link_server_count(const struct link_server *server);
uint64_t link_server_held(const struct link_server *server);    /* bytes of bodies, see link_session_held() */
uint64_t link_server_refused(const struct link_server *server); /* connections beyond the limit, ever */
/* The stream of the peer behind a request, by the pointer of request_peer(); NULL: it came by other ways. */
struct edged_stream *link_server_stream(const struct link_server *server, const struct edged_peer *peer);

#endif
