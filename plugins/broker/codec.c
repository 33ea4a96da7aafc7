/* SPDX-License-Identifier: Apache-2.0 */
#include "codec.h"

#include "reason.h"

/* Flags of the fixed header that each type must have (section 2.1.3); PUBLISH is judged by itself. */
static const uint8_t fixed_flags[16] = { [PUBREL] = 2, [SUBSCRIBE] = 2, [UNSUBSCRIBE] = 2 };

int frame_read(const uint8_t *bytes, size_t n, size_t max, struct frame *ret)
{
	if (n < 2)
		return FRAME_MORE;
	struct frame f = { .type = bytes[0] >> 4, .flags = bytes[0] & 15 };
	if (f.type == 0 || (f.type != PUBLISH && f.flags != fixed_flags[f.type]))
		return REASON_MALFORMED;
	size_t i = 1, len = 0;
	for (unsigned shift = 0;; shift += 7, i++) {
		if (i == 5)
			return REASON_MALFORMED;
		if (i == n)
			return FRAME_MORE;
		len |= (size_t)(bytes[i] & 0x7f) << shift;
		if (!(bytes[i] & 0x80))
			break;
	}
	if (i > 1 && bytes[i] == 0)
		return REASON_MALFORMED;
	if (len > max)
		return REASON_TOO_LARGE;
	if (n - i - 1 < len)
		return FRAME_MORE;
	f.body = bytes + i + 1;
	f.len = len;
	f.size = i + 1 + len;
	*ret = f;
	return 0;
}

/* --- CONNECT
 * --------------------------------------------------------------------------------------------------- */

static int read_protocol(struct reader *r, struct connect *c)
{
	struct edged_slice name = read_string(r);
	c->version = read_u8(r);
	if (r->failed)
		return REASON_MALFORMED;
	uint8_t plain = c->version & (uint8_t)~BRIDGE_BIT;
	bool old = edged_slice_is(name, plain == MQTT_3_1 ? "MQIsdp" : "MQTT") &&
	           (plain == MQTT_3_1 || plain == MQTT_3_1_1);
	if (!old)
		return c->version == MQTT_5 && edged_slice_is(name, "MQTT") ? 0 : REASON_VERSION;
	c->bridge = c->version != plain;
	c->version = plain;
	return 0;
}

static int read_connect_flags(struct reader *r, struct connect *c)
{
	uint8_t flags = read_u8(r);
	c->clean = flags & 2;
	c->will = flags & 4;
	c->will_qos = flags >> 3 & 3;
	c->will_retain = flags & 0x20;
	c->has_password = flags & 0x40;
	c->has_user = flags & 0x80;
	if ((flags & 1) || c->will_qos == 3 || (!c->will && (c->will_qos || c->will_retain)))
		return REASON_MALFORMED;
	if (c->version != MQTT_5 && c->has_password && !c->has_user)
		return REASON_MALFORMED;
	c->keep_alive = read_u16(r);
	return r->failed ? REASON_MALFORMED : 0;
}

static int read_will(struct reader *r, unsigned max_users, struct connect *c)
{
	if (c->version == MQTT_5) {
		int reason = props_read(r, PROPS_OF_WILL, max_users, &c->will_props);
		if (reason)
			return reason;
	}
	c->will_topic = read_string(r);
	c->will_payload = read_binary(r);
	return r->failed ? REASON_MALFORMED : 0;
}

int parse_connect(const struct frame *frame, unsigned max_users, struct connect *ret)
{
	struct reader r = reader(frame->body, frame->len);
	*ret = (struct connect){ 0 };
	props_init(&ret->props);
	props_init(&ret->will_props);
	int reason = read_protocol(&r, ret);
	if (!reason)
		reason = read_connect_flags(&r, ret);
	if (!reason && ret->version == MQTT_5)
		reason = props_read(&r, CONNECT, max_users, &ret->props);
	if (reason)
		return reason;
	ret->client_id = read_string(&r);
	if (ret->will && !r.failed)
		reason = read_will(&r, max_users, ret);
	if (reason)
		return reason;
	if (ret->has_user)
		ret->user = read_string(&r);
	if (ret->has_password)
		ret->password = read_binary(&r);
	if (r.failed || read_left(&r))
		return REASON_MALFORMED;
	if (props_have(&ret->props, PROP_AUTH_DATA) && !props_have(&ret->props, PROP_AUTH_METHOD))
		return REASON_PROTOCOL;
	return 0;
}

