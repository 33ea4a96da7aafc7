/* SPDX-License-Identifier: Apache-2.0 */
#include "calls.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/random.h>

#include "topic.h"
#include "seconds.h"

enum { BUCKETS = 256, TYPE_MAX = 127 };

#define GONE "$aws/events/presence/disconnected/"

struct call {
	LIST_ENTRY(call) link;
	struct calls *calls;
	edged_handle request;
	struct edged_timer *timer;
	uint64_t ms; /* its time */
	char thing[THING_NAME_MAX + 1], id[CALL_ID_LEN + 1];
};

/* How a call ends. */
enum end { END_ANSWERED, END_REFUSED, END_LATE, END_LEFT, END_CANCELLED, END_STOPPED, ENDS };

struct calls {
	struct calls_deps deps;
	LIST_HEAD(bucket, call) buckets[BUCKETS]; /* by thing */
	unsigned count;
	edged_handle answers, gone;
	int64_t *in_flight, *ended[ENDS], *ignored;
};

static struct bucket *bucket_of(struct calls *calls, struct edged_slice thing)
{
	uint32_t hash = 2166136261u; /* FNV-1a: names of things come from the registry, not from strangers */
	for (size_t i = 0; i < thing.len; i++)
		hash = (hash ^ (uint8_t)thing.ptr[i]) * 16777619u;
	return &calls->buckets[hash % BUCKETS];
}

/* --- ends ------------------------------------------------------------------------------------------------------------------- */

static void call_end(struct call *call, enum end end)
{
	struct calls *calls = call->calls;
	/* were there no memory to answer it, it would outlive the call */
	(void)calls->deps.http->on_gone(calls->deps.host, call->request, NULL, NULL);
	edged_metric_add(calls->ended[end], 1);
	edged_metric_set(calls->in_flight, --calls->count);
	calls->deps.loop->timer_free(call->timer);
	LIST_REMOVE(call, link);
	free(call);
}

__attribute__((format(printf, 6, 7))) static int problem(const struct calls *calls, edged_handle request,
        int status, const char *type, const char *title, const char *format, ...)
{
	char detail[600];
	va_list args;
	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	return calls->deps.http->problem(calls->deps.host, request, status, type, title, detail);
}

/* A problem of this device, not of the node. */
static void blame(const struct calls *calls, edged_handle request, const char *thing)
{
	(void)calls->deps.http->set_header(calls->deps.host, request, DEVICE_HEADER, thing);
}

static void late(void *arg)
{
	struct call *call = arg;
	blame(call->calls, call->request, call->thing);
	(void)problem(call->calls, call->request, 504, "device-timeout", "The device did not answer in time",
	        "%s got the call and did not answer within %llu ms. Its answer belongs on "
	        "devices/%s/answer/%s, "
	        "from the MQTT client %s itself; give it more time with ?timeout=SECONDS. Whether it did "
	        "what was "
	        "asked is not known.",
	        call->thing, (unsigned long long)call->ms, call->thing, call->id, call->thing);
	call_end(call, END_LATE);
}

static void left(struct call *call)
{
	blame(call->calls, call->request, call->thing);
	(void)problem(call->calls, call->request, 502, "device-left", "The device left before it answered",
	        "The connection of %s ended. Whether it did what was asked is not known.", call->thing);
	call_end(call, END_LEFT);
}

static void cancelled(void *arg)
{
	call_end(arg, END_CANCELLED);
}

/* --- answers ---------------------------------------------------------------------------------------------------------------- */

static bool is_printable(struct edged_slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < ' ' || text.ptr[i] > '~')
			return false;
	return text.len > 0;
}

static bool is_json(struct edged_slice text)
{
	json_t *json = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_DECODE_ANY, NULL);
	json_decref(json);
	return json != NULL;
}

/* What the device says it is (MQTT 5), else JSON when it is that. */
static const char *content_type(const struct edged_message *message, char buffer[TYPE_MAX + 1])
{
	struct edged_slice type = message->content_type;
	if (type.len > TYPE_MAX || !is_printable(type))
		return is_json(message->payload) ? "application/json" : "application/octet-stream";
	snprintf(buffer, TYPE_MAX + 1, "%.*s", EDGED_SLICE_FMT(type));
	return buffer;
}

static void reply(struct call *call, int status, const struct edged_message *message)
{
	const struct calls_deps *deps = &call->calls->deps;
	char buffer[TYPE_MAX + 1];
	bool empty = message->payload.len == 0;
	blame(call->calls, call->request, call->thing);
	/* What a device says is never a page of this node. */
	(void)deps->http->set_header(deps->host, call->request, "X-Content-Type-Options", "nosniff");
	(void)deps->http->set_header(deps->host, call->request, "Content-Security-Policy", "sandbox");
	(void)deps->http->reply(deps->host, call->request,
	        status  ? status
	        : empty ? 204
	                : 200,
	        empty ? NULL : content_type(message, buffer), message->payload);
	call_end(call, status ? END_REFUSED : END_ANSWERED);
}

