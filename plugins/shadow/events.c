/* SPDX-License-Identifier: Apache-2.0 */
#include "events.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/* Below the shadow's prefix; or about the thing. */
static const struct {
	const char *suffix, *presence, *event;
} sources[] = { { "update/documents", NULL, "update" }, { "update/delta", NULL, "delta" },
	{ "delete/accepted", NULL, "delete" }, { NULL, "$aws/events/presence/connected/%s", "connected" },
	{ NULL, "$aws/events/presence/disconnected/%s", "disconnected" } };
enum { SOURCES = sizeof(sources) / sizeof(sources[0]) };

struct stream;

struct source {
	struct stream *stream;
	const char *event;
	edged_handle subscription;
};

struct stream {
	LIST_ENTRY(stream) link;
	struct events *events;
	edged_handle request;
	struct shadow_name name;
	struct edged_identity *identity; /* held; or NULL */
	struct source sources[SOURCES];
};

struct events {
	struct service_deps deps;
	const struct gate *gate;
	const struct edged_http_1 *http;
	struct service *service;
	unsigned limit, count;
	int64_t *figure;
	LIST_HEAD(, stream) streams;
};

/* --- writing ---------------------------------------------------------------------------------------------------------------- */

static void pause_all(const struct stream *s, bool pause)
{
	const struct edged_pubsub_1 *pubsub = s->events->deps.pubsub;
	for (unsigned i = 0; i < SOURCES; i++)
		(void)(pause ? pubsub->pause : pubsub->resume)(
		        pubsub->ctx, s->events->deps.host, s->sources[i].subscription);
}

static void write_event(const struct stream *s, const char *event, struct edged_slice data)
{
	const struct events *events = s->events;
	size_t room = strlen(event) + data.len + sizeof("event: \ndata: \n\n");
	char *text = malloc(room);
	if (!text)
		return;
	int n = snprintf(text, room, "event: %s\ndata: %.*s\n\n", event, EDGED_SLICE_FMT(data));
	if (events->http->stream_write(events->deps.host, s->request, edged_slice(text, (size_t)n)) != 0)
		pause_all(s, true); /* full, or gone: then on_gone comes */
	free(text);
}

static void on_room(void *arg)
{
	pause_all(arg, false);
}

static void deliver(void *arg, const struct edged_message *message)
{
	const struct source *source = arg;
	if (message->lost) {
		char text[40];
		int n = snprintf(text, sizeof(text), "{\"messages\":%u}", message->lost);
		write_event(source->stream, "lost", edged_slice(text, (size_t)n));
	}
	if (!message->retain)
		write_event(source->stream, source->event, message->payload);
}

/* --- life ------------------------------------------------------------------------------------------------------------------- */

static void stream_free(struct stream *s)
{
	struct events *events = s->events;
	const struct edged_pubsub_1 *pubsub = events->deps.pubsub;
	for (unsigned i = 0; i < SOURCES; i++)
		if (s->sources[i].subscription)
			(void)pubsub->unsubscribe(pubsub->ctx, events->deps.host, s->sources[i].subscription);
	gate_drop(events->gate, s->identity);
	LIST_REMOVE(s, link);
	edged_metric_set(events->figure, --events->count);
	free(s);
}

static void on_gone(void *arg)
{
	stream_free(arg);
}

/* The document at the start; its stream may be gone by now. */
struct start {
	struct events *events;
	edged_handle request;
};

static void begin(void *arg, const struct shadow_error *error, int64_t version, struct edged_slice body)
{
	(void)version;
	struct start *start = arg;
	struct stream *s;
	LIST_FOREACH(s, &start->events->streams, link)
	if (s->request == start->request)
		break;
	if (s && error->code == 0)
		write_event(s, "document", body);
	else if (s)
		write_event(s, error->code == 404 ? "absent" : "error", body);
	free(start);
}

static int subscribe(struct stream *s, const struct shadow_name *name)
{
	const struct service_deps *deps = &s->events->deps;
	for (unsigned i = 0; i < SOURCES; i++) {
		char topic[SHADOW_TOPIC_MAX];
		if (sources[i].suffix)
			(void)shadow_topic_print(topic, name, sources[i].suffix);
		else
			snprintf(topic, sizeof(topic), sources[i].presence, name->thing);
		s->sources[i] = (struct source){ .stream = s, .event = sources[i].event };
		int r = deps->pubsub->subscribe(deps->pubsub->ctx, deps->host, topic, 1, deliver,
		        &s->sources[i], &s->sources[i].subscription);
		if (r)
			return r;
	}
	return 0;
}

static int start(struct stream *s)
{
	struct events *events = s->events;
	struct start *arg = malloc(sizeof(*arg));
	int r = arg ? subscribe(s, &s->name) : -ENOMEM;
	if (!r)
		r = events->http->stream_begin(
		        events->deps.host, s->request, 200, "text/event-stream", on_room, on_gone, s);
	if (r) {
		free(arg);
		stream_free(s);
		return r;
	}
	*arg = (struct start){ events, s->request };
	const struct shadow_call call = {
		.verb = SHADOW_GET, .match = SHADOW_MATCH_NONE, .answer = begin, .arg = arg
	};
	service_run(events->service, &s->name, &call);
	return 0;
}

int events_open(struct events *events, edged_handle request, const struct shadow_name *name,
        struct edged_identity *identity)
{
	if (events->count >= events->limit)
		return events->http->problem(events->deps.host, request, 503, "too-many-streams",
		        "Too many event streams are open", "The limit is \"streams\" of the shadow plugin.");
	struct stream *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->events = events;
	s->request = request;
	s->name = *name;
	s->identity = identity;
	gate_hold(events->gate, identity);
	LIST_INSERT_HEAD(&events->streams, s, link);
	edged_metric_set(events->figure, ++events->count);
	return start(s);
}

int events_new(const struct service_deps *deps, const struct gate *gate, struct service *service,
        unsigned limit, struct events **ret)
{
	struct events *events = calloc(1, sizeof(*events));
	if (!events)
		return -ENOMEM;
	events->deps = *deps;
	events->gate = gate;
	events->http = gate->http;
	events->service = service;
	events->limit = limit;
	events->figure = deps->metrics->figure(
	        deps->host, EDGED_GAUGE, "shadow_event_streams", NULL, "Open event streams");
	LIST_INIT(&events->streams);
	*ret = events;
	return 0;
}

void events_judge(struct events *events)
{
	for (struct stream *s = LIST_FIRST(&events->streams), *next; s; s = next) {
		next = LIST_NEXT(s, link);
		if (gate_allows(events->gate, s->identity, EDGED_GET_SHADOW, s->name.thing, s->name.name))
			continue;
		(void)events->http->stream_end(events->deps.host, s->request);
		stream_free(s);
	}
}

void events_stop(struct events *events)
{
	struct stream *s;
	while ((s = LIST_FIRST(&events->streams))) {
		(void)events->http->stream_end(events->deps.host, s->request);
		stream_free(s);
	}
}

void events_free(struct events *events)
{
	while (events && !LIST_EMPTY(&events->streams))
		stream_free(LIST_FIRST(&events->streams));
	free(events);
}
