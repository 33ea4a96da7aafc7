/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/link_session.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <nghttp2/nghttp2.h>
#include "base/list.h"
#include "cluster/link_header.h"

struct link_session {
	nghttp2_session *h2;
	struct link_limits limits;
	struct link_session_owner owner;
	struct list streams;
	unsigned count;
	bool server;
	bool closing; /* said goodbye */
};

struct link_stream {
	struct list link;
	struct link_session *session;
	int32_t id;
	/* who is interested; NULL: nobody any more */
	const struct link_call_events *call;
	const struct link_serve_events *serve;
	void *user;
	/* incoming */
	struct link_headers headers;
	struct link_message message;
	size_t unconsumed; /* bytes of the body not yet consumed */
	uint64_t since;    /* server: link_session_expire() counts from here, 0: not yet */
	int refused;       /* server: the status to refuse it with */
	bool head_done;    /* the (final) head has come */
	bool ended;        /* the peer has said all */
	bool moved;        /* server: some of the body has come since link_session_expire() looked */
	bool unsent;       /* client: the request never left */
	/* outgoing */
	struct edged_slice
	        whole;   /* client: what is left of the request's body, when it was there from the start */
	struct buf out;  /* else the body, as far as it is there */
	size_t out_sent; /* of out */
	bool comes;      /* client: the body comes by link_stream_send() */
	bool wanted;     /* the request's body, by the side that serves */
	bool expects;    /* the client waits for that */
	bool bodiless;   /* answer to HEAD */
	bool answered;   /* server: the head of the answer was given */
	bool finished, waiting; /* all was given; nghttp2 was told that nothing is there */
	bool said;              /* all was sent */
};

/* --- streams --- */

static struct link_stream *stream_new(struct link_session *session)
{
	struct link_stream *stream = calloc(1, sizeof(*stream));
	if (!stream)
		return NULL;
	stream->session = session;
	link_headers_init(&stream->headers, session->limits.headers, session->limits.header_bytes);
	list_append(&session->streams, &stream->link);
	session->count++;
	return stream;
}

static void stream_free(struct link_stream *stream)
{
	stream->session->count--;
	list_remove(&stream->link);
	link_headers_fini(&stream->headers);
	buf_fini(&stream->out);
	free(stream);
}

static void wants_output(struct link_session *session)
{
	session->owner.wants_output(session->owner.arg);
}

/* Tells who is interested that it is over, then forgets the stream. */
static void stream_end(struct link_stream *stream, enum link_end how)
{
	const struct link_call_events *call = TAKE(stream->call);
	const struct link_serve_events *serve = TAKE(stream->serve);
	if (call)
		call->end(stream->user, how);
	if (serve)
		serve->gone(stream->user);
	stream_free(stream);
}

static struct link_stream *find_stream(const struct link_session *session, int32_t id)
{
	list_each (node, &session->streams) {
		struct link_stream *stream = list_entry(node, struct link_stream, link);
		if (stream->id == id)
			return stream;
	}
	return NULL;
}

/* --- sending bodies --- */

static size_t read_whole(struct link_stream *stream, uint8_t *to, size_t length)
{
	struct edged_slice *left = &stream->whole;
	size_t n = left->len < length ? left->len : length;
	if (n)
		memcpy(to, left->ptr, n);
	*left = edged_slice(left->ptr + n, left->len - n);
	return n;
}

static size_t out_waiting(const struct link_stream *stream)
{
	return stream->out.len - stream->out_sent;
}

/* Sent bytes are moved out of the way when they are the greater part: each byte is moved once at most. */
static void out_compact(struct link_stream *stream)
{
	if (stream->out_sent * 2 >= stream->out.len) {
		buf_drop(&stream->out, stream->out_sent);
		stream->out_sent = 0;
	}
}

static size_t read_out(struct link_stream *stream, uint8_t *to, size_t length)
{
	size_t n = out_waiting(stream);
	n = n < length ? n : length;
	if (n)
		memcpy(to, stream->out.ptr + stream->out_sent, n);
	stream->out_sent += n;
	out_compact(stream);
	if (n && stream->serve)
		stream->serve->room(stream->user, out_waiting(stream));
	if (n && stream->call)
		stream->call->sent(stream->user, n, out_waiting(stream));
	return n;
}

/* nghttp2 asks for bytes again only after it was told that there are some. */
static void resume_body(struct link_stream *stream)
{
	if (stream->waiting) {
		stream->waiting = false;
		(void)nghttp2_session_resume_data(stream->session->h2, stream->id);
	}
	wants_output(stream->session);
}

