/* SPDX-License-Identifier: Apache-2.0 */
/* Has a timer on another loop that never ends. */
#include "edged/plugin.h"

struct probe;
static int roam(struct probe *probe);
#define NAME         "roams"
#define START(probe) roam(probe)
#include "probe.h"

static struct edged_timer *timer;

static void again(void *arg)
{
	struct probe *probe = (struct probe *)arg;
	edged_metric_add(probe->figure, 1);
	probe->loop->timer_set(timer, 1);
}

static void over_there(void *arg)
{
	struct probe *probe = (struct probe *)arg;
	timer = probe->loop->timer_new(probe->host, again, probe);
	probe->loop->timer_set(timer, 0);
	probe_log("roams");
}

static int roam(struct probe *probe)
{
	return probe->loop->post(probe->host, 1, over_there, NULL, probe);
}
