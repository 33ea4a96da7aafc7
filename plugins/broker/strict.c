/* SPDX-License-Identifier: Apache-2.0 */
#include "strict.h"

/* AWS IoT Core endpoints and quotas, "message broker and protocol limits and quotas"; developer guide, "MQTT". */
enum {
	TOPIC_BYTES = 256,
	TOPIC_SLASHES = 7,
	GROUP_BYTES = 128, /* of a shared subscription's name */
	CLIENT_ID = 128,   /* bytes */
	PACKET = 128 * 1024,
	FILTERS = 8, /* in one SUBSCRIBE */
	SUBSCRIPTIONS = 50,
	UNACKED = 100,  /* in each direction */
	MESSAGES = 100, /* a second */
	BYTES = 512 * 1024,
	ALIASES = 8,
	SESSION_S = 3600,
	KEEP_ALIVE_MIN_S = 30,
	KEEP_ALIVE_MAX_S = 1200,
	MESSAGE_EXPIRY_S = 7 * 24 * 3600,
	CONNECTS = 1,   /* a second, of one client id */
	STORED = 10,    /* messages a second to a client that is back */
	RETRY_S = 3600, /* for a message that is not acknowledged */
	WEBSOCKET_S = 24 * 3600,
};

static unsigned lower(unsigned own, unsigned aws)
{
	return own < aws ? own : aws;
}

/* 0 is none. */
static uint64_t lower_rate(uint64_t own, uint64_t aws)
{
	return own && own < aws ? own : aws;
}

void strict_limits(struct limits *l)
{
	l->packet = l->packet < PACKET ? l->packet : PACKET;
	l->client_id = lower(l->client_id, CLIENT_ID);
	l->subscriptions = lower(l->subscriptions, SUBSCRIPTIONS);
	l->inflight = lower(l->inflight, UNACKED);
	l->receive = lower(l->receive, UNACKED);
	l->receive_old = lower(l->receive_old, UNACKED);
	l->aliases = lower(l->aliases, ALIASES);
	l->rates.client.messages = lower_rate(l->rates.client.messages, MESSAGES);
	l->rates.client.bytes = lower_rate(l->rates.client.bytes, BYTES);
	l->rates.connects[RATE_CONNECTS_ID] = lower_rate(l->rates.connects[RATE_CONNECTS_ID], CONNECTS);
	l->stored = (unsigned)lower_rate(l->stored, STORED);
	l->session_expiry = (uint32_t)lower_rate(l->session_expiry, SESSION_S);
	l->websocket = (uint32_t)lower_rate(l->websocket, WEBSOCKET_S);
	l->retry = (uint32_t)lower_rate(l->retry, RETRY_S);
}

uint16_t strict_keep_alive(uint16_t asked)
{
	if (asked == 0 || asked > KEEP_ALIVE_MAX_S)
		return KEEP_ALIVE_MAX_S;
	return asked < KEEP_ALIVE_MIN_S ? KEEP_ALIVE_MIN_S : asked;
}

/* --- topics --------------------------------------------------------------------------------------------------------------- */

/* What comes behind "PREFIX/NAME/", or the text itself. */
static struct edged_slice behind(struct edged_slice text, const char *prefix)
{
	size_t n = strlen(prefix);
	const char *end = NULL;
	if (edged_slice_starts(text, prefix))
		end = memchr(text.ptr + n, '/', text.len - n);
	return end ? edged_slice(end + 1, text.len - (size_t)(end + 1 - text.ptr)) : text;
}

/* The prefix of Basic Ingest does not count. */
static bool within(struct edged_slice topic)
{
	topic = behind(topic, "$aws/rules/");
	unsigned slashes = 0;
	for (size_t i = 0; i < topic.len; i++)
		slashes += topic.ptr[i] == '/';
	return topic.len <= TOPIC_BYTES && slashes <= TOPIC_SLASHES;
}

bool strict_filter(struct edged_slice text)
{
	struct edged_slice filter = behind(text, "$share/");
	size_t group = filter.ptr == text.ptr ? 0 : text.len - filter.len - strlen("$share//");
	return group <= GROUP_BYTES && within(filter);
}

bool strict_retained(struct edged_slice filter)
{
	return !memchr(filter.ptr, '+', filter.len) && !memchr(filter.ptr, '#', filter.len);
}

/* --- packets -------------------------------------------------------------------------------------------------------------- */

static void clip_expiry(struct props *props)
{
	if (props->message_expiry > MESSAGE_EXPIRY_S)
		props->message_expiry = MESSAGE_EXPIRY_S;
}

int strict_connect(struct connect *p)
{
	if (p->client_id.len && p->client_id.ptr[0] == '$')
		return REASON_CLIENT_ID;
	if (props_have(&p->props, PROP_AUTH_METHOD))
		return REASON_AUTH_METHOD;
	if (!p->will)
		return 0;
	if (p->will_qos == 2)
		return REASON_QOS;
	if (!within(p->will_topic))
		return REASON_TOPIC;
	p->will_retain = p->will_retain && p->will_topic.ptr[0] != '$';
	p->will_props.will_delay = 0;
	clip_expiry(&p->will_props);
	return 0;
}

int strict_publish(uint8_t version, struct publish *p)
{
	if (p->qos == 2)
		return version == MQTT_5 ? REASON_QOS : STRICT_SILENCE;
	if (!within(p->topic))
		return REASON_TOPIC;
	p->retain = p->retain && p->topic.ptr[0] != '$';
	clip_expiry(&p->props);
	return 0;
}

int strict_subscribe(uint8_t version, const struct filters *filters)
{
	struct filters f = *filters;
	struct edged_slice filter;
	uint8_t options;
	if (f.count > FILTERS)
		return REASON_QUOTA;
	if (f.props.subscription_id)
		return REASON_NO_SUBSCRIPTION_IDS;
	while (filters_next(&f, &filter, &options))
		if ((options & OPT_QOS) == 2)
			return version == MQTT_5 ? REASON_QOS : STRICT_SILENCE;
	return 0;
}
