/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A load generator for MQTT brokers, for broker_bench.py: one thread, bytes prepared as far as possible, so that it
 * costs less than any broker. Prints one JSON object. The broker is told by port (loopback) and process id; its CPU
 * time is that of all its threads, of the scheduler's own accounting.
 *
 *   load flow     -p PUBLISHERS -s SUBSCRIBERS   messages through the broker; at most -w of each publisher under way;
 *                                                or -r RATE a second, in bursts of -B;
 *                                                -A PORT: subscribers are there, on another node
 *   load idle     -n CLIENTS -S SUBSCRIPTIONS    connects and subscribes each, then waits for the end of its input
 *   load floor    -r RATE -n MESSAGES            the flow with no broker in between: what the generator itself takes
 *   load retained -n TOPICS                      stores as many, then looks them up with a wildcard
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { CONNACK = 2, PUBLISH = 3, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK = 9 };
enum { BATCH = 65536, STALL_MS = 3000, STAMP = 12 };

struct buffer {
	uint8_t *bytes;
	size_t at, len, size;
};

struct conn {
	int fd;
	bool publisher, blocked, dirty, ready;
	uint16_t id;        /* of its last message */
	unsigned number;    /* among publishers or subscribers */
	long may, returned; /* messages it may send now; deliveries that do not make one whole message yet */
	struct buffer in, out;
};

static struct {
	const char *mode, *filter, *client;
	int port, subscriber_port, pid, version, qos, subscriber_qos;
	unsigned publishers, subscribers, window, payload, rate, burst, subscriptions;
	long count;
	bool pairs, persistent;
} opt = { .version = 4,
	.publishers = 1,
	.subscribers = 1,
	.window = 1,
	.burst = 1,
	.subscriptions = 1,
	.payload = 64,
	.client = "load",
	.subscriber_qos = -1 };

static int epoll;
static struct conn *conns, **dirty;
static unsigned conn_count, dirty_count, ready_count;
static long sent, delivered, acknowledged;
static uint32_t *latencies; /* us; only of a paced flow */
static uint8_t scratch[BATCH];
static uint32_t noise = 1;

static void fail(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *allocate(size_t n)
{
	void *p = calloc(1, n);
	if (!p)
		fail("memory");
	return p;
}

static uint64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Seconds that the broker's threads have been on a processor. */
static double broker_cpu(void)
{
	char path[320];
	unsigned long long all = 0, ns;
	snprintf(path, sizeof(path), "/proc/%d/task", opt.pid);
	DIR *dir = opendir(path);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", opt.pid, e->d_name);
		FILE *file = e->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (file && fscanf(file, "%llu", &ns) == 1)
			all += ns;
		if (file)
			fclose(file);
	}
	if (dir)
		closedir(dir);
	return (double)all / 1e9;
}

/* --- bytes out ---------------------------------------------------------------------------------------------------------- */

static uint8_t *room(struct buffer *b, size_t n)
{
	if (b->at == b->len)
		b->at = b->len = 0;
	if (b->len + n > b->size) {
		b->size = (b->len + n) * 2;
		b->bytes = realloc(b->bytes, b->size);
		if (!b->bytes)
			fail("memory");
	}
	return b->bytes + b->len;
}

static void mark(struct conn *c)
{
	if (!c->dirty && !c->blocked)
		dirty[dirty_count++] = c;
	c->dirty = true;
}

static void put(struct conn *c, const void *bytes, size_t n)
{
	memcpy(room(&c->out, n), bytes, n);
	c->out.len += n;
	mark(c);
}

static void watch(struct conn *c, bool writing)
{
	struct epoll_event e = { .events = EPOLLIN | (writing ? (uint32_t)EPOLLOUT : 0), .data.ptr = c };
	if (writing != c->blocked && epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e))
		fail("epoll_ctl");
	c->blocked = writing;
}

