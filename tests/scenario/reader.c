/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin that reads bodies as they come, for upload_test.py, which says when it takes what it was given. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "edged/cap_http.h"

#define READERS 16

struct reader {
	edged_handle request; /* 0: free */
	unsigned long long bytes, sum;
	size_t untaken;
	int holds, mirrors;
};

static struct edged_host *host;
static const struct edged_http_1 *http;
static struct reader readers[READERS];
static int held, gone, open_now;

static void forget(void *arg)
{
	struct reader *reader = (struct reader *)arg;
	reader->request = 0;
	gone++;
	open_now--;
}

static void take(struct reader *reader)
{
	size_t n = reader->untaken;
	reader->untaken = 0;
	http->body_taken(host, reader->request, n);
}

static void on_body(void *arg, struct edged_slice bytes, bool last)
{
	struct reader *reader = (struct reader *)arg;
	char text[100];
	reader->bytes += bytes.len;
	reader->untaken += bytes.len;
	for (size_t i = 0; i < bytes.len; i++)
		reader->sum = reader->sum * 31 + (unsigned char)bytes.ptr[i];
	if (reader->mirrors)
		http->stream_write(host, reader->request, bytes);
	if (!reader->holds || !held)
		take(reader);
	if (!last)
		return;
	open_now--;
	snprintf(text, sizeof(text), "{\"bytes\":%llu,\"sum\":%llu}\n", reader->bytes, reader->sum);
	if (reader->mirrors)
		http->stream_end(host, reader->request);
	else
		http->reply(host, reader->request, 200, "application/json", edged_str(text));
	reader->request = 0;
}

static int begin(edged_handle request, int holds, int mirrors)
{
	struct reader *reader = readers;
	while (reader->request)
		if (++reader == readers + READERS)
			return -ENOSPC;
	*reader = (struct reader){ .request = request, .holds = holds, .mirrors = mirrors };
	int r = mirrors ? http->stream_begin(host, request, 200, "text/plain", NULL, forget, reader)
	                : http->on_gone(host, request, forget, reader);
	open_now++;
	if (!r)
		r = http->read_body(host, request, on_body, reader);
	if (r != -ENODATA)
		return r;
	on_body(reader, http->body(host, request), true);
	return 0;
}

static int serve_read(void *self, edged_handle request)
{
	(void)self;
	return begin(request, 0, 0);
}

static int serve_hold(void *self, edged_handle request)
{
	(void)self;
	held = 1;
	return begin(request, 1, 0);
}

static int serve_mirror(void *self, edged_handle request)
{
	(void)self;
	return begin(request, 0, 1);
}

static int serve_refuse(void *self, edged_handle request)
{
	(void)self;
	return http->problem(host, request, 403, "not-here", "Not here", "Nothing is taken here.");
}

static int serve_go(void *self, edged_handle request)
{
	(void)self;
	held = 0;
	for (int i = 0; i < READERS; i++)
		if (readers[i].request)
			take(&readers[i]);
	return http->reply(host, request, 204, NULL, edged_str(""));
}

static int serve_state(void *self, edged_handle request)
{
	(void)self;
	char text[100];
	unsigned long long bytes = 0;
	for (int i = 0; i < READERS; i++)
		bytes += readers[i].request ? readers[i].bytes : 0;
	snprintf(text, sizeof(text), "{\"open\":%d,\"gone\":%d,\"bytes\":%llu}\n", open_now, gone, bytes);
	return http->reply(host, request, 200, "application/json", edged_str(text));
}

static int create(struct edged_host *with, void **ret_self)
{
	host = with;
	http = (const struct edged_http_1 *)edged_cap(with, EDGED_HTTP_1);
	*ret_self = with;
	return EDGED_HAS(http, body_length) ? 0 : -ENOTSUP;
}

static const char *const needs[] = { EDGED_HTTP_1, NULL };
static const struct edged_route routes[] = {
	{ .method = "PUT",
	        .path = "/reader/v1/read",
	        .serve = serve_read,
	        .flags = EDGED_ROUTE_STREAMED_BODY },
	{ .method = "PUT",
	        .path = "/reader/v1/hold",
	        .serve = serve_hold,
	        .flags = EDGED_ROUTE_STREAMED_BODY },
	{ .method = "PUT",
	        .path = "/reader/v1/mirror",
	        .serve = serve_mirror,
	        .flags = EDGED_ROUTE_STREAMED_BODY },
	{ .method = "PUT",
	        .path = "/reader/v1/refuse",
	        .serve = serve_refuse,
	        .flags = EDGED_ROUTE_STREAMED_BODY },
	{ .method = "POST", .path = "/reader/v1/go", .serve = serve_go },
	{ .method = "GET", .path = "/reader/v1/state", .serve = serve_state },
	{ 0 },
};
EDGED_PLUGIN(.name = "reader", .version = "1", .needs = needs, .routes = routes, .create = create);
