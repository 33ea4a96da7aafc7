/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where connections come from: how many each source has open, and how fast it opens more. A source is an IPv4 address
 * or an IPv6 /64. Sources are taken on the main loop and given back on any.
 */
#ifndef IO_SOURCE_H
#define IO_SOURCE_H

#include <sys/socket.h>
#include "io/listener.h"
#include "io/stream.h"

struct sources;

void sources_set_limits(struct sources *all, const struct listener_limits *limits);
EDGED_MUST_CHECK int sources_new(const struct listener_limits *limits, struct sources **ret);
void sources_free(struct sources *sources); /* lives on until the last stream has gone */
/* May this address open one more connection? An exempt one counts only among all connections. 0 and an owner for its stream, or -ENOSPC (all connections), -EMFILE (of
 * its source), -EAGAIN (too fast), -ENOMEM. */
EDGED_MUST_CHECK int sources_take(struct sources *sources, const struct sockaddr_storage *address,
        bool exempt, uint64_t now, struct stream_owner **ret);
void sources_give_back(struct stream_owner *owner);
void sources_gone(
        struct stream_owner *owner, int reason); /* the same; what all owners from here have as gone() */

#endif
