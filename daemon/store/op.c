/* SPDX-License-Identifier: Apache-2.0 */
#include "op.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "joint.h"

static struct op *op_new(enum op_kind kind, size_t extra)
{
	struct op *op = calloc(1, sizeof(*op) + extra);
	if (!op)
		return NULL;
	op->kind = kind;
	list_init(&op->link);
	return op;
}

struct op *op_batch_new(void)
{
	struct op *op = op_new(OP_BATCH, 0);
	if (op) {
		list_init(&op->u.batch.writes);
		list_init(&op->u.batch.appends);
	}
	return op;
}

struct op *op_replay_new(struct logfile *log)
{
	struct op *op = op_new(OP_REPLAY, 0);
	if (op) {
		op->u.replay.log = log;
		buf_init(&op->u.replay.body, 0);
	}
	return op;
}

struct op *op_get_new(struct table *table, struct edged_slice key)
{
	struct op *op = op_new(OP_GET, key.len);
	if (!op)
		return NULL;
	op->u.get.table = table;
	op->u.get.key_len = (uint32_t)key.len;
	memcpy(op->u.get.key, key.ptr, key.len);
	return op;
}

struct op *op_scan_new(struct table *table, struct edged_slice from, struct edged_slice to, size_t limit)
{
	struct op *op = op_new(OP_SCAN, 0);
	struct scan *scan = op ? calloc(1, sizeof(*scan) + to.len) : NULL;
	if (!scan) {
		free(op);
		return NULL;
	}
	op->u.scan = scan;
	scan->table = table;
	scan->now.left = limit ? limit : SIZE_MAX;
	scan->now.key_len = (uint32_t)from.len;
	if (from.len)
		memcpy(scan->now.key, from.ptr, from.len);
	scan->to_len = (uint32_t)to.len;
	if (to.len)
		memcpy(scan->to, to.ptr, to.len);
	buf_init(&scan->rows, 0);
	return op;
}

static void scan_free(struct scan *scan)
{
	for (size_t i = 0; i < scan->overlay_count; i++)
		free(scan->overlay[i]);
	free(scan->overlay);
	buf_fini(&scan->rows);
	free(scan);
}

void op_free(struct op *op)
{
	if (!op)
		return;
	switch (op->kind) {
	case OP_BATCH:
		writes_free(&op->u.batch.writes);
		appends_free(&op->u.batch.appends);
		joint_release(op->u.batch.joint);
		break;
	case OP_GET:
		free(op->u.get.value);
		break;
	case OP_SCAN:
		scan_free(op->u.scan);
		break;
	case OP_REPLAY:
		buf_fini(&op->u.replay.body);
		break;
	}
	free(op);
}

struct write *write_new(struct table *table, bool del, struct edged_slice key, struct edged_slice value)
{
	struct write *write = malloc(sizeof(*write) + key.len + value.len);
	if (!write)
		return NULL;
	list_init(&write->link);
	write->table = table;
	write->del = del;
	write->key_len = (uint32_t)key.len;
	write->value_len = (uint32_t)value.len;
	memcpy(write->bytes, key.ptr, key.len);
	if (value.len)
		memcpy(write->bytes + key.len, value.ptr, value.len);
	return write;
}

struct edged_slice write_key(const struct write *write)
{
	return edged_slice(write->bytes, write->key_len);
}

struct edged_slice write_value(const struct write *write)
{
	return edged_slice(write->bytes + write->key_len, write->value_len);
}

void writes_free(struct list *writes)
{
	list_each_safe (node, writes) {
		struct write *write = list_entry(node, struct write, link);
		list_remove(&write->link);
		free(write);
	}
}

struct append *append_of(struct batch *batch, struct logfile *log)
{
	list_each (node, &batch->appends) {
		struct append *append = list_entry(node, struct append, link);
		if (append->log == log)
			return append;
	}
	struct append *append = calloc(1, sizeof(*append));
	if (!append)
		return NULL;
	append->log = log;
	buf_init(&append->records, 0);
	list_append(&batch->appends, &append->link);
	return append;
}

void appends_free(struct list *appends)
{
	list_each_safe (node, appends) {
		struct append *append = list_entry(node, struct append, link);
		list_remove(&append->link);
		buf_fini(&append->records);
		free(append);
	}
}

int key_compare(struct edged_slice a, struct edged_slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int order = n ? memcmp(a.ptr, b.ptr, n) : 0;
	return order ? order : (a.len > b.len) - (a.len < b.len);
}

int op_get_overlay(struct op *op, const struct list *writes)
{
	struct get *get = &op->u.get;
	struct edged_slice key = edged_slice(get->key, get->key_len);
	/* The latest write of the key counts. */
	for (const struct list *node = writes->prev; node != writes; node = node->prev) {
		const struct write *write = list_entry(node, struct write, link);
		if (write->table != get->table || !edged_slice_eq(write_key(write), key))
			continue;
		get->known = true;
		if (write->del) {
			op->result = -ENOENT;
			return 0;
		}
		get->value = malloc(write->value_len + 1u);
		if (!get->value)
			return -ENOMEM;
		memcpy(get->value, write_value(write).ptr, write->value_len);
		get->value_len = write->value_len;
		return 0;
	}
	return 0;
}

static bool in_range(const struct scan *scan, const struct write *write)
{
	struct edged_slice key = write_key(write);
	return write->table == scan->table &&
	       key_compare(key, edged_slice(scan->now.key, scan->now.key_len)) >= 0 &&
	       (!scan->to_len || key_compare(key, edged_slice(scan->to, scan->to_len)) < 0);
}

struct entry {
	const struct write *write;
	size_t order;
};

static void free_entries(struct entry **entries)
{
	free(*entries);
}

static int by_key_and_order(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;
	int order = key_compare(write_key(left->write), write_key(right->write));
	return order ? order : (left->order > right->order) - (left->order < right->order);
}

/* Copies the latest write of each key. */
static int overlay_copy(struct scan *scan, const struct entry *entries, size_t count)
{
	scan->overlay = calloc(count, sizeof(struct write *));
	if (!scan->overlay)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct write *write = entries[i].write;
		if (i + 1 < count && edged_slice_eq(write_key(write), write_key(entries[i + 1].write)))
			continue;
		struct write *copy =
		        write_new(write->table, write->del, write_key(write), write_value(write));
		if (!copy)
			return -ENOMEM;
		scan->overlay[scan->overlay_count++] = copy;
	}
	return 0;
}

int op_scan_overlay(struct op *op, const struct list *writes)
{
	struct scan *scan = op->u.scan;
	size_t count = 0;
	list_each (node, writes)
		count += in_range(scan, list_entry(node, struct write, link));
	if (!count)
		return 0;
	CLEANUP(free_entries) struct entry *entries = calloc(count, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	size_t n = 0;
	list_each (node, writes) {
		const struct write *write = list_entry(node, struct write, link);
		if (!in_range(scan, write))
			continue;
		entries[n].write = write;
		entries[n].order = n;
		n++;
	}
	qsort(entries, count, sizeof(*entries), by_key_and_order);
	return overlay_copy(scan, entries, count);
}
