/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the HTTP server share. http_server.c holds the library's daemon and runs it, http_conn.c takes a
 * client's bytes to it and back, http_answer.c makes its answers, http_upgrade.c turns a connection into a WebSocket,
 * http_end.c deals with clients that finish early or are late.
 *
 * A connection ends when both its stream and the library's side of it have ended, in whatever order.
 */
#ifndef IO_HTTP_PRIVATE_H
#define IO_HTTP_PRIVATE_H

#include <microhttpd.h>
#include "core/http_guard.h"
#include "io/http_server.h"
#include "io/stream.h"

struct http_server {
	struct http_server_options options;
	struct http_head_limits limits;
	const struct edged_stream_1 *streams;
	struct MHD_Daemon *daemon;
	struct watch *watch;      /* of the daemon's epoll fd */
	struct timer *timer;      /* of the daemon */
	struct timer *expire;     /* of the requests */
	struct deferred run;      /* the daemon has work */
	struct list conns;        /* all */
	struct list hot;          /* those whose daemon's side may have news after the next run */
	struct http_conn *adding; /* for the daemon's call from within MHD_add_connection */
	struct http_server_counts counts;
	bool serving, stopping;
};

struct http_conn {
	struct http_server *server;
	struct list link, hot;
	struct edged_stream *stream; /* NULL: ended */
	struct http_guard guard;
	uint64_t body_start; /* ms, when the head was complete */
	bool as_it_comes;    /* the body goes to who reads it bit by bit */
	bool begun;          /* the request was brought to the daemon */
	bool wanted;         /* its body is read by somebody, or by us */
	bool body_news;      /* somebody wants it, or wants it no longer */
	bool last;           /* the connection ends with the answer: the body was not wanted */
	size_t untaken;      /* bytes of the body that were given on and are not taken yet */
	bool first;          /* no request has come yet: the deadline runs since open() */
	bool half;           /* the client has finished sending: it gets its answers, then we close */
	bool answering;      /* bytes of the current answer are on their way */
	struct timer *probe; /* while half: is it there at all? */
	bool closing;        /* our last words are said, the client's are not heard any more */
	struct buf held;     /* bytes of next requests */
	/* the daemon's side */
	int fd; /* our end of the pair, -1: none */
	struct watch *watch;
	bool watching; /* it does, for bytes */
	struct MHD_Connection *mhd;
	bool suspended;  /* the daemon waits for us */
	bool in_handler; /* it is calling us */
	bool done;       /* it is through with the current request */
	/* the current request */
	edged_handle request;          /* 0: none */
	bool trusted;                  /* it was admitted as such */
	struct edged_peer peer;        /* who asks */
	char signer[EDGED_SIGNER_MAX]; /* who signed it, or what is wrong with the signature */
	struct buf body;               /* all, or what waits to be given on */
	bool opened;                   /* was brought to the router */
	bool websocket;                /* it asks for one */
	bool restarts;                 /* the connection had requests before */
	/* its answer */
	struct MHD_Response *response;
	int status;
	char *fill; /* where the bytes of a whole answer go */
	size_t filled, fill_size;
	struct buf out; /* waiting bytes of a streamed answer, from out_at on */
	size_t out_at;
	bool ended, broken, wants_room;
	bool events;     /* it is of server-sent events, ... */
	bool line_begun; /* ... and its last line is not whole yet */
};

void http_server_count_refusal(struct http_server *server, const char *type);
void http_server_schedule(struct http_server *server); /* runs the daemon at the end of the turn */
void http_conn_hot(struct http_conn *conn);            /* looks after it then */

#endif
