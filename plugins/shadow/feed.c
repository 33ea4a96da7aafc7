/* SPDX-License-Identifier: Apache-2.0 */
#include "feed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

struct source {
	struct feed *feed;
	const char *event;
	char *(*data)(const struct edged_message *message);
	edged_handle subscription;
};

struct feed {
	LIST_ENTRY(feed) link;
	struct feeds *feeds;
	edged_handle request;
	struct shadow_name about;
	struct edged_identity *identity; /* held; or NULL */
	struct source sources[FEED_TOPICS];
	size_t count;
};

struct feeds {
	struct feeds_deps deps;
	unsigned count;
	LIST_HEAD(, feed) open;
};

void feed_changes(const struct shadow_name *about, struct feed_topic ret[FEED_CHANGES])
{
	static const char *const shadow[][2] = { { "update/documents", "update" },
		{ "update/delta", "delta" }, { "delete/accepted", "delete" } };
	static const char *const presence[] = { "connected", "disconnected" };
	size_t n = 0;
	for (size_t i = 0; i < 3; i++, n++) {
		ret[n] = (struct feed_topic){ .event = shadow[i][1] };
		(void)shadow_topic_print(ret[n].filter, about, shadow[i][0]);
	}
	for (size_t i = 0; i < 2; i++, n++) {
		ret[n] = (struct feed_topic){ .event = presence[i] };
		snprintf(ret[n].filter, FEED_TOPIC_MAX, "$aws/events/presence/%s/%s", presence[i],
		        about->thing);
	}
}

/* --- writing ---------------------------------------------------------------------------------------------------------------- */

static void pause_all(const struct feed *feed, bool pause)
{
	const struct feeds_deps *deps = &feed->feeds->deps;
	for (size_t i = 0; i < feed->count; i++)
		(void)(pause ? deps->pubsub->pause : deps->pubsub->resume)(
		        deps->pubsub->ctx, deps->host, feed->sources[i].subscription);
}

static void on_room(void *arg)
{
	pause_all(arg, false);
}

void feed_tell(const struct feed *feed, const char *event, struct edged_slice data)
{
	const struct feeds_deps *deps = &feed->feeds->deps;
	char *text = NULL;
	int n = asprintf(&text, "event: %s\ndata: %.*s\n\n", event, EDGED_SLICE_FMT(data));
	if (n < 0)
		return;
	if (deps->http->stream_write(deps->host, feed->request, edged_slice(text, (size_t)n)) != 0)
		pause_all(feed, true); /* full, or gone: then on_gone comes */
	free(text);
}

static void tell_lost(const struct feed *feed, uint32_t messages)
{
	char text[40];
	int n = snprintf(text, sizeof(text), "{\"messages\":%u}", messages);
	feed_tell(feed, "lost", edged_slice(text, (size_t)n));
}

static void deliver(void *arg, const struct edged_message *message)
{
	const struct source *source = arg;
	char *data = source->data && !message->retain ? source->data(message) : NULL;
	uint32_t lost = message->lost + (source->data && !message->retain && !data);
	if (lost)
		tell_lost(source->feed, lost);
	if (!message->retain && (data || !source->data))
		feed_tell(source->feed, source->event, data ? edged_str(data) : message->payload);
	free(data);
}

/* --- life ------------------------------------------------------------------------------------------------------------------- */

static void feed_free(struct feed *feed)
{
	struct feeds *feeds = feed->feeds;
	const struct feeds_deps *deps = &feeds->deps;
	for (size_t i = 0; i < feed->count; i++)
		(void)deps->pubsub->unsubscribe(deps->pubsub->ctx, deps->host, feed->sources[i].subscription);
	gate_drop(deps->gate, feed->identity);
	LIST_REMOVE(feed, link);
	edged_metric_set(deps->figure, --feeds->count);
	free(feed);
}

static void on_gone(void *arg)
{
	feed_free(arg);
}

static void end(struct feed *feed)
{
	(void)feed->feeds->deps.http->stream_end(feed->feeds->deps.host, feed->request);
	feed_free(feed);
}

static int subscribe(struct feed *feed, const struct feed_topic *topics, size_t count)
{
	const struct feeds_deps *deps = &feed->feeds->deps;
	int r = 0;
	for (size_t i = 0; i < count && !r; i++) {
		struct source *source = &feed->sources[i];
		*source = (struct source){ .feed = feed, .event = topics[i].event, .data = topics[i].data };
		r = deps->pubsub->subscribe(deps->pubsub->ctx, deps->host, topics[i].filter, 1, deliver,
		        source, &source->subscription);
		feed->count += !r;
	}
	return r;
}

int feeds_open(struct feeds *feeds, edged_handle request, const struct shadow_name *about,
        struct edged_identity *identity, const struct feed_topic *topics, size_t count, struct feed **ret)
{
	const struct feeds_deps *deps = &feeds->deps;
	char detail[80];
	*ret = NULL;
	snprintf(detail, sizeof(detail), "The limit is %s.", deps->limit_is);
	if (feeds->count >= deps->limit)
		return deps->http->problem(deps->host, request, 503, "too-many-streams",
		        "Too many event streams are open", detail);
	struct feed *feed = calloc(1, sizeof(*feed));
	if (!feed)
		return -ENOMEM;
	feed->feeds = feeds;
	feed->request = request;
	feed->about = *about;
	feed->identity = identity;
	gate_hold(deps->gate, identity);
	LIST_INSERT_HEAD(&feeds->open, feed, link);
	edged_metric_set(deps->figure, ++feeds->count);
	int r = subscribe(feed, topics, count);
	if (!r)
		r = deps->http->stream_begin(
		        deps->host, request, 200, "text/event-stream", on_room, on_gone, feed);
	if (r)
		feed_free(feed);
	else
		*ret = feed;
	return r;
}

struct feed *feeds_find(const struct feeds *feeds, edged_handle request)
{
	struct feed *feed;
	LIST_FOREACH(feed, &feeds->open, link)
	if (feed->request == request)
		break;
	return feed;
}

int feeds_new(const struct feeds_deps *deps, struct feeds **ret)
{
	struct feeds *feeds = calloc(1, sizeof(*feeds));
	if (!feeds)
		return -ENOMEM;
	feeds->deps = *deps;
	LIST_INIT(&feeds->open);
	*ret = feeds;
	return 0;
}

void feeds_judge(struct feeds *feeds)
{
	for (struct feed *feed = LIST_FIRST(&feeds->open), *next; feed; feed = next) {
		next = LIST_NEXT(feed, link);
		if (!gate_allows(feeds->deps.gate, feed->identity, EDGED_GET_SHADOW, feed->about.thing,
		            feed->about.name))
			end(feed);
	}
}

void feeds_end(struct feeds *feeds, bool (*over)(void *arg, const char *thing), void *arg)
{
	for (struct feed *feed = LIST_FIRST(&feeds->open), *next; feed; feed = next) {
		next = LIST_NEXT(feed, link);
		if (over(arg, feed->about.thing))
			end(feed);
	}
}

void feeds_stop(struct feeds *feeds)
{
	while (!LIST_EMPTY(&feeds->open))
		end(LIST_FIRST(&feeds->open));
}

void feeds_free(struct feeds *feeds)
{
	while (feeds && !LIST_EMPTY(&feeds->open))
		feed_free(LIST_FIRST(&feeds->open));
	free(feeds);
}
