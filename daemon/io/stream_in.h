/* SPDX-License-Identifier: Apache-2.0 */
/* The reading half of a stream. */
#ifndef IO_STREAM_IN_H
#define IO_STREAM_IN_H

#include "io/stream_private.h"

/* The socket may have bytes. */
void stream_read(struct edged_stream *stream);
/* Shows what was left over, or what TLS already holds, without the socket having become ready. */
void stream_read_again(struct edged_stream *stream);
/* Gives bytes that came over the wire earlier to the handler; `pending` is taken. */
void stream_feed(struct edged_stream *stream, struct leftover *pending);
struct leftover *leftover_new(const void *bytes, size_t n); /* NULL: no memory */

#endif
