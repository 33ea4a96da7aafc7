/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages that came from one node lately, so that one that comes again after a link broke is known. A message is its
 * number, which its node gives to no other, whom it is for (`share`), and its content: a node that lost its store begins its numbers anew. Pure.
 */
#ifndef MESH_WINDOW_H
#define MESH_WINDOW_H

#include "hash.h"

struct window {
	struct window_entry {
		uint64_t number, content;
	} * entries;               /* a ring */
	uint32_t size, most, next; /* it grows up to `most` */
	uint32_t doubtful;         /* so many of those to come may have come before */
};

void window_init(struct window *window, uint32_t most);
void window_fini(struct window *window);
/* A link begins: what was on the way when the former one broke comes first. */
void window_begin(struct window *window);
/* Has it been here? If not it has now. number 0: such a message comes once. */
bool window_meet(struct window *window, uint64_t number, uint32_t share, struct edged_slice topic,
        struct edged_slice payload);
/* What was noted may not have been kept after all. */
void window_forget(struct window *window);

#endif
