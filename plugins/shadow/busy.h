/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many requests of each thing are in flight, and how fast they come. Pure; a thing without any costs nothing, or is
 * remembered until a second's worth of its rate is there again.
 */
#ifndef SHADOW_BUSY_H
#define SHADOW_BUSY_H

#include <stdint.h>
#include <sys/queue.h>

struct thing;
TAILQ_HEAD(things, thing);

struct busy {
	unsigned in_flight; /* most of one thing */
	unsigned rate;      /* most of one thing in a second, also in one go; 0: any */
	void *tree;         /* tsearch(3), ordered by name */
	struct things idle; /* remembered for their rate alone; who came first is first */
};

void busy_init(struct busy *busy, unsigned in_flight, unsigned rate);
void busy_fini(struct busy *busy); /* nothing is in flight */
/* One more; `now` in ms, which counts with a rate. 0; -EBUSY: so many are in flight already; -EAGAIN: faster than the rate;
 * -ENOMEM. */
int busy_add(struct busy *busy, const char *thing, uint64_t now);
void busy_remove(struct busy *busy, const char *thing); /* there is one */

#endif
