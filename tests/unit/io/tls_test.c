/* SPDX-License-Identifier: Apache-2.0 */
/* io/tls, stream_tls, dial: both ends are ours, over real loopback sockets. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/dial.h"
#include "io/listener.h"
#include "io/stream.h"
#include "io/tls.h"
#include "test_certificate.h"

#define BIG (3u * 1024 * 1024)

static const struct edged_stream_1 *const api = &stream_functions;
static const struct listener_limits limits = { 100, 32, 50, 300 };
static struct loops *loops;
static struct listeners *listeners;
static struct listener_info info;
static struct test_certificate server_certificate, client_certificate;
static struct tls_context *server_tls, *client_tls;

/* What both ends saw. */
static struct {
	int opened, closed, reason;
	size_t bytes, wrong;
	struct edged_stream *stream;
	uint8_t key[32];
	char subject[64], fingerprint[80], node_id[64], server_name[64];
	bool trusted, tls;
	const char *protocol;
} server, client;
static int failures, failed_with;
static const char *asks_for; /* server name */
static char failed_why[200];
static bool says_big, hangs;

static void note_peer(struct edged_stream *stream, typeof(server) *side)
{
	const struct edged_peer *peer = api->peer(stream);
	snprintf(side->subject, sizeof(side->subject), "%s", peer->subject ? peer->subject : "-");
	snprintf(side->fingerprint, sizeof(side->fingerprint), "%s",
	        peer->fingerprint ? peer->fingerprint : "-");
	snprintf(side->node_id, sizeof(side->node_id), "%s", peer->node_id ? peer->node_id : "-");
	snprintf(side->server_name, sizeof(side->server_name), "%s",
	        peer->server_name ? peer->server_name : "-");
	side->trusted = peer->trusted;
	side->tls = peer->tls;
	if (peer->tls)
		assert_int_equal(stream_export_key(stream, "EXPORTER-test", side->key, sizeof(side->key)), 0);
	if (peer->subject)
		assert_true(stream_peer_certificate(stream).len > 100);
}

/* --- the server: echoes --- */

static int server_open(void *self, struct edged_stream *stream, void **ret_conn)
{
	*ret_conn = stream;
	server.opened++;
	server.protocol = self;
	note_peer(stream, &server);
	return 0;
}

static ssize_t server_data(void *conn, const uint8_t *bytes, size_t n)
{
	struct edged_stream *stream = conn;
	server.bytes += n;
	if (api->is_full(stream))
		api->pause(stream);
	assert_int_equal(api->write(stream, bytes, n), 0);
	return (ssize_t)n;
}

static void server_drained(void *conn)
{
	api->resume(conn);
}

static void server_closed(void *conn, int reason)
{
	(void)conn;
	server.closed++;
	server.reason = reason;
}

static const struct edged_stream_handler echo = { .struct_size = sizeof(echo),
	.open = server_open,
	.data = server_data,
	.drained = server_drained,
	.closed = server_closed };

/* --- the client --- */

static int client_open(void *self, struct edged_stream *stream, void **ret_conn)
{
	(void)self;
	*ret_conn = stream;
	client.opened++;
	note_peer(stream, &client);
	if (says_big) {
		struct edged_blob *blob = edged_blob_new(BIG);
		for (size_t i = 0; i < BIG; i++)
			blob->data[i] = (uint8_t)(i % 251);
		for (size_t i = 0; i < 1000; i++) /* small pieces are gathered into records */
			assert_int_equal(api->write_blob(stream, blob, i, 1), 0);
		assert_int_equal(api->write_blob(stream, blob, 1000, BIG - 1000), 0);
		edged_blob_unref(blob);
	} else {
		assert_int_equal(api->write(stream, "hi", 2), 0);
	}
	return 0;
}

static ssize_t client_data(void *conn, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; says_big && i < n; i++)
		client.wrong += bytes[i] != (client.bytes + i) % 251;
	client.bytes += n;
	if (client.bytes == (says_big ? BIG : 2))
		api->close(conn);
	return (ssize_t)n;
}

static void client_closed(void *conn, int reason)
{
	(void)conn;
	client.closed++;
	client.reason = reason;
	if (!hangs)
		loops_stop(loops);
}

static const struct edged_stream_handler talker = {
	.struct_size = sizeof(talker), .open = client_open, .data = client_data, .closed = client_closed
};

