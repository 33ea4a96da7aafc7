/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/gossip.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cluster/addr.h"

enum { FAMILIES = 2, A_TURN = 64, WHO = 2, I_AM = 3, QUESTION = 4 + 8 + GOSSIP_KEY, ANSWERS_A_SECOND = 50 };
enum { SECRETS_A_SECOND = 100 }; /* 100 us each */

struct door {
	struct gossip *gossip;
	int fd;
	struct watch *watch;
};

struct gossip {
	struct gossip_deps deps;
	struct envelope *envelope;
	struct door doors[FAMILIES]; /* IPv4, IPv6; fd < 0: not there */
	uint16_t port;
	uint8_t nonce[8]; /* in questions; only answers that repeat it count */
	uint64_t answer_second;
	unsigned answers;
	struct gossip_counts counts;
};

/* --- sending ------------------------------------------------------------------------------------------------------------ */

static void send_bytes(struct gossip *g, const struct peer_addr *to, const uint8_t *bytes, size_t len)
{
	struct sockaddr_storage addr;
	socklen_t size = addr_to_socket(to, &addr);
	int fd = g->doors[to->family == 6].fd;
	bool ok = fd >= 0 &&
	          sendto(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&addr, size) >= 0;
	g->counts.sent += ok;
	g->counts.sent_bytes += ok ? len : 0;
	g->counts.send_failures += !ok; /* as good as lost on the way */
}

void gossip_send(struct gossip *g, const uint8_t key[GOSSIP_KEY], const struct peer_addr *to,
        const uint8_t *bytes, size_t len)
{
	uint8_t datagram[ENVELOPE_MAX];
	int n = envelope_seal(g->envelope, loop_now(g->deps.loop), key, bytes, len, datagram);
	if (n > 0)
		send_bytes(g, to, datagram, (size_t)n);
	else
		g->counts.send_failures++;
}

static void send_clear(struct gossip *g, const struct peer_addr *to, uint8_t type, const uint8_t nonce[8],
        const uint8_t *key)
{
	uint8_t bytes[QUESTION] = { 'E', 'G', 1, type };
	memcpy(bytes + 4, nonce, 8);
	if (key)
		memcpy(bytes + 12, key, GOSSIP_KEY);
	send_bytes(g, to, bytes, sizeof(bytes));
}

void gossip_ask(struct gossip *g, const struct peer_addr *who)
{
	send_clear(g, who, WHO, g->nonce, NULL);
}

/* --- receiving ------------------------------------------------------------------------------------------------------------- */

static void answer(struct gossip *g, const struct peer_addr *to, const uint8_t *question)
{
	uint64_t second = loop_now(g->deps.loop) / 1000;
	if (second != g->answer_second) {
		g->answer_second = second;
		g->answers = 0;
	}
	if (g->answers++ < ANSWERS_A_SECOND)
		send_clear(g, to, I_AM, question + 4, identity_public_key(g->deps.identity));
}

static bool take_clear(struct gossip *g, const uint8_t *bytes, size_t len, const struct peer_addr *from)
{
	if (len != QUESTION || bytes[0] != 'E' || bytes[1] != 'G' || bytes[2] != 1)
		return false;
	if (bytes[3] == WHO)
		answer(g, from, bytes);
	else if (bytes[3] == I_AM && !memcmp(bytes + 4, g->nonce, 8))
		g->deps.answered(g->deps.arg, bytes + 12, from);
	else
		return false;
	return true;
}

static void take(struct gossip *g, const uint8_t *bytes, size_t len, const struct sockaddr *sender)
{
	struct gossip_from from;
	uint8_t plain[ENVELOPE_MAX];
	g->counts.received++;
	g->counts.received_bytes += len;
	if (addr_from_socket(sender, &from.addr) || take_clear(g, bytes, len, &from.addr))
		return;
	int n = envelope_open(
	        g->envelope, loop_now(g->deps.loop), bytes, len, plain, from.key, &from.instance);
	if (n > 0)
		g->deps.received(g->deps.arg, &from, plain, (size_t)n);
}

/* At most so many a turn, that others get theirs. */
static void ready(void *arg, int what)
{
	struct door *door = arg;
	uint8_t bytes[ENVELOPE_MAX + 1]; /* one more, so that what is too long is seen to be */
	struct sockaddr_storage sender;
	(void)what;
	for (int i = 0; i < A_TURN; i++) {
		socklen_t size = sizeof(sender);
		ssize_t n = recvfrom(
		        door->fd, bytes, sizeof(bytes), MSG_DONTWAIT, (struct sockaddr *)&sender, &size);
		if (n < 0)
			return;
		take(door->gossip, bytes, (size_t)n, (struct sockaddr *)&sender);
	}
}

