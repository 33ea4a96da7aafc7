/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/tunnel.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct tunnel {
	struct loop *loop;
	size_t window;
	const struct tunnel_link *link; /* NULL: it has left */
	void *arg;
	struct edged_stream *stream; /* NULL: not there yet, or no more */
	struct buf early;            /* came before the stream was there */
	size_t held;                 /* bytes that were not said to be taken */
	bool expected;         /* it is on its way, and here before the turn of the loop is over, if ever */
	bool paused, ended;    /* ended: the link's side */
	struct deferred later; /* frees it when it had to be waited for */
};

static void free_later(struct deferred *deferred)
{
	struct tunnel *tunnel = CONTAINER_OF(deferred, struct tunnel, later);
	if (!tunnel->stream)
		free(tunnel);
}

int tunnel_new(
        struct loop *loop, size_t window, const struct tunnel_link *link, void *arg, struct tunnel **ret)
{
	struct tunnel *tunnel = calloc(1, sizeof(*tunnel));
	if (!tunnel)
		return -ENOMEM;
	*tunnel =
	        (struct tunnel){ .loop = loop, .window = window, .link = link, .arg = arg, .expected = true };
	deferred_init(&tunnel->later, free_later);
	*ret = tunnel;
	return 0;
}

void tunnel_leave(struct tunnel *tunnel)
{
	if (!tunnel)
		return;
	tunnel->link = NULL;
	buf_fini(&tunnel->early);
	if (tunnel->stream)
		stream_functions.abort(tunnel->stream);
	else if (tunnel->expected)
		loop_defer(tunnel->loop, &tunnel->later);
	else
		free(tunnel);
}

/* --- from the link --- */

static void take(struct tunnel *tunnel)
{
	size_t n = tunnel->held;
	tunnel->held = 0;
	if (n)
		tunnel->link->taken(tunnel->arg, n);
}

static void pass(struct tunnel *tunnel, struct edged_slice bytes)
{
	if (bytes.len && stream_functions.write(tunnel->stream, bytes.ptr, bytes.len) == 0 &&
	        !stream_functions.is_full(tunnel->stream))
		take(tunnel);
}

void tunnel_bytes(struct tunnel *tunnel, struct edged_slice bytes)
{
	tunnel->held += bytes.len;
	if (tunnel->stream)
		pass(tunnel, bytes);
	else if (buf_add(&tunnel->early, bytes.ptr, bytes.len))
		tunnel->link->closed(tunnel->arg, -ENOMEM);
}

void tunnel_waiting(struct tunnel *tunnel, size_t waiting)
{
	if (!tunnel->paused || !tunnel->stream || waiting > tunnel->window / 2)
		return;
	tunnel->paused = false;
	stream_functions.resume(tunnel->stream);
}

void tunnel_end(struct tunnel *tunnel, bool ok)
{
	tunnel->ended = true;
	if (tunnel->stream && ok)
		stream_functions.close(tunnel->stream);
	else if (tunnel->stream)
		stream_functions.abort(tunnel->stream);
}

/* --- from the stream --- */

static int on_open(void *self, struct edged_stream *stream, void **ret_conn)
{
	struct tunnel *tunnel = self;
	tunnel->expected = false;
	if (!tunnel->link)
		return -ECANCELED;
	tunnel->stream = stream;
	/* what the link's window lets come has room, whatever the stream's peer reads */
	stream_functions.set_marks(stream, tunnel->window / 4, tunnel->window / 2);
	stream_functions.deadline(stream, 0);
	pass(tunnel, buf_slice(&tunnel->early));
	buf_fini(&tunnel->early);
	if (tunnel->ended)
		stream_functions.close(stream);
	*ret_conn = tunnel;
	return 0;
}

static ssize_t on_data(void *conn, const uint8_t *bytes, size_t n)
{
	struct tunnel *tunnel = conn;
	if (!tunnel->link || tunnel->ended)
		return (ssize_t)n; /* nobody is there any more */
	ssize_t waiting = tunnel->link->send(tunnel->arg, edged_slice(bytes, n));
	if (waiting < 0)
		return waiting;
	if ((size_t)waiting >= tunnel->window) {
		tunnel->paused = true;
		stream_functions.pause(tunnel->stream);
	}
	return (ssize_t)n;
}

static void on_drained(void *conn)
{
	struct tunnel *tunnel = conn;
	if (tunnel->link)
		take(tunnel);
}

static void on_closed(void *conn, int reason)
{
	struct tunnel *tunnel = conn;
	tunnel->stream = NULL;
	if (!tunnel->link)
		free(tunnel);
	else
		tunnel->link->closed(tunnel->arg, reason == -ECANCELED && tunnel->ended ? 0 : reason);
}

const struct edged_stream_handler tunnel_handler = { .struct_size = sizeof(tunnel_handler),
	.open = on_open,
	.data = on_data,
	.drained = on_drained,
	.closed = on_closed };

/* --- a stream for a service --- */

/* Holds the service's end until it is handed over, in the same turn. */
static int wait_open(void *self, struct edged_stream *stream, void **ret_conn)
{
	(void)stream;
	*ret_conn = self;
	return 0;
}

static ssize_t wait_data(void *conn, const uint8_t *bytes, size_t n)
{
	(void)conn;
	(void)bytes;
	(void)n;
	return 0;
}

static void wait_closed(void *conn, int reason)
{
	(void)conn;
	(void)reason;
}

static const struct edged_stream_handler waiter = {
	.struct_size = sizeof(waiter), .open = wait_open, .data = wait_data, .closed = wait_closed
};

static int choose_waiter(void *arg, struct edged_stream *stream, struct edged_slice alpn,
        struct edged_slice first_bytes, const struct edged_stream_handler **ret_handler, void **ret_self)
{
	(void)stream;
	(void)alpn;
	(void)first_bytes;
	*ret_handler = &waiter;
	*ret_self = arg;
	return 0;
}

static int choose_tunnel(void *arg, struct edged_stream *stream, struct edged_slice alpn,
        struct edged_slice first_bytes, const struct edged_stream_handler **ret_handler, void **ret_self)
{
	(void)stream;
	(void)alpn;
	(void)first_bytes;
	*ret_handler = &tunnel_handler;
	*ret_self = arg;
	return 0;
}

static int make_service_end(struct tunnel *tunnel, int fd, const struct request_upgrade *upgrade,
        const char *address, bool trusted)
{
	const struct stream_origin origin = { .fd = fd, .listener = "link", .address = address, .uid = -1 };
	const struct stream_chooser chooser = { .choose = choose_waiter, .arg = tunnel };
	struct edged_stream *stream;
	int r = stream_new(tunnel->loop, &origin, &chooser, &stream);
	if (r)
		return r;
	stream_set_trusted(stream, trusted);
	if (!upgrade->raw)
		r = stream_become_websocket(stream);
	if (!r)
		r = stream_hand_over(stream, upgrade->handler, upgrade->self, edged_slice(NULL, 0));
	if (r)
		stream_functions.abort(stream);
	return r;
}

int tunnel_join(
        struct tunnel *tunnel, const struct request_upgrade *upgrade, const char *address, bool trusted)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair))
		return -errno;
	int r = make_service_end(tunnel, pair[0], upgrade, address, trusted);
	if (r) {
		close(pair[1]);
		return r;
	}
	const struct stream_origin origin = {
		.fd = pair[1], .listener = "link", .address = address, .uid = -1
	};
	const struct stream_chooser chooser = { .choose = choose_tunnel, .arg = tunnel };
	return stream_new(tunnel->loop, &origin, &chooser, NULL);
}