/* --- other packets from clients
 * -------------------------------------------------------------------------------- */

int parse_publish(const struct frame *frame, uint8_t version, unsigned max_users, struct publish *ret)
{
	struct reader r = reader(frame->body, frame->len);
	ret->qos = frame->flags >> 1 & 3;
	ret->dup = frame->flags & 8;
	ret->retain = frame->flags & 1;
	if (ret->qos == 3 || (ret->dup && ret->qos == 0))
		return REASON_MALFORMED;
	ret->topic = read_string(&r);
	ret->id = ret->qos ? read_u16(&r) : 0;
	if (r.failed)
		return REASON_MALFORMED;
	if (ret->qos && ret->id == 0)
		return version == MQTT_5 ? REASON_PROTOCOL : REASON_MALFORMED;
	if (version == MQTT_5) {
		int reason = props_read(&r, PUBLISH, max_users, &ret->props);
		if (reason)
			return reason;
		if (props_have(&ret->props, PROP_SUBSCRIPTION_ID))
			return REASON_PROTOCOL; /* only the server sends them */
	} else {
		ret->props.present = 0;
		ret->props.raw = edged_slice(NULL, 0);
	}
	ret->payload = edged_slice(r.at, read_left(&r));
	return 0;
}

/* Reason code and properties that may be left out from the end (MQTT 5). */
static int read_tail(struct reader *r, uint8_t version, unsigned type, unsigned max_users,
        uint8_t *ret_reason, struct props *ret_props)
{
	*ret_reason = 0;
	props_init(ret_props);
	if (version == MQTT_5 && read_left(r))
		*ret_reason = read_u8(r);
	if (!reason_allowed(type, *ret_reason))
		return REASON_PROTOCOL;
	if (version == MQTT_5 && read_left(r)) {
		int reason = props_read(r, type, max_users, ret_props);
		if (reason)
			return reason;
	}
	return r->failed || read_left(r) ? REASON_MALFORMED : 0;
}

int parse_ack(const struct frame *frame, uint8_t version, unsigned max_users, struct ack *ret)
{
	struct reader r = reader(frame->body, frame->len);
	ret->id = read_u16(&r);
	if (r.failed)
		return REASON_MALFORMED;
	if (ret->id == 0)
		return REASON_PROTOCOL;
	return read_tail(&r, version, frame->type, max_users, &ret->reason, &ret->props);
}

bool filters_next(struct filters *f, struct edged_slice *ret_filter, uint8_t *ret_options)
{
	if (f->list.failed || read_left(&f->list) == 0)
		return false;
	*ret_filter = read_string(&f->list);
	*ret_options = f->options ? read_u8(&f->list) : 0;
	return !f->list.failed;
}

static int judge_options(uint8_t options, uint8_t version)
{
	if (options & (version == MQTT_5 ? 0xc0 : ~OPT_QOS))
		return REASON_MALFORMED;
	if ((options & OPT_QOS) == 3 || (options & OPT_RETAIN_HANDLING) == OPT_RETAIN_HANDLING)
		return version == MQTT_5 ? REASON_PROTOCOL : REASON_MALFORMED;
	return 0;
}

