/* SPDX-License-Identifier: Apache-2.0 */
#include "aws.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

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

int aws_answer(const struct edged_http_1 *http, struct edged_host *host, edged_handle request, int status,
        const char *type, const char *message)
{
	char trace[37];
	trace_id(trace);
	json_t *root = json_pack("{s:s, s:s}", "message", message, "traceId", trace);
	char *body = root ? json_dumps(root, JSON_COMPACT) : NULL;
	int r = type ? http->set_header(host, request, "x-amzn-errortype", type) : 0;
	if (!r)
		r = body ? http->reply(host, request, status, "application/json", edged_str(body)) : -ENOMEM;
	free(body);
	json_decref(root);
	return r;
}
