/* SPDX-License-Identifier: Apache-2.0 */
/* The PROXY protocol: headers whole and in pieces, networks, and connections that begin with one. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "io/listen_spec.h"
#include "io/listener.h"
#include "io/network.h"
#include "io/proxy_header.h"
#include "io/stream.h"

/* --- headers --- */

#define V2  "\r\n\r\n\0\r\nQUIT\n"
#define IP4 "\xc0\0\x02\x07\xc0\0\x02\x01\x10\x92\x07\x5b" /* 192.0.2.7:4242 to 192.0.2.1:1883 */
#define IP6                                                                                                  \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x10\x92\x07"   \
	"\x5b"
#define SUM(bytes) "\x20\0\x07\x01\0\0\0\0\x09\x09\x03\0\x04" bytes /* an extension, then the check sum */

struct sample {
	const char *name;
	const char *bytes;
	size_t n;
	const char *says; /* address; NULL: not relayed */
};
#define SAMPLE(name, bytes, says)                                                                            \
	{                                                                                                    \
		name, bytes, sizeof(bytes) - 1, says                                                         \
	}

static const struct sample good[] = {
	SAMPLE("v1 IPv4", "PROXY TCP4 192.0.2.7 192.0.2.1 4242 1883\r\n", "192.0.2.7:4242"),
	SAMPLE("v1 IPv6", "PROXY TCP6 2001:db8::7 2001:DB8:0:0::1 0 65535\r\n", "[2001:db8::7]:0"),
	SAMPLE("v1 longest",
	        "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff7 "
	        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
	        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff7]:65535"),
	SAMPLE("v1 unknown", "PROXY UNKNOWN\r\n", NULL),
	SAMPLE("v1 unknown, with more",
	        "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
	        NULL),
	SAMPLE("v2 IPv4", V2 "\x21\x11\0\x0c" IP4, "192.0.2.7:4242"),
	SAMPLE("v2 IPv6", V2 "\x21\x21\0\x24" IP6, "[2001:db8::7]:4242"),
	SAMPLE("v2 extensions", V2 "\x21\x11\0\x1d" IP4 SUM("\x44\xc8\xa3\x45"), "192.0.2.7:4242"),
	SAMPLE("v2 empty extension", V2 "\x21\x11\0\x0f" IP4 "\x04\0\0", "192.0.2.7:4242"),
	SAMPLE("v2 local", V2 "\x20\0\0\0", NULL),
	SAMPLE("v2 local, with a block to skip", V2 "\x20\x11\0\x03???", NULL),
	SAMPLE("v2 unspecified", V2 "\x21\0\0\x03???", NULL),
	SAMPLE("v2 datagrams", V2 "\x21\x12\0\x0c" IP4, NULL),
};

static void assert_is(const struct sample *sample, const struct proxy_header *header)
{
	char text[ADDRESS_TEXT] = "";
	assert_int_equal(header->len, sample->n);
	assert_int_equal(header->relayed, sample->says != NULL);
	if (sample->says) {
		address_text(&header->client, header->client_len, text);
		assert_string_equal(text, sample->says);
	}
}

static void headers_are_read_at_whatever_byte_they_are_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct proxy_header header;
		uint8_t bytes[512];
		memcpy(bytes, good[i].bytes, good[i].n);
		memset(bytes + good[i].n, 0x10, 64); /* what follows is not looked at */
		for (size_t n = 0; n < good[i].n + 64; n++) {
			int r = proxy_header_read(bytes, n, &header);
			if (r != (n < good[i].n ? PROXY_HEADER_MORE : 0))
				fail_msg("%s: %zu bytes: %d", good[i].name, n, r);
			if (!r)
				assert_is(&good[i], &header);
		}
	}
}

static void a_unix_client_is_accepted_without_its_name(void **state)
{
	(void)state;
	uint8_t bytes[16 + 216] = V2 "\x21\x31\0\xd8/run/client";
	struct proxy_header header;
	assert_int_equal(proxy_header_read(bytes, sizeof(bytes) - 1, &header), PROXY_HEADER_MORE);
	assert_int_equal(proxy_header_read(bytes, sizeof(bytes), &header), 0);
	assert_false(header.relayed);
	assert_int_equal(header.len, sizeof(bytes));
}

