/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/faces.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cluster/addr.h"

enum { PORT = 5353, A_TURN = 32, SETTLE_MS = 100 };

struct faces {
	struct faces_deps deps;
	struct face all[FACES_MAX];
	unsigned count;
	int netlink;
	struct watch *watch;
	struct timer *rescan;
};

/* --- sockets ------------------------------------------------------------------------------------------------------------- */

static const struct peer_addr *group(bool v6)
{
	static const struct peer_addr v4_group = { .family = 4, .port = PORT, .ip = { 224, 0, 0, 251 } };
	static const struct peer_addr v6_group = {
		.family = 6, .port = PORT, .ip = { 0xff, 0x02, [15] = 0xfb }
	};
	return v6 ? &v6_group : &v4_group;
}

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

static int join_v4(int fd, unsigned index)
{
	struct ip_mreqn request = { .imr_ifindex = (int)index };
	memcpy(&request.imr_multiaddr, group(false)->ip, 4);
	if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request)) ||
	        setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof(request)))
		return -errno;
	int r = set(fd, IPPROTO_IP, IP_MULTICAST_TTL, 255);
	r = r ? r : set(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 1);   /* other daemons of this host */
	return r ? r : set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0); /* only what came in by this interface */
}

static int join_v6(int fd, unsigned index)
{
	struct ipv6_mreq request = { .ipv6mr_interface = index };
	memcpy(&request.ipv6mr_multiaddr, group(true)->ip, 16);
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &request, sizeof(request)))
		return -errno;
	int r = set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)index);
	r = r ? r : set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 255);
	r = r ? r : set(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1);
	return r ? r : set(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
}

static int open_socket(bool v6, unsigned index)
{
	struct peer_addr any = { .family = v6 ? 6 : 4, .port = PORT };
	struct sockaddr_storage addr;
	socklen_t size = addr_to_socket(&any, &addr);
	CLEANUP(close_fdp) int fd = socket(addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int r = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	r = r ? r : set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	r = r || !v6 ? r : set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (!r && bind(fd, (struct sockaddr *)&addr, size))
		r = -errno;
	r = r ? r : v6 ? join_v6(fd, index) : join_v4(fd, index);
	if (r)
		return r;
	int opened = fd;
	fd = -1;
	return opened;
}

static void ready(void *arg, int what)
{
	struct face *face = arg;
	uint8_t bytes[1500];
	(void)what;
	for (int i = 0; i < A_TURN; i++) {
		struct sockaddr_storage sender;
		struct peer_addr from;
		socklen_t size = sizeof(sender);
		ssize_t n = recvfrom(
		        face->fd, bytes, sizeof(bytes), MSG_DONTWAIT, (struct sockaddr *)&sender, &size);
		if (n < 0)
			return;
		if (!addr_from_socket((struct sockaddr *)&sender, &from))
			face->faces->deps.received(face->faces->deps.arg, face, bytes, (size_t)n, &from);
	}
}

void face_send(struct face *face, const struct peer_addr *to, const uint8_t *bytes, size_t len)
{
	struct sockaddr_storage addr;
	socklen_t size = addr_to_socket(to, &addr);
	if (sendto(face->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&addr, size) < 0)
		return; /* as good as lost on the way */
}

void face_send_all(struct face *face, const uint8_t *bytes, size_t len)
{
	face_send(face, group(face->v6), bytes, len);
}

struct face *faces_at(struct faces *f, unsigned i)
{
	return i < f->count ? &f->all[i] : NULL;
}

/* --- scanning ---------------------------------------------------------------------------------------------------------------- */

static bool usable(const struct ifaddrs *at, bool loopback)
{
	unsigned want = IFF_UP | IFF_RUNNING | (loopback ? IFF_LOOPBACK : IFF_MULTICAST);
	bool inet =
	        at->ifa_addr && (at->ifa_addr->sa_family == AF_INET || at->ifa_addr->sa_family == AF_INET6);
	return inet && (at->ifa_flags & want) == want && !(at->ifa_flags & IFF_LOOPBACK) == !loopback;
}

static bool wanted(const struct faces *f, const char *name)
{
	if (f->deps.local || !f->deps.only || !f->deps.only[0])
		return true;
	for (unsigned i = 0; f->deps.only[i]; i++)
		if (!strcmp(f->deps.only[i], name))
			return true;
	return false;
}

static bool has_real(const struct ifaddrs *list)
{
	for (const struct ifaddrs *at = list; at; at = at->ifa_next)
		if (usable(at, false))
			return true;
	return false;
}

static struct face *find(struct faces *f, unsigned index, bool v6)
{
	for (unsigned i = 0; i < f->count; i++)
		if (f->all[i].index == index && f->all[i].v6 == v6)
			return &f->all[i];
	return NULL;
}

static void close_face(struct face *face)
{
	watch_free(face->watch);
	close(face->fd);
}

/* Takes the place of `face` by the last one; watches name their face, so the moved one gets a new watch. */
static void drop(struct faces *f, struct face *face)
{
	close_face(face);
	struct face *last = &f->all[--f->count];
	if (face == last)
		return;
	watch_free(last->watch);
	*face = *last;
	if (watch_new(f->deps.loop, face->fd, WATCH_READ, ready, face, &face->watch))
		face->watch = NULL; /* sends only, until the next change */
}

static bool open_face(struct faces *f, unsigned index, bool v6)
{
	if (f->count == FACES_MAX)
		return false;
	struct face *face = &f->all[f->count];
	*face = (struct face){ .faces = f, .index = index, .v6 = v6, .present = true };
	face->fd = open_socket(v6, index);
	if (face->fd < 0)
		return false;
	if (watch_new(f->deps.loop, face->fd, WATCH_READ, ready, face, &face->watch)) {
		close(face->fd);
		return false;
	}
	f->count++;
	return true;
}

static int in_order(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct peer_addr));
}

