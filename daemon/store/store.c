/* SPDX-License-Identifier: Apache-2.0 */
/* The calling side: queues work for the store's thread, and runs callbacks on the loops. */
#include "store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "append.h"
#include "joint.h"
#include "lock.h"
#include "queue.h"
#include "worker.h"

#define VALUE_MAX    (16u * 1024 * 1024)
#define TABLE_MAX    32
#define TABLES_MAX   256 /* of one space */
#define SPACE_MAX    64
#define THREAD_STACK (512u * 1024)

static bool name_fits(const char *name, size_t max, const char *allowed)
{
	size_t n = strlen(name);
	return n && n <= max && strspn(name, allowed) == n;
}

bool store_name_fits(const char *table)
{
	return name_fits(table, TABLE_MAX, "abcdefghijklmnopqrstuvwxyz0123456789_");
}

/* --- open and close --- */

static void store_free(struct store *store)
{
	if (!store)
		return;
	db_free(store->db);
	list_each_safe (node, &store->logs) {
		struct logfile *log = list_entry(node, struct logfile, link);
		journal_free(log->journal);
		free(log);
	}
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	pthread_cond_destroy(&store->wake);
	pthread_mutex_destroy(&store->mutex);
	free(store->path);
	free(store);
}
DEFINE_CLEANUP(struct store *, store_free)

static struct store *store_new(const struct store_options *options)
{
	struct store *store = calloc(1, sizeof(*store));
	if (!store)
		return NULL;
	store->options = *options;
	store->lock_fd = -1;
	list_init(&store->queue);
	list_init(&store->outboxes);
	list_init(&store->spaces);
	list_init(&store->logs);
	pthread_mutex_init(&store->mutex, NULL);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&store->wake, &attr);
	pthread_condattr_destroy(&attr);
	store->path = strdup(options->path);
	if (!store->path) {
		store_free(store);
		return NULL;
	}
	store->options.path = store->path;
	store->pace = (struct pace){
		.group_us = options->group_ms * 1000,
		.max_us = options->group_max_ms * 1000,
	};
	return store;
}

static int take_lock(struct store *store, struct err *err)
{
	CLEANUP(free_charp) char *path = NULL;
	if (asprintf(&path, "%s.lock", store->path) < 0) {
		path = NULL;
		return err_set(err, -ENOMEM, "no memory to open %s", store->path);
	}
	return lock_take(path, &store->lock_fd, err);
}

int store_open(const struct store_options *options, struct store **ret, int *ret_damaged, struct err *err)
{
	CLEANUP(store_freep) struct store *store = store_new(options);
	if (!store)
		return err_set(err, -ENOMEM, "no memory to open %s", options->path);
	int r = take_lock(store, err);
	if (r)
		return r;
	bool damaged = false;
	r = db_open(store->path, options->cache_bytes, &store->db, &damaged, err);
	if (r)
		return r;
	r = thread_start(&store->thread, THREAD_STACK, worker_main, store);
	if (r)
		return err_set(err, r, "cannot start the thread of %s: %s", store->path, strerror(-r));
	if (ret_damaged)
		*ret_damaged = damaged;
	*ret = TAKE(store);
	return 0;
}

static void space_destroy(struct store_space *space)
{
	list_each_safe (node, &space->channels) {
		struct channel *channel = list_entry(node, struct channel, link);
		op_free(channel->open);
		free(channel);
	}
	list_each_safe (node, &space->tables)
		free(list_entry(node, struct table, link));
	list_remove(&space->link);
	free(space);
}

void store_close(struct store *store)
{
	if (!store)
		return;
	pthread_mutex_lock(&store->mutex);
	store->closing = true;
	store->stuck = false;
	pthread_cond_signal(&store->wake);
	pthread_mutex_unlock(&store->mutex);
	pthread_join(store->thread, NULL);
	list_each_safe (node, &store->outboxes) {
		struct outbox *outbox = list_entry(node, struct outbox, link);
		list_each_safe (inner, &outbox->results) {
			struct op *op = list_entry(inner, struct op, link);
			list_remove(&op->link);
			op_free(op);
		}
		free(outbox);
	}
	list_each_safe (node, &store->spaces)
		space_destroy(list_entry(node, struct store_space, link));
	store_free(store);
}

/* --- spaces, and what a loop does in them; all under the mutex --- */

