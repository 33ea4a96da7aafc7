/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/proxy_answer.h"

#include <errno.h>
#include <stdio.h>
#include "cluster/proxy_ask.h"
#include "io/loop.h"

/* --- the client's side --- */

void proxied_done(struct proxied *proxied)
{
	proxied->phase = PHASE_DONE;
	proxied->request = 0;
	if (proxied->call)
		link_call_cancel(TAKE(proxied->call));
	proxy_exchange_end(&proxied->exchange, false);
	loop_defer(proxied->proxy->deps.loop, &proxied->later);
}

void proxied_gone(void *arg)
{
	struct proxied *proxied = arg;
	proxied_done(proxied);
}

static void consume(struct proxied *proxied)
{
	size_t n = proxied->unconsumed;
	proxied->unconsumed = 0;
	if (proxied->call && n)
		link_call_consume(proxied->call, n);
}

static void stream_out(struct proxied *proxied, struct edged_slice bytes)
{
	int r = request_stream_write(proxied_requests(proxied), proxied->request, bytes);
	if (r < 0) {
		(void)request_stream_abort(proxied_requests(proxied), proxied->request);
		proxied_done(proxied);
	} else {
		proxied->full = r == EDGED_HTTP_FULL;
	}
}

static void finish_stream(struct proxied *proxied)
{
	(void)request_stream_end(proxied_requests(proxied), proxied->request);
	proxied_done(proxied);
}

static void on_room(void *arg)
{
	struct proxied *proxied = arg;
	proxied->full = false;
	if (proxied->phase != PHASE_STREAM)
		return;
	if (proxied->body.len > 0) {
		stream_out(proxied, buf_slice(&proxied->body));
		buf_clear(&proxied->body);
	}
	if (proxied->phase == PHASE_STREAM && proxied->ended)
		finish_stream(proxied);
	else if (!proxied->full)
		consume(proxied);
}

/* --- the answer --- */

void proxied_answer_problem(struct proxied *proxied, const struct link_failure *failure)
{
	const struct detour *detour = proxied->detour;
	bool other = detour && detour->failed;
	if (other && !detour->target.id[0]) {
		proxied_answer_nobody(proxied);
		return;
	}
	proxied->proxy->counts.failed++;
	proxy_answer_failure(proxied_requests(proxied), proxied->request,
	        other ? &detour->target : &proxied->target, other ? &detour->failure : failure);
	proxied_done(proxied);
}

void proxied_answer_cached(struct proxied *proxied, const struct edged_proxy_answer *answer)
{
	proxied->proxy->counts.cached++;
	proxy_answer_cached(proxied_requests(proxied), proxied->request, answer);
	proxied_done(proxied);
}

/* -ENOENT: the client has gone; -ENOSPC: too many headers. */
static int copy_headers(struct proxied *proxied, const struct header *headers, size_t count)
{
	struct edged_slice connection = proxy_connection_header(headers, count);
	for (size_t i = 0; i < count; i++) {
		const struct header *header = &headers[i];
		if (proxy_header_is_type(header)) {
			snprintf(proxied->type, sizeof(proxied->type), "%s", header->value.ptr);
			proxied->has_type = true;
		} else if (!proxy_header_stays(header, connection)) {
			int r = request_set_header(proxied_requests(proxied), proxied->request,
			        header->name.ptr, header->value.ptr);
			if (r && r != -EINVAL)
				return r;
		}
	}
	return 0;
}

void proxied_answer_head(struct proxied *proxied, int status, const struct header *headers, size_t count,
        int64_t length, const struct edged_proxy_answer *added)
{
	struct requests *requests = proxied_requests(proxied);
	if (proxied->phase != PHASE_WAITING)
		return;
	int r = copy_headers(proxied, headers, count);
	if (r == -ENOSPC) {
		struct link_failure failure = { .cause = LINK_REJECTED,
			.why = "its answer has too many headers" };
		proxied_answer_problem(proxied, &failure);
		return;
	}
	proxy_add_fields(requests, proxied->request, added);
	proxied->status = status;
	proxied->length = length;
	if (proxied->is_head || (length >= 0 && length <= PROXY_WHOLE)) {
		proxied->phase = PHASE_WHOLE;
		return;
	}
	proxied->phase = PHASE_STREAM;
	r = request_stream_begin(requests, proxied->request, status, proxied->has_type ? proxied->type : NULL,
	        on_room, proxied_gone, proxied);
	if (r)
		proxied_done(proxied);
}