static void on_failed(void *arg, int error, const char *why)
{
	(void)arg;
	failures++;
	failed_with = error;
	snprintf(failed_why, sizeof(failed_why), "%s", why);
	loops_stop(loops);
}

/* --- the stage --- */

static bool judge(void *arg, struct x509_st *certificate, struct x509_st *issuer, char *ret_node_id)
{
	(void)issuer;
	char name[64] = "";
	X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof(name));
	memcpy(ret_node_id, "some-node-id", sizeof("some-node-id"));
	return strcmp(name, arg) == 0;
}

static struct tls_context *new_tls(const struct test_certificate *certificate, const char *trusts)
{
	static const char *const alpn[] = { "x-amzn-mqtt-ca", "mqtt", "http/1.1", "edged-link/1", NULL };
	struct tls_options options = { certificate->certificate_pem, certificate->key_pem, alpn, 0x0303,
		judge, (void *)trusts, false, NULL };
	struct tls_context *tls = NULL;
	struct err err = { "" };
	if (tls_context_new(&options, &tls, &err))
		fail_msg("%s", err.text);
	return tls;
}

static int setup(void **state)
{
	(void)state;
	memset(&server, 0, sizeof(server));
	memset(&client, 0, sizeof(client));
	failures = failed_with = 0;
	says_big = hangs = false;
	test_certificate_make(&server_certificate, "server");
	test_certificate_make(&client_certificate, "client");
	server_tls = new_tls(&server_certificate, "client");
	client_tls = new_tls(&client_certificate, "server");
	assert_int_equal(loops_new(2, &loops), 0);
	assert_int_equal(listeners_new(loops, &limits, &listeners), 0);
	assert_int_equal(listeners_serve(listeners, "mqtt", &echo, "mqtt"), 0);
	assert_int_equal(listeners_serve(listeners, "http", &echo, "http"), 0);
	assert_int_equal(listeners_serve(listeners, "edged-link/1", &echo, "edged-link/1"), 0);
	assert_int_equal(listeners_open(listeners, "tls=127.0.0.1:0", server_tls, NULL), 0);
	assert_true(listeners_info(listeners, 0, &info));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	listeners_free(listeners);
	loops_free(loops);
	tls_context_free(server_tls);
	tls_context_free(client_tls);
	test_certificate_fini(&server_certificate);
	test_certificate_fini(&client_certificate);
	assert_int_equal(stream_counts().open, 0);
	return 0;
}

static void dial_them(
        const char *const *addresses, const char *alpn, struct tls_context *tls, uint64_t timeout)
{
	struct dial *dial;
	struct dial_options options = { .addresses = addresses,
		.tls = tls,
		.alpn = alpn,
		.server_name = asks_for,
		.timeout_ms = timeout,
		.handler = &talker,
		.failed = on_failed };
	assert_int_equal(dial_start(loops_at(loops, 0), &options, &dial), 0);
	assert_int_equal(loops_run(loops), 0);
}

static void dial_it(const char *alpn)
{
	const char *addresses[] = { info.address, NULL };
	dial_them(addresses, alpn, client_tls, 5000);
}

/* --- tests --- */

static void both_ends_know_each_other(void **state)
{
	(void)state;
	dial_it("edged-link/1");
	assert_int_equal(failures, 0);
	assert_int_equal(client.opened, 1);
	assert_int_equal(client.closed, 1);
	/* Both ends close; the reset of the faster one may come first. */
	assert_true(client.reason == -ECANCELED || client.reason == -ECONNRESET);
	assert_string_equal(server.protocol, "edged-link/1");
	assert_true(server.tls && client.tls && server.trusted && client.trusted);
	assert_string_equal(server.subject, "CN=client");
	assert_string_equal(server.server_name, "-");
	assert_string_equal(client.subject, "CN=server");
	assert_string_equal(server.node_id, "some-node-id");
	assert_int_equal(strlen(server.fingerprint), 64);
	assert_int_equal(strspn(server.fingerprint, "0123456789abcdef"), 64);
	assert_memory_equal(server.key, client.key, sizeof(server.key));
}

