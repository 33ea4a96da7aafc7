/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability "edged.http/1": look at a request and answer it, at once or later, whole or as a stream.
 *
 * A request is named by its handle. It lives until it was answered, its client went away, or its time ran out; a call
 * with the handle of a request that is gone returns -ENOENT (or an empty slice) and does nothing. Main loop only.
 * Slices that the readers return are valid until the request is answered or gone.
 *
 * Semantics of HTTP: RFC 9110; problem documents: RFC 9457; server-sent events: WHATWG HTML, section 9.2.
 */
#ifndef EDGED_CAP_HTTP_H
#define EDGED_CAP_HTTP_H

#include <stdbool.h>
#include "edged/peer.h"
#include "edged/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDGED_HTTP_1 "edged.http/1"

/* stream_write() took the bytes, but the client is slow: wait for on_room before writing more. */
#define EDGED_HTTP_FULL 1

struct edged_http_1 {
	uint32_t struct_size;
	/* --- reading --- */
	struct edged_slice (*method)(struct edged_host *host, edged_handle request);
	struct edged_slice (*path)(
	        struct edged_host *host, edged_handle request); /* decoded, without query */
	/* What {name} of the route's template matched, percent-decoded (RFC 3986); empty when there is none. */
	struct edged_slice (*param)(struct edged_host *host, edged_handle request, const char *name);
	/* The query parameter, decoded; .ptr is NULL when it is absent and not when it is empty. A '+' stays a '+'. */
	struct edged_slice (*query)(struct edged_host *host, edged_handle request, const char *name);
	/* The header's value (name in any case); .ptr is NULL when it is absent. */
	struct edged_slice (*header)(struct edged_host *host, edged_handle request, const char *name);
	struct edged_slice (*body)(struct edged_host *host, edged_handle request);
	/* Who asks; NULL when the request is gone. */
	const struct edged_peer *(*peer)(struct edged_host *host, edged_handle request);
	/* --- answering --- */
	/* Adds a header to the answer to come; call before reply or stream_begin. */
	int (*set_header)(struct edged_host *host, edged_handle request, const char *name, const char *value);
	/* The whole answer. content_type NULL sends none; the body is copied. */
	int (*reply)(struct edged_host *host, edged_handle request, int status, const char *content_type,
	        struct edged_slice body);
	/* A problem document: type is a short stable name ("shadow-not-found"), title says what is wrong, and detail says
	 * where, why and what to do. */
	int (*problem)(struct edged_host *host, edged_handle request, int status, const char *type,
	        const char *title, const char *detail);
	/* --- streaming --- */
	/* Sends the head; then stream_write any number of times and stream_end once. on_gone runs once when the client
	 * left or the daemon stops (not after stream_end); on_room when a full stream has room again. Both may be NULL.
	 * A streamed answer has no time limit; the number of open ones is limited. */
	int (*stream_begin)(struct edged_host *host, edged_handle request, int status,
	        const char *content_type, void (*on_room)(void *arg), void (*on_gone)(void *arg), void *arg);
	/* 0, EDGED_HTTP_FULL, -ENOENT, or -ENOBUFS when a writer ignored EDGED_HTTP_FULL up to the hard limit (nothing
	 * of this call was taken). */
	int (*stream_write)(struct edged_host *host, edged_handle request, struct edged_slice bytes);
	int (*stream_end)(struct edged_host *host, edged_handle request);
	/* --- before the answer --- */
	/* on_gone(arg) runs once when the request is gone before the plugin has answered: its client left, its time ran out, or
	 * the daemon stops. For who keeps something for it meanwhile. reply() and problem() end that, stream_begin() puts its
	 * own in its place; NULL takes it back. -ENOENT; -EALREADY: a streamed answer has begun. */
	int (*on_gone)(struct edged_host *host, edged_handle request, void (*on_gone)(void *arg), void *arg);
	/* For a service whose things are spread over the nodes: what the request is about is not here. It is passed on to the node of
	 * the account that has it, of those with this plugin's service one that answers GET `probe` (a path without query,
	 * percent-encoded) with 200. When none does, the answer is 404 with these texts; `type` and `title` are static. The
	 * plugin judges the client's rights before: the other node sees a node that it trusts. 0: the request is not the
	 * plugin's any more. A negative errno: it is, and has no answer yet. */
	EDGED_MUST_CHECK int (*elsewhere)(struct edged_host *host, edged_handle request, const char *probe,
	        const char *type, const char *title, const char *detail);
	/* --- a body that comes bit by bit, of a route with EDGED_ROUTE_STREAMED_BODY --- */
	/* From now on on_body(arg) gets the body in pieces, never from within this call; `last` comes with the last one, which may
	 * have no bytes. A client that waits for "100 Continue" is told to go on. The bytes are valid during the call and count
	 * until body_taken(): of those that are not taken, about http.body_window bytes come at most, and the client, or the
	 * node in between, is held back. When the client leaves before the last piece, on_gone runs. While a piece is not
	 * taken, or all have come, the time for the answer runs, begun anew by each; an answer may come earlier, and the rest
	 * of the body is then not read. -ENODATA: nothing comes, the whole body is there for body(); -EALREADY: it is read;
	 * -ENOENT: gone. */
	EDGED_MUST_CHECK int (*read_body)(struct edged_host *host, edged_handle request,
	        void (*on_body)(void *arg, struct edged_slice bytes, bool last), void *arg);
	/* n more bytes are dealt with: as many may come. -EINVAL: more than were given; -ENOENT: gone. */
	int (*body_taken)(struct edged_host *host, edged_handle request, size_t n);
	/* How many bytes a body has that comes, as its sender says; -1: it does not, or none comes. */
	int64_t (*body_length)(struct edged_host *host, edged_handle request);
};

#ifdef __cplusplus
}
#endif

#endif