static void flush(struct conn *c)
{
	struct buffer *b = &c->out;
	c->dirty = false;
	while (b->at < b->len) {
		ssize_t n = send(c->fd, b->bytes + b->at, b->len - b->at, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			fail("send");
		if (n < 0)
			break;
		b->at += (size_t)n;
	}
	watch(c, b->at < b->len);
}

static void flush_all(void)
{
	for (unsigned i = 0; i < dirty_count; i++)
		flush(dirty[i]);
	dirty_count = 0;
}

/* --- packets ------------------------------------------------------------------------------------------------------------- */

static size_t put_text(uint8_t *at, const char *text)
{
	size_t n = strlen(text);
	at[0] = (uint8_t)(n >> 8);
	at[1] = (uint8_t)n;
	memcpy(at + 2, text, n);
	return n + 2;
}

static size_t put_length(uint8_t *at, size_t n)
{
	size_t i = 0;
	for (; n >= 128; n >>= 7)
		at[i++] = (uint8_t)(n & 127) | 128;
	at[i++] = (uint8_t)n;
	return i;
}

static void packet(struct conn *c, uint8_t first, const uint8_t *body, size_t n)
{
	uint8_t head[5] = { first };
	put(c, head, 1 + put_length(head + 1, n));
	put(c, body, n);
}

static void say_connect(struct conn *c)
{
	uint8_t body[128];
	char id[64];
	size_t n = put_text(body, "MQTT");
	body[n++] = (uint8_t)opt.version;
	body[n++] = c->publisher || !opt.persistent ? 2 : 0;
	body[n++] = 0;
	body[n++] = 0;
	if (opt.version == 5)
		body[n++] = 0;
	snprintf(id, sizeof(id), "%s-%c%u", opt.client, c->publisher ? 'p' : 's', c->number);
	n += put_text(body + n, id);
	packet(c, 0x10, body, n);
}

static void say_subscribe(struct conn *c, const char *filter)
{
	uint8_t body[128] = { 0, 1 };
	size_t n = opt.version == 5 ? 3 : 2;
	n += put_text(body + n, filter);
	body[n++] = (uint8_t)(opt.subscriber_qos < 0 ? opt.qos : opt.subscriber_qos);
	packet(c, 0x82, body, n);
}

/* As many as are wanted for an idle client, in one packet: load/NUMBER, load/NUMBER/1, ... */
static void say_subscribe_all(struct conn *c)
{
	uint8_t *body = allocate((size_t)opt.subscriptions * 40 + 3);
	size_t n = opt.version == 5 ? 3 : 2;
	char text[40];
	body[1] = 1;
	for (unsigned i = 0; i < opt.subscriptions; i++) {
		snprintf(text, sizeof(text), i ? "%s/%u/%u" : "%s/%u", opt.client, c->number, i);
		n += put_text(body + n, text);
		body[n++] = (uint8_t)opt.qos;
	}
	packet(c, 0x82, body, n);
	free(body);
}

static void say_ack(struct conn *c, int type, const uint8_t *id)
{
	const uint8_t bytes[4] = { (uint8_t)(type << 4 | (type == PUBREL ? 2 : 0)), 2, id[0], id[1] };
	put(c, bytes, sizeof(bytes));
}

static void say_publish(struct conn *c, const char *topic, bool retain)
{
	size_t length = strlen(topic), n = 2 + length + (opt.qos ? 2 : 0) + (opt.version == 5) + opt.payload;
	uint8_t *begin = room(&c->out, n + 5), *at = begin;
	*at++ = (uint8_t)(PUBLISH << 4 | opt.qos << 1 | retain);
	at += put_length(at, n);
	at += put_text(at, topic);
	if (opt.qos) {
		if (++c->id == 0)
			c->id = 1;
		*at++ = (uint8_t)(c->id >> 8);
		*at++ = (uint8_t)c->id;
	}
	if (opt.version == 5)
		*at++ = 0;
	uint64_t stamp = opt.rate ? now_us() : 0;
	memcpy(at, &stamp, sizeof(stamp));
	memcpy(at + sizeof(stamp), &c->number, sizeof(c->number));
	for (unsigned i = STAMP; i < opt.payload; i++)
		at[i] = (uint8_t)(noise = noise * 1664525u + 1013904223u,
		        noise >> 24); /* nothing to compress */
	c->out.len += (size_t)(at + opt.payload - begin);
	sent++;
	mark(c);
}

static void topic_of(const struct conn *c, char *text, size_t size)
{
	if (!strcmp(opt.mode, "retained"))
		snprintf(text, size, "site%ld/dev%ld/temp", sent / 100, sent % 100);
	else
		snprintf(text, size, "load/%u", c->number);
}

static void pump(struct conn *c)
{
	char topic[64];
	while (c->may > 0 && sent < opt.count && !c->blocked) {
		topic_of(c, topic, sizeof(topic));
		say_publish(c, topic, !strcmp(opt.mode, "retained"));
		c->may--;
	}
}

/* --- packets that come --------------------------------------------------------------------------------------------------- */

/* Something of this publisher has arrived: as many times as there are receivers make room for the next. */
static void give_back(unsigned publisher, long receivers)
{
	struct conn *c = &conns[publisher];
	if (opt.rate || ++c->returned < receivers)
		return;
	c->returned = 0;
	c->may++;
	pump(c);
}

static void on_publish(struct conn *c, uint8_t first, const uint8_t *body, size_t n)
{
	int qos = first >> 1 & 3;
	size_t at = 2u + (size_t)(body[0] << 8 | body[1]);
	const uint8_t *id = body + at;
	at += qos ? 2 : 0;
	if (opt.version == 5)
		at += 1u + body[at];
	if (qos)
		say_ack(c, qos == 1 ? PUBACK : PUBREC, id);
	delivered++;
	if (n < at + STAMP || !opt.publishers)
		return;
	unsigned publisher;
	uint64_t stamp;
	memcpy(&stamp, body + at, sizeof(stamp));
	memcpy(&publisher, body + at + sizeof(stamp), sizeof(publisher));
	if (opt.rate)
		latencies[delivered - 1] = (uint32_t)(now_us() - stamp);
	give_back(publisher, opt.pairs ? 1 : opt.subscribers);
}

static void on_ready(struct conn *c)
{
	ready_count += !c->ready;
	c->ready = true;
}

static void on_connack(struct conn *c, const uint8_t *body)
{
	char text[64];
	if (body[1])
		fail("the broker refuses the connection");
	bool subscribes = !c->publisher && strcmp(opt.mode, "retained") != 0;
	if (!subscribes) {
		on_ready(c);
		return;
	}
	if (!strcmp(opt.mode, "idle")) {
		say_subscribe_all(c);
		return;
	}
	bool own = opt.pairs || opt.publishers == 1;
	snprintf(text, sizeof(text), own ? "load/%u" : "load/+", opt.publishers == 1 ? 0 : c->number);
	say_subscribe(c, opt.filter ? opt.filter : text);
}

static void on_packet(struct conn *c, uint8_t first, const uint8_t *body, size_t n)
{
	switch (first >> 4) {
	case CONNACK:
		on_connack(c, body);
		break;
	case SUBACK:
		on_ready(c);
		break;
	case PUBLISH:
		on_publish(c, first, body, n);
		break;
	case PUBREC:
		say_ack(c, PUBREL, body);
		break;
	case PUBREL:
		say_ack(c, PUBCOMP, body);
		break;
	case PUBACK:
	case PUBCOMP:
		acknowledged++;
		if (opt.subscribers == 0)
			give_back(c->number, 1);
		break;
	default:
		break;
	}
}

/* Whole packets at the front of n bytes; how many bytes they are. */
static size_t parse(struct conn *c, const uint8_t *bytes, size_t n)
{
	size_t used = 0;
	while (n - used >= 2) {
		size_t length = 0, i = 1;
		for (unsigned shift = 0; used + i < n && i < 5; shift += 7) {
			length |= (size_t)(bytes[used + i] & 127) << shift;
			if (!(bytes[used + i++] & 128))
				break;
		}
		if (bytes[used + i - 1] & 128 || n - used < i + length)
			break;
		on_packet(c, bytes[used], bytes + used + i, length);
		used += i + length;
	}
	return used;
}

static void receive(struct conn *c)
{
	ssize_t n = recv(c->fd, scratch, sizeof(scratch), 0);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		fail("the broker has closed a connection");
	if (n < 0)
		return;
	struct buffer *b = &c->in;
	if (b->len == 0) {
		size_t used = parse(c, scratch, (size_t)n);
		n -= (ssize_t)used;
		memcpy(room(b, (size_t)n), scratch + used, (size_t)n);
		b->len += (size_t)n;
		return;
	}
	memcpy(room(b, (size_t)n), scratch, (size_t)n);
	b->len += (size_t)n;
	size_t used = parse(c, b->bytes, b->len);
	b->len -= used;
	memmove(b->bytes, b->bytes + used, b->len);
}

/* --- turning ------------------------------------------------------------------------------------------------------------- */

static void on_tick(void)
{
	uint64_t ticks;
	if (read(conns[-1].fd, &ticks, sizeof(ticks)) != sizeof(ticks))
		return;
	conns[0].may += (long)ticks * opt.burst;
	pump(&conns[0]);
}

/* One turn; false when nothing has happened for STALL_MS. */
static bool turn(void)
{
	struct epoll_event events[256];
	flush_all();
	int n = epoll_wait(epoll, events, 256, STALL_MS);
	for (int i = 0; i < n; i++) {
		struct conn *c = events[i].data.ptr;
		if (c < conns) {
			on_tick();
			continue;
		}
		if (events[i].events & EPOLLOUT) {
			flush(c);
			pump(c);
		}
		if (events[i].events & ~(uint32_t)EPOLLOUT)
			receive(c);
	}
	return n > 0;
}

static void open_conn(struct conn *c)
{
	int port = opt.subscriber_port && !c->publisher ? opt.subscriber_port : opt.port;
	const struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&to, sizeof(to)))
		fail("connect");
	if (fcntl(c->fd, F_SETFL, O_NONBLOCK))
		fail("fcntl");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e))
		fail("epoll_ctl");
	say_connect(c);
}