/* Once the head of a request has left, its body may follow, unless the other side is to say so. */
static void want_body(struct link_stream *stream)
{
	if (stream->wanted || !stream->call)
		return;
	stream->wanted = true;
	stream->call->wanted(stream->user);
}

static ssize_t read_body(nghttp2_session *h2, int32_t id, uint8_t *to, size_t length, uint32_t *flags,
        nghttp2_data_source *source, void *arg)
{
	(void)h2;
	(void)id;
	const struct link_session *session = arg;
	struct link_stream *stream = source->ptr;
	if (!session->server && !stream->call) /* cancelled: the body may have gone */
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (stream->comes && !stream->expects)
		want_body(stream);
	size_t n = stream->whole.len ? read_whole(stream, to, length) : read_out(stream, to, length);
	if (n == 0 && !stream->finished) {
		stream->waiting = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (stream->finished && stream->whole.len == 0 && out_waiting(stream) == 0) {
		stream->said = true;
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	}
	return (ssize_t)n;
}

/* --- receiving --- */

static int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct link_session *session = arg;
	if (!session->server || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if (session->closing) {
		/* The goodbye that is on its way says that this one was not begun: so it must not be. */
		(void)nghttp2_submit_rst_stream(
		        h2, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
		return 0;
	}
	struct link_stream *stream = stream_new(session);
	if (!stream)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	stream->id = frame->hd.stream_id;
	(void)nghttp2_session_set_stream_user_data(h2, stream->id, stream);
	return 0;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
        const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
	(void)flags;
	(void)arg;
	struct link_stream *stream = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
	if (!stream || stream->refused ||
	        stream->head_done) /* the latter: trailers, of which nothing is made */
		return 0;
	int r = link_headers_add(
	        &stream->headers, edged_slice(name, name_len), edged_slice(value, value_len));
	if (r == -ENOMEM)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (r)
		stream->refused = 431;
	return 0;
}

static int on_data_chunk(
        nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *bytes, size_t n, void *arg)
{
	(void)flags;
	(void)arg;
	struct link_stream *stream = nghttp2_session_get_stream_user_data(h2, id);
	if (!stream || (!stream->call && !stream->serve))
		return nghttp2_session_consume(h2, id, n) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
	stream->unconsumed += n;
	stream->moved = true;
	if (stream->call)
		stream->call->data(stream->user, edged_slice(bytes, n));
	else
		stream->serve->body(stream->user, edged_slice(bytes, n), false);
	return 0;
}

static void refuse(struct link_stream *stream, int status)
{
	link_stream_head(stream, status, NULL, 0, 0);
	link_stream_finish(stream, true);
}

static bool expects_continue(const struct link_message *message)
{
	return link_header_find(message->headers, message->header_count, "expect");
}

static void request_head(struct link_session *session, struct link_stream *stream)
{
	stream->head_done = true;
	if (!stream->refused && link_headers_message(&stream->headers, &stream->message))
		stream->refused = 503;
	if (stream->refused) {
		refuse(stream, stream->refused);
		return;
	}
	stream->message.ended = stream->ended;
	stream->expects = !stream->ended && expects_continue(&stream->message);
	stream->message.expects = stream->expects;
	stream->bodiless = edged_slice_is(stream->message.method, "HEAD");
	session->owner.request(session->owner.arg, stream, &stream->message);
	if (!stream->serve && !stream->answered)
		refuse(stream, 503);
}

/* More of a request has come. */
static void request_frame(struct link_session *session, struct link_stream *stream)
{
	if (!stream->head_done)
		request_head(session, stream);
	else if (stream->ended && stream->serve)
		stream->serve->body(stream->user, edged_slice(NULL, 0), true);
}

static void answer_head(struct link_stream *stream)
{
	if (stream->head_done || !stream->call)
		return;
	if (stream->refused || link_headers_message(&stream->headers, &stream->message)) {
		const struct link_call_events *call = TAKE(stream->call);
		nghttp2_submit_rst_stream(
		        stream->session->h2, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_ENHANCE_YOUR_CALM);
		call->end(stream->user, LINK_END_LIMIT);
		return;
	}
	if (stream->message.status < 200) {
		if (stream->message.status == 100 && stream->comes)
			want_body(stream);
		link_headers_clear(&stream->headers); /* an interim answer; the real one follows */
		return;
	}
	stream->head_done = true;
	stream->call->head(stream->user, &stream->message);
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct link_session *session = arg;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	struct link_stream *stream = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
	if (!stream)
		return 0;
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		stream->ended = true;
	if (session->server) {
		request_frame(session, stream);
		return 0;
	}
	if (frame->hd.type == NGHTTP2_HEADERS)
		answer_head(stream);
	if (stream->ended && !stream->said) /* it has no use for the rest of the request */
		(void)nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR);
	return 0;
}

/* An answer is complete: of a request that is not, the rest is not wanted (RFC 9113 section 8.1). */
static int on_frame_sent(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	const struct link_session *session = arg;
	bool ends = (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
	            frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
	if (!session->server || !ends)
		return 0;
	const struct link_stream *stream = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
	if (stream && !stream->ended)
		(void)nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
	return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t id, uint32_t error, void *arg)
{
	(void)arg;
	struct link_stream *stream = nghttp2_session_get_stream_user_data(h2, id);
	if (!stream)
		return 0;
	if (stream->unconsumed)
		(void)nghttp2_session_consume_connection(h2, stream->unconsumed);
	enum link_end how = LINK_END_BROKEN;
	if (stream->ended && stream->head_done)
		how = LINK_END_OK;
	else if (error == NGHTTP2_REFUSED_STREAM || stream->unsent)
		how = LINK_END_REFUSED;
	stream_end(stream, how);
	return 0;
}

/* A request that could not be sent any more, because the peer goes away or it was cancelled first. */
static int on_frame_not_sent(nghttp2_session *h2, const nghttp2_frame *frame, int error, void *arg)
{
	(void)h2;
	(void)error;
	struct link_session *session = arg;
	if (session->server || frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	struct link_stream *stream = find_stream(session, frame->hd.stream_id);
	if (stream)
		stream->unsent = true; /* nghttp2 closes the stream next */
	return 0;
}

/* --- the session --- */

static void set_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_sent);
}

static int make_h2(struct link_session *session)
{
	nghttp2_session_callbacks *callbacks = NULL;
	nghttp2_option *option = NULL;
	int r = -ENOMEM;
	if (nghttp2_session_callbacks_new(&callbacks) || nghttp2_option_new(&option))
		goto out;
	set_callbacks(callbacks);
	nghttp2_option_set_no_auto_window_update(option, 1);
	nghttp2_option_set_max_deflate_dynamic_table_size(option, 4096);
	/* Finished streams are of no use for priorities here; without this, memory grows with each request.
	 */
	nghttp2_option_set_no_closed_streams(option, 1);
	nghttp2_option_set_max_send_header_block_length(option, session->limits.header_bytes * 2);
	if (!(session->server ? nghttp2_session_server_new2(&session->h2, callbacks, session, option)
	                      : nghttp2_session_client_new2(&session->h2, callbacks, session, option)))
		r = 0;
out:
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(option);
	return r;
}

static int greet(struct link_session *session)
{
	const struct link_limits *limits = &session->limits;
	const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->streams },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits->window },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->header_bytes },
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 }, /* by the side that serves */
	};
	size_t count = ARRAY_LEN(settings) - (session->server ? 0 : 1);
	/* All streams may fill their windows: one slow reader must not stop the others. */
	uint64_t window = (uint64_t)limits->streams * limits->window;
	int32_t all = window > INT32_MAX ? INT32_MAX : (int32_t)window;
	return nghttp2_submit_settings(session->h2, NGHTTP2_FLAG_NONE, settings, count) ||
	                       nghttp2_session_set_local_window_size(session->h2, NGHTTP2_FLAG_NONE, 0, all)
	               ? -ENOMEM
	               : 0;
}

