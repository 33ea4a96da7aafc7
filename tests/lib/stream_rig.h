/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One stream under test, with its peer on a thread of its own that uses plain blocking calls. The rig runs
 * the loops until the stream's closed() was called and the peer has ended; then the test looks at what both
 * have noted.
 */
#ifndef TESTS_STREAM_RIG_H
#define TESTS_STREAM_RIG_H

#include <pthread.h>
#include "base/buf.h"
#include "io/stream.h"

struct stream_rig {
	struct loops *loops;
	struct stream_origin origin; /* fd is filled in; the rest may be changed before the run */
	struct stream_chooser chooser;
	struct edged_stream *stream; /* NULL after closed() */
	int peer_fd;                 /* blocking, with a time limit of 10 s for each call */
	int created;                 /* what stream_new() returned */
	int opened, closed, drained, reason;
	bool inside;    /* one of the handler's callbacks is on the stack; closed() must not find it so */
	struct buf got; /* what on_data's default took */
	struct buf peer_got;      /* what the peer noted */
	int peer_result;          /* of the last call that failed, as errno; 0: the stream ended in order */
	uint64_t closed_after_ms; /* since the start */
	uint64_t started_ms;
	void *extra;
	int step;
	/* NULL: a default. Those run on the stream's loop. */
	int (*on_open)(struct stream_rig *rig);
	ssize_t (*on_data)(
	        struct stream_rig *rig, const uint8_t *bytes, size_t n); /* default: take all into `got` */
	void (*on_drained)(struct stream_rig *rig);
	void (*on_closed)(struct stream_rig *rig);
	void (*peer)(struct stream_rig *rig); /* default: peer_reads_all() */
	pthread_t thread;
	struct post start, done;
	int waiting_for; /* closed() and the peer */
};

extern const struct edged_stream_handler rig_handler; /* its self is the rig */

void rig_init(struct stream_rig *rig, unsigned loops);
void rig_run(struct stream_rig *rig);
void rig_fini(struct stream_rig *rig);

/* For peers. */
void peer_writes(struct stream_rig *rig, const void *bytes, size_t n);
void peer_reads(struct stream_rig *rig, size_t n); /* exactly n bytes, unless the stream ends */
void peer_reads_all(struct stream_rig *rig);       /* until the end */

#endif
