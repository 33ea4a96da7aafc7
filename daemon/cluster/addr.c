/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void addr_format_host(const struct peer_addr *addr, char ret[ADDR_TEXT])
{
	char name[IF_NAMESIZE];
	if (!inet_ntop(addr->family == 6 ? AF_INET6 : AF_INET, addr->ip, ret, ADDR_TEXT)) {
		snprintf(ret, ADDR_TEXT, "?");
		return;
	}
	size_t len = strlen(ret);
	if (addr->scope)
		snprintf(ret + len, ADDR_TEXT - len, "%%%s", if_indextoname(addr->scope, name) ? name : "?");
}

void addr_format(const struct peer_addr *addr, char ret[ADDR_TEXT])
{
	char host[ADDR_TEXT];
	addr_format_host(addr, host);
	/* an IPv6 address with its interface is at most 45 + 1 + 15 characters */
	if (addr->family == 6)
		snprintf(ret, ADDR_TEXT, "[%.54s]:%u", host, addr->port);
	else
		snprintf(ret, ADDR_TEXT, "%.54s:%u", host, addr->port);
}

/* Splits "host:port" or "[host]:port"; host gets the copy. */
static int split(const char *text, char host[ADDR_TEXT], uint16_t *ret_port)
{
	const char *colon = strrchr(text, ':');
	if (!colon || colon == text || colon - text >= ADDR_TEXT)
		return -EINVAL;
	size_t len = (size_t)(colon - text);
	if (*text == '[') {
		if (text[len - 1] != ']' || len < 3)
			return -EINVAL;
		text++;
		len -= 2;
	}
	memcpy(host, text, len);
	host[len] = '\0';
	char *end;
	unsigned long port = strtoul(colon + 1, &end, 10);
	if (end == colon + 1 || *end || !port || port > 65535)
		return -EINVAL;
	*ret_port = (uint16_t)port;
	return 0;
}

int addr_parse(const char *text, struct peer_addr *ret)
{
	char host[ADDR_TEXT];
	struct peer_addr addr = { 0 };
	if (split(text, host, &addr.port))
		return -EINVAL;
	char *percent = strchr(host, '%');
	if (percent) {
		*percent++ = '\0';
		addr.scope = if_nametoindex(percent);
		if (!addr.scope)
			return -EINVAL;
	}
	addr.family = strchr(host, ':') ? 6 : 4;
	if (inet_pton(addr.family == 6 ? AF_INET6 : AF_INET, host, addr.ip) != 1)
		return -EINVAL;
	*ret = addr;
	return 0;
}

socklen_t addr_to_socket(const struct peer_addr *addr, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (addr->family == 6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(addr->port);
		in6->sin6_scope_id = addr->scope;
		memcpy(&in6->sin6_addr, addr->ip, 16);
		return sizeof(*in6);
	}
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	in->sin_family = AF_INET;
	in->sin_port = htons(addr->port);
	memcpy(&in->sin_addr, addr->ip, 4);
	return sizeof(*in);
}

int addr_from_socket(const struct sockaddr *from, struct peer_addr *ret)
{
	struct peer_addr addr = { 0 };
	if (from->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, from, sizeof(in));
		addr.family = 4;
		addr.port = ntohs(in.sin_port);
		memcpy(addr.ip, &in.sin_addr, 4);
	} else if (from->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, from, sizeof(in6));
		bool mapped = IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr);
		addr.family = mapped ? 4 : 6;
		addr.port = ntohs(in6.sin6_port);
		memcpy(addr.ip, in6.sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
		addr.scope = IN6_IS_ADDR_LINKLOCAL(&in6.sin6_addr) ? in6.sin6_scope_id : 0;
	} else {
		return -EAFNOSUPPORT;
	}
	*ret = addr;
	return 0;
}