int link_session_new(bool server, const struct link_limits *limits, const struct link_session_owner *owner,
        struct link_session **ret)
{
	struct link_session *session = calloc(1, sizeof(*session));
	if (!session)
		return -ENOMEM;
	session->server = server;
	session->limits = *limits;
	session->owner = *owner;
	list_init(&session->streams);
	int r = make_h2(session);
	if (!r)
		r = greet(session);
	if (r) {
		link_session_free(session);
		return r;
	}
	*ret = session;
	return 0;
}

void link_session_free(struct link_session *session)
{
	if (!session)
		return;
	/* From the front each time: what ends may cancel others. */
	for (struct link_stream *stream;
	        (stream = list_first(&session->streams, struct link_stream, link));) {
		if (stream->id && session->h2)
			(void)nghttp2_session_set_stream_user_data(session->h2, stream->id, NULL);
		stream_end(stream, LINK_END_LOST);
	}
	nghttp2_session_del(session->h2);
	free(session);
}

int link_session_input(struct link_session *session, const uint8_t *bytes, size_t n)
{
	ssize_t used = nghttp2_session_mem_recv(session->h2, bytes, n);
	wants_output(session);
	if (used == NGHTTP2_ERR_NOMEM)
		return -ENOMEM;
	return used == (ssize_t)n ? 0 : -EPROTO;
}

