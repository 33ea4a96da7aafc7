/* SPDX-License-Identifier: Apache-2.0 */
#include "io/listen_spec.h"

#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <arpa/inet.h>
#include "base/cleanup.h"
#include "io/listener.h"

static const struct {
	const char *name, *serves;
	bool tls, proxied;
} protocols[] = {
	{ "http", "http", false, false },
	{ "mqtt", "mqtt", false, false },
	{ "auto", NULL, false, false },
	{ "https", "http", true, false },
	{ "mqtts", "mqtt", true, false },
	{ "tls", NULL, true, false },
	{ "http+proxy", "http", false, true },
	{ "mqtt+proxy", "mqtt", false, true },
	{ "auto+proxy", NULL, false, true },
	{ "https+proxy", "http", true, true },
	{ "mqtts+proxy", "mqtt", true, true },
	{ "tls+proxy", NULL, true, true },
};

/* Splits "host:port" or "[host]:port"; host gets no brackets. */
static int split(const char *text, char *host, size_t size, const char **ret_port)
{
	const char *colon = strrchr(text, ':');
	if (!colon || colon == text || !colon[1])
		return -EINVAL;
	const char *from = text, *to = colon;
	if (*text == '[') {
		if (colon[-1] != ']')
			return -EINVAL;
		from++;
		to--;
	} else if (memchr(text, ':', (size_t)(colon - text))) {
		return -EINVAL; /* an IPv6 address wants brackets */
	}
	size_t n = (size_t)(to - from);
	if (n == 0 || n >= size)
		return -EINVAL;
	memcpy(host, from, n);
	host[n] = '\0';
	*ret_port = colon + 1;
	return 0;
}

static int parse_port(const char *text, uint16_t *ret)
{
	if (strspn(text, "0123456789") != strlen(text) || strlen(text) > 5)
		return -EINVAL;
	unsigned long port = strtoul(text, NULL, 10);
	if (port > 65535)
		return -EINVAL;
	*ret = (uint16_t)port;
	return 0;
}

static int resolve(const char *host, const char *port, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
	struct addrinfo *info = NULL;
	if (getaddrinfo(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, port, &hints, &info))
		return -EINVAL;
	memcpy(ret, info->ai_addr, info->ai_addrlen);
	*ret_len = info->ai_addrlen;
	freeaddrinfo(info);
	return 0;
}

int address_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	char host[ADDRESS_TEXT];
	const char *port;
	uint16_t number;
	if (split(text, host, sizeof(host), &port) || parse_port(port, &number))
		return -EINVAL;
	return resolve(host, port, ret, ret_len);
}

static int parse_unix(const char *path, struct listen_spec *spec, struct err *err)
{
	struct sockaddr_un *address = (struct sockaddr_un *)&spec->address;
	if (spec->tls)
		return err_set(err, -EINVAL, "a Unix socket takes no TLS: use http, mqtt or auto");
	if (*path == '\0' || strlen(path) >= sizeof(address->sun_path))
		return err_set(err, -EINVAL, "the path of a Unix socket has 1 to %zu characters",
		        sizeof(address->sun_path) - 1);
	address->sun_family = AF_UNIX;
	memcpy(address->sun_path, path, strlen(path) + 1);
	spec->address_len = sizeof(*address);
	return 0;
}

static int parse_ip(const char *text, struct listen_spec *spec, struct err *err)
{
	char host[ADDRESS_TEXT];
	const char *port;
	uint16_t number;
	if (split(text, host, sizeof(host), &port))
		return err_set(err, -EINVAL,
		        "'%s' is no ADDRESS:PORT; examples: 127.0.0.1:8083, [::1]:8083, *:8443, "
		        "unix:/run/edged.sock",
		        text);
	if (parse_port(port, &number))
		return err_set(err, -EINVAL, "'%s' is no port: 0 (any free one) to 65535", port);
	spec->any = strcmp(host, "*") == 0;
	if (resolve(spec->any ? "::" : host, port, &spec->address, &spec->address_len))
		return err_set(err, -EINVAL, "'%s' is no IP address: use numbers, localhost or *", host);
	return 0;
}

int listen_spec_parse(const char *text, struct listen_spec *ret, struct err *err)
{
	struct listen_spec spec = { 0 };
	size_t n = strcspn(text, "=");
	for (size_t i = 0; i < ARRAY_LEN(protocols); i++)
		if (strlen(protocols[i].name) == n && strncmp(text, protocols[i].name, n) == 0) {
			spec.protocol = protocols[i].name;
			spec.serves = protocols[i].serves;
			spec.tls = protocols[i].tls;
			spec.proxied = protocols[i].proxied;
		}
	if (!spec.protocol || text[n] != '=')
		return err_set(err, -EINVAL,
		        "a listener is PROTOCOL=ADDRESS:PORT with http, mqtt, auto, https, mqtts or tls, "
		        "or one of them with +proxy, not '%s'",
		        text);
	const char *address = text + n + 1;
	int r = strncmp(address, "unix:", 5) == 0 ? parse_unix(address + 5, &spec, err)
	                                          : parse_ip(address, &spec, err);
	if (!r)
		*ret = spec;
	return r;
}

int listener_spec_check(const char *spec, struct err *err)
{
	struct listen_spec ignored;
	return listen_spec_parse(spec, &ignored, err);
}

static void ipv6_text(const struct sockaddr_in6 *in6, char *ret)
{
	char host[INET6_ADDRSTRLEN] = "", scope[IF_NAMESIZE] = "";
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		inet_ntop(AF_INET, in6->sin6_addr.s6_addr + 12, host, sizeof(host));
		snprintf(ret, ADDRESS_TEXT, "%s:%u", host, ntohs(in6->sin6_port));
		return;
	}
	inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
	if (in6->sin6_scope_id)
		if_indextoname(in6->sin6_scope_id, scope);
	snprintf(ret, ADDRESS_TEXT, "[%s%s%s]:%u", host, *scope ? "%" : "", scope, ntohs(in6->sin6_port));
}

void address_text(const struct sockaddr_storage *address, socklen_t len, char ret[ADDRESS_TEXT])
{
	const struct sockaddr_in *in = (const void *)address;
	const struct sockaddr_un *un = (const void *)address;
	char host[INET_ADDRSTRLEN] = "";
	if (address->ss_family == AF_INET6) {
		ipv6_text((const void *)address, ret);
	} else if (address->ss_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(ret, ADDRESS_TEXT, "%s:%u", host, ntohs(in->sin_port));
	} else if (len > offsetof(struct sockaddr_un, sun_path) && un->sun_path[0]) {
		snprintf(ret, ADDRESS_TEXT, "unix:%s", un->sun_path);
	} else {
		snprintf(ret, ADDRESS_TEXT, "unix");
	}
}

uint16_t address_port(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)(const void *)address)->sin6_port);
	if (address->ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);
	return 0;
}

bool address_is_loopback(const struct sockaddr_storage *address)
{
	const struct in6_addr *in6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	if (address->ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127);
	if (address->ss_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 ==
		       127;
	return address->ss_family == AF_UNIX;
}
