/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log on the disk: a row of files (segment.h), written at its end, dropped from its front. Not thread-safe: one owner,
 * the store's thread.
 *
 * A file has its room reserved before anything is written to it, and the one that was dropped last is used again, so
 * that a write at the end changes bytes only, and a sync writes them and nothing else. A position counts bytes from the
 * very beginning of the log; frames begin at multiples of a block. A group is stored squeezed where that saves a block.
 *
 * At opening everything is read and checked. What follows the last whole frame was never acknowledged (or is the very
 * end of the log, damaged: that cannot be told apart) and is written over. What cannot be read before that is damage: it
 * is reported, the file is kept under a second name (.damaged-TIME), and the records around it are there.
 */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include "segment.h"

struct journal;

struct journal_options {
	const char *folder;     /* made when it is not there (0700) */
	const char *name;       /* letters, digits, '.', '_', '-'; shorter than 130 */
	uint64_t segment_bytes; /* of one file; one that must hold a larger group is larger */
	uint64_t limit_bytes;   /* of all files */
};

/* 0 or a negative errno; the log has said why. `options` are copied. */
EDGED_MUST_CHECK int journal_open(const struct journal_options *options, struct journal **ret);
void journal_free(struct journal *journal);

/* Makes room for a group with such a body, so that writing it can fail for the disk itself only. -ENOSPC: the disk or
 * the limit; -EIO, -ENOMEM. */
EDGED_MUST_CHECK int journal_reserve(struct journal *journal, size_t body);
/* A group is begun, filled with record bodies (see record_add()), and written: when that returns 0 it is on the disk.
 * Otherwise nothing of it is in the log, and what a sync has failed for is never taken for written: the next group goes
 * to a new file. Should the machine go down before there is one, the group may be found whole after all. */
void journal_begin(struct journal *journal);
EDGED_MUST_CHECK int journal_add(struct journal *journal, struct edged_slice body);
EDGED_MUST_CHECK int journal_write(struct journal *journal);
/* Drops the files that hold nothing but what is before the position. */
void journal_trim(struct journal *journal, uint64_t position);
/* Appends the body of the first frame at or behind *position to `body` and moves *position behind it. SEGMENT_END: there
 * is none. */
EDGED_MUST_CHECK int journal_read(struct journal *journal, uint64_t *position, struct buf *body);

struct journal_figures {
	uint64_t begin, end; /* positions: of the first frame, of the next one */
	uint64_t bytes;      /* of all files */
	uint64_t written;    /* since it was opened */
	uint64_t syncs;
	uint64_t bodies, squeezed; /* of the groups written: bytes of records, and what they can be made */
};
struct journal_figures journal_figures(const struct journal *journal);

#endif
