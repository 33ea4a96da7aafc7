/* SPDX-License-Identifier: Apache-2.0 */
#include "objects.h"

#include <errno.h>
#include <stdlib.h>

/* Rows by key: of `object` all but the body, of `body` the tag of the object that it belongs to, and the body. Each put is one
 * batch; a row that could not be queued leaves tags that differ, and such an object is none. */
static const char object_table[] = "object", body_table[] = "body";

struct objects {
	struct objects_deps deps;
	struct index index;
	uint64_t last_tag;
	bool ready;
	void (*loaded)(void *arg, int result); /* NULL: nobody waits */
	void *loaded_arg;
	LIST_HEAD(, task) tasks;
	int64_t *figure_count, *figure_bytes, *evicted, *expired;
};

/* Something that the store works on. */
struct task {
	LIST_ENTRY(task) link;
	struct objects *objects;
	uint64_t tag; /* of the object whose body is read */
	int (*each)(void *arg, const struct object *object);
	void (*done)(void *arg, int result);
	void (*found)(void *arg, int result, struct edged_slice body);
	void *arg;
	struct edged_slice prefix;
	char key[2 * OBJECT_KEY_MAX + 1];
};

int objects_new(const struct objects_deps *deps, struct objects **ret)
{
	struct objects *o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->deps = *deps;
	index_init(&o->index);
	const struct edged_metrics_1 *metrics = deps->metrics;
	o->figure_count =
	        metrics->figure(deps->host, EDGED_GAUGE, "cache_objects", NULL, "Objects in the cache");
	o->figure_bytes =
	        metrics->figure(deps->host, EDGED_GAUGE, "cache_bytes", NULL, "Bytes of their bodies");
	o->evicted = metrics->figure(deps->host, EDGED_COUNTER, "cache_evicted_total", NULL,
	        "Objects that went because room was needed");
	o->expired = metrics->figure(deps->host, EDGED_COUNTER, "cache_expired_total", NULL,
	        "Objects that went because their time was over");
	*ret = o;
	return 0;
}

/* The store does not answer any more: whoever waits must not wait for ever. */
static void task_abandon(struct task *task)
{
	if (task->done)
		task->done(task->arg, -ESHUTDOWN);
	if (task->found)
		task->found(task->arg, -ESHUTDOWN, edged_slice(NULL, 0));
	LIST_REMOVE(task, link);
	free(task);
}

void objects_free(struct objects *o)
{
	if (!o)
		return;
	while (!LIST_EMPTY(&o->tasks))
		task_abandon(LIST_FIRST(&o->tasks));
	index_clear(&o->index);
	free(o);
}

bool objects_ready(const struct objects *o)
{
	return o->ready;
}

bool object_expired(const struct objects *o, const struct object *object)
{
	return object->expires_ms <= o->deps.wall();
}

static void show_figures(const struct objects *o)
{
	edged_metric_set(o->figure_count, (int64_t)o->index.count);
	edged_metric_set(o->figure_bytes, (int64_t)o->index.bytes);
}

static struct task *task_new(struct objects *o, void *arg)
{
	struct task *task = calloc(1, sizeof(*task));
	if (!task)
		return NULL;
	task->objects = o;
	task->arg = arg;
	LIST_INSERT_HEAD(&o->tasks, task, link);
	return task;
}

static void task_free(struct task *task)
{
	LIST_REMOVE(task, link);
	free(task);
}

/* --- what goes ------------------------------------------------------------------------------------------------------------------ */

/* Rows that cannot be deleted now are there again after a restart: no harm, they hold what was stored last. */
static void drop(struct objects *o, struct object *object)
{
	const struct edged_store_1 *store = o->deps.store;
	(void)!store->del(o->deps.host, object_table, object->key);
	(void)!store->del(o->deps.host, body_table, object->key);
	index_remove(&o->index, object);
}

static void make_room(struct objects *o, size_t count, size_t bytes)
{
	while (o->index.count &&
	        (o->index.count + count > o->deps.count || o->index.bytes + bytes > o->deps.bytes)) {
		drop(o, TAILQ_FIRST(&o->index.use));
		edged_metric_add(o->evicted, 1);
	}
	show_figures(o);
}

/* --- reading the index ------------------------------------------------------------------------------------------------------- */

static int load_row(void *arg, struct edged_slice key, struct edged_slice value)
{
	struct task *task = arg;
	struct objects *o = task->objects;
	struct object object = { .key = key };
	if (!object_read(value, &object)) {
		o->deps.log->log(
		        o->deps.host, EDGED_WARNING, "an object of the cache cannot be read: it is left out");
		return 0;
	}
	if (object.tag > o->last_tag)
		o->last_tag = object.tag;
	/* Without memory it is as if it had gone. */
	(void)!index_add(&o->index, &object);
	return 0;
}

static void load_end(void *arg, int result)
{
	struct task *task = arg;
	struct objects *o = task->objects;
	task_free(task);
	o->ready = result == 0;
	if (o->ready)
		make_room(o, 0, 0);
	void (*loaded)(void *, int) = o->loaded;
	o->loaded = NULL;
	if (loaded)
		loaded(o->loaded_arg, result);
}

int objects_load(struct objects *o, void (*done)(void *arg, int result), void *arg)
{
	struct task *task = task_new(o, NULL);
	if (!task)
		return -ENOMEM;
	o->ready = false;
	o->loaded = done;
	o->loaded_arg = arg;
	index_clear(&o->index);
	int r = o->deps.store->scan(o->deps.host, object_table, edged_slice("", 0), edged_slice("", 0), 0,
	        load_row, load_end, task);
	if (r)
		task_free(task);
	return r;
}

/* --- one object --------------------------------------------------------------------------------------------------------------- */

