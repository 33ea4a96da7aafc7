/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the stream share. A stream is read by stream_in.c, written by stream_out.c, and carried
 * by TCP or Unix sockets directly, by stream_tls.c, and on top of either by stream_websocket.c. stream.c
 * holds its life:
 *
 *   OPENING  the TLS handshake runs, or the protocol is not known yet; no handler
 *   OPEN     a handler has it
 *   CLOSING  what is queued goes out, then closed() is called
 *   LINGER   no handler any more; our side is shut, and what still comes in is thrown away until the peer has
 * ended too, because closing a socket with unread bytes resets it and the peer loses our last words ENDED
 * waits for the end of the turn to be freed
 *
 * Whatever a handler does inside its callbacks only marks the stream; the work is done by turn_end(), with no
 * handler on the stack. That is where streams are freed, and nowhere else while loops run.
 */
#ifndef IO_STREAM_PRIVATE_H
#define IO_STREAM_PRIVATE_H

#include <event2/event_struct.h>
#include "io/deadline.h"
#include "io/stream.h"

#define STREAM_BUFFER       131072
#define STREAM_READ         65536 /* at once, of streams that leave no more than that behind */
#define STREAM_CLOSE_MS     2000
#define STREAM_HARD_LIMIT   (1024u * 1024u)
#define STREAM_FIRST_BYTES  16
#define STREAM_LINGER_BYTES (4u * 1024u * 1024u)
#define STREAM_HALF_PROBE_S 20 /* seconds between the kernel's questions to a peer that shut down its side */
#define STREAM_LAST_COPIES  (16u * 1024u * 1024u) /* of all streams of a handler that ends */

enum stream_state { STREAM_OPENING, STREAM_OPEN, STREAM_CLOSING, STREAM_LINGER, STREAM_ENDED };

/* A piece of the queue for writing: bytes of its own behind it, or a part of a blob. */
struct segment {
	struct segment *next;
	struct edged_blob *blob; /* NULL: own bytes */
	const uint8_t *at;
	size_t len;  /* bytes at `at` not sent yet */
	size_t room; /* free bytes of our own behind them */
	uint8_t bytes[];
};

/* Bytes that came and are not used up. */
struct leftover {
	size_t start, len, size;
	uint8_t bytes[];
};

/* What a stream needs only while it changes hands. */
struct transition {
	struct post post;
	struct edged_stream *stream;
	struct stream_chooser chooser;              /* OPENING */
	const struct edged_stream_handler *handler; /* handing over */
	void *self;
	struct leftover *pending; /* handing over: wire bytes for the new handler */
	struct loop *target;      /* moving */
	void (*arrived)(void *conn);
};

struct edged_stream {
	struct event event;        /* for reading */
	struct event *write_event; /* while blocked */
	struct list link;          /* of the loop's streams */
	struct deferred turn_end;
	struct loop *loop;
	const struct edged_stream_handler *handler;
	void *self, *conn;
	struct stream_tls *tls;
	struct websocket *websocket;
	struct transition *transition;
	struct leftover *leftover;
	struct segment *head, *tail;
	size_t queued;
	size_t counted; /* of them, in the count of all that wait; as of the end of the last turn */
	struct stream_owner *owner;
	struct deadline deadline;
	uint32_t low, high, read_limit;
	int fd;
	int reason;
	uint8_t state;   /* enum stream_state */
	bool opened : 1; /* the handler's open() succeeded: closed() is owed */
	bool busy : 1;   /* one of its callbacks is on the stack */
	bool paused : 1;
	bool reading : 1; /* the read event is in */
	bool eof : 1;
	bool half : 1;       /* after eof: the peer may still read, and the handler has something to say */
	bool was_full : 1;   /* drained() is owed */
	bool again : 1;      /* look at what is there without waiting for the socket */
	bool over : 1;       /* hand over to transition->handler */
	bool moving : 1;     /* to transition->target */
	bool travelling : 1; /* between two loops */
	struct edged_peer peer;
	char address[];
};

/* Per loop. */
struct stream_loop {
	struct loop *loop;
	struct list streams;
	uint32_t count;
	struct deadlines deadlines;
	uint8_t buffer[STREAM_BUFFER]; /* read into, and TLS records gathered; not across callbacks of others
	                                */
};

static inline struct stream_loop *stream_local(const struct edged_stream *stream)
{
	return loop_local(stream->loop);
}

/* Ends it now; what is queued is dropped, closed() follows at the end of the turn. The first reason counts.
 */
void stream_end(struct edged_stream *stream, int reason);
/* Is there a peer no more, neither to send nor to read? */
bool stream_is_dead(const struct edged_stream *stream);
/* After eof: goes on writing; that the peer leaves is noticed. */
void stream_keep_half(struct edged_stream *stream);
/* Sends what is queued, then ends. */
void stream_close_for(struct edged_stream *stream, int reason);
/* Takes the read event in or out, as the state asks. */
void stream_update(struct edged_stream *stream);
/* Chooses when that is due, and opens. 0: has a handler; STREAM_NEED_MORE; < 0: the stream ended. */
int stream_choose(struct edged_stream *stream, struct edged_slice first_bytes);
struct transition *stream_transition(struct edged_stream *stream); /* made when missing; NULL: no memory */
void stream_count_bytes(uint64_t in, uint64_t out);
void stream_count_waiting(struct edged_stream *stream);

#endif
