/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of the HTTP server: a server with routes of its own over real sockets. The loop runs on the test's
 * thread; the client is a script on a thread of its own, which blocks on its sockets and stops the loop when it is
 * through. In a header, since it stands in for io/listener.
 */
#ifndef TEST_HTTP_WORLD_H
#define TEST_HTTP_WORLD_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "io/http_server.h"
#include "io/stream.h"
#include "heap.h"

#pragma GCC diagnostic ignored "-Wunused-function" /* no test needs all of it */

/* --- listeners, as far as the server asks ---------------------------------------------------------------------- */

struct listeners {
	const struct edged_stream_handler *handler;
	void *self;
	struct loops *loops;
	const struct edged_stream_handler *_Atomic broker;
};

int listeners_serve(struct listeners *listeners, const char *protocol,
        const struct edged_stream_handler *handler, void *self)
{
	assert_string_equal(protocol, "http");
	listeners->handler = handler;
	listeners->self = self;
	return 0;
}

void listeners_unserve(struct listeners *listeners, const char *protocol)
{
	assert_string_equal(protocol, "http");
	streams_end(listeners->loops, listeners->handler, listeners->self);
}

const struct edged_stream_handler *listeners_handler(
        const struct listeners *listeners, const char *protocol, void **ret_self)
{
	assert_string_equal(protocol, "mqtt");
	*ret_self = NULL;
	return listeners->broker;
}

/* --- the world -------------------------------------------------------------------------------------------------- */

struct world {
	struct loops *loops;
	struct requests *requests;
	struct router *router;
	struct listeners listeners;
	struct http_server *server;
	const char *script;
	void (*play)(void);
	char failure[512];
	/* what the routes do and see */
	edged_handle later;
	atomic_int called, gone, room, full;
	struct timer *timer;
	bool filling;
	atomic_size_t written, given; /* bytes of answers, and of bodies */
	atomic_bool take;             /* who reads bodies takes them */
};

static struct world *world;
static uint64_t answer_ms = 300; /* may be changed by a test's setup */

static uint64_t now_ms(void *arg)
{
	(void)arg;
	return clock_mono_ms();
}

static int serve_echo(void *self, edged_handle handle)
{
	(void)self;
	atomic_fetch_add(&world->called, 1);
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	struct requests *requests = world->requests;
	buf_addf(&text, "%.*s %.*s [%.*s]\n", EDGED_SLICE_FMT(request_method(requests, handle)),
	        EDGED_SLICE_FMT(request_path(requests, handle)),
	        EDGED_SLICE_FMT(request_body(requests, handle)));
	request_set_header(requests, handle, "ETag", "\"7\"");
	return request_reply(requests, handle, 200, "text/plain", buf_slice(&text));
}

static int serve_empty(void *self, edged_handle handle)
{
	(void)self;
	return request_reply(world->requests, handle, 204, NULL, edged_slice(NULL, 0));
}

static int serve_big(void *self, edged_handle handle)
{
	(void)self;
	size_t n = 3 * 1024 * 1024;
	char *bytes = malloc(n);
	memset(bytes, 'x', n);
	int r = request_reply(world->requests, handle, 200, "text/plain", edged_slice(bytes, n));
	free(bytes);
	return r;
}

static void answer_later(void *arg)
{
	(void)arg;
	request_reply(world->requests, world->later, 200, "text/plain", edged_str("later\n"));
}

static int serve_later(void *self, edged_handle handle)
{
	(void)self;
	world->later = handle;
	timer_set(world->timer, 20);
	return 0;
}

/* Longer than a half-closed client is left alone. */
static int serve_patient(void *self, edged_handle handle)
{
	int r = serve_later(self, handle);
	timer_set(world->timer, 1300);
	return r;
}

/* The headers that a service sees. */
static int serve_caller(void *self, edged_handle handle)
{
	(void)self;
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	size_t count;
	const struct header *headers = request_headers(world->requests, handle, &count);
	for (size_t i = 0; i < count; i++)
		buf_addf(&text, "%.*s=%.*s\n", EDGED_SLICE_FMT(headers[i].name),
		        EDGED_SLICE_FMT(headers[i].value));
	return request_reply(world->requests, handle, 200, "text/plain", buf_slice(&text));
}

static int serve_who(void *self, edged_handle handle)
{
	(void)self;
	const struct edged_peer *peer = request_peer(world->requests, handle);
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	buf_addf(&text, "%s, signed by %s, not by %s\n", peer->trusted ? "trusted" : "anybody",
	        peer->signer && !peer->bad_signature ? peer->signer : "nobody",
	        peer->bad_signature ? peer->signer : "nobody");
	return request_reply(world->requests, handle, 200, "text/plain", buf_slice(&text));
}

