/* SPDX-License-Identifier: Apache-2.0 */
/* A connection that becomes a WebSocket (RFC 6455) for the broker. Main loop. */
#ifndef IO_HTTP_UPGRADE_H
#define IO_HTTP_UPGRADE_H

#include "io/http_private.h"

bool http_upgrade_wanted(const struct http_head *head, struct edged_slice path);
/* Hands the stream over, and the connection is gone; or refuses. `rest` are bytes behind the head. */
void http_upgrade(struct http_conn *conn, struct edged_slice rest);

#endif
