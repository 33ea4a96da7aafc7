/* SPDX-License-Identifier: Apache-2.0 */
#include "asks.h"

#include <errno.h>
#include <stdlib.h>

struct ask {
	TAILQ_ENTRY(ask) link;
	const struct home *home;
	uint32_t id;
	uint64_t until_ms;
	ask_done *done;
	void *arg;
};

struct asks {
	struct asks_deps deps;
	TAILQ_HEAD(, ask) open; /* in the order of time */
	size_t count;
	uint32_t last_id;
	struct edged_timer *timer;
	int64_t *open_figure, *silent_figure;
};

static uint64_t now_of(const struct asks *asks)
{
	return asks->deps.loop->now(asks->deps.host);
}

static void set_timer(struct asks *asks)
{
	const struct ask *first = TAILQ_FIRST(&asks->open);
	uint64_t now = now_of(asks);
	if (first)
		asks->deps.loop->timer_set(asks->timer, first->until_ms > now ? first->until_ms - now : 1);
	else
		asks->deps.loop->timer_cancel(asks->timer);
	edged_metric_set(asks->open_figure, (int64_t)asks->count);
}

/* Takes it out. */
static void take(struct asks *asks, struct ask *ask)
{
	TAILQ_REMOVE(&asks->open, ask, link);
	asks->count--;
}

void asks_silent(struct shadow_error *error, const struct home *home)
{
	(void)shadow_refuse(error, 504,
	        "No answer from node %.8s, the home of this shadow; a change may have been made", home->id);
}

static void fail(struct asks *asks, struct ask *ask)
{
	struct shadow_error error;
	take(asks, ask);
	edged_metric_add(asks->silent_figure, 1);
	asks_silent(&error, ask->home);
	ask->done(ask->arg, &(struct shadow_outcome){ .error = &error }, false);
	free(ask);
}

static void expire(void *arg)
{
	struct asks *asks = arg;
	struct ask *ask;
	uint64_t now = now_of(asks);
	while ((ask = TAILQ_FIRST(&asks->open)) && ask->until_ms <= now)
		fail(asks, ask);
	set_timer(asks);
}

static struct ask *find(const struct asks *asks, uint32_t id)
{
	struct ask *ask;
	TAILQ_FOREACH(ask, &asks->open, link)
	if (ask->id == id)
		return ask;
	return NULL;
}

int asks_add(struct asks *asks, const struct home *home, ask_done *done, void *arg, uint32_t *ret_id)
{
	if (asks->count >= asks->deps.count)
		return -ENOSPC;
	struct ask *ask = malloc(sizeof(*ask));
	if (!ask)
		return -ENOMEM;
	if (++asks->last_id == 0)
		asks->last_id++;
	*ask = (struct ask){ .home = home,
		.id = asks->last_id,
		.until_ms = now_of(asks) + asks->deps.time_ms,
		.done = done,
		.arg = arg };
	TAILQ_INSERT_TAIL(&asks->open, ask, link);
	*ret_id = ask->id;
	if (asks->count++ == 0)
		set_timer(asks);
	edged_metric_set(asks->open_figure, (int64_t)asks->count);
	return 0;
}

void asks_cancel(struct asks *asks, uint32_t id)
{
	struct ask *ask = find(asks, id);
	if (ask)
		take(asks, ask);
	free(ask);
	set_timer(asks);
}

void asks_answer(
        struct asks *asks, const struct home *home, uint32_t id, const struct shadow_outcome *outcome)
{
	struct ask *ask = find(asks, id);
	if (!ask || ask->home != home)
		return;
	take(asks, ask);
	set_timer(asks);
	ask->done(ask->arg, outcome, true);
	free(ask);
}

static struct ask *first_to(const struct asks *asks, const struct home *home)
{
	struct ask *ask = TAILQ_FIRST(&asks->open);
	while (ask && home && ask->home != home)
		ask = TAILQ_NEXT(ask, link);
	return ask;
}

void asks_end(struct asks *asks, const struct home *home)
{
	struct ask *ask;
	while ((ask = first_to(asks, home)))
		fail(asks, ask);
	set_timer(asks);
}

int asks_new(const struct asks_deps *deps, struct asks **ret)
{
	struct asks *asks = calloc(1, sizeof(*asks));
	if (!asks)
		return -ENOMEM;
	asks->deps = *deps;
	TAILQ_INIT(&asks->open);
	asks->timer = deps->loop->timer_new(deps->host, expire, asks);
	asks->open_figure = deps->metrics->figure(deps->host, EDGED_GAUGE, "shadow_forwarded", NULL,
	        "Requests that wait for the answer of another node");
	asks->silent_figure = deps->metrics->figure(deps->host, EDGED_COUNTER, "shadow_unanswered_total",
	        NULL, "Requests that another node has not answered");
	if (!asks->timer) {
		free(asks);
		return -ENOMEM;
	}
	*ret = asks;
	return 0;
}

void asks_free(struct asks *asks)
{
	struct ask *ask;
	if (!asks)
		return;
	while ((ask = TAILQ_FIRST(&asks->open))) {
		take(asks, ask);
		free(ask);
	}
	asks->deps.loop->timer_free(asks->timer);
	free(asks);
}
