/* SPDX-License-Identifier: Apache-2.0 */
#include "core/request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "base/buf.h"
#include "base/handle.h"
#include "base/list.h"
#include "core/problem.h"
#include "core/target.h"
#include "core/template.h"

enum { ANSWER_HEADERS = 32, ANSWER_HEADER_BYTES = 16 * 1024, DETAIL_LEN = 1024 };

struct request {
	struct requests *requests;
	edged_handle handle;
	struct request_init init;
	struct target target;
	const void *owner;
	struct template_param params[TEMPLATE_PARAMS];
	size_t param_count;
	struct list link; /* in requests->waiting until the answer has begun */
	uint64_t deadline;
	struct {
		void (*read)(void *arg, struct edged_slice bytes, bool last); /* NULL: nobody reads */
		void *arg;
		size_t waiting; /* bytes that who reads was given and has not taken */
		bool ended;
		struct buf whole; /* collected so far */
		void (*collected)(void *arg, edged_handle handle);
		void *collected_arg;
	} body;            /* that comes bit by bit */
	struct buf answer; /* headers to come: name NUL value NUL ... */
	size_t answer_count;
	bool streaming, full;
	void (*on_room)(void *arg);
	void (*on_gone)(void *arg);
	void *stream_arg;
	char memory[]; /* of target */
};

struct requests {
	struct request_limits limits;
	struct handles table;
	struct list waiting; /* by deadline */
	uint64_t (*now)(void *arg);
	void *now_arg;
	void (*wake)(void *arg, uint64_t ms);
	void *wake_arg;
	struct request_counts counts;
};

/* --- life
 * ----------------------------------------------------------------------------------------------------- */

static void no_wake(void *arg, uint64_t ms)
{
	(void)arg;
	(void)ms;
}

int requests_new(
        const struct request_limits *limits, uint64_t (*now)(void *arg), void *now_arg, struct requests **ret)
{
	struct requests *requests = calloc(1, sizeof(*requests));
	if (!requests)
		return -ENOMEM;
	requests->limits = *limits;
	requests->now = now;
	requests->now_arg = now_arg;
	requests->wake = no_wake;
	handles_init(&requests->table, limits->open);
	list_init(&requests->waiting);
	*ret = requests;
	return 0;
}

static void request_free(struct request *request)
{
	list_remove(&request->link);
	buf_fini(&request->answer);
	buf_fini(&request->body.whole);
	free(request);
}

void requests_set_limits(struct requests *requests, const struct request_limits *limits)
{
	requests->limits = *limits;
	requests->table.limit = limits->open;
}

void requests_free(struct requests *requests)
{
	if (!requests)
		return;
	for (uint32_t i = 0; i < requests->table.size; i++) {
		struct request *request = handles_at(&requests->table, i);
		if (request)
			request_free(request);
	}
	handles_fini(&requests->table);
	free(requests);
}

void requests_on_wake(struct requests *requests, void (*wake)(void *arg, uint64_t ms), void *arg)
{
	requests->wake = wake;
	requests->wake_arg = arg;
}

/* With bytes in hand, or all of them, it is for whoever works on it to go on; else for the client. */
static bool client_is_awaited(const struct request *request)
{
	return request->init.body_comes && request->body.read && !request->body.ended &&
	       request->body.waiting == 0;
}

/* The time to answer begins anew. */
static void wait_for_answer(struct requests *requests, struct request *request)
{
	list_remove(&request->link);
	if (request->streaming || client_is_awaited(request))
		return;
	bool first = list_empty(&requests->waiting);
	request->deadline = requests->now(requests->now_arg) + requests->limits.answer_ms;
	list_append(&requests->waiting, &request->link);
	if (first)
		requests->wake(requests->wake_arg, requests->limits.answer_ms);
}

int requests_open(struct requests *requests, const struct request_init *init, edged_handle *ret)
{
	struct request *request = calloc(1, sizeof(*request) + target_memory(init->target));
	if (!request)
		return -ENOMEM;
	list_init(&request->link);
	buf_init(&request->answer, ANSWER_HEADER_BYTES);
	buf_init(&request->body.whole, requests->limits.body);
	request->requests = requests;
	request->init = *init;
	int r = target_parse(init->target, request->memory, &request->target);
	if (!r)
		r = handles_add(&requests->table, request, &request->handle);
	if (r) {
		request_free(request);
		return r;
	}
	wait_for_answer(requests, request);
	requests->counts.total++;
	*ret = request->handle;
	return 0;
}

