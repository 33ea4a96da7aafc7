/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "../shadow/aws.h"
#include "accounts.h"
#include "admin.h"
#include "dataplane.h"
#include "listing.h"
#include "rest.h"
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

int rest_aws_reply(struct broker *b, edged_handle request, int status, const char *type, const char *message)
{
	return aws_answer(b->http, b->host, request, status, type, message);
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
	{ "POST", "/topics/{topic...}", dataplane_publish,
	        "Publish the body; ?qos=0|1&retain=true&contentType=&responseTopic=&messageExpiry=", NULL, 0,
	        EDGED_ROUTE_OPEN },
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
	{ "DELETE", "/connections/{id}", dataplane_disconnect, "End a client's connection, as with AWS IoT",
	        PARAMETERS(FLAG("cleanSession", "Also delete its session") "," FLAG(
	                "preventWillMessage", "Its will is not published")),
	        0, EDGED_ROUTE_OPEN },
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
	{ "GET", "/retainedMessage", dataplane_list_retained,
	        "Retained topics, as AWS IoT lists them; ?maxResults=&nextToken=", NULL, 0,
	        EDGED_ROUTE_OPEN },
	{ "GET", "/retainedMessage/{topic...}", dataplane_get_retained, "The retained message of a topic",
	        NULL, 0, EDGED_ROUTE_OPEN },
	{ .method = NULL },
};
