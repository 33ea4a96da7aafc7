/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unit that a log is written in: what one group appended. Frames begin at multiples of a block and are padded to
 * one, so that a block that was acknowledged is never written again: neither twice, nor torn by a later write.
 *
 *   offset  bytes  (numbers are little-endian)
 *    0      4      mark: plain, or squeezed
 *    4      4      length of the body
 *    8      8      position in the log: bytes from its very beginning
 *   16      8      salt: random, the same in all frames of one file
 *   24      4      CRC-32C of the body
 *   28      4      CRC-32C of the 28 bytes before
 *   32             body: records, each with its length in front (7 bits a byte, low ones first); squeezed: its length,
 *                  4 bytes, and what squeeze.h has made of it
 *
 * The position tells a frame from what a file held in an earlier life, the salt from what a record pretends to be.
 */
#ifndef STORE_FRAME_H
#define STORE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "edged/slice.h"
#include "base/buf.h"

#define FRAME_BLOCK    4096u
#define FRAME_HEAD     32u
#define FRAME_BODY_MAX (1u << 30)
#define SQUEEZE_MAX    (1u << 20) /* larger bodies stay as they are */
#define RECORD_MAX     (16u * 1024 * 1024)

struct frame_head {
	uint64_t position, salt;
	uint32_t body; /* bytes */
	uint32_t body_crc;
	bool squeezed;
};

/* Bytes on the disk of a frame with such a body. */
static inline uint64_t frame_bytes(uint64_t body)
{
	return (FRAME_HEAD + body + FRAME_BLOCK - 1) / FRAME_BLOCK * FRAME_BLOCK;
}

/* Makes a body smaller that lies behind room for the head: returns its size then. Whether that saves a block decides which of
 * the two is left in `frame`, and *ret_squeezed tells. `work` is for that; without memory all stays as it is. */
size_t frame_squeeze(struct buf *frame, struct buf *work, bool *ret_squeezed);
/* Makes a whole frame of a buffer that has room for the head in front of the body: head, body, zeros. -ENOMEM. */
EDGED_MUST_CHECK int frame_seal(struct buf *frame, uint64_t position, uint64_t salt, bool squeezed);
/* Reads a head of FRAME_HEAD bytes; false: it is none. */
bool frame_head_read(const void *bytes, struct frame_head *ret);
bool frame_body_intact(const struct frame_head *head, struct edged_slice body);
/* Gives an intact body its records back. -EBADMSG: they are not what it says; -ENOMEM. */
EDGED_MUST_CHECK int frame_unsqueeze(struct buf *body);

/* A record with its length, at the end of the buffer. -ENOMEM, -ENOBUFS: nothing was added. */
EDGED_MUST_CHECK int record_add(struct buf *body, struct edged_slice record);
/* Takes the first record off a body. False: there is none, or what is there makes no sense. */
bool record_take(struct edged_slice *body, struct edged_slice *ret);

#endif