static struct request *find(struct requests *requests, edged_handle handle)
{
	return handles_get(&requests->table, handle);
}

/* From here on the handle is stale; the object is the caller's. */
static void retire(struct request *request)
{
	struct requests *requests = request->requests;
	handles_remove(&requests->table, request->handle);
	list_remove(&request->link);
	if (request->streaming)
		requests->counts.streams--;
	if (request->body.read)
		requests->counts.bodies_open--;
	requests->counts.body_waiting -= request->body.waiting;
	requests->counts.collected -= request->body.whole.len;
	request->body.waiting = 0;
}

/* The end of a request that whoever works on it did not bring about. */
static void lose(struct request *request)
{
	retire(request);
	if (request->on_gone)
		request->on_gone(request->stream_arg);
	request_free(request);
}

void requests_gone(struct requests *requests, edged_handle handle)
{
	struct request *request = find(requests, handle);
	if (!request)
		return;
	requests->counts.gone++;
	lose(request);
}

void requests_room(struct requests *requests, edged_handle handle, size_t waiting)
{
	struct request *request = find(requests, handle);
	if (!request || !request->full || waiting > requests->limits.stream_mark / 2)
		return;
	request->full = false;
	if (request->on_room)
		request->on_room(request->stream_arg);
}

/* Who answers in somebody's stead tells him afterwards. */
static void answer_instead(struct request *request, bool tell, int status, const char *type,
        const char *title, const char *detail)
{
	void (*on_gone)(void *arg) = tell ? request->on_gone : NULL;
	void *arg = request->stream_arg;
	(void)request_problem(request->requests, request->handle, status, type, title, detail);
	if (on_gone)
		on_gone(arg);
}

static void expire(struct request *request)
{
	char detail[DETAIL_LEN];
	request->requests->counts.expired++;
	snprintf(detail, sizeof(detail),
	        "The service did not answer %.*s within %llu ms. It may be overloaded; try again later.",
	        EDGED_SLICE_FMT(request->target.raw_path),
	        (unsigned long long)request->requests->limits.answer_ms);
	answer_instead(request, true, 504, "answer-timeout", "No answer in time", detail);
}

uint64_t requests_expire(struct requests *requests)
{
	for (;;) {
		struct request *request = list_first(&requests->waiting, struct request, link);
		if (!request)
			return UINT64_MAX;
		uint64_t now = requests->now(requests->now_arg);
		if (request->deadline > now)
			return request->deadline - now;
		if (request->streaming) {
			lose(request);
			continue;
		}
		expire(request);
	}
}

static void abandon(struct request *request, bool tell)
{
	if (!request->streaming) {
		answer_instead(request, tell, 503, "service-stopped", "Service stopped",
		        "The service that worked on this request has been stopped. Try again later.");
		return;
	}
	request->init.front->end(request->init.front_data, false);
	if (!tell)
		request->on_gone = NULL;
	lose(request);
}

unsigned requests_abandon(struct requests *requests, const void *owner)
{
	unsigned n = 0;
	for (uint32_t i = 0; i < requests->table.size; i++) {
		struct request *request = handles_at(&requests->table, i);
		if (!request || (owner && request->owner != owner))
			continue;
		abandon(request, owner == NULL);
		n++;
	}
	return n;
}

void request_set_owner(struct requests *requests, edged_handle handle, const void *owner)
{
	struct request *request = find(requests, handle);
	if (request)
		request->owner = owner;
}

const void *request_owner(struct requests *requests, edged_handle handle)
{
	struct request *request = find(requests, handle);
	return request ? request->owner : NULL;
}

struct request_counts requests_counts(const struct requests *requests)
{
	struct request_counts counts = requests->counts;
	counts.open = requests->table.count;
	return counts;
}

/* --- reading
 * -------------------------------------------------------------------------------------------------- */

static const struct edged_slice nothing = { NULL, 0 };