static void what_is_no_header_is_refused_as_soon_as_it_shows(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t n, seen; /* the first prefix that is refused */
		int error;
	} bad[] = {
#define BAD(bytes, seen, error) { bytes, sizeof(bytes) - 1, seen, error }
		BAD("\x10\x0c", 1, -EPROTO),
		BAD("GET / HTTP/1.1\r\n", 1, -EPROTO),
		BAD("\x16\x03\x01", 1, -EPROTO),
		BAD("PROXX", 5, -EPROTO),
		BAD("PROXY\r\n", 6, -EPROTO),
		BAD("PROXY \r\n", 8, -EPROTO),
		BAD("PROXY TCP4 192.0.2.7 192.0.2.1 4242 1883\n", 41, -EPROTO),
		BAD("PROXY TCP4 192.0.2.7 192.0.2.1 4242 1883\r\r\n", 42, -EPROTO),
		BAD("PROXY TCP4 192.0.2.7 192.0.2.1 4242\r\n", 37, -EPROTO),
		BAD("PROXY TCP4  192.0.2.7 192.0.2.1 4242 1883\r\n", 43, -EPROTO),
		BAD("PROXY TCP4 192.0.2.7 192.0.2.1 4242 1883 \r\n", 43, -EPROTO),
		BAD("PROXY TCP4 192.0.2.07 192.0.2.1 4242 1883\r\n", 43, -EPROTO),
		BAD("PROXY TCP4 192.0.2.7 192.0.2.1 04242 1883\r\n", 43, -EPROTO),
		BAD("PROXY TCP4 192.0.2.7 192.0.2.1 4242 65536\r\n", 43, -EPROTO),
		BAD("PROXY TCP4 192.0.2.7 192.0.2.1 4242 +1\r\n", 40, -EPROTO),
		BAD("PROXY TCP4 192.0.2.7 192.0.2.1 4242 \r\n", 38, -EPROTO),
		BAD("PROXY TCP4 2001:db8::7 192.0.2.1 4242 1883\r\n", 44, -EPROTO),
		BAD("PROXY TCP6 192.0.2.7 192.0.2.1 4242 1883\r\n", 42, -EPROTO),
		BAD("PROXY TCP6 fe80::1%lo ::1 4242 1883\r\n", 37, -EPROTO),
		BAD("PROXY TCP4 192.0.2.7\0 192.0.2.1 4242 1883\r\n", 43, -EPROTO),
		BAD("PROXY tcp4 192.0.2.7 192.0.2.1 4242 1883\r\n", 42, -EPROTO),
		BAD("PROXY UDP4 192.0.2.7 192.0.2.1 4242 1883\r\n", 42, -EPROTO),
		BAD("PROXY UNKNOWNS\r\n", 16, -EPROTO),
		BAD("PROXY UNKNOWN " /* the line has 108 bytes, one too many */
		    "----------------------------------------------"
		    "----------------------------------------------\r\n",
		        106, -EPROTO),
		BAD("\r\n\r\n\r", 5, -EPROTO),
		BAD(V2 "\x11\x11\0\x0c" IP4, 13, -EPROTO),
		BAD(V2 "\x22\x11\0\x0c" IP4, 13, -EPROTO),
		BAD(V2 "\x21\x41\0\x0c" IP4, 28, -EPROTO),
		BAD(V2 "\x21\x13\0\x0c" IP4, 28, -EPROTO),
		BAD(V2 "\x21\x11\0\x0b" IP4, 27, -EPROTO),
		BAD(V2 "\x21\x21\0\x23" IP6, 51, -EPROTO),
		BAD(V2 "\x21\x11\0\x0e" IP4 "\x04\0", 30, -EPROTO),
		BAD(V2 "\x21\x11\0\x10" IP4 "\x04\0\x02x", 32, -EPROTO),
		BAD(V2 "\x21\x11\0\x0f" IP4 "\x03\0\0", 31, -EPROTO),
		BAD(V2 "\x21\x11\0\x1d" IP4 SUM("\0\0\0\0"), 45, -EBADMSG),
		BAD(V2 "\x21\x11\x0f\xf1" IP4, 16, -EMSGSIZE),
		BAD(V2 "\x20\0\xff\xff", 16, -EMSGSIZE),
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		for (size_t n = 0; n <= bad[i].n; n++) {
			struct proxy_header header;
			int r = proxy_header_read((const uint8_t *)bad[i].bytes, n, &header);
			if (r != (n < bad[i].seen ? PROXY_HEADER_MORE : bad[i].error))
				fail_msg("bad header %zu, %zu bytes: %d", i, n, r);
		}
}

