/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The book of jobs and the store, kept together. Who changes something in the book puts it into a batch; what is to be told of
 * it, and the answer, go out once the batch is on the disk, in the order of the batches. An answer that tells only what
 * the book says waits in the same way for changes that are not on the disk yet. When the store fails, the book is read anew
 * from it; until that is done nothing is changed. Main loop.
 *
 *     jobs        id: see job.c
 *     waiting     id: a JSON array; of a snapshot the things that had no execution when the job was made
 *     executions  id, NUL, thing: see execution.c
 */
#ifndef JOBS_LEDGER_H
#define JOBS_LEDGER_H

#include "edged/cap_log.h"
#include "edged/cap_loop.h"
#include "edged/cap_pubsub.h"
#include "edged/cap_store.h"
#include "book.h"

struct ledger_deps {
	struct edged_host *host;
	const struct edged_log_1 *log;
	const struct edged_loop_1 *loop;
	const struct edged_store_1 *store;
	const struct edged_pubsub_1 *pubsub;
	int64_t (*wall)(void); /* seconds since 1970 */
	/* The book was read from the store. On a negative errno it was not: ledger_load() may be tried again. */
	void (*loaded)(void *arg, int result);
	void *arg;
};

enum ledger_state { LEDGER_READY, LEDGER_READING, LEDGER_LOST };

struct ledger {
	struct ledger_deps deps;
	struct book book;
	enum ledger_state state; /* LEDGER_LOST: the store could not be read */
	unsigned open;           /* batches that are on their way to the disk */
	unsigned generation;     /* how often the book was read */
	unsigned reading;        /* the table that is being read */
	int result;
	LIST_HEAD(, batch) batches;
};

void ledger_init(struct ledger *ledger, const struct ledger_deps *deps);
/* Batches that the store has not answered end with -ECANCELED. */
void ledger_fini(struct ledger *ledger);
/* Reads the store. */
EDGED_MUST_CHECK int ledger_load(struct ledger *ledger);
struct moment ledger_now(const struct ledger *ledger);
/* Publishes at once. */
void ledger_publish(const struct ledger *ledger, const char *topic, const char *text);

/* --- batches --- */

struct batch;

/* NULL: no memory. */
struct batch *batch_new(struct ledger *ledger);
/* What is in the book goes to the store; errors show at the end. */
void batch_put_job(struct batch *batch, const struct job *job);
void batch_put_waiting(struct batch *batch, const struct job *job);
void batch_put(struct batch *batch, const struct execution *execution);
void batch_delete_job(struct batch *batch, const struct job *job);
void batch_delete_waiting(struct batch *batch, const struct job *job);
void batch_delete(struct batch *batch, const struct execution *execution);
/* The change could not be made, or not wholly. */
void batch_fail(struct batch *batch, int result);
/* To be published; takes the text. NULL: no memory, which is a failure. */
void batch_tell(struct batch *batch, const char *topic, char *text);
/* One with nothing in it, that is not needed. */
void batch_drop(struct batch *batch);
/* Ends the batch. done() is called once: with 0 when all is on the disk, and told; at once when there is nothing to wait for. */
void batch_end(struct batch *batch, void (*done)(void *arg, int result), void *arg);

#endif
