/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include <errno.h>
#include <stdio.h>

#include "rest.h"
#include "text.h"

#define MAX_TRACES  8
#define MAX_SECONDS 3600
#define MAX_PAYLOAD 4096
#define MAX_RATE    10000 /* events a second */
#define MAX_PENDING 1000  /* events on their way to the main loop */

struct tracer {
	struct tracer *next;
	struct trace *trace;
	edged_handle request;
	struct edged_timer *timer;
	uint64_t number;
	uint64_t second; /* of the clock, to which `count` belongs */
	uint64_t lost;
	uint32_t count, rate, pending;
	size_t payload;
	bool full;
	bool by_topic;
	size_t len;
	char text[]; /* client id or filter */
};

struct trace {
	struct broker *broker;
	pthread_mutex_t lock; /* of all below: changed on the main loop, looked through on every loop */
	struct tracer *tracers;
	uint64_t numbers;
	uint32_t count;
};

/* --- telling -------------------------------------------------------------------------------------------------------------- */

static void write_text(struct tracer *t, struct edged_slice text)
{
	const struct broker *b = t->trace->broker;
	if (b->http->stream_write(b->host, t->request, text) != 0)
		t->full = true; /* or gone: then on_gone comes */
}

static void tell_lost(struct tracer *t)
{
	char text[80];
	int n = snprintf(
	        text, sizeof(text), "event: lost\ndata: {\"events\":%llu}\n\n", (unsigned long long)t->lost);
	t->lost = 0;
	write_text(t, edged_slice(text, (size_t)n));
}

/* An event on its way to the main loop. */
struct note {
	struct trace *trace;
	uint64_t number; /* of the tracer */
	size_t len;
	char text[];
};

static void note_arrives(void *arg)
{
	struct note *note = arg;
	struct trace *trace = note->trace;
	pthread_mutex_lock(&trace->lock);
	struct tracer *t = trace->tracers;
	while (t && t->number != note->number)
		t = t->next;
	if (t) {
		t->pending--;
		if (t->lost && !t->full)
			tell_lost(t);
		if (t->full)
			t->lost++;
		else
			write_text(t, edged_slice(note->text, note->len));
	}
	pthread_mutex_unlock(&trace->lock);
	free(note);
}

static int add_text(json_t *json, const char *name, struct edged_slice text)
{
	if (!text.len)
		return 0;
	json_t *value = text_json(text);
	return value ? json_object_set_new(json, name, value) : 0; /* not UTF-8: left out */
}

static int add_number(json_t *json, const char *name, int value)
{
	return value < 0 ? 0 : json_object_set_new(json, name, json_integer(value));
}

static int add_name(json_t *json, const char *name, const char *value)
{
	return value ? json_object_set_new(json, name, json_string(value)) : 0;
}

/* The beginning of the payload, cut between characters. */
static int add_payload(json_t *json, struct edged_slice payload, size_t most)
{
	size_t n = payload.len;
	if (n > most) {
		n = most;
		for (unsigned i = 0; n && i < 3 && ((uint8_t)payload.ptr[n] & 0xc0) == 0x80; i++)
			n--;
	}
	int r = json_object_set_new(json, "size", json_integer((json_int_t)payload.len));
	if (!n)
		return r;
	json_t *text = text_json(edged_slice(payload.ptr, n));
	r |= text ? json_object_set_new(json, "payload", text)
	          : json_object_set_new(json, "payloadBase64", base64_json(edged_slice(payload.ptr, n)));
	return n < payload.len ? r | json_object_set_new(json, "truncated", json_true()) : r;
}

static json_t *event_json(const struct event *e, size_t payload)
{
	json_t *json = json_pack("{s:I}", "timestamp", (json_int_t)wall_ms());
	int r = json ? add_text(json, "clientId", e->client) : -1;
	r |= add_name(json, "direction", e->direction);
	r |= add_name(json, "packet", e->packet);
	r |= add_name(json, "by", e->by);
	r |= add_number(json, "packetId", e->id);
	r |= add_number(json, "qos", e->qos);
	r |= add_text(json, "topic", e->topic);
	if (e->message) {
		r |= json_object_set_new(json, "retain", json_boolean(e->retain));
		r |= json_object_set_new(json, "dup", json_boolean(e->dup));
		r |= add_payload(json, e->payload, payload);
	}
	r |= add_number(json, "reason", e->reason);
	r |= add_name(json, "why", e->why);
	if (e->more)
		r |= json_object_update(json, e->more);
	if (!r)
		return json;
	json_decref(json);
	return NULL;
}

static struct note *note_new(const struct tracer *t, const struct event *e)
{
	json_t *json = event_json(e, t->payload);
	char *data = json ? json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
	json_decref(json);
	size_t room = data ? strlen(data) + sizeof("event: packet\ndata: \n\n") : 0;
	struct note *note = data ? malloc(sizeof(*note) + room) : NULL;
	if (note) {
		note->trace = t->trace;
		note->number = t->number;
		note->len = (size_t)snprintf(note->text, room, "event: packet\ndata: %s\n\n", data);
	}
	free(data);
	return note;
}

static bool concerns(const struct tracer *t, const struct event *e)
{
	struct edged_slice text = edged_slice(t->text, t->len);
	if (t->by_topic)
		return e->topic.len && filter_matches(text, e->topic);
	return edged_slice_eq(text, e->client);
}

