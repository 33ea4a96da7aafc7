/* SPDX-License-Identifier: Apache-2.0 */
/* The store's thread: takes what waits, does it in one transaction, syncs, and sends the results back. */
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "logs.h"
#include "joint.h"
#include "queue.h"

#define LOG_PAGES_IDLE 1000 /* checkpoint when there is time */
#define LOG_PAGES_FULL 4000 /* checkpoint in any case */
#define IDLE_MS        500  /* without work: there is time */
#define SCAN_BYTES     (64u * 1024)

/* What the thread knows from one round to the next. */
struct worker {
	struct store *store;
	struct db *db;
	uint64_t active_ms; /* when the last group ended */
	uint64_t transactions;
	int last_error;
};

/* --- one operation --- */

/* The id of the table in the file, looked up once. DB_ABSENT when it is not there and `create` is false. */
static int resolve(struct db *db, struct table *table, bool create)
{
	if (table->generation == db_generation(db))
		return 0;
	int r = db_table(db, table->name, create, &table->id);
	if (!r)
		table->generation = db_generation(db);
	return r;
}

static int apply(struct db *db, const struct batch *batch)
{
	list_each (node, &batch->writes) {
		const struct write *write = list_entry(node, struct write, link);
		int r = resolve(db, write->table, !write->del);
		if (!r)
			r = write->del ? db_del(db, write->table->id, write_key(write))
			               : db_put(db, write->table->id, write_key(write), write_value(write));
		if (r < 0)
			return r;
	}
	return 0;
}

static int run_get(struct db *db, struct get *get)
{
	free(TAKE(get->value));
	int r = resolve(db, get->table, false);
	struct edged_slice value;
	if (!r)
		r = db_get(db, get->table->id, edged_slice(get->key, get->key_len), &value);
	if (r)
		return r == DB_ABSENT ? -ENOENT : r;
	get->value = malloc(value.len + 1);
	if (get->value) {
		if (value.len)
			memcpy(get->value, value.ptr, value.len);
		get->value_len = value.len;
	}
	db_get_end(db);
	return get->value ? 0 : -ENOMEM;
}

static int add_row(struct scan *scan, struct edged_slice key, struct edged_slice value)
{
	struct row_head head = { (uint32_t)key.len, (uint32_t)value.len };
	int r = buf_reserve(&scan->rows, sizeof(head) + key.len + value.len);
	if (r)
		return r;
	buf_add(&scan->rows, &head, sizeof(head));
	buf_add(&scan->rows, key.ptr, key.len);
	buf_add(&scan->rows, value.ptr, value.len);
	scan->next.left--;
	return 0;
}

/* The next chunk starts behind this key: in memcmp order its successor is itself and a zero byte. */
static void pass(struct scan *scan, struct edged_slice key)
{
	memcpy(scan->next.key, key.ptr, key.len);
	scan->next.key[key.len] = '\0';
	scan->next.key_len = (uint32_t)key.len + 1;
}

static const struct write *overlay_next(const struct scan *scan)
{
	return scan->next.overlay < scan->overlay_count ? scan->overlay[scan->next.overlay] : NULL;
}

/* Shows what the caller had queued below the key of the file's next row (`key` NULL: to the end). Tells in
 * *ret_covered whether it had queued something for this very key. */
static int merge(struct scan *scan, const struct edged_slice *key, bool *ret_covered)
{
	const struct write *write;
	*ret_covered = false;
	while ((write = overlay_next(scan)) && scan->next.left) {
		int order = key ? key_compare(write_key(write), *key) : -1;
		if (order > 0)
			break;
		int r = write->del ? 0 : add_row(scan, write_key(write), write_value(write));
		if (r)
			return r;
		pass(scan, write_key(write));
		scan->next.overlay++;
		if (order == 0) {
			*ret_covered = true;
			break;
		}
	}
	return 0;
}

