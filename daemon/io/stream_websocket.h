/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket frames (RFC 6455) between a stream's carrier and its handler; we are the server. */
#ifndef IO_STREAM_WEBSOCKET_H
#define IO_STREAM_WEBSOCKET_H

#include "io/stream_private.h"

EDGED_MUST_CHECK int websocket_new(struct websocket **ret);
void websocket_free(struct websocket *websocket);
/* Turns wire bytes into bytes of messages, in place; *ret_n says how many those are, also when it ends
 * otherwise than with 0. Pings are answered. */
#define WEBSOCKET_CLOSED 1 /* the peer says good-bye */
int websocket_decode(struct edged_stream *stream, uint8_t *bytes, size_t n, size_t *ret_n);
/* Bytes are about to be queued: begins a frame unless one is open. -ENOMEM. */
EDGED_MUST_CHECK int websocket_begin(struct edged_stream *stream);
void websocket_seal(struct edged_stream *stream); /* ends the open frame, if any */
void websocket_say_close(struct edged_stream *stream, int reason);

#endif
