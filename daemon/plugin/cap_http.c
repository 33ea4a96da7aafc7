/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/cap_http.h"

#include <errno.h>
#include "core/request.h"
#include "plugin/context.h"

/* The requests, when this one is the calling plugin's. */
static struct requests *mine(struct edged_host *host, edged_handle request)
{
	struct plugin_context *context = context_of(host);
	struct requests *requests = context->deps->requests;
	return request_owner(requests, request) == context ? requests : NULL;
}

static const struct edged_slice nothing = { NULL, 0 };

static struct edged_slice method(struct edged_host *host, edged_handle request)
{
	struct requests *requests = mine(host, request);
	return requests ? request_method(requests, request) : nothing;
}

static struct edged_slice path(struct edged_host *host, edged_handle request)
{
	struct requests *requests = mine(host, request);
	return requests ? request_path(requests, request) : nothing;
}

static struct edged_slice param(struct edged_host *host, edged_handle request, const char *name)
{
	struct requests *requests = mine(host, request);
	return requests ? request_param(requests, request, name) : nothing;
}

static struct edged_slice query(struct edged_host *host, edged_handle request, const char *name)
{
	struct requests *requests = mine(host, request);
	return requests ? request_query(requests, request, name) : nothing;
}

static struct edged_slice header(struct edged_host *host, edged_handle request, const char *name)
{
	struct requests *requests = mine(host, request);
	return requests ? request_header(requests, request, name) : nothing;
}

static struct edged_slice body(struct edged_host *host, edged_handle request)
{
	struct requests *requests = mine(host, request);
	return requests ? request_body(requests, request) : nothing;
}

static const struct edged_peer *peer(struct edged_host *host, edged_handle request)
{
	struct requests *requests = mine(host, request);
	return requests ? request_peer(requests, request) : NULL;
}

static int set_header(struct edged_host *host, edged_handle request, const char *name, const char *value)
{
	struct requests *requests = mine(host, request);
	return requests ? request_set_header(requests, request, name, value) : -ENOENT;
}

static int reply(struct edged_host *host, edged_handle request, int status, const char *content_type,
        struct edged_slice bytes)
{
	struct requests *requests = mine(host, request);
	return requests ? request_reply(requests, request, status, content_type, bytes) : -ENOENT;
}

static int problem(struct edged_host *host, edged_handle request, int status, const char *type,
        const char *title, const char *detail)
{
	struct requests *requests = mine(host, request);
	return requests ? request_problem(requests, request, status, type, title, detail) : -ENOENT;
}

static int stream_begin(struct edged_host *host, edged_handle request, int status, const char *content_type,
        void (*on_room)(void *arg), void (*on_gone)(void *arg), void *arg)
{
	struct requests *requests = mine(host, request);
	return requests ? request_stream_begin(requests, request, status, content_type, on_room, on_gone, arg)
	                : -ENOENT;
}

static int stream_write(struct edged_host *host, edged_handle request, struct edged_slice bytes)
{
	struct requests *requests = mine(host, request);
	return requests ? request_stream_write(requests, request, bytes) : -ENOENT;
}

static int stream_end(struct edged_host *host, edged_handle request)
{
	struct requests *requests = mine(host, request);
	return requests ? request_stream_end(requests, request) : -ENOENT;
}

static int on_gone(struct edged_host *host, edged_handle request, void (*gone)(void *arg), void *arg)
{
	struct requests *requests = mine(host, request);
	return requests ? request_on_gone(requests, request, gone, arg) : -ENOENT;
}

static int elsewhere(struct edged_host *host, edged_handle request, const char *probe, const char *type,
        const char *title, const char *detail)
{
	const struct plugin_context *context = context_of(host);
	const struct plugins_deps *deps = context->deps;
	if (!mine(host, request))
		return -ENOENT;
	if (!deps->elsewhere)
		return request_problem(deps->requests, request, 404, type, title, detail);
	return deps->elsewhere(deps->arg, request, context->name, probe, type, title, detail);
}

static int read_body(struct edged_host *host, edged_handle request,
        void (*on_body)(void *arg, struct edged_slice bytes, bool last), void *arg)
{
	struct requests *requests = mine(host, request);
	return requests ? request_read_body(requests, request, on_body, arg) : -ENOENT;
}

static int body_taken(struct edged_host *host, edged_handle request, size_t n)
{
	struct requests *requests = mine(host, request);
	return requests ? request_body_taken(requests, request, n) : -ENOENT;
}

static int64_t body_length(struct edged_host *host, edged_handle request)
{
	struct requests *requests = mine(host, request);
	return requests ? request_body_length(requests, request) : -1;
}

const struct edged_http_1 cap_http = {
	.struct_size = sizeof(cap_http),
	.method = method,
	.path = path,
	.param = param,
	.query = query,
	.header = header,
	.body = body,
	.peer = peer,
	.set_header = set_header,
	.reply = reply,
	.problem = problem,
	.stream_begin = stream_begin,
	.stream_write = stream_write,
	.stream_end = stream_end,
	.on_gone = on_gone,
	.elsewhere = elsewhere,
	.read_body = read_body,
	.body_taken = body_taken,
	.body_length = body_length,
};
