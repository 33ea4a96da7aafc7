/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const tables[] = { "jobs", "waiting", "executions" };
enum { TABLE_JOBS, TABLE_WAITING, TABLE_EXECUTIONS, TABLES, KEY_MAX = JOB_ID_MAX + 1 + THING_NAME_MAX };

struct message {
	STAILQ_ENTRY(message) link;
	char *text;
	char topic[];
};

struct batch {
	LIST_ENTRY(batch) link; /* while the store has it */
	struct ledger *ledger;
	unsigned generation;
	bool writes;
	int result;
	STAILQ_HEAD(, message) messages;
	void (*done)(void *arg, int result);
	void *arg;
};

void ledger_init(struct ledger *ledger, const struct ledger_deps *deps)
{
	*ledger = (struct ledger){ .deps = *deps };
	LIST_INIT(&ledger->batches);
}

struct moment ledger_now(const struct ledger *ledger)
{
	return (struct moment){ ledger->deps.wall(), ledger->deps.loop->now(ledger->deps.host) };
}

/* --- reading the store ---------------------------------------------------------------------------------------------------- */

static struct edged_slice execution_key(char *key, const struct execution *execution)
{
	size_t id = strlen(execution->job->id), thing = strlen(execution->thing);
	memcpy(key, execution->job->id, id + 1);
	memcpy(key + id + 1, execution->thing, thing);
	return edged_slice(key, id + 1 + thing);
}

static int read_job(struct ledger *ledger, struct edged_slice key, struct edged_slice value)
{
	struct job *job = NULL;
	int r = job_parse(key, value, &job);
	if (!r)
		r = book_add(&ledger->book, job);
	if (r)
		job_free(job);
	else
		job->unchecked = true;
	return r;
}

static int read_waiting(struct ledger *ledger, struct edged_slice key, struct edged_slice value)
{
	struct job *job = book_find(&ledger->book, key);
	json_t *waiting = job ? json_loadb(value.ptr, value.len, 0, NULL) : NULL;
	if (!json_is_array(waiting)) {
		json_decref(waiting);
		return -EINVAL;
	}
	json_decref(job->waiting);
	job->waiting = waiting;
	return 0;
}

static int read_execution(struct ledger *ledger, struct edged_slice key, struct edged_slice value)
{
	const char *nul = memchr(key.ptr, '\0', key.len);
	size_t n = nul ? (size_t)(nul - key.ptr) : 0;
	struct job *job = nul ? book_find(&ledger->book, edged_slice(key.ptr, n)) : NULL;
	struct shadow_name name;
	struct execution *execution = NULL;
	if (!job || !shadow_name_set(&name, edged_slice(nul + 1, key.len - n - 1), edged_slice("", 0)))
		return -EINVAL;
	int r = execution_parse(job, edged_str(name.thing), value, ledger_now(ledger), &execution);
	if (!r)
		r = book_add_execution(&ledger->book, execution);
	if (r)
		execution_free(execution);
	return r;
}

static int read_row(void *arg, struct edged_slice key, struct edged_slice value)
{
	static int (*const read[TABLES])(struct ledger * ledger, struct edged_slice key,
	        struct edged_slice value) = { read_job, read_waiting, read_execution };
	struct ledger *ledger = arg;
	int r = read[ledger->reading](ledger, key, value);
	if (r == -EINVAL) {
		ledger->deps.log->log(ledger->deps.host, EDGED_ERROR,
		        "a row of %s cannot be read and is left out: %.*s", tables[ledger->reading],
		        EDGED_SLICE_FMT(key));
		return 0;
	}
	ledger->result = r;
	return r;
}

static int read_next(struct ledger *ledger);

static void load_ended(struct ledger *ledger, int result)
{
	ledger->state = result ? LEDGER_LOST : LEDGER_READY;
	ledger->deps.loaded(ledger->deps.arg, result);
}

static void table_read(void *arg, int result)
{
	struct ledger *ledger = arg;
	int r = result ? result : ledger->result;
	if (!r && ++ledger->reading < TABLES)
		r = read_next(ledger);
	else if (!r)
		return load_ended(ledger, 0);
	if (r)
		load_ended(ledger, r);
}

static int read_next(struct ledger *ledger)
{
	return ledger->deps.store->scan(ledger->deps.host, tables[ledger->reading], edged_slice(NULL, 0),
	        edged_slice(NULL, 0), 0, read_row, table_read, ledger);
}

int ledger_load(struct ledger *ledger)
{
	book_fini(&ledger->book);
	ledger->state = LEDGER_READING;
	ledger->generation++;
	ledger->reading = 0;
	ledger->result = 0;
	int r = read_next(ledger);
	if (r)
		ledger->state = LEDGER_LOST;
	return r;
}

/* --- batches -------------------------------------------------------------------------------------------------------------- */

struct batch *batch_new(struct ledger *ledger)
{
	struct batch *batch = calloc(1, sizeof(*batch));
	if (!batch)
		return NULL;
	batch->ledger = ledger;
	batch->generation = ledger->generation;
	STAILQ_INIT(&batch->messages);
	return batch;
}