static struct object *find_fresh(struct objects *o, struct edged_slice key)
{
	struct object *object = index_find(&o->index, key);
	if (!object || !object_expired(o, object))
		return object;
	drop(o, object);
	edged_metric_add(o->expired, 1);
	show_figures(o);
	return NULL;
}

const struct object *objects_find(struct objects *o, struct edged_slice key)
{
	return find_fresh(o, key);
}

/* A batch that failed is not on the disk, but in the index. */
static void written(void *arg, int result)
{
	struct task *task = arg;
	struct objects *o = task->objects;
	if (result && o->ready && objects_load(o, NULL, NULL))
		o->deps.log->log(o->deps.host, EDGED_WARNING,
		        "no memory to read the cache's index anew: it answers 503 until it starts again");
	task->done(task->arg, result);
	task_free(task);
}

static int commit(struct objects *o, void (*done)(void *arg, int result), void *arg)
{
	struct task *task = task_new(o, arg);
	if (!task)
		return -ENOMEM;
	task->done = done;
	int r = o->deps.store->commit(o->deps.host, written, task);
	if (r)
		task_free(task);
	return r;
}

/* Another number for each body, even for one whose forerunners have all gone. */
static uint64_t next_tag(struct objects *o)
{
	uint64_t now = o->deps.wall();
	o->last_tag = now > o->last_tag ? now : o->last_tag + 1;
	return o->last_tag;
}

static int queue_rows(struct objects *o, const struct object *object, struct edged_slice body)
{
	const struct edged_store_1 *store = o->deps.store;
	uint8_t row[OBJECT_ROW_MAX];
	uint8_t *tagged = malloc(sizeof(object->tag) + body.len);
	if (!tagged)
		return -ENOMEM;
	memcpy(tagged, &object->tag, sizeof(object->tag));
	if (body.len)
		memcpy(tagged + sizeof(object->tag), body.ptr, body.len);
	int r = store->put(
	        o->deps.host, body_table, object->key, edged_slice(tagged, sizeof(object->tag) + body.len));
	if (!r)
		r = store->put(
		        o->deps.host, object_table, object->key, edged_slice(row, object_write(object, row)));
	free(tagged);
	return r;
}

int objects_put(struct objects *o, const struct object *object, struct edged_slice body,
        void (*done)(void *arg, int result), void *arg, uint64_t *ret_tag)
{
	struct object stored = *object;
	stored.tag = *ret_tag = next_tag(o);
	stored.stored_ms = o->deps.wall();
	stored.bytes = body.len;
	struct object *old = index_find(&o->index, object->key);
	if (old)
		index_remove(&o->index, old);
	make_room(o, 1, body.len);
	int r = queue_rows(o, &stored, body);
	struct object *added = r ? NULL : index_add(&o->index, &stored);
	if (!r && !added)
		r = -ENOMEM;
	show_figures(o);
	return r ? r : commit(o, done, arg);
}

int objects_delete(struct objects *o, struct edged_slice key, void (*done)(void *arg, int result), void *arg)
{
	struct object *object = find_fresh(o, key);
	if (!object)
		return -ENOENT;
	drop(o, object);
	show_figures(o);
	return commit(o, done, arg);
}

static void body_found(void *arg, int result, struct edged_slice value)
{
	struct task *task = arg;
	bool whole = !result && value.len >= sizeof(task->tag) &&
	             memcmp(value.ptr, &task->tag, sizeof(task->tag)) == 0;
	struct edged_slice body =
	        whole ? edged_slice(value.ptr + sizeof(task->tag), value.len - sizeof(task->tag))
	              : edged_slice(NULL, 0);
	if (!whole && !result)
		result = -ENOENT;
	task->found(task->arg, result, body);
	task_free(task);
}

int objects_body(struct objects *o, const struct object *object,
        void (*found)(void *arg, int result, struct edged_slice body), void *arg)
{
	struct task *task = task_new(o, arg);
	if (!task)
		return -ENOMEM;
	task->found = found;
	task->tag = object->tag;
	index_use(&o->index, index_find(&o->index, object->key));
	int r = o->deps.store->get(o->deps.host, body_table, object->key, body_found, task);
	if (r)
		task_free(task);
	return r;
}

/* --- all ------------------------------------------------------------------------------------------------------------------------- */

static int list_row(void *arg, struct edged_slice key, struct edged_slice value)
{
	struct task *task = arg;
	struct object object = { .key = key };
	if (key.len < task->prefix.len || memcmp(key.ptr, task->prefix.ptr, task->prefix.len) != 0)
		return 1;
	return object_read(value, &object) ? task->each(task->arg, &object) : 0;
}

static void list_end(void *arg, int result)
{
	struct task *task = arg;
	task->done(task->arg, result);
	task_free(task);
}

int objects_list(struct objects *o, struct edged_slice prefix, struct edged_slice after,
        int (*each)(void *arg, const struct object *object), void (*end)(void *arg, int result), void *arg)
{
	struct task *task = task_new(o, arg);
	if (!task)
		return -ENOMEM;
	task->each = each;
	task->done = end;
	memcpy(task->key, prefix.ptr ? prefix.ptr : "", prefix.len);
	task->prefix = edged_slice(task->key, prefix.len);
	/* What comes right behind a key is the same with a zero more. */
	struct edged_slice from = edged_slice(task->key + prefix.len, after.len ? after.len + 1 : 0);
	memcpy(task->key + prefix.len, after.ptr ? after.ptr : "", after.len);
	if (after.len < prefix.len || (prefix.len && memcmp(after.ptr, prefix.ptr, prefix.len) < 0))
		from = task->prefix;
	int r = o->deps.store->scan(
	        o->deps.host, object_table, from, edged_slice("", 0), 0, list_row, list_end, task);
	if (r)
		task_free(task);
	return r;
}
