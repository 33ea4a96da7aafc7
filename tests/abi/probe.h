/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stuff that test plugins are made of: a file defines what it wants to be different and includes this. Every callback
 * adds a line "NAME WHAT" to the file that the environment variable PROBE_LOG names.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "edged/cap_http.h"
#include "edged/cap_log.h"
#include "edged/cap_loop.h"
#include "edged/cap_metrics.h"
#include "edged/cap_store.h"
#include "edged/plugin.h"

#ifndef NAME
#define NAME "probe"
#endif
#ifndef VERSION
#define VERSION "1"
#endif
#ifndef CREATE
#define CREATE(probe) 0
#endif
#ifndef START
#define START(probe) 0
#endif
#ifndef STOP
#define STOP(probe)
#endif

struct probe {
	struct edged_host *host;
	const struct edged_http_1 *http;
	const struct edged_loop_1 *loop;
	const struct edged_metrics_1 *metrics;
	const struct edged_store_1 *store;
	int64_t *figure;
};

static void probe_log(const char *what)
{
	char line[128];
	const char *path = getenv("PROBE_LOG");
	int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
	int n = snprintf(line, sizeof(line), "%s %s\n", NAME, what);
	if (fd >= 0 && write(fd, line, (size_t)n) == n)
		close(fd);
}

__attribute__((unused)) static int probe_serve(void *self, edged_handle request)
{
	struct probe *probe = (struct probe *)self;
	edged_metric_add(probe->figure, 1);
	return probe->http->reply(probe->host, request, 200, "text/plain", edged_str(NAME " " VERSION));
}

static int probe_create(struct edged_host *host, void **ret_self)
{
	static struct probe probe; /* one at a time */
	probe_log("create " VERSION);
	probe.host = host;
	probe.http = (const struct edged_http_1 *)edged_cap(host, EDGED_HTTP_1);
	probe.loop = (const struct edged_loop_1 *)edged_cap(host, EDGED_LOOP_1);
	probe.metrics = (const struct edged_metrics_1 *)edged_cap(host, EDGED_METRICS_1);
	probe.store = (const struct edged_store_1 *)edged_cap(host, EDGED_STORE_1);
	probe.figure =
	        probe.metrics->figure(host, EDGED_COUNTER, "probe_total", "name=\"" NAME "\"", "Served");
	*ret_self = &probe;
	return CREATE(&probe);
}

static int probe_start(void *self)
{
	(void)self;
	probe_log("start " VERSION);
	return START(((struct probe *)self));
}

static void probe_stop(void *self)
{
	(void)self;
	STOP(((struct probe *)self));
	probe_log("stop " VERSION);
}

static void probe_destroy(void *self)
{
	(void)self;
	probe_log("destroy " VERSION);
}

#ifdef NEEDS
static const char *const probe_needs[] = { NEEDS, NULL };
#define PROBE_NEEDS .needs = probe_needs,
#else
#define PROBE_NEEDS
#endif

#ifdef OFFERS
static const char *const probe_offers[] = { OFFERS, NULL };
static const void *probe_offer(void *self, const char *name)
{
	(void)self;
	return name;
}
#define PROBE_OFFERS .offers = probe_offers, .offer = probe_offer,
#else
#define PROBE_OFFERS
#endif

#ifdef ROUTE
static const struct edged_route probe_routes[] = {
	{ .method = "GET", .path = ROUTE, .serve = probe_serve, .summary = "Says who it is" }, { 0 }
};
#define PROBE_ROUTES .routes = probe_routes,
#else
#define PROBE_ROUTES
#endif

#ifndef MORE
#define MORE
#endif

EDGED_PLUGIN(.name = NAME, .version = VERSION,
        PROBE_NEEDS PROBE_OFFERS PROBE_ROUTES MORE.create = probe_create, .start = probe_start,
        .stop = probe_stop, .destroy = probe_destroy);
