/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http_guard.h"

#include <errno.h>

#include "core/problem.h"

enum { EMPTY_LINES = 4, SIZE_DIGITS = 8 };

void http_guard_init(struct http_guard *guard, const struct http_head_limits *limits)
{
	*guard = (struct http_guard){ .limits = limits, .body_max = limits->body };
	buf_init(&guard->text, limits->head);
	buf_init(&guard->line, limits->head);
}

void http_guard_fini(struct http_guard *guard)
{
	buf_fini(&guard->text);
	buf_fini(&guard->line);
	free(guard->head);
	guard->head = NULL;
}

void http_guard_next(struct http_guard *guard)
{
	if (guard->state == HTTP_GUARD_AT_REFUSAL)
		return;
	struct buf text = guard->text, line = guard->line;
	buf_clear(&text);
	buf_clear(&line);
	*guard = (struct http_guard){ .limits = guard->limits,
		.body_max = guard->limits->body,
		.text = text,
		.line = line,
		.head = guard->head };
	if (guard->head)
		*guard->head = (struct http_head){ 0 };
}

void http_guard_refuse(struct http_guard *guard, int status, const char *type, const char *detail)
{
	guard->refusal = (struct http_refusal){ .status = status, .type = type, .detail = detail };
	guard->state = HTTP_GUARD_AT_REFUSAL;
}

static void refuse_bytes(struct http_guard *guard, const char *detail)
{
	http_guard_refuse(guard, 400, "bad-request", detail);
}

static void refuse_memory(struct http_guard *guard)
{
	http_guard_refuse(guard, 503, "limit-reached", "This node is short of memory. Try again later.");
}

/* --- head
 * ----------------------------------------------------------------------------------------------------- */

/* After the last byte allowed the head had not ended yet. */
static void refuse_long_head(struct http_guard *guard)
{
	const char *line_end = memchr(guard->text.ptr, '\n', guard->text.len);
	if (line_end)
		http_guard_refuse(guard, 431, "headers-too-large",
		        "The request's head is larger than this node allows.");
	else
		http_guard_refuse(guard, 414, "target-too-long",
		        "The request's target is longer than this node allows.");
}

/* What may stand in a head at all, given the byte before it. */
static bool head_byte_ok(struct http_guard *guard, unsigned char before, unsigned char c)
{
	if (before == '\r' && c != '\n')
		refuse_bytes(guard, "A carriage return stands alone.");
	else if (c == '\n' && before != '\r')
		refuse_bytes(guard, "A line ends without carriage return.");
	else if ((c < ' ' && c != '\t' && c != '\r' && c != '\n') || c == 0x7f)
		refuse_bytes(guard,
		        "The request's head holds a control character. Is this TLS on a port without it?");
	else
		return true;
	return false;
}

static bool head_ended(const struct buf *text)
{
	return text->len >= 4 && memcmp(text->ptr + text->len - 4, "\r\n\r\n", 4) == 0;
}

/* Empty lines in front of a request are skipped, as RFC 9112 section 2.2 wishes. */
static bool skip_empty_line(struct http_guard *guard)
{
	struct buf *text = &guard->text;
	if (text->len != 2 || memcmp(text->ptr, "\r\n", 2) != 0)
		return false;
	buf_clear(text);
	if (++guard->empty > EMPTY_LINES)
		refuse_bytes(guard, "There are nothing but empty lines.");
	return true;
}

static void begin_body(struct http_guard *guard)
{
	if (guard->head->chunked) {
		guard->state = HTTP_GUARD_IN_SIZE;
		return;
	}
	guard->left = guard->head->length;
	guard->state = guard->left ? HTTP_GUARD_IN_LENGTH : HTTP_GUARD_AT_END;
}

static enum http_guard_event end_head(struct http_guard *guard)
{
	struct http_refusal refusal;
	if (!guard->head)
		guard->head = malloc(sizeof(*guard->head));
	if (!guard->head) {
		refuse_memory(guard);
		return HTTP_GUARD_REFUSED;
	}
	if (!http_head_parse(buf_slice(&guard->text), guard->limits, guard->head, &refusal)) {
		http_guard_refuse(guard, refusal.status, refusal.type, refusal.detail);
		return HTTP_GUARD_REFUSED;
	}
	begin_body(guard);
	return HTTP_GUARD_HEAD;
}

