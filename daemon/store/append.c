/* SPDX-License-Identifier: Apache-2.0 */
/* The calling side of logs. */
#include "append.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"

#define LOGS_MAX 8 /* of one space */

/* --- under the mutex --- */

static int find_log(struct store_space *space, const char *name, struct logfile **ret)
{
	size_t prefix = strlen(space->name) + 1, n = strlen(name);
	unsigned count = 0;
	list_each (node, &space->store->logs) {
		struct logfile *log = list_entry(node, struct logfile, link);
		if (strncmp(log->name, space->name, prefix - 1) != 0 || log->name[prefix - 1] != '.')
			continue;
		count++;
		if (strcmp(log->name + prefix, name) == 0) {
			*ret = log;
			return 0;
		}
	}
	if (count >= LOGS_MAX)
		return -ENOSPC;
	struct logfile *log = calloc(1, sizeof(*log) + prefix + n + 1);
	if (!log)
		return -ENOMEM;
	snprintf(log->name, prefix + n + 1, "%s.%s", space->name, name);
	list_append(&space->store->logs, &log->link);
	*ret = log;
	return 0;
}

static int open_append(
        struct store_space *space, const char *name, struct channel **ret_channel, struct append **ret)
{
	struct logfile *log;
	int r = store_channel(space, ret_channel);
	if (!r)
		r = find_log(space, name, &log);
	if (!r)
		r = store_open_batch(space, *ret_channel);
	if (!r && !(*ret = append_of(&(*ret_channel)->open->u.batch, log)))
		r = -ENOMEM;
	return r;
}

static int add_record(struct store_space *space, const char *name, struct edged_slice record)
{
	struct channel *channel;
	struct append *append;
	if (store_queue_full(space, record.len))
		return -ENOSPC;
	int r = open_append(space, name, &channel, &append);
	if (r)
		return r;
	size_t before = append->records.len;
	r = record_add(&append->records, record);
	if (r)
		return r;
	store_charge(channel->open, append->records.len - before);
	space->store->counts.records++;
	return 0;
}

/* --- the interface --- */

int store_append(struct store_space *space, const char *log, struct edged_slice record)
{
	if (!store_name_fits(log) || !record.len || record.len > RECORD_MAX)
		return -EINVAL;
	pthread_mutex_lock(&space->store->mutex);
	int r = add_record(space, log, record);
	pthread_mutex_unlock(&space->store->mutex);
	return r;
}

int store_trim(struct store_space *space, const char *log, uint64_t position)
{
	struct channel *channel;
	struct append *append;
	if (!store_name_fits(log))
		return -EINVAL;
	pthread_mutex_lock(&space->store->mutex);
	int r = open_append(space, log, &channel, &append);
	if (!r && position > append->trim)
		append->trim = position;
	pthread_mutex_unlock(&space->store->mutex);
	return r;
}

int store_extent(struct store_space *space, const char *name, uint64_t *ret_begin, uint64_t *ret_end)
{
	struct logfile *log;
	if (!store_name_fits(name))
		return -EINVAL;
	pthread_mutex_lock(&space->store->mutex);
	int r = find_log(space, name, &log);
	if (!r) {
		*ret_begin = log->figures.begin;
		*ret_end = log->figures.end;
	}
	pthread_mutex_unlock(&space->store->mutex);
	return r;
}

static int send_replay(struct store_space *space, const char *name, struct op *op)
{
	struct channel *channel;
	int r = store_channel(space, &channel);
	if (!r)
		r = find_log(space, name, &op->u.replay.log);
	if (r)
		return r;
	store_own(op, space, channel);
	store_enqueue(space->store, op);
	return 0;
}

int store_replay(struct store_space *space, const char *log,
        int (*record)(void *arg, struct edged_slice record), void (*done)(void *arg, int result), void *arg)
{
	if (!store_name_fits(log))
		return -EINVAL;
	struct op *op = op_replay_new(NULL);
	if (!op)
		return -ENOMEM;
	op->u.replay.record = record;
	op->u.replay.done = done;
	op->arg = arg;
	pthread_mutex_lock(&space->store->mutex);
	int r = send_replay(space, log, op);
	pthread_mutex_unlock(&space->store->mutex);
	if (r)
		op_free(op);
	return r;
}

/* --- results, on the loop --- */

bool store_deliver_replay(struct op *op)
{
	struct replay *replay = &op->u.replay;
	struct edged_slice body = buf_slice(&replay->body), record;
	bool enough = false;
	/* As with rows: the callback before may have freed the space. */
	while (!enough && record_take(&body, &record))
		enough = op->space->freed || replay->record(op->arg, record);
	if (!enough && !replay->last) {
		replay->now = replay->next;
		return false;
	}
	if (!op->space->freed)
		replay->done(op->arg, op->result);
	return true;
}