static void the_server_knows_which_name_was_asked_for(void **state)
{
	(void)state;
	asks_for = "edge.local";
	dial_it("edged-link/1");
	asks_for = NULL;
	assert_int_equal(client.opened, 1);
	assert_string_equal(server.server_name, "edge.local");
	assert_string_equal(client.server_name, "-"); /* nobody asked it */
}

static void a_stranger_comes_in_untrusted(void **state)
{
	(void)state;
	tls_context_free(client_tls);
	struct test_certificate other;
	test_certificate_make(&other, "stranger");
	client_tls = new_tls(&other, "nobody");
	test_certificate_fini(&other);
	dial_it("x-amzn-mqtt-ca");
	assert_string_equal(server.protocol, "mqtt");
	assert_false(server.trusted || client.trusted);
	assert_string_equal(server.subject, "CN=stranger");
}

static void much_data_goes_through_in_both_directions(void **state)
{
	(void)state;
	says_big = true;
	dial_it("http/1.1");
	assert_string_equal(server.protocol, "http");
	assert_int_equal(server.bytes, BIG);
	assert_int_equal(client.bytes, BIG);
	assert_int_equal(client.wrong, 0);
}

/* "hi" is neither MQTT nor HTTP: the handshake succeeds, the protocol does not. */
static void an_unknown_alpn_does_not_fail_the_handshake(void **state)
{
	(void)state;
	dial_it("gopher");
	assert_int_equal(failures, 1);
	assert_int_equal(failed_with, -EPROTONOSUPPORT);
	assert_int_equal(server.opened, 0);
}

static void without_alpn_the_first_bytes_decide(void **state)
{
	(void)state;
	dial_it(NULL);
	assert_int_equal(client.opened, 1);
	assert_int_equal(server.opened, 0); /* "hi" is nothing */
	assert_true(client.reason == 0 || client.reason == -ECONNRESET || client.reason == -EPROTO);
}

static void certificates_are_replaced_while_running(void **state)
{
	(void)state;
	struct err err = { "" };
	struct test_certificate other;
	test_certificate_make(&other, "renewed");
	assert_int_equal(
	        tls_context_replace(server_tls, other.certificate_pem, client_certificate.key_pem, &err),
	        -EINVAL);
	assert_non_null(strstr(err.text, "do not belong together"));
	assert_int_equal(tls_context_replace(server_tls, "nonsense", other.key_pem, &err), -EINVAL);
	assert_int_equal(tls_context_replace(server_tls, other.certificate_pem, other.key_pem, &err), 0);
	test_certificate_fini(&other);
	dial_it("mqtt");
	assert_string_equal(client.subject, "CN=renewed");
}

static void the_first_to_answer_wins(void **state)
{
	(void)state;
	int fd = socket(AF_INET, SOCK_STREAM, 0); /* bound, not listening: refuses */
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(in);
	char refuses[64];
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &n), 0);
	snprintf(refuses, sizeof(refuses), "127.0.0.1:%u", ntohs(in.sin_port));
	const char *addresses[] = { "no address", refuses, info.address, NULL };
	dial_them(addresses, "mqtt", client_tls, 5000);
	assert_int_equal(failures, 0);
	assert_int_equal(client.opened, 1);
	close(fd);
}

static void nobody_answers(void **state)
{
	(void)state;
	int fd = socket(AF_INET, SOCK_STREAM, 0); /* takes connections and says nothing */
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(in);
	char silent[64];
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &n), 0);
	snprintf(silent, sizeof(silent), "127.0.0.1:%u", ntohs(in.sin_port));
	const char *addresses[] = { silent, silent, NULL };
	dial_them(addresses, "mqtt", client_tls, 300);
	assert_int_equal(failures, 1);
	assert_int_equal(failed_with, -ETIMEDOUT);
	assert_int_equal(client.opened, 0);
	close(fd);
}

static void a_plain_dial_and_its_refusals(void **state)
{
	(void)state;
	struct dial *dial;
	const char *nothing[] = { "example.org:80", NULL }, *here[] = { NULL, NULL };
	struct dial_options options = {
		.addresses = nothing, .handler = &talker, .failed = on_failed, .timeout_ms = 100
	};
	assert_int_equal(dial_start(loops_at(loops, 0), &options, &dial), -EINVAL);
	assert_int_equal(listeners_open(listeners, "mqtt=127.0.0.1:0", NULL, NULL), 0);
	assert_true(listeners_info(listeners, 1, &info));
	here[0] = info.address;
	options.addresses = here;
	assert_int_equal(dial_start(loops_at(loops, 0), &options, &dial), 0);
	dial_cancel(dial);
	dial_them(here, NULL, NULL, 5000);
	assert_int_equal(client.opened, 1);
	assert_int_equal(client.bytes, 2);
	assert_false(client.tls);
}