/* Rows of the file and of the overlay, until the chunk is full or there are no more (1). */
static int collect(struct db *db, struct scan *scan, bool table)
{
	bool covered;
	struct edged_slice key, value;
	while (scan->rows.len < SCAN_BYTES && scan->next.left) {
		int r = table ? db_scan_next(db, &key, &value) : DB_ABSENT;
		if (r < 0)
			return r;
		int merged = merge(scan, r == DB_ABSENT ? NULL : &key, &covered);
		if (merged || r == DB_ABSENT)
			return merged ? merged : DB_ABSENT;
		if (covered || !scan->next.left)
			continue;
		r = add_row(scan, key, value);
		if (r)
			return r;
		pass(scan, key);
	}
	return scan->next.left ? 0 : DB_ABSENT;
}

static int run_scan(struct db *db, struct scan *scan)
{
	buf_clear(&scan->rows);
	scan->next = scan->now;
	int r = resolve(db, scan->table, false);
	if (r < 0)
		return r;
	if (!r)
		db_scan(db, scan->table->id, edged_slice(scan->now.key, scan->now.key_len),
		        edged_slice(scan->to, scan->to_len));
	int more = collect(db, scan, r == 0);
	db_scan_end(db);
	scan->last = more != 0;
	return more < 0 ? more : 0;
}

/* --- a group: one transaction --- */

static void refuse(struct op *op, int why)
{
	op->result = why;
	if (op->kind == OP_SCAN) {
		op->u.scan->last = true;
		buf_clear(&op->u.scan->rows);
	} else if (op->kind == OP_REPLAY) {
		op->u.replay.last = true;
		buf_clear(&op->u.replay.body);
	}
}

/* A read tells its own failure; but a damaged file is the group's matter. */
static int run_read(struct worker *worker, struct op *op)
{
	struct db *db = worker->db;
	if (op->kind == OP_REPLAY)
		op->result = logs_replay(worker->store, &op->u.replay);
	else if (op->kind == OP_SCAN)
		op->result = run_scan(db, op->u.scan);
	else if (!op->u.get.known)
		op->result = run_get(db, &op->u.get);
	if (op->result == -EBADMSG)
		return -EBADMSG;
	if (op->kind != OP_GET && op->result)
		refuse(op, op->result);
	return 0;
}

static int run_op(struct worker *worker, struct op *op, bool *writing)
{
	struct db *db = worker->db;
	if (op->kind != OP_BATCH)
		return run_read(worker, op);
	op->result = op->channel->lost;
	if (op->u.batch.joint && op->u.batch.joint->failed)
		op->result = -EIO;
	if (op->result || list_empty(&op->u.batch.writes))
		return 0;
	int r = *writing ? 0 : db_begin(db);
	if (r)
		return r;
	*writing = true;
	return apply(db, &op->u.batch);
}

/* All of the group, or nothing of its writes (see logs.h). */
static int attempt_once(struct worker *worker, struct list *group)
{
	bool writing = false;
	int r = db_ready(worker->db);
	if (!r) {
		list_each (node, group) {
			r = run_op(worker, list_entry(node, struct op, link), &writing);
			if (r)
				break;
		}
		if (!r)
			r = logs_reserve(worker->store, group);
		if (!r && writing) {
			r = db_commit(worker->db);
			worker->transactions += r == 0;
		}
		if (!r)
			r = logs_write(worker->store, group);
		if (r)
			db_rollback(worker->db);
		else
			logs_trim(worker->store, group);
	}
	return r;
}

static int attempt(struct worker *worker, struct list *group)
{
	int r = attempt_once(worker, group);
	if (r == -EBADMSG) {
		r = db_replace(worker->db);
		if (!r)
			r = attempt_once(worker, group);
	}
	return r == -EBADMSG ? -EIO : r;
}

static bool writes_something(const struct op *op)
{
	return op->kind == OP_BATCH && !(list_empty(&op->u.batch.writes) && list_empty(&op->u.batch.appends));
}

static int attempt_alone(struct worker *worker, struct op *op)
{
	struct list alone, *after = op->link.next;
	list_init(&alone);
	list_remove(&op->link);
	list_append(&alone, &op->link);
	int r = attempt(worker, &alone);
	list_remove(&op->link);
	list_insert_before(after, &op->link);
	return r;
}

