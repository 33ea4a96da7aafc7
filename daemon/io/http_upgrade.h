/* SPDX-License-Identifier: Apache-2.0 */
/* From HTTP/1.1 to WebSocket (RFC 6455): the handshake, and the path /mqtt, where MQTT is spoken. */
#ifndef IO_HTTP_UPGRADE_H
#define IO_HTTP_UPGRADE_H

#include "io/http_private.h"

/* The routes /mqtt and /broker/mqtt, for clients and for what other nodes pass on; its owner is the server. */
EDGED_MUST_CHECK int http_upgrade_serve(struct http_server *server, struct err *err);
bool http_upgrade_wanted(const struct http_head *head);
/* Is it for MQTT, here or (/nodes/{id}/mqtt, /any/broker/mqtt) on another node? Segments as in core/target.h. */
bool http_upgrade_is_for_mqtt(struct edged_slice segments);
/* Judges the handshake; false: it was refused. */
bool http_upgrade_judge(struct http_conn *conn);
/* front.upgrade() */
int http_upgrade(struct http_conn *conn, const struct request_upgrade *upgrade);

#endif
