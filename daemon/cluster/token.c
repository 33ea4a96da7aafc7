/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/token.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char prefix[] = "edged1.";
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* --- base64url --- */

int base64_write(struct edged_slice bytes, struct buf *ret)
{
	int r = buf_reserve(ret, (bytes.len + 2) / 3 * 4);
	for (size_t i = 0; i < bytes.len && !r; i += 3) {
		size_t n = bytes.len - i < 3 ? bytes.len - i : 3;
		uint32_t bits = 0;
		for (size_t k = 0; k < 3; k++)
			bits = bits << 8 | (k < n ? (uint8_t)bytes.ptr[i + k] : 0);
		char text[4];
		for (unsigned k = 0; k < 4; k++)
			text[k] = alphabet[bits >> (18 - 6 * k) & 63];
		r = buf_add(ret, text, n + 1);
	}
	return r;
}

static int digit_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int base64_read(struct edged_slice text, struct buf *ret)
{
	uint32_t bits = 0;
	unsigned held = 0;
	if (text.len % 4 == 1)
		return -EINVAL;
	int r = buf_reserve(ret, text.len * 3 / 4);
	for (size_t i = 0; i < text.len && !r; i++) {
		int digit = digit_of(text.ptr[i]);
		if (digit < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)digit;
		held += 6;
		if (held >= 8) {
			held -= 8;
			char byte = (char)(uint8_t)(bits >> held);
			r = buf_add(ret, &byte, 1);
			bits &= (1u << held) - 1;
		}
	}
	return r ? r : bits ? -EINVAL : 0; /* bits left over must be zero: one text for one value */
}

/* --- writing --- */

/* FNV-1a: against slips of the hand; that the token is genuine shows in the proofs. */
static uint32_t check_sum(struct edged_slice bytes)
{
	uint32_t sum = 2166136261u;
	for (size_t i = 0; i < bytes.len; i++)
		sum = (sum ^ (uint8_t)bytes.ptr[i]) * 16777619u;
	return sum;
}

static int add_number(struct buf *ret, uint64_t number, unsigned size)
{
	uint8_t bytes[8];
	for (unsigned i = 0; i < size; i++)
		bytes[i] = (uint8_t)(number >> 8 * (size - 1 - i));
	return buf_add(ret, bytes, size);
}

static int add_id(struct buf *ret, const char *id)
{
	uint8_t hash[32];
	return node_id_parse(edged_str(id), hash) ? buf_add(ret, hash, sizeof(hash)) : -EINVAL;
}

static int add_address(struct buf *ret, const char *address)
{
	char host[64];
	uint8_t bytes[16];
	const char *colon = strrchr(address, ':');
	bool six = address[0] == '[';
	if (!colon)
		return -EINVAL;
	size_t n = (size_t)(colon - address);
	if (n >= sizeof(host) || (six && (n < 2 || address[n - 1] != ']')))
		return -EINVAL;
	memcpy(host, address + (six ? 1 : 0), n);
	host[six ? n - 2 : n] = '\0';
	char *end;
	unsigned long port = strtoul(colon + 1, &end, 10);
	if (*end || end == colon + 1 || port < 1 || port > 65535 ||
	        inet_pton(six ? AF_INET6 : AF_INET, host, bytes) != 1)
		return -EINVAL;
	int r = add_number(ret, six ? 6 : 4, 1);
	if (!r)
		r = buf_add(ret, bytes, six ? 16 : 4);
	return r ? r : add_number(ret, port, 2);
}

static int add_all(const struct join_token *token, struct buf *ret)
{
	unsigned count = 0;
	while (count < TOKEN_ADDRESSES && token->addresses[count][0])
		count++;
	int r = add_id(ret, token->account_id);
	if (!r)
		r = add_id(ret, token->node_id);
	if (!r)
		r = buf_add(ret, token->secret, sizeof(token->secret));
	if (!r)
		r = add_number(ret, token->expires, 8);
	if (!r)
		r = add_number(ret, count, 1);
	for (unsigned i = 0; i < count && !r; i++)
		r = add_address(ret, token->addresses[i]);
	return r ? r : add_number(ret, check_sum(buf_slice(ret)), 4);
}