int store_space_new(struct store *store, const char *name, struct store_space **ret)
{
	if (!name_fits(name, SPACE_MAX, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"))
		return -EINVAL;
	struct store_space *space = calloc(1, sizeof(*space) + strlen(name) + 1);
	if (!space)
		return -ENOMEM;
	space->store = store;
	memcpy(space->name, name, strlen(name));
	list_init(&space->channels);
	list_init(&space->tables);
	pthread_mutex_lock(&store->mutex);
	list_append(&store->spaces, &space->link);
	pthread_mutex_unlock(&store->mutex);
	*ret = space;
	return 0;
}

/* Bytes that the operation appends to logs. */
static size_t records_of(const struct op *op)
{
	size_t bytes = 0;
	list_each (node, &op->u.batch.appends)
		bytes += list_entry(node, struct append, link)->records.len;
	return bytes;
}

void store_enqueue(struct store *store, struct op *op)
{
	uint64_t now = clock_mono_us();
	bool look = op->kind == OP_BATCH ? pace_commit(&store->pace, now, op->charge, records_of(op))
	                                 : pace_read(&store->pace, now, op->charge);
	list_append(&store->queue, &op->link);
	store->stuck = false;
	if (store->sleeping || look) {
		store->sleeping = false;
		pthread_cond_signal(&store->wake);
	}
}

void store_space_free(struct store_space *space)
{
	if (!space)
		return;
	struct store *store = space->store;
	pthread_mutex_lock(&store->mutex);
	list_each (node, &space->channels) {
		struct channel *channel = list_entry(node, struct channel, link);
		if (channel->open)
			store_enqueue(store, TAKE(channel->open));
	}
	space->freed = true;
	if (!space->operations)
		space_destroy(space);
	pthread_mutex_unlock(&store->mutex);
}

void store_release(struct store *store, struct op *op)
{
	(void)store;
	struct store_space *space = op->space;
	space->queued -= op->charge;
	op_free(op);
	space->operations--;
	if (space->freed && !space->operations)
		space_destroy(space);
}

static int find_outbox(struct store *store, struct outbox **ret)
{
	void *loop = store->options.executor.self();
	list_each (node, &store->outboxes) {
		struct outbox *outbox = list_entry(node, struct outbox, link);
		if (outbox->loop == loop) {
			*ret = outbox;
			return 0;
		}
	}
	struct outbox *outbox = calloc(1, sizeof(*outbox));
	if (!outbox)
		return -ENOMEM;
	outbox->store = store;
	outbox->loop = loop;
	list_init(&outbox->results);
	list_append(&store->outboxes, &outbox->link);
	*ret = outbox;
	return 0;
}

int store_channel(struct store_space *space, struct channel **ret)
{
	void *loop = space->store->options.executor.self();
	list_each (node, &space->channels) {
		struct channel *channel = list_entry(node, struct channel, link);
		if (channel->outbox->loop == loop) {
			*ret = channel;
			return 0;
		}
	}
	struct outbox *outbox;
	int r = find_outbox(space->store, &outbox);
	if (r)
		return r;
	struct channel *channel = calloc(1, sizeof(*channel));
	if (!channel)
		return -ENOMEM;
	channel->outbox = outbox;
	list_append(&space->channels, &channel->link);
	*ret = channel;
	return 0;
}

static int find_table(struct store_space *space, const char *name, struct table **ret)
{
	size_t prefix = strlen(space->name) + 1, n = strlen(name);
	list_each (node, &space->tables) {
		struct table *table = list_entry(node, struct table, link);
		if (strcmp(table->name + prefix, name) == 0) {
			*ret = table;
			return 0;
		}
	}
	if (space->tables_count == TABLES_MAX)
		return -ENOSPC;
	struct table *table = calloc(1, sizeof(*table) + prefix + n + 1);
	if (!table)
		return -ENOMEM;
	snprintf(table->name, prefix + n + 1, "%s/%s", space->name, name);
	list_append(&space->tables, &table->link);
	space->tables_count++;
	*ret = table;
	return 0;
}

void store_charge(struct op *op, size_t bytes)
{
	op->charge += bytes;
	op->space->queued += bytes;
}

void store_own(struct op *op, struct store_space *space, struct channel *channel)
{
	op->space = space;
	op->channel = channel;
	space->operations++;
	store_charge(op, sizeof(*op));
}

/* --- writes --- */

int store_open_batch(struct store_space *space, struct channel *channel)
{
	struct store *store = space->store;
	if (channel->open)
		return 0;
	struct op *op = op_batch_new();
	if (!op)
		return -ENOMEM;
	store_own(op, space, channel);
	uint64_t now = clock_mono_ms();
	op->u.batch.opened_ms = now;
	channel->open = op;
	/* The thread watches the time of open batches, but an idle one knows of none. */
	if (store->sleeping && (!store->wakes_at_ms || store->wakes_at_ms > now + OVERDUE_MS)) {
		store->sleeping = false;
		pthread_cond_signal(&store->wake);
	}
	return 0;
}

/* A write larger than the limit goes alone. */
bool store_queue_full(const struct store_space *space, size_t more)
{
	return space->queued && space->queued + more > space->store->options.queue_bytes;
}

static int add_write(struct store_space *space, struct write *write, const char *table)
{
	struct channel *channel;
	size_t bytes = sizeof(*write) + write->key_len + write->value_len;
	if (store_queue_full(space, bytes))
		return -ENOSPC;
	int r = store_channel(space, &channel);
	if (!r)
		r = find_table(space, table, &write->table);
	if (!r)
		r = store_open_batch(space, channel);
	if (r)
		return r;
	list_append(&channel->open->u.batch.writes, &write->link);
	store_charge(channel->open, bytes);
	space->store->counts.writes++;
	return 0;
}

static int queue_write(struct store_space *space, const char *table, bool del, struct edged_slice key,
        struct edged_slice value)
{
	if (!store_name_fits(table) || !key.len || key.len > KEY_MAX || value.len > VALUE_MAX)
		return -EINVAL;
	struct write *write = write_new(NULL, del, key, value);
	if (!write)
		return -ENOMEM;
	pthread_mutex_lock(&space->store->mutex);
	int r = add_write(space, write, table);
	pthread_mutex_unlock(&space->store->mutex);
	if (r)
		free(write);
	return r;
}

int store_put(struct store_space *space, const char *table, struct edged_slice key, struct edged_slice value)
{
	return queue_write(space, table, false, key, value);
}

int store_del(struct store_space *space, const char *table, struct edged_slice key)
{
	return queue_write(space, table, true, key, edged_slice(NULL, 0));
}

static int send_commit(
        struct store_space *space, struct edged_joint *joint, void (*done)(void *arg, int result), void *arg)
{
	struct channel *channel;
	int r = store_channel(space, &channel);
	if (!r && !channel->open) {
		channel->open = op_batch_new();
		if (channel->open)
			store_own(channel->open, space, channel);
		else
			r = -ENOMEM;
	}
	if (r)
		return r;
	struct op *op = TAKE(channel->open);
	op->u.batch.done = done;
	op->u.batch.joint = joint;
	if (joint)
		joint->come++;
	op->arg = arg;
	store_enqueue(space->store, op);
	return 0;
}

int store_commit(struct store_space *space, void (*done)(void *arg, int result), void *arg)
{
	pthread_mutex_lock(&space->store->mutex);
	int r = send_commit(space, NULL, done, arg);
	pthread_mutex_unlock(&space->store->mutex);
	return r;
}

int store_joint_new(unsigned parts, struct edged_joint **ret)
{
	return joint_new(parts, ret);
}

static void leave(struct store *store, struct edged_joint *joint)
{
	joint->failed = true;
	joint_release(joint);
	store->stuck = store->sleeping = false; /* its other parts can be told */
	pthread_cond_signal(&store->wake);
}

int store_commit_joint(
        struct store_space *space, struct edged_joint *joint, void (*done)(void *arg, int result), void *arg)
{
	pthread_mutex_lock(&space->store->mutex);
	int r = send_commit(space, joint, done, arg);
	if (r)
		leave(space->store, joint);
	pthread_mutex_unlock(&space->store->mutex);
	return r;
}

void store_joint_leave(struct store *store, struct edged_joint *joint)
{
	pthread_mutex_lock(&store->mutex);
	leave(store, joint);
	pthread_mutex_unlock(&store->mutex);
}

/* --- reads --- */

static int send_read(struct store_space *space, const char *name, struct op *op, struct table **table,
        int (*overlay)(struct op *op, const struct list *writes))
{
	struct channel *channel;
	int r = store_channel(space, &channel);
	if (!r)
		r = find_table(space, name, table);
	if (!r && channel->open)
		r = overlay(op, &channel->open->u.batch.writes);
	if (r)
		return r;
	store_own(op, space, channel);
	store_enqueue(space->store, op);
	return 0;
}

int store_get(struct store_space *space, const char *table, struct edged_slice key,
        void (*found)(void *arg, int result, struct edged_slice value), void *arg)
{
	if (!store_name_fits(table) || !key.len || key.len > KEY_MAX)
		return -EINVAL;
	struct op *op = op_get_new(NULL, key);
	if (!op)
		return -ENOMEM;
	op->u.get.found = found;
	op->arg = arg;
	pthread_mutex_lock(&space->store->mutex);
	int r = send_read(space, table, op, &op->u.get.table, op_get_overlay);
	pthread_mutex_unlock(&space->store->mutex);
	if (r)
		op_free(op);
	return r;
}

int store_scan(struct store_space *space, const char *table, struct edged_slice from, struct edged_slice to,
        size_t limit, int (*row)(void *arg, struct edged_slice key, struct edged_slice value),
        void (*end)(void *arg, int result), void *arg)
{
	if (!store_name_fits(table) || from.len > KEY_MAX || to.len > KEY_MAX)
		return -EINVAL;
	struct op *op = op_scan_new(NULL, from, to, limit);
	if (!op)
		return -ENOMEM;
	op->u.scan->row = row;
	op->u.scan->end = end;
	op->arg = arg;
	pthread_mutex_lock(&space->store->mutex);
	int r = send_read(space, table, op, &op->u.scan->table, op_scan_overlay);
	pthread_mutex_unlock(&space->store->mutex);
	if (r)
		op_free(op);
	return r;
}

/* --- results, on the loop --- */

/* 1: the callback wants no more rows. */
static int show_rows(struct op *op)
{
	const struct buf *rows = &op->u.scan->rows;
	for (size_t at = 0; at < rows->len;) {
		struct row_head head;
		memcpy(&head, rows->ptr + at, sizeof(head));
		at += sizeof(head);
		struct edged_slice key = edged_slice(rows->ptr + at, head.key_len);
		struct edged_slice value = edged_slice(rows->ptr + at + head.key_len, head.value_len);
		at += head.key_len + head.value_len;
		/* The callback before may have freed the space. Its owner does that on its own loop, so no
		 * lock. */
		if (op->space->freed || op->u.scan->row(op->arg, key, value))
			return 1;
	}
	return 0;
}

/* True: the operation is done. */
static bool deliver(struct op *op)
{
	switch (op->kind) {
	case OP_BATCH:
		op->u.batch.done(op->arg, op->result);
		return true;
	case OP_GET:
		op->u.get.found(op->arg, op->result, edged_slice(op->u.get.value, op->u.get.value_len));
		return true;
	case OP_REPLAY:
		return store_deliver_replay(op);
	case OP_SCAN:
		break;
	}
	int enough = show_rows(op);
	if (!enough && !op->u.scan->last) {
		op->u.scan->now = op->u.scan->next;
		return false;
	}
	if (!op->space->freed && op->u.scan->end)
		op->u.scan->end(op->arg, op->result);
	return true;
}

static void release_all(struct store *store, struct list *ops)
{
	list_each_safe (node, ops) {
		struct op *op = list_entry(node, struct op, link);
		list_remove(&op->link);
		store_release(store, op);
	}
}

void store_deliver(void *arg)
{
	struct outbox *outbox = arg;
	struct store *store = outbox->store;
	struct list results, done, again;
	list_init(&results);
	list_init(&done);
	list_init(&again);
	pthread_mutex_lock(&store->mutex);
	outbox->posted = false;
	if (!list_empty(&outbox->results)) {
		list_insert_before(&outbox->results, &results);
		list_remove(&outbox->results);
	}
	pthread_mutex_unlock(&store->mutex);
	list_each_safe (node, &results) {
		struct op *op = list_entry(node, struct op, link);
		list_remove(&op->link);
		list_append(op->space->freed || deliver(op) ? &done : &again, &op->link);
	}
	pthread_mutex_lock(&store->mutex);
	release_all(store, &done);
	list_each_safe (node, &again) {
		struct op *op = list_entry(node, struct op, link);
		list_remove(&op->link);
		store_enqueue(store, op);
	}
	pthread_mutex_unlock(&store->mutex);
}

/* --- figures --- */

static uint64_t file_bytes(const char *path, const char *suffix)
{
	char name[4096];
	struct stat st;
	if (snprintf(name, sizeof(name), "%s%s", path, suffix) >= (int)sizeof(name) || stat(name, &st) < 0)
		return 0;
	return (uint64_t)st.st_size;
}

struct store_counts store_counts(struct store *store)
{
	pthread_mutex_lock(&store->mutex);
	struct store_counts counts = store->counts;
	counts.queued_bytes = counts.log_bytes = counts.log_written = counts.syncs = 0;
	counts.log_records = counts.log_squeezed = 0;
	list_each (node, &store->spaces)
		counts.queued_bytes += list_entry(node, struct store_space, link)->queued;
	list_each (node, &store->logs) {
		const struct journal_figures *figures = &list_entry(node, struct logfile, link)->figures;
		counts.log_bytes += figures->bytes;
		counts.log_written += figures->written;
		counts.syncs += figures->syncs;
		counts.log_records += figures->bodies;
		counts.log_squeezed += figures->squeezed;
	}
	pthread_mutex_unlock(&store->mutex);
	counts.file_bytes = file_bytes(store->path, "") + file_bytes(store->path, "-wal");
	return counts;
}
