/* SPDX-License-Identifier: Apache-2.0 */
/* io/listener: specs, sources, telling protocols apart, limits; with real sockets on free ports. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/clock.h"
#include "io/listen_spec.h"
#include "io/listener.h"
#include "io/source.h"
#include "io/stream.h"

static const struct edged_stream_1 *const api = &stream_functions;

/* --- specs --- */

static void specs_are_read_and_refused_with_a_sentence(void **state)
{
	(void)state;
	static const char *const good[] = { "http=127.0.0.1:8083", "mqtt=*:1883", "auto=[::1]:0",
		"https=localhost:443", "mqtts=[::]:8883", "tls=0.0.0.0:8443", "http=unix:/run/edged.sock",
		"mqtt=unix:/run/mqtt.sock", "tls+proxy=*:8443", "mqtt+proxy=unix:/run/mqtt.sock" };
	static const struct {
		const char *spec, *says;
	} bad[] = {
		{ "", "PROTOCOL=" },
		{ "http", "PROTOCOL=" },
		{ "gopher=*:70", "PROTOCOL=" },
		{ "http=", "ADDRESS:PORT" },
		{ "http=127.0.0.1", "ADDRESS:PORT" },
		{ "http=127.0.0.1:", "ADDRESS:PORT" },
		{ "http=127.0.0.1:65536", "no port" },
		{ "http=127.0.0.1:1x", "no port" },
		{ "http=::1:80", "ADDRESS:PORT" },
		{ "http=[::1:80", "ADDRESS:PORT" },
		{ "http=example.org:80", "no IP address" },
		{ "http=unix:", "path" },
		{ "https+proxy=unix:/x", "no TLS" },
		{ "gopher+proxy=*:70", "PROTOCOL=" },
		{ "mqtt+=*:70", "PROTOCOL=" },
		{ "https=unix:/x", "no TLS" },
		{ "http=1.2.3.256:80", "no IP address" },
	};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(listener_spec_check(good[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = { "" };
		assert_int_equal(listener_spec_check(bad[i].spec, &err), -EINVAL);
		if (!strstr(err.text, bad[i].says))
			fail_msg("'%s' was refused with '%s'", bad[i].spec, err.text);
	}
}

/* --- sources --- */

static struct sockaddr_storage address_of(const char *text)
{
	struct sockaddr_storage address;
	socklen_t len;
	assert_int_equal(address_parse(text, &address, &len), 0);
	return address;
}

static int take(struct sources *sources, const char *text, uint64_t now, struct stream_owner **ret)
{
	struct sockaddr_storage address = address_of(text);
	return sources_take(sources, &address, address_is_loopback(&address), now, ret);
}

static void a_source_has_a_number_of_connections(void **state)
{
	(void)state;
	struct listener_limits limits = { 6, 2, 100, 1000 };
	struct sources *sources;
	struct stream_owner *o[6], *other;
	assert_int_equal(sources_new(&limits, &sources), 0);
	assert_int_equal(take(sources, "192.0.2.1:1", 1, &o[0]), 0);
	assert_int_equal(take(sources, "192.0.2.1:2", 1, &o[1]), 0);
	assert_int_equal(take(sources, "192.0.2.1:3", 1, &other), -EMFILE);
	assert_int_equal(take(sources, "[::ffff:192.0.2.1]:3", 1, &other), -EMFILE);
	assert_int_equal(take(sources, "[2001:db8:0:1::7]:1", 1, &o[2]), 0);
	assert_int_equal(take(sources, "[2001:db8:0:1:ffff::8]:1", 1, &o[3]), 0);
	assert_int_equal(take(sources, "[2001:db8:0:1::9]:1", 1, &other), -EMFILE);
	sources_give_back(o[0]);
	assert_int_equal(take(sources, "192.0.2.1:4", 1, &o[0]), 0);
	assert_int_equal(take(sources, "127.0.0.1:1", 1, &o[4]), 0);
	assert_int_equal(take(sources, "127.0.0.1:2", 1, &o[5]), 0);
	assert_int_equal(take(sources, "127.0.0.1:3", 1, &other), -ENOSPC);
	for (int i = 0; i < 6; i++)
		sources_give_back(o[i]);
	sources_free(sources);
}

static void a_source_has_a_rate(void **state)
{
	(void)state;
	struct listener_limits limits = { 100, 100, 5, 1000 };
	struct sources *sources;
	struct stream_owner *owner;
	assert_int_equal(sources_new(&limits, &sources), 0);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(take(sources, "192.0.2.1:1", 1000, &owner), 0);
		sources_give_back(owner);
	}
	assert_int_equal(take(sources, "192.0.2.1:1", 1000, &owner), -EAGAIN);
	assert_int_equal(take(sources, "192.0.2.1:1", 1199, &owner), -EAGAIN);
	assert_int_equal(take(sources, "192.0.2.2:1", 1199, &owner), 0);
	sources_give_back(owner);
	assert_int_equal(take(sources, "192.0.2.1:1", 1200, &owner), 0);
	sources_free(sources); /* one connection is still open */
	sources_give_back(owner);
}

/* --- connections --- */

struct talk {
	struct edged_stream *stream;
	const char *name;
};

static int opened;
static bool trusted;
static unsigned loops_used;

/* Answers with its name and the first bytes, then closes. */
static int talk_open(void *self, struct edged_stream *stream, void **ret_conn)
{
	struct talk *talk = malloc(sizeof(*talk));
	*talk = (struct talk){ stream, self };
	*ret_conn = talk;
	__atomic_fetch_add(&opened, 1, __ATOMIC_RELAXED);
	__atomic_fetch_or(&loops_used, 1u << loop_index(loop_self()), __ATOMIC_RELAXED);
	__atomic_store_n(&trusted, api->peer(stream)->trusted, __ATOMIC_RELAXED);
	return 0;
}

static ssize_t talk_data(void *conn, const uint8_t *bytes, size_t n)
{
	struct talk *talk = conn;
	if (bytes[0] == 'Q')
		return 0;
	api->write(talk->stream, talk->name, strlen(talk->name));
	api->close(talk->stream);
	return (ssize_t)n;
}

static void talk_closed(void *conn, int reason)
{
	(void)reason;
	free(conn);
}

static const struct edged_stream_handler talker = {
	.struct_size = sizeof(talker), .open = talk_open, .data = talk_data, .closed = talk_closed
};

static struct loops *loops;
static struct listeners *listeners;
static struct listener_info info;

static void open_all(const struct listener_limits *limits, const char *spec)
{
	struct err err = { "" };
	opened = 0;
	loops_used = 0;
	assert_int_equal(loops_new(2, &loops), 0);
	assert_int_equal(listeners_new(loops, limits, &listeners), 0);
	assert_int_equal(listeners_serve(listeners, "mqtt", &talker, "mqtt!"), 0);
	assert_int_equal(listeners_serve(listeners, "mqtt", &talker, "mqtt!"), -EEXIST);
	assert_int_equal(listeners_serve(listeners, "http", &talker, "http!"), 0);
	if (listeners_open(listeners, spec, NULL, &err))
		fail_msg("%s", err.text);
	assert_true(listeners_info(listeners, 0, &info));
	assert_false(listeners_info(listeners, 1, &info));
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

static int dial_it(void)
{
	int fd = -1;
	if (strncmp(info.address, "unix:", 5) == 0) {
		struct sockaddr_un un = { .sun_family = AF_UNIX };
		snprintf(un.sun_path, sizeof(un.sun_path), "%.100s", info.address + 5);
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	} else {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(info.port) };
		in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	}
	struct timeval limit = { .tv_sec = 10 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

static char answers[8][16];

static void ask(int i, const char *bytes, size_t n)
{
	int fd = dial_it();
	if (n)
		(void)!write(fd, bytes, n);
	ssize_t got = recv(fd, answers[i], sizeof(answers[i]) - 1, MSG_WAITALL);
	answers[i][got > 0 ? got : 0] = '\0';
	if (got < 0 && errno == EAGAIN)
		snprintf(answers[i], sizeof(answers[i]), "silence");
	close(fd);
}

static const struct listener_limits usual = { 100, 32, 50, 200 };

static void ask_both(void)
{
	ask(0, "\x10\x0c", 2);
	ask(1, "GET / HTTP/1.1\r\n", 16);
	ask(2, "\x16\x03\x01", 3);
	ask(3, "get / http", 10);
	ask(4, " ", 1);
	ask(5, "", 0); /* says nothing: closed after 200 ms */
}

static void auto_tells_protocols_apart_by_their_first_bytes(void **state)
{
	(void)state;
	open_all(&usual, "auto=127.0.0.1:0");
	assert_true(info.port != 0);
	assert_string_equal(info.protocol, "auto");
	uint64_t start = clock_mono_ms();
	run_with(ask_both);
	assert_string_equal(answers[0], "mqtt!");
	assert_string_equal(answers[1], "http!");
	for (int i = 2; i < 6; i++)
		assert_string_equal(answers[i], "");
	assert_int_equal(opened, 2);
	assert_true(clock_mono_ms() - start < 60000);
}

static void ask_four(void)
{
	for (int i = 0; i < 4; i++)
		ask(i, "x", 1);
}

static void mqtt_is_spread_over_the_loops_and_trusted_on_loopback(void **state)
{
	(void)state;
	open_all(&usual, "mqtt=*:0");
	run_with(ask_four);
	assert_int_equal(loops_used, 3);
	assert_true(trusted);
	for (int i = 0; i < 4; i++)
		assert_string_equal(answers[i], "mqtt!");
}

static void http_stays_on_the_main_loop_and_is_not_trusted(void **state)
{
	(void)state;
	open_all(&usual, "http=127.0.0.1:0");
	run_with(ask_four);
	assert_int_equal(loops_used, 1);
	assert_false(trusted);
}

static char unix_dir[] = "/tmp/listener_test_XXXXXX";

static void a_unix_socket_trusts_its_owner(void **state)
{
	(void)state;
	char spec[200], path[100];
	struct stat st;
	assert_non_null(mkdtemp(unix_dir));
	snprintf(path, sizeof(path), "%s/s", unix_dir);
	snprintf(spec, sizeof(spec), "http=unix:%s", path);
	/* left from a process that died */
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	int stale = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(stale, (struct sockaddr *)&un, sizeof(un)), 0);
	close(stale);
	open_all(&usual, spec);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	struct err err = { "" };
	assert_int_equal(listeners_open(listeners, spec, NULL, &err), -EADDRINUSE);
	run_with(ask_four);
	assert_true(trusted);
	assert_string_equal(answers[3], "http!");
	assert_int_equal(stat(path, &st), -1);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(loops_new(1, &loops), 0);
	assert_int_equal(listeners_new(loops, &usual, &listeners), 0);
	assert_int_equal(listeners_open(listeners, spec, NULL, &err), -EEXIST);
	listeners_free(listeners);
	loops_free(loops);
	unlink(path);
	rmdir(unix_dir);
}

static void ask_three_at_once(void)
{
	int a = dial_it(), b = dial_it();
	(void)!write(a, "Q", 1);
	(void)!write(b, "Q", 1);
	ask(0, "", 0);
	close(a);
	close(b);
}

static void more_connections_than_allowed_are_refused(void **state)
{
	(void)state;
	struct listener_limits few = { 2, 2, 50, 5000 };
	uint64_t before = stream_counts().refused;
	open_all(&few, "mqtt=127.0.0.1:0");
	run_with(ask_three_at_once);
	assert_string_equal(answers[0], "");
	assert_int_equal(stream_counts().refused - before, 1);
}

static void a_port_that_is_taken_names_its_holder(void **state)
{
	(void)state;
	struct err err = { "" };
	char spec[64];
	open_all(&usual, "mqtt=127.0.0.1:0");
	snprintf(spec, sizeof(spec), "http=127.0.0.1:%u", info.port);
	assert_int_equal(listeners_open(listeners, spec, NULL, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, spec));
	char holder[32];
	snprintf(holder, sizeof(holder), " (pid %d", (int)getpid());
	assert_non_null(strstr(err.text, holder));
	assert_int_equal(listeners_open(listeners, "tls=127.0.0.1:0", NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "certificate"));
	listeners_free(listeners);
	loops_free(loops);
}

static struct rlimit files;

/* With no descriptor left the listener looks away instead of spinning, and comes back. */
static void ask_without_descriptors(void)
{
	int fd = dial_it();
	struct rlimit none = { 3, files.rlim_max };
	int second = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(info.port) };
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setrlimit(RLIMIT_NOFILE, &none);
	connect(second, (struct sockaddr *)&in, sizeof(in));
	uint64_t before = loop_turns(loops_at(loops, 0));
	usleep(100000);
	bool spins = loop_turns(loops_at(loops, 0)) - before > 10;
	setrlimit(RLIMIT_NOFILE, &files);
	(void)!write(second, "x", 1);
	struct timeval limit = { .tv_sec = 5 };
	setsockopt(second, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	ssize_t n = recv(second, answers[0], sizeof(answers[0]) - 1, MSG_WAITALL);
	answers[0][n > 0 ? n : 0] = '\0';
	if (spins)
		snprintf(answers[0], sizeof(answers[0]), "spins");
	close(second);
	close(fd);
}

static void without_descriptors_it_waits_and_recovers(void **state)
{
	(void)state;
	getrlimit(RLIMIT_NOFILE, &files);
	open_all(&usual, "mqtt=127.0.0.1:0");
	run_with(ask_without_descriptors);
	assert_string_equal(answers[0], "mqtt!");
}

static void hold_open(void)
{
	int fd = dial_it();
	char byte;
	(void)!write(fd, "Q", 1);
	ssize_t n = recv(fd, &byte, 1, 0); /* ends when unserved */
	snprintf(answers[0], sizeof(answers[0]), "%zd", n);
	close(fd);
}

static struct timer *timer;

static void unserve_now(void *arg)
{
	(void)arg;
	if (__atomic_load_n(&opened, __ATOMIC_RELAXED) == 0) {
		timer_set(timer, 5);
		return;
	}
	timer_free(timer);
	listeners_unserve(listeners, "mqtt");
}

static void unserve_ends_the_streams(void **state)
{
	(void)state;
	void *self = NULL;
	open_all(&usual, "mqtt=127.0.0.1:0");
	assert_ptr_equal(listeners_handler(listeners, "mqtt", &self), &talker);
	assert_string_equal(self, "mqtt!");
	assert_null(listeners_handler(listeners, "gopher", &self));
	assert_int_equal(timer_new(loops_at(loops, 0), unserve_now, NULL, &timer), 0);
	timer_set(timer, 5);
	run_with(hold_open);
	assert_true(strcmp(answers[0], "0") == 0 || strcmp(answers[0], "-1") == 0);
}

int main(void)
{
	log_set_level(EDGED_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(specs_are_read_and_refused_with_a_sentence),
		cmocka_unit_test(a_source_has_a_number_of_connections),
		cmocka_unit_test(a_source_has_a_rate),
		cmocka_unit_test(auto_tells_protocols_apart_by_their_first_bytes),
		cmocka_unit_test(mqtt_is_spread_over_the_loops_and_trusted_on_loopback),
		cmocka_unit_test(http_stays_on_the_main_loop_and_is_not_trusted),
		cmocka_unit_test(a_unix_socket_trusts_its_owner),
		cmocka_unit_test(more_connections_than_allowed_are_refused),
		cmocka_unit_test(a_port_that_is_taken_names_its_holder),
		cmocka_unit_test(without_descriptors_it_waits_and_recovers),
		cmocka_unit_test(unserve_ends_the_streams),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
