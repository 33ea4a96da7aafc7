/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_http.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS = 256, TEXT = 1024, PARTS = 16 };

struct part {
	char name[40], value[TEXT];
	size_t len;
};

static struct request {
	struct fake_answer answer;
	char path[TEXT];
	struct part params[4], queries[PARTS];
	size_t param_count, query_count;
	bool full;
	void (*on_room)(void *arg);
	void (*on_gone)(void *arg);
	void *arg;
} * requests[REQUESTS];
static size_t request_count;

static struct request *find(edged_handle handle)
{
	return handle && handle <= request_count ? requests[handle - 1] : NULL;
}

/* --- reading -------------------------------------------------------------------------------------------------------------- */

static size_t decode(const char *from, size_t n, char *out)
{
	size_t len = 0;
	for (size_t i = 0; i < n; i++) {
		char hex[3] = { 0 };
		if (from[i] == '%' && i + 2 < n && isxdigit((uint8_t)from[i + 1]) &&
		        isxdigit((uint8_t)from[i + 2])) {
			memcpy(hex, from + i + 1, 2);
			out[len++] = (char)strtol(hex, NULL, 16);
			i += 2;
		} else {
			out[len++] = from[i];
		}
	}
	out[len] = '\0';
	return len;
}

static void set_part(struct part *part, const char *name, size_t name_len, const char *value, size_t n)
{
	assert(name_len < sizeof(part->name) && n < sizeof(part->value));
	memcpy(part->name, name, name_len);
	part->name[name_len] = '\0';
	part->len = decode(value, n, part->value);
}

static void read_query(struct request *r, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "&"), name = strcspn(text, "=&");
		assert(r->query_count < PARTS);
		set_part(&r->queries[r->query_count++], text, name, text + name + (name < n),
		        n - name - (name < n));
		text += n + (text[n] == '&');
	}
}

/* Does the path fit the route's template? Its parameters are read. */
static bool fits(struct request *r, const char *template, const char *path)
{
	r->param_count = 0;
	while (*template && *path) {
		size_t want = strcspn(template + 1, "/") + 1, have = strcspn(path + 1, "/") + 1;
		if (template[1] == '{') {
			bool rest = want > 5 && memcmp(template + want - 4, "...}", 4) == 0;
			have = rest ? strlen(path) : have;
			set_part(&r->params[r->param_count++], template + 2, want - (rest ? 6 : 3), path + 1,
			        have - 1);
		} else if (want != have || memcmp(template, path, want) != 0) {
			return false;
		}
		template += want;
		path += have;
	}
	return !*template && !*path;
}

static struct edged_slice part(const struct part *parts, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(parts[i].name, name) == 0)
			return edged_slice(parts[i].value, parts[i].len);
	return edged_slice(NULL, 0);
}

static struct edged_slice get_path(struct edged_host *host, edged_handle request)
{
	(void)host;
	return edged_str(find(request)->path);
}

static struct edged_slice get_param(struct edged_host *host, edged_handle request, const char *name)
{
	(void)host;
	const struct request *r = find(request);
	return part(r->params, r->param_count, name);
}

static struct edged_slice get_query(struct edged_host *host, edged_handle request, const char *name)
{
	(void)host;
	const struct request *r = find(request);
	return part(r->queries, r->query_count, name);
}

static struct edged_slice nothing(struct edged_host *host, edged_handle request, const char *name)
{
	(void)host;
	(void)request;
	(void)name;
	return edged_slice(NULL, 0);
}

static struct edged_slice no_body(struct edged_host *host, edged_handle request)
{
	return nothing(host, request, NULL);
}

/* --- answering ------------------------------------------------------------------------------------------------------------ */

static void add(struct fake_answer *a, struct edged_slice bytes)
{
	char *body = realloc(a->body, a->len + bytes.len + 1);
	assert(body);
	if (bytes.len)
		memcpy(body + a->len, bytes.ptr, bytes.len);
	a->body = body;
	a->len += bytes.len;
	body[a->len] = '\0';
}

static int set_header(struct edged_host *host, edged_handle request, const char *name, const char *value)
{
	(void)host;
	(void)request;
	(void)name;
	(void)value;
	return 0;
}

static int reply(
        struct edged_host *host, edged_handle request, int status, const char *type, struct edged_slice body)
{
	(void)host;
	struct request *r = find(request);
	if (!r || r->answer.ended)
		return -ENOENT;
	r->answer.answers++;
	r->answer.status = status;
	r->answer.ended = true;
	snprintf(r->answer.type, sizeof(r->answer.type), "%s", type ? type : "");
	add(&r->answer, body);
	return 0;
}