static struct call *find(struct calls *calls, const struct answer *answer)
{
	struct call *call;
	LIST_FOREACH(call, bucket_of(calls, answer->thing), link)
	if (edged_slice_is(answer->id, call->id) && edged_slice_is(answer->thing, call->thing))
		break;
	return call;
}

static void answered(void *arg, const struct edged_message *message)
{
	struct calls *calls = arg;
	struct answer answer;
	struct call *call = NULL;
	/* A will and a retained message were written before the call was made. */
	if (!message->will && !message->retain && answer_topic_parse(message->topic, &answer) &&
	        edged_slice_eq(message->publisher, answer.thing))
		call = find(calls, &answer);
	if (call)
		reply(call, answer.status, message);
	else
		edged_metric_add(calls->ignored, 1);
}

static void device_left(void *arg, const struct edged_message *message)
{
	struct calls *calls = arg;
	size_t n = sizeof(GONE) - 1;
	if (message->retain || message->topic.len < n)
		return;
	struct edged_slice thing = edged_slice(message->topic.ptr + n, message->topic.len - n);
	for (struct call *call = LIST_FIRST(bucket_of(calls, thing)), *next; call; call = next) {
		next = LIST_NEXT(call, link);
		if (edged_slice_is(thing, call->thing))
			left(call);
	}
}

/* --- calls ------------------------------------------------------------------------------------------------------------------ */

static bool make_id(char ret[CALL_ID_LEN + 1])
{
	uint8_t bytes[CALL_ID_LEN / 2];
	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return false;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
	return true;
}

/* ?timeout= in seconds, such as 3 or 0.25. */
static bool read_time(const struct calls *calls, edged_handle request, uint64_t *ret_ms)
{
	const struct calls_deps *deps = &calls->deps;
	struct edged_slice text = deps->http->query(deps->host, request, "timeout");
	*ret_ms = deps->ms;
	return !text.ptr || (seconds_parse(text, ret_ms) && *ret_ms >= 1 && *ret_ms <= deps->most_ms);
}

static unsigned count_of(struct calls *calls, const char *thing)
{
	const struct call *call;
	unsigned n = 0;
	LIST_FOREACH(call, bucket_of(calls, edged_str(thing)), link)
	n += strcmp(call->thing, thing) == 0;
	return n;
}

static int refuse_for_now(struct calls *calls, edged_handle request, const char *thing, bool of_thing)
{
	(void)calls->deps.http->set_header(calls->deps.host, request, "Retry-After", "1");
	if (of_thing)
		return problem(calls, request, 429, "too-many-calls", "Too many calls of this device wait",
		        "%u calls of %s wait for their answers; the limit is \"calls_of_a_thing\" of the "
		        "devices "
		        "plugin.",
		        calls->deps.of_a_thing, thing);
	return problem(calls, request, 503, "too-many-calls", "Too many calls wait",
	        "%u calls of devices wait for their answers; the limit is \"calls\" of the devices plugin.",
	        calls->deps.in_flight);
}

/* 0: the call may be made; else the request is answered (1), or not (a negative errno). */
static int judge(struct calls *calls, edged_handle request, const char *thing, const char *topic)
{
	const struct calls_deps *deps = &calls->deps;
	int r;
	if (deps->http->body(deps->host, request).len > deps->payload)
		r = problem(calls, request, 413, "too-large", "The call is too large",
		        "It has more than %zu bytes, \"payload\" of the devices plugin.", deps->payload);
	else if (calls->count >= deps->in_flight)
		r = refuse_for_now(calls, request, thing, false);
	else if (count_of(calls, thing) >= deps->of_a_thing)
		r = refuse_for_now(calls, request, thing, true);
	else if (!deps->pubsub->connected(deps->pubsub->ctx, deps->host, edged_str(thing))) {
		blame(calls, request, thing);
		r = problem(calls, request, 503, "device-away", "The device is not connected",
		        "No MQTT client with the id %s is connected to this node.", thing);
	} else if (!deps->pubsub->wanted(deps->pubsub->ctx, deps->host, edged_str(topic))) {
		blame(calls, request, thing);
		r = problem(calls, request, 503, "device-not-listening",
		        "The device does not listen for this call",
		        "Nobody has subscribed to %s: the device subscribes to devices/%s/call/#.", topic,
		        thing);
	} else
		return 0;
	return r < 0 ? r : 1;
}

static int publish(const struct call *call, const char *topic)
{
	const struct calls_deps *deps = &call->calls->deps;
	char answer[CALL_TOPIC_MAX];
	struct edged_slice type = deps->http->header(deps->host, call->request, "content-type");
	answer_topic_print(answer, call->thing, call->id);
	const struct edged_message message = { .struct_size = sizeof(message),
		.topic = edged_str(topic),
		.payload = deps->http->body(deps->host, call->request),
		.content_type = is_printable(type) ? type : edged_slice(NULL, 0),
		.response_topic = edged_str(answer),
		.correlation = edged_str(call->id),
		/* how long somebody waits for the answer */
		.expiry = (uint32_t)((call->ms + 999) / 1000) };
	return deps->pubsub->publish(deps->pubsub->ctx, deps->host, &message, NULL, NULL);
}