struct edged_slice request_method(struct requests *requests, edged_handle handle)
{
	struct request *request = find(requests, handle);
	return request ? request->init.method : nothing;
}

struct edged_slice request_path(struct requests *requests, edged_handle handle)
{
	struct request *request = find(requests, handle);
	return request ? request->target.path : nothing;
}

struct edged_slice request_segments(struct requests *requests, edged_handle handle)
{
	struct request *request = find(requests, handle);
	return request ? request->target.segments : nothing;
}

struct edged_slice request_target(struct requests *requests, edged_handle handle)
{
	struct request *request = find(requests, handle);
	return request ? request->target.raw : nothing;
}

int request_retarget(struct requests *requests, edged_handle handle, struct edged_slice target)
{
	struct request *request = find(requests, handle);
	if (!request)
		return -ENOENT;
	if (request->streaming || request->body.read)
		return -EALREADY;
	if (target_memory(target) > target_memory(request->init.target))
		return -EINVAL;
	struct target parsed;
	int r = target_parse(target, request->memory, &parsed);
	if (r)
		return r;
	request->target = parsed;
	request->param_count = 0;
	request->owner = NULL;
	request->on_gone = NULL;
	request->init.hops++;
	return 0;
}

struct edged_slice request_param(struct requests *requests, edged_handle handle, const char *name)
{
	struct request *request = find(requests, handle);
	for (size_t i = 0; request && i < request->param_count; i++) {
		const struct template_param *param = &request->params[i];
		if (edged_slice_is(param->name, name))
			return edged_slice(request->target.path.ptr + param->offset, param->len);
	}
	return nothing;
}

int request_add_param(
        struct requests *requests, edged_handle handle, struct edged_slice name, size_t offset, size_t len)
{
	struct request *request = find(requests, handle);
	if (!request)
		return -ENOENT;
	if (request->param_count == TEMPLATE_PARAMS)
		return -ENOSPC;
	request->params[request->param_count++] = (struct template_param){ name, offset, len };
	return 0;
}

struct edged_slice request_query(struct requests *requests, edged_handle handle, const char *name)
{
	struct request *request = find(requests, handle);
	return request ? target_query(&request->target, name) : nothing;
}

struct edged_slice request_header(struct requests *requests, edged_handle handle, const char *name)
{
	struct request *request = find(requests, handle);
	size_t len = strlen(name);
	for (size_t i = 0; request && i < request->init.header_count; i++) {
		const struct header *header = &request->init.headers[i];
		if (header->name.len == len && strncasecmp(header->name.ptr, name, len) == 0)
			return edged_slice(header->value.ptr ? header->value.ptr : "", header->value.len);
	}
	return nothing;
}

const struct header *request_headers(struct requests *requests, edged_handle handle, size_t *ret_count)
{
	struct request *request = find(requests, handle);
	*ret_count = request ? request->init.header_count : 0;
	return request ? request->init.headers : NULL;
}

struct edged_slice request_body(struct requests *requests, edged_handle handle)
{
	struct request *request = find(requests, handle);
	return request ? request->init.body : nothing;
}

const struct edged_peer *request_peer(struct requests *requests, edged_handle handle)
{
	struct request *request = find(requests, handle);
	return request ? request->init.peer : NULL;
}

unsigned request_hops(struct requests *requests, edged_handle handle)
{
	struct request *request = find(requests, handle);
	return request ? request->init.hops : 0;
}

/* --- a body that comes bit by bit --- */

bool request_body_comes(struct requests *requests, edged_handle handle)
{
	const struct request *request = find(requests, handle);
	return request && request->init.body_comes && !request->body.read;
}

int64_t request_body_length(struct requests *requests, edged_handle handle)
{
	const struct request *request = find(requests, handle);
	return request && request->init.body_comes ? request->init.body_length : -1;
}

int request_read_body(struct requests *requests, edged_handle handle,
        void (*on_body)(void *arg, struct edged_slice bytes, bool last), void *arg)
{
	struct request *request = find(requests, handle);
	if (!request)
		return -ENOENT;
	if (!request->init.body_comes)
		return -ENODATA;
	if (request->body.read)
		return -EALREADY;
	request->body.read = on_body;
	request->body.arg = arg;
	requests->counts.bodies_open++;
	wait_for_answer(requests, request);
	request->init.front->body_wanted(request->init.front_data, 0);
	return 0;
}

