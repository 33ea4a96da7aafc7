/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing the data types of MQTT 5.0, section 1.5. Pure.
 *
 * A reader cannot pass its end: a read that would sets `failed`, returns 0 or an empty slice, and so do all
 * after it. A writer either has room (the caller sized the buffer) or sets `failed`.
 */
#ifndef BROKER_WIRE_H
#define BROKER_WIRE_H

#include <endian.h>
#include <string.h>
#include "edged/slice.h"

#define VARINT_MAX 268435455u /* the largest variable byte integer */

struct reader {
	const uint8_t *at, *end;
	bool failed;
};

static inline struct reader reader(const void *bytes, size_t n)
{
	const uint8_t *at = bytes;
	return (struct reader){ at, n ? at + n : at, false }; /* NULL + 0 is undefined */
}

static inline size_t read_left(const struct reader *r)
{
	return (size_t)(r->end - r->at);
}

static inline struct edged_slice read_bytes(struct reader *r, size_t n)
{
	if (r->failed || read_left(r) < n) {
		r->failed = true;
		return edged_slice(NULL, 0);
	}
	struct edged_slice s = edged_slice(r->at, n);
	r->at += n;
	return s;
}

static inline uint8_t read_u8(struct reader *r)
{
	struct edged_slice s = read_bytes(r, 1);
	return s.ptr ? (uint8_t)s.ptr[0] : 0;
}

static inline uint16_t read_u16(struct reader *r)
{
	struct edged_slice s = read_bytes(r, sizeof(uint16_t));
	uint16_t v = 0;
	if (s.ptr)
		memcpy(&v, s.ptr, sizeof(v));
	return be16toh(v);
}

static inline uint32_t read_u32(struct reader *r)
{
	struct edged_slice s = read_bytes(r, sizeof(uint32_t));
	uint32_t v = 0;
	if (s.ptr)
		memcpy(&v, s.ptr, sizeof(v));
	return be32toh(v);
}

/* Not in MQTT; for rows of the store and for the mesh. */
static inline uint64_t read_u64(struct reader *r)
{
	struct edged_slice s = read_bytes(r, sizeof(uint64_t));
	uint64_t v = 0;
	if (s.ptr)
		memcpy(&v, s.ptr, sizeof(v));
	return be64toh(v);
}

/* 7 bits a byte, low ones first, as many as it takes; not in MQTT, for records of the store. */
uint64_t read_varint64(struct reader *r);
/* Fails also on an encoding that is longer than needed or longer than four bytes. */
uint32_t read_varint(struct reader *r);
struct edged_slice read_binary(struct reader *r); /* two-byte length and bytes */
struct edged_slice read_string(struct reader *r); /* the same, and it is UTF-8 as MQTT wants it */

struct writer {
	uint8_t *at, *end;
	bool failed;
};

static inline struct writer writer(void *bytes, size_t n)
{
	uint8_t *at = bytes;
	return (struct writer){ at, at + n, false };
}

static inline void write_bytes(struct writer *w, const void *bytes, size_t n)
{
	if (w->failed || (size_t)(w->end - w->at) < n) {
		w->failed = true;
		return;
	}
	if (n)
		memcpy(w->at, bytes, n);
	w->at += n;
}

static inline void write_u8(struct writer *w, uint8_t v)
{
	write_bytes(w, &v, sizeof(v));
}

static inline void write_u16(struct writer *w, uint16_t v)
{
	v = htobe16(v);
	write_bytes(w, &v, sizeof(v));
}

static inline void write_u32(struct writer *w, uint32_t v)
{
	v = htobe32(v);
	write_bytes(w, &v, sizeof(v));
}

static inline void write_u64(struct writer *w, uint64_t v)
{
	v = htobe64(v);
	write_bytes(w, &v, sizeof(v));
}

void write_varint64(struct writer *w, uint64_t v);
void write_varint(struct writer *w, uint32_t v);
void write_binary(struct writer *w, struct edged_slice s);

/* Bytes that a variable byte integer takes. */
static inline size_t varint_size(uint32_t v)
{
	return v < 128 ? 1 : v < 16384 ? 2 : v < 2097152 ? 3 : 4;
}

/* Well-formed UTF-8 without surrogates, U+0000 (section 1.5.4), other control characters and non-characters
 * pass. */
bool utf8_valid(struct edged_slice s);

#endif
