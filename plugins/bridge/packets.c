/* SPDX-License-Identifier: Apache-2.0 */
#include "packets.h"

enum { CLEAN_START = 2, HAS_PASSWORD = 0x40, HAS_USER = 0x80, USERS_MOST = 1000 };

static void write_hello_props(struct writer *w, const struct hello *h)
{
	uint8_t bytes[128];
	struct writer props = writer(bytes, sizeof(bytes));
	write_u8(&props, PROP_SESSION_EXPIRY);
	write_u32(&props, h->session_expiry);
	write_u8(&props, PROP_RECEIVE_MAX);
	write_u16(&props, h->receive_max);
	write_u8(&props, PROP_MAX_PACKET);
	write_u32(&props, h->packet);
	if (h->node.len) {
		write_u8(&props, PROP_USER);
		write_binary(&props, edged_str(NODE_PROPERTY));
		write_binary(&props, h->node);
	}
	w->failed |= props.failed;
	write_varint(w, (uint32_t)(props.at - bytes));
	write_bytes(w, bytes, (size_t)(props.at - bytes));
}

void write_connect(struct writer *w, const struct hello *h)
{
	uint8_t *begin = w->at;
	/* The length in front is known when all of it is written: two bytes are always enough. */
	write_u8(w, CONNECT << 4);
	write_u16(w, 0);
	write_binary(w, edged_str("MQTT"));
	write_u8(w, h->version == MQTT_5 ? MQTT_5 : (uint8_t)(MQTT_3_1_1 | (h->bridge_bit ? BRIDGE_BIT : 0)));
	write_u8(w, (uint8_t)((h->user.ptr ? HAS_USER : 0) | (h->password.ptr ? HAS_PASSWORD : 0)));
	write_u16(w, h->keep_alive);
	if (h->version == MQTT_5)
		write_hello_props(w, h);
	write_binary(w, h->client_id);
	if (h->user.ptr)
		write_binary(w, h->user);
	if (h->password.ptr)
		write_binary(w, h->password);
	size_t n = (size_t)(w->at - begin) - 3;
	if (w->failed || n > 16383) {
		w->failed = true;
		return;
	}
	if (n > 127) {
		begin[1] = (uint8_t)(n & 127) | 128;
		begin[2] = (uint8_t)(n >> 7);
		return;
	}
	begin[1] = (uint8_t)n;
	memmove(begin + 2, begin + 3, n);
	w->at--;
}

static uint8_t reason_of_code(uint8_t code)
{
	static const uint8_t reasons[] = { 0, REASON_VERSION, REASON_CLIENT_ID, REASON_UNAVAILABLE,
		REASON_PASSWORD, REASON_NOT_AUTHORIZED };
	return code < sizeof(reasons) ? reasons[code] : REASON_UNSPECIFIED;
}

static bool read_welcome_props(struct reader *r, struct welcome *ret)
{
	struct props props;
	if (props_read(r, CONNACK, USERS_MOST, &props))
		return false;
	ret->receive_max = props.receive_max;
	ret->packet = props.max_packet;
	ret->keep_alive = props_have(&props, PROP_SERVER_KEEP_ALIVE) ? props.server_keep_alive : 0;
	ret->text = props.reason;
	struct reader all = reader(props.raw.ptr, props.raw.len);
	struct prop p;
	while (prop_next(&all, &p)) {
		if (p.id == PROP_MAX_QOS)
			ret->max_qos = (uint8_t)p.number;
		if (p.id == PROP_RETAIN_AVAILABLE)
			ret->retain = p.number != 0;
		if (p.id == PROP_USER && edged_slice_is(p.bytes, NODE_PROPERTY))
			ret->node = p.value;
	}
	return true;
}