/* The addresses of an interface; true: others than before. */
static bool take_addresses(struct face *face, const struct ifaddrs *list)
{
	struct peer_addr found[FACE_ADDRESSES] = { 0 };
	unsigned count = 0;
	for (const struct ifaddrs *at = list; at && count < FACE_ADDRESSES; at = at->ifa_next) {
		bool inet = at->ifa_addr &&
		            (at->ifa_addr->sa_family == AF_INET || at->ifa_addr->sa_family == AF_INET6);
		if (inet && if_nametoindex(at->ifa_name) == face->index &&
		        !addr_from_socket(at->ifa_addr, &found[count]))
			count++;
	}
	qsort(found, count, sizeof(found[0]), in_order);
	bool other = count != face->count || memcmp(found, face->addresses, count * sizeof(found[0])) != 0;
	memcpy(face->addresses, found, sizeof(found));
	face->count = count;
	return other;
}

/* True when something changed. */
static bool scan(struct faces *f)
{
	struct ifaddrs *list;
	if (getifaddrs(&list))
		return false;
	bool other = false;
	for (unsigned i = 0; i < f->count; i++)
		f->all[i].present = false;
	for (const struct ifaddrs *at = list; at; at = at->ifa_next) {
		bool fits = usable(at, true) || (!f->deps.local && usable(at, false));
		if (!fits || !wanted(f, at->ifa_name))
			continue;
		bool v6 = at->ifa_addr->sa_family == AF_INET6;
		unsigned index = if_nametoindex(at->ifa_name);
		struct face *face = index ? find(f, index, v6) : NULL;
		if (face)
			face->present = true;
		else if (index)
			other |= open_face(f, index, v6);
	}
	for (unsigned i = f->count; i-- > 0;)
		if (!f->all[i].present) {
			drop(f, &f->all[i]);
			other = true;
		}
	for (unsigned i = 0; i < f->count; i++)
		other |= take_addresses(&f->all[i], list);
	freeifaddrs(list);
	return other;
}

static void rescan(void *arg)
{
	struct faces *f = arg;
	if (scan(f))
		f->deps.changed(f->deps.arg);
}

static void netlink_ready(void *arg, int what)
{
	struct faces *f = arg;
	uint8_t bytes[8192];
	(void)what;
	while (recv(f->netlink, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	timer_set(f->rescan, SETTLE_MS); /* changes come in swarms */
}

static int open_netlink(struct faces *f)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };
	f->netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (f->netlink < 0 || bind(f->netlink, (struct sockaddr *)&addr, sizeof(addr)))
		return -errno;
	return watch_new(f->deps.loop, f->netlink, WATCH_READ, netlink_ready, f, &f->watch);
}

int faces_new(const struct faces_deps *deps, struct faces **ret)
{
	struct faces *f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->deps = *deps;
	f->netlink = -1;
	int r = timer_new(deps->loop, rescan, f, &f->rescan);
	if (!r)
		r = open_netlink(f);
	if (r) {
		faces_free(f);
		return r;
	}
	scan(f);
	*ret = f;
	return 0;
}

void faces_free(struct faces *f)
{
	if (!f)
		return;
	for (unsigned i = 0; i < f->count; i++)
		close_face(&f->all[i]);
	watch_free(f->watch);
	if (f->netlink >= 0)
		close(f->netlink);
	timer_free(f->rescan);
	free(f);
}

/* --- this host's addresses ----------------------------------------------------------------------------------------------------- */

unsigned faces_host_addresses(struct peer_addr *ret, unsigned max)
{
	struct ifaddrs *list;
	unsigned count = 0;
	if (getifaddrs(&list))
		return 0;
	bool loopback = !has_real(list);
	for (int link_local = 0; link_local < 2; link_local++)
		for (const struct ifaddrs *at = list; at && count < max; at = at->ifa_next) {
			struct peer_addr addr;
			if (!usable(at, loopback) || addr_from_socket(at->ifa_addr, &addr) ||
			        peer_addr_is_link_local(&addr) != (link_local == 1))
				continue;
			addr.scope = 0;
			ret[count++] = addr;
		}
	freeifaddrs(list);
	return count;
}
