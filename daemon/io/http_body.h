/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a request, from the guard to who reads it, with back-pressure to the client. Main loop. */
#ifndef IO_HTTP_BODY_H
#define IO_HTTP_BODY_H

#include "io/http_private.h"

/* The head has come: will the body be read as it comes, and how long may it be? */
void http_body_begin(struct http_conn *conn, struct edged_slice segments);
/* May the request be brought to the router, now that some of its body may have come? */
bool http_body_is_enough(const struct http_conn *conn);
/* Bytes have come, or the end, or somebody reads from now on: gives on what can be. */
void http_body_move(struct http_conn *conn);
/* front.body_wanted() */
void http_body_wanted(struct http_conn *conn, size_t n);
/* An answer comes: is so much of the body left that the connection had better end behind it? */
bool http_body_is_left(const struct http_conn *conn);
void http_body_clear(struct http_conn *conn);

#endif
