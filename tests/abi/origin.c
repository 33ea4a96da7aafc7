/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers as the query says, and counts: ?cc= Cache-Control, etag=, vary=, status=, body=, stream= (whatever: length not told). The
 * header "count" is the number of requests to all paths so far, "caller" is edged-caller. 304 when If-None-Match is etag.
 */
#include "edged/plugin.h"

static const struct edged_route origin_routes[2];
#define NAME "origin"
#define MORE .routes = origin_routes,
#include "probe.h"

static const char *const said[][2] = { { "cc", "Cache-Control" }, { "etag", "ETag" }, { "vary", "Vary" } };

static void say(const struct probe *probe, edged_handle request, const char *name, struct edged_slice value)
{
	char text[256];
	snprintf(text, sizeof(text), "%.*s", EDGED_SLICE_FMT(value));
	(void)probe->http->set_header(probe->host, request, name, text);
}

static int serve_origin(void *self, edged_handle request)
{
	const struct probe *probe = (const struct probe *)self;
	const struct edged_http_1 *http = probe->http;
	struct edged_slice etag = http->query(probe->host, request, "etag"),
	                   status = http->query(probe->host, request, "status"),
	                   body = http->query(probe->host, request, "body");
	char count[24];
	edged_metric_add(probe->figure, 1);
	snprintf(count, sizeof(count), "%lld", (long long)*probe->figure);
	(void)http->set_header(probe->host, request, "count", count);
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		struct edged_slice value = http->query(probe->host, request, said[i][0]);
		if (value.ptr)
			say(probe, request, said[i][1], value);
	}
	say(probe, request, "caller", http->header(probe->host, request, "edged-caller"));
	if (etag.len && edged_slice_eq(etag, http->header(probe->host, request, "if-none-match")))
		return http->reply(probe->host, request, 304, NULL, edged_slice(NULL, 0));
	if (!http->query(probe->host, request, "stream").ptr)
		return http->reply(probe->host, request,
		        status.len == 3 ? (int)strtol(status.ptr, NULL, 10) : 200, "text/plain", body);
	int r = http->stream_begin(probe->host, request, 200, "text/plain", NULL, NULL, NULL);
	if (!r)
		r = http->stream_write(probe->host, request, body);
	return r ? r : http->stream_end(probe->host, request);
}

static const struct edged_route origin_routes[2] = { { .method = "*",
	                                                     .path = "/origin/v1/{rest...}",
	                                                     .serve = serve_origin,
	                                                     .summary = "Answers as it is told" },
	{ 0 } };
