/* SPDX-License-Identifier: Apache-2.0 */
/* Takes as many timers, posts and deferred calls as it gets. */
#include "edged/plugin.h"

struct probe;
static int take_all(struct probe *probe);
#define NAME         "greedy"
#define START(probe) take_all(probe)
#include "probe.h"

static void nothing(void *arg)
{
	(void)arg;
}

static int take_all(struct probe *probe)
{
	char what[100];
	int timers = 0, posts = 0, deferred = 0;
	while (timers < 10000 && probe->loop->timer_new(probe->host, nothing, probe))
		timers++;
	while (posts < 10000 && probe->loop->post(probe->host, 1, nothing, NULL, probe) == 0)
		posts++;
	while (deferred < 10000 && probe->loop->defer(probe->host, nothing, (char *)probe + deferred) == 0)
		deferred++;
	snprintf(what, sizeof(what), "got %d timers, %d deferred", timers, deferred);
	probe_log(what);
	return posts < 10000 ? 0 : -EINVAL;
}
