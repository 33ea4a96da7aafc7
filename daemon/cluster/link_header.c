/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/link_header.h"

#include <errno.h>
#include <strings.h>
#include "cluster/link_session.h"

void link_headers_init(struct link_headers *headers, size_t limit, size_t bytes)
{
	*headers = (struct link_headers){ .limit = limit };
	buf_init(&headers->text, bytes);
}

void link_headers_fini(struct link_headers *headers)
{
	buf_fini(&headers->text);
	free(headers->list);
	headers->list = NULL;
}

void link_headers_clear(struct link_headers *headers)
{
	buf_clear(&headers->text);
	headers->count = 0;
}

int link_headers_add(struct link_headers *headers, struct edged_slice name, struct edged_slice value)
{
	if (headers->count >= headers->limit)
		return -ENOSPC;
	int r = buf_reserve(&headers->text, name.len + value.len + 2);
	if (r)
		return r == -ENOBUFS ? -ENOSPC : r;
	(void)buf_add(&headers->text, name.ptr, name.len);
	(void)buf_add(&headers->text, "", 1);
	(void)buf_add(&headers->text, value.ptr, value.len);
	(void)buf_add(&headers->text, "", 1);
	headers->count++;
	return 0;
}

/* Three digits (RFC 9113 section 8.3.2); else 0, which is no status. */
static int read_status(struct edged_slice value)
{
	int status = 0;
	for (size_t i = 0; i < value.len; i++) {
		if (value.len != 3 || value.ptr[i] < '0' || value.ptr[i] > '9')
			return 0;
		status = status * 10 + (value.ptr[i] - '0');
	}
	return status;
}

/* -1: none that can be believed. */
static int64_t read_length(struct edged_slice value)
{
	int64_t length = 0;
	if (value.len == 0 || value.len > 15)
		return -1;
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < '0' || value.ptr[i] > '9')
			return -1;
		length = length * 10 + (value.ptr[i] - '0');
	}
	return length;
}

static void take_pseudo(struct edged_slice name, struct edged_slice value, struct link_message *ret)
{
	if (edged_slice_is(name, ":method"))
		ret->method = value;
	else if (edged_slice_is(name, ":path"))
		ret->target = value;
	else if (edged_slice_is(name, ":protocol"))
		ret->protocol = value;
	else if (edged_slice_is(name, ":status"))
		ret->status = read_status(value);
}

/* The next text of the buffer; nghttp2 has refused names and values with a NUL in them. */
static struct edged_slice next_text(struct edged_slice *left)
{
	size_t n = strnlen(left->ptr, left->len);
	struct edged_slice text = edged_slice(left->ptr, n);
	*left = edged_slice(left->ptr + n + 1, left->len - n - 1);
	return text;
}

int link_headers_message(struct link_headers *headers, struct link_message *ret)
{
	struct link_message message = { .length = -1 };
	free(headers->list);
	headers->list = calloc(headers->count + 1, sizeof(*headers->list));
	if (!headers->list)
		return -ENOMEM;
	struct edged_slice left = buf_slice(&headers->text);
	while (left.len > 0) {
		struct edged_slice name = next_text(&left), value = next_text(&left);
		if (name.len > 0 && name.ptr[0] == ':')
			take_pseudo(name, value, &message);
		else if (link_header_is(name, "content-length"))
			message.length = read_length(value);
		else
			headers->list[message.header_count++] = (struct header){ name, value };
	}
	message.headers = headers->list;
	*ret = message;
	return 0;
}

bool link_header_is(struct edged_slice name, const char *wanted)
{
	return name.len == strlen(wanted) && strncasecmp(name.ptr, wanted, name.len) == 0;
}

const struct header *link_header_find(const struct header *headers, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (link_header_is(headers[i].name, name))
			return &headers[i];
	return NULL;
}

static bool listed(struct edged_slice name, struct edged_slice list)
{
	while (list.len > 0) {
		const char *comma = memchr(list.ptr, ',', list.len);
		size_t n = comma ? (size_t)(comma - list.ptr) : list.len;
		struct edged_slice item = edged_slice_trim(edged_slice(list.ptr, n), " \t");
		if (item.len == name.len && strncasecmp(item.ptr, name.ptr, name.len) == 0)
			return true;
		n += comma ? 1 : 0;
		list = edged_slice(list.ptr + n, list.len - n);
	}
	return false;
}

bool link_header_is_hop(struct edged_slice name, struct edged_slice connection)
{
	static const char *const names[] = { "connection", "keep-alive", "proxy-connection",
		"proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade",
		"http2-settings", "host", "content-length", "expect", "edged-hops", "edged-caller",
		"edged-anybody" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (link_header_is(name, names[i]))
			return true;
	return listed(name, connection);
}
