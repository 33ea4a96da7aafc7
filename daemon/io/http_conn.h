/* SPDX-License-Identifier: Apache-2.0 */
/* A client's bytes: from its stream past the guard to the library, and back. Main loop. */
#ifndef IO_HTTP_CONN_H
#define IO_HTTP_CONN_H

#include "io/http_private.h"

extern const struct edged_stream_handler http_conn_handler;
void http_conn_settle(struct http_conn *conn); /* after a run of the daemon */
void http_conn_wake(struct http_conn *conn);   /* ends a suspension */
void http_conn_maybe_free(struct http_conn *conn);
void http_conn_refuse(struct http_conn *conn, const char *more);
void http_conn_stop(struct http_conn *conn);   /* ends once it has nothing to answer */
void http_conn_detach(struct http_conn *conn); /* ends the daemon's side */

/* Who sends the current request, now that it is whole. */
const struct edged_peer *http_conn_caller(struct http_conn *conn, struct edged_slice body);

#endif