/* Any flipped bit of a header with a check sum is noticed, in one way or another. */
static void a_damaged_header_is_noticed(void **state)
{
	(void)state;
	const struct sample *sample = &good[7];
	assert_string_equal(sample->name, "v2 extensions");
	for (size_t bit = 0; bit < sample->n * 8; bit++) {
		uint8_t bytes[64];
		struct proxy_header header;
		memcpy(bytes, sample->bytes, sample->n);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		int r = proxy_header_read(bytes, sample->n, &header);
		/* LOCAL and families without addresses are accepted unseen, a shorter or longer block moves the end,
		 * and an extension may be turned into another one */
		if (r == 0 && header.relayed && header.len == sample->n && bit / 8 < 38)
			fail_msg("bit %zu", bit);
	}
}

/* --- networks --- */

static void networks_have_their_addresses(void **state)
{
	(void)state;
	static const struct {
		const char *network, *address;
		bool in;
	} rows[] = {
		{ "192.0.2.7", "192.0.2.7:1", true },
		{ "192.0.2.7", "192.0.2.6:1", false },
		{ "192.0.2.7", "[::ffff:192.0.2.7]:1", true },
		{ "10.0.0.0/8", "10.255.0.1:1", true },
		{ "10.0.0.0/8", "11.0.0.1:1", false },
		{ "10.32.0.0/11", "10.63.255.255:1", true },
		{ "10.32.0.0/11", "10.64.0.0:1", false },
		{ "0.0.0.0/0", "203.0.113.1:1", true },
		{ "0.0.0.0/0", "[2001:db8::1]:1", false },
		{ "2001:db8::/32", "[2001:db8:ffff::1]:1", true },
		{ "2001:db8::/32", "[2001:db9::1]:1", false },
		{ "::1", "[::1]:1", true },
		{ "::1", "127.0.0.1:1", false },
		{ "::/0", "[2001:db8::1]:1", true },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct network network;
		struct sockaddr_storage address;
		socklen_t len;
		assert_int_equal(network_parse(rows[i].network, &network, NULL), 0);
		assert_int_equal(address_parse(rows[i].address, &address, &len), 0);
		if (network_has(&network, &address) != rows[i].in)
			fail_msg("%s %s", rows[i].network, rows[i].address);
	}
	struct network all;
	const struct sockaddr_storage un = { .ss_family = AF_UNIX };
	assert_int_equal(network_parse("::/0", &all, NULL), 0);
	assert_false(network_has(&all, &un));
}

static void slips_in_networks_are_told(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/8x", "10.0.0.0/-1",
		"::/129", "10.0.0/8", "localhost", "10.0.0.0/8/8", "fe80::1%lo", "10.1.0.0/8",
		"2001:db8::1/32", "10.0.0.0/0032" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = { "" };
		struct network network;
		if (network_parse(bad[i], &network, &err) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
		assert_non_null(strstr(err.text, bad[i]));
	}
}

/* --- connections --- */

static const struct edged_stream_1 *const api = &stream_functions;
static struct loops *loops;
static struct listeners *listeners;
static struct listener_info info;

/* Says who it thinks the client is, and what it got. */
static int say_open(void *self, struct edged_stream *stream, void **ret_conn)
{
	(void)self;
	*ret_conn = stream;
	return 0;
}

static ssize_t say_data(void *conn, const uint8_t *bytes, size_t n)
{
	const struct edged_peer *peer = api->peer(conn);
	char text[256];
	if (memchr(bytes, '!', n) == NULL)
		return 0;
	snprintf(text, sizeof(text), "%s%s%s%s %.*s", peer->address, peer->loopback ? " loopback" : "",
	        peer->trusted ? " trusted" : "", peer->uid >= 0 ? " uid" : "", (int)n, (const char *)bytes);
	api->write(conn, text, strlen(text));
	api->close(conn);
	return (ssize_t)n;
}

