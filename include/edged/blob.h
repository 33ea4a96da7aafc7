/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blob: immutable bytes with a reference count, shared between loops (threads) without copies.
 * Whoever holds a reference may read the bytes; nobody writes after the blob was made. The count is atomic,
 * all functions may be called from any thread. The maker of a blob supplies `free_fn`.
 */
#ifndef EDGED_BLOB_H
#define EDGED_BLOB_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

struct edged_blob {
	uint32_t refs;                        /* atomic */
	uint32_t len;                         /* bytes at data */
	void (*free_fn)(struct edged_blob *); /* called by the last unref */
	uint8_t *data;                        /* may point behind this struct, in the same allocation */
};

static inline struct edged_blob *edged_blob_ref(struct edged_blob *blob)
{
	__atomic_fetch_add(&blob->refs, 1, __ATOMIC_RELAXED);
	return blob;
}

static inline void edged_blob_unref(struct edged_blob *blob)
{
	if (blob && __atomic_sub_fetch(&blob->refs, 1, __ATOMIC_ACQ_REL) == 0)
		blob->free_fn(blob);
}

static inline void edged_blob_free_malloc(struct edged_blob *blob)
{
	free(blob);
}

/* One allocation that holds header and `len` bytes to fill in; one reference, the caller's. NULL: no memory. */
static inline struct edged_blob *edged_blob_new(uint32_t len)
{
	struct edged_blob *blob = (struct edged_blob *)malloc(sizeof(*blob) + len);
	if (blob) {
		blob->refs = 1;
		blob->len = len;
		blob->free_fn = edged_blob_free_malloc;
		blob->data = (uint8_t *)(blob + 1);
	}
	return blob;
}

#ifdef __cplusplus
}
#endif

#endif
