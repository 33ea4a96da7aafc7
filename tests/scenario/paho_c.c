/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eclipse Paho's client for C against a broker: says "ok", or what went wrong.
 * usage: paho_c VERSION(4, 5) URL [-u USER PASSWORD] [-a CA] [-c CERTIFICATE KEY]
 */
#include <MQTTClient.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS 20

static const char *url, *user, *password;
static int version;
static MQTTClient_SSLOptions tls = MQTTClient_SSLOptions_initializer;
static char tag[64];

static void fail(const char *what, int code)
{
	printf("%s: %d (%s)\n", what, code, MQTTClient_strerror(code) ? MQTTClient_strerror(code) : "");
	exit(1);
}

static const char *name(const char *what)
{
	static char text[4][128];
	static int next;
	char *at = text[next++ % 4];
	snprintf(at, sizeof(text[0]), "%s/%s", tag, what);
	return at;
}

static MQTTClient join_with(const char *id, int clean, MQTTClient_willOptions *will, int *present)
{
	MQTTClient client;
	MQTTClient_createOptions create = MQTTClient_createOptions_initializer;
	MQTTClient_connectOptions old = MQTTClient_connectOptions_initializer;
	MQTTClient_connectOptions fresh = MQTTClient_connectOptions_initializer5;
	MQTTClient_connectOptions *options = version == 5 ? &fresh : &old;
	MQTTProperties properties = MQTTProperties_initializer;
	MQTTProperty expiry = { .identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL,
		.value.integer4 = 600 };
	create.MQTTVersion = version;
	int r = MQTTClient_createWithOptions(
	        &client, url, name(id), MQTTCLIENT_PERSISTENCE_NONE, NULL, &create);
	if (r)
		fail("create", r);
	options->MQTTVersion = version;
	options->username = user;
	options->password = password;
	options->will = will;
	options->ssl = tls.trustStore ? &tls : NULL;
	options->connectTimeout = SECONDS;
	if (version == 5) {
		options->cleanstart = clean;
		if (!clean)
			MQTTProperties_add(&properties, &expiry);
		MQTTResponse answer = MQTTClient_connect5(client, options, &properties, NULL);
		r = (int)answer.reasonCode;
		*present = !clean; /* this client does not say */
		MQTTResponse_free(answer);
	} else {
		options->cleansession = clean;
		r = MQTTClient_connect(client, options);
		*present = options->returned.sessionPresent;
	}
	if (r)
		fail("connect", r);
	MQTTProperties_free(&properties);
	return client;
}

static MQTTClient join(const char *id)
{
	int present;
	return join_with(id, 1, NULL, &present);
}

static void leave(MQTTClient client)
{
	if (version == 5)
		MQTTClient_disconnect5(client, 1000, MQTTREASONCODE_SUCCESS, NULL);
	else
		MQTTClient_disconnect(client, 1000);
	MQTTClient_destroy(&client);
}

static void subscribe(MQTTClient client, const char *filter)
{
	int r;
	if (version == 5) {
		MQTTResponse answer = MQTTClient_subscribe5(client, filter, 2, NULL, NULL);
		r = (int)answer.reasonCode;
		MQTTResponse_free(answer);
	} else {
		r = MQTTClient_subscribe(client, filter, 2);
	}
	if (r != 2 && r != 0)
		fail("subscribe", r);
}

static void publish(
        MQTTClient client, const char *topic, const char *payload, size_t n, int qos, int retained)
{
	MQTTClient_deliveryToken token;
	int r;
	if (version == 5) {
		MQTTResponse answer =
		        MQTTClient_publish5(client, topic, (int)n, payload, qos, retained, NULL, &token);
		r = (int)answer.reasonCode;
		MQTTResponse_free(answer);
	} else {
		r = MQTTClient_publish(client, topic, (int)n, payload, qos, retained, &token);
	}
	if (r == 0 && qos)
		r = MQTTClient_waitForCompletion(client, token, SECONDS * 1000);
	if (r)
		fail("publish", r);
}

