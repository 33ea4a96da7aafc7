/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: bytes in and out, whatever carries them. The functions are those of `edged.stream/1`, see edged/cap_stream.h
 * for what each promises; handlers of the daemon itself (HTTP, links) use the same vtable as plugins.
 */
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include "edged/cap_stream.h"
#include "base/err.h"
#include "io/loop.h"

struct tls_context;

/* The capability's functions, for the daemon's own use and for plugin/cap_stream.c. `serve` in it is NULL.
 * The hard limit of the queue is 4 times its high mark, at least 1 MiB; it refuses bytes once so many wait. */
extern const struct edged_stream_1 stream_functions;

/* Told when the stream has gone for good: reason as in closed(). On the stream's loop, after closed(). */
struct stream_owner {
	void (*gone)(struct stream_owner *owner, int reason);
};

/* A stream on a connected, non-blocking socket, which it takes, also when it fails. `tls` NULL: plain. Strings are
 * copied. The handler's open() is called before this returns, or after the TLS handshake. When choose() or open() refuse
 * at once their error is returned and the stream goes by itself. Call on the loop's thread. */
struct stream_origin {
	int fd;
	struct tls_context *tls;
	bool client;          /* which side of TLS we are */
	const char *listener; /* static as long as the stream lives */
	const char *address;  /* peer's address as text */
	bool loopback;
	int64_t uid;
	const char *server_name;    /* TLS client: SNI, or NULL */
	const char *alpn;           /* TLS client: the protocol to ask for, or NULL */
	uint64_t handshake_ms;      /* absolute limit for the TLS handshake and the first bytes */
	uint64_t waited_ms;         /* of it, before the stream began */
	struct stream_owner *owner; /* or NULL */
};
/* Picks the handler once the protocol is known: `alpn` may be NULL (not TLS, or none agreed). Returns 0 and the
 * handler, or -ENOPROTOOPT. For listeners of protocol `auto` it is called with first bytes. */
struct stream_chooser {
	int (*choose)(void *arg, struct edged_stream *stream, struct edged_slice alpn,
	        struct edged_slice first_bytes, const struct edged_stream_handler **ret_handler,
	        void **ret_self);
	/* choose() may return this to see more bytes first (at most 16). */
#define STREAM_NEED_MORE 1
	void *arg;
	bool wants_bytes; /* call choose only once bytes came */
};
EDGED_MUST_CHECK int stream_new(struct loop *loop, const struct stream_origin *origin,
        const struct stream_chooser *chooser, struct edged_stream **ret);

/* A handler may give its stream to another handler, e.g. HTTP after an upgrade. `pending` are bytes read but not used
 * up, as they came over the wire; they are shown to the new handler first. Call inside data(), then return n, or outside
 * of callbacks. The new handler's open() is called soon after; the old handler is not called any more. */
EDGED_MUST_CHECK int stream_hand_over(struct edged_stream *stream, const struct edged_stream_handler *handler,
        void *self, struct edged_slice pending);

/* From now on the stream carries WebSocket frames (RFC 6455): handlers read and write the bytes of binary messages.
 * Server side; call before stream_hand_over(). Text frames end it with 1003, fragments are joined by streaming. */
EDGED_MUST_CHECK int stream_become_websocket(struct edged_stream *stream);

/* Ends all streams that (handler, self) has, on all loops; closed() of each was called with -ESHUTDOWN when this returns,
 * but for a stream whose own callback makes the call. What closed() wrote and what waited before goes out without the
 * handler, within 2 s while the loops run. Main loop. */
void streams_end(struct loops *loops, const struct edged_stream_handler *handler, void *self);
/* The same for all streams whose owner has this gone(), with a handler or without. */
void streams_end_owned(struct loops *loops, void (*gone)(struct stream_owner *owner, int reason));

/* Breaks off all streams on which the peer proved to be that node: it was removed. Main loop. */
void streams_end_node(struct loops *loops, const char *node_id);

/* Tells no owner any more, for an owner that goes before its stream. */
void stream_disown(struct edged_stream *stream);

/* The peer begins anew, with all the time that those have who have just connected. */
void stream_restart_clock(struct edged_stream *stream);
/* Changes what the peer may do, once it proved something (the access key). */
void stream_set_trusted(struct edged_stream *stream, bool trusted);
/* Who signed the request that it began with; copied. -ENOMEM. */
EDGED_MUST_CHECK int stream_set_signer(struct edged_stream *stream, const char *principal);
struct loop *stream_loop(const struct edged_stream *stream);
/* The peer's certificate as DER, or an empty slice. Valid as long as the stream. */
struct edged_slice stream_peer_certificate(const struct edged_stream *stream);
struct edged_slice stream_peer_issuer(const struct edged_stream *stream); /* the one sent behind it */
/* Does it speak TLS 1.3 at least? After the handshake. */
bool stream_is_tls13(const struct edged_stream *stream);
/* TLS keying material exporter (RFC 5705/8446 section 7.5), for channel binding. */
EDGED_MUST_CHECK int stream_export_key(
        struct edged_stream *stream, const char *label, uint8_t *out, size_t n);

/* For /metrics. Any thread. */
struct stream_counts {
	uint64_t open, accepted, refused, proxy_refused, bytes_in, bytes_out;
	uint64_t waiting; /* bytes that peers do not take */
};
struct stream_counts stream_counts(void);
void stream_count_accepted(void); /* for those who accept connections */
void stream_count_refused(void);
void stream_count_proxy_refused(void); /* not one of the proxies, or without a sound header */

#endif
