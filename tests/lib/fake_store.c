/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_store.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fake_private.h"

static struct op *add_op(struct edged_host *host, int kind, const char *table)
{
	struct op *op = calloc(1, sizeof(*op));
	if (!op)
		return NULL;
	op->kind = kind;
	op->loop = fake(host)->loop;
	if (table)
		snprintf(op->table, sizeof(op->table), "%s", table);
	*fake(host)->last_op = op;
	fake(host)->last_op = &op->next;
	return op;
}

static int add_write(struct edged_host *host, int kind, const char *table, struct edged_slice key,
        struct edged_slice value)
{
	struct op *op = add_op(host, kind, table);
	if (!op)
		return -ENOMEM;
	op->key = fake_copy(key.ptr, op->key_len = key.len);
	op->value = fake_copy(value.ptr, op->value_len = value.len);
	if (kind != OP_APPEND)
		fake_apply(&fake(host)->view, table, key, kind == OP_PUT ? &value : NULL);
	fake(host)->writes++;
	return 0;
}

static int store_put(
        struct edged_host *host, const char *table, struct edged_slice key, struct edged_slice value)
{
	return key.len && key.len <= 1024 ? add_write(host, OP_PUT, table, key, value) : -EINVAL;
}

static int store_del(struct edged_host *host, const char *table, struct edged_slice key)
{
	return add_write(host, OP_DEL, table, key, edged_slice(NULL, 0));
}

static int store_append(struct edged_host *host, const char *log, struct edged_slice record)
{
	return record.len ? add_write(host, OP_APPEND, log, edged_slice(NULL, 0), record) : -EINVAL;
}

static int store_commit(struct edged_host *host, void (*done)(void *arg, int result), void *arg)
{
	struct op *op = add_op(host, OP_COMMIT, NULL);
	if (!op)
		return -ENOMEM;
	op->done = done;
	op->arg = arg;
	return 0;
}

static int store_joint(struct edged_host *host, unsigned parts, struct edged_joint **ret)
{
	(void)host;
	*ret = calloc(1, sizeof(**ret));
	if (*ret)
		(*ret)->holds = parts;
	return *ret ? 0 : -ENOMEM;
}

static void joint_release(struct edged_joint *joint)
{
	if (joint && --joint->holds == 0)
		free(joint);
}

static void store_leave_joint(struct edged_host *host, struct edged_joint *joint)
{
	(void)host;
	joint->failed = true;
	joint_release(joint);
}

static int store_commit_joint(
        struct edged_host *host, struct edged_joint *joint, void (*done)(void *arg, int result), void *arg)
{
	struct op *op = add_op(host, OP_COMMIT, NULL);
	if (!op) {
		store_leave_joint(host, joint);
		return -ENOMEM;
	}
	op->done = done;
	op->arg = arg;
	op->joint = joint;
	return 0;
}

static int store_scan(struct edged_host *host, const char *table, struct edged_slice from,
        struct edged_slice to, size_t limit,
        int (*row)(void *arg, struct edged_slice key, struct edged_slice value),
        void (*end)(void *arg, int result), void *arg)
{
	assert(!from.len && !to.len && !limit);
	struct op *op = add_op(host, OP_SCAN, table);
	if (!op)
		return -ENOMEM;
	op->row = row;
	op->done = end;
	op->arg = arg;
	return 0;
}

static int store_get(struct edged_host *host, const char *table, struct edged_slice key,
        void (*found)(void *arg, int result, struct edged_slice value), void *arg)
{
	(void)host, (void)table, (void)key, (void)found, (void)arg;
	return -ENOSYS;
}

static int store_trim(struct edged_host *host, const char *log, uint64_t position)
{
	struct op *op = add_op(host, OP_TRIM, log);
	if (!op)
		return -ENOMEM;
	op->position = position;
	return 0;
}

static int store_extent(struct edged_host *host, const char *log, uint64_t *ret_begin, uint64_t *ret_end)
{
	*ret_begin = fake_begin(fake(host)->disk, log);
	*ret_end = fake(host)->disk->end;
	return 0;
}

static int store_replay(struct edged_host *host, const char *log,
        int (*record)(void *arg, struct edged_slice record), void (*end)(void *arg, int result), void *arg)
{
	struct op *op = add_op(host, OP_REPLAY, log);
	if (!op)
		return -ENOMEM;
	op->record = record;
	op->done = end;
	op->arg = arg;
	return 0;
}

const struct edged_store_1 fake_store_cap = {
	.struct_size = sizeof(fake_store_cap),
	.put = store_put,
	.del = store_del,
	.commit = store_commit,
	.get = store_get,
	.scan = store_scan,
	.joint = store_joint,
	.commit_joint = store_commit_joint,
	.leave_joint = store_leave_joint,
	.append = store_append,
	.extent = store_extent,
	.trim = store_trim,
	.replay = store_replay,
};

static void run_read(struct fake_host *f, const struct op *op)
{
	struct rows rows = fake_rows_copy(op->kind == OP_SCAN ? &f->view : &f->disk->rows);
	bool enough = false;
	for (size_t i = 0; i < rows.count && !enough; i++) {
		const struct row *row = rows.all[i];
		struct edged_slice key = edged_slice(row->key, row->key_len);
		struct edged_slice value = edged_slice(row->value, row->value_len);
		if (strcmp(row->table, op->table) == 0)
			enough = op->kind == OP_SCAN ? op->row(op->arg, key, value)
			                             : op->record(op->arg, value);
	}
	fake_rows_free(&rows);
	op->done(op->arg, 0);
}

void fake_free_op(struct op *op)
{
	free(op->key);
	free(op->value);
	joint_release(op->joint);
	free(op);
}

struct op *fake_take_ops(struct fake_host *f)
{
	struct op *ops = f->ops;
	f->ops = NULL;
	f->last_op = &f->ops;
	return ops;
}

void fake_give_back(struct fake_host *f, struct op *ops)
{
	struct op **at = &ops;
	while (*at)
		at = &(*at)->next;
	*at = f->ops;
	if (f->ops == NULL)
		f->last_op = at;
	f->ops = ops;
	if (!f->ops)
		f->last_op = &f->ops;
}

void fake_run_op(struct fake_host *f, struct op *op, int result)
{
	struct edged_slice key = edged_slice(op->key, op->key_len),
	                   value = edged_slice(op->value, op->value_len);
	if (op->kind == OP_PUT && !result)
		fake_apply(&f->disk->rows, op->table, key, &value);
	else if (op->kind == OP_DEL && !result)
		fake_apply(&f->disk->rows, op->table, key, NULL);
	else if (op->kind == OP_APPEND && !result)
		fake_append(f->disk, op->table, value);
	else if (op->kind == OP_TRIM && !result)
		fake_trim(f->disk, op->table, op->position);
	f->loop = op->loop;
	if (op->kind == OP_COMMIT && op->done)
		op->done(op->arg, result);
	if (op->kind == OP_SCAN || op->kind == OP_REPLAY)
		run_read(f, op);
}
