/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "../shadow/gate.h"
#include "admin.h"
#include "dataplane.h"
#include "listing.h"
#include "pubsub.h"
#include "receive.h"
#include "rest.h"
#include "rights.h"
#include "text.h"

struct dataplane {
	struct gate gate;
};

int dataplane_new(struct broker *broker, struct dataplane **ret)
{
	struct dataplane *dataplane = calloc(1, sizeof(*dataplane));
	if (!dataplane)
		return -ENOMEM;
	dataplane->gate = (struct gate){ .host = broker->host, .http = broker->http, .auth = broker->auth };
	LIST_INIT(&dataplane->gate.visits);
	*ret = dataplane;
	return 0;
}

void dataplane_stop(struct dataplane *dataplane)
{
	gate_stop(&dataplane->gate);
}

void dataplane_free(struct dataplane *dataplane)
{
	free(dataplane);
}

/* --- who may ------------------------------------------------------------------------------------------------------------------ */

static int undecided(struct broker *b, edged_handle request)
{
	return rest_aws_reply(b, request, 503, "ServiceUnavailableException",
	        "Nobody is there who could say whether you may; try again");
}

/* One who may not come in, or not now, hears so. */
static bool turned_away(struct broker *b, edged_handle request, enum gate_outcome outcome)
{
	if (outcome == GATE_CLOSED)
		(void)rest_aws_reply(
		        b, request, 403, "ForbiddenException", "Forbidden: who you are may not come in");
	if (outcome == GATE_UNDECIDED)
		(void)undecided(b, request);
	return outcome != GATE_OPEN;
}

/* May it? If not, it hears so. Without an identity it is the operator. */
static bool may(struct broker *b, edged_handle request, const struct edged_identity *who,
        enum edged_action action, struct edged_slice resource)
{
	int r = who ? b->auth->allow(who, action, resource) : 1;
	if (r == 0)
		(void)rest_aws_reply(b, request, 403, "ForbiddenException", "Forbidden");
	else if (r < 0)
		(void)undecided(b, request);
	return r > 0;
}

static int ask(void *self, edged_handle request, gate_done *done)
{
	struct broker *b = self;
	return gate_ask(&b->dataplane->gate, request, done, b);
}

/* --- POST /topics/{topic...} -------------------------------------------------------------------------------------------------- */

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