static int serve_never(void *self, edged_handle handle)
{
	(void)self;
	(void)handle;
	atomic_fetch_add(&world->called, 1);
	return 0;
}

static void on_gone(void *arg)
{
	(void)arg;
	atomic_fetch_add(&world->gone, 1);
}

/* Writes until the stream is full. */
static void fill(void *arg)
{
	(void)arg;
	char bytes[1024];
	memset(bytes, 'y', sizeof(bytes));
	if (!world->filling)
		return;
	for (int i = 0; i < 100000; i++) {
		int r = request_stream_write(
		        world->requests, world->later, edged_slice(bytes, sizeof(bytes)));
		if (r < 0)
			return;
		world->written += sizeof(bytes);
		if (r == EDGED_HTTP_FULL) {
			atomic_fetch_add(&world->full, 1);
			return;
		}
	}
	snprintf(world->failure, sizeof(world->failure), "the stream never was full");
}

static void on_room(void *arg)
{
	atomic_fetch_add(&world->room, 1);
	fill(arg);
}

static int serve_stream(void *self, edged_handle handle)
{
	world->later = handle;
	world->filling = self != NULL;
	int r = request_stream_begin(
	        world->requests, handle, 200, "text/event-stream", on_room, on_gone, NULL);
	atomic_fetch_add(&world->called, 1);
	if (!r)
		fill(NULL);
	return r;
}

/* Two events with time between, then the end. */
static void next_event(void *arg)
{
	(void)arg;
	if (world->written++ < 2) {
		request_stream_write(world->requests, world->later, edged_str("data: x\n\n"));
		timer_set(world->timer, 20);
	} else {
		request_stream_end(world->requests, world->later);
	}
}

static int serve_events(void *self, edged_handle handle)
{
	int r = serve_stream(self, handle);
	timer_free(world->timer);
	int t = timer_new(loops_at(world->loops, 0), next_event, NULL, &world->timer);
	timer_set(world->timer, 20);
	return r ? r : t;
}

static int serve_broken(void *self, edged_handle handle)
{
	int r = serve_stream(self, handle);
	request_stream_write(world->requests, handle, edged_str("half"));
	requests_abandon(world->requests, world);
	return r;
}

/* --- bodies that are read as they come --- */

static void take_body(void *arg)
{
	(void)arg;
	if (!world->take) {
		timer_set(world->timer, 5);
		return;
	}
	(void)request_body_taken(world->requests, world->later, world->written);
	world->written = 0;
}

static void sink(void *arg, struct edged_slice bytes, bool last)
{
	(void)arg;
	world->given += bytes.len;
	world->written += bytes.len;
	take_body(NULL);
	if (!last)
		return;
	char text[32];
	snprintf(text, sizeof(text), "%zu bytes\n", (size_t)world->given);
	request_reply(world->requests, world->later, 200, "text/plain", edged_str(text));
}

static int serve_sink(void *self, edged_handle handle)
{
	(void)self;
	world->later = handle;
	atomic_fetch_add(&world->called, 1);
	timer_free(world->timer);
	int r = timer_new(loops_at(world->loops, 0), take_body, NULL, &world->timer);
	request_on_gone(world->requests, handle, on_gone, NULL);
	if (!r)
		r = request_read_body(world->requests, handle, sink, NULL);
	return r == -ENODATA ? request_reply(world->requests, handle, 200, NULL, edged_str("whole\n")) : r;
}

static void mirror(void *arg, struct edged_slice bytes, bool last)
{
	(void)arg;
	request_stream_write(world->requests, world->later, bytes);
	request_body_taken(world->requests, world->later, bytes.len);
	if (last)
		request_stream_end(world->requests, world->later);
}

static int serve_mirror(void *self, edged_handle handle)
{
	(void)self;
	world->later = handle;
	int r = request_stream_begin(world->requests, handle, 200, "text/plain", NULL, on_gone, NULL);
	return r ? r : request_read_body(world->requests, handle, mirror, NULL);
}

static int serve_no(void *self, edged_handle handle)
{
	(void)self;
	return request_problem(world->requests, handle, 403, "no", "No", "Not at all.");
}