ssize_t link_session_output(struct link_session *session, const uint8_t **ret)
{
	ssize_t n = nghttp2_session_mem_send(session->h2, ret);
	if (n < 0)
		return n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO;
	return n;
}

bool link_session_over(const struct link_session *session)
{
	return !nghttp2_session_want_read(session->h2) && !nghttp2_session_want_write(session->h2);
}

bool link_session_open(const struct link_session *session)
{
	return nghttp2_session_check_request_allowed(session->h2);
}

unsigned link_session_streams(const struct link_session *session)
{
	return session->count;
}

uint64_t link_session_held(const struct link_session *session)
{
	uint64_t held = 0;
	list_each (node, &session->streams) {
		const struct link_stream *stream = list_entry(node, struct link_stream, link);
		held += stream->unconsumed + out_waiting(stream);
	}
	return held;
}

void link_session_shutdown(struct link_session *session)
{
	session->closing = true;
	(void)nghttp2_submit_goaway(session->h2, NGHTTP2_FLAG_NONE,
	        nghttp2_session_get_last_proc_stream_id(session->h2), NGHTTP2_NO_ERROR, NULL, 0);
	wants_output(session);
}

void link_session_ping(struct link_session *session)
{
	(void)nghttp2_submit_ping(session->h2, NGHTTP2_FLAG_NONE, NULL);
	wants_output(session);
}

void link_session_expire(struct link_session *session, uint64_t now, uint64_t ms, bool patient)
{
	list_each (node, &session->streams) {
		struct link_stream *stream = list_entry(node, struct link_stream, link);
		/* while bytes wait for who reads them, or nobody wants any, the peer has nothing to do */
		bool goes_on = stream->moved || stream->unconsumed || (stream->head_done && !stream->wanted);
		stream->moved = false;
		if (stream->ended)
			continue;
		if (!stream->since || (patient && goes_on))
			stream->since = now;
		else if (now - stream->since > ms)
			(void)nghttp2_submit_rst_stream(
			        session->h2, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
	}
	wants_output(session);
}

/* --- client --- */

static nghttp2_nv make_nv(struct edged_slice name, struct edged_slice value)
{
	/* Copied by nghttp2, and names made lower case. */
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name.ptr, (uint8_t *)(uintptr_t)value.ptr, name.len,
		value.len, NGHTTP2_NV_FLAG_NONE };
}

static int submit_request(struct link_stream *stream, const struct link_send *send)
{
	size_t n = 0;
	nghttp2_nv *nv = calloc(send->header_count + 7, sizeof(*nv));
	if (!nv)
		return -ENOMEM;
	const bool has_body = send->body_comes || send->body.len;
	int64_t body_length = send->body_comes ? send->body_length : (int64_t)send->body.len;
	char length[24];
	snprintf(length, sizeof(length), "%lld", (long long)body_length);
	nv[n++] = make_nv(edged_str(":method"), send->method);
	nv[n++] = make_nv(edged_str(":scheme"), edged_str("https"));
	nv[n++] = make_nv(edged_str(":authority"), send->authority);
	nv[n++] = make_nv(edged_str(":path"), send->target);
	if (send->protocol.len)
		nv[n++] = make_nv(edged_str(":protocol"), send->protocol);
	if (has_body && body_length >= 0)
		nv[n++] = make_nv(edged_str("content-length"), edged_str(length));
	if (send->body_comes && send->expects_continue)
		nv[n++] = make_nv(edged_str("expect"), edged_str("100-continue"));
	for (size_t i = 0; i < send->header_count; i++)
		nv[n++] = make_nv(send->headers[i].name, send->headers[i].value);
	const nghttp2_data_provider provider = { .source.ptr = stream, .read_callback = read_body };
	int32_t id =
	        nghttp2_submit_request(stream->session->h2, NULL, nv, n, has_body ? &provider : NULL, stream);
	free(nv);
	if (id < 0)
		return id == NGHTTP2_ERR_NOMEM              ? -ENOMEM
		       : id == NGHTTP2_ERR_INVALID_ARGUMENT ? -EINVAL
		                                            : -EPIPE;
	stream->id = id;
	return 0;
}

