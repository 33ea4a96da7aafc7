/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker with several loops, the whole daemon in this process: the same input gives the same results with one, two
 * and four, and a storm of clients that take over each other's sessions leaves it whole (and the thread sanitizer silent).
 * EDGED_STORM_SECONDS: how long that storm lasts (default 2).
 */
#include <libgen.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "app.h"
#include "base/clock.h"
#include "mqtt_peer.h"
#include "temp.h"

enum { CLIENTS = 8, QOS = 3, TEXT = 16384, STORMERS = 8 };

static struct temp temp;
static char socket_path[300];
static unsigned loops;
static const char *failure; /* of the thread with the clients; first one; NULL: none */

static void complain(const char *what)
{
	const char *none = NULL;
	(void)__atomic_compare_exchange_n(&failure, &none, what, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* --- the daemon ---------------------------------------------------------------------------------------------------------- */

/* The plugin that was built beside this program. */
static void add_plugin(const char *folder)
{
	char self[400], from[500], to[400];
	static char bytes[16 * 1024 * 1024];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	assert_true(n > 0);
	self[n] = '\0';
	snprintf(from, sizeof(from), "%s/../../plugins/broker.so", dirname(self));
	snprintf(to, sizeof(to), "%s/broker.so", folder);
	assert_int_equal(mkdir(folder, 0755), 0);
	FILE *in = fopen(from, "r"), *out = fopen(to, "w");
	assert_non_null(in);
	assert_non_null(out);
	size_t size = fread(bytes, 1, sizeof(bytes), in);
	assert_true(size > 0 && size < sizeof(bytes));
	assert_int_equal(fwrite(bytes, 1, size, out), size);
	assert_int_equal(fclose(in) + fclose(out), 0);
	assert_int_equal(chmod(to, 0644), 0);
}

static void *with_clients(void *arg)
{
	void (*use)(void) = *(void (**)(void))arg;
	use();
	kill(getpid(), SIGTERM);
	return NULL;
}

/* A daemon with that many loops, while use() runs in a thread of its own. */
static void run(unsigned count, void (*use)(void))
{
	char state[300], folder[300], setting[32], listen[320];
	const char *folders[] = { folder, NULL }, *listeners[] = { listen, NULL };
	const char *settings[] = { setting, "cluster.enabled=false", "log.level=\"warning\"", NULL };
	temp_init(&temp);
	temp_file(&temp, "state", state, sizeof(state));
	temp_file(&temp, "plugins", folder, sizeof(folder));
	temp_file(&temp, "mqtt.sock", socket_path, sizeof(socket_path));
	snprintf(listen, sizeof(listen), "mqtt=unix:%s", socket_path);
	snprintf(setting, sizeof(setting), "net.loops=%u", loops = count);
	add_plugin(folder);
	const struct args args = {
		.state = state, .plugins = folders, .listen = listeners, .set = settings, .dev = true
	};
	struct app *app = NULL;
	struct err err = { "" };
	pthread_t thread;
	failure = NULL;
	assert_int_equal(app_new(&args, &app, &err), 0);
	assert_int_equal(pthread_create(&thread, NULL, with_clients, &use), 0);
	assert_int_equal(app_run(app, &err), 0);
	pthread_join(thread, NULL);
	app_free(app);
	temp_fini(&temp);
	if (failure)
		fail_msg("%u loops: %s", loops, failure);
}

static bool open_patiently(
        struct mqtt_peer *peer, const char *name, uint8_t version, bool durable, const char *will)
{
	for (uint64_t end = clock_mono_ms() + 20000; clock_mono_ms() < end; poll(NULL, 0, 5))
		if (mqtt_open(peer, socket_path, name, version, false, durable, will))
			return true;
	return false;
}

/* --- the same input, the same results --------------------------------------------------------------------------------------- */

struct heard { /* what one client got from one publisher at one QoS, in order */
	char text[TEXT];
	size_t len;
};

static struct client {
	struct mqtt_peer peer;
	char name[8];
	unsigned ends; /* of sync() */
	struct heard heard[CLIENTS + 1][QOS];
} clients[CLIENTS];

static char results[2][CLIENTS][CLIENTS + 1][QOS][TEXT];
static unsigned shared_count;

/* Payloads begin with the publisher's digit; wills come from nobody. */
static void note(void *arg, const struct mqtt_got *got)
{
	struct client *c = arg;
	unsigned from = got->payload_len && got->payload[0] >= '0' && got->payload[0] < '0' + CLIENTS
	                        ? (unsigned)(got->payload[0] - '0')
	                        : CLIENTS;
	if (got->topic_len > 3 && memcmp(got->topic, "end", 3) == 0) {
		c->ends++;
		return;
	}
	if (got->topic[0] == 's') { /* which member gets it is not promised */
		shared_count++;
		return;
	}
	struct heard *h = &c->heard[from][got->qos];
	h->len += (size_t)snprintf(h->text + h->len, TEXT - h->len, "%.*s=%.*s%s ", (int)got->topic_len,
	        got->topic, (int)got->payload_len, got->payload, got->retain ? " retained" : "");
	if (h->len >= TEXT)
		h->len = TEXT - 1;
}

static void must(bool done, const char *what)
{
	if (!done)
		complain(what);
}

static void join(unsigned i, const char *will)
{
	struct client *c = &clients[i];
	bool durable = i < CLIENTS / 2;
	must(open_patiently(&c->peer, c->name, i % 2 ? 5 : 4, durable, will), "a client cannot connect");
	if (!durable || !c->peer.present) {
		char filter[32];
		snprintf(filter, sizeof(filter), "end/%u/+", i);
		must(mqtt_subscribe(&c->peer, filter, 2), "no SUBACK");
	}
}

/* All that was said before has come: each client hears the end from each, at each QoS. */
static void sync_clients(void)
{
	unsigned expected = 0;
	for (unsigned i = 0; i < CLIENTS; i++)
		clients[i].ends = 0;
	for (unsigned from = 0; from < CLIENTS; from++) {
		if (clients[from].peer.fd < 0)
			continue;
		expected += QOS;
		for (unsigned to = 0; to < CLIENTS; to++) {
			char topic[32];
			snprintf(topic, sizeof(topic), "end/%u/%u", to, from);
			for (uint8_t qos = 0; qos < QOS && clients[to].peer.fd >= 0; qos++)
				must(mqtt_publish_soon(&clients[from].peer, topic, "end", qos, false),
				        "no end");
		}
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		for (uint64_t end = clock_mono_ms() + 20000;
		        clients[i].peer.fd >= 0 && clients[i].ends < expected;)
			if (!mqtt_read(&clients[i].peer, 100) || clock_mono_ms() > end) {
				complain("the end does not come");
				break;
			}
}

static void publish_all(const char *word, bool retain)
{
	for (unsigned n = 0; n < 6; n++)
		for (unsigned i = 0; i < CLIENTS; i++) {
			char topic[32], payload[64];
			if (clients[i].peer.fd < 0)
				continue;
			snprintf(topic, sizeof(topic), "d/%u/%s", i, n % 2 ? "x" : "y");
			snprintf(payload, sizeof(payload), "%u %s %u", i, word, n);
			must(mqtt_publish(
			             &clients[i].peer, topic, payload, (uint8_t)(n % QOS), retain && n > 3),
			        "no PUBACK");
		}
}

static void subscribe_all(void)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		char filter[32];
		must(mqtt_subscribe(&clients[i].peer, "d/#", (uint8_t)(i % QOS)), "no SUBACK");
		snprintf(filter, sizeof(filter), "d/%u/+", (i + 1) % CLIENTS);
		must(mqtt_subscribe(&clients[i].peer, filter, 2), "no SUBACK");
		must(mqtt_subscribe(&clients[i].peer, i % 2 ? "will/+" : "+/w", 1), "no SUBACK");
		if (i > 4)
			must(mqtt_subscribe(&clients[i].peer, "$share/g/s/#", 1), "no SUBACK");
	}
}

static void script(void)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		join(i, NULL);
	subscribe_all();
	publish_all("first", false);
	sync_clients();
	/* Away, with a queue; two of them politely. */
	for (unsigned i = 0; i < 3; i++)
		mqtt_close(&clients[i].peer, i != 1);
	publish_all("away", true);
	sync_clients();
	for (unsigned i = 0; i < 3; i++)
		join(i, NULL);
	sync_clients();
	/* A session that is taken over, and a will. */
	mqtt_close(&clients[3].peer, true);
	join(3, "will/w");
	int old = clients[3].peer.fd;
	clients[3].peer.fd = -1;
	join(3, NULL);
	close(old);
	sync_clients();
	must(mqtt_unsubscribe(&clients[7].peer, "d/#"), "no UNSUBACK");
	must(mqtt_unsubscribe(&clients[0].peer, "d/1/+"), "no UNSUBACK");
	publish_all("last", true);
	sync_clients();
	/* What is retained, for a new subscription. */
	must(mqtt_subscribe(&clients[7].peer, "d/+/y", 1), "no SUBACK");
	sync_clients();
	for (unsigned n = 0; n < 12; n++)
		must(mqtt_publish(&clients[n % CLIENTS].peer, "s/1", "x", 1, false), "no PUBACK");
	sync_clients();
	for (unsigned i = 0; i < CLIENTS; i++)
		mqtt_close(&clients[i].peer, true);
}