static void say_closed(void *conn, int reason)
{
	(void)conn;
	(void)reason;
}

static const struct edged_stream_handler sayer = {
	.struct_size = sizeof(sayer), .open = say_open, .data = say_data, .closed = say_closed
};

static void open_listener(const char *spec, const char *proxies, const struct listener_limits *limits)
{
	struct network network;
	struct err err = { "" };
	assert_int_equal(loops_new(2, &loops), 0);
	assert_int_equal(listeners_new(loops, limits, &listeners), 0);
	if (proxies) {
		assert_int_equal(network_parse(proxies, &network, NULL), 0);
		assert_int_equal(listeners_set_proxies(listeners, &network, 1), 0);
	}
	assert_int_equal(listeners_serve(listeners, "mqtt", &sayer, NULL), 0);
	assert_int_equal(listeners_serve(listeners, "http", &sayer, NULL), 0);
	if (listeners_open(listeners, spec, NULL, &err))
		fail_msg("%s", err.text);
	assert_true(listeners_info(listeners, 0, &info));
}

static void *run_client(void *arg)
{
	((void (*)(void))arg)();
	loops_stop(loops);
	return NULL;
}

static void run_with(void (*client)(void))
{
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, run_client, (void *)client), 0);
	assert_int_equal(loops_run(loops), 0);
	pthread_join(thread, NULL);
	listeners_free(listeners);
	loops_free(loops);
	assert_int_equal(stream_counts().open, 0);
}

static int dial(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(info.port) };
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	struct timeval limit = { .tv_sec = 10 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	return fd;
}

static char answer[256];

static void hear(int fd)
{
	ssize_t n = recv(fd, answer, sizeof(answer) - 1, MSG_WAITALL);
	answer[n > 0 ? n : 0] = '\0';
	close(fd);
}

static uint64_t failures;

/* Whether the daemon reads the first bytes before the rest comes is up to it, and both must work; the pause makes the
 * first more likely. */
static void at_every_split(void)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		for (size_t at = 0; at <= good[i].n; at++) {
			int fd = dial();
			(void)!send(fd, good[i].bytes, at, MSG_NOSIGNAL);
			usleep(at ? 200 : 0);
			(void)!send(fd, good[i].bytes + at, good[i].n - at, MSG_NOSIGNAL);
			(void)!send(fd, "PINGER!", 7, MSG_NOSIGNAL);
			hear(fd);
			char *end = strchr(answer, ' ');
			bool right = end && strcmp(end, " PINGER!") == 0;
			if (right && good[i].says) {
				*end = '\0';
				right = strcmp(answer, good[i].says) == 0;
			} else if (right) {
				right = strncmp(answer, "127.0.0.1:", 10) == 0;
			}
			failures += !right;
		}
}

static const struct listener_limits usual = { 1000, 1000, 1000, 5000 };

static void the_client_is_who_the_header_says_and_never_on_loopback(void **state)
{
	(void)state;
	failures = 0;
	open_listener("mqtt+proxy=127.0.0.1:0", "127.0.0.0/8", &usual);
	assert_string_equal(info.protocol, "mqtt+proxy");
	run_with(at_every_split);
	assert_int_equal(failures, 0);
}

static void local_client(void)
{
	int fd = dial();
	static const char bytes[] = "PROXY TCP4 127.0.0.1 127.0.0.1 4242 1883\r\nGET!";
	(void)!send(fd, bytes, sizeof(bytes) - 1, MSG_NOSIGNAL);
	hear(fd);
}

static void a_client_that_is_local_to_the_proxy_is_not_local_to_us(void **state)
{
	(void)state;
	open_listener("mqtt+proxy=127.0.0.1:0", "127.0.0.1", &usual);
	run_with(local_client);
	assert_string_equal(answer, "127.0.0.1:4242 GET!");
}

static void refused_client(void)
{
	uint64_t before = stream_counts().proxy_refused;
	int fd = dial();
	static const char bytes[] = "PROXY TCP4 192.0.2.7 127.0.0.1 4242 1883\r\nGET!";
	(void)!send(fd, bytes, sizeof(bytes) - 1, MSG_NOSIGNAL);
	hear(fd);
	failures += *answer != '\0' || stream_counts().proxy_refused != before + 1;
}

