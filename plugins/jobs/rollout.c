/* SPDX-License-Identifier: Apache-2.0 */
#include "rollout.h"

#include <errno.h>
#include <string.h>

#include "notify.h"

enum { BATCH = 64, MINUTE = 60 };

static const char *target_of(const struct job *job, size_t i)
{
	return json_string_value(json_array_get(job->targets, i));
}

static struct edged_host *host_of(const struct rollout *rollout)
{
	return rollout->ledger->deps.host;
}

/* --- who is meant ------------------------------------------------------------------------------------------------------ */

static bool targeted(const struct rollout *rollout, const struct job *job, struct edged_slice thing)
{
	const struct edged_things_1 *registry = rollout->registry;
	for (size_t i = 0; i < json_array_size(job->targets); i++) {
		bool group;
		struct edged_slice name = target_name(target_of(job, i), &group);
		if (group ? registry->member(registry->ctx, host_of(rollout), name, thing)
		          : edged_slice_eq(name, thing))
			return true;
	}
	return false;
}

/* A snapshot means its things for as long as they exist. */
static bool meant(const struct rollout *rollout, const struct job *job, struct edged_slice thing)
{
	const struct edged_things_1 *registry = rollout->registry;
	return registry->exists(registry->ctx, host_of(rollout), thing) &&
	       (!job->continuous || targeted(rollout, job, thing));
}

/* Has it no execution yet? One that was away and is back gets another. */
static bool lacks(const struct job *job, struct edged_slice thing)
{
	const struct execution *execution = job_find(job, thing);
	return !execution || (job->continuous && execution->status == EXECUTION_REMOVED);
}

struct expansion {
	struct job *job;
	int result;
};

static void expand_thing(void *arg, struct edged_slice thing)
{
	struct expansion *expansion = arg;
	if (lacks(expansion->job, thing) &&
	        json_array_append_new(expansion->job->waiting, json_stringn(thing.ptr, thing.len)))
		expansion->result = -ENOMEM;
}

/* All that lack an execution now. */
static int expand(const struct rollout *rollout, struct job *job)
{
	const struct edged_things_1 *registry = rollout->registry;
	struct expansion expansion = { .job = job };
	json_array_clear(job->waiting);
	job->waiting_next = 0;
	for (size_t i = 0; i < json_array_size(job->targets); i++) {
		bool group;
		struct edged_slice name = target_name(target_of(job, i), &group);
		if (group)
			registry->members(registry->ctx, host_of(rollout), name, expand_thing, &expansion);
		else
			expand_thing(&expansion, name);
	}
	return expansion.result;
}

static size_t all_waiting(const struct book *book)
{
	size_t n = 0;
	for (size_t i = 0; i < book->count; i++)
		n += job_waiting(book->jobs[i]);
	return n;
}

int rollout_expand(struct rollout *rollout, struct job *job)
{
	const struct book *book = &rollout->ledger->book;
	int r = expand(rollout, job);
	if (r)
		return r;
	return book->executions + all_waiting(book) + job_waiting(job) > rollout->most ? -ENOSPC : 0;
}

/* --- one job ----------------------------------------------------------------------------------------------------------- */

/* Was it queued within the last minute? Seconds are whole: a little more than a minute counts, never less. */
static bool recent(const struct execution *execution, struct moment now)
{
	return execution->queued <= now.wall && now.wall - execution->queued <= MINUTE;
}

/* How many may be queued now. */
static size_t allowance(const struct job *job, struct moment now)
{
	size_t n = 0;
	for (size_t i = 0; i < job->count; i++)
		n += recent(job->list[i], now);
	return n < (size_t)job->rate ? (size_t)job->rate - n : 0;
}

static size_t roll_out(struct rollout *rollout, struct batch *batch, struct job *job, size_t budget)
{
	struct ledger *ledger = rollout->ledger;
	size_t n = 0, most = job_waiting(job) ? allowance(job, ledger_now(ledger)) : 0;
	if (!job_waiting(job))
		return 0;
	if (most > budget)
		most = budget;
	while (job_waiting(job)) {
		const json_t *name = json_array_get(job->waiting, job->waiting_next);
		struct edged_slice thing = edged_slice(json_string_value(name), json_string_length(name));
		bool wants = lacks(job, thing) && meant(rollout, job, thing);
		if (wants && (n == most || ledger->book.executions >= rollout->most))
			return n;
		if (wants) {
			queue_execution(batch, ledger, job, thing);
			edged_metric_add(rollout->queued, 1);
			n++;
		}
		job->waiting_next++;
	}
	json_array_clear(job->waiting);
	job->waiting_next = 0;
	if (!job->continuous)
		batch_delete_waiting(batch, job);
	return n + 1;
}

