/* SPDX-License-Identifier: Apache-2.0 */
#include "io/http_server.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "io/http_answer.h"
#include "io/http_conn.h"
#include "io/http_upgrade.h"

/* Connections are limited where they are accepted; the library's own limit must not come first. TARGET is the longest
 * target of a request. */
enum { CONNECTIONS = 100000, TARGET = 4096, LAST_RUNS = 100 };

void http_server_schedule(struct http_server *server)
{
	loop_defer(server->options.loop, &server->run);
}

void http_conn_hot(struct http_conn *conn)
{
	if (list_empty(&conn->hot))
		list_append(&conn->server->hot, &conn->hot);
	http_server_schedule(conn->server);
}

/* --- what the library calls ----------------------------------------------------------------------------------- */

static struct http_conn *conn_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
	        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
        enum MHD_ConnectionNotificationCode code)
{
	struct http_server *server = cls;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*socket_context = server->adding;
		server->adding->mhd = connection;
		return;
	}
	struct http_conn *conn = *socket_context;
	conn->mhd = NULL;
	conn->suspended = false;
	if (conn->stream)
		http_conn_hot(conn);
	http_conn_maybe_free(conn);
}

static void refuse_open(struct http_conn *conn, int error)
{
	static const struct header headers[] = { { { "Content-Type", 12 },
		{ "application/problem+json", 24 } } };
	static const char text[] =
	        "{\"type\":\"urn:edged:problem:limit-reached\",\"title\":\"Too many requests at once\","
	        "\"status\":503,\"detail\":\"This node works on as many requests as it may. Try again "
	        "later.\"}\n";
	(void)error;
	http_answer_front.head(conn, 503, headers, 1, sizeof(text) - 1);
	http_answer_front.body(conn, edged_str(text));
	http_answer_front.end(conn, true);
}

static void dispatch(struct http_conn *conn)
{
	struct http_server *server = conn->server;
	struct http_head *head = conn->guard.head;
	bool whole = conn->guard.state == HTTP_GUARD_AT_END;
	http_head_drop(head, "edged-"); /* those are said between nodes; a client cannot speak for one */
	struct request_init init = { .method = head->method,
		.target = head->target,
		.headers = head->headers,
		.header_count = head->header_count,
		.body = whole ? buf_slice(&conn->body) : edged_slice(NULL, 0),
		.body_comes = !whole,
		.body_length = head->has_length ? (int64_t)head->length : -1,
		.peer = http_conn_caller(conn, whole ? buf_slice(&conn->body) : edged_slice(NULL, 0)),
		.front = &http_answer_front,
		.front_data = conn,
		.websocket = conn->websocket };
	edged_handle handle;
	conn->opened = true;
	int r = requests_open(server->options.requests, &init, &handle);
	if (r) {
		refuse_open(conn, r);
		return;
	}
	conn->request = handle;
	router_dispatch(server->options.router, handle);
}

/* The library has the request, or resumes: the answer is there, or will be. */
static enum MHD_Result serve(struct http_conn *conn)
{
	conn->in_handler = true;
	if (!conn->opened)
		dispatch(conn);
	conn->in_handler = false;
	if (!conn->stream)
		return MHD_NO; /* it became a WebSocket */
	http_conn_hot(conn);
	if (conn->response || conn->broken || conn->ended)
		return http_answer_queue(conn);
	MHD_suspend_connection(conn->mhd);
	conn->suspended = true;
	return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
        const char *method, const char *version, const char *upload, size_t *upload_size, void **state)
{
	(void)cls;
	(void)url;
	(void)method;
	(void)version;
	(void)upload;
	(void)upload_size;
	struct http_conn *conn = conn_of(connection);
	if (!conn || !conn->stream)
		return MHD_NO;
	if (!*state) {
		*state = conn; /* the head only */
		return MHD_YES;
	}
	return serve(conn);
}

static void on_done(
        void *cls, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code)
{
	struct http_server *server = cls;
	(void)connection;
	struct http_conn *conn = *state;
	if (!conn)
		return;
	conn->done = true;
	conn->suspended = false;
	edged_handle request = conn->request;
	conn->request = 0;
	if (request && code != MHD_REQUEST_TERMINATED_COMPLETED_OK)
		requests_gone(server->options.requests, request);
	http_conn_hot(conn);
}