static void run_script(unsigned count, unsigned slot)
{
	shared_count = 0;
	memset(clients, 0, sizeof(clients));
	for (unsigned i = 0; i < CLIENTS; i++) {
		clients[i].peer = (struct mqtt_peer){ .fd = -1, .got = note, .arg = &clients[i] };
		snprintf(clients[i].name, sizeof(clients[i].name), "c%u", i);
	}
	run(count, script);
	assert_int_equal(shared_count, 12);
	for (unsigned i = 0; i < CLIENTS; i++)
		for (unsigned from = 0; from <= CLIENTS; from++)
			for (unsigned qos = 0; qos < QOS; qos++)
				memcpy(results[slot][i][from][qos], clients[i].heard[from][qos].text, TEXT);
}

static void compare(unsigned i, unsigned from, unsigned qos)
{
	const char *one = results[0][i][from][qos], *more = results[1][i][from][qos];
	if (strcmp(one, more) != 0)
		fail_msg("%u loops: c%u got from c%u at QoS %u\n%s\nwith one loop\n%s", loops, i, from, qos,
		        more, one);
}

static void several_loops_give_the_same_results(void **unused)
{
	(void)unused;
	run_script(1, 0);
	assert_non_null(strstr(results[0][7][1][1], "retained"));
	assert_non_null(strstr(results[0][6][CLIENTS][1], "will"));
	for (unsigned count = 2; count <= 4; count += 2) {
		run_script(count, 1);
		for (unsigned i = 0; i < CLIENTS; i++)
			for (unsigned from = 0; from <= CLIENTS; from++)
				for (unsigned qos = 0; qos < QOS; qos++)
					compare(i, from, qos);
	}
}

