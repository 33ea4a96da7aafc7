/* SPDX-License-Identifier: Apache-2.0 */
#include "events.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"

enum { KEPT = 256, WATCHERS = 64 };

struct watcher {
	struct list link;
	struct events *events;
	edged_handle request;
};

struct events {
	struct requests *requests;
	struct list watchers;
	unsigned watcher_count;
	uint64_t last_id;
	char *kept[KEPT]; /* event n is at n % KEPT, in its form on the wire */
};

int events_new(struct requests *requests, struct events **ret)
{
	struct events *events = calloc(1, sizeof(*events));
	if (!events)
		return -ENOMEM;
	events->requests = requests;
	list_init(&events->watchers);
	*ret = events;
	return 0;
}

static void drop_watcher(struct watcher *watcher)
{
	list_remove(&watcher->link);
	watcher->events->watcher_count--;
	free(watcher);
}

void events_free(struct events *events)
{
	if (!events)
		return;
	list_each_safe (node, &events->watchers)
		drop_watcher(list_entry(node, struct watcher, link));
	for (size_t i = 0; i < KEPT; i++)
		free(events->kept[i]);
	free(events);
}

static void watcher_gone(void *arg)
{
	drop_watcher(arg);
}

/* A watcher too slow to take an event is ended: it comes back with Last-Event-ID and gets what it missed. */
static bool send_to(struct watcher *watcher, const char *text)
{
	int r = request_stream_write(watcher->events->requests, watcher->request, edged_str(text));
	if (r >= 0)
		return true;
	(void)request_stream_end(watcher->events->requests, watcher->request);
	drop_watcher(watcher);
	return false;
}

void events_emit(struct events *events, const char *type, struct edged_slice json)
{
	struct buf text = BUF_EMPTY;
	uint64_t id = events->last_id + 1;
	int r = buf_addf(&text, "id: %llu\nevent: %s\ndata: {\"time\":%llu,\"data\":%.*s}\n\n",
	        (unsigned long long)id, type, (unsigned long long)clock_wall_ms(), EDGED_SLICE_FMT(json));
	if (r) {
		buf_fini(&text);
		return;
	}
	events->last_id = id;
	free(events->kept[id % KEPT]);
	events->kept[id % KEPT] = buf_take(&text);
	list_each_safe (node, &events->watchers)
		(void)send_to(list_entry(node, struct watcher, link), events->kept[id % KEPT]);
}

static uint64_t last_seen(struct events *events, edged_handle request)
{
	struct edged_slice header = request_header(events->requests, request, "last-event-id");
	char text[24];
	if (!header.ptr || header.len >= sizeof(text))
		return events->last_id;
	snprintf(text, sizeof(text), "%.*s", EDGED_SLICE_FMT(header));
	char *end;
	uint64_t id = strtoull(text, &end, 10);
	return *end ? events->last_id : id;
}

int events_serve(struct events *events, edged_handle request)
{
	if (events->watcher_count >= WATCHERS)
		return request_problem(events->requests, request, 503, "too-many-watchers",
		        "Too many open event streams",
		        "This node serves 64 event streams at once. Close one and try again.");
	struct watcher *watcher = calloc(1, sizeof(*watcher));
	if (!watcher)
		return -ENOMEM;
	uint64_t next = last_seen(events, request) + 1;
	*watcher = (struct watcher){ .events = events, .request = request };
	int r = request_stream_begin(
	        events->requests, request, 200, "text/event-stream", NULL, watcher_gone, watcher);
	if (r) {
		free(watcher);
		return r;
	}
	list_append(&events->watchers, &watcher->link);
	events->watcher_count++;
	if (events->last_id >= KEPT && next <= events->last_id - KEPT)
		next = events->last_id - KEPT + 1;
	bool open = send_to(watcher, ": events of this node\n\n");
	for (; open && next <= events->last_id; next++)
		open = send_to(watcher, events->kept[next % KEPT]);
	return 0;
}