void requests_body(struct requests *requests, edged_handle handle, struct edged_slice bytes, bool last)
{
	struct request *request = find(requests, handle);
	if (!request || !request->body.read || request->body.ended)
		return;
	request->body.waiting += bytes.len;
	requests->counts.body_waiting += bytes.len;
	request->body.ended = last;
	wait_for_answer(requests, request);
	request->body.read(request->body.arg, bytes, last);
}

int request_body_taken(struct requests *requests, edged_handle handle, size_t n)
{
	struct request *request = find(requests, handle);
	if (!request)
		return -ENOENT;
	if (n > request->body.waiting)
		return -EINVAL;
	if (n == 0)
		return 0;
	request->body.waiting -= n;
	requests->counts.body_waiting -= n;
	wait_for_answer(requests, request);
	request->init.front->body_wanted(request->init.front_data, n);
	return 0;
}

static void refuse_body(struct request *request, int error)
{
	struct requests *requests = request->requests;
	if (error == -ENOBUFS)
		(void)request_problemf(requests, request->handle, 413, "body-too-large", NULL,
		        "This path takes bodies of up to %zu bytes (http.body).", requests->limits.body);
	else
		(void)request_problem(requests, request->handle, 503, "limit-reached",
		        "Too much is being received",
		        "As many bytes of bodies wait for their ends as this node allows (http.bodies), or "
		        "it "
		        "is short of memory. Try again later.");
}

static void collect(void *arg, struct edged_slice bytes, bool last)
{
	struct request *request = arg;
	struct requests *requests = request->requests;
	int r = requests->counts.collected + bytes.len > requests->limits.bodies
	                ? -ENOMEM
	                : buf_add(&request->body.whole, bytes.ptr, bytes.len);
	if (r) {
		refuse_body(request, r);
		return;
	}
	requests->counts.collected += bytes.len;
	(void)request_body_taken(requests, request->handle, bytes.len);
	if (!last)
		return;
	request->init.body = buf_slice(&request->body.whole);
	request->init.body_comes = false;
	request->body.read = NULL;
	requests->counts.bodies_open--;
	wait_for_answer(requests, request);
	request->body.collected(request->body.collected_arg, request->handle);
}

void request_collect_body(struct requests *requests, edged_handle handle,
        void (*whole)(void *arg, edged_handle handle), void *arg)
{
	struct request *request = find(requests, handle);
	if (!request)
		return;
	if (request->init.body_length > 0 && (uint64_t)request->init.body_length > requests->limits.body) {
		refuse_body(request, -ENOBUFS);
		return;
	}
	request->body.collected = whole;
	request->body.collected_arg = arg;
	(void)request_read_body(requests, handle, collect, request);
}

/* --- answering
 * ------------------------------------------------------------------------------------------------ */

static bool token(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c <= ' ' || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c))
			return false;
	}
	return true;
}

static bool field_value(const char *text)
{
	for (; *text; text++)
		if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
			return false;
	return true;
}

