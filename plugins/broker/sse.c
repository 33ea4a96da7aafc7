/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "pubsub.h"
#include "rest.h"
#include "sse.h"
#include "text.h"

struct stream {
	struct stream *next;
	struct sse *sse;
	edged_handle request, subscription;
};

struct sse {
	struct broker *broker;
	struct stream *streams;
	unsigned count;
};

/* --- writing ------------------------------------------------------------------------------------------------------------ */

static void write_text(const struct stream *s, struct edged_slice text)
{
	const struct broker *b = s->sse->broker;
	const struct edged_pubsub_1 *pubsub = pubsub_capability(b->pubsub);
	if (b->http->stream_write(b->host, s->request, text) != 0)
		/* Full, or gone: then on_gone comes. What is published meanwhile waits, in bounds. */
		(void)pubsub->pause(pubsub->ctx, b->host, s->subscription);
}

static void on_room(void *arg)
{
	const struct stream *s = arg;
	const struct broker *b = s->sse->broker;
	const struct edged_pubsub_1 *pubsub = pubsub_capability(b->pubsub);
	(void)pubsub->resume(pubsub->ctx, b->host, s->subscription);
}

static void tell_lost(const struct stream *s, uint32_t lost)
{
	char text[80];
	int n = snprintf(text, sizeof(text), "event: lost\ndata: {\"messages\":%u}\n\n", lost);
	write_text(s, edged_slice(text, (size_t)n));
}

/* --- messages ------------------------------------------------------------------------------------------------------------ */

static json_t *message_json(const struct edged_message *m)
{
	json_t *json = json_pack("{s:o, s:i, s:b, s:I}", "topic", text_json(m->topic), "qos", m->qos,
	        "retain", m->retain, "timestamp", (json_int_t)wall_ms());
	json_t *payload = text_json(m->payload); /* NULL when it is not UTF-8 */
	int r = payload ? json_object_set_new(json, "payload", payload)
	                : json_object_set_new(json, "payloadBase64", base64_json(m->payload));
	if (m->content_type.len)
		r |= json_object_set_new(json, "contentType", text_json(m->content_type));
	if (m->response_topic.len)
		r |= json_object_set_new(json, "responseTopic", text_json(m->response_topic));
	if (m->correlation.len)
		r |= json_object_set_new(json, "correlationData", base64_json(m->correlation));
	if (r) {
		json_decref(json);
		return NULL;
	}
	return json;
}

/* The whole event; malloc'ed. */
static char *make_event(const struct edged_message *m)
{
	json_t *json = message_json(m);
	char *data = json ? json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL, *event = NULL;
	json_decref(json);
	if (data && asprintf(&event, "event: message\ndata: %s\n\n", data) < 0)
		event = NULL;
	free(data);
	return event;
}

static void deliver(void *arg, const struct edged_message *m)
{
	const struct stream *s = arg;
	char *event = make_event(m);
	uint32_t lost = m->lost + !event;
	if (lost)
		tell_lost(s, lost);
	if (event)
		write_text(s, edged_str(event));
	else
		count_one(s->sse->broker->figures.dropped_memory);
	free(event);
}

/* --- life ---------------------------------------------------------------------------------------------------------------- */

static void stream_free(struct stream *s)
{
	struct sse *sse = s->sse;
	const struct edged_pubsub_1 *pubsub = pubsub_capability(sse->broker->pubsub);
	struct stream **at = &sse->streams;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	sse->count--;
	edged_metric_set(sse->broker->figures.streams, sse->count);
	if (s->subscription)
		(void)pubsub->unsubscribe(pubsub->ctx, sse->broker->host, s->subscription);
	free(s);
}

static void on_gone(void *arg)
{
	stream_free(arg);
}

static int problem(struct broker *b, edged_handle request, int status, const char *type, const char *title,
        const char *detail)
{
	return b->http->problem(b->host, request, status, type, title, detail);
}

static int begin(struct stream *s, const char *filter, uint8_t qos)
{
	struct broker *b = s->sse->broker;
	const struct edged_pubsub_1 *pubsub = pubsub_capability(b->pubsub);
	int r = pubsub->subscribe(pubsub->ctx, b->host, filter, qos, deliver, s, &s->subscription);
	if (r) {
		edged_handle request = s->request;
		stream_free(s);
		return r == -EINVAL ? problem(b, request, 400, "bad-filter", "This is not a topic filter",
		                              "Give ?filter= an MQTT topic filter, for instance sensors/%23 "
		                              "for sensors/#.")
		                    : r;
	}
	r = b->http->stream_begin(b->host, s->request, 200, "text/event-stream", on_room, on_gone, s);
	if (r)
		stream_free(s);
	else
		write_text(s, edged_str(": subscribed\n\n"));
	return r;
}

int sse_open(struct sse *sse, edged_handle request)
{
	struct broker *b = sse->broker;
	struct edged_slice filter = b->http->query(b->host, request, "filter");
	struct edged_slice qos = b->http->query(b->host, request, "qos");
	uint64_t level = 0;
	if (qos.ptr && number_parse(qos, 2, &level))
		return problem(
		        b, request, 400, "bad-parameter", "The query parameter qos is 0, 1 or 2", NULL);
	if (sse->count >= b->limits.streams)
		return problem(b, request, 503, "too-many-streams", "Too many event streams are open",
		        "The limit is limits.streams of the broker.");
	char text[1024];
	if (filter.len == 0 || filter.len >= sizeof(text) || memchr(filter.ptr, 0, filter.len))
		filter = edged_slice("", 0); /* the subscription says what is wrong */
	memcpy(text, filter.ptr, filter.len);
	text[filter.len] = '\0';
	struct stream *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->sse = sse;
	s->request = request;
	s->next = sse->streams;
	sse->streams = s;
	edged_metric_set(b->figures.streams, ++sse->count);
	return begin(s, text, (uint8_t)level);
}

int sse_new(struct broker *broker, struct sse **ret)
{
	struct sse *sse = calloc(1, sizeof(*sse));
	if (!sse)
		return -ENOMEM;
	sse->broker = broker;
	*ret = sse;
	return 0;
}

void sse_stop(struct sse *sse)
{
	while (sse->streams) {
		struct stream *s = sse->streams;
		const struct broker *b = sse->broker;
		(void)b->http->stream_end(b->host, s->request);
		stream_free(s);
	}
}

void sse_free(struct sse *sse)
{
	if (!sse)
		return;
	while (sse->streams)
		stream_free(sse->streams);
	free(sse);
}