static void expect(MQTTClient client, const char *topic, const char *payload, size_t n, int qos, int retained)
{
	MQTTClient_message *message = NULL;
	char *got = NULL;
	int len, r;
	r = MQTTClient_receive(client, &got, &len, &message, SECONDS * 1000);
	if ((r && r != MQTTCLIENT_TOPICNAME_TRUNCATED) || !message)
		fail("no message", r);
	if (strcmp(got, topic) != 0 || message->payloadlen != (int)n ||
	        memcmp(message->payload, payload, n) != 0 || message->qos != qos ||
	        message->retained != retained)
		fail("another message than expected", message->qos);
	MQTTClient_freeMessage(&message);
	MQTTClient_free(got);
}

static void all_qos(void)
{
	MQTTClient a = join("a"), b = join("b");
	subscribe(b, name("qos/#"));
	for (int qos = 0; qos < 3; qos++) {
		publish(a, name("qos/x"), "text", 4, qos, 0);
		expect(b, name("qos/x"), "text", 4, qos, 0);
	}
	publish(a, name("kept"), "kept", 4, 1, 1);
	subscribe(b, name("kept"));
	expect(b, name("kept"), "kept", 4, 1, 1);
	publish(a, name("kept"), "", 0, 1, 1);
	leave(a);
	leave(b);
}

/* By a client that is alone. This one (1.3.11) has one buffer for what has come of a WebSocket frame, not one for each
 * connection (frame_buffer in its WebSocket.c): a large frame on one connection swallows what comes on others of the process
 * meanwhile, here the PUBACK. */
static void large(void)
{
	static char payload[200000];
	MQTTClient a = join("a");
	subscribe(a, name("large"));
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (char)(i * 7 + i / 256);
	for (int qos = 0; qos < 3; qos++) {
		publish(a, name("large"), payload, sizeof(payload), qos, 0);
		expect(a, name("large"), payload, sizeof(payload), qos, 0);
	}
	leave(a);
}

static void session(void)
{
	int present;
	MQTTClient s = join_with("s", 0, NULL, &present), other = join("other");
	if (present && version != 5)
		fail("a session before the first", present);
	subscribe(s, name("session"));
	leave(s);
	char text[8];
	for (int i = 0; i < 3; i++)
		publish(other, name("session"), text, (size_t)snprintf(text, sizeof(text), "%d", i), 1, 0);
	s = join_with("s", 0, NULL, &present);
	if (!present)
		fail("the session is gone", present);
	for (int i = 0; i < 3; i++)
		expect(s, name("session"), text, (size_t)snprintf(text, sizeof(text), "%d", i), 1, 0);
	leave(s);
	leave(join("s"));
	leave(other);
}

/* A process that ends without DISCONNECT leaves its will. */
static void will(void)
{
	int present, pipes[2];
	char byte;
	MQTTClient_willOptions last = MQTTClient_willOptions_initializer;
	last.topicName = name("will");
	last.message = "gone";
	last.qos = 1;
	if (pipe(pipes))
		fail("pipe", 0);
	pid_t child = fork();
	if (child == 0) {
		close(pipes[1]);
		join_with("dying", 1, &last, &present);
		_exit(read(pipes[0], &byte, 1) != 0);
	}
	MQTTClient watcher = join("watcher");
	subscribe(watcher, name("will"));
	close(pipes[1]);
	expect(watcher, name("will"), "gone", 4, 1, 0);
	leave(watcher);
	waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	int option;
	snprintf(tag, sizeof(tag), "paho-c-%d", (int)getpid());
	if (argc < 3)
		fail("usage", argc);
	version = argv[1][0] - '0';
	url = argv[2];
	tls.enableServerCertAuth = 1;
	for (optind = 3; (option = getopt(argc, argv, "u:a:c:")) != -1;) {
		if (option == 'a') {
			tls.trustStore = optarg;
		} else if (option == 'u') {
			user = optarg;
			password = argv[optind++];
		} else if (option == 'c') {
			tls.keyStore = optarg;
			tls.privateKey = argv[optind++];
		}
	}
	MQTTClient_init_options init = MQTTClient_init_options_initializer;
	init.do_openssl_init = 1;
	MQTTClient_global_init(&init);
	all_qos();
	large();
	session();
	will();
	puts("ok");
	return 0;
}
