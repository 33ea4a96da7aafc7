/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "accounts.h"
#include "admin.h"
#include "listing.h"
#include "pubsub.h"
#include "rest.h"
#include "rights.h"
#include "sse.h"
#include "text.h"
#include "trace.h"

int rest_reply(struct broker *b, edged_handle request, int status, json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
	json_decref(body);
	if (!text)
		return -ENOMEM;
	int r = b->http->reply(b->host, request, status, "application/json", edged_str(text));
	free(text);
	return r == -ENOENT ? 0 : r;
}

bool rest_number(
        struct broker *b, edged_handle request, const char *name, uint64_t def, uint64_t max, uint64_t *ret)
{
	struct edged_slice text = b->http->query(b->host, request, name);
	*ret = def;
	if (!text.ptr)
		return true;
	if (number_parse(text, max, ret) == 0 && *ret > 0)
		return true;
	char detail[120];
	snprintf(detail, sizeof(detail), "The query parameter \"%s\" is a number from 1 to %llu.", name,
	        (unsigned long long)max);
	(void)b->http->problem(
	        b->host, request, 400, "bad-parameter", "A query parameter is out of range", detail);
	return false;
}

/* --- in the manner of AWS --------------------------------------------------------------------------------------------------- */

static void trace_id(char out[37])
{
	uint8_t r[16] = { 0 };
	if (getrandom(r, sizeof(r), 0) < 0)
		memset(r, 0, sizeof(r));
	snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-4%01x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1],
	        r[2], r[3], r[4], r[5], r[6] & 15, r[7], (r[8] & 0x3f) | 0x80, r[9], r[10], r[11], r[12],
	        r[13], r[14], r[15]);
}

int rest_aws_reply(struct broker *b, edged_handle request, int status, const char *type, const char *message)
{
	char trace[37];
	trace_id(trace);
	if (type)
		(void)b->http->set_header(b->host, request, "x-amzn-errortype", type);
	return rest_reply(b, request, status, json_pack("{s:s, s:s}", "message", message, "traceId", trace));
}

static int aws_error(struct broker *b, edged_handle request, int error)
{
	switch (error) {
	case -EINVAL:
		return rest_aws_reply(b, request, 400, "InvalidRequestException",
		        "The topic is not a valid topic name: it must not be empty, hold a wildcard or be "
		        "over the limits.");
	case -EMSGSIZE:
		return rest_aws_reply(b, request, 413, "RequestEntityTooLargeException",
		        "The message is larger than limits.packet of the broker allows.");
	case -ENOBUFS:
		return rest_aws_reply(b, request, 429, "ThrottlingException",
		        "The queue of a receiver is full (limits.queue_messages, limits.queue_bytes), or "
		        "memory is short (limits.memory).");
	default:
		return rest_aws_reply(b, request, 503, "ServiceUnavailableException",
		        "The message could not be stored; see the daemon's log.");
	}
}

/* --- POST /topics/{topic...} -------------------------------------------------------------------------------------------------- */

struct publishing {
	struct broker *broker;
	edged_handle request;
};

static void published(void *arg, int result)
{
	struct publishing *p = arg;
	if (result == 0)
		(void)rest_aws_reply(p->broker, p->request, 200, NULL, "OK");
	else if (result != -ECANCELED)
		(void)aws_error(p->broker, p->request, result);
	free(p);
}

static bool read_flag(struct edged_slice text, bool *ret)
{
	*ret = edged_slice_is(text, "true") || edged_slice_is(text, "1");
	return !text.ptr || *ret || edged_slice_is(text, "false") || edged_slice_is(text, "0");
}

/* The query parameters; NULL, or what is wrong. */
static const char *read_query(struct broker *b, edged_handle request, struct edged_message *m)
{
	const struct edged_http_1 *http = b->http;
	uint64_t number;
	struct edged_slice qos = http->query(b->host, request, "qos");
	if (qos.ptr && (number_parse(qos, 1, &number) || (m->qos = (uint8_t)number) > 1))
		return "The query parameter qos is 0 or 1.";
	if (!read_flag(http->query(b->host, request, "retain"), &m->retain))
		return "The query parameter retain is true or false.";
	struct edged_slice expiry = http->query(b->host, request, "messageExpiry");
	if (expiry.ptr) {
		if (number_parse(expiry, UINT32_MAX, &number))
			return "The query parameter messageExpiry is a number of seconds.";
		m->expiry = number ? (uint32_t)number : 1;
	}
	m->content_type = http->query(b->host, request, "contentType");
	m->response_topic = http->query(b->host, request, "responseTopic");
	if (!utf8_valid(m->content_type) || !utf8_valid(m->response_topic))
		return "The query parameters contentType and responseTopic are UTF-8.";
	return NULL;
}