/* Publishers come first, so that a publisher's number is its place. */
static void open_all(unsigned publishers, unsigned subscribers)
{
	conn_count = publishers + subscribers;
	conns = (struct conn *)allocate((conn_count + 1) * sizeof(*conns)) + 1;
	dirty = allocate(conn_count * sizeof(struct conn *));
	for (unsigned i = 0; i < conn_count; i++) {
		conns[i].publisher = i < publishers;
		conns[i].number = i < publishers ? i : i - publishers;
		open_conn(&conns[i]);
		while (i + 1 - ready_count >= 64 && turn())
			;
	}
	while (ready_count < conn_count)
		if (!turn())
			fail("not all clients could connect");
}

/* Ticks of the paced flow come from the place in front of the connections. */
static void pace(void)
{
	struct conn *c = &conns[-1];
	uint64_t ns = 1000000000ull * opt.burst / opt.rate;
	const struct timespec tick = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
	const struct itimerspec each = { tick, tick };
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	c->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (c->fd < 0 || timerfd_settime(c->fd, 0, &each, NULL) || epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e))
		fail("timerfd");
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* --- the modes ----------------------------------------------------------------------------------------------------------- */

static void begin_flow(void)
{
	if (opt.rate)
		pace();
	for (unsigned i = 0; i < opt.publishers && !opt.rate; i++) {
		conns[i].may = opt.window;
		pump(&conns[i]);
	}
}