static const struct edged_route routes[] = {
	{ "PUT", "/sink", serve_sink, NULL, NULL, 0, EDGED_ROUTE_STREAMED_BODY },
	{ "PUT", "/mirror", serve_mirror, NULL, NULL, 0, EDGED_ROUTE_STREAMED_BODY },
	{ "PUT", "/no", serve_no, NULL, NULL, 0, EDGED_ROUTE_STREAMED_BODY },
	{ "*", "/echo", serve_echo, NULL, NULL, 0, 0 },
	{ "GET", "/empty", serve_empty, NULL, NULL, 0, 0 },
	{ "GET", "/big", serve_big, NULL, NULL, 0, 0 },
	{ "GET", "/later", serve_later, NULL, NULL, 0, 0 },
	{ "GET", "/never", serve_never, NULL, NULL, 0, 0 },
	{ "GET", "/quiet", serve_stream, NULL, NULL, 0, 0 },
	{ "GET", "/events", serve_events, NULL, NULL, 0, 0 },
	{ "GET", "/caller", serve_caller, NULL, NULL, 0, 0 },
	{ "GET", "/patient", serve_patient, NULL, NULL, 0, 0 },
	{ "GET", "/secret", serve_echo, NULL, NULL, 0, 0 },
	{ "POST", "/who", serve_who, NULL, NULL, 0, 0 },
	{ "GET", "/who", serve_who, NULL, NULL, 0, 0 },
	{ "GET", "/anybody", serve_who, NULL, NULL, 0, 0 },
	{ NULL, NULL, NULL, NULL, NULL, 0, 0 },
};
static const struct edged_route full_routes[] = {
	{ "GET", "/flood", serve_stream, NULL, NULL, 0, 0 },
	{ "GET", "/broken", serve_broken, NULL, NULL, 0, 0 },
	{ NULL, NULL, NULL, NULL, NULL, 0, 0 },
};

static int admit(
        void *arg, const struct http_admission *admission, const char **ret_title, const char **ret_detail)
{
	(void)arg;
	*ret_title = "No key";
	*ret_detail = "Bring the key.";
	if (edged_slice_is(admission->path, "/anybody"))
		return HTTP_ANYBODY;
	if (!edged_slice_is(admission->path, "/secret"))
		return 0;
	return edged_slice_is(admission->authorization, "Bearer right") ? 0 : 401;
}

static enum edged_login_outcome signer(
        void *arg, const struct edged_http_message *message, char ret[EDGED_SIGNER_MAX])
{
	(void)arg;
	for (size_t i = 0; i < message->field_count; i++)
		if (edged_slice_is(message->fields[i].name, "X-Signed-By")) {
			snprintf(ret, EDGED_SIGNER_MAX, "%.*s %.*s",
			        EDGED_SLICE_FMT(message->fields[i].value), EDGED_SLICE_FMT(message->body));
			return edged_slice_is(message->fields[i].value, "mallory") ? EDGED_LOGIN_REFUSED
			                                                           : EDGED_LOGIN_KNOWN;
		}
	return EDGED_LOGIN_UNKNOWN;
}

