/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that change hands: to another handler, and to another loop. Also how a stream joins and leaves a
 * loop. */
#ifndef IO_STREAM_MOVE_H
#define IO_STREAM_MOVE_H

#include "io/stream_private.h"

int stream_move(struct edged_stream *stream, unsigned loop, void (*arrived)(void *conn));
void stream_depart(struct edged_stream *stream); /* leaves its loop; the stream is not ours any more */
void stream_switch(struct edged_stream *stream); /* to the handler it was handed over to */
unsigned streams_travelling(void);               /* between loops right now. Any thread */

/* From stream.c. */
EDGED_MUST_CHECK int stream_join(
        struct edged_stream *stream, struct loop *loop); /* untouched when it fails */
void stream_leave(struct edged_stream *stream);          /* keeps deadline.due */
void stream_attach(struct edged_stream *stream);         /* its event to its loop's base */
/* 0, or the error for which it is closing. A handler that ends its stream in open() gets 0, and closed()
 * later. */
int stream_open_handler(struct edged_stream *stream, const struct edged_stream_handler *handler, void *self);
void stream_free(struct edged_stream *stream);
void stream_lose(
        struct edged_stream *stream, int reason); /* closed() and free, for one that belongs to no loop */

#endif
