/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of fake_host share. */
#ifndef TESTS_FAKE_PRIVATE_H
#define TESTS_FAKE_PRIVATE_H

#include "fake_store.h"

#define MAX_FIGURES 200
#define MAX_LOOPS   8

struct call { /* a post or a deferred call */
	struct call *next;
	unsigned loop;
	void (*fn)(void *arg);
	void (*drop)(void *arg);
	void *arg;
};

struct edged_timer {
	struct edged_timer *next;
	struct fake_host *host;
	unsigned loop;
	void (*fire)(void *arg);
	void *arg;
	uint64_t due; /* 0: not armed */
};

struct fake_host {
	struct edged_host host; /* first member */
	const struct edged_plugin *plugin;
	void *self;
	const struct fake_setting *settings;
	struct fake_others others;
	struct fake_disk *disk;
	struct rows view; /* the disk with all writes that are queued */
	struct op *ops, **last_op;
	size_t writes;
	bool auto_commit;
	unsigned loops, loop;
	uint64_t now;
	struct call *posts, *deferred;
	struct edged_timer *timers;
	struct fake_peer *peers;
	const struct edged_stream_handler *handler;
	void *handler_self;
	int started; /* 1: not yet, else the result */
	struct {
		char name[100];
		int64_t word;
	} figures[MAX_FIGURES];
	size_t figure_count;
};

static inline struct fake_host *fake(struct edged_host *host)
{
	return (struct fake_host *)host;
}

#endif