static void tell(struct tracer *t, const struct event *e)
{
	const struct broker *b = t->trace->broker;
	uint64_t second = b->loop->now(b->host) / 1000;
	if (t->second != second)
		t->count = 0;
	t->second = second;
	struct note *note = NULL;
	if (t->count++ < t->rate && t->pending < MAX_PENDING)
		note = note_new(t, e);
	if (!note || b->loop->post(b->host, 0, note_arrives, free, note)) {
		free(note);
		t->lost++;
		return;
	}
	t->pending++;
}

void trace_show(const struct broker *broker, const struct event *e)
{
	struct trace *trace = broker->trace;
	pthread_mutex_lock(&trace->lock);
	for (struct tracer *t = trace->tracers; t; t = t->next)
		if (concerns(t, e))
			tell(t, e);
	pthread_mutex_unlock(&trace->lock);
}

/* --- life ---------------------------------------------------------------------------------------------------------------- */

static void tracer_free(struct tracer *t)
{
	struct trace *trace = t->trace;
	struct broker *b = trace->broker;
	pthread_mutex_lock(&trace->lock);
	struct tracer **at = &trace->tracers;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	trace->count--;
	__atomic_store_n(&b->tracing, trace->count, __ATOMIC_RELAXED);
	edged_metric_set(b->figures.traces, trace->count);
	pthread_mutex_unlock(&trace->lock);
	b->loop->timer_free(t->timer);
	free(t);
}

static void on_room(void *arg)
{
	struct tracer *t = arg;
	pthread_mutex_lock(&t->trace->lock);
	t->full = false;
	if (t->lost)
		tell_lost(t);
	pthread_mutex_unlock(&t->trace->lock);
}

static void on_gone(void *arg)
{
	tracer_free(arg);
}

static void end(struct tracer *t, const char *text)
{
	const struct broker *b = t->trace->broker;
	(void)b->http->stream_write(b->host, t->request, edged_str(text));
	(void)b->http->stream_end(b->host, t->request);
	tracer_free(t);
}

static void time_is_over(void *arg)
{
	end(arg, "event: end\ndata: {\"why\":\"time\"}\n\n");
}

static int bad(struct broker *b, edged_handle request, const char *detail)
{
	return b->http->problem(
	        b->host, request, 400, "bad-parameter", "A query parameter is not valid", detail);
}

static int begin(struct trace *trace, struct tracer *t, uint64_t seconds)
{
	struct broker *b = trace->broker;
	t->timer = b->loop->timer_new(b->host, time_is_over, t);
	int r = t->timer ? b->http->stream_begin(
	                           b->host, t->request, 200, "text/event-stream", on_room, on_gone, t)
	                 : -ENOMEM;
	if (r) {
		b->loop->timer_free(t->timer);
		free(t);
		return r;
	}
	b->loop->timer_set(t->timer, seconds * 1000);
	write_text(t, edged_str(": tracing\n\n"));
	pthread_mutex_lock(&trace->lock);
	t->number = ++trace->numbers;
	t->next = trace->tracers;
	trace->tracers = t;
	trace->count++;
	__atomic_store_n(&b->tracing, trace->count, __ATOMIC_RELAXED);
	edged_metric_set(b->figures.traces, trace->count);
	pthread_mutex_unlock(&trace->lock);
	return 0;
}

int trace_open(void *self, edged_handle request)
{
	struct broker *b = self;
	struct edged_slice client = b->http->query(b->host, request, "client"),
	                   topic = b->http->query(b->host, request, "topic");
	struct filter filter;
	uint64_t seconds, payload, rate;
	if ((client.len == 0) == (topic.len == 0))
		return bad(b, request, "Give ?client= a client id, or ?topic= an MQTT topic filter.");
	if (topic.len && (!filter_parse(topic, &b->limits.topic, &filter) || filter.group.len))
		return bad(b, request, "The query parameter topic is an MQTT topic filter.");
	if (!rest_number(b, request, "for", 60, MAX_SECONDS, &seconds) ||
	        !rest_number(b, request, "payload", 256, MAX_PAYLOAD, &payload) ||
	        !rest_number(b, request, "rate", 200, MAX_RATE, &rate))
		return 0;
	if (b->trace->count >= MAX_TRACES)
		return b->http->problem(b->host, request, 503, "too-many-traces", "Too many traces are open",
		        "There may be 8; end one of them first.");
	struct edged_slice text = client.len ? client : topic;
	struct tracer *t = calloc(1, sizeof(*t) + text.len);
	if (!t)
		return -ENOMEM;
	*t = (struct tracer){ .trace = b->trace,
		.request = request,
		.rate = (uint32_t)rate,
		.payload = (size_t)payload,
		.by_topic = topic.len > 0,
		.len = text.len };
	memcpy(t->text, text.ptr, text.len);
	return begin(b->trace, t, seconds);
}

int trace_new(struct broker *broker, struct trace **ret)
{
	struct trace *trace = calloc(1, sizeof(*trace));
	if (!trace)
		return -ENOMEM;
	trace->broker = broker;
	pthread_mutex_init(&trace->lock, NULL);
	*ret = trace;
	return 0;
}

void trace_stop(struct trace *trace)
{
	while (trace->tracers)
		end(trace->tracers, "event: end\ndata: {\"why\":\"stop\"}\n\n");
}

void trace_free(struct trace *trace)
{
	if (!trace)
		return;
	while (trace->tracers)
		tracer_free(trace->tracers);
	pthread_mutex_destroy(&trace->lock);
	free(trace);
}