bool parse_connack(const struct frame *frame, uint8_t version, struct welcome *ret)
{
	struct reader r = reader(frame->body, frame->len);
	*ret = (struct welcome){
		.max_qos = 2, .retain = true, .receive_max = UINT16_MAX, .packet = UINT32_MAX
	};
	uint8_t flags = read_u8(&r);
	ret->present = flags & 1;
	ret->reason = read_u8(&r);
	if (version != MQTT_5)
		ret->reason = reason_of_code(ret->reason);
	else if (!r.failed && read_left(&r) && !read_welcome_props(&r, ret))
		return false;
	return !r.failed && flags <= 1 && read_left(&r) == 0;
}

void write_subscribe(struct writer *w, uint8_t version, uint16_t id, const char *const *filters,
        const uint8_t *options, size_t count)
{
	size_t n = 2 + (version == MQTT_5);
	for (size_t i = 0; i < count; i++)
		n += 2 + strlen(filters[i]) + 1;
	write_u8(w, SUBSCRIBE << 4 | 2);
	write_varint(w, (uint32_t)n);
	write_u16(w, id);
	if (version == MQTT_5)
		write_u8(w, 0);
	for (size_t i = 0; i < count; i++) {
		write_binary(w, edged_str(filters[i]));
		write_u8(w, version == MQTT_5 ? options[i] : options[i] & OPT_QOS);
	}
}

void write_unsubscribe(struct writer *w, uint8_t version, uint16_t id, const char *filter)
{
	write_u8(w, UNSUBSCRIBE << 4 | 2);
	write_varint(w, (uint32_t)(2 + (version == MQTT_5) + 2 + strlen(filter)));
	write_u16(w, id);
	if (version == MQTT_5)
		write_u8(w, 0);
	write_binary(w, edged_str(filter));
}

bool parse_suback(const struct frame *frame, uint8_t version, uint16_t *ret_id, struct edged_slice *ret_codes)
{
	struct reader r = reader(frame->body, frame->len);
	struct props props;
	*ret_id = read_u16(&r);
	if (version == MQTT_5 && !r.failed && props_read(&r, SUBACK, USERS_MOST, &props))
		return false;
	*ret_codes = read_bytes(&r, read_left(&r));
	return !r.failed;
}

bool parse_disconnect(const struct frame *frame, uint8_t *ret_reason, struct edged_slice *ret_text)
{
	struct reader r = reader(frame->body, frame->len);
	struct props props;
	*ret_text = edged_slice(NULL, 0);
	*ret_reason = read_left(&r) ? read_u8(&r) : 0;
	if (!read_left(&r))
		return true;
	if (props_read(&r, DISCONNECT, USERS_MOST, &props))
		return false;
	*ret_text = props.reason;
	return true;
}

const char *refusal_text(uint8_t reason)
{
	static const struct {
		uint8_t reason;
		const char *text;
	} rows[] = {
		{ REASON_MALFORMED, "it could not read a packet of ours" },
		{ REASON_PROTOCOL, "it says that a packet of ours is against the protocol" },
		{ REASON_VERSION, "it does not speak this version of MQTT; try another one with \"mqtt\"" },
		{ REASON_CLIENT_ID,
		        "it does not accept the client id; choose another one with \"client_id\"" },
		{ REASON_PASSWORD, "the user or the password is wrong; see \"user\" and \"password_file\"" },
		{ REASON_NOT_AUTHORIZED,
		        "we are not allowed to; ask for the rights there, or see \"user\" and \"tls\"" },
		{ REASON_UNAVAILABLE, "it is not available now" },
		{ REASON_SHUTTING_DOWN, "it shuts down" },
		{ REASON_KEEP_ALIVE, "it heard nothing from us within the keep-alive" },
		{ REASON_TAKEN_OVER, "somebody else has connected with our client id; give each bridge its "
		                     "own \"client_id\"" },
		{ REASON_TOO_LARGE, "a packet of ours was too large for it" },
		{ REASON_QUOTA, "a limit of it was reached" },
		{ REASON_RATE, "we connect or send too often for it" },
		{ REASON_ADMIN, "its operator ended the connection" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].reason == reason)
			return rows[i].text;
	return "it gives no reason that we know";
}
