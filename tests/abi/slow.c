/* SPDX-License-Identifier: Apache-2.0 */
/* Starts in the background, and offers something once it has. */
#include "edged/plugin.h"

struct probe;
static int slow_start(struct probe *probe);
#define NAME         "slow"
#define OFFERS       "test.a/1"
#define ROUTE        "/slow/v1"
#define START(probe) slow_start(probe)
#include "probe.h"

static struct edged_timer *timer;

static void over(void *arg)
{
	struct probe *probe = (struct probe *)arg;
	probe->loop->timer_free(timer);
	probe->host->v1->started(probe->host, 0, NULL);
}

static int slow_start(struct probe *probe)
{
	timer = probe->loop->timer_new(probe->host, over, probe);
	probe->loop->timer_set(timer, 20);
	return EDGED_LATER;
}
