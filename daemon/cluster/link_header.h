/* SPDX-License-Identifier: Apache-2.0 */
/* Collects the headers of one message, one by one, within limits; and which headers are for one hop only.
 * Pure. */
#ifndef CLUSTER_LINK_HEADER_H
#define CLUSTER_LINK_HEADER_H

#include "base/buf.h"
#include "core/request.h"

struct link_message;

struct link_headers {
	struct buf text; /* name NUL value NUL ... */
	struct header *list;
	size_t count;
	size_t limit;
};

void link_headers_init(struct link_headers *headers, size_t limit, size_t bytes);
void link_headers_fini(struct link_headers *headers);
void link_headers_clear(struct link_headers *headers);
/* -ENOSPC: beyond a limit; -ENOMEM. Copies. */
EDGED_MUST_CHECK int link_headers_add(
        struct link_headers *headers, struct edged_slice name, struct edged_slice value);
/* Fills in method, target, status, length and headers, without Content-Length; valid until the next change. */
EDGED_MUST_CHECK int link_headers_message(struct link_headers *headers, struct link_message *ret);

/* Is that header of a request or answer meant for this hop only (RFC 9110 section 7.6.1)? `connection` is the
 * value of its Connection header, which may name more of them. Also those that links write themselves. */
bool link_header_is_hop(struct edged_slice name, struct edged_slice connection);
/* Case-insensitive comparison of a header's name. */
bool link_header_is(struct edged_slice name, const char *wanted);
/* The first of that name; NULL if there is none. */
const struct header *link_header_find(const struct header *headers, size_t count, const char *name);

#endif