static int problem(struct edged_host *host, edged_handle request, int status, const char *type,
        const char *title, const char *detail)
{
	struct request *r = find(request);
	if (r)
		snprintf(r->answer.text, sizeof(r->answer.text), "%s. %s", title, detail ? detail : "");
	return reply(host, request, status, type, edged_slice(NULL, 0));
}

static int stream_begin(struct edged_host *host, edged_handle request, int status, const char *type,
        void (*on_room)(void *arg), void (*on_gone)(void *arg), void *arg)
{
	struct request *r = find(request);
	int result = reply(host, request, status, type, edged_slice(NULL, 0));
	if (result)
		return result;
	r->answer.ended = false;
	r->answer.streaming = true;
	r->on_room = on_room;
	r->on_gone = on_gone;
	r->arg = arg;
	return 0;
}

static int stream_write(struct edged_host *host, edged_handle request, struct edged_slice bytes)
{
	(void)host;
	struct request *r = find(request);
	if (!r || r->answer.ended)
		return -ENOENT;
	add(&r->answer, bytes);
	return r->full ? EDGED_HTTP_FULL : 0;
}

static int stream_end(struct edged_host *host, edged_handle request)
{
	(void)host;
	struct request *r = find(request);
	if (!r || r->answer.ended)
		return -ENOENT;
	r->answer.ended = true;
	return 0;
}

/* All come from the owner's Unix socket. */
static const struct edged_peer *get_peer(struct edged_host *host, edged_handle request)
{
	static const struct edged_peer owner = {
		.struct_size = sizeof(owner), .address = "unix", .uid = 0, .loopback = true, .trusted = true
	};
	(void)host;
	return find(request) ? &owner : NULL;
}

const struct edged_http_1 fake_http_cap = { .struct_size = sizeof(fake_http_cap),
	.path = get_path,
	.param = get_param,
	.query = get_query,
	.header = nothing,
	.body = no_body,
	.peer = get_peer,
	.set_header = set_header,
	.reply = reply,
	.problem = problem,
	.stream_begin = stream_begin,
	.stream_write = stream_write,
	.stream_end = stream_end };

/* --- asking --------------------------------------------------------------------------------------------------------------- */

struct fake_answer *fake_ask(struct fake_host *host, const struct edged_plugin *plugin, const char *text)
{
	struct request *r = calloc(1, sizeof(*r));
	assert(r);
	assert(request_count < REQUESTS);
	requests[request_count++] = r;
	size_t method = strcspn(text, " ");
	const char *path = text + method + 1;
	size_t n = strcspn(path, "?");
	assert(n < sizeof(r->path));
	memcpy(r->path, path, n);
	for (const struct edged_route *route = plugin->routes; route->method; route++) {
		if (strlen(route->method) != method || memcmp(route->method, text, method) != 0 ||
		        !fits(r, route->path, r->path))
			continue;
		if (path[n])
			read_query(r, path + n + 1);
		int result = route->serve(fake_self(host), request_count);
		if (result)
			(void)problem(NULL, request_count, 500, "failed", "serve() failed", NULL);
		fake_run(host);
		return &r->answer;
	}
	fprintf(stderr, "no route for %s\n", text);
	abort();
}

static struct request *request_of(struct fake_answer *answer)
{
	return (struct request *)answer; /* its first member */
}

void fake_leave(struct fake_host *host, struct fake_answer *answer)
{
	struct request *r = request_of(answer);
	if (answer->streaming && !answer->ended) {
		answer->ended = true;
		if (r->on_gone)
			r->on_gone(r->arg);
	}
	fake_run(host);
}

void fake_heard(struct fake_answer *answer)
{
	answer->len = 0;
	if (answer->body)
		*answer->body = '\0';
}

void fake_fill(struct fake_host *host, struct fake_answer *answer, bool full)
{
	struct request *r = request_of(answer);
	r->full = full;
	if (!full && answer->streaming && !answer->ended && r->on_room)
		r->on_room(r->arg);
	fake_run(host);
}

void fake_http_reset(void)
{
	for (size_t i = 0; i < request_count; i++) {
		free(requests[i]->answer.body);
		free(requests[i]);
	}
	request_count = 0;
}
