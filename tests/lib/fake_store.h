/* SPDX-License-Identifier: Apache-2.0 */
/* The store of fake_host: what is written waits until a test lets it be committed. */
#ifndef TESTS_FAKE_STORE_H
#define TESTS_FAKE_STORE_H

#include "edged/cap_store.h"
#include "fake_disk.h"
#include "fake_host.h"

struct op { /* of the store, in order */
	struct op *next;
	enum { OP_PUT, OP_DEL, OP_APPEND, OP_TRIM, OP_COMMIT, OP_SCAN, OP_REPLAY } kind;
	unsigned loop;
	char table[33];
	char *key, *value;
	size_t key_len, value_len;
	struct edged_joint *joint; /* held */
	bool failed;               /* the joint of its batch has */
	void (*done)(void *arg, int result);
	int (*row)(void *arg, struct edged_slice key, struct edged_slice value);
	int (*record)(void *arg, struct edged_slice record);
	uint64_t position;
	void *arg;
};

struct edged_joint {
	unsigned holds;
	bool failed;
};

extern const struct edged_store_1 fake_store_cap;
struct op *fake_take_ops(struct fake_host *f);            /* all that wait */
void fake_give_back(struct fake_host *f, struct op *ops); /* in front of those that came meanwhile */
void fake_run_op(struct fake_host *f, struct op *op, int result);
void fake_free_op(struct op *op);

#endif
