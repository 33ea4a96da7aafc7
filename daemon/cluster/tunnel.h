/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes between a stream of this node and a stream of a link, both ways, with back-pressure: what a WebSocket becomes that goes
 * through nodes. The stream is the client's, or one end of a socket pair whose other end is a service's. Main loop.
 *
 * The stream is paused while a window of its bytes waits to leave over the link; bytes of the link count against its window
 * until the stream has room. Either side's end is passed on behind what came before it, a breach at once.
 */
#ifndef CLUSTER_TUNNEL_H
#define CLUSTER_TUNNEL_H

#include "base/buf.h"
#include "core/request.h"
#include "io/stream.h"

struct tunnel;

/* The link's side. */
struct tunnel_link {
	/* Bytes from the stream; returns how many wait to leave, or -ENOMEM. */
	ssize_t (*send)(void *arg, struct edged_slice bytes);
	void (*taken)(void *arg, size_t n); /* of the bytes of tunnel_bytes() */
	/* The stream has ended: in order (0), or broken off. */
	void (*closed)(void *arg, int reason);
};

/* `window`: bytes of each direction that may be held here. */
EDGED_MUST_CHECK int tunnel_new(
        struct loop *loop, size_t window, const struct tunnel_link *link, void *arg, struct tunnel **ret);
/* Nothing is called any more; a stream that is still there is broken off. The tunnel goes with it. */
void tunnel_leave(struct tunnel *tunnel);
/* For the stream, with the tunnel as `self`. */
extern const struct edged_stream_handler tunnel_handler;
/* Makes a stream for what the request has become, and joins it to the tunnel. `address`: of the client. */
EDGED_MUST_CHECK int tunnel_join(
        struct tunnel *tunnel, const struct request_upgrade *upgrade, const char *address, bool trusted);

void tunnel_bytes(struct tunnel *tunnel, struct edged_slice bytes); /* from the link */
void tunnel_waiting(struct tunnel *tunnel, size_t waiting); /* so much has not left over the link yet */
/* The link's side has ended, in order or not; closed() follows. */
void tunnel_end(struct tunnel *tunnel, bool ok);

#endif
