/* SPDX-License-Identifier: Apache-2.0 */
#include "io/proxy_header.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include "base/cleanup.h"
#include "edged/slice.h"

/* --- version 1: one line of text --- */

#define LINE_MAX_BYTES 107 /* with CR LF */
static const char line_start[] = "PROXY ";

/* The next word of the line, which ends at exactly one space or at the end of the line. */
static struct edged_slice next_word(struct edged_slice *line)
{
	const char *space = line->len ? memchr(line->ptr, ' ', line->len) : NULL;
	struct edged_slice word = edged_slice(line->ptr, space ? (size_t)(space - line->ptr) : line->len);
	size_t used = word.len + (space != NULL);
	*line = edged_slice(line->ptr + used, line->len - used);
	return word;
}

static bool read_address(struct edged_slice word, int family, void *ret)
{
	char text[INET6_ADDRSTRLEN];
	if (word.len == 0 || word.len >= sizeof(text) || memchr(word.ptr, '\0', word.len))
		return false;
	memcpy(text, word.ptr, word.len);
	text[word.len] = '\0';
	return inet_pton(family, text, ret) == 1; /* refuses leading zeros, names and scopes */
}

static bool read_port(struct edged_slice word, in_port_t *ret)
{
	uint32_t port = 0;
	if (word.len == 0 || word.len > 5 || (word.ptr[0] == '0' && word.len > 1))
		return false;
	for (size_t i = 0; i < word.len; i++) {
		if (word.ptr[i] < '0' || word.ptr[i] > '9')
			return false;
		port = port * 10 + (uint32_t)(word.ptr[i] - '0');
	}
	*ret = htons((uint16_t)port);
	return port <= UINT16_MAX;
}

static void set_client(struct proxy_header *h, int family, const void *address, in_port_t port)
{
	h->relayed = true;
	if (family == AF_INET) {
		struct sockaddr_in *in = (void *)&h->client;
		in->sin_family = AF_INET;
		in->sin_port = port;
		memcpy(&in->sin_addr, address, sizeof(in->sin_addr));
		h->client_len = sizeof(*in);
	} else {
		struct sockaddr_in6 *in6 = (void *)&h->client;
		in6->sin6_family = AF_INET6;
		in6->sin6_port = port;
		memcpy(&in6->sin6_addr, address, sizeof(in6->sin6_addr));
		h->client_len = sizeof(*in6);
	}
}

/* "TCP4 192.0.2.7 192.0.2.1 4242 1883", without what is around it. */
static int read_line(struct edged_slice line, struct proxy_header *h)
{
	struct edged_slice protocol = next_word(&line);
	if (edged_slice_is(protocol, "UNKNOWN"))
		return 0; /* whatever follows is to be ignored */
	int family = edged_slice_is(protocol, "TCP4")   ? AF_INET
	             : edged_slice_is(protocol, "TCP6") ? AF_INET6
	                                                : AF_UNSPEC;
	struct edged_slice from = next_word(&line), to = next_word(&line);
	struct edged_slice from_port = next_word(&line), to_port = line;
	struct in6_addr client, server;
	in_port_t client_port, server_port;
	if (family == AF_UNSPEC || !read_address(from, family, &client) ||
	        !read_address(to, family, &server) || !read_port(from_port, &client_port) ||
	        !read_port(to_port, &server_port))
		return -EPROTO;
	set_client(h, family, &client, client_port);
	return 0;
}

static int read_v1(struct edged_slice bytes, struct proxy_header *h)
{
	size_t most = bytes.len < LINE_MAX_BYTES ? bytes.len : LINE_MAX_BYTES;
	size_t start = sizeof(line_start) - 1;
	if (memcmp(bytes.ptr, line_start, most < start ? most : start) != 0)
		return -EPROTO;
	const char *end = memchr(bytes.ptr, '\r', most);
	size_t n = end ? (size_t)(end - bytes.ptr) : most;
	if (memchr(bytes.ptr, '\n', n) || n >= LINE_MAX_BYTES - 1)
		return -EPROTO;
	if (!end || n + 1 == bytes.len)
		return PROXY_HEADER_MORE;
	if (bytes.ptr[n + 1] != '\n')
		return -EPROTO;
	h->len = n + 2;
	return n < start ? -EPROTO : read_line(edged_slice(bytes.ptr + start, n - start), h);
}

