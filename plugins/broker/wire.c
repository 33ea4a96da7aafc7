/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

uint64_t read_varint64(struct reader *r)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = read_u8(r);
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
	}
	r->failed = true;
	return 0;
}

void write_varint64(struct writer *w, uint64_t v)
{
	for (; v > 0x7f; v >>= 7)
		write_u8(w, (uint8_t)(v | 0x80));
	write_u8(w, (uint8_t)v);
}

uint32_t read_varint(struct reader *r)
{
	uint32_t v = 0;
	for (unsigned shift = 0; shift <= 21; shift += 7) {
		uint8_t b = read_u8(r);
		v |= (uint32_t)(b & 0x7f) << shift;
		if (!(b & 0x80)) {
			if (b == 0 && shift > 0)
				r->failed = true;
			return r->failed ? 0 : v;
		}
	}
	r->failed = true;
	return 0;
}

struct edged_slice read_binary(struct reader *r)
{
	return read_bytes(r, read_u16(r));
}

struct edged_slice read_string(struct reader *r)
{
	struct edged_slice s = read_binary(r);
	if (!r->failed && !utf8_valid(s)) {
		r->failed = true;
		return edged_slice(NULL, 0);
	}
	return s;
}

void write_varint(struct writer *w, uint32_t v)
{
	do {
		uint8_t b = v & 0x7f;
		v >>= 7;
		write_u8(w, v ? b | 0x80 : b);
	} while (v);
}

void write_binary(struct writer *w, struct edged_slice s)
{
	if (s.len > UINT16_MAX) {
		w->failed = true;
		return;
	}
	write_u16(w, (uint16_t)s.len);
	write_bytes(w, s.ptr, s.len);
}

/* The number of bytes of the character at p, 0 when it is not a legal one. */
static size_t utf8_char(const uint8_t *p, size_t left)
{
	static const struct {
		uint8_t lead, last_lead, low, high; /* range of the second byte */
		size_t len;
	} rows[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (p[0] < rows[i].lead || p[0] > rows[i].last_lead)
			continue;
		if (left < rows[i].len || p[1] < rows[i].low || p[1] > rows[i].high)
			return 0;
		for (size_t k = 2; k < rows[i].len; k++)
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		return rows[i].len;
	}
	return 0;
}

bool utf8_valid(struct edged_slice s)
{
	const uint8_t *p = (const uint8_t *)s.ptr;
	for (size_t i = 0; i < s.len;) {
		if (p[i] < 0x80) {
			if (p[i] == 0)
				return false;
			i++;
			continue;
		}
		size_t n = utf8_char(p + i, s.len - i);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}
