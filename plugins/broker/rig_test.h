/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the whole broker share: one broker on a host in memory, and a client's words. */
#ifndef BROKER_RIG_TEST_H
#define BROKER_RIG_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "codec.h"
#include "edged/cap_pubsub.h"
#include "edged/cap_session.h"
#include "fake_host.h"

extern const struct edged_plugin edged_plugin_v1;

static struct fake_disk *disk;
static struct fake_host *host;

static inline void boot(unsigned loops, const struct fake_setting *settings)
{
	host = fake_host_new(&edged_plugin_v1, disk, loops, settings);
	assert_non_null(host);
}

static inline int setup(void **state)
{
	(void)state;
	disk = fake_disk_new();
	host = NULL;
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	if (host)
		fake_host_free(host, true);
	host = NULL;
	fake_disk_free(disk);
	return 0;
}

/* kill -9 and a new start. */
static inline void crash(void)
{
	fake_host_free(host, false);
	boot(1, NULL);
}

/* --- the wall clock --- */

static int64_t wall_ahead; /* ms that it is ahead of the real one */

static inline uint64_t real_ms(void)
{
	struct timespec t;
	(void)syscall(SYS_clock_gettime, CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Instead of libc's, for the objects in this program. */
int clock_gettime(clockid_t id, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, id, t);
	if (id == CLOCK_REALTIME) {
		uint64_t ms = real_ms() + (uint64_t)wall_ahead;
		*t = (struct timespec){ .tv_sec = (time_t)(ms / 1000),
			.tv_nsec = (long)(ms % 1000) * 1000000 };
	}
	return r;
}

/* Both clocks. */
static inline void pass(uint64_t ms)
{
	wall_ahead += (int64_t)ms;
	fake_sleep(host, ms);
}

/* --- a client's words ----------------------------------------------------------------------------------------------------- */

#define SEND(peer, bytes) fake_send(peer, bytes, sizeof(bytes) - 1, 0)

static inline void expect(struct fake_peer *peer, const char *bytes, size_t n, int line)
{
	struct edged_slice got = fake_take(peer);
	if (edged_slice_eq(got, edged_slice(bytes, n)))
		return;
	char text[2000] = "";
	size_t at = 0;
	for (size_t i = 0; i < got.len && at < sizeof(text) - 8; i++)
		at += (size_t)snprintf(text + at, 8, "%02x ", (uint8_t)got.ptr[i]);
	fail_msg("line %d: got %zu bytes: %s", line, got.len, text);
}
#define EXPECT(peer, bytes) expect(peer, bytes, sizeof(bytes) - 1, __LINE__)

/* One packet of that type with that reason code at body[at], and the end of the connection. */
static inline void expect_end(struct fake_peer *peer, uint8_t type, size_t at, uint8_t reason, int line)
{
	struct edged_slice got = fake_take(peer);
	struct frame f = { 0 };
	if (frame_read((const uint8_t *)got.ptr, got.len, VARINT_MAX, &f) || f.type != type ||
	        f.size != got.len)
		fail_msg("line %d: got %zu bytes that begin with 0x%02x", line, got.len,
		        got.len ? (uint8_t)got.ptr[0] : 0);
	if (f.body[at] != reason)
		fail_msg("line %d: reason 0x%02x", line, f.body[at]);
	if (!fake_closed(peer))
		fail_msg("line %d: still open", line);
}
#define BYE(peer, reason)     expect_end(peer, DISCONNECT, 0, reason, __LINE__)
#define REFUSED(peer, reason) expect_end(peer, CONNACK, 1, reason, __LINE__)

/* flags: those of CONNECT; tail: all behind the client id. */
static inline struct fake_peer *join_with(uint8_t version, const char *id, uint8_t flags, const char *props,
        size_t props_len, const char *tail, size_t tail_len)
{
	struct fake_peer *peer = fake_connect(host, 0, true);
	uint8_t bytes[512];
	struct writer w = writer(bytes, sizeof(bytes));
	size_t n = strlen(id), head = version == 3 ? 8 : 6;
	write_u8(&w, 0x10);
	write_u8(&w, (uint8_t)(head + 1 + 1 + 2 + (version == 5 ? 1 + props_len : 0) + 2 + n + tail_len));
	write_binary(&w, edged_str(version == 3 ? "MQIsdp" : "MQTT"));
	write_u8(&w, version);
	write_u8(&w, flags);
	write_u16(&w, 60);
	if (version == 5) {
		write_u8(&w, (uint8_t)props_len);
		write_bytes(&w, props, props_len);
	}
	write_binary(&w, edged_str(id));
	write_bytes(&w, tail, tail_len);
	assert_false(w.failed);
	fake_send(peer, bytes, (size_t)(w.at - bytes), 0);
	return peer;
}

enum { CLEAN = 2, KEEP = 0 };

static inline struct fake_peer *join(uint8_t version, const char *id, uint8_t flags)
{
	struct fake_peer *peer = join_with(version, id, flags, NULL, 0, NULL, 0);
	struct edged_slice got = fake_take(peer);
	assert_true(got.len >= 4);
	assert_int_equal(got.ptr[0], 0x20);
	assert_int_equal(got.ptr[3], 0);
	return peer;
}

static inline void subscribe(struct fake_peer *peer, const char *filter, uint8_t qos)
{
	uint8_t bytes[128];
	struct writer w = writer(bytes, sizeof(bytes));
	write_u8(&w, 0x82);
	write_u8(&w, (uint8_t)(2 + 2 + strlen(filter) + 1));
	write_u16(&w, 1);
	write_binary(&w, edged_str(filter));
	write_u8(&w, qos);
	fake_send(peer, bytes, (size_t)(w.at - bytes), 0);
}

static inline void quiet(struct fake_peer *peer)
{
	(void)fake_take(peer);
}

/* --- a plugin's session whose other side takes everything and says nothing --- */

static inline bool inside_takes(void *arg, const struct edged_session_message *m, uint16_t id, bool again)
{
	(void)arg, (void)m, (void)id, (void)again;
	return true;
}

static inline void inside_is_released(void *arg, uint16_t id)
{
	(void)arg, (void)id;
}

static inline void inside_is_detached(void *arg, int reason)
{
	(void)arg, (void)reason;
}

static inline const struct edged_session_1 *open_inside(
        const char *name, uint32_t messages, uint64_t bytes, edged_handle *ret)
{
	static const struct edged_session_handler handler = { .struct_size = sizeof(handler),
		.deliver = inside_takes,
		.release = inside_is_released,
		.detached = inside_is_detached };
	const struct edged_session_options options = {
		.struct_size = sizeof(options), .name = name, .queue_messages = messages, .queue_bytes = bytes
	};
	const struct edged_session_1 *sessions = edged_plugin_v1.offer(fake_self(host), EDGED_SESSION_1);
	assert_int_equal(sessions->open(sessions->ctx, &options, &handler, NULL, ret), 0);
	return sessions;
}

/* A test with a broker of its own. */
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
