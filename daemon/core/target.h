/* SPDX-License-Identifier: Apache-2.0 */
/* Request targets (RFC 9112 section 3.2): splitting and percent-decoding. Pure; memory is the caller's. */
#ifndef CORE_TARGET_H
#define CORE_TARGET_H

#include "edged/slice.h"
#include "base/err.h"

struct target {
	struct edged_slice raw;      /* path and query as on the wire, without scheme and authority */
	struct edged_slice raw_path; /* the part of it before '?' */
	struct edged_slice path;     /* decoded, terminated */
	/* The decoded path with a NUL where the wire had a '/': byte for byte as long as `path`, so that a
	 * '/' that was encoded inside a segment is told from one that parts two. */
	struct edged_slice segments;
	struct edged_slice query; /* decoded: key NUL value NUL key NUL value NUL ... */
};

/* Bytes of memory that target_parse() needs for this target. */
size_t target_memory(struct edged_slice raw);
/* -EINVAL: neither "/...", "http(s)://host/..." nor "*"; a broken %XX; a control character, space or '#', or
 * an encoded NUL, which nothing here has a use for and C strings would stumble over. */
EDGED_MUST_CHECK int target_parse(struct edged_slice raw, char *memory, struct target *ret);
/* The first parameter of that name; .ptr is NULL when there is none. A '+' stays a '+' (RFC 3986), for it is
 * a wildcard in MQTT filters. */
struct edged_slice target_query(const struct target *target, const char *name);

#endif
