/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where connections of proxies wait until their header is there (see io/proxy_header.h). Only the bytes of the header
 * are taken from the socket, so that TLS, or whatever comes next, finds its own first byte. Main loop.
 */
#ifndef IO_PROXY_DOOR_H
#define IO_PROXY_DOOR_H

#include "io/loop.h"
#include "io/proxy_header.h"

struct proxy_door;

struct stream_owner;

/* A connection that waits, and what it is charged to. */
struct proxy_guest {
	void *listener;
	struct stream_owner *owner;
	struct sockaddr_storage proxy; /* who connected */
	socklen_t proxy_len;
	int fd;
};

/* `done` hears the end of each wait and gets the fd: result 0 and the header, and how many ms it took, or
 * -ETIMEDOUT, -ECONNRESET when the proxy left, or an error of proxy_header_read(), recv() or -ENOMEM. */
EDGED_MUST_CHECK int proxy_door_new(struct loop *loop,
        void (*done)(void *arg, const struct proxy_guest *guest, int result,
                const struct proxy_header *header, uint64_t waited_ms),
        void *arg, struct proxy_door **ret);
/* Closes all that wait, and tells only their owners. */
void proxy_door_free(struct proxy_door *door, void (*gone)(struct stream_owner *owner, int reason));
/* Takes the fd unless it fails with -ENOMEM. done() is not called before this returns. */
EDGED_MUST_CHECK int proxy_door_wait(struct proxy_door *door, const struct proxy_guest *guest, uint64_t ms);

#endif