bool rollout_settle(struct rollout *rollout, struct batch *batch, struct job *job)
{
	if (job->status != JOB_IN_PROGRESS || job->continuous || job_waiting(job) || job_pending(job))
		return false;
	job->status = JOB_COMPLETED;
	job->completed = job->updated = ledger_now(rollout->ledger).wall;
	batch_put_job(batch, job);
	return true;
}

/* What is to become of a pending execution; its own state: nothing. */
static enum execution_status verdict(
        const struct rollout *rollout, const struct execution *execution, struct moment now)
{
	const struct job *job = execution->job;
	uint64_t deadline = execution_deadline(execution);
	if (job->status == JOB_CANCELED && (job->force || execution->status == EXECUTION_QUEUED))
		return EXECUTION_CANCELED;
	if (job->unchecked && !meant(rollout, job, edged_str(execution->thing)))
		return EXECUTION_REMOVED;
	return deadline && deadline <= now.mono ? EXECUTION_TIMED_OUT : execution->status;
}

static size_t judge(struct rollout *rollout, struct batch *batch, struct job *job, size_t budget)
{
	struct moment now = ledger_now(rollout->ledger);
	size_t n = 0;
	for (size_t i = 0; i < job->count && job_pending(job); i++) {
		struct execution *execution = job->list[i];
		enum execution_status status = execution_pending(execution->status)
		                                       ? verdict(rollout, execution, now)
		                                       : execution->status;
		if (status == execution->status)
			continue;
		if (n == budget)
			return n;
		if (status == EXECUTION_TIMED_OUT)
			edged_metric_add(rollout->timed_out, 1);
		change_execution(batch, rollout->ledger, execution, status);
		n++;
	}
	job->unchecked = false;
	return n;
}

/* The last step frees the job. */
static size_t delete_some(struct rollout *rollout, struct batch *batch, struct job *job, size_t budget)
{
	size_t n = 0;
	while (job->count && n < budget) {
		delete_execution(batch, rollout->ledger, job->list[job->count - 1]);
		n++;
	}
	if (job->count || n == budget)
		return n;
	batch_delete_waiting(batch, job);
	batch_delete_job(batch, job);
	book_remove(&rollout->ledger->book, job);
	return n + 1;
}

/* Returns how much was done; as much as the budget: there may be more. */
static size_t step(struct rollout *rollout, struct batch *batch, struct job *job, size_t budget)
{
	if (job->status == JOB_DELETION_IN_PROGRESS)
		return delete_some(rollout, batch, job, budget);
	if (job->unchecked && job->continuous && job->status == JOB_IN_PROGRESS) {
		int r = expand(rollout, job);
		if (r)
			batch_fail(batch, r);
	}
	size_t n = judge(rollout, batch, job, budget);
	if (job->status == JOB_IN_PROGRESS && n < budget)
		n += roll_out(rollout, batch, job, budget - n);
	return n + rollout_settle(rollout, batch, job);
}

/* --- all jobs ------------------------------------------------------------------------------------------------------------ */

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

/* When the job wants something by itself; 0: never. */
static uint64_t next_of(const struct job *job, struct moment now)
{
	uint64_t next = 0;
	bool slow = job->status == JOB_IN_PROGRESS && job_waiting(job) && !allowance(job, now);
	for (size_t i = 0; i < job->count; i++) {
		const struct execution *execution = job->list[i];
		next = sooner(next, execution_deadline(execution));
		if (slow && recent(execution, now))
			next = sooner(next,
			        now.mono + (uint64_t)(execution->queued + MINUTE + 1 - now.wall) * 1000);
	}
	return next;
}

static void arm(struct rollout *rollout, uint64_t at)
{
	const struct ledger_deps *deps = &rollout->ledger->deps;
	uint64_t now = deps->loop->now(deps->host);
	rollout->armed = at;
	deps->loop->timer_set(rollout->timer, at > now ? at - now : 0);
}

static void rest(struct rollout *rollout)
{
	const struct book *book = &rollout->ledger->book;
	struct moment now = ledger_now(rollout->ledger);
	uint64_t next = 0;
	for (size_t i = 0; i < book->count; i++)
		next = sooner(next, next_of(book->jobs[i], now));
	edged_metric_set(rollout->jobs, (int64_t)book->count);
	edged_metric_set(rollout->executions, (int64_t)book->executions);
	edged_metric_set(rollout->waiting, (int64_t)all_waiting(book));
	if (next)
		arm(rollout, next);
}

static void swept(void *arg, int result)
{
	struct rollout *rollout = arg;
	bool more = rollout->sweeping;
	rollout->sweeping = false;
	if (more && !result)
		rollout_wake(rollout);
}

