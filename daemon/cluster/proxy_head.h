/* SPDX-License-Identifier: Apache-2.0 */
/* What of a request and of an answer the proxy passes on, and what it says when it could not. */
#ifndef CLUSTER_PROXY_HEAD_H
#define CLUSTER_PROXY_HEAD_H

#include "edged/cap_auth.h" /* struct edged_http_field */
#include "base/buf.h"
#include "cluster/nodes.h"
#include "core/request.h"

struct link_failure;

enum { PROXY_CONDITIONS = 2 };

struct proxy_head {
	struct edged_slice target; /* path and query for the other node, as on the wire */
	struct header *headers;    /* those that go on, and the links' own */
	size_t count;
	struct buf text;       /* who asked */
	struct buf conditions; /* of a cache */
};
/* Slices of the request are borrowed. `target`: for the other node. */
EDGED_MUST_CHECK int proxy_head_make(struct proxy_head *ret, struct requests *requests, edged_handle request,
        struct edged_slice target, const char *own_id);
/* At most PROXY_CONDITIONS fields take the place of If-None-Match and If-Modified-Since. All is copied. On
 * failure (-ENOMEM, -EINVAL) nothing has changed. */
EDGED_MUST_CHECK int proxy_head_conditions(
        struct proxy_head *head, const struct edged_http_field *fields, size_t count);
void proxy_head_fini(struct proxy_head *head);

/* The target behind its first `segments` segments, with its query; "/" when nothing is there. */
struct edged_slice proxy_rest(struct edged_slice target, unsigned segments);
struct edged_slice proxy_connection_header(const struct header *headers, size_t count);
/* Of an answer: not for the client. */
bool proxy_header_stays(const struct header *header, struct edged_slice connection);
bool proxy_header_is_type(const struct header *header);
/* What a WebSocket's two ends have agreed on, or "". */
const char *proxy_subprotocol(const struct header *headers, size_t count);
/* Is it about a device behind the node, not about the node? */
bool proxy_is_of_device(const struct header *headers, size_t count);

/* Answers with a problem document. */
void proxy_answer_failure(struct requests *requests, edged_handle request, const struct node_record *target,
        const struct link_failure *failure);

#endif