static ssize_t hanging_result;
static uint64_t hanging_ms;

/* A byte of a ClientHello each 20 ms: every byte is fine, all of it takes for ever. */
static void *dribble(void *arg)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(info.port) };
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	static const uint8_t hello[] = { 0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0x00, 0x3f, 0xfc, 0x03, 0x03 };
	uint64_t start = clock_mono_ms();
	(void)arg;
	if (connect(fd, (struct sockaddr *)&in, sizeof(in)))
		return NULL;
	for (size_t i = 0; i < 500; i++) {
		hanging_result = send(fd, i < sizeof(hello) ? &hello[i] : hello, 1, MSG_NOSIGNAL);
		if (hanging_result < 0)
			break;
		usleep(20000);
	}
	hanging_ms = clock_mono_ms() - start;
	close(fd);
	loops_stop(loops);
	return NULL;
}

static void a_dribbled_handshake_ends_in_time(void **state)
{
	(void)state;
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, dribble, NULL), 0);
	assert_int_equal(loops_run(loops), 0);
	pthread_join(thread, NULL);
	assert_int_equal(hanging_result, -1);
	assert_true(hanging_ms >= 300 && hanging_ms < 60000);
}

/* A server that answers before the client looks for the first time: here it always does, since the client waits. */
static void *serve_quickly(void *arg)
{
	SSL *ssl = tls_context_session(server_tls, false);
	char bytes[2];
	SSL_set_fd(ssl, *(int *)arg);
	if (SSL_accept(ssl) == 1 && SSL_read(ssl, bytes, 2) == 2)
		SSL_write(ssl, bytes, 2);
	SSL_read(ssl, bytes, 2); /* until the client closes */
	SSL_free(ssl);
	close(*(int *)arg);
	return NULL;
}

static int choose_talker(void *arg, struct edged_stream *stream, struct edged_slice alpn,
        struct edged_slice first, const struct edged_stream_handler **ret_handler, void **ret_self)
{
	(void)arg, (void)stream, (void)first;
	assert_true(edged_slice_is(alpn, "edged-link/1"));
	*ret_handler = &talker;
	*ret_self = NULL;
	return 0;
}

static void a_handshake_that_ends_at_once_opens_the_stream(void **state)
{
	(void)state;
	int fds[2];
	pthread_t thread;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(pthread_create(&thread, NULL, serve_quickly, &fds[0]), 0);
	const struct stream_chooser chooser = { .choose = choose_talker };
	const struct stream_origin origin = { .fd = fds[1],
		.tls = client_tls,
		.client = true,
		.listener = "outbound",
		.address = "192.0.2.1:1",
		.uid = -1,
		.alpn = "edged-link/1",
		.handshake_ms = 5000 };
	assert_int_equal(stream_new(loops_at(loops, 0), &origin, &chooser, NULL), 0);
	assert_int_equal(client.opened, 1);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	assert_int_equal(loops_run(loops), 0);
	pthread_join(thread, NULL);
	assert_int_equal(client.bytes, 2);
	assert_true(client.trusted);
}

#define ON_STAGE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	log_set_level(EDGED_ERROR);
	const struct CMUnitTest tests[] = {
		ON_STAGE(both_ends_know_each_other),
		ON_STAGE(the_server_knows_which_name_was_asked_for),
		ON_STAGE(a_stranger_comes_in_untrusted),
		ON_STAGE(much_data_goes_through_in_both_directions),
		ON_STAGE(an_unknown_alpn_does_not_fail_the_handshake),
		ON_STAGE(without_alpn_the_first_bytes_decide),
		ON_STAGE(certificates_are_replaced_while_running),
		ON_STAGE(the_first_to_answer_wins),
		ON_STAGE(nobody_answers),
		ON_STAGE(a_plain_dial_and_its_refusals),
		ON_STAGE(a_dribbled_handshake_ends_in_time),
		ON_STAGE(a_handshake_that_ends_at_once_opens_the_stream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