int parse_filters(const struct frame *frame, uint8_t version, unsigned max_users, struct filters *ret)
{
	struct reader r = reader(frame->body, frame->len);
	props_init(&ret->props);
	ret->options = frame->type == SUBSCRIBE;
	ret->count = 0;
	ret->id = read_u16(&r);
	if (r.failed)
		return REASON_MALFORMED;
	if (ret->id == 0)
		return REASON_PROTOCOL;
	if (version == MQTT_5) {
		int reason = props_read(&r, frame->type, max_users, &ret->props);
		if (reason)
			return reason;
	}
	ret->list = r;
	struct edged_slice filter;
	uint8_t options;
	while (filters_next(ret, &filter, &options)) {
		int reason = judge_options(options, version);
		if (reason)
			return reason;
		ret->count++;
	}
	if (ret->list.failed)
		return REASON_MALFORMED;
	ret->list = r;
	return ret->count ? 0 : REASON_PROTOCOL;
}

int parse_farewell(const struct frame *frame, uint8_t version, unsigned max_users, struct farewell *ret)
{
	struct reader r = reader(frame->body, frame->len);
	return read_tail(&r, version, frame->type, max_users, &ret->reason, &ret->props);
}

/* --- to clients
 * -------------------------------------------------------------------------------------------------- */

/* Return codes of MQTT 3.1.1, section 3.2.2.3. */
static uint8_t old_connack_code(uint8_t reason)
{
	switch (reason) {
	case REASON_OK:
		return 0;
	case REASON_VERSION:
		return 1;
	case REASON_CLIENT_ID:
		return 2;
	case REASON_PASSWORD:
		return 4;
	case REASON_NOT_AUTHORIZED:
		return 5;
	default:
		return 3;
	}
}

static void write_connack_props(struct writer *w, const struct connack *c)
{
	if (c->limits) {
		write_u8(w, PROP_RECEIVE_MAX);
		write_u16(w, c->receive_max);
		write_u8(w, PROP_MAX_PACKET);
		write_u32(w, c->max_packet);
		write_u8(w, PROP_ALIAS_MAX);
		write_u16(w, c->alias_max);
		write_u8(w, PROP_SHARED_AVAILABLE);
		write_u8(w, c->shared);
		if (c->strict) {
			write_u8(w, PROP_MAX_QOS);
			write_u8(w, 1);
			write_u8(w, PROP_SUBSCRIPTION_ID_AVAILABLE);
			write_u8(w, 0);
		}
	}
	if (c->has_session_expiry) {
		write_u8(w, PROP_SESSION_EXPIRY);
		write_u32(w, c->session_expiry);
	}
	if (c->has_keep_alive) {
		write_u8(w, PROP_SERVER_KEEP_ALIVE);
		write_u16(w, c->keep_alive);
	}
	if (c->assigned_id.len) {
		write_u8(w, PROP_ASSIGNED_ID);
		write_binary(w, c->assigned_id);
	}
	if (c->response_info.len) {
		write_u8(w, PROP_RESPONSE_INFO);
		write_binary(w, c->response_info);
	}
	if (c->auth_method.len) {
		write_u8(w, PROP_AUTH_METHOD);
		write_binary(w, c->auth_method);
		write_u8(w, PROP_AUTH_DATA);
		write_binary(w, c->auth_data);
	}
	if (c->node.len) {
		write_u8(w, PROP_USER);
		write_binary(w, edged_str(NODE_PROPERTY));
		write_binary(w, c->node);
	}
	if (c->text.len) {
		write_u8(w, PROP_REASON);
		write_binary(w, c->text);
	}
}

void write_connack(struct writer *w, uint8_t version, const struct connack *c)
{
	write_u8(w, CONNACK << 4);
	if (version != MQTT_5) {
		write_u8(w, 2);
		write_u8(w, version == MQTT_3_1_1 && c->present);
		write_u8(w, old_connack_code(c->reason));
		return;
	}
	uint8_t bytes[CONNACK_MAX];
	struct writer props = writer(bytes, sizeof(bytes));
	write_connack_props(&props, c);
	uint32_t n = (uint32_t)(props.at - bytes);
	w->failed |= props.failed;
	write_varint(w, 2 + (uint32_t)varint_size(n) + n);
	write_u8(w, c->present);
	write_u8(w, c->reason);
	write_varint(w, n);
	write_bytes(w, bytes, n);
}

