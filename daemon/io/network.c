/* SPDX-License-Identifier: Apache-2.0 */
#include "io/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t ipv4_start[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

/* The first `bits` bits of both are the same. */
static bool starts_alike(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

static bool is_base(const struct network *network)
{
	struct network base = { .bits = network->bits };
	for (unsigned i = 0; i < 16; i++) {
		unsigned bits = network->bits > i * 8 ? network->bits - i * 8 : 0;
		unsigned mask = bits >= 8 ? 0xff : 0xffu << (8 - bits);
		base.bytes[i] = (uint8_t)(network->bytes[i] & mask);
	}
	return memcmp(&base, network, sizeof(base)) == 0;
}

int network_parse(const char *text, struct network *ret, struct err *err)
{
	struct network network = { 0 };
	char host[INET6_ADDRSTRLEN];
	size_t n = strcspn(text, "/");
	const char *bits = text[n] ? text + n + 1 : NULL;
	snprintf(host, sizeof(host), "%.*s", (int)(n < sizeof(host) ? n : 0), text);
	bool ipv4 = inet_pton(AF_INET, host, network.bytes + 12) == 1;
	if (ipv4)
		memcpy(network.bytes, ipv4_start, sizeof(ipv4_start));
	unsigned most = ipv4 ? 32 : 128, wanted = most;
	if (bits && *bits && strspn(bits, "0123456789") == strlen(bits) && strlen(bits) < 4)
		wanted = (unsigned)strtoul(bits, NULL, 10);
	else if (bits)
		wanted = most + 1;
	if ((!ipv4 && inet_pton(AF_INET6, host, network.bytes) != 1) || wanted > most)
		return err_set(err, -EINVAL,
		        "'%s' is no address or network; examples: 192.0.2.7, 10.0.0.0/8, 2001:db8::/32",
		        text);
	network.bits = (uint8_t)(128 - most + wanted);
	if (!is_base(&network))
		return err_set(err, -EINVAL, "'%s' has bits behind its prefix of %u", text, wanted);
	*ret = network;
	return 0;
}

bool network_has(const struct network *network, const struct sockaddr_storage *address)
{
	uint8_t bytes[16];
	if (address->ss_family == AF_INET) {
		memcpy(bytes, ipv4_start, sizeof(ipv4_start));
		memcpy(bytes + 12, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
	} else if (address->ss_family == AF_INET6) {
		memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
	} else {
		return false;
	}
	return starts_alike(network->bytes, bytes, network->bits);
}
