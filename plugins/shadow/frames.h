/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the shadow plugins of two nodes say to each other, each in one piece of edged.channel/1. Pure.
 *
 *     HELLO     I am here; do I want copies of your shadows? One that begins is answered with another one; again when that
 *               changes.
 *     SYNC      which shadows do you have, behind this one? Answered with
 *     PAGE      up to FRAME_ROWS of them, in the order of their keys
 *     HAVE      one that is made, deleted or made again
 *     WANT      copies of these, please; answered with a COPY each
 *     COPY      a shadow as it is stored; also unasked for, after each change, to those who want them
 *     BEHIND    there are COPYs that you did not get: SYNC anew
 *     REQUEST   to a shadow that you have; answered with
 *     ANSWER
 *     GOODBYE   I am leaving
 */
#ifndef SHADOW_FRAMES_H
#define SHADOW_FRAMES_H

#include "../broker/wire.h"
#include "name.h"

enum frame_type {
	FRAME_HELLO = 1,
	FRAME_SYNC,
	FRAME_PAGE,
	FRAME_HAVE,
	FRAME_WANT,
	FRAME_COPY,
	FRAME_BEHIND,
	FRAME_REQUEST,
	FRAME_ANSWER,
	FRAME_GOODBYE
};

enum { FRAME_ROWS = 128, FRAME_WANTS = 16 };

/* A node says that it is the home of a shadow. Of two homes of one shadow that with the better claim stays. */
struct claim {
	int64_t version;
	int64_t made;   /* s since 1970: when it was first made there; 0: before this was noted */
	uint32_t moves; /* how often its home was moved by hand */
	bool exists;    /* else it is deleted, and its version is kept */
};
/* Is the first one better? The later move, then the older shadow, then the lower node id. Never both ways, for ids differ. */
bool claim_better(const struct claim *a, const char *a_node, const struct claim *b, const char *b_node);

/* Flags of a REQUEST. */
enum {
	ASK_MIRROR = 1, /* tell the outcome on its topics */
	ASK_PATCH = 2,
	ASK_REPLACE = 4,
	ASK_WHOLE = 8,
	ASK_BODY = 16, /* the answer is to have one */
	ASK_MAKE = 32, /* if there is none yet */
	ASK_COPY = 64  /* of a shadow that is another one's: what you know of it */
};

struct frame {
	enum frame_type type;
	bool begins;             /* HELLO */
	bool wants;              /* HELLO: copies */
	bool last;               /* PAGE */
	struct shadow_name name; /* of SYNC: empty at the start */
	struct claim claim;      /* HAVE */
	int64_t seconds; /* COPY: since 1970, when it was its home's. ANSWER: its age, below 0: it is the home's. */
	uint32_t id; /* REQUEST, SYNC, WANT, and the same in what answers them. COPY: 0 when unasked for */
	uint8_t verb, flags;     /* REQUEST: enum shadow_verb */
	int64_t number;          /* REQUEST: match. ANSWER: version */
	uint16_t code;           /* ANSWER: 0, or of the refusal */
	struct edged_slice home; /* COPY: whose it is; empty: the sender's */
	struct edged_slice text; /* ANSWER: of the refusal */
	struct edged_slice
	        body; /* PAGE, WANT: rows. COPY: stored text; empty: there is none. REQUEST: payload. ANSWER */
};

/* Bytes that frame_write() takes at most. */
size_t frame_size(const struct frame *frame);
/* Bytes written; 0: no room. */
size_t frame_write(const struct frame *frame, void *bytes, size_t n);
/* False: it makes no sense, or is of a later version. Slices point into the bytes. */
bool frame_read(struct edged_slice bytes, struct frame *ret);

/* Rows of a PAGE, and keys of a WANT. */
enum { ROW_MAX = 2 + SHADOW_KEY_MAX + 8 + 8 + 4 + 1 };
void row_write(struct writer *w, const struct shadow_name *name, const struct claim *claim);
bool row_read(struct reader *r, struct shadow_name *ret_name, struct claim *ret_claim);
void want_write(struct writer *w, const struct shadow_name *name);
bool want_read(struct reader *r, struct shadow_name *ret);

#endif
