/* SPDX-License-Identifier: Apache-2.0 */
/* TLS below a stream (OpenSSL). */
#ifndef IO_STREAM_TLS_H
#define IO_STREAM_TLS_H

#include "io/stream_private.h"

EDGED_MUST_CHECK int stream_tls_new(struct edged_stream *stream, const struct stream_origin *origin);
void stream_tls_free(struct stream_tls *tls);
bool stream_tls_is_ready(const struct stream_tls *tls);
/* Goes on with the handshake. 0: done, and the peer is filled in; 1: waits for the socket; < 0: failed. */
EDGED_MUST_CHECK int stream_tls_handshake(struct edged_stream *stream);
/* Like recv(2) and send(2) but for -errno. recv sets stream->again when there is more that the socket will
 * not tell. */
ssize_t stream_tls_recv(struct edged_stream *stream, uint8_t *bytes, size_t n);
/* Sends from the queue until it is empty or blocked: bytes sent, or -errno when none. */
ssize_t stream_tls_send(struct edged_stream *stream);
void stream_tls_shutdown(struct stream_tls *tls); /* says good-bye */
struct edged_slice stream_tls_alpn(const struct stream_tls *tls);

#endif
