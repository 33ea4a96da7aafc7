/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file of a log. It holds the frames from its first position up to where the next file begins (the last file: up to
 * its last whole frame). Its name is the log's, a dot, and the first position in 16 hexadecimal digits.
 */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include "base/list.h"
#include "frame.h"

struct segment {
	struct list link;
	uint64_t first, end; /* positions: of the first frame, behind the last one */
	uint64_t size;       /* of the file */
	uint64_t salt;       /* of its frames, when there are any */
	bool kept;           /* damaged, and there is a second name for it: its bytes are not used again */
};

#define SEGMENT_NAME_MAX 160
void segment_name(const char *log, uint64_t first, char name[SEGMENT_NAME_MAX]);
/* The first position of the file of that name; false: it is none of that log's. */
bool segment_parse(const char *log, const char *name, uint64_t *ret);

/* A frame that was found in a file. */
struct found {
	uint64_t at, end; /* positions */
};
#define SEGMENT_END 1
/*
 * The next whole frame of the file between the positions `from` and `limit`, and its body (taken over what was there).
 * ret->at is greater than `from` when something between cannot be read. SEGMENT_END: there is none. -EIO, -ENOMEM.
 */
EDGED_MUST_CHECK int segment_next(int fd, const struct segment *segment, uint64_t from, uint64_t limit,
        struct found *ret, struct buf *body);

/* What the first block of a file says. */
enum segment_start {
	SEGMENT_BEGUN,   /* the head of its first frame: the salt is that of the file */
	SEGMENT_UNUSED,  /* nothing of this life */
	SEGMENT_STRANGE, /* neither */
};
/* Below zero: -EIO. Sets the salt when it has begun. */
EDGED_MUST_CHECK int segment_start(int fd, struct segment *segment);

#endif
