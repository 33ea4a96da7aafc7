/* SPDX-License-Identifier: Apache-2.0 */
/* FNV-1a, 64 bits: the same on every node. For telling apart what is not meant to deceive: only nodes of the account talk. */
#ifndef MESH_HASH_H
#define MESH_HASH_H

#include <stdint.h>
#include "edged/slice.h"

#define HASH_START UINT64_C(0xcbf29ce484222325)

/* The length counts, so that two slices are not the same as one that joins them. */
static inline uint64_t hash_add(uint64_t hash, struct edged_slice bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		hash = (hash ^ (uint8_t)bytes.ptr[i]) * UINT64_C(0x100000001b3);
	return (hash ^ bytes.len) * UINT64_C(0x100000001b3);
}

#endif