void proxied_answer_data(struct proxied *proxied, struct edged_slice bytes)
{
	if (bytes.len == 0)
		return;
	if (proxied->tunnel) {
		tunnel_bytes(proxied->tunnel, bytes);
		return;
	}
	if (proxied->phase == PHASE_STREAM && !proxied->full) {
		stream_out(proxied, bytes);
	} else if (proxied->phase == PHASE_STREAM || proxied->phase == PHASE_WHOLE) {
		if (buf_add(&proxied->body, bytes.ptr, bytes.len)) {
			struct link_failure failure = { .cause = LINK_REJECTED,
				.why = "no memory for its answer" };
			if (proxied->phase == PHASE_WHOLE) {
				proxied_answer_problem(proxied, &failure);
			} else {
				(void)request_stream_abort(proxied_requests(proxied), proxied->request);
				proxied_done(proxied);
			}
			return;
		}
	}
	proxied->unconsumed += bytes.len;
	if (!proxied->full && proxied->call)
		consume(proxied);
}

static void answer_whole(struct proxied *proxied)
{
	/* Of an answer to HEAD the front end tells the length and reads no byte. */
	struct edged_slice body = proxied->is_head && proxied->length > 0
	                                  ? edged_slice(NULL, (size_t)proxied->length)
	                                  : buf_slice(&proxied->body);
	(void)request_reply(proxied_requests(proxied), proxied->request, proxied->status,
	        proxied->has_type ? proxied->type : NULL, body);
	proxied_done(proxied);
}

void proxied_answer_end(struct proxied *proxied, const struct link_failure *failure)
{
	switch (proxied->phase) {
	case PHASE_WAITING:
	case PHASE_WHOLE:
		if (failure)
			proxied_answer_problem(proxied, failure);
		else
			answer_whole(proxied);
		break;
	case PHASE_STREAM:
		proxied->ended = true;
		if (failure) {
			proxied->proxy->counts.failed++;
			(void)request_stream_abort(proxied_requests(proxied), proxied->request);
			proxied_done(proxied);
		} else if (proxied->body.len == 0) {
			finish_stream(proxied);
		}
		break;
	case PHASE_TUNNEL:
		if (proxied->tunnel)
			tunnel_end(proxied->tunnel, !failure);
		else
			proxied_done(proxied);
		break;
	case PHASE_DONE:
		break;
	}
}

/* --- a WebSocket --- */

static ssize_t tunnel_send(void *arg, struct edged_slice bytes)
{
	struct proxied *proxied = arg;
	int r = proxied->call ? link_call_send(proxied->call, bytes, false) : 0;
	if (r)
		return r;
	proxied->unsent += proxied->call ? bytes.len : 0;
	return (ssize_t)proxied->unsent;
}

static void tunnel_taken(void *arg, size_t n)
{
	const struct proxied *proxied = arg;
	if (proxied->call)
		link_call_consume(proxied->call, n);
}

/* In order: the other side hears of it behind what was sent, and ends its side. */
static void tunnel_closed(void *arg, int reason)
{
	struct proxied *proxied = arg;
	tunnel_leave(TAKE(proxied->tunnel));
	if (reason || !proxied->call || link_call_send(proxied->call, edged_slice(NULL, 0), true))
		proxied_done(proxied);
}

static const struct tunnel_link tunnel_link = { tunnel_send, tunnel_taken, tunnel_closed };

void proxied_begin_tunnel(struct proxied *proxied, const struct link_message *answer)
{
	const struct proxy_deps *deps = &proxied->proxy->deps;
	int r = tunnel_new(deps->loop, deps->window, &tunnel_link, proxied, &proxied->tunnel);
	const struct request_upgrade upgrade = { .handler = &tunnel_handler,
		.self = proxied->tunnel,
		.protocol = proxy_subprotocol(answer->headers, answer->header_count),
		.raw = true };
	if (!r)
		r = request_upgrade(deps->requests, proxied->request, &upgrade);
	if (!r) {
		proxied->request = 0;
		proxied->phase = PHASE_TUNNEL;
		return;
	}
	tunnel_leave(TAKE(proxied->tunnel));
	const struct link_failure failure = { .cause = LINK_BUSY, .why = "this node is short of memory" };
	proxied_answer_problem(proxied, &failure);
}
