/* SPDX-License-Identifier: Apache-2.0 */
#include "watchdog.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "notify.h"

struct poke {
	struct post post; /* goes to the loop, and comes back to loop 0 */
	struct watchdog *watchdog;
	struct loop *loop;
};

struct watchdog {
	struct loops *loops;
	struct timer *timer;
	uint64_t round_ms;
	unsigned waiting; /* pokes that have not come back; main loop only */
	struct poke pokes[];
};

static void answered(struct post *post)
{
	struct watchdog *watchdog = CONTAINER_OF(post, struct poke, post)->watchdog;
	if (--watchdog->waiting > 0)
		return;
	notify_watchdog();
	timer_set(watchdog->timer, watchdog->round_ms);
}

static void poked(struct post *post)
{
	struct poke *poke = CONTAINER_OF(post, struct poke, post);
	poke->post.fn = answered;
	loop_post(loops_at(poke->watchdog->loops, 0), &poke->post);
}

static void poke_all(void *arg)
{
	struct watchdog *watchdog = arg;
	unsigned count = loops_count(watchdog->loops);
	watchdog->waiting = count;
	for (unsigned i = 0; i < count; i++) {
		watchdog->pokes[i].post = (struct post){ .fn = poked };
		loop_post(watchdog->pokes[i].loop, &watchdog->pokes[i].post);
	}
}

int watchdog_new(struct loops *loops, struct watchdog **ret)
{
	unsigned count = loops_count(loops);
	struct watchdog *watchdog = calloc(1, sizeof(*watchdog) + count * sizeof(watchdog->pokes[0]));
	if (!watchdog)
		return -ENOMEM;
	watchdog->loops = loops;
	watchdog->round_ms = notify_watchdog_interval_ms();
	for (unsigned i = 0; i < count; i++)
		watchdog->pokes[i] = (struct poke){ .watchdog = watchdog, .loop = loops_at(loops, i) };
	int r = timer_new(loops_at(loops, 0), poke_all, watchdog, &watchdog->timer);
	if (r) {
		free(watchdog);
		return r;
	}
	if (watchdog->round_ms)
		timer_set(watchdog->timer, watchdog->round_ms);
	*ret = watchdog;
	return 0;
}

void watchdog_free(struct watchdog *watchdog)
{
	if (!watchdog)
		return;
	timer_free(watchdog->timer);
	free(watchdog);
}