/* [{"name":"value"}, ...] to the wire form of MQTT. *ret is malloc'ed. */
static int read_users(struct edged_slice json_text, uint8_t **ret, size_t *ret_len)
{
	json_t *list = json_loadb(json_text.ptr, json_text.len, JSON_REJECT_DUPLICATES, NULL);
	uint8_t *out = json_is_array(list) ? malloc(json_text.len * 2 + 1) : NULL;
	struct writer w = writer(out, out ? json_text.len * 2 : 0);
	size_t i;
	json_t *item, *value;
	const char *name;
	bool good = out != NULL;
	json_array_foreach(list, i, item)
	{
		good &= json_is_object(item);
		json_object_foreach(item, name, value)
		{
			good &= json_is_string(value);
			write_binary(&w, edged_str(name));
			write_binary(&w, edged_str(json_string_value(value)));
		}
	}
	json_decref(list);
	if (!good || w.failed) {
		free(out);
		return -EINVAL;
	}
	*ret = out;
	*ret_len = (size_t)(w.at - out);
	return 0;
}

/* What AWS puts into headers: correlation data and user properties. */
struct headers {
	uint8_t *correlation, *users;
	size_t correlation_len, users_len;
};

static const char *read_headers(struct broker *b, edged_handle request, struct headers *ret)
{
	struct edged_slice text = b->http->header(b->host, request, "x-amz-mqtt5-correlation-data");
	if (text.ptr && base64_decode(text, &ret->correlation, &ret->correlation_len))
		return "The header x-amz-mqtt5-correlation-data is base64.";
	text = b->http->header(b->host, request, "x-amz-mqtt5-user-properties");
	if (!text.ptr)
		return NULL;
	uint8_t *json;
	size_t len;
	int r = base64_decode(text, &json, &len);
	if (!r) {
		r = read_users(edged_slice(json, len), &ret->users, &ret->users_len);
		free(json);
	}
	return r ? "The header x-amz-mqtt5-user-properties is base64 of [{\"name\": \"value\"}]." : NULL;
}

