/* SPDX-License-Identifier: Apache-2.0 */
#include "notify.h"

#include <errno.h>
#include <stdio.h>

#include "message.h"

/* What a thing has before a change. */
struct view {
	struct batch *batch;
	struct ledger *ledger;
	char thing[THING_NAME_MAX + 1];
	uint64_t next; /* the place of the next execution; 0: there is none */
};

static uint64_t next_of(const struct view *view)
{
	const struct execution *next = line_next(book_line(&view->ledger->book, edged_str(view->thing)));
	return next ? next->place : 0;
}

static struct view look(struct batch *batch, struct ledger *ledger, struct edged_slice thing)
{
	struct view view = { .batch = batch, .ledger = ledger };
	snprintf(view.thing, sizeof(view.thing), "%.*s", EDGED_SLICE_FMT(thing));
	view.next = next_of(&view);
	return view;
}

static bool wanted(const struct view *view, const char *suffix, char *topic)
{
	const struct edged_pubsub_1 *pubsub = view->ledger->deps.pubsub;
	size_t n = jobs_topic_print(topic, view->thing, suffix);
	return pubsub->wanted(pubsub->ctx, view->ledger->deps.host, edged_slice(topic, n));
}

/* `listed`: the list of what is pending is another one. */
static void tell(const struct view *view, bool listed)
{
	const struct line *line = book_line(&view->ledger->book, edged_str(view->thing));
	struct moment now = ledger_now(view->ledger);
	char topic[JOBS_TOPIC_MAX];
	if (listed && wanted(view, "notify", topic))
		batch_tell(view->batch, topic, message_changed(line, now));
	if (next_of(view) != view->next && wanted(view, "notify-next", topic))
		batch_tell(view->batch, topic, message_next(line_next(line), now));
}

void change_execution(
        struct batch *batch, struct ledger *ledger, struct execution *execution, enum execution_status status)
{
	const struct view view = look(batch, ledger, edged_str(execution->thing));
	bool was = execution_pending(execution->status);
	job_recount(execution->job, execution->status, status);
	execution_move(execution, status, execution->job->timeout, ledger_now(ledger));
	if (!execution_pending(status))
		book_leave(&ledger->book, execution);
	batch_put(batch, execution);
	tell(&view, was != execution_pending(status));
}

static int add(struct ledger *ledger, struct job *job, struct edged_slice thing, struct execution **ret)
{
	struct execution *execution = execution_new(job, thing, ledger_now(ledger));
	int r = execution ? book_add_execution(&ledger->book, execution) : -ENOMEM;
	if (r)
		execution_free(execution);
	*ret = r ? NULL : execution;
	return r;
}

static int again(struct ledger *ledger, struct execution *execution)
{
	job_recount(execution->job, execution->status, EXECUTION_QUEUED);
	execution_again(execution, ledger_now(ledger));
	return book_enqueue(&ledger->book, execution);
}

void queue_execution(struct batch *batch, struct ledger *ledger, struct job *job, struct edged_slice thing)
{
	const struct view view = look(batch, ledger, thing);
	struct execution *execution = job_find(job, edged_str(view.thing));
	int r = execution ? again(ledger, execution) : add(ledger, job, edged_str(view.thing), &execution);
	if (r) {
		batch_fail(batch, r);
		return;
	}
	batch_put(batch, execution);
	tell(&view, true);
}

void delete_execution(struct batch *batch, struct ledger *ledger, struct execution *execution)
{
	const struct view view = look(batch, ledger, edged_str(execution->thing));
	bool was = execution_pending(execution->status);
	batch_delete(batch, execution);
	book_remove_execution(&ledger->book, execution);
	tell(&view, was);
}
