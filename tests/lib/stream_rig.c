/* SPDX-License-Identifier: Apache-2.0 */
#include "stream_rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "base/clock.h"

/* --- the handler --- */

static int rig_open(void *self, struct edged_stream *stream, void **ret_conn)
{
	struct stream_rig *rig = self;
	*ret_conn = rig;
	rig->stream = stream;
	rig->opened++;
	rig->inside = true;
	int r = rig->on_open ? rig->on_open(rig) : 0;
	rig->inside = false;
	return r;
}

static ssize_t rig_data(void *conn, const uint8_t *bytes, size_t n)
{
	struct stream_rig *rig = conn;
	assert_false(rig->inside);
	assert_int_equal(rig->closed, 0);
	rig->inside = true;
	ssize_t r = rig->on_data ? rig->on_data(rig, bytes, n) : (ssize_t)n;
	if (!rig->on_data)
		assert_int_equal(buf_add(&rig->got, bytes, n), 0);
	rig->inside = false;
	return r;
}

static void rig_drained(void *conn)
{
	struct stream_rig *rig = conn;
	rig->drained++;
	if (rig->on_drained)
		rig->on_drained(rig);
}

static void one_is_done(struct post *post)
{
	struct stream_rig *rig = CONTAINER_OF(post, struct stream_rig, done);
	loops_stop(rig->loops);
}

static void done(struct stream_rig *rig)
{
	if (__atomic_sub_fetch(&rig->waiting_for, 1, __ATOMIC_ACQ_REL) == 0)
		loop_post(loops_at(rig->loops, 0), &rig->done);
}

static void rig_closed(void *conn, int reason)
{
	struct stream_rig *rig = conn;
	assert_false(rig->inside);
	__atomic_fetch_add(&rig->closed, 1, __ATOMIC_RELAXED);
	rig->reason = reason;
	if (rig->on_closed)
		rig->on_closed(rig);
	rig->stream = NULL;
	rig->closed_after_ms = clock_mono_ms() - rig->started_ms;
	done(rig);
}

const struct edged_stream_handler rig_handler = {
	.struct_size = sizeof(rig_handler),
	.open = rig_open,
	.data = rig_data,
	.drained = rig_drained,
	.closed = rig_closed,
};

static int choose_rig(void *arg, struct edged_stream *stream, struct edged_slice alpn,
        struct edged_slice first_bytes, const struct edged_stream_handler **ret_handler, void **ret_self)
{
	(void)stream;
	(void)alpn;
	(void)first_bytes;
	*ret_handler = &rig_handler;
	*ret_self = arg;
	return 0;
}

/* --- running --- */

void rig_init(struct stream_rig *rig, unsigned loops)
{
	int pair[2];
	struct timeval limit = { .tv_sec = 10 };
	*rig = (struct stream_rig){ .peer_fd = -1 };
	assert_int_equal(loops_new(loops, &rig->loops), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	rig->peer_fd = pair[1];
	setsockopt(rig->peer_fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(rig->peer_fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	rig->origin = (struct stream_origin){
		.fd = pair[0], .listener = "test=rig", .address = "192.0.2.7:4242", .uid = -1
	};
	rig->chooser = (struct stream_chooser){ .choose = choose_rig, .arg = rig };
	rig->waiting_for = 2;
}

static void *run_peer(void *arg)
{
	struct stream_rig *rig = arg;
	if (rig->peer)
		rig->peer(rig);
	else
		peer_reads_all(rig);
	shutdown(rig->peer_fd, SHUT_RDWR);
	done(rig);
	return NULL;
}

static void gone_early(struct stream_owner *owner, int reason)
{
	(void)owner;
	(void)reason;
}

static struct stream_owner no_owner = { gone_early };

static void start(struct post *post)
{
	struct stream_rig *rig = CONTAINER_OF(post, struct stream_rig, start);
	struct edged_stream *stream = NULL;
	if (!rig->origin.owner)
		rig->origin.owner = &no_owner;
	rig->created = stream_new(loops_at(rig->loops, 0), &rig->origin, &rig->chooser, &stream);
	if (rig->created)
		done(rig);
}

void rig_run(struct stream_rig *rig)
{
	rig->start.fn = start;
	rig->done.fn = one_is_done;
	rig->started_ms = clock_mono_ms();
	loop_post(loops_at(rig->loops, 0), &rig->start);
	assert_int_equal(pthread_create(&rig->thread, NULL, run_peer, rig), 0);
	assert_int_equal(loops_run(rig->loops), 0);
	pthread_join(rig->thread, NULL);
}

void rig_fini(struct stream_rig *rig)
{
	loops_free(rig->loops);
	close(rig->peer_fd);
	buf_fini(&rig->got);
	buf_fini(&rig->peer_got);
}

/* --- peers --- */

void peer_writes(struct stream_rig *rig, const void *bytes, size_t n)
{
	const char *at = bytes;
	while (n > 0) {
		ssize_t sent = send(rig->peer_fd, at, n, MSG_NOSIGNAL);
		if (sent < 0) {
			rig->peer_result = errno;
			return;
		}
		at += sent;
		n -= (size_t)sent;
	}
}

void peer_reads(struct stream_rig *rig, size_t n)
{
	char bytes[16384];
	while (n > 0) {
		ssize_t got = recv(rig->peer_fd, bytes, n < sizeof(bytes) ? n : sizeof(bytes), 0);
		rig->peer_result = got < 0 ? errno : 0;
		if (got <= 0 || buf_add(&rig->peer_got, bytes, (size_t)got))
			return;
		n -= (size_t)got;
	}
}

void peer_reads_all(struct stream_rig *rig)
{
	peer_reads(rig, SIZE_MAX);
}
