/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves timers, posts, deferred calls and requests behind. */
#include "edged/plugin.h"

struct probe;
static void leave(struct probe *probe);
static int never_answers(void *self, edged_handle request);
static const struct edged_route routes[] = {
	{ .method = "GET", .path = "/messy/v1", .serve = never_answers, .summary = "Never answers" }, { 0 }
};
#define NAME        "messy"
#define MORE        .routes = routes,
#define STOP(probe) leave(probe)
#include "probe.h"

static void never(void *arg)
{
	(void)arg;
	probe_log("must not be called");
}

static void dropped(void *arg)
{
	(void)arg;
	probe_log("dropped");
}

static void leave(struct probe *probe)
{
	for (int i = 0; i < 3; i++)
		probe->loop->timer_set(probe->loop->timer_new(probe->host, never, probe), 0);
	if (probe->loop->post(probe->host, 0, never, dropped, probe) ||
	        probe->loop->post(probe->host, 0, never, dropped, probe))
		probe_log("cannot post");
	probe->loop->defer(probe->host, never, probe);
	probe->loop->defer(probe->host, never, probe);
	if (probe->store && probe->store->commit(probe->host, NULL, NULL))
		probe_log("cannot commit");
}

static int never_answers(void *self, edged_handle request)
{
	(void)self;
	(void)request;
	probe_log("asked");
	return 0;
}
