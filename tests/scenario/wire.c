/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cables that are as bad as one likes: wire SWITCH BRIDGE HOST... makes eth0 in each network namespace HOST and p0, p1, ...
 * in the namespace SWITCH on its bridge, and carries frames between the two ends of each, with delay, jitter and loss, for
 * kernels without netem. Jitter lets frames overtake each other, as netem does. Ends with its standard input; says "ready"
 * when the cables are plugged in, and "ok" to each of the commands, one a line:
 *
 *     delay MS JITTER_MS    each frame takes MS, and up to JITTER_MS more
 *     loss PERMILLE         so many are lost
 *     multicast on|off      off: group addresses but the broadcast lead nowhere
 *     cable N up|down|deaf|mute       deaf: nothing reaches host N; mute: nothing of it reaches others
 *     block A B, unblock A B          frames of host A do not reach host B
 *     heal                  all cables up, no block
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HOSTS = 64, FRAME = 1600, QUEUE = 8192, ONE_TURN = 64 };

struct frame {
	uint64_t at; /* ns */
	int to;      /* file descriptor */
	size_t len;
	uint8_t bytes[FRAME];
};

static struct cable {
	int host, port; /* the two ends */
	uint8_t mac[6];
	bool deaf, mute;
	bool blocks[HOSTS]; /* whose frames do not come in here */
} cables[HOSTS];
static unsigned count;
static struct frame *queue[QUEUE]; /* a heap by `at` */
static unsigned queued, dropped;
static uint64_t delay_ns, jitter_ns;
static unsigned loss_permille;
static bool multicast = true;

static void fail(const char *what)
{
	fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* splitmix64 */
static uint64_t below(uint64_t n)
{
	static uint64_t seed;
	if (!seed && getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		fail("getrandom");
	uint64_t x = seed += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return n ? (x ^ x >> 31) % n : 0;
}

/* --- the queue --- */

static void push(struct frame *f)
{
	unsigned i = queued++;
	for (; i && f->at < queue[(i - 1) / 2]->at; i = (i - 1) / 2)
		queue[i] = queue[(i - 1) / 2];
	queue[i] = f;
}

static struct frame *pop(void)
{
	struct frame *first = queue[0], *last = queue[--queued];
	unsigned i = 0;
	for (unsigned child; (child = 2 * i + 1) < queued; i = child) {
		child += child + 1 < queued && queue[child + 1]->at < queue[child]->at;
		if (queue[child]->at >= last->at)
			break;
		queue[i] = queue[child];
	}
	queue[i] = last;
	return first;
}

static void deliver(struct frame *f)
{
	if (write(f->to, f->bytes, f->len) < 0 && errno != EIO &&
	        errno != EAGAIN) /* EIO: the interface is down */
		fail("write");
	free(f);
}

/* --- the cables --- */

static void enter(const char *name)
{
	char path[256];
	snprintf(path, sizeof(path), "/run/netns/%s", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		fail(path);
	close(fd);
}

static int open_tap(const char *name, uint8_t mac[6])
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request))
		fail(name);
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0 || (mac && ioctl(s, SIOCGIFHWADDR, &request)))
		fail(name);
	if (mac)
		memcpy(mac, request.ifr_hwaddr.sa_data, 6);
	close(s);
	return fd;
}

static void put_on_bridge(const char *port, const char *bridge)
{
	struct ifreq request = { .ifr_ifindex = (int)if_nametoindex(port) };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", bridge);
	if (s < 0 || ioctl(s, SIOCBRADDIF, &request))
		fail(bridge);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", port);
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(s, SIOCSIFFLAGS, &request))
		fail(port);
	close(s);
}

static void plug_in(const char *switch_name, const char *bridge, const char *host)
{
	char port[16];
	struct cable *c = &cables[count];
	snprintf(port, sizeof(port), "p%u", count++);
	enter(host);
	c->host = open_tap("eth0", c->mac);
	enter(switch_name);
	c->port = open_tap(port, NULL);
	put_on_bridge(port, bridge);
}

static bool is_lost(const struct cable *c, bool inwards, const struct frame *f)
{
	if (inwards ? c->deaf : c->mute)
		return true;
	bool broadcast = !memcmp(f->bytes, "\xff\xff\xff\xff\xff\xff", 6);
	if (!multicast && f->bytes[0] & 1 && !broadcast)
		return true;
	for (unsigned i = 0; inwards && i < count; i++)
		if (c->blocks[i] && !memcmp(cables[i].mac, f->bytes + 6, 6))
			return true;
	/* once for each frame's way, not at both of its cables */
	return inwards && below(1000) < loss_permille;
}