static int flow(void)
{
	long expected = opt.count * (opt.pairs ? 1 : opt.subscribers);
	open_all(opt.publishers, opt.subscribers);
	if (opt.rate)
		latencies = allocate((size_t)expected * sizeof(*latencies));
	double cpu = broker_cpu();
	uint64_t begin = now_us();
	begin_flow();
	while (delivered < expected || (opt.qos && acknowledged < opt.count))
		if (!turn())
			break;
	uint64_t us = now_us() - begin;
	cpu = broker_cpu() - cpu;
	if (opt.rate)
		qsort(latencies, (size_t)delivered, sizeof(*latencies), compare);
	printf("{\"delivered\": %ld, \"acknowledged\": %ld, \"lost\": %ld, \"seconds\": %.6f, \"cpu\": %.6f, "
	       "\"p50\": %u, \"p99\": %u}\n",
	        delivered, acknowledged, expected - delivered, (double)us / 1e6, cpu,
	        opt.rate ? latencies[delivered / 2] : 0, opt.rate ? latencies[delivered * 99 / 100] : 0);
	return 0;
}

/* Both ends of the flow are here, each message goes over loopback once to a forked echo and once back: what the generator,
 * the timer and two hops take without a broker. */
static void echo(int listener)
{
	static uint8_t bytes[BATCH];
	int fd = accept(listener, NULL, NULL), one = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (ssize_t n; (n = recv(fd, bytes, sizeof(bytes), 0)) > 0;)
		if (send(fd, bytes, (size_t)n, MSG_NOSIGNAL) != n)
			break;
	_exit(0);
}