int token_write(const struct join_token *token, struct buf *ret)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_EMPTY;
	int r = add_all(token, &bytes);
	if (!r)
		r = buf_add_str(ret, prefix);
	return r ? r : base64_write(buf_slice(&bytes), ret);
}

/* --- reading --- */

/* NULL when there are fewer bytes left. */
static const uint8_t *take(struct edged_slice *left, size_t n)
{
	if (left->len < n)
		return NULL;
	const char *at = left->ptr;
	*left = edged_slice(at + n, left->len - n);
	return (const uint8_t *)at;
}

static bool take_number(struct edged_slice *left, unsigned size, uint64_t *ret)
{
	const uint8_t *bytes = take(left, size);
	*ret = 0;
	for (unsigned i = 0; bytes && i < size; i++)
		*ret = *ret << 8 | bytes[i];
	return bytes != NULL;
}

static bool take_id(struct edged_slice *left, char ret[NODE_ID_LEN + 1])
{
	const uint8_t *bytes = take(left, 32);
	if (bytes)
		node_id_format(bytes, ret);
	return bytes != NULL;
}

static bool take_address(struct edged_slice *left, char ret[64])
{
	char host[INET6_ADDRSTRLEN];
	uint64_t family, port;
	if (!take_number(left, 1, &family) || (family != 4 && family != 6))
		return false;
	const uint8_t *bytes = take(left, family == 6 ? 16 : 4);
	if (!bytes || !take_number(left, 2, &port) || port == 0)
		return false;
	inet_ntop(family == 6 ? AF_INET6 : AF_INET, bytes, host, sizeof(host));
	snprintf(ret, 64, family == 6 ? "[%s]:%u" : "%s:%u", host, (unsigned)port);
	return true;
}

static bool take_all(struct edged_slice left, struct join_token *ret)
{
	uint64_t count;
	if (!take_id(&left, ret->account_id) || !take_id(&left, ret->node_id))
		return false;
	const uint8_t *secret = take(&left, TOKEN_SECRET);
	if (!secret || !take_number(&left, 8, &ret->expires) || !take_number(&left, 1, &count) ||
	        count == 0 || count > TOKEN_ADDRESSES)
		return false;
	memcpy(ret->secret, secret, TOKEN_SECRET);
	for (unsigned i = 0; i < count; i++)
		if (!take_address(&left, ret->addresses[i]))
			return false;
	return left.len == 0;
}

int token_read(struct edged_slice text, struct join_token *ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_EMPTY;
	struct join_token token = { .expires = 0 };
	text = edged_slice_trim(text, " \t\r\n");
	if (!edged_slice_starts(text, "edged"))
		return err_set(err, -EINVAL, "this is no join token: one begins with %s", prefix);
	if (!edged_slice_starts(text, prefix))
		return err_set(err, -EINVAL,
		        "this join token is of another version of edged; this one reads %s...", prefix);
	text = edged_slice(text.ptr + sizeof(prefix) - 1, text.len - (sizeof(prefix) - 1));
	int r = text.len > TOKEN_TEXT_MAX ? -EINVAL : base64_read(text, &bytes);
	if (r && r != -EINVAL)
		return err_set(err, r, "no memory to read the join token");
	if (r || bytes.len < 4)
		return err_set(err, -EINVAL,
		        "the join token was not copied whole, or something else was copied with it");
	struct edged_slice sum = edged_slice(bytes.ptr + bytes.len - 4, 4);
	uint64_t number;
	bytes.len -= 4;
	if (!take_number(&sum, 4, &number) || number != check_sum(buf_slice(&bytes)))
		return err_set(
		        err, -EINVAL, "the join token was not copied whole, or was changed on the way");
	if (!take_all(buf_slice(&bytes), &token))
		return err_set(
		        err, -EINVAL, "the join token makes no sense; ask for a new one with edgectl invite");
	*ret = token;
	return 0;
}