static size_t step_all(struct rollout *rollout, struct batch *batch)
{
	const struct book *book = &rollout->ledger->book;
	size_t n = 0;
	for (size_t i = book->count; i-- && n < BATCH;)
		n += step(rollout, batch, book->jobs[i], BATCH - n);
	return n;
}

static void sweep(void *arg)
{
	struct rollout *rollout = arg;
	rollout->armed = 0;
	if (rollout->ledger->state == LEDGER_LOST) {
		int r = ledger_load(rollout->ledger);
		if (r)
			rollout->ledger->deps.loaded(rollout->ledger->deps.arg, r);
		return;
	}
	if (rollout->sweeping || rollout->ledger->state == LEDGER_READING)
		return; /* there is a wake-up after it */
	struct batch *batch = batch_new(rollout->ledger);
	if (!batch) {
		arm(rollout, rollout->ledger->deps.loop->now(rollout->ledger->deps.host) + 1000);
		return;
	}
	rollout->sweeping = step_all(rollout, batch) > 0;
	if (!rollout->sweeping)
		rest(rollout);
	batch_end(batch, swept, rollout);
}

void rollout_wake_at(struct rollout *rollout, uint64_t mono)
{
	if (mono && (!rollout->armed || mono < rollout->armed))
		arm(rollout, mono);
}

void rollout_wake(struct rollout *rollout)
{
	const struct ledger_deps *deps = &rollout->ledger->deps;
	rollout_wake_at(rollout, deps->loop->now(deps->host));
}

/* --- the registry -------------------------------------------------------------------------------------------------------- */

static bool waits(const struct job *job, struct edged_slice thing)
{
	for (size_t i = job->waiting_next; i < json_array_size(job->waiting); i++) {
		const json_t *name = json_array_get(job->waiting, i);
		if (edged_slice_eq(thing, edged_slice(json_string_value(name), json_string_length(name))))
			return true;
	}
	return false;
}

static void look_at(struct rollout *rollout, struct job *job, struct edged_slice thing)
{
	const struct execution *execution = job_find(job, thing);
	bool is_meant = meant(rollout, job, thing);
	if (execution && execution_pending(execution->status) && !is_meant)
		job->unchecked = true;
	if (job->continuous && job->status == JOB_IN_PROGRESS && is_meant && lacks(job, thing) &&
	        !waits(job, thing) && json_array_append_new(job->waiting, json_stringn(thing.ptr, thing.len)))
		job->unchecked = true; /* no memory: they are looked for again */
}

static void changed(void *arg, struct edged_slice thing)
{
	struct rollout *rollout = arg;
	const struct book *book = &rollout->ledger->book;
	if (rollout->ledger->state != LEDGER_READY)
		return; /* all are looked at afterwards */
	for (size_t i = 0; i < book->count; i++)
		if (thing.len)
			look_at(rollout, book->jobs[i], thing);
		else
			book->jobs[i]->unchecked = true;
	if (book->count)
		rollout_wake(rollout);
}

/* --- life ------------------------------------------------------------------------------------------------------------------ */

int rollout_init(struct rollout *rollout, struct ledger *ledger, const struct edged_things_1 *registry,
        const struct edged_metrics_1 *metrics, size_t most)
{
	struct edged_host *host = ledger->deps.host;
	*rollout = (struct rollout){ .ledger = ledger, .registry = registry, .most = most };
	rollout->queued = metrics->figure(
	        host, EDGED_COUNTER, "jobs_queued_total", NULL, "Executions that were queued for a thing");
	rollout->timed_out = metrics->figure(
	        host, EDGED_COUNTER, "jobs_timed_out_total", NULL, "Executions that took too long");
	rollout->jobs = metrics->figure(host, EDGED_GAUGE, "jobs_jobs", NULL, "Jobs");
	rollout->executions =
	        metrics->figure(host, EDGED_GAUGE, "jobs_executions", NULL, "Executions of all jobs");
	rollout->waiting = metrics->figure(host, EDGED_GAUGE, "jobs_waiting", NULL,
	        "Things whose execution waits for the rate of its job, or for room");
	rollout->timer = ledger->deps.loop->timer_new(host, sweep, rollout);
	return rollout->timer ? 0 : -ENOMEM;
}

int rollout_start(struct rollout *rollout)
{
	return rollout->registry->watch(rollout->registry->ctx, host_of(rollout), changed, rollout);
}

void rollout_stop(struct rollout *rollout)
{
	rollout->registry->unwatch(rollout->registry->ctx, host_of(rollout), rollout);
	rollout->ledger->deps.loop->timer_free(rollout->timer);
	rollout->timer = NULL;
}
