/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of a link: moves bytes between a stream and an HTTP/2 session, with back-pressure, and looks
 * after its life: a peer that says nothing while requests are open is asked (PING), and given up when it
 * stays silent; a connection without requests ends after a while. Embedded; belongs to one loop.
 */
#ifndef CLUSTER_LINK_CONN_H
#define CLUSTER_LINK_CONN_H

#include "cluster/link_session.h"
#include "io/loop.h"
#include "io/stream.h"

enum {
	LINK_PING_MS = 5000,  /* silence after which a peer with open requests is asked */
	LINK_DEAD_MS = 15000, /* and given up */
};

struct link_conn {
	struct edged_stream *stream; /* NULL: there is none (any more) */
	struct link_session *session;
	struct loop *loop;
	struct deferred pump;
	uint64_t heard, asked; /* loop time */
	uint64_t idle_ms;
	void (*request)(void *arg, struct link_stream *stream, const struct link_message *request);
	void *arg;
	bool idle, silent; /* silent: ended for its silence */
};

struct link_conn_options {
	bool server;
	const struct link_limits *limits;
	uint64_t idle_ms;
	void (*request)(
	        void *arg, struct link_stream *stream, const struct link_message *request); /* server */
	void *arg;
};
/* On the stream's loop, once it is open. */
EDGED_MUST_CHECK int link_conn_init(
        struct link_conn *conn, struct edged_stream *stream, const struct link_conn_options *options);
/* When the stream is closed, or for good; ends what is open. A stream that is still there is aborted. */
void link_conn_fini(struct link_conn *conn);
/* The stream's callbacks. */
ssize_t link_conn_data(struct link_conn *conn, const uint8_t *bytes, size_t n);
void link_conn_drained(struct link_conn *conn);
/* To be called every second or so while requests are open. */
void link_conn_check(struct link_conn *conn);
/* Requests were begun or ended. */
void link_conn_touch(struct link_conn *conn);
/* Finishes what is open, then ends. */
void link_conn_shutdown(struct link_conn *conn);

#endif
