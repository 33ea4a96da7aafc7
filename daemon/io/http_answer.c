/* SPDX-License-Identifier: Apache-2.0 */
#include "io/http_answer.h"

#include <string.h>
#include "base/log.h"
#include "io/http_body.h"
#include "io/http_conn.h"
#include "io/http_upgrade.h"

enum { BLOCK = 16 * 1024 };

/* An answer that broke off has no room for anything, until the writer is told that it is gone. */
static size_t waiting(const struct http_conn *conn)
{
	return conn->broken ? SIZE_MAX / 2 : conn->out.len - conn->out_at;
}

void http_answer_clear(struct http_conn *conn)
{
	if (conn->response)
		MHD_destroy_response(conn->response);
	conn->response = NULL;
	conn->fill = NULL;
	conn->filled = conn->fill_size = 0;
	buf_fini(&conn->out);
	conn->out_at = 0;
	conn->ended = conn->broken = conn->wants_room = false;
	conn->events = conn->line_begun = false;
}

/* The library asks for bytes of a streamed answer. */
static ssize_t read_out(void *cls, uint64_t pos, char *to, size_t max)
{
	(void)pos;
	struct http_conn *conn = cls;
	if (!conn->stream || conn->broken)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	http_conn_hot(conn);
	size_t n = waiting(conn);
	if (n == 0 && conn->ended)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (n == 0) {
		MHD_suspend_connection(conn->mhd);
		conn->suspended = true;
		return 0;
	}
	if (n > max)
		n = max;
	memcpy(to, conn->out.ptr + conn->out_at, n);
	conn->out_at += n;
	if (conn->out_at == conn->out.len) {
		buf_clear(&conn->out);
		conn->out_at = 0;
	}
	conn->wants_room = true;
	return (ssize_t)n;
}

static int add_headers(struct MHD_Response *response, const struct header *headers, size_t count)
{
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	for (size_t i = 0; i < count; i++) {
		buf_clear(&text);
		int r = buf_add(&text, headers[i].name.ptr, headers[i].name.len);
		if (!r)
			r = buf_add(&text, "", 1);
		if (!r)
			r = buf_add(&text, headers[i].value.ptr, headers[i].value.len);
		if (r)
			return r;
		const char *value = text.ptr + headers[i].name.len + 1;
		/* the library takes no empty values, so that such a header is left out */
		if (*value && MHD_add_response_header(response, text.ptr, value) != MHD_YES)
			log_debug("http", "the header %s could not be sent", text.ptr);
	}
	return 0;
}

static struct MHD_Response *make_whole(struct http_conn *conn, size_t length)
{
	conn->fill = malloc(length ? length : 1);
	if (!conn->fill)
		return NULL;
	conn->fill_size = length;
	struct MHD_Response *response =
	        MHD_create_response_from_buffer(length, conn->fill, MHD_RESPMEM_MUST_FREE);
	if (!response)
		free(TAKE(conn->fill));
	return response;
}

static struct MHD_Response *make_response(struct http_conn *conn, int64_t length)
{
	if (length < 0)
		return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_out, conn, NULL);
	if (edged_slice_is(conn->guard.head->method, "HEAD")) /* its length, without its bytes */
		return MHD_create_response_from_callback((uint64_t)length, BLOCK, read_out, conn, NULL);
	return make_whole(conn, (size_t)length);
}

static bool are_events(const struct header *headers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (edged_slice_is(headers[i].name, "Content-Type"))
			return edged_slice_starts(headers[i].value, "text/event-stream");
	return false;
}

static void front_head(void *front, int status, const struct header *headers, size_t count, int64_t length)
{
	struct http_conn *conn = front;
	conn->status = status;
	conn->events = length < 0 && are_events(headers, count);
	conn->last = http_body_is_left(conn);
	conn->response = make_response(conn, length);
	if (!conn->response || add_headers(conn->response, headers, count) ||
	        (conn->last && MHD_add_response_header(conn->response, "Connection", "close") != MHD_YES))
		conn->broken = true;
	if (length < 0 || conn->broken)
		http_conn_wake(conn);
}

static size_t front_body(void *front, struct edged_slice bytes)
{
	struct http_conn *conn = front;
	if (bytes.len == 0 || conn->broken)
		return waiting(conn);
	if (conn->fill) {
		size_t room = conn->fill_size - conn->filled;
		size_t n = bytes.len < room ? bytes.len : room;
		memcpy(conn->fill + conn->filled, bytes.ptr, n);
		conn->filled += n;
		return 0;
	}
	conn->line_begun = bytes.ptr[bytes.len - 1] != '\n';
	if (buf_add(&conn->out, bytes.ptr, bytes.len))
		conn->broken = true;
	http_conn_wake(conn);
	return waiting(conn);
}

static void front_end(void *front, bool ok)
{
	struct http_conn *conn = front;
	conn->request = 0;
	conn->ended = conn->body_news = true;
	if (!ok)
		conn->broken = true;
	http_conn_wake(conn);
}

static void front_body_wanted(void *front, size_t n)
{
	http_body_wanted(front, n);
}

static int front_upgrade(void *front, const struct request_upgrade *upgrade)
{
	return http_upgrade(front, upgrade);
}

const struct request_front http_answer_front = { front_head, front_body, front_end, front_body_wanted,
	front_upgrade };

enum MHD_Result http_answer_queue(struct http_conn *conn)
{
	if (!conn->response || (conn->broken && conn->fill))
		return MHD_NO;
	enum MHD_Result r = MHD_queue_response(conn->mhd, (unsigned)conn->status, conn->response);
	MHD_destroy_response(conn->response);
	conn->response = NULL;
	conn->fill = NULL;
	return r;
}