static void on_log(void *cls, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

static void on_log(void *cls, const char *format, va_list args)
{
	(void)cls;
	if (log_level() >= EDGED_DEBUG)
		log_linev(EDGED_DEBUG, "http", format, args);
}

/* --- running it ----------------------------------------------------------------------------------------------- */

/* Those that become hot meanwhile are looked after in the next round. */
static void settle_all(struct http_server *server)
{
	struct list now;
	list_init(&now);
	while (!list_empty(&server->hot)) {
		struct http_conn *conn = list_entry(server->hot.next, struct http_conn, hot);
		list_remove(&conn->hot);
		list_append(&now, &conn->hot);
	}
	while (!list_empty(&now)) {
		struct http_conn *conn = list_entry(now.next, struct http_conn, hot);
		list_remove(&conn->hot);
		http_conn_settle(conn);
	}
}

static void arm(struct http_server *server)
{
	MHD_UNSIGNED_LONG_LONG ms;
	if (MHD_get_timeout(server->daemon, &ms) == MHD_YES)
		timer_set(server->timer, ms);
	else
		timer_cancel(server->timer);
}

static void run(struct deferred *deferred)
{
	struct http_server *server = CONTAINER_OF(deferred, struct http_server, run);
	MHD_run(server->daemon);
	settle_all(server);
	arm(server);
}

static void on_ready(void *arg, int what)
{
	(void)what;
	http_server_schedule(arg);
}

static void on_timer(void *arg)
{
	http_server_schedule(arg);
}

static void expire(void *arg)
{
	struct http_server *server = arg;
	uint64_t ms = requests_expire(server->options.requests);
	if (ms != UINT64_MAX)
		timer_set(server->expire, ms);
}

static void expire_in(void *arg, uint64_t ms)
{
	struct http_server *server = arg;
	timer_set(server->expire, ms);
}

/* --- life ----------------------------------------------------------------------------------------------------- */

static int start_daemon(struct http_server *server)
{
	server->daemon = MHD_start_daemon(
	        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
	        NULL, NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_log, server,
	        MHD_OPTION_NOTIFY_COMPLETED, on_done, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
	        server, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
	        MHD_OPTION_CONNECTION_MEMORY_LIMIT, 2 * server->limits.head + (size_t)(32 * 1024),
	        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
	if (!server->daemon)
		return errno ? -errno : -EIO;
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	return watch_new(server->options.loop, info->epoll_fd, WATCH_READ, on_ready, server, &server->watch);
}

static int start(struct http_server *server, struct err *err)
{
	int r = timer_new(server->options.loop, on_timer, server, &server->timer);
	if (!r)
		r = timer_new(server->options.loop, expire, server, &server->expire);
	if (!r)
		r = start_daemon(server);
	if (r)
		return err_set(err, r, "HTTP: the library did not start: %s", strerror(-r));
	requests_on_wake(server->options.requests, expire_in, server);
	r = http_upgrade_serve(server, err);
	if (r)
		return r;
	r = listeners_serve(server->options.listeners, "http", &http_conn_handler, server);
	server->serving = r == 0;
	return r ? err_set(err, r, "HTTP: something else serves it already") : 0;
}

void http_server_set_limits(struct http_server *server, const struct http_server_limits *limits)
{
	server->options.limits = *limits;
	server->limits.headers =
	        (unsigned)(limits->headers < HTTP_HEADERS_MAX ? limits->headers : HTTP_HEADERS_MAX);
	server->limits.body = limits->body_bytes;
}

int http_server_new(const struct http_server_options *options, struct http_server **ret, struct err *err)
{
	struct http_server *server = calloc(1, sizeof(*server));
	if (!server)
		return err_set(err, -ENOMEM, "HTTP: no memory");
	server->options = *options;
	server->limits = (struct http_head_limits){ .target = TARGET, .head = options->head_bytes };
	http_server_set_limits(server, &options->limits);
	server->streams = &stream_functions;
	list_init(&server->conns);
	list_init(&server->hot);
	deferred_init(&server->run, run);
	int r = start(server, err);
	if (r) {
		http_server_free(server);
		return r;
	}
	*ret = server;
	return 0;
}

void http_server_stop(struct http_server *server)
{
	server->stopping = true;
	list_each_safe (node, &server->conns)
		http_conn_stop(list_entry(node, struct http_conn, link));
}

static void no_wake(void *arg, uint64_t ms)
{
	(void)arg;
	(void)ms;
}

/* The library must have let go of every request before it is stopped. */
static void stop_daemon(struct http_server *server)
{
	if (!server->daemon)
		return;
	MHD_quiesce_daemon(server->daemon);
	for (int i = 0; i < LAST_RUNS && !list_empty(&server->conns); i++)
		MHD_run(server->daemon);
	MHD_stop_daemon(server->daemon);
}

void http_server_free(struct http_server *server)
{
	if (!server)
		return;
	if (server->serving)
		listeners_unserve(server->options.listeners, "http");
	router_remove(server->options.router, server);
	requests_on_wake(server->options.requests, no_wake, NULL);
	stop_daemon(server);
	watch_free(server->watch);
	timer_free(server->timer);
	timer_free(server->expire);
	deferred_cancel(&server->run);
	free(server);
}

#define REFUSAL_NAME(name) name,
static const char *const refusals[] = { HTTP_REFUSALS(REFUSAL_NAME) };

const char *http_refusal_name(size_t i)
{
	return refusals[i];
}

const char *http_late_name(enum http_late late)
{
	static const char *const names[HTTP_LATE_COUNT] = {
		[HTTP_LATE_HEADER] = "header",
		[HTTP_LATE_BODY] = "body",
		[HTTP_LATE_IDLE] = "idle",
		[HTTP_LATE_READER] = "reader",
	};
	return names[late];
}

void http_server_count_refusal(struct http_server *server, const char *type)
{
	size_t i = 0;
	while (i < ARRAY_LEN(refusals) && strcmp(refusals[i], type) != 0)
		i++;
	assert(i < ARRAY_LEN(refusals));
	server->counts.refused[i]++;
}

struct http_server_counts http_server_counts(const struct http_server *server)
{
	return server->counts;
}
