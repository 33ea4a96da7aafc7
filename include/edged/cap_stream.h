/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability "edged.stream/1": byte streams from clients, whatever carries them (TCP, TLS, WebSocket, Unix socket).
 *
 * A plugin serves a protocol by name. Listeners (`--listen mqtt=...`, ALPN, first bytes) bring streams to it. A stream
 * belongs to one loop; its callbacks run there and only there, and all functions below are called on that loop.
 *
 * Reading: bytes come in through data(), straight out of the loop's read buffer. Writing: everything queued in one
 * turn of the loop goes out with one writev(2) at the end of the turn.
 */
#ifndef EDGED_CAP_STREAM_H
#define EDGED_CAP_STREAM_H

#include <sys/types.h>
#include "edged/blob.h"
#include "edged/peer.h"
#include "edged/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDGED_STREAM_1 "edged.stream/1"

struct edged_stream; /* opaque; valid from open() until closed() returns */

struct edged_stream_handler {
	uint32_t struct_size;
	/* A new stream. *ret_conn is handed to the other callbacks. A non-zero return closes it; closed() is not called. */
	int (*open)(void *self, struct edged_stream *stream, void **ret_conn);
	/* Bytes have come. Returns how many were used up, 0..n; the rest is shown again in front of what comes next, at
	 * most 64 KiB unless set_read_limit() allowed more (a peer that makes it fuller is closed). A negative errno
	 * closes the stream after what is queued for writing was sent. Not called while paused. */
	ssize_t (*data)(void *conn, const uint8_t *bytes, size_t n);
	/* The queue for writing, which had been over its high mark, fell below its low mark. May be NULL. */
	void (*drained)(void *conn);
	/* The stream has ended, by either side: reason is 0 (peer closed in order), or a negative errno (-ETIMEDOUT for a
	 * deadline, -ECONNRESET, -ENOBUFS for a limit, -ECANCELED for our own close()). -ESHUTDOWN: the plugin stops. Then,
	 * and only then, the stream still takes write() and write_blob(): last words, sent within 2 s or dropped. The last
	 * call for this conn. */
	void (*closed)(void *conn, int reason);
	/* The peer will send no more, but may still read: it shut down its side (RFC 9112 section 9.6), or it left, which over
	 * TCP shows only once something is written to it; closed() then follows. True: an answer is still to be written,
	 * and the handler closes. False, or NULL: what is queued is sent, and closed(0) follows. */
	bool (*finished)(void *conn);
	/* The deadline has passed. What is written here is sent before the stream ends with -ETIMEDOUT. May be NULL. */
	void (*expired)(void *conn);
};

struct edged_stream_1 {
	uint32_t struct_size;
	/* Streams of `protocol` ("mqtt") go to this handler from now on. -EEXIST: taken. Ends when the plugin stops: before
	 * its stop() is called, closed(-ESHUTDOWN) is, for each of its streams and on the stream's own loop. Main loop. */
	EDGED_MUST_CHECK int (*serve)(struct edged_host *host, const char *protocol,
	        const struct edged_stream_handler *handler, void *self);
	/* Queue a copy of the bytes. 0; -EPIPE after close; -ENOBUFS: over the hard limit of the queue (the stream is then
	 * closing). Never calls back into the handler. */
	int (*write)(struct edged_stream *stream, const void *bytes, size_t n);
	/* Queue n bytes of the blob at `offset` without a copy; takes a reference of its own. */
	int (*write_blob)(struct edged_stream *stream, struct edged_blob *blob, size_t offset, size_t n);
	/* Bytes queued and not yet taken by the kernel. */
	size_t (*queued)(const struct edged_stream *stream);
	/* Marks of the write queue in bytes, for drained() and is_full(); default 64 KiB and 256 KiB. */
	void (*set_marks)(struct edged_stream *stream, size_t low, size_t high);
	bool (*is_full)(const struct edged_stream *stream); /* over its high mark */
	/* How many unused bytes data() may leave behind; default 64 KiB. */
	void (*set_read_limit)(struct edged_stream *stream, size_t n);
	void (*pause)(struct edged_stream *stream);
	void (*resume)(struct edged_stream *stream);
	/* Close `ms` from now (absolute: bytes do not move it) with reason -ETIMEDOUT; 0 takes the deadline back. */
	void (*deadline)(struct edged_stream *stream, uint64_t ms);
	/* Send what is queued (for 2 s at most), then end. closed() follows from the loop, never from within this call. */
	void (*close)(struct edged_stream *stream);
	/* End at once and drop what is queued. */
	void (*abort)(struct edged_stream *stream);
	const struct edged_peer *(*peer)(const struct edged_stream *stream);
	/* Hand the stream to loop `loop`; arrived(conn) runs there, and from then on all callbacks do. Between the two
	 * nobody may touch the stream. Allowed inside data(), which must then return what it used up so far. */
	EDGED_MUST_CHECK int (*move)(struct edged_stream *stream, unsigned loop, void (*arrived)(void *conn));
	/* What was written up to here is a whole message of the protocol. A WebSocket's frame ends here, for the sake of
	 * clients that look for one message in a frame; elsewhere nothing happens. */
	void (*message_end)(struct edged_stream *stream);
	/* Bytes that wait because their peers do not read, of all streams of the daemon. Any loop. */
	uint64_t (*waiting)(struct edged_host *host);
};

#ifdef __cplusplus
}
#endif

#endif