static const char *read_headers(struct broker *b, edged_handle request, struct headers *ret, bool *ret_utf8)
{
	struct edged_slice text = b->http->header(b->host, request, "x-amz-mqtt5-payload-format-indicator");
	*ret_utf8 = edged_slice_is(text, "UTF8_DATA");
	if (text.ptr && !*ret_utf8 && !edged_slice_is(text, "UNSPECIFIED_BYTES"))
		return "The header x-amz-mqtt5-payload-format-indicator is UTF8_DATA or UNSPECIFIED_BYTES.";
	text = b->http->header(b->host, request, "x-amz-mqtt5-correlation-data");
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

static int publish_as(
        struct broker *b, edged_handle request, const struct edged_message *m, struct edged_identity *who)
{
	const struct author author = { b->auth, who, edged_auth_generation(b->generation) };
	if (!may(b, request, who, EDGED_PUBLISH, m->topic) ||
	        (m->retain && !may(b, request, who, EDGED_RETAIN_PUBLISH, m->topic)))
		return 0;
	if (who && !rate_request(b, b->http->peer(b->host, request), edged_str(b->auth->principal(who)),
	                   m->topic.len + m->payload.len))
		return rest_aws_reply(b, request, 429, "ThrottlingException",
		        "More messages than rates.messages or rates.bytes of the broker allow; slow down.");
	struct publishing *p = malloc(sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = (struct publishing){ b, request };
	int r = pubsub_publish(b->pubsub, m, &author, published, p);
	if (r) {
		free(p);
		return aws_error(b, request, r);
	}
	return 0;
}

static int publish(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *who)
{
	struct broker *b = self;
	struct edged_message m = { .struct_size = sizeof(m) };
	struct headers headers = { 0 };
	if (turned_away(b, request, outcome))
		return 0;
	m.topic = b->http->param(b->host, request, "topic");
	m.payload = b->http->body(b->host, request);
	const char *wrong = read_query(b, request, &m);
	if (!wrong)
		wrong = read_headers(b, request, &headers, &m.utf8);
	m.correlation = edged_slice(headers.correlation, headers.correlation_len);
	m.user_properties = edged_slice(headers.users, headers.users_len);
	int r;
	if (wrong)
		r = rest_aws_reply(b, request, 400, "InvalidRequestException", wrong);
	else if (m.topic.len && !topic_open_to_clients(m.topic))
		r = rest_aws_reply(
		        b, request, 403, "ForbiddenException", "This topic is not open for publishing.");
	else
		r = publish_as(b, request, &m, who);
	free(headers.correlation);
	free(headers.users);
	return r;
}

int dataplane_publish(void *self, edged_handle request)
{
	return ask(self, request, publish);
}

/* --- retained messages -------------------------------------------------------------------------------------------------------- */

/* As the header of a publish request has them: base64 of [{"name":"value"}]. NULL: there are none, or no memory. */
static json_t *users_of(const struct message *m)
{
	struct edged_slice props = message_props(m);
	struct reader r = reader(props.ptr, props.len);
	struct prop prop;
	json_t *list = json_array();
	while (list && prop_next(&r, &prop)) {
		json_t *one = prop.id == PROP_USER ? json_object() : NULL;
		char *name = one ? strndup(prop.bytes.ptr, prop.bytes.len) : NULL;
		if (name && json_object_set_new(one, name, text_json(prop.value)) == 0)
			(void)json_array_append(list, one);
		free(name);
		json_decref(one);
	}
	char *text = json_array_size(list) ? json_dumps(list, JSON_COMPACT) : NULL;
	json_t *ret = text ? base64_json(edged_str(text)) : NULL;
	free(text);
	json_decref(list);
	return ret;
}

static json_t *describe(const struct message *m)
{
	json_t *body = json_pack("{s:o, s:o, s:i, s:I}", "topic", text_json(message_topic(m)), "payload",
	        base64_json(message_payload(m)), "qos", m->qos, "lastModifiedTime", (json_int_t)m->arrived);
	json_t *users = body ? users_of(m) : NULL;
	if (users)
		(void)json_object_set_new(body, "userProperties", users);
	return body;
}

static int get_retained(
        void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *who)
{
	struct broker *b = self;
	struct edged_slice topic = b->http->param(b->host, request, "topic");
	if (turned_away(b, request, outcome) || !may(b, request, who, EDGED_GET_RETAINED, topic))
		return 0;
	const struct message *m = topic.len ? retained_get(&b->shards[0]->retained, topic) : NULL;
	if (!m || message_over(m) || rights_stands(b, m) <= 0)
		return rest_aws_reply(
		        b, request, 404, "ResourceNotFoundException", "No retained message on this topic.");
	return rest_reply(b, request, 200, describe(m));
}

int dataplane_get_retained(void *self, edged_handle request)
{
	return ask(self, request, get_retained);
}

static int list(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *who)
{
	struct broker *b = self;
	if (turned_away(b, request, outcome) ||
	        !may(b, request, who, EDGED_LIST_RETAINED, edged_slice(NULL, 0)))
		return 0;
	return list_retained_aws(b, request);
}

int dataplane_list_retained(void *self, edged_handle request)
{
	return ask(self, request, list);
}

/* --- connections -------------------------------------------------------------------------------------------------------------- */

static int disconnect(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *who)
{
	struct broker *b = self;
	if (turned_away(b, request, outcome) ||
	        !may(b, request, who, EDGED_DELETE_CONNECTION, b->http->param(b->host, request, "id")))
		return 0;
	return delete_connection(b, request);
}

int dataplane_disconnect(void *self, edged_handle request)
{
	return ask(self, request, disconnect);
}