/* Takes a run of bytes that need no thought; returns how many there were. */
static size_t feed_head_run(struct http_guard *guard, const char *bytes, size_t n)
{
	struct buf *text = &guard->text;
	if (text->len && text->ptr[text->len - 1] == '\r')
		return 0;
	if (n > text->limit - text->len)
		n = text->limit - text->len;
	size_t run = 0;
	while (run < n && (unsigned char)bytes[run] >= ' ' && bytes[run] != 0x7f)
		run++;
	return buf_add(text, bytes, run) ? 0 : run;
}

/* One byte of the head. True: go on. */
static bool feed_head_byte(struct http_guard *guard, unsigned char c)
{
	struct buf *text = &guard->text;
	unsigned char before = text->len ? (unsigned char)text->ptr[text->len - 1] : 0;
	if (!head_byte_ok(guard, before, c))
		return false;
	int r = buf_add(text, &c, 1);
	if (r == -ENOBUFS)
		refuse_long_head(guard);
	else if (r)
		refuse_memory(guard);
	if (r || skip_empty_line(guard))
		return guard->state != HTTP_GUARD_AT_REFUSAL;
	return true;
}

static enum http_guard_event feed_head(struct http_guard *guard, struct edged_slice bytes, size_t *used)
{
	guard->state = HTTP_GUARD_IN_HEAD;
	for (;;) {
		*used += feed_head_run(guard, bytes.ptr + *used, bytes.len - *used);
		if (*used == bytes.len)
			return HTTP_GUARD_MORE;
		if (!feed_head_byte(guard, (unsigned char)bytes.ptr[(*used)++]))
			return HTTP_GUARD_REFUSED;
		if (head_ended(&guard->text))
			return end_head(guard);
	}
}

/* --- body
 * ----------------------------------------------------------------------------------------------------- */

static void refuse_long_body(struct http_guard *guard)
{
	http_guard_refuse(guard, 413, "body-too-large",
	        "The request's body is larger than this node allows here (http.body).");
}

