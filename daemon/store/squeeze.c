/* SPDX-License-Identifier: Apache-2.0 */
#include "squeeze.h"

#include <stdint.h>
#include <string.h>

#define MATCH_MIN 4u
#define HALF      15u /* a half byte that says: more follows */
#define TABLE     12  /* bits: places that are remembered */

static uint32_t load(const char *at)
{
	uint32_t v;
	memcpy(&v, at, sizeof(v));
	return v;
}

static size_t place_of(uint32_t four)
{
	return four * 2654435761u >> (32 - TABLE);
}

/* --- there ------------------------------------------------------------------------------------------------------------- */

struct out {
	char *at, *end;
	bool full;
};

static void put(struct out *out, const void *bytes, size_t n)
{
	out->full |= n > (size_t)(out->end - out->at);
	if (out->full || !n)
		return;
	memcpy(out->at, bytes, n);
	out->at += n;
}

static void put_number(struct out *out, size_t n)
{
	do {
		char byte = (char)((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
		put(out, &byte, 1);
		n >>= 7;
	} while (n);
}

static size_t half(size_t n)
{
	return n < HALF ? n : HALF;
}

/* match 0: none, it is the last step. */
static void put_step(struct out *out, const char *literals, size_t count, size_t match, size_t distance)
{
	size_t length = match ? match - MATCH_MIN : 0;
	char head = (char)(half(count) << 4 | half(length));
	put(out, &head, 1);
	if (count >= HALF)
		put_number(out, count - HALF);
	put(out, literals, count);
	if (!match)
		return;
	if (length >= HALF)
		put_number(out, length - HALF);
	put_number(out, distance);
}

static size_t match_length(const char *a, const char *b, const char *end)
{
	const char *from = b;
	while (b < end && *a == *b)
		a++, b++;
	return (size_t)(b - from);
}

size_t squeeze(struct edged_slice bytes, char *to, size_t room)
{
	uint32_t seen[1u << TABLE] = { 0 }; /* where the same four bytes were last, plus 1 */
	struct out out = { to, to + room, false };
	const char *at = bytes.ptr, *end = at + bytes.len, *literals = at;
	while ((size_t)(end - at) >= MATCH_MIN && !out.full) {
		uint32_t *place = &seen[place_of(load(at))];
		const char *before = *place ? bytes.ptr + (*place - 1) : NULL;
		*place = (uint32_t)(at - bytes.ptr) + 1;
		size_t n = before ? match_length(before, at, end) : 0;
		if (n < MATCH_MIN) {
			at++;
			continue;
		}
		put_step(&out, literals, (size_t)(at - literals), n, (size_t)(at - before));
		literals = at += n;
	}
	put_step(&out, literals, (size_t)(end - literals), 0, 0);
	return out.full ? 0 : (size_t)(out.at - to);
}

/* --- and back ---------------------------------------------------------------------------------------------------------- */

struct in {
	const uint8_t *at, *end;
	bool failed;
};

static uint8_t take_byte(struct in *in)
{
	in->failed |= in->at == in->end;
	return in->failed ? 0 : *in->at++;
}

static size_t take_number(struct in *in)
{
	size_t n = 0;
	for (unsigned shift = 0; shift < 35; shift += 7) {
		uint8_t byte = take_byte(in);
		n |= (size_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return n;
	}
	in->failed = true;
	return 0;
}

static size_t take_half(struct in *in, unsigned value)
{
	return value < HALF ? value : HALF + take_number(in);
}

/* A match may reach into what it writes: then its bytes repeat. */
static void copy_match(char *to, size_t distance, size_t n)
{
	for (; n; n--, to++)
		*to = to[-(ptrdiff_t)distance];
}

bool unsqueeze(struct edged_slice squeezed, char *to, size_t len)
{
	struct in in = { (const uint8_t *)squeezed.ptr, (const uint8_t *)squeezed.ptr + squeezed.len, false };
	char *at = to, *end = to + len;
	for (;;) {
		uint8_t head = take_byte(&in);
		size_t n = take_half(&in, head >> 4);
		if (in.failed || n > (size_t)(in.end - in.at) || n > (size_t)(end - at))
			return false;
		if (n)
			memcpy(at, in.at, n);
		at += n;
		in.at += n;
		if (in.at == in.end)
			return at == end && !(head & HALF);
		n = take_half(&in, head & HALF) + MATCH_MIN;
		size_t distance = take_number(&in);
		if (in.failed || n > (size_t)(end - at) || !distance || distance > (size_t)(at - to))
			return false;
		copy_match(at, distance, n);
		at += n;
	}
}