void write_ack(struct writer *w, uint8_t version, enum packet_type type, uint16_t id, uint8_t reason)
{
	bool with_reason = version == MQTT_5 && reason != 0;
	write_u8(w, (uint8_t)(type << 4 | fixed_flags[type]));
	write_u8(w, with_reason ? 3 : 2);
	write_u16(w, id);
	if (with_reason)
		write_u8(w, reason);
}

void write_codes(
        struct writer *w, uint8_t version, enum packet_type type, uint16_t id, const uint8_t *codes, size_t n)
{
	bool with_codes = version == MQTT_5 || type == SUBACK;
	uint32_t len = 2 + (version == MQTT_5) + (with_codes ? (uint32_t)n : 0);
	write_u8(w, (uint8_t)(type << 4));
	write_varint(w, len);
	write_u16(w, id);
	if (version == MQTT_5)
		write_u8(w, 0);
	for (size_t i = 0; with_codes && i < n; i++)
		write_u8(w, version != MQTT_5 && codes[i] > 2 ? 0x80 : codes[i]);
}

void write_auth(struct writer *w, uint8_t reason, struct edged_slice method, struct edged_slice data)
{
	uint32_t n = 6 + (uint32_t)method.len + (uint32_t)data.len;
	write_u8(w, AUTH << 4);
	write_varint(w, 1 + (uint32_t)varint_size(n) + n);
	write_u8(w, reason);
	write_varint(w, n);
	write_u8(w, PROP_AUTH_METHOD);
	write_binary(w, method);
	write_u8(w, PROP_AUTH_DATA);
	write_binary(w, data);
}

void write_disconnect(struct writer *w, uint8_t reason, struct edged_slice text)
{
	uint32_t n = text.len ? 3 + (uint32_t)text.len : 0;
	write_u8(w, DISCONNECT << 4);
	write_varint(w, n ? 1 + (uint32_t)varint_size(n) + n : 1);
	write_u8(w, reason);
	if (n) {
		write_varint(w, n);
		write_u8(w, PROP_REASON);
		write_binary(w, text);
	}
}

size_t outgoing_own_props(const struct outgoing *out)
{
	size_t n = (out->has_expiry ? 5 : 0) + (out->alias ? 3 : 0);
	for (size_t i = 0; i < out->subscription_count; i++)
		n += 1 + varint_size(out->subscription_ids[i]);
	return n;
}

size_t outgoing_body(const struct outgoing *out)
{
	size_t n = 2 + out->topic.len + (out->qos ? 2 : 0) + out->payload_len;
	if (out->version == MQTT_5) {
		size_t props = outgoing_own_props(out) + out->props.len;
		n += varint_size((uint32_t)props) + props;
	}
	return n;
}

void write_publish_start(struct writer *w, const struct outgoing *out)
{
	write_u8(w, (uint8_t)(PUBLISH << 4 | out->dup << 3 | out->qos << 1 | out->retain));
	write_varint(w, (uint32_t)outgoing_body(out));
	write_u16(w, (uint16_t)out->topic.len);
}

void write_publish_middle(struct writer *w, const struct outgoing *out)
{
	if (out->qos)
		write_u16(w, out->id);
	if (out->version != MQTT_5)
		return;
	write_varint(w, (uint32_t)(outgoing_own_props(out) + out->props.len));
	if (out->has_expiry) {
		write_u8(w, PROP_MESSAGE_EXPIRY);
		write_u32(w, out->expiry);
	}
	if (out->alias) {
		write_u8(w, PROP_ALIAS);
		write_u16(w, out->alias);
	}
	for (size_t i = 0; i < out->subscription_count; i++) {
		write_u8(w, PROP_SUBSCRIPTION_ID);
		write_varint(w, out->subscription_ids[i]);
	}
}