static bool front_writes_it(const char *name)
{
	static const char *const names[] = { "Connection", "Content-Length", "Date", "Keep-Alive", "TE",
		"Trailer", "Transfer-Encoding", "Upgrade" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

int request_set_header(struct requests *requests, edged_handle handle, const char *name, const char *value)
{
	struct request *request = find(requests, handle);
	if (!request)
		return -ENOENT;
	if (request->streaming)
		return -EALREADY;
	if (!token(name) || !field_value(value) || front_writes_it(name))
		return -EINVAL;
	size_t name_len = strlen(name), value_len = strlen(value);
	if (request->answer_count == ANSWER_HEADERS)
		return -ENOSPC;
	int r = buf_reserve(&request->answer, name_len + value_len + 2);
	if (r)
		return r == -ENOBUFS ? -ENOSPC : r;
	buf_add(&request->answer, name, name_len + 1);
	buf_add(&request->answer, value, value_len + 1);
	request->answer_count++;
	return 0;
}

static void count_answer(struct request_counts *counts, int status)
{
	uint64_t *const classes[] = { &counts->answered_2xx, &counts->answered_3xx, &counts->answered_4xx,
		&counts->answered_5xx };
	++*classes[status / 100 - 2];
}

static void send_head(struct request *request, int status, const char *content_type, int64_t length)
{
	struct header headers[ANSWER_HEADERS + 1];
	size_t count = 0;
	if (content_type)
		headers[count++] = (struct header){ edged_str("Content-Type"), edged_str(content_type) };
	const char *at = request->answer.ptr;
	for (size_t i = 0; i < request->answer_count; i++) {
		struct edged_slice name = edged_str(at), value = edged_str(at + name.len + 1);
		headers[count++] = (struct header){ name, value };
		at = value.ptr + value.len + 1;
	}
	count_answer(&request->requests->counts, status);
	request->init.front->head(request->init.front_data, status, headers, count, length);
}

static bool bodiless(const struct request *request)
{
	return edged_slice_is(request->init.method, "HEAD");
}

static int check_answer(const struct request *request, int status, const char *content_type)
{
	if (!request)
		return -ENOENT;
	if (request->streaming)
		return -EALREADY;
	return status < 200 || status > 599 || (content_type && !field_value(content_type)) ? -EINVAL : 0;
}

int request_reply(struct requests *requests, edged_handle handle, int status, const char *content_type,
        struct edged_slice body)
{
	struct request *request = find(requests, handle);
	int r = check_answer(request, status, content_type);
	if (r)
		return r;
	retire(request);
	const struct request_front *front = request->init.front;
	send_head(request, status, content_type, (int64_t)body.len);
	if (body.len && !bodiless(request))
		front->body(request->init.front_data, body);
	front->end(request->init.front_data, true);
	request_free(request);
	return 0;
}

int request_problem(struct requests *requests, edged_handle handle, int status, const char *type,
        const char *title, const char *detail)
{
	struct request *request = find(requests, handle);
	int r = check_answer(request, status, NULL);
	if (r)
		return r;
	CLEANUP(buf_fini) struct buf document = BUF_EMPTY;
	r = problem_render(&document, status, type, title, detail, request->target.raw_path);
	struct edged_slice body = r ? edged_str("{\"type\":\"about:blank\"}\n") : buf_slice(&document);
	return request_reply(requests, handle, status, PROBLEM_CONTENT_TYPE, body);
}

int request_problemf(struct requests *requests, edged_handle handle, int status, const char *type,
        const char *title, const char *detail_format, ...)
{
	char detail[DETAIL_LEN];
	va_list args;
	va_start(args, detail_format);
	vsnprintf(detail, sizeof(detail), detail_format, args);
	va_end(args);
	return request_problem(requests, handle, status, type, title, detail);
}

bool request_is_websocket(struct requests *requests, edged_handle handle)
{
	const struct request *request = find(requests, handle);
	return request && request->init.websocket;
}

int request_upgrade(struct requests *requests, edged_handle handle, const struct request_upgrade *upgrade)
{
	struct request *request = find(requests, handle);
	int r = check_answer(request, 200, NULL);
	if (r)
		return r;
	if (!request->init.websocket)
		return -EINVAL;
	r = request->init.front->upgrade(request->init.front_data, upgrade);
	if (r)
		return r;
	retire(request);
	request_free(request);
	return 0;
}

static const struct failure {
	int error;
	int status;
	const char *type;
} failures[] = {
	{ -EINVAL, 400, "bad-request" },
	{ -EACCES, 403, "forbidden" },
	{ -EPERM, 403, "forbidden" },
	{ -ENOENT, 404, "not-found" },
	{ -EEXIST, 409, "conflict" },
	{ -EMSGSIZE, 413, "too-large" },
	{ -ENOTSUP, 501, "not-implemented" },
	{ -ENOSPC, 503, "limit-reached" },
	{ -ENOBUFS, 503, "limit-reached" },
	{ -ENOMEM, 503, "limit-reached" },
	{ -EAGAIN, 503, "busy" },
	{ -EBUSY, 503, "busy" },
	{ -ETIMEDOUT, 504, "timeout" },
};

int request_fail(struct requests *requests, edged_handle handle, int error)
{
	struct failure failure = { error, 500, "service-failed" };
	for (size_t i = 0; i < ARRAY_LEN(failures); i++)
		if (failures[i].error == error)
			failure = failures[i];
	return request_problemf(requests, handle, failure.status, failure.type, NULL,
	        "The service could not serve this request: %s.", strerror(-error));
}

/* --- streaming
 * ------------------------------------------------------------------------------------------------ */

static void drop_head(void *front, int status, const struct header *headers, size_t count, int64_t length)
{
	(void)front;
	(void)status;
	(void)headers;
	(void)count;
	(void)length;
}

static size_t drop_body(void *front, struct edged_slice bytes)
{
	(void)front;
	(void)bytes;
	return 0;
}

static void drop_end(void *front, bool ok)
{
	(void)front;
	(void)ok;
}

static void drop_wanted(void *front, size_t n)
{
	(void)front;
	(void)n;
}

/* HEAD of a streamed answer: the client is served by the head alone. Its front end is let go at once, and the
 * writer learns as if the client had left, at the next turn rather than from within stream_begin(). */
static void end_bodiless_stream(struct request *request)
{
	static const struct request_front nobody = {
		.head = drop_head, .body = drop_body, .end = drop_end, .body_wanted = drop_wanted
	};
	struct requests *requests = request->requests;
	request->init.front->end(request->init.front_data, true);
	request->init = (struct request_init){ .front = &nobody };
	request->target = (struct target){ .raw = nothing };
	requests->counts.body_waiting -= request->body.waiting;
	request->body.waiting = 0;
	request->deadline = requests->now(requests->now_arg);
	list_prepend(&requests->waiting, &request->link);
	requests->wake(requests->wake_arg, 0);
}

int request_stream_begin(struct requests *requests, edged_handle handle, int status, const char *content_type,
        void (*on_room)(void *arg), void (*on_gone)(void *arg), void *arg)
{
	struct request *request = find(requests, handle);
	int r = check_answer(request, status, content_type);
	if (r)
		return r;
	if (requests->counts.streams >= requests->limits.streams) {
		request_problem(requests, handle, 503, "too-many-streams", "Too many streams",
		        "As many streamed answers are open as this node allows. Close one, or try again "
		        "later.");
		return -ENOSPC;
	}
	list_remove(&request->link);
	request->streaming = true;
	request->on_room = on_room;
	request->on_gone = on_gone;
	request->stream_arg = arg;
	requests->counts.streams++;
	send_head(request, status, content_type, -1);
	if (bodiless(request))
		end_bodiless_stream(request);
	return 0;
}

int request_stream_write(struct requests *requests, edged_handle handle, struct edged_slice bytes)
{
	struct request *request = find(requests, handle);
	if (!request)
		return -ENOENT;
	if (!request->streaming)
		return -EINVAL;
	if (bytes.len == 0)
		return request->full ? EDGED_HTTP_FULL : 0;
	size_t waiting = request->full ? request->init.front->body(request->init.front_data, nothing) : 0;
	if (request->full && waiting + bytes.len > requests->limits.stream_limit)
		return -ENOBUFS;
	waiting = request->init.front->body(request->init.front_data, bytes);
	if (waiting >= requests->limits.stream_mark)
		request->full = true;
	return request->full ? EDGED_HTTP_FULL : 0;
}

int request_on_gone(struct requests *requests, edged_handle handle, void (*on_gone)(void *arg), void *arg)
{
	struct request *request = find(requests, handle);
	if (!request)
		return -ENOENT;
	if (request->streaming)
		return -EALREADY;
	request->on_gone = on_gone;
	request->stream_arg = arg;
	return 0;
}

static int end_stream(struct requests *requests, edged_handle handle, bool ok)
{
	struct request *request = find(requests, handle);
	if (!request)
		return -ENOENT;
	if (!request->streaming)
		return -EINVAL;
	retire(request);
	request->init.front->end(request->init.front_data, ok);
	request_free(request);
	return 0;
}

int request_stream_end(struct requests *requests, edged_handle handle)
{
	return end_stream(requests, handle, true);
}

int request_stream_abort(struct requests *requests, edged_handle handle)
{
	return end_stream(requests, handle, false);
}
