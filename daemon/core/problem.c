/* SPDX-License-Identifier: Apache-2.0 */
#include "core/problem.h"

#include <stdio.h>

static const struct {
	int status;
	const char *phrase;
} phrases[] = {
	{ 100, "Continue" },
	{ 101, "Switching Protocols" },
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 206, "Partial Content" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 307, "Temporary Redirect" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 417, "Expectation Failed" },
	{ 421, "Misdirected Request" },
	{ 422, "Unprocessable Content" },
	{ 426, "Upgrade Required" },
	{ 428, "Precondition Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
	{ 507, "Insufficient Storage" },
	{ 508, "Loop Detected" },
};

const char *status_phrase(int status)
{
	for (size_t i = 0; i < ARRAY_LEN(phrases); i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "Unknown";
}

static int add_member(struct buf *buf, const char *name, struct edged_slice value)
{
	int r = buf_addf(buf, ",\"%s\":", name);
	return r ? r : buf_add_json(buf, value);
}

int problem_render(struct buf *buf, int status, const char *type, const char *title, const char *detail,
        struct edged_slice instance)
{
	char urn[160];
	snprintf(urn, sizeof(urn), PROBLEM_URN "%s", type);
	int r = buf_add_str(buf, "{\"type\":");
	if (!r)
		r = buf_add_json(buf, edged_str(urn));
	if (!r)
		r = add_member(buf, "title", edged_str(title ? title : status_phrase(status)));
	if (!r)
		r = buf_addf(buf, ",\"status\":%d", status);
	if (!r && detail)
		r = add_member(buf, "detail", edged_str(detail));
	if (!r && instance.len)
		r = add_member(buf, "instance", instance);
	return r ? r : buf_add_str(buf, "}\n");
}