static void who_is_no_proxy_is_refused(void **state)
{
	(void)state;
	failures = 0;
	open_listener("mqtt+proxy=127.0.0.1:0", NULL, &usual);
	run_with(refused_client);
	open_listener("mqtt+proxy=127.0.0.1:0", "192.0.2.0/24", &usual);
	run_with(refused_client);
	assert_int_equal(failures, 0);
}

static void late_client(void)
{
	uint64_t before = stream_counts().proxy_refused;
	int silent = dial(), slow = dial(), after = dial();
	(void)!send(slow, "PROXY TC", 8, MSG_NOSIGNAL);
	(void)!send(after, "PROXY UNKNOWN\r\n", 15, MSG_NOSIGNAL); /* and then nothing */
	for (int i = 0; i < 3; i++) {
		hear((int[]){ silent, slow, after }[i]);
		failures += *answer != '\0';
	}
	failures += stream_counts().proxy_refused != before + 2;
}

static void the_header_and_what_follows_have_one_deadline(void **state)
{
	(void)state;
	struct listener_limits hasty = usual;
	hasty.handshake_ms = 200;
	failures = 0;
	open_listener("auto+proxy=127.0.0.1:0", "127.0.0.1", &hasty);
	run_with(late_client);
	assert_int_equal(failures, 0);
}

static void greedy_client(void)
{
	static const char bytes[] = "PROXY TCP4 192.0.2.7 127.0.0.1 4242 1883\r\n";
	static const char other[] = "PROXY TCP4 192.0.2.8 127.0.0.1 4242 1883\r\nX!";
	uint64_t before = stream_counts().refused;
	int fds[3];
	for (int i = 0; i < 3; i++) {
		fds[i] = dial();
		(void)!send(fds[i], bytes, sizeof(bytes) - 1, MSG_NOSIGNAL);
	}
	struct pollfd fd = { .fd = fds[2], .events = POLLIN };
	failures += poll(&fd, 1, 10000) != 1 || stream_counts().refused != before + 1;
	int another = dial();
	(void)!send(another, other, sizeof(other) - 1, MSG_NOSIGNAL);
	hear(another);
	failures += strcmp(answer, "192.0.2.8:4242 X!") != 0;
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

static void limits_are_those_of_the_client(void **state)
{
	(void)state;
	struct listener_limits few = usual;
	few.connections_per_source = 2;
	failures = 0;
	open_listener("mqtt+proxy=127.0.0.1:0", "127.0.0.1", &few);
	run_with(greedy_client);
	assert_int_equal(failures, 0);
}

static void waiting_client(void)
{
	for (int i = 0; i < 2; i++)
		(void)dial();
	int fd = dial();
	hear(fd); /* the third is one too many */
	failures += *answer != '\0';
}

static void those_that_wait_are_counted_and_end_with_the_listener(void **state)
{
	(void)state;
	struct listener_limits few = usual;
	few.connections = 2;
	failures = 0;
	open_listener("mqtt+proxy=127.0.0.1:0", "127.0.0.1", &few);
	run_with(waiting_client);
	assert_int_equal(failures, 0);
}

int main(void)
{
	log_set_level(EDGED_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_read_at_whatever_byte_they_are_split),
		cmocka_unit_test(a_unix_client_is_accepted_without_its_name),
		cmocka_unit_test(what_is_no_header_is_refused_as_soon_as_it_shows),
		cmocka_unit_test(a_damaged_header_is_noticed),
		cmocka_unit_test(networks_have_their_addresses),
		cmocka_unit_test(slips_in_networks_are_told),
		cmocka_unit_test(the_client_is_who_the_header_says_and_never_on_loopback),
		cmocka_unit_test(a_client_that_is_local_to_the_proxy_is_not_local_to_us),
		cmocka_unit_test(who_is_no_proxy_is_refused),
		cmocka_unit_test(the_header_and_what_follows_have_one_deadline),
		cmocka_unit_test(limits_are_those_of_the_client),
		cmocka_unit_test(those_that_wait_are_counted_and_end_with_the_listener),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
