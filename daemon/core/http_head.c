/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http_head.h"

#include <strings.h>

enum { METHOD_LEN = 32 };

static bool refuse(struct http_refusal *refusal, int status, const char *type, const char *detail)
{
	*refusal = (struct http_refusal){ .status = status, .type = type, .detail = detail };
	return false;
}

static bool bad(struct http_refusal *refusal, const char *detail)
{
	return refuse(refusal, 400, "bad-request", detail);
}

static bool is_token(struct edged_slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		if (c <= ' ' || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c))
			return false;
	}
	return text.len > 0;
}

static bool is_name(struct edged_slice text, const char *name)
{
	return text.len == strlen(name) && strncasecmp(text.ptr, name, text.len) == 0;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Of optional white space (RFC 9110 section 5.6.3). */
static struct edged_slice trim(struct edged_slice text)
{
	return edged_slice_trim(text, " \t");
}

/* Takes the text up to `c`, and that itself, off the front. */
static bool split(struct edged_slice *text, char c, struct edged_slice *ret)
{
	const char *at = text->len ? memchr(text->ptr, c, text->len) : NULL;
	if (!at)
		return false;
	*ret = edged_slice(text->ptr, (size_t)(at - text->ptr));
	*text = edged_slice(at + 1, text->len - ret->len - 1);
	return true;
}

bool http_has_word(struct edged_slice value, const char *word)
{
	struct edged_slice one;
	while (split(&value, ',', &one))
		if (is_name(trim(one), word))
			return true;
	return is_name(trim(value), word);
}

void http_head_drop(struct http_head *head, const char *prefix)
{
	size_t n = strlen(prefix), kept = 0;
	for (size_t i = 0; i < head->header_count; i++) {
		struct edged_slice name = head->headers[i].name;
		if (name.len < n || strncasecmp(name.ptr, prefix, n) != 0)
			head->headers[kept++] = head->headers[i];
	}
	head->header_count = kept;
}

struct edged_slice http_head_header(const struct http_head *head, const char *name)
{
	for (size_t i = 0; i < head->header_count; i++)
		if (is_name(head->headers[i].name, name))
			return head->headers[i].value;
	return edged_slice(NULL, 0);
}

/* --- request line
 * --------------------------------------------------------------------------------------------- */

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool parse_version(struct edged_slice text, struct http_head *ret, struct http_refusal *refusal)
{
	bool shape = text.len == 8 && edged_slice_starts(text, "HTTP/") && digit(text.ptr[5]) &&
	             text.ptr[6] == '.' && digit(text.ptr[7]);
	if (!shape)
		return bad(refusal, "The request line must be: method, space, target, space, HTTP/1.1.");
	if (text.ptr[5] != '1' || text.ptr[7] > '1')
		return refuse(refusal, 505, "http-version", "This port speaks HTTP/1.1 and HTTP/1.0.");
	ret->minor = (unsigned)(text.ptr[7] - '0');
	return true;
}

static bool parse_request_line(struct edged_slice line, const struct http_head_limits *limits,
        struct http_head *ret, struct http_refusal *refusal)
{
	struct edged_slice method, target;
	if (!split(&line, ' ', &method) || !is_token(method) || method.len > METHOD_LEN)
		return bad(refusal, "The request line does not begin with a method.");
	ret->method = method;
	if (!split(&line, ' ', &target) || target.len == 0)
		return bad(refusal, "The request line must be: method, space, target, space, HTTP/1.1.");
	if (target.len > limits->target)
		return refuse(refusal, 414, "target-too-long",
		        "The request's target is longer than this node allows.");
	for (size_t i = 0; i < target.len; i++)
		if (target.ptr[i] == '\t' || target.ptr[i] == 0x7f)
			return bad(refusal, "The request's target holds a control character.");
	ret->target = target;
	return parse_version(line, ret, refusal);
}

/* --- headers
 * -------------------------------------------------------------------------------------------------- */

bool http_field_parse(struct edged_slice line, struct header *ret)
{
	struct edged_slice name;
	if (!split(&line, ':', &name) || !is_token(name))
		return false;
	*ret = (struct header){ name, trim(line) };
	for (size_t i = 0; i < ret->value.len; i++) {
		unsigned char c = (unsigned char)ret->value.ptr[i];
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool take_host(struct http_head *head, struct edged_slice value, struct http_refusal *refusal)
{
	if (head->host.ptr)
		return bad(refusal, "There is more than one Host header.");
	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || digit(c);
		if (!letter && !strchr("-._~%!$&'()*+;=:[]", c))
			return bad(refusal, "The Host header holds a character that no host name has.");
	}
	head->host = value;
	return true;
}

static bool take_length(struct http_head *head, struct edged_slice value, struct http_refusal *refusal)
{
	if (head->has_length)
		return bad(refusal, "There is more than one Content-Length header.");
	if (value.len == 0 || value.len > 18)
		return bad(refusal, "The Content-Length is no number of bytes.");
	for (size_t i = 0; i < value.len; i++) {
		if (!digit(value.ptr[i]))
			return bad(refusal, "The Content-Length is no number of bytes.");
		head->length = head->length * 10 + (uint64_t)(value.ptr[i] - '0');
	}
	head->has_length = true;
	return true;
}

static bool take_coding(struct http_head *head, struct edged_slice value, struct http_refusal *refusal)
{
	if (head->chunked)
		return bad(refusal, "There is more than one Transfer-Encoding header.");
	if (!is_name(value, "chunked"))
		return bad(refusal, "The only transfer coding that is understood here is chunked.");
	if (head->minor == 0)
		return bad(refusal, "HTTP/1.0 has no Transfer-Encoding.");
	head->chunked = true;
	return true;
}

static bool take_expectation(struct http_head *head, struct edged_slice value, struct http_refusal *refusal)
{
	if (!is_name(value, "100-continue"))
		return refuse(
		        refusal, 417, "expectation-failed", "The only expectation met here is 100-continue.");
	head->expects_continue = head->minor == 1;
	return true;
}

static bool take_header(struct http_head *head, const struct header *header, struct http_refusal *refusal)
{
	static const struct {
		const char *name;
		bool (*take)(struct http_head *head, struct edged_slice value, struct http_refusal *refusal);
	} takers[] = {
		{ "Host", take_host },
		{ "Content-Length", take_length },
		{ "Transfer-Encoding", take_coding },
		{ "Expect", take_expectation },
	};
	head->headers[head->header_count++] = *header;
	for (size_t i = 0; i < sizeof(takers) / sizeof(takers[0]); i++)
		if (is_name(header->name, takers[i].name))
			return takers[i].take(head, header->value, refusal);
	return true;
}

static bool judge(const struct http_head *head, struct http_refusal *refusal)
{
	if (!head->host.ptr && head->minor == 1)
		return bad(refusal, "There is no Host header.");
	if (head->chunked && head->has_length)
		return bad(refusal, "There is a Content-Length together with Transfer-Encoding.");
	return true;
}

/* A line up to CR LF, which it passes. The guard in front has seen to it that there is no CR or LF otherwise.
 */
static struct edged_slice take_line(struct edged_slice *text)
{
	struct edged_slice line = edged_slice(text->ptr, 0);
	if (!split(text, '\n', &line)) {
		line = *text;
		*text = edged_slice(NULL, 0);
	}
	if (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	return line;
}

bool http_head_parse(struct edged_slice text, const struct http_head_limits *limits, struct http_head *ret,
        struct http_refusal *refusal)
{
	*ret = (struct http_head){ .minor = 1 };
	*refusal = (struct http_refusal){ 0 };
	if (!parse_request_line(take_line(&text), limits, ret, refusal))
		return false;
	unsigned most = limits->headers < HTTP_HEADERS_MAX ? limits->headers : HTTP_HEADERS_MAX;
	for (;;) {
		struct edged_slice line = take_line(&text);
		if (line.len == 0)
			return judge(ret, refusal);
		struct header header;
		if (blank(line.ptr[0]))
			return bad(refusal, "A header is folded over two lines.");
		if (!http_field_parse(line, &header))
			return bad(refusal, "A header is not: name, colon, value.");
		if (ret->header_count == most)
			return refuse(refusal, 431, "too-many-headers",
			        "There are more headers than this node allows.");
		if (!take_header(ret, &header, refusal))
			return false;
	}
}
