/* SPDX-License-Identifier: Apache-2.0 */
#include "lifecycle.h"

#include <stdio.h>

#include "auth.h"
#include "publish.h"
#include "text.h"

#define FRONT "$aws/events/"

/* Topic of an event, or false: nobody would get it. */
static bool wanted(struct shard *shard, struct edged_slice id, const char *kind, char *topic, size_t room,
        size_t *ret_len)
{
	if (memchr(id.ptr, '+', id.len) || memchr(id.ptr, '#', id.len))
		return false;
	int n = snprintf(topic, room, FRONT "%s/%.*s", kind, EDGED_SLICE_FMT(id));
	*ret_len = (size_t)n;
	return (size_t)n < room && (size_t)n <= shard->broker->limits.topic.bytes &&
	       shard_wanted(shard, edged_slice(topic, (size_t)n));
}

/* Stays the same for a connection: made of the client id and of when it came. */
static void session_identifier(const struct client *c, struct edged_slice id, char out[37])
{
	const uint64_t *key = c->broker->key;
	uint64_t a = keyed_hash(key, c->since, id), b = keyed_hash(key, ~c->since, id);
	snprintf(out, 37, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xffff),
	        (unsigned)(a & 0xfff), (unsigned)(b >> 48 & 0x3fff) | 0x8000u,
	        (unsigned long long)(b & 0xffffffffffffULL));
}

static json_t *event(const struct client *c, struct edged_slice id, const char *type)
{
	const struct edged_peer *peer = c->broker->stream->peer(c->stream);
	char identifier[37];
	session_identifier(c, id, identifier);
	json_t *json = json_pack("{s:o, s:I, s:s, s:s, s:I}", "clientId", text_json(id), "timestamp",
	        (json_int_t)wall_ms(), "eventType", type, "sessionIdentifier", identifier, "versionNumber",
	        (json_int_t)c->since);
	struct edged_slice user = auth_user(c);
	if (json && peer->fingerprint)
		(void)json_object_set_new(json, "principalIdentifier", json_string(peer->fingerprint));
	else if (json && user.len)
		(void)json_object_set_new(json, "principalIdentifier", text_json(user));
	return json;
}

/* Takes the event. */
static void publish(struct shard *shard, struct edged_slice topic, json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
	json_decref(json);
	const struct message_parts parts = {
		.topic = topic, .payload = edged_str(text), .arrived = wall_ms(), .qos = 1
	};
	struct outcome outcome;
	if (!text || shard_publish(shard, &parts, NULL, &outcome))
		count_one(shard->broker->figures.dropped_memory);
	free(text);
}

void lifecycle_connected(const struct client *c)
{
	char topic[1100];
	size_t n;
	struct shard *shard = c->session->shard;
	struct edged_slice id = session_id(c->session);
	if (!wanted(shard, id, "presence/connected", topic, sizeof(topic), &n))
		return;
	const char *address = c->broker->stream->peer(c->stream)->address, *colon = strrchr(address, ':');
	json_t *json = event(c, id, "connected");
	if (json)
		(void)json_object_set_new(json, "ipAddress",
		        text_json(edged_slice(address, colon ? (size_t)(colon - address) : strlen(address))));
	publish(shard, edged_slice(topic, n), json);
}

void lifecycle_refused(const struct client *c, struct edged_slice id)
{
	char topic[1100];
	size_t n;
	if (!id.len || !wanted(c->shard, id, "presence/connect_failed", topic, sizeof(topic), &n))
		return;
	json_t *json = event(c, id, "connect_failed");
	if (json)
		(void)json_object_set_new(json, "connectFailureReason", json_string("AUTHORIZATION_FAILED"));
	publish(c->shard, edged_slice(topic, n), json);
}

static const char *why(uint8_t reason)
{
	switch (reason) {
	case REASON_OK:
	case REASON_WITH_WILL:
		return "CLIENT_INITIATED_DISCONNECT";
	case REASON_TAKEN_OVER:
		return "DUPLICATE_CLIENTID";
	case REASON_KEEP_ALIVE:
		return "MQTT_KEEP_ALIVE_TIMEOUT";
	case REASON_CONNECT_TIME:
		return "WEBSOCKET_TTL_EXPIRATION";
	case REASON_NOT_AUTHORIZED:
		return "FORBIDDEN_ACCESS";
	case REASON_PASSWORD:
	case REASON_AUTH_METHOD:
		return "AUTH_ERROR";
	case REASON_ADMIN:
		return "API_INITIATED_DISCONNECT";
	case REASON_RATE:
		return "THROTTLED";
	case REASON_SHUTTING_DOWN:
		return "SERVER_INITIATED_DISCONNECT";
	case REASON_UNSPECIFIED:
	case REASON_UNAVAILABLE:
	case REASON_QUOTA:
		return "SERVER_ERROR";
	default:
		return "CLIENT_ERROR";
	}
}

void lifecycle_disconnected(const struct session *s)
{
	const struct client *c = s->client;
	char topic[1100];
	size_t n;
	if (!c || c->inside || c->muted ||
	        !wanted(s->shard, session_id(s), "presence/disconnected", topic, sizeof(topic), &n))
		return;
	json_t *json = event(c, session_id(s), "disconnected");
	bool lost = !c->parted;
	bool own = !lost && (c->reason == REASON_OK || c->reason == REASON_WITH_WILL);
	if (json) {
		(void)json_object_set_new(json, "clientInitiatedDisconnect", json_boolean(own));
		(void)json_object_set_new(
		        json, "disconnectReason", json_string(lost ? "CONNECTION_LOST" : why(c->reason)));
	}
	publish(s->shard, edged_slice(topic, n), json);
}

void lifecycle_filters(const struct client *c, const struct frame *frame, const uint8_t *codes)
{
	const char *type = frame->type == SUBSCRIBE ? "subscribed" : "unsubscribed";
	char topic[1100], kind[32];
	size_t n;
	struct filters f;
	struct edged_slice filter;
	uint8_t options;
	snprintf(kind, sizeof(kind), "subscriptions/%s", type);
	struct shard *shard = c->session->shard;
	struct edged_slice id = session_id(c->session);
	if (!wanted(shard, id, kind, topic, sizeof(topic), &n) ||
	        parse_filters(frame, c->version, c->broker->limits.user_properties, &f))
		return;
	json_t *topics = json_array();
	for (unsigned i = 0; filters_next(&f, &filter, &options); i++)
		if (codes[i] < 0x80 && codes[i] != REASON_NO_SUBSCRIPTION)
			(void)json_array_append_new(topics, text_json(filter));
	json_t *json = event(c, id, type);
	if (json)
		(void)json_object_set_new(json, "topics", topics);
	else
		json_decref(topics);
	if (json_array_size(topics))
		publish(shard, edged_slice(topic, n), json);
	else
		json_decref(json);
}
