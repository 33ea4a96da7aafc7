/* SPDX-License-Identifier: Apache-2.0 */
/* The writing half of a stream: its queue, and sending it. */
#ifndef IO_STREAM_OUT_H
#define IO_STREAM_OUT_H

#include "io/stream_private.h"

int stream_write(struct edged_stream *stream, const void *bytes, size_t n);
int stream_write_blob(struct edged_stream *stream, struct edged_blob *blob, size_t offset, size_t n);
/* Appends without limit and framing. -ENOMEM. */
int stream_queue_bytes(struct edged_stream *stream, const void *bytes, size_t n);
/* A new segment at the end of the queue with at least `room` bytes of its own. NULL: no memory. */
struct segment *stream_add_segment(struct edged_stream *stream, size_t room);
void stream_sent(struct edged_stream *stream, size_t n); /* the first n bytes of the queue are out */
void stream_drop_queue(struct edged_stream *stream);
/* Takes copies of what is left of others' blobs, as far as *budget bytes go. -ENOBUFS: not all of them, or no memory. */
int stream_own_queue(struct edged_stream *stream, size_t *budget);
/* Sends what can be sent now, calls drained(), and ends a stream that closes once all is out. Not inside
 * callbacks. */
void stream_flush(struct edged_stream *stream);
/* Waits for the socket to take more, or no longer. */
int stream_want_write(struct edged_stream *stream, bool wanted);

#endif
