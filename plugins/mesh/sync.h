/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retained messages that a node has missed. While it is connected, and from its queue when it was away, it gets each one as it is
 * published; but two nodes may meet for the first time, or a queue may have been too small. So at the beginning of each
 * connection both tell a digest of what they have, in parts by topic, and each sends what it has in the parts that differ.
 * Of two messages on a topic the one with the higher stamp stays, on all nodes; that one was deleted counts as a message.
 *
 * Who has learned something so tells the others its digest again: it was meant for all, and who told it may have no more
 * to do with those that lack it. And where nothing else is said for a minute the digests are compared, as a message may have
 * reached some nodes only, from one that is gone.
 *
 * All of it waits until the queue from before is empty: what is in there is older. A node that meets many others at once tells
 * its digest to few at a time, and to the next ones when these have sent what it lacked; else all would send it all of it.
 */
#ifndef MESH_SYNC_H
#define MESH_SYNC_H

#include "frames.h"

struct peer;

struct sync {
	uint64_t backlog; /* the queue of before is empty when so many were acknowledged or dropped */
	bool told;        /* our digest, */
	bool counted;     /* and among those that others wait for */
	uint64_t told_ms;
	bool asked;     /* theirs has come: */
	bool answering; /* what differs is being sent */
	bool learned;   /* something came of what we lacked */
	uint64_t compared_theirs,
	        compared_ours; /* when the digests were last found to differ by sync_compare() */
	uint64_t *theirs;
	char **topics; /* to be sent */
	size_t next, count, size;
};

void sync_begin(struct peer *peer); /* it is connected */
void sync_end(struct peer *peer);
void sync_done(struct peer *peer);                  /* it has sent all that we lacked */
void sync_compare(struct peer *peer, uint64_t sum); /* what its digest comes to */
bool sync_is_due(const struct sync *sync);
void sync_digest(struct peer *peer, const uint64_t theirs[DIGEST_PARTS]);
/* Goes on, when there is room or time has passed. */
void sync_step(struct peer *peer);

#endif