static int floor_of_flow(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&at, len) || listen(listener, 1) ||
	        getsockname(listener, (struct sockaddr *)&at, &len))
		fail("listen");
	if (fork() == 0)
		echo(listener);
	opt.port = ntohs(at.sin_port);
	conn_count = 1;
	conns = (struct conn *)allocate(2 * sizeof(*conns)) + 1;
	dirty = allocate(sizeof(struct conn *));
	conns[0].publisher = true;
	open_conn(&conns[0]); /* its CONNECT comes back, too, and means nothing */
	latencies = allocate((size_t)opt.count * sizeof(*latencies));
	pace();
	while (delivered < opt.count)
		if (!turn())
			fail("the echo has stopped");
	qsort(latencies, (size_t)delivered, sizeof(*latencies), compare);
	printf("{\"p50\": %u, \"p99\": %u}\n", latencies[delivered / 2], latencies[delivered * 99 / 100]);
	return 0;
}

static int idle(void)
{
	char byte;
	open_all(0, (unsigned)opt.count);
	printf("{\"clients\": %u}\n", ready_count);
	fflush(stdout);
	return read(STDIN_FILENO, &byte, 1) < 0; /* until broker_bench.py has looked */
}

static double look_up(struct conn *c, const char *filter, long wanted)
{
	long before = delivered;
	uint64_t begin = now_us();
	say_subscribe(c, filter);
	while (delivered - before < wanted && turn())
		;
	return (double)(now_us() - begin) / 1000;
}

static int retained(void)
{
	opt.qos = 1;
	opt.subscriber_qos = 0;
	opt.subscribers = 0; /* so that acknowledgements make room for the next */
	open_all(opt.publishers, 5);
	double cpu = broker_cpu(), best = 0;
	begin_flow();
	while (acknowledged < opt.count && turn())
		;
	cpu = broker_cpu() - cpu;
	long wanted = opt.count / 100;
	for (unsigned i = 1; i < conn_count; i++) {
		double ms = look_up(&conns[i], "+/dev7/temp", wanted);
		best = i == 1 || ms < best ? ms : best;
	}
	printf("{\"stored\": %ld, \"cpu\": %.6f, \"found\": %ld, \"wildcard_ms\": %.3f}\n", acknowledged, cpu,
	        delivered / (conn_count - 1), best);
	return 0;
}

/* --- arguments ----------------------------------------------------------------------------------------------------------- */

static void parse_options(int argc, char **argv)
{
	for (int c; (c = getopt(argc, argv, "a:A:k:v:p:s:q:Q:w:n:b:r:B:f:i:S:xC")) >= 0;) {
		unsigned number = optarg ? (unsigned)strtoul(optarg, NULL, 10) : 0;
		switch (c) {
#define OPTION(letter, member, value)                                                                        \
	case letter:                                                                                         \
		opt.member = value;                                                                          \
		break
			OPTION('a', port, (int)number);
			OPTION('A', subscriber_port, (int)number);
			OPTION('k', pid, (int)number);
			OPTION('v', version, (int)number);
			OPTION('p', publishers, number);
			OPTION('s', subscribers, number);
			OPTION('q', qos, (int)number);
			OPTION('Q', subscriber_qos, (int)number);
			OPTION('w', window, number);
			OPTION('n', count, (long)number);
			OPTION('b', payload, number < STAMP ? STAMP : number);
			OPTION('r', rate, number);
			OPTION('B', burst, number ? number : 1);
			OPTION('S', subscriptions, number);
			OPTION('f', filter, optarg);
			OPTION('i', client, optarg);
			OPTION('x', pairs, true);
			OPTION('C', persistent, true);
#undef OPTION
		default:
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} modes[] = { { "flow", flow }, { "floor", floor_of_flow }, { "idle", idle },
		{ "retained", retained } };
	opt.mode = argc > 1 ? argv[1] : "";
	optind = 2;
	parse_options(argc, argv);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(opt.mode, modes[i].name))
			return modes[i].run();
	fprintf(stderr,
	        "usage: load flow|floor|idle|retained -a PORT -k PID [OPTION]...; see the top of load.c\n");
	return 2;
}