/*
 * The group did not go through (`why`). Which batch did not fit shows when each is tried alone, so that the others
 * are kept; but not the parts of a joint, which cannot be kept alone. After an I/O error no write of the group is
 * tried again (`refused`), only reads.
 */
static void attempt_each(struct worker *worker, struct list *group, int why)
{
	int refused = why == -EIO ? why : 0;
	list_each_safe (node, group) {
		struct op *op = list_entry(node, struct op, link);
		bool writes = writes_something(op);
		int r = writes && refused ? refused : db_ready(worker->db);
		if (!r && op->kind == OP_BATCH && op->u.batch.joint)
			r = why == -ECANCELED ? -EIO : why;
		else if (!r)
			r = attempt_alone(worker, op);
		else if (!writes)
			refused = r; /* the database could not be opened: it need not be tried for each */
		if (r)
			refuse(op, r);
		/* An overdue batch has nobody to tell: the next commit of its channel says so, and is not
		 * kept either. */
		if (op->kind == OP_BATCH)
			op->channel->lost = op->u.batch.overdue ? op->result : 0;
	}
}

static bool something_lost(const struct list *group)
{
	list_each (node, group) {
		const struct op *op = list_entry(node, struct op, link);
		if (op->kind == OP_BATCH && op->channel->lost)
			return true;
	}
	return false;
}

static void run_group(struct worker *worker, struct list *group)
{
	int r = something_lost(group) ? -ECANCELED : attempt(worker, group);
	if (r == -ENOSPC && db_make_room(worker->db) == 0)
		r = attempt(worker, group);
	if (r)
		attempt_each(worker, group, r);
}

/* --- results --- */

static void count(struct worker *worker, struct list *group)
{
	struct store_counts *counts = &worker->store->counts;
	int error = 0;
	unsigned commits = 0;
	counts->transactions = worker->transactions;
	list_each (node, group) {
		const struct op *op = list_entry(node, struct op, link);
		if (op->kind != OP_BATCH)
			continue;
		commits++;
		counts->commits++;
		counts->failures += op->result != 0;
		if (op->result && !(op->u.batch.joint && op->u.batch.joint->failed))
			error = op->result;
	}
	if (commits)
		counts->last_error = error;
}

/* The log hears of trouble when it begins and when it ends, not for each batch in between. */
static void report(struct worker *worker, int error)
{
	if (error == worker->last_error)
		return;
	worker->last_error = error;
	if (error)
		log_error("store", "cannot write to %s: %s; writes are refused, what is stored stays",
		        worker->store->path, strerror(-error));
	else
		log_notice("store", "%s can be written again", worker->store->path);
}

/* Under the mutex. True: the outbox must be posted. */
static bool finish(struct store *store, struct op *op)
{
	struct outbox *outbox = op->channel->outbox;
	bool told = op->kind != OP_BATCH || op->u.batch.done;
	if (op->kind == OP_BATCH) {
		op->space->queued -= op->charge;
		op->charge = 0;
	} else if (op->kind == OP_GET) {
		op->space->queued += op->u.get.value_len;
		op->charge += op->u.get.value_len;
	}
	if (op->space->freed || !told) {
		store_release(store, op);
		return false;
	}
	list_append(&outbox->results, &op->link);
	bool post = !outbox->posted;
	outbox->posted = true;
	outbox->to_post |= post;
	return post;
}

static void send_results(struct worker *worker, struct list *group)
{
	struct store *store = worker->store;
	list_each (node, group) {
		struct op *op = list_entry(node, struct op, link);
		if (op->kind != OP_BATCH)
			continue;
		writes_free(&op->u.batch.writes);
		appends_free(&op->u.batch.appends);
	}
	pthread_mutex_lock(&store->mutex);
	count(worker, group);
	logs_show(store);
	int error = store->counts.last_error;
	bool post = false;
	list_each_safe (node, group) {
		struct op *op = list_entry(node, struct op, link);
		list_remove(&op->link);
		post |= finish(store, op);
	}
	/* Posting takes locks of its own, but never ours: nobody waits for this mutex while holding those. */
	if (post)
		list_each (node, &store->outboxes) {
			struct outbox *outbox = list_entry(node, struct outbox, link);
			if (outbox->to_post)
				store->options.executor.post(outbox->loop, store_deliver, outbox);
			outbox->to_post = false;
		}
	pthread_mutex_unlock(&store->mutex);
	report(worker, error);
}

