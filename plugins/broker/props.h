/* SPDX-License-Identifier: Apache-2.0 */
/* Properties of MQTT 5.0 (section 2.2.2): one table says what each is and in which packets it may be. Pure.
 */
#ifndef BROKER_PROPS_H
#define BROKER_PROPS_H

#include "wire.h"

enum prop_id {
	PROP_FORMAT = 1,
	PROP_MESSAGE_EXPIRY = 2,
	PROP_CONTENT_TYPE = 3,
	PROP_RESPONSE_TOPIC = 8,
	PROP_CORRELATION = 9,
	PROP_SUBSCRIPTION_ID = 11,
	PROP_SESSION_EXPIRY = 17,
	PROP_ASSIGNED_ID = 18,
	PROP_SERVER_KEEP_ALIVE = 19,
	PROP_AUTH_METHOD = 21,
	PROP_AUTH_DATA = 22,
	PROP_REQUEST_PROBLEM = 23,
	PROP_WILL_DELAY = 24,
	PROP_REQUEST_RESPONSE = 25,
	PROP_RESPONSE_INFO = 26,
	PROP_SERVER_REFERENCE = 28,
	PROP_REASON = 31,
	PROP_RECEIVE_MAX = 33,
	PROP_ALIAS_MAX = 34,
	PROP_ALIAS = 35,
	PROP_MAX_QOS = 36,
	PROP_RETAIN_AVAILABLE = 37,
	PROP_USER = 38,
	PROP_MAX_PACKET = 39,
	PROP_WILDCARD_AVAILABLE = 40,
	PROP_SUBSCRIPTION_ID_AVAILABLE = 41,
	PROP_SHARED_AVAILABLE = 42,
	PROP_IDS
};

/* One property as it is on the wire. */
struct prop {
	uint8_t id;
	uint32_t number;          /* of the kinds that are numbers */
	struct edged_slice bytes; /* of strings and binary data; the name of a user property */
	struct edged_slice value; /* of a user property */
	struct edged_slice raw;   /* all of it, identifier included */
};

/* The next property; false at the end or when it is not well-formed (r->failed). */
bool prop_next(struct reader *r, struct prop *ret);

/* The properties of one packet. Numbers that are absent have the value the specification gives an absent one.
 */
struct props {
	uint64_t present; /* bit per identifier */
	uint32_t session_expiry, message_expiry, will_delay, max_packet, subscription_id;
	uint16_t receive_max, alias_max, alias, server_keep_alive;
	uint8_t format, request_problem, request_response;
	unsigned users; /* user properties */
	struct edged_slice content_type, response_topic, correlation, auth_method, auth_data, reason,
	        assigned_id;
	struct edged_slice raw; /* all, without the length in front */
};

/* Whose properties: a packet type (1..15), or the will's in a CONNECT. */
#define PROPS_OF_WILL 0

/* What a client did wrong; the values are MQTT reason codes. */
enum { PROPS_OK = 0, PROPS_MALFORMED = 0x81, PROPS_PROTOCOL = 0x82, PROPS_TOO_MANY = 0x97 };

/* Reads length and properties. At most max_users user properties. */
int props_read(struct reader *r, unsigned owner, unsigned max_users, struct props *ret);
/* Sets what no properties at all mean. */
void props_init(struct props *props);

static inline bool props_have(const struct props *props, enum prop_id id)
{
	return props->present >> id & 1;
}

/* The part that goes with a message to its receivers: format, content type, response topic, correlation data
 * and user properties, in the order they came. */
size_t props_forward_size(struct edged_slice raw);
void props_forward(struct edged_slice raw, struct writer *w);

#endif