/* --- version 2: binary --- */

enum { V2_START = 16, V2_LOCAL = 0x20, V2_PROXY = 0x21, TLV_START = 3, TLV_CRC32C = 0x03, STREAM = 1 };
static const uint8_t signature[] = { '\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n' };

/* By the high half of the 14th byte; how many bytes its pair of addresses takes. */
static const struct {
	int family;
	size_t address, block;
} families[] = { { AF_UNSPEC, 0, 0 }, { AF_INET, 4, 12 }, { AF_INET6, 16, 36 }, { AF_UNIX, 108, 216 } };

static uint32_t crc32c(uint32_t crc, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
	}
	return crc;
}

/* Of the whole header, its own four bytes at `at` taken as zeros. */
static bool is_intact(const uint8_t *bytes, size_t len, size_t at)
{
	static const uint8_t zeros[4];
	uint32_t crc = crc32c(UINT32_MAX, bytes, at);
	crc = crc32c(crc, zeros, sizeof(zeros));
	crc = ~crc32c(crc, bytes + at + 4, len - at - 4);
	const uint8_t wanted[] = { (uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8),
		(uint8_t)crc };
	return memcmp(wanted, bytes + at, sizeof(wanted)) == 0;
}

static int check_extensions(const uint8_t *bytes, size_t len, size_t at)
{
	while (at < len) {
		if (len - at < TLV_START)
			return -EPROTO;
		size_t n = (size_t)(bytes[at + 1] << 8 | bytes[at + 2]);
		if (len - at - TLV_START < n)
			return -EPROTO;
		if (bytes[at] == TLV_CRC32C && n != 4)
			return -EPROTO;
		if (bytes[at] == TLV_CRC32C && !is_intact(bytes, len, at + TLV_START))
			return -EBADMSG;
		at += TLV_START + n;
	}
	return 0;
}

/* The whole header is there. */
static int read_block(const uint8_t *bytes, struct proxy_header *h)
{
	unsigned family = bytes[13] >> 4, transport = bytes[13] & 15;
	if (bytes[12] == V2_LOCAL)
		return 0; /* the rest is to be skipped, unseen */
	if (family >= ARRAY_LEN(families) || transport > 2)
		return -EPROTO;
	if (family == 0 || transport == 0)
		return 0;
	if (h->len - V2_START < families[family].block)
		return -EPROTO;
	if (transport == STREAM && families[family].family != AF_UNIX) {
		in_port_t port;
		memcpy(&port, bytes + V2_START + 2 * families[family].address, sizeof(port));
		set_client(h, families[family].family, bytes + V2_START, port);
	}
	return check_extensions(bytes, h->len, V2_START + families[family].block);
}

static int read_v2(const uint8_t *bytes, size_t n, struct proxy_header *h)
{
	if (memcmp(bytes, signature, n < sizeof(signature) ? n : sizeof(signature)) != 0)
		return -EPROTO;
	if (n > 12 && bytes[12] != V2_LOCAL && bytes[12] != V2_PROXY)
		return -EPROTO;
	if (n < V2_START)
		return PROXY_HEADER_MORE;
	h->len = V2_START + (size_t)(bytes[14] << 8 | bytes[15]);
	if (h->len > PROXY_HEADER_MAX)
		return -EMSGSIZE;
	return n < h->len ? PROXY_HEADER_MORE : read_block(bytes, h);
}

int proxy_header_read(const uint8_t *bytes, size_t n, struct proxy_header *ret)
{
	struct proxy_header h = { 0 };
	if (n == 0)
		return PROXY_HEADER_MORE;
	int r = bytes[0] == signature[0] ? read_v2(bytes, n, &h) : read_v1(edged_slice(bytes, n), &h);
	if (!r)
		*ret = h;
	return r;
}