/* --- the thread --- */

/* Under the mutex: sends off what nobody has committed in time; all of it when the store closes. Returns when
 * the next batch will be overdue, 0: never. */
static uint64_t send_overdue(struct store *store, uint64_t now)
{
	uint64_t next = 0;
	list_each (node, &store->spaces) {
		struct store_space *space = list_entry(node, struct store_space, link);
		list_each (inner, &space->channels) {
			struct channel *channel = list_entry(inner, struct channel, link);
			if (!channel->open)
				continue;
			uint64_t due = channel->open->u.batch.opened_ms + OVERDUE_MS;
			if (store->closing || due <= now) {
				channel->open->u.batch.overdue = true;
				list_append(&store->queue, &channel->open->link);
				channel->open = NULL;
			} else if (!next || due < next) {
				next = due;
			}
		}
	}
	return next;
}

static void wait_until_us(struct store *store, uint64_t us)
{
	struct timespec until = { .tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000 };
	pthread_cond_timedwait(&store->wake, &store->mutex, &until);
}

static void wait_for_company(struct store *store)
{
	uint64_t now = clock_mono_us();
	pace_begin(&store->pace, now);
	for (uint64_t due; !store->closing && (due = pace_due(&store->pace)) > now; now = clock_mono_us())
		wait_until_us(store, due);
	pace_end(&store->pace, now);
}

static void checkpoint(struct worker *worker)
{
	pthread_mutex_unlock(&worker->store->mutex);
	int r = db_checkpoint(worker->db);
	if (r == -EBADMSG)
		r = db_replace(worker->db);
	if (r)
		log_warning(
		        "store", "cannot bring the log into %s yet: %s", worker->store->path, strerror(-r));
	pthread_mutex_lock(&worker->store->mutex);
}

/* Under the mutex, with nothing to do. After some work the thread wakes up once more, so that a write that
 * comes soon after need not wake it only to have its time watched. */
static void rest(struct worker *worker, uint64_t now, uint64_t overdue)
{
	struct store *store = worker->store;
	bool log = db_log_pages(worker->db) >= LOG_PAGES_IDLE;
	uint64_t until = worker->active_ms + (log ? IDLE_MS : OVERDUE_MS);
	if (until <= now && log) {
		checkpoint(worker);
		return;
	}
	if (until <= now || (overdue && overdue < until))
		until = overdue;
	store->wakes_at_ms = until;
	store->sleeping = true;
	if (until)
		wait_until_us(store, until * 1000);
	else
		pthread_cond_wait(&store->wake, &store->mutex);
	store->sleeping = false;
}

static void work(struct worker *worker)
{
	struct store *store = worker->store;
	wait_for_company(store);
	struct list group;
	list_init(&group);
	joints_take(store, &group);
	if (list_empty(&group))
		return;
	pthread_mutex_unlock(&store->mutex);
	run_group(worker, &group);
	send_results(worker, &group);
	pthread_mutex_lock(&store->mutex);
	worker->active_ms = clock_mono_ms();
	if (db_log_pages(worker->db) >= LOG_PAGES_FULL)
		checkpoint(worker);
}

void *worker_main(void *arg)
{
	struct store *store = arg;
	struct worker worker = { .store = store, .db = store->db };
	pthread_setname_np(pthread_self(), "edged-store");
	pthread_mutex_lock(&store->mutex);
	for (;;) {
		uint64_t now = clock_mono_ms();
		uint64_t overdue = send_overdue(store, now);
		if (!list_empty(&store->queue) && !store->stuck)
			work(&worker);
		else if (store->closing)
			break;
		else
			rest(&worker, now, overdue);
	}
	pthread_mutex_unlock(&store->mutex);
	return NULL;
}
