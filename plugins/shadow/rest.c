/* SPDX-License-Identifier: Apache-2.0 */
#include "rest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { PAGE_DEFAULT = 25, PAGE_MAX = 100 };

struct call {
	struct rest *rest;
	edged_handle request;
};

static const char *error_type(int code)
{
	static const struct {
		int code;
		const char *type;
	} types[] = {
		{ 400, "InvalidRequestException" },
		{ 401, "UnauthorizedException" },
		{ 403, "ForbiddenException" },
		{ 404, "ResourceNotFoundException" },
		{ 409, "ConflictException" },
		{ 413, "RequestEntityTooLargeException" },
		{ 415, "UnsupportedDocumentEncodingException" },
		{ 429, "ThrottlingException" },
	};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].code == code)
			return types[i].type;
	return "InternalFailureException";
}

/* A random version 4 UUID (RFC 9562). */
static void trace_id(char ret[37])
{
	unsigned char b[16] = { 0 };
	if (getrandom(b, sizeof(b), 0) < 0)
		memset(b, 0, sizeof(b));
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	snprintf(ret, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
	        b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static int reply_error(struct rest *rest, edged_handle request, int code, const char *message)
{
	char trace[37];
	trace_id(trace);
	json_t *root = json_pack("{s:s, s:s}", "message", message, "traceId", trace);
	char *body = root ? json_dumps(root, JSON_COMPACT) : NULL;
	int r = rest->http->set_header(rest->host, request, "x-amzn-errortype", error_type(code));
	if (!r)
		r = rest->http->reply(rest->host, request, code, "application/json", edged_str(body));
	free(body);
	json_decref(root);
	return r;
}

/* The client may have gone meanwhile; then there is nobody to tell. */
static void answered(void *arg, const struct shadow_error *error, struct edged_slice body)
{
	struct call *call = arg;
	struct rest *rest = call->rest;
	if (error->code)
		(void)reply_error(rest, call->request, error->code, error->message);
	else
		(void)rest->http->reply(rest->host, call->request, 200, "application/json", body);
	free(call);
}

static struct call *call_new(struct rest *rest, edged_handle request)
{
	struct call *call = calloc(1, sizeof(*call));
	if (call)
		*call = (struct call){ .rest = rest, .request = request };
	return call;
}

static int run(struct rest *rest, edged_handle request, enum shadow_verb verb)
{
	const struct edged_http_1 *http = rest->http;
	struct edged_slice thing = http->param(rest->host, request, "thing");
	struct edged_slice name = http->query(rest->host, request, "name");
	struct shadow_name shadow;
	if (!shadow_name_set(&shadow, thing, name) || (name.ptr && name.len == 0))
		return reply_error(rest, request, 400,
		        "Invalid thing or shadow name: 1 to 128 (shadow: 64) characters of a-z, A-Z, 0-9, "
		        "':', '_', '-'");
	struct call *call = call_new(rest, request);
	if (!call)
		return -ENOMEM;
	struct edged_slice body =
	        verb == SHADOW_UPDATE ? http->body(rest->host, request) : edged_slice(NULL, 0);
	service_run(rest->service, &shadow, verb, body, false, answered, call);
	return 0;
}

int rest_get(struct rest *rest, edged_handle request)
{
	return run(rest, request, SHADOW_GET);
}

int rest_update(struct rest *rest, edged_handle request)
{
	return run(rest, request, SHADOW_UPDATE);
}

int rest_delete(struct rest *rest, edged_handle request)
{
	return run(rest, request, SHADOW_DELETE);
}

static bool page_size(struct edged_slice text, size_t *ret)
{
	size_t n = 0;
	*ret = PAGE_DEFAULT;
	if (!text.ptr)
		return true;
	for (size_t i = 0; i < text.len && n <= PAGE_MAX; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		n = n * 10 + (size_t)(text.ptr[i] - '0');
	}
	*ret = n;
	return n >= 1 && n <= PAGE_MAX;
}

int rest_list(struct rest *rest, edged_handle request)
{
	const struct edged_http_1 *http = rest->http;
	struct shadow_name after;
	size_t limit;
	if (!page_size(http->query(rest->host, request, "pageSize"), &limit))
		return reply_error(rest, request, 400, "Invalid pageSize: a number from 1 to 100");
	if (!shadow_name_set(&after, http->param(rest->host, request, "thing"),
	            http->query(rest->host, request, "nextToken")))
		return reply_error(rest, request, 400, "Invalid thing name or nextToken");
	struct call *call = call_new(rest, request);
	if (!call)
		return -ENOMEM;
	service_list(rest->service, &after, limit, answered, call);
	return 0;
}