static int refuse_publish(struct calls *calls, edged_handle request, const char *thing, int error)
{
	blame(calls, request, thing);
	if (error == -EMSGSIZE)
		return problem(calls, request, 413, "too-large", "The call is too large",
		        "It is larger than the broker's limits.packet.");
	return problem(calls, request, 503, "device-busy", "The device cannot take the call now",
	        "The broker cannot send it to %s: %s. Try again.", thing, strerror(-error));
}

static struct call *call_new(struct calls *calls, edged_handle request, const char *thing, const char *id)
{
	struct call *call = calloc(1, sizeof(*call));
	if (!call)
		return NULL;
	*call = (struct call){ .calls = calls, .request = request };
	snprintf(call->thing, sizeof(call->thing), "%s", thing);
	snprintf(call->id, sizeof(call->id), "%s", id);
	call->timer = calls->deps.loop->timer_new(calls->deps.host, late, call);
	if (!call->timer) {
		free(call);
		return NULL;
	}
	LIST_INSERT_HEAD(bucket_of(calls, edged_str(thing)), call, link);
	edged_metric_set(calls->in_flight, ++calls->count);
	return call;
}

int calls_make(struct calls *calls, edged_handle request, const char *thing, struct edged_slice name)
{
	const struct calls_deps *deps = &calls->deps;
	char topic[CALL_TOPIC_MAX], id[CALL_ID_LEN + 1];
	uint64_t ms;
	if (!read_time(calls, request, &ms))
		return problem(calls, request, 400, "bad-parameter", "This cannot be a timeout",
		        "timeout is in seconds, such as 3 or 0.25, and at most %llu.%03llu, "
		        "\"call_time_max\" of "
		        "the devices plugin.",
		        (unsigned long long)deps->most_ms / 1000, (unsigned long long)deps->most_ms % 1000);
	if (!make_id(id))
		return -EAGAIN;
	call_topic_print(topic, thing, name, id);
	int r = judge(calls, request, thing, topic);
	if (r)
		return r < 0 ? r : 0;
	struct call *call = call_new(calls, request, thing, id);
	if (!call)
		return -ENOMEM;
	call->ms = ms;
	deps->loop->timer_set(call->timer, ms);
	r = deps->http->on_gone(deps->host, request, cancelled, call);
	if (!r)
		r = publish(call, topic);
	if (!r)
		return 0;
	r = refuse_publish(calls, request, thing, r);
	call_end(call, END_STOPPED);
	return r;
}

/* --- life ------------------------------------------------------------------------------------------------------------------- */

int calls_new(const struct calls_deps *deps, struct calls **ret)
{
	static const char *const labels[ENDS] = { "end=\"answered\"", "end=\"refused\"", "end=\"late\"",
		"end=\"left\"", "end=\"cancelled\"", "end=\"stopped\"" };
	struct calls *calls = calloc(1, sizeof(*calls));
	if (!calls)
		return -ENOMEM;
	calls->deps = *deps;
	for (size_t i = 0; i < BUCKETS; i++)
		LIST_INIT(&calls->buckets[i]);
	for (size_t i = 0; i < ENDS; i++)
		calls->ended[i] = deps->metrics->figure(deps->host, EDGED_COUNTER, "devices_calls_total",
		        labels[i], "Calls of devices, by how they ended");
	calls->in_flight = deps->metrics->figure(deps->host, EDGED_GAUGE, "devices_calls_in_flight", NULL,
	        "Calls that wait for their answers");
	calls->ignored = deps->metrics->figure(deps->host, EDGED_COUNTER, "devices_answers_ignored_total",
	        NULL, "Answers to no call that waits, or from another client than its device");
	*ret = calls;
	return 0;
}

int calls_start(struct calls *calls)
{
	const struct calls_deps *deps = &calls->deps;
	int r = deps->pubsub->subscribe(
	        deps->pubsub->ctx, deps->host, ANSWERS, 1, answered, calls, &calls->answers);
	return r ? r
	         : deps->pubsub->subscribe(
	                   deps->pubsub->ctx, deps->host, GONE "+", 1, device_left, calls, &calls->gone);
}

static void stop_call(struct call *call)
{
	(void)problem(call->calls, call->request, 503, "stopping", "The devices plugin stops",
	        "Whether %s did what was asked is not known.", call->thing);
	call_end(call, END_STOPPED);
}

void calls_stop(struct calls *calls)
{
	const struct calls_deps *deps = &calls->deps;
	edged_handle *const subscriptions[] = { &calls->answers, &calls->gone };
	for (size_t i = 0; i < 2; i++) {
		if (*subscriptions[i])
			(void)deps->pubsub->unsubscribe(deps->pubsub->ctx, deps->host, *subscriptions[i]);
		*subscriptions[i] = 0;
	}
	for (size_t i = 0; i < BUCKETS; i++)
		while (!LIST_EMPTY(&calls->buckets[i]))
			stop_call(LIST_FIRST(&calls->buckets[i]));
}

void calls_free(struct calls *calls)
{
	free(calls);
}