void batch_fail(struct batch *batch, int result)
{
	batch->writes = true; /* the book and the store differ */
	if (!batch->result)
		batch->result = result;
}

/* Takes the text; NULL: the row is deleted. */
static void write_row(struct batch *batch, unsigned table, struct edged_slice key, char *text)
{
	const struct ledger_deps *deps = &batch->ledger->deps;
	int r = text ? deps->store->put(deps->host, tables[table], key, edged_str(text))
	             : deps->store->del(deps->host, tables[table], key);
	free(text);
	batch->writes = true;
	if (r)
		batch_fail(batch, r);
}

static void put_row(struct batch *batch, unsigned table, struct edged_slice key, char *text)
{
	if (text)
		write_row(batch, table, key, text);
	else
		batch_fail(batch, -ENOMEM);
}

void batch_put_job(struct batch *batch, const struct job *job)
{
	put_row(batch, TABLE_JOBS, edged_str(job->id), job_print(job));
}

void batch_put_waiting(struct batch *batch, const struct job *job)
{
	put_row(batch, TABLE_WAITING, edged_str(job->id), json_dumps(job->waiting, JSON_COMPACT));
}

void batch_put(struct batch *batch, const struct execution *execution)
{
	char key[KEY_MAX + 1];
	put_row(batch, TABLE_EXECUTIONS, execution_key(key, execution),
	        execution_print(execution, ledger_now(batch->ledger)));
}

void batch_delete_job(struct batch *batch, const struct job *job)
{
	write_row(batch, TABLE_JOBS, edged_str(job->id), NULL);
}

void batch_delete_waiting(struct batch *batch, const struct job *job)
{
	write_row(batch, TABLE_WAITING, edged_str(job->id), NULL);
}

void batch_delete(struct batch *batch, const struct execution *execution)
{
	char key[KEY_MAX + 1];
	write_row(batch, TABLE_EXECUTIONS, execution_key(key, execution), NULL);
}

void batch_tell(struct batch *batch, const char *topic, char *text)
{
	size_t n = strlen(topic) + 1;
	struct message *message = text ? malloc(sizeof(*message) + n) : NULL;
	if (!message) {
		free(text);
		batch_fail(batch, -ENOMEM);
		return;
	}
	message->text = text;
	memcpy(message->topic, topic, n);
	STAILQ_INSERT_TAIL(&batch->messages, message, link);
}

void ledger_publish(const struct ledger *ledger, const char *topic, const char *text)
{
	const struct ledger_deps *deps = &ledger->deps;
	const struct edged_message message = { .struct_size = sizeof(message),
		.topic = edged_str(topic),
		.payload = edged_str(text),
		.qos = 1 };
	int r = deps->pubsub->publish(deps->pubsub->ctx, deps->host, &message, NULL, NULL);
	if (r)
		deps->log->log(
		        deps->host, EDGED_WARNING, "cannot publish to %.200s: %s", topic, strerror(-r));
}

void batch_drop(struct batch *batch)
{
	free(batch);
}

static void finish(struct batch *batch, int result)
{
	struct message *message;
	while ((message = STAILQ_FIRST(&batch->messages))) {
		STAILQ_REMOVE_HEAD(&batch->messages, link);
		if (!result)
			ledger_publish(batch->ledger, message->topic, message->text);
		free(message->text);
		free(message);
	}
	batch->done(batch->arg, result);
	free(batch);
}

/* What could not be stored is taken back, with all that came after it: the disk says what there is. */
static void take_back(struct ledger *ledger, int result)
{
	ledger->deps.log->log(ledger->deps.host, EDGED_ERROR,
	        "a change to jobs could not be stored (%s); what is on the disk is in force",
	        strerror(-result));
	int r = ledger_load(ledger);
	if (r)
		load_ended(ledger, r);
}

static void stored(void *arg, int result)
{
	struct batch *batch = arg;
	struct ledger *ledger = batch->ledger;
	LIST_REMOVE(batch, link);
	ledger->open--;
	if (batch->generation != ledger->generation)
		result = result ? result : -EIO; /* it may tell of what was taken back */
	else if (result)
		take_back(ledger, result);
	finish(batch, result);
}

void batch_end(struct batch *batch, void (*done)(void *arg, int result), void *arg)
{
	struct ledger *ledger = batch->ledger;
	batch->done = done;
	batch->arg = arg;
	if (!batch->result && !batch->writes && !ledger->open) {
		finish(batch, 0);
		return;
	}
	if (!batch->result) {
		LIST_INSERT_HEAD(&ledger->batches, batch, link);
		ledger->open++;
		batch->result = ledger->deps.store->commit(ledger->deps.host, stored, batch);
		if (!batch->result)
			return;
		LIST_REMOVE(batch, link);
		ledger->open--;
	}
	take_back(ledger, batch->result);
	finish(batch, batch->result);
}

void ledger_fini(struct ledger *ledger)
{
	struct batch *batch;
	while ((batch = LIST_FIRST(&ledger->batches))) {
		LIST_REMOVE(batch, link);
		finish(batch, -ECANCELED);
	}
	book_fini(&ledger->book);
}
