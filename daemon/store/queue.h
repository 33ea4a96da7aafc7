/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a store, shared by the calling side (store.c) and its thread (worker.c). Everything in struct
 * store below `mutex` is guarded by it; an operation in a list belongs to whoever took it out.
 */
#ifndef STORE_QUEUE_H
#define STORE_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "store/db.h"
#include "store/journal.h"
#include "store/op.h"
#include "store/pace.h"
#include "store/store.h"

/* A write that nobody commits is committed after this time. */
#define OVERDUE_MS 1000

/* Where the results for one loop wait until it has taken them: one post for many results, and no memory is
 * needed. */
struct outbox {
	struct list link;
	struct store *store;
	void *loop;
	struct list results; /* struct op */
	bool posted;         /* store_deliver() is on its way */
	bool to_post;        /* the thread is about to post it */
};

/* What one loop does in one space. */
struct channel {
	struct list link;
	struct outbox *outbox;
	struct op *open; /* the batch that collects writes, NULL: none */
	bool held;       /* used by joints_take() */
	int lost;        /* store's thread only: why an overdue batch failed; told by the next commit */
};

struct store_space {
	struct list link;
	struct store *store;
	struct list channels;
	struct list tables;
	unsigned tables_count;
	size_t queued;       /* bytes that wait */
	unsigned operations; /* that refer to this space */
	atomic_bool freed;   /* by its owner: results are dropped, memory goes with the last operation */
	char name[];
};

/* A log's name is "space.log". It stays until the store is closed. */
struct logfile {
	struct list link;
	struct journal *journal;        /* of the thread; NULL: not opened yet */
	size_t pending;                 /* of the thread: bytes of the group at hand */
	bool used;                      /* of the thread: the group at hand appends to it */
	struct journal_figures figures; /* of the last group that went through */
	char name[];
};

struct store {
	struct store_options options;
	char *path;
	int lock_fd;
	struct db *db; /* of the thread, once it runs */
	pthread_t thread;
	pthread_cond_t wake;

	pthread_mutex_t mutex;
	struct list queue; /* struct op, in order */
	struct list outboxes;
	struct list spaces;
	struct list logs;
	bool closing;
	bool stuck;           /* what is in the queue waits for parts of joints */
	bool sleeping;        /* the thread waits for work and wants to be told */
	struct pace pace;     /* how long it waits for company */
	uint64_t wakes_at_ms; /* when it wakes up anyway; 0: never */
	struct store_counts counts;
};

/* The operation is done, its memory is freed. Under the mutex. */
void store_release(struct store *store, struct op *op);

/* --- of the calling side, all under the mutex --- */
bool store_name_fits(const char *table);                            /* of a table or a log */
int store_channel(struct store_space *space, struct channel **ret); /* of the calling loop; -ENOMEM */
/* Makes sure that the channel has an open batch. -ENOMEM. */
int store_open_batch(struct store_space *space, struct channel *channel);
void store_charge(struct op *op, size_t bytes);
void store_own(struct op *op, struct store_space *space, struct channel *channel);
void store_enqueue(struct store *store, struct op *op);
bool store_queue_full(const struct store_space *space, size_t more);

/* Runs on the loop: calls back for all that waits in the outbox. */
void store_deliver(void *outbox);

#endif
