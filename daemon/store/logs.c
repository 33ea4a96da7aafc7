/* SPDX-License-Identifier: Apache-2.0 */
#include "logs.h"

#include <errno.h>
#include <stdio.h>

#define LOG_BYTES     (512ull * 1024 * 1024)
#define SEGMENT_BYTES (1024ull * 1024)

static int open_log(struct store *store, struct logfile *log)
{
	char folder[4096];
	if (log->journal)
		return 0;
	if (snprintf(folder, sizeof(folder), "%s.logs", store->path) >= (int)sizeof(folder))
		return -ENAMETOOLONG;
	const struct journal_options options = {
		.folder = folder,
		.name = log->name,
		.segment_bytes = store->options.segment_bytes ? store->options.segment_bytes : SEGMENT_BYTES,
		.limit_bytes = store->options.log_bytes ? store->options.log_bytes : LOG_BYTES,
	};
	return journal_open(&options, &log->journal);
}

#define each_append(append, group)                                                                           \
	list_each (op_node_, group)                                                                          \
		if (list_entry(op_node_, struct op, link)->kind == OP_BATCH &&                               \
		        !list_entry(op_node_, struct op, link)->result)                                      \
			list_each (append, &list_entry(op_node_, struct op, link)->u.batch.appends)

static struct append *append_at(const struct list *node)
{
	return list_entry(node, struct append, link);
}

int logs_reserve(struct store *store, const struct list *group)
{
	int r = 0;
	each_append(node, group)
	{
		append_at(node)->log->pending = 0;
		append_at(node)->log->used = false;
	}
	each_append(node, group)
	{
		struct logfile *log = append_at(node)->log;
		log->pending += append_at(node)->records.len;
		r = r ? r : open_log(store, log);
	}
	/* Each log once: what is reserved is pending no more. */
	each_append(node, group)
	{
		struct logfile *log = append_at(node)->log;
		if (r || !log->pending)
			continue;
		r = journal_reserve(log->journal, log->pending);
		log->pending = 0;
		log->used = true;
	}
	return r;
}

static int write_log(struct logfile *log, const struct list *group)
{
	int r = 0;
	journal_begin(log->journal);
	each_append(node, group) if (!r && append_at(node)->log == log && append_at(node)->records.len) r =
	        journal_add(log->journal, buf_slice(&append_at(node)->records));
	return r ? r : journal_write(log->journal);
}

int logs_write(struct store *store, const struct list *group)
{
	int r = 0;
	(void)store;
	each_append(node, group)
	{
		struct logfile *log = append_at(node)->log;
		if (r || !log->used)
			continue;
		log->used = false;
		r = write_log(log, group);
	}
	return r;
}

void logs_trim(struct store *store, const struct list *group)
{
	(void)store;
	each_append(node, group) if (append_at(node)->trim && append_at(node)->log->journal)
	        journal_trim(append_at(node)->log->journal, append_at(node)->trim);
}

int logs_replay(struct store *store, struct replay *replay)
{
	struct logfile *log = replay->log;
	int r = open_log(store, log);
	if (r)
		return r;
	if (!replay->end)
		replay->end = journal_figures(log->journal).end;
	buf_clear(&replay->body);
	replay->next = replay->now;
	r = journal_read(log->journal, &replay->next, &replay->body);
	if (r < 0)
		return r;
	/* What was appended meanwhile is not shown. */
	if (r == SEGMENT_END || replay->next > replay->end) {
		buf_clear(&replay->body);
		replay->last = true;
	}
	return 0;
}

void logs_show(struct store *store)
{
	list_each (node, &store->logs) {
		struct logfile *log = list_entry(node, struct logfile, link);
		if (!log->journal)
			continue;
		const struct journal_figures now = journal_figures(log->journal);
		pace_stored(
		        &store->pace, now.bodies - log->figures.bodies, now.squeezed - log->figures.squeezed);
		log->figures = now;
	}
}
