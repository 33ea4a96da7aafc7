/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

struct collector {
	char (*ret)[64];
	unsigned count, max;
	const char *port;
};

static void collect(struct collector *collector, const char *host, bool six)
{
	char text[64];
	if (collector->count >= collector->max)
		return;
	int n = snprintf(text, sizeof(text), six ? "[%s]:%s" : "%s:%s", host, collector->port);
	if (n < 0 || (size_t)n >= sizeof(text))
		return;
	for (unsigned i = 0; i < collector->count; i++)
		if (strcmp(collector->ret[i], text) == 0)
			return;
	memcpy(collector->ret[collector->count++], text, sizeof(text));
}

static void collect_interface(
        struct collector *collector, const struct ifaddrs *ifa, bool loopback, bool four, bool six)
{
	char host[INET6_ADDRSTRLEN];
	if (!ifa->ifa_addr || !(ifa->ifa_flags & IFF_UP) ||
	        loopback != ((ifa->ifa_flags & IFF_LOOPBACK) != 0))
		return;
	if (four && ifa->ifa_addr->sa_family == AF_INET) {
		const struct sockaddr_in *sin = (const void *)ifa->ifa_addr;
		inet_ntop(AF_INET, &sin->sin_addr, host, sizeof(host));
		collect(collector, host, false);
	} else if (six && ifa->ifa_addr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *sin6 = (const void *)ifa->ifa_addr;
		if (IN6_IS_ADDR_LINKLOCAL(&sin6->sin6_addr))
			return;
		inet_ntop(AF_INET6, &sin6->sin6_addr, host, sizeof(host));
		collect(collector, host, true);
	}
}

/* Loopback is last: useful only to a second node on this machine. */
static void collect_all(struct collector *collector, bool four, bool six)
{
	struct ifaddrs *all;
	if (getifaddrs(&all))
		return;
	for (int loopback = 0; loopback <= 1; loopback++)
		for (const struct ifaddrs *ifa = all; ifa; ifa = ifa->ifa_next)
			collect_interface(collector, ifa, loopback != 0, four, six);
	freeifaddrs(all);
}

unsigned address_expand(const char *listener, char (*ret)[64], unsigned count, unsigned max)
{
	const char *colon = strrchr(listener, ':');
	if (!colon)
		return count;
	struct collector collector = { ret, count, max, colon + 1 };
	struct edged_slice host = edged_slice(listener, (size_t)(colon - listener));
	/* A listener on [::] serves IPv4 as well. */
	if (edged_slice_is(host, "[::]") || edged_slice_is(host, "*")) {
		collect_all(&collector, true, true);
	} else if (edged_slice_is(host, "0.0.0.0")) {
		collect_all(&collector, true, false);
	} else if (collector.count < max && strlen(listener) < 64) {
		snprintf(ret[collector.count], 64, "%s", listener);
		collector.count++;
	}
	return collector.count;
}

void address_source(const char *address, char ret[64])
{
	struct in6_addr six;
	char host[64];
	snprintf(host, sizeof(host), "%s", address[0] == '[' ? address + 1 : address);
	char *end = address[0] == '[' ? strpbrk(host, "%]") : strrchr(host, ':');
	if (end)
		*end = '\0';
	if (inet_pton(AF_INET6, host, &six) == 1 && !IN6_IS_ADDR_V4MAPPED(&six)) {
		memset(six.s6_addr + 8, 0, 8);
		inet_ntop(AF_INET6, &six, host, sizeof(host));
	}
	memcpy(ret, host, sizeof(host));
}
