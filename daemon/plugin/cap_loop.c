/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/cap_loop.h"

#include <errno.h>
#include <stdlib.h>
#include "base/clock.h"
#include "plugin/context.h"

struct edged_timer {
	struct ledger_entry entry;
	struct timer *timer; /* NULL once the plugin has stopped */
	bool armed;
	void (*fire)(void *arg);
	void *arg;
};

static unsigned loop_count(struct edged_host *host)
{
	return loops_count(context_of(host)->deps->loops);
}

static unsigned self(struct edged_host *host)
{
	(void)host;
	struct loop *loop = loop_self();
	return loop ? loop_index(loop) : 0;
}

static uint64_t now(struct edged_host *host)
{
	(void)host;
	struct loop *loop = loop_self();
	return loop ? loop_now(loop) : clock_mono_ms();
}

/* The timer may be gone when fire() returns. */
static void on_fire(void *arg)
{
	struct edged_timer *timer = arg;
	struct loop_charge charge;
	timer->armed = false;
	loop_enter(&charge, ledger_owner(timer->entry.ledger));
	timer->fire(timer->arg);
	loop_leave(&charge);
}

static void free_timer(struct edged_timer *timer)
{
	if (!timer)
		return;
	timer_free(timer->timer);
	ledger_remove(&timer->entry);
	free(timer);
}

static bool silence(struct ledger_entry *entry)
{
	struct edged_timer *timer = CONTAINER_OF(entry, struct edged_timer, entry);
	timer_free(TAKE(timer->timer));
	return timer->armed;
}

static void release(struct ledger_entry *entry)
{
	free_timer(CONTAINER_OF(entry, struct edged_timer, entry));
}

static struct edged_timer *new_timer(struct edged_host *host, void (*fire)(void *arg), void *arg)
{
	struct edged_timer *timer = malloc(sizeof(*timer));
	if (!timer)
		return NULL;
	*timer = (struct edged_timer){ .fire = fire, .arg = arg };
	if (ledger_add(context_of(host)->ledger, LEDGER_TIMERS, &timer->entry, silence, release)) {
		free(timer);
		return NULL;
	}
	if (timer_new(loop_self(), on_fire, timer, &timer->timer)) {
		ledger_remove(&timer->entry);
		free(timer);
		return NULL;
	}
	return timer;
}

static void set_timer(struct edged_timer *timer, uint64_t ms)
{
	timer->armed = true;
	if (timer->timer)
		timer_set(timer->timer, ms);
}

static void cancel_timer(struct edged_timer *timer)
{
	timer->armed = false;
	if (timer->timer)
		timer_cancel(timer->timer);
}

static int post(
        struct edged_host *host, unsigned loop, void (*fn)(void *arg), void (*drop)(void *arg), void *arg)
{
	struct plugin_context *context = context_of(host);
	if (loop >= loops_count(context->deps->loops))
		return -EINVAL;
	return ledger_post(context->ledger, loops_at(context->deps->loops, loop), fn, drop, arg);
}

static int defer(struct edged_host *host, void (*fn)(void *arg), void *arg)
{
	return ledger_defer(context_of(host)->ledger, fn, arg);
}

static void defer_cancel(struct edged_host *host, void *arg)
{
	ledger_defer_cancel(context_of(host)->ledger, arg);
}

const struct edged_loop_1 cap_loop = {
	.struct_size = sizeof(cap_loop),
	.loop_count = loop_count,
	.loop_self = self,
	.now = now,
	.timer_new = new_timer,
	.timer_set = set_timer,
	.timer_cancel = cancel_timer,
	.timer_free = free_timer,
	.post = post,
	.defer = defer,
	.defer_cancel = defer_cancel,
};
