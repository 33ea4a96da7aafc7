/* SPDX-License-Identifier: Apache-2.0 */
#include "io/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "io/listen_spec.h"
#include "io/tls.h"

#define STAGGER_MS   250
#define ATTEMPTS_MAX 16

/* One address: first a socket that connects, then a stream that shakes hands. */
struct attempt {
	struct stream_owner owner;
	struct dial *dial;
	struct sockaddr_storage address;
	socklen_t address_len;
	int fd;
	struct watch *watch;
	struct edged_stream *stream;
	char text[ADDRESS_TEXT];
};

struct dial {
	struct loop *loop;
	struct dial_options options;
	struct tls_context *tls;
	char *alpn, *server_name;
	struct timer *next_timer, *whole_timer;
	struct deferred end; /* frees it: some of it may be on the stack */
	bool over;
	unsigned count, next, running;
	int error;
	char why[ADDRESS_TEXT + 128];
	struct attempt attempts[];
};

static void start_next(struct dial *d);

/* --- the end --- */

static void drop_attempt(struct attempt *a)
{
	watch_free(TAKE(a->watch));
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	if (a->stream) {
		stream_disown(a->stream);
		stream_functions.abort(TAKE(a->stream));
	}
}

static void dial_free(struct deferred *end)
{
	struct dial *d = CONTAINER_OF(end, struct dial, end);
	timer_free(d->next_timer);
	timer_free(d->whole_timer);
	tls_context_free(d->tls);
	free(d->alpn);
	free(d->server_name);
	free(d);
}

static void finish(struct dial *d)
{
	d->over = true;
	for (unsigned i = 0; i < d->count; i++)
		drop_attempt(&d->attempts[i]);
	timer_cancel(d->next_timer);
	timer_cancel(d->whole_timer);
	loop_defer(d->loop, &d->end);
}

static void fail(struct dial *d, int error, const char *why)
{
	finish(d);
	d->options.failed(d->options.arg, error, why);
}

static void attempt_failed(struct attempt *a, int error)
{
	struct dial *d = a->dial;
	drop_attempt(a);
	d->running--;
	d->error = error;
	const char *reason = d->tls ? tls_reason(error) : NULL;
	snprintf(d->why, sizeof(d->why), "%s: %s", a->text, reason ? reason : strerror(-error));
	if (d->next < d->count)
		start_next(d);
	else if (d->running == 0)
		fail(d, d->error, d->why);
}

static void on_whole_time(void *arg)
{
	fail(arg, -ETIMEDOUT, "nobody answered in time");
}

/* --- from socket to stream --- */

static int choose(void *arg, struct edged_stream *stream, struct edged_slice alpn,
        struct edged_slice first_bytes, const struct edged_stream_handler **ret_handler, void **ret_self)
{
	(void)first_bytes;
	struct attempt *a = arg;
	struct dial *d = a->dial;
	if (d->alpn && !edged_slice_is(alpn, d->alpn))
		return -EPROTONOSUPPORT;
	a->stream = NULL; /* it is the handler's from now on */
	stream_disown(stream);
	*ret_handler = d->options.handler;
	*ret_self = d->options.self;
	finish(d);
	if (d->options.opened)
		d->options.opened(d->options.arg);
	return 0;
}

static void gone(struct stream_owner *owner, int reason)
{
	struct attempt *a = CONTAINER_OF(owner, struct attempt, owner);
	a->stream = NULL;
	attempt_failed(a, reason < 0 ? reason : -ECONNRESET);
}

static void connected(struct attempt *a)
{
	struct dial *d = a->dial;
	int on = 1;
	setsockopt(a->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	watch_free(TAKE(a->watch));
	struct stream_origin origin = {
		.fd = a->fd,
		.tls = d->tls,
		.client = true,
		.listener = "outbound",
		.address = a->text,
		.loopback = address_is_loopback(&a->address),
		.uid = -1,
		.server_name = d->server_name,
		.alpn = d->alpn,
		.handshake_ms = d->options.timeout_ms,
		.owner = &a->owner,
	};
	struct stream_chooser chooser = { .choose = choose, .arg = a };
	struct edged_stream *stream = NULL;
	a->fd = -1; /* the stream's, come what may */
	int r = stream_new(d->loop, &origin, &chooser, &stream);
	if (d->over)
		return;
	if (r)
		attempt_failed(a, r);
	else
		a->stream = stream;
}

static void on_writable(void *arg, int what)
{
	(void)what;
	struct attempt *a = arg;
	int error = 0;
	socklen_t n = sizeof(error);
	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &n))
		error = errno;
	if (error)
		attempt_failed(a, -error);
	else
		connected(a);
}

static int begin_connect(struct attempt *a)
{
	a->fd = socket(a->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return -errno;
	if (connect(a->fd, (struct sockaddr *)&a->address, a->address_len) && errno != EINPROGRESS)
		return -errno;
	return watch_new(a->dial->loop, a->fd, WATCH_WRITE, on_writable, a, &a->watch);
}

/* Each address gets a head start over the next one; one that fails at once gives way at once. */
static void start_next(struct dial *d)
{
	struct attempt *a = &d->attempts[d->next++];
	d->running++;
	if (d->next < d->count)
		timer_set(d->next_timer, STAGGER_MS);
	int r = begin_connect(a);
	if (r)
		attempt_failed(a, r);
}

static void on_next(void *arg)
{
	struct dial *d = arg;
	if (d->next < d->count)
		start_next(d);
}

/* --- starting --- */

static unsigned parse_addresses(struct dial *d, const char *const *addresses, unsigned most)
{
	for (unsigned i = 0; i < most; i++) {
		struct attempt *a = &d->attempts[d->count];
		if (address_parse(addresses[i], &a->address, &a->address_len))
			continue;
		a->owner.gone = gone;
		a->dial = d;
		a->fd = -1;
		address_text(&a->address, a->address_len, a->text);
		d->count++;
	}
	return d->count;
}

static int set_up(struct dial *d, const struct dial_options *options)
{
	d->options = *options;
	d->tls = options->tls ? tls_context_ref(options->tls) : NULL;
	d->alpn = options->alpn ? strdup(options->alpn) : NULL;
	d->server_name = options->server_name ? strdup(options->server_name) : NULL;
	if ((options->alpn && !d->alpn) || (options->server_name && !d->server_name))
		return -ENOMEM;
	int r = timer_new(d->loop, on_next, d, &d->next_timer);
	if (!r)
		r = timer_new(d->loop, on_whole_time, d, &d->whole_timer);
	return r;
}

int dial_start(struct loop *loop, const struct dial_options *options, struct dial **ret)
{
	unsigned most = 0;
	while (most < ATTEMPTS_MAX && options->addresses[most])
		most++;
	struct dial *d = calloc(1, sizeof(*d) + most * sizeof(d->attempts[0]));
	if (!d)
		return -ENOMEM;
	d->loop = loop;
	deferred_init(&d->end, dial_free);
	int r = set_up(d, options);
	if (!r && parse_addresses(d, options->addresses, most) == 0)
		r = -EINVAL;
	if (r) {
		dial_free(&d->end);
		return r;
	}
	timer_set(d->whole_timer, options->timeout_ms);
	timer_set(d->next_timer, 0); /* failed() must not be called before we return */
	*ret = d;
	return 0;
}

void dial_cancel(struct dial *d)
{
	if (d && !d->over)
		finish(d);
}