/* A run of plain bytes of the body. */
static void feed_run(struct http_guard *guard, struct edged_slice bytes, size_t *used, struct buf *body)
{
	size_t n = bytes.len - *used;
	if (n > guard->left)
		n = (size_t)guard->left;
	if (buf_add(body, bytes.ptr + *used, n)) {
		refuse_memory(guard);
		return;
	}
	*used += n;
	guard->left -= n;
	guard->body += n;
	if (guard->left)
		return;
	guard->state = guard->head->chunked ? HTTP_GUARD_IN_CHUNK_CR : HTTP_GUARD_AT_END;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static void feed_size(struct http_guard *guard, char c)
{
	int value = hex(c);
	if (value >= 0 && guard->digits < SIZE_DIGITS) {
		guard->digits++;
		guard->left = guard->left * 16 + (uint64_t)value;
		if (guard->body + guard->left > guard->body_max)
			refuse_long_body(guard);
		return;
	}
	if (guard->digits == 0 || value >= 0)
		refuse_bytes(guard, "A chunk does not begin with its size.");
	else if (c == '\r')
		guard->state = HTTP_GUARD_IN_SIZE_LF;
	else if (c == ';' || c == ' ' || c == '\t')
		guard->state = HTTP_GUARD_IN_EXTENSION;
	else
		refuse_bytes(guard, "A chunk does not begin with its size.");
}

/* Counts a byte that is dropped: there must be an end to those, too. */
static bool count_overhead(struct http_guard *guard)
{
	if (++guard->overhead <= guard->limits->head)
		return true;
	http_guard_refuse(
	        guard, 431, "headers-too-large", "Chunk extensions and trailers are larger than allowed.");
	return false;
}

static void feed_extension(struct http_guard *guard, char c)
{
	unsigned char u = (unsigned char)c;
	if (!count_overhead(guard))
		return;
	if (c == '\r')
		guard->state = HTTP_GUARD_IN_SIZE_LF;
	else if ((u < ' ' && c != '\t') || u == 0x7f)
		refuse_bytes(guard, "A chunk extension holds a control character.");
}

static void feed_size_lf(struct http_guard *guard, char c)
{
	if (c != '\n') {
		refuse_bytes(guard, "A carriage return stands alone.");
		return;
	}
	guard->digits = 0;
	guard->state = guard->left ? HTTP_GUARD_IN_CHUNK : HTTP_GUARD_IN_TRAILER;
}

static void feed_chunk_end(struct http_guard *guard, char c)
{
	bool cr = guard->state == HTTP_GUARD_IN_CHUNK_CR;
	if (c != (cr ? '\r' : '\n')) {
		refuse_bytes(guard, "A chunk does not end where its size says.");
		return;
	}
	guard->state = cr ? HTTP_GUARD_IN_CHUNK_LF : HTTP_GUARD_IN_SIZE;
}

static void end_trailer_line(struct http_guard *guard)
{
	struct edged_slice line = edged_slice(guard->line.ptr, guard->line.len - 2);
	struct header header;
	if (line.len == 0) {
		guard->state = HTTP_GUARD_AT_END;
	} else if (!http_field_parse(line, &header)) {
		refuse_bytes(guard, "A trailer is not: name, colon, value.");
	} else if (++guard->trailers > guard->limits->headers) {
		http_guard_refuse(
		        guard, 431, "too-many-headers", "There are more trailers than this node allows.");
	}
	buf_clear(&guard->line);
}

static void feed_trailer(struct http_guard *guard, char c)
{
	struct buf *line = &guard->line;
	unsigned char before = line->len ? (unsigned char)line->ptr[line->len - 1] : 0;
	if (!count_overhead(guard) || !head_byte_ok(guard, before, (unsigned char)c))
		return;
	if (buf_add(line, &c, 1))
		refuse_memory(guard);
	else if (c == '\n')
		end_trailer_line(guard);
}

static enum http_guard_event feed_body(
        struct http_guard *guard, struct edged_slice bytes, size_t *used, struct buf *body)
{
	if (guard->state == HTTP_GUARD_IN_LENGTH && guard->body + guard->left > guard->body_max)
		refuse_long_body(guard);
	while (guard->state != HTTP_GUARD_AT_END && guard->state != HTTP_GUARD_AT_REFUSAL &&
	        *used < bytes.len) {
		char c = bytes.ptr[*used];
		switch (guard->state) {
		case HTTP_GUARD_IN_LENGTH:
		case HTTP_GUARD_IN_CHUNK:
			feed_run(guard, bytes, used, body);
			continue;
		case HTTP_GUARD_IN_SIZE:
			feed_size(guard, c);
			break;
		case HTTP_GUARD_IN_EXTENSION:
			feed_extension(guard, c);
			break;
		case HTTP_GUARD_IN_SIZE_LF:
			feed_size_lf(guard, c);
			break;
		case HTTP_GUARD_IN_CHUNK_CR:
		case HTTP_GUARD_IN_CHUNK_LF:
			feed_chunk_end(guard, c);
			break;
		case HTTP_GUARD_IN_TRAILER:
			feed_trailer(guard, c);
			break;
		case HTTP_GUARD_IDLE:
		case HTTP_GUARD_IN_HEAD:
		case HTTP_GUARD_AT_END:
		case HTTP_GUARD_AT_REFUSAL:
			break;
		}
		++*used;
	}
	return guard->state == HTTP_GUARD_AT_END       ? HTTP_GUARD_COMPLETE
	       : guard->state == HTTP_GUARD_AT_REFUSAL ? HTTP_GUARD_REFUSED
	                                               : HTTP_GUARD_MORE;
}

enum http_guard_event http_guard_feed(
        struct http_guard *guard, struct edged_slice bytes, struct buf *body, size_t *ret_used)
{
	*ret_used = 0;
	bool in_head = guard->state == HTTP_GUARD_IDLE || guard->state == HTTP_GUARD_IN_HEAD;
	if (in_head && bytes.len == 0)
		return HTTP_GUARD_MORE;
	return in_head ? feed_head(guard, bytes, ret_used) : feed_body(guard, bytes, ret_used, body);
}

/* --- refusing
 * ------------------------------------------------------------------------------------------------- */

int http_guard_answer(const struct http_guard *guard, const char *more, struct buf *out)
{
	CLEANUP(buf_fini) struct buf document = BUF_EMPTY;
	struct edged_slice method = edged_str(NULL), path = edged_str(NULL);
	if (guard->head) {
		method = guard->head->method;
		path = guard->head->target;
	}
	const char *mark = path.len ? memchr(path.ptr, '?', path.len) : NULL;
	if (mark)
		path.len = (size_t)(mark - path.ptr);
	int status = guard->refusal.status;
	int r = problem_render(
	        &document, status, guard->refusal.type, guard->refusal.title, guard->refusal.detail, path);
	if (!r)
		r = buf_addf(out,
		        "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: " PROBLEM_CONTENT_TYPE
		        "\r\nContent-Length: %zu\r\n%s\r\n",
		        status, status_phrase(status), document.len, more);
	if (!r && !edged_slice_is(method, "HEAD"))
		r = buf_add(out, document.ptr, document.len);
	return r;
}