int link_session_call(struct link_session *session, const struct link_send *send,
        const struct link_call_events *events, void *user, struct link_stream **ret)
{
	assert(!session->server);
	struct link_stream *stream = stream_new(session);
	if (!stream)
		return -ENOMEM;
	stream->whole = send->body;
	stream->comes = send->body_comes;
	stream->expects = send->expects_continue;
	stream->finished = !send->body_comes;
	stream->said = !send->body_comes && send->body.len == 0;
	int r = submit_request(stream, send);
	if (r) {
		stream_free(stream);
		return r;
	}
	stream->call = events;
	stream->user = user;
	*ret = stream;
	wants_output(session);
	return 0;
}

void link_stream_cancel(struct link_stream *stream)
{
	stream->call = NULL;
	(void)nghttp2_submit_rst_stream(stream->session->h2, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
	wants_output(stream->session);
}

int link_stream_send(struct link_stream *stream, struct edged_slice bytes, bool last)
{
	int r = buf_add(&stream->out, bytes.ptr, bytes.len);
	if (r)
		return r;
	stream->finished = last;
	resume_body(stream);
	return 0;
}

void link_stream_consume(struct link_stream *stream, size_t n)
{
	assert(n <= stream->unconsumed);
	stream->unconsumed -= n;
	(void)nghttp2_session_consume(stream->session->h2, stream->id, n);
	wants_output(stream->session);
}

/* --- server --- */

void link_stream_serve(struct link_stream *stream, const struct link_serve_events *events, void *user)
{
	stream->serve = events;
	stream->user = user;
}

void link_stream_want(struct link_stream *stream)
{
	static const char status[] = ":status", number[] = "100";
	stream->wanted = true;
	if (!stream->expects || stream->ended || stream->answered)
		return;
	const nghttp2_nv nv = make_nv(edged_str(status), edged_str(number));
	(void)nghttp2_submit_headers(stream->session->h2, NGHTTP2_FLAG_NONE, stream->id, NULL, &nv, 1, NULL);
	wants_output(stream->session);
}

void link_stream_head(
        struct link_stream *stream, int status, const struct header *headers, size_t count, int64_t length)
{
	struct link_session *session = stream->session;
	nghttp2_nv *nv = calloc(count + 2, sizeof(*nv));
	char number[8], text[24];
	size_t n = 0;
	stream->answered = true;
	snprintf(number, sizeof(number), "%d", status);
	snprintf(text, sizeof(text), "%lld", (long long)length);
	if (nv) {
		nv[n++] = make_nv(edged_str(":status"), edged_str(number));
		for (size_t i = 0; i < count; i++)
			nv[n++] = make_nv(headers[i].name, headers[i].value);
		if (length >= 0 && status != 204 && status != 304)
			nv[n++] = make_nv(edged_str("content-length"), edged_str(text));
	}
	const nghttp2_data_provider provider = { .source.ptr = stream, .read_callback = read_body };
	bool empty = stream->bodiless || length == 0;
	if (!nv || nghttp2_submit_response(session->h2, stream->id, nv, n, empty ? NULL : &provider))
		(void)nghttp2_submit_rst_stream(
		        session->h2, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_INTERNAL_ERROR);
	free(nv);
	wants_output(session);
}

size_t link_stream_body(struct link_stream *stream, struct edged_slice bytes)
{
	if (bytes.len == 0)
		return out_waiting(stream);
	if (buf_add(&stream->out, bytes.ptr, bytes.len)) {
		/* No memory: the answer cannot be whole any more, and the other side must see that. */
		(void)nghttp2_submit_rst_stream(
		        stream->session->h2, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_INTERNAL_ERROR);
	}
	resume_body(stream);
	return out_waiting(stream);
}

void link_stream_finish(struct link_stream *stream, bool ok)
{
	stream->serve = NULL;
	stream->finished = true;
	if (stream->unconsumed)
		link_stream_consume(stream, stream->unconsumed);
	if (!ok)
		(void)nghttp2_submit_rst_stream(
		        stream->session->h2, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_INTERNAL_ERROR);
	resume_body(stream);
}