/* --- sockets ---------------------------------------------------------------------------------------------------------------- */

static struct peer_addr place(bool v6, uint16_t port, bool local)
{
	struct peer_addr at = { .family = v6 ? 6 : 4, .port = port };
	if (local && v6)
		at.ip[15] = 1;
	else if (local)
		memcpy(at.ip, (const uint8_t[]){ 127, 0, 0, 1 }, 4);
	return at;
}

static int open_socket(bool v6, uint16_t port, bool local)
{
	struct peer_addr at = place(v6, port, local);
	struct sockaddr_storage addr;
	socklen_t size = addr_to_socket(&at, &addr);
	CLEANUP(close_fdp) int fd = socket(addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int on = 1;
	if (v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)))
		return -errno;
	if (bind(fd, (struct sockaddr *)&addr, size))
		return -errno;
	int opened = fd;
	fd = -1;
	return opened;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage addr;
	struct peer_addr peer;
	socklen_t size = sizeof(addr);
	if (getsockname(fd, (struct sockaddr *)&addr, &size) ||
	        addr_from_socket((struct sockaddr *)&addr, &peer))
		return 0;
	return peer.port;
}

static void close_doors(struct gossip *g)
{
	for (int i = 0; i < FAMILIES; i++) {
		watch_free(g->doors[i].watch);
		g->doors[i].watch = NULL;
		if (g->doors[i].fd >= 0)
			close(g->doors[i].fd);
		g->doors[i].fd = -1;
	}
}

/* Both families on one port. A host without IPv6 (or IPv4) is fine; a port that one family lacks is not. */
static int open_doors(struct gossip *g, uint16_t port)
{
	for (int i = 0; i < FAMILIES; i++) {
		g->doors[i].fd = open_socket(i == 1, port, g->deps.local);
		if (g->doors[i].fd == -EADDRINUSE || g->doors[i].fd == -EACCES) {
			int r = g->doors[i].fd;
			close_doors(g);
			return r;
		}
		if (g->doors[i].fd >= 0)
			g->port = port = port_of(g->doors[i].fd);
	}
	bool none = g->doors[0].fd < 0 && g->doors[1].fd < 0;
	return none ? g->doors[0].fd : 0;
}

static int open_any(struct gossip *g, uint16_t port)
{
	int r = open_doors(g, port);
	for (int tries = 0; r == -EADDRINUSE && tries < 16; tries++)
		r = open_doors(g, 0);
	return r;
}

static int watch_doors(struct gossip *g)
{
	int r = 0;
	for (int i = 0; i < FAMILIES && !r; i++) {
		g->doors[i].gossip = g;
		if (g->doors[i].fd >= 0)
			r = watch_new(g->deps.loop, g->doors[i].fd, WATCH_READ, ready, &g->doors[i],
			        &g->doors[i].watch);
	}
	return r;
}

int gossip_new(const struct gossip_deps *deps, uint16_t port, struct gossip **ret, struct err *err)
{
	const struct envelope_limits limits = { .peers = deps->peers, .per_second = SECRETS_A_SECOND };
	struct gossip *g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->deps = *deps;
	for (int i = 0; i < FAMILIES; i++)
		g->doors[i].fd = -1;
	int r = getrandom(g->nonce, sizeof(g->nonce), 0) == sizeof(g->nonce) ? 0 : -EIO;
	if (!r)
		r = envelope_new(deps->identity, deps->instance, &limits, &g->envelope);
	if (!r)
		r = open_any(g, port);
	if (!r)
		r = watch_doors(g);
	if (r) {
		gossip_free(g);
		return err_set(err, r, "cannot open a UDP socket for the cluster: %s", strerror(-r));
	}
	*ret = g;
	return 0;
}

void gossip_free(struct gossip *g)
{
	if (!g)
		return;
	close_doors(g);
	envelope_free(g->envelope);
	free(g);
}

uint16_t gossip_port(const struct gossip *g)
{
	return g->port;
}

struct envelope *gossip_envelope(const struct gossip *g)
{
	return g->envelope;
}

struct gossip_counts gossip_counts(const struct gossip *g)
{
	struct gossip_counts counts = g->counts;
	counts.envelope = envelope_counts(g->envelope);
	return counts;
}