/* --- the storm --------------------------------------------------------------------------------------------------------------- */

static uint64_t storm_end;

struct stormer {
	struct mqtt_peer peer;
	uint64_t random;
	unsigned acknowledged, taken_over, received;
};

static unsigned pick(struct stormer *s, unsigned n)
{
	s->random = s->random * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)(s->random >> 33) % n;
}

static void count_message(void *arg, const struct mqtt_got *got)
{
	struct stormer *s = arg;
	(void)got;
	s->received++;
}

static void storm_once(struct stormer *s)
{
	static const char *const filters[] = { "st/#", "st/+/a", "#", "st/1/a", "$share/g/st/#",
		"$share/h/st/+/a" };
	static const char *const topics[] = { "st/1/a", "st/2/a", "st/2/b", "st/3/c/d" };
	struct mqtt_peer *peer = &s->peer;
	const char *filter = filters[pick(s, 6)], *topic = topics[pick(s, 4)];
	uint8_t qos = (uint8_t)pick(s, QOS);
	if (peer->fd < 0) {
		char name[16];
		snprintf(name, sizeof(name), "storm%u", pick(s, STORMERS / 2 + 2));
		peer->answers_not = pick(s, 8) == 0;
		(void)mqtt_open(peer, socket_path, name, pick(s, 2) ? 5 : 4, pick(s, 2), pick(s, 2),
		        pick(s, 2) ? topic : NULL);
		return;
	}
	switch (pick(s, 8)) {
	case 0:
		(void)mqtt_subscribe(peer, filter, qos);
		break;
	case 1:
		(void)mqtt_unsubscribe(peer, filter);
		break;
	case 2:
		if (pick(s, 4) == 0)
			mqtt_close(peer, pick(s, 2));
		break;
	case 3:
		(void)mqtt_read(peer, 1);
		break;
	default:
		s->acknowledged += mqtt_publish(peer, topic, "payload", qos, pick(s, 8) == 0);
		s->taken_over += peer->fd < 0;
		break;
	}
}

static void *storm(void *arg)
{
	while (clock_mono_ms() < storm_end)
		storm_once(arg);
	return NULL;
}

/* After it: whoever connects is served, on each loop, and hears of each other. */
static void check_after(void)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		clients[i].peer = (struct mqtt_peer){ .fd = -1, .got = note, .arg = &clients[i] };
		snprintf(clients[i].name, sizeof(clients[i].name), "c%u", i);
		join(i, NULL);
	}
	sync_clients();
	for (unsigned i = 0; i < CLIENTS; i++)
		mqtt_close(&clients[i].peer, true);
}

static void storm_all(void)
{
	static struct stormer stormers[STORMERS];
	pthread_t threads[STORMERS];
	struct mqtt_peer first = { .fd = -1 };
	const char *seconds = getenv("EDGED_STORM_SECONDS");
	must(open_patiently(&first, "first", 4, false, NULL), "a client cannot connect");
	mqtt_close(&first, true);
	storm_end = clock_mono_ms() + 1000u * (seconds ? (unsigned)strtoul(seconds, NULL, 10) : 2);
	unsigned acknowledged = 0, taken_over = 0, received = 0;
	for (unsigned i = 0; i < STORMERS; i++) {
		stormers[i] = (struct stormer){ .random = i * 77 + 1 };
		stormers[i].peer = (struct mqtt_peer){ .fd = -1, .got = count_message, .arg = &stormers[i] };
		if (pthread_create(&threads[i], NULL, storm, &stormers[i]))
			abort();
	}
	for (unsigned i = 0; i < STORMERS; i++) {
		pthread_join(threads[i], NULL);
		mqtt_close(&stormers[i].peer, false);
		acknowledged += stormers[i].acknowledged;
		taken_over += stormers[i].taken_over;
		received += stormers[i].received;
	}
	printf("storm: %u published, %u taken over, %u received\n", acknowledged, taken_over, received);
	must(acknowledged && taken_over && received, "there was no storm");
	check_after();
}

static void a_storm_leaves_it_whole(void **unused)
{
	(void)unused;
	run(4, storm_all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_loops_give_the_same_results),
		cmocka_unit_test(a_storm_leaves_it_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