static void carry(struct cable *c, bool inwards)
{
	for (int turn = 0; turn < ONE_TURN; turn++) {
		struct frame *f = malloc(sizeof(*f));
		if (!f)
			fail("no memory");
		ssize_t n = read(inwards ? c->port : c->host, f->bytes, FRAME);
		if (n < 14 || queued == QUEUE || is_lost(c, inwards, f)) {
			dropped += n >= 14 && queued == QUEUE;
			free(f);
			if (n < 0)
				return;
			continue;
		}
		f->len = (size_t)n;
		f->to = inwards ? c->host : c->port;
		f->at = now_ns() + (inwards ? delay_ns + below(jitter_ns) : 0); /* once on its way, too */
		push(f);
	}
}

/* --- commands --- */

static void heal(void)
{
	for (unsigned i = 0; i < count; i++) {
		cables[i].deaf = cables[i].mute = false;
		memset(cables[i].blocks, 0, sizeof(cables[i].blocks));
	}
}

static bool obey(const char *line)
{
	unsigned a, b;
	char word[16];
	if (sscanf(line, "delay %u %u", &a, &b) == 2) {
		delay_ns = a * (uint64_t)1000000;
		jitter_ns = b * (uint64_t)1000000;
	} else if (sscanf(line, "loss %u", &a) == 1) {
		loss_permille = a;
	} else if (sscanf(line, "multicast %15s", word) == 1) {
		multicast = !strcmp(word, "on");
	} else if (sscanf(line, "cable %u %15s", &a, word) == 2 && a < count) {
		cables[a].deaf = !strcmp(word, "down") || !strcmp(word, "deaf");
		cables[a].mute = !strcmp(word, "down") || !strcmp(word, "mute");
	} else if (sscanf(line, "block %u %u", &a, &b) == 2 && a < count && b < count) {
		cables[b].blocks[a] = true;
	} else if (sscanf(line, "unblock %u %u", &a, &b) == 2 && a < count && b < count) {
		cables[b].blocks[a] = false;
	} else if (!strncmp(line, "heal", 4)) {
		heal();
	} else {
		return false;
	}
	return true;
}

/* False: the input has ended. */
static bool take_commands(void)
{
	static char text[4096];
	static size_t len;
	ssize_t n = read(STDIN_FILENO, text + len, sizeof(text) - 1 - len);
	if (n <= 0)
		return false;
	len += (size_t)n;
	text[len] = '\0';
	char *line = text, *end;
	for (; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		puts(obey(line) ? "ok" : "what?");
	}
	fflush(stdout);
	len -= (size_t)(line - text);
	memmove(text, line, len);
	return true;
}

int main(int argc, char **argv)
{
	static struct pollfd fds[1 + 2 * HOSTS];
	if (argc < 4 || argc - 3 > HOSTS) {
		fprintf(stderr, "usage: wire SWITCH BRIDGE HOST... (namespaces, at most %d)\n", HOSTS);
		return EXIT_FAILURE;
	}
	for (int i = 3; i < argc; i++)
		plug_in(argv[1], argv[2], argv[i]);
	fds[0] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
	for (unsigned i = 0; i < count; i++) {
		fds[1 + 2 * i] = (struct pollfd){ .fd = cables[i].host, .events = POLLIN };
		fds[2 + 2 * i] = (struct pollfd){ .fd = cables[i].port, .events = POLLIN };
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		for (uint64_t now = now_ns(); queued && queue[0]->at <= now;)
			deliver(pop());
		uint64_t now = now_ns();
		int64_t wait = !queued ? -1 : queue[0]->at > now ? (int64_t)(queue[0]->at - now) : 0;
		struct timespec limit = { wait / 1000000000, wait % 1000000000 };
		if (ppoll(fds, 1 + 2 * count, wait < 0 ? NULL : &limit, NULL) < 0 && errno != EINTR)
			fail("poll");
		if (fds[0].revents && !take_commands())
			break;
		for (unsigned i = 0; i < count; i++) {
			if (fds[1 + 2 * i].revents)
				carry(&cables[i], false);
			if (fds[2 + 2 * i].revents)
				carry(&cables[i], true);
		}
	}
	if (dropped)
		fprintf(stderr, "wire: %u frames did not fit\n", dropped);
	return EXIT_SUCCESS;
}