static int publish_request(struct broker *b, edged_handle request, const struct edged_message *m)
{
	const struct edged_pubsub_1 *pubsub = pubsub_capability(b->pubsub);
	struct publishing *p = malloc(sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = (struct publishing){ b, request };
	int r = pubsub->publish(pubsub->ctx, b->host, m, published, p);
	if (r) {
		free(p);
		return aws_error(b, request, r);
	}
	return 0;
}

static int post_topic(void *self, edged_handle request)
{
	struct broker *b = self;
	struct edged_message m = { .struct_size = sizeof(m) };
	struct headers headers = { 0 };
	m.topic = b->http->param(b->host, request, "topic");
	m.payload = b->http->body(b->host, request);
	const char *wrong = read_query(b, request, &m);
	if (!wrong)
		wrong = read_headers(b, request, &headers);
	m.correlation = edged_slice(headers.correlation, headers.correlation_len);
	m.user_properties = edged_slice(headers.users, headers.users_len);
	int r;
	if (wrong)
		r = rest_aws_reply(b, request, 400, "InvalidRequestException", wrong);
	else if (edged_slice_starts(m.topic, "$SYS/") || edged_slice_starts(m.topic, "$share/"))
		r = rest_aws_reply(
		        b, request, 403, "ForbiddenException", "This topic is not open for publishing.");
	else
		r = publish_request(b, request, &m);
	free(headers.correlation);
	free(headers.users);
	return r;
}

/* --- GET /retainedMessage ----------------------------------------------------------------------------------------------------- */

static int get_retained(void *self, edged_handle request)
{
	struct broker *b = self;
	struct edged_slice topic = b->http->param(b->host, request, "topic");
	const struct message *m = topic.len ? retained_get(&b->shards[0]->retained, topic) : NULL;
	if (!m || message_expired(m, wall_ms()) || rights_stands(b, m) <= 0)
		return rest_aws_reply(
		        b, request, 404, "ResourceNotFoundException", "No retained message on this topic.");
	return rest_reply(b, request, 200,
	        json_pack("{s:o, s:o, s:i, s:I}", "topic", text_json(topic), "payload",
	                base64_json(message_payload(m)), "qos", m->qos, "lastModifiedTime",
	                (json_int_t)m->arrived));
}

/* --- routes --------------------------------------------------------------------------------------------------------------------- */

static int get_events(void *self, edged_handle request)
{
	struct broker *b = self;
	return sse_open(b->sse, request);
}

/* Query parameters, as OpenAPI writes them. */
#define PARAMETER(name, type, text)                                                                          \
	"{\"name\":\"" name "\",\"in\":\"query\",\"schema\":{\"type\":\"" type "\"},\"description\":\"" text \
	"\"}"
#define TEXT(name, text)   PARAMETER(name, "string", text)
#define NUMBER(name, text) PARAMETER(name, "integer", text)
#define FLAG(name, text)   PARAMETER(name, "boolean", text)
#define PAGE                                                                                                 \
	NUMBER("limit", "Lines on a page, up to 1,000; default 100")                                         \
	"," TEXT("cursor", "Of the page "                                                                    \
	                   "before")
#define CLIENT     TEXT("clientId", "The client id begins with this")
#define ADDRESS    TEXT("address", "The client's address begins with this")
#define TOPIC      TEXT("topic", "A topic name: the subscription (or one of the client's) matches it")
#define USER       TEXT("user", "Who has logged in")
#define CONNECTED  FLAG("connected", "Is its client connected?")
#define TRACE_WHAT TEXT("client", "A client id") "," TEXT("topic", "Or an MQTT topic filter")
#define TRACE_LIMITS                                                                                         \
	NUMBER("for", "Seconds, up to 3,600; default 60")                                                    \
	"," NUMBER("payload", "Bytes shown of a payload, up to 4,096; default 256") "," NUMBER(              \
	        "rate", "Events a second, up to 10,000; default 200. Others are counted")
#define PARAMETERS(...) "{\"parameters\":[" __VA_ARGS__ "]}"

const struct edged_route rest_routes[] = {
	{ "POST", "/topics/{topic...}", post_topic,
	        "Publish the body; ?qos=0|1&retain=true&contentType=&responseTopic=&messageExpiry=", NULL, 0,
	        0 },
	{ "GET", "/pubsub/v1/subscribe", get_events,
	        "Messages that match ?filter=, as server-sent events; ?qos=0|1", NULL, 0, 0 },
	{ "GET", "/pubsub/v1/trace", trace_open,
	        "Every packet of a client, or every message of a topic, as server-sent events",
	        PARAMETERS(TRACE_WHAT "," TRACE_LIMITS), 0, 0 },
	{ "GET", "/pubsub/v1/clients", list_clients, "Clients connected now",
	        PARAMETERS(PAGE "," CLIENT "," USER "," ADDRESS "," TOPIC), 0, 0 },
	{ "DELETE", "/pubsub/v1/clients/{id}", delete_client,
	        "End a client's connection (MQTT 5: reason 0x98, administrative action)",
	        PARAMETERS(FLAG("session", "Also delete its session")), 0, 0 },
	{ "GET", "/pubsub/v1/sessions", list_sessions, "Sessions, connected or away",
	        PARAMETERS(PAGE "," CLIENT "," CONNECTED "," USER "," ADDRESS "," TOPIC), 0, 0 },
	{ "DELETE", "/pubsub/v1/sessions/{id}", delete_session,
	        "Delete a session with all that waits in it, and end its client's connection", NULL, 0, 0 },
	{ "DELETE", "/pubsub/v1/sessions/{id}/queue", delete_queue,
	        "Remove the messages that wait for a client and were not sent yet", NULL, 0, 0 },
	{ "DELETE", "/connections/{id}", delete_connection, "End a client's connection, as with AWS IoT",
	        PARAMETERS(FLAG("cleanSession", "Also delete its session") "," FLAG(
	                "preventWillMessage", "Its will is not published")),
	        0, 0 },
	{ "GET", "/pubsub/v1/subscriptions", list_subscriptions, "Subscriptions of clients",
	        PARAMETERS(PAGE "," CLIENT "," CONNECTED "," USER "," ADDRESS "," TOPIC), 0, 0 },
	{ "GET", "/pubsub/v1/retained", list_retained, "Retained messages, without their payload",
	        PARAMETERS(PAGE "," TEXT("filter", "An MQTT topic filter that matches the topic")), 0, 0 },
	{ "DELETE", "/pubsub/v1/retained", delete_retained_by_filter,
	        "Remove the retained messages whose topic matches; 10,000 at a time",
	        PARAMETERS(TEXT("filter", "An MQTT topic filter")), 0, 0 },
	{ "DELETE", "/pubsub/v1/retained/{topic...}", delete_retained,
	        "Remove the retained message of a topic", NULL, 0, 0 },
	{ "GET", "/pubsub/v1/users", list_users, "Who may log in with a password", NULL, EDGED_SCOPE_NODE,
	        0 },
	{ "PUT", "/pubsub/v1/users/{name}", put_user,
	        "Let a user log in, or change the password: {\"password\": \"...\"}", NULL, EDGED_SCOPE_NODE,
	        0 },
	{ "DELETE", "/pubsub/v1/users/{name}", delete_user,
	        "Let a user log in no more, and end its connections", NULL, EDGED_SCOPE_NODE, 0 },
	{ "GET", "/retainedMessage", list_retained_aws,
	        "Retained topics, as AWS IoT lists them; ?maxResults=&nextToken=", NULL, 0, 0 },
	{ "GET", "/retainedMessage/{topic...}", get_retained, "The retained message of a topic", NULL, 0, 0 },
	{ .method = NULL },
};