static int setup(void **state)
{
	world = calloc(1, sizeof(*world));
	*state = world;
	const struct request_limits limits = { .open = 4,
		.streams = 4,
		.answer_ms = answer_ms,
		.stream_mark = 64 * 1024,
		.stream_limit = 256 * 1024,
		.body = 1024 * 1024,
		.bodies = 4 * 1024 * 1024 };
	assert_int_equal(loops_new(2, &world->loops), 0);
	world->listeners.loops = world->loops;
	assert_int_equal(requests_new(&limits, now_ms, NULL, &world->requests), 0);
	assert_int_equal(router_new(world->requests, &world->router), 0);
	struct route_owner owner = { "test", world, NULL, true }, filler = { "filler", world, world, true };
	assert_int_equal(router_add(world->router, &owner, routes, sizeof(routes[0]), NULL), 0);
	assert_int_equal(router_add(world->router, &filler, full_routes, sizeof(routes[0]), NULL), 0);
	assert_int_equal(timer_new(loops_at(world->loops, 0), answer_later, NULL, &world->timer), 0);
	struct http_server_options options = { .loop = loops_at(world->loops, 0),
		.listeners = &world->listeners,
		.requests = world->requests,
		.router = world->router,
		.limits = { .header_ms = 150,
		        .body_ms = 200,
		        .idle_ms = 2000,
		        .headers = 64,
		        .body_bytes = 1024 * 1024,
		        .body_window = 64 * 1024 },
		.head_bytes = 8192,
		.admit = admit,
		.signer = signer };
	assert_int_equal(http_server_new(&options, &world->server, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	http_server_free(world->server);
	timer_free(world->timer);
	router_free(world->router);
	requests_free(world->requests);
	loops_free(world->loops);
	free(world);
	return 0;
}

/* --- the client ------------------------------------------------------------------------------------------------- */

/* What takes longer hangs. */
enum { HANG_MS = 60000 };

#define CHECK(fact)                                                                                          \
	do {                                                                                                 \
		if (!(fact)) {                                                                               \
			snprintf(world->failure, sizeof(world->failure), "line %d: %s", __LINE__, #fact);    \
			return;                                                                              \
		}                                                                                            \
	} while (0)

struct joining {
	struct post post;
	unsigned loop;
	int fd;
};

static int choose(void *arg, struct edged_stream *stream, struct edged_slice alpn,
        struct edged_slice first_bytes, const struct edged_stream_handler **ret_handler, void **ret_self)
{
	(void)arg;
	(void)stream;
	(void)alpn;
	(void)first_bytes;
	*ret_handler = world->listeners.handler;
	*ret_self = world->listeners.self;
	return 0;
}

static void join(struct post *post)
{
	struct joining *joining = CONTAINER_OF(post, struct joining, post);
	struct stream_origin origin = { .fd = joining->fd,
		.listener = "http=test",
		.address = "127.0.0.1:1",
		.loopback = true,
		.uid = -1 };
	struct stream_chooser chooser = { .choose = choose };
	int r = stream_new(loops_at(world->loops, joining->loop), &origin, &chooser, NULL);
	(void)r; /* the client sees its end */
	free(joining);
}

/* The server gets its end of a connection, on one loop and the other by turns. */
static void give(int fd)
{
	static unsigned turn;
	struct joining *joining = malloc(sizeof(*joining));
	if (!joining || fcntl(fd, F_SETFL, O_NONBLOCK))
		abort();
	*joining = (struct joining){ .post = { .fn = join }, .loop = turn++ % 2, .fd = fd };
	loop_post(loops_at(world->loops, joining->loop), &joining->post);
}

/* A new connection to the server. */
static int dial(void)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		abort();
	give(pair[1]);
	return pair[0];
}

/* The same over TCP, where a client that left looks like one that has only finished. */
static int dial_tcp(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1) ||
	        getsockname(listener, (struct sockaddr *)&address, &size) ||
	        connect(client, (struct sockaddr *)&address, size))
		abort();
	give(accept(listener, NULL, NULL));
	close(listener);
	return client;
}

static void say_n(int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		text += sent;
		n -= (size_t)sent;
	}
}

static void say(int fd, const char *text)
{
	say_n(fd, text, strlen(text));
}

/* What comes until `end` is its last text, the connection ends or 3 seconds have passed. */
static char *hear(int fd, const char *end)
{
	static char text[8 * 1024 * 1024];
	size_t n = 0;
	text[0] = '\0';
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	while (n < sizeof(text) - 1 && poll(&wait, 1, HANG_MS) == 1) {
		ssize_t got = recv(fd, text + n, sizeof(text) - 1 - n, 0);
		if (got <= 0)
			break;
		n += (size_t)got;
		text[n] = '\0';
		size_t len = end ? strlen(end) : 0;
		if (len && n >= len && strcmp(text + n - len, end) == 0)
			break;
	}
	return text;
}

/* Says it on a new connection and hears all until the server closes. */
static char *exchange_n(const char *text, size_t n)
{
	int fd = dial();
	say_n(fd, text, n);
	char *answer = hear(fd, NULL);
	close(fd);
	return answer;
}

static char *exchange(const char *text)
{
	return exchange_n(text, strlen(text));
}

static bool has(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

static bool starts(const char *text, const char *part)
{
	return strncmp(text, part, strlen(part)) == 0;
}

static bool reaches(atomic_int *counter, int value)
{
	for (int i = 0; i < HANG_MS && atomic_load(counter) < value; i++)
		poll(NULL, 0, 1);
	return atomic_load(counter) >= value;
}

static void *client(void *arg)
{
	world->play();
	loops_stop(world->loops);
	return arg;
}

static void play(void (*script)(void))
{
	world->play = script;
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, client, NULL), 0);
	assert_int_equal(loops_run(world->loops), 0);
	pthread_join(thread, NULL);
	if (world->failure[0])
		fail_msg("%s", world->failure);
}

#define SCRIPT(name)                                                                                         \
	static void name##_script(void);                                                                     \
	static void name(void **state)                                                                       \
	{                                                                                                    \
		(void)state;                                                                                 \
		play(name##_script);                                                                         \
	}                                                                                                    \
	static void name##_script(void)

#define H "Host: h\r\n"

#endif
