/* SPDX-License-Identifier: Apache-2.0 */
#include "props.h"

enum kind { KIND_NONE, KIND_U8, KIND_U16, KIND_U32, KIND_VARINT, KIND_BINARY, KIND_STRING, KIND_PAIR };

#define IN(owner)     (1u << (owner))
#define IN_PUBLISH    IN(3)
#define IN_WILL       IN(PROPS_OF_WILL)
#define IN_CONNECT    IN(1)
#define IN_CONNACK    IN(2)
#define IN_SUBSCRIBE  IN(8)
#define IN_DISCONNECT IN(14)
#define IN_AUTH       IN(15)
#define IN_ANSWERS    (IN(2) | IN(4) | IN(5) | IN(6) | IN(7) | IN(9) | IN(11) | IN(14) | IN(15))
#define IN_ALL        (IN_ANSWERS | IN_WILL | IN_CONNECT | IN_PUBLISH | IN_SUBSCRIBE | IN(10))

struct row {
	uint8_t kind;
	bool flag;        /* only 0 and 1 are allowed */
	bool nonzero;     /* 0 is not allowed */
	uint16_t packets; /* where it may be */
};

static const struct row rows[PROP_IDS] = {
	[PROP_FORMAT] = { KIND_U8, true, false, IN_PUBLISH | IN_WILL },
	[PROP_MESSAGE_EXPIRY] = { KIND_U32, false, false, IN_PUBLISH | IN_WILL },
	[PROP_CONTENT_TYPE] = { KIND_STRING, false, false, IN_PUBLISH | IN_WILL },
	[PROP_RESPONSE_TOPIC] = { KIND_STRING, false, false, IN_PUBLISH | IN_WILL },
	[PROP_CORRELATION] = { KIND_BINARY, false, false, IN_PUBLISH | IN_WILL },
	[PROP_SUBSCRIPTION_ID] = { KIND_VARINT, false, true, IN_PUBLISH | IN_SUBSCRIBE },
	[PROP_SESSION_EXPIRY] = { KIND_U32, false, false, IN_CONNECT | IN_CONNACK | IN_DISCONNECT },
	[PROP_ASSIGNED_ID] = { KIND_STRING, false, false, IN_CONNACK },
	[PROP_SERVER_KEEP_ALIVE] = { KIND_U16, false, false, IN_CONNACK },
	[PROP_AUTH_METHOD] = { KIND_STRING, false, false, IN_CONNECT | IN_CONNACK | IN_AUTH },
	[PROP_AUTH_DATA] = { KIND_BINARY, false, false, IN_CONNECT | IN_CONNACK | IN_AUTH },
	[PROP_REQUEST_PROBLEM] = { KIND_U8, true, false, IN_CONNECT },
	[PROP_WILL_DELAY] = { KIND_U32, false, false, IN_WILL },
	[PROP_REQUEST_RESPONSE] = { KIND_U8, true, false, IN_CONNECT },
	[PROP_RESPONSE_INFO] = { KIND_STRING, false, false, IN_CONNACK },
	[PROP_SERVER_REFERENCE] = { KIND_STRING, false, false, IN_CONNACK | IN_DISCONNECT },
	[PROP_REASON] = { KIND_STRING, false, false, IN_ANSWERS },
	[PROP_RECEIVE_MAX] = { KIND_U16, false, true, IN_CONNECT | IN_CONNACK },
	[PROP_ALIAS_MAX] = { KIND_U16, false, false, IN_CONNECT | IN_CONNACK },
	[PROP_ALIAS] = { KIND_U16, false, false, IN_PUBLISH },
	[PROP_MAX_QOS] = { KIND_U8, true, false, IN_CONNACK },
	[PROP_RETAIN_AVAILABLE] = { KIND_U8, true, false, IN_CONNACK },
	[PROP_USER] = { KIND_PAIR, false, false, IN_ALL },
	[PROP_MAX_PACKET] = { KIND_U32, false, true, IN_CONNECT | IN_CONNACK },
	[PROP_WILDCARD_AVAILABLE] = { KIND_U8, true, false, IN_CONNACK },
	[PROP_SUBSCRIPTION_ID_AVAILABLE] = { KIND_U8, true, false, IN_CONNACK },
	[PROP_SHARED_AVAILABLE] = { KIND_U8, true, false, IN_CONNACK },
};

static void read_value(struct reader *r, enum kind kind, struct prop *p)
{
	switch (kind) {
	case KIND_NONE:
		r->failed = true;
		break;
	case KIND_U8:
		p->number = read_u8(r);
		break;
	case KIND_U16:
		p->number = read_u16(r);
		break;
	case KIND_U32:
		p->number = read_u32(r);
		break;
	case KIND_VARINT:
		p->number = read_varint(r);
		break;
	case KIND_BINARY:
		p->bytes = read_binary(r);
		break;
	case KIND_STRING:
		p->bytes = read_string(r);
		break;
	case KIND_PAIR:
		p->bytes = read_string(r);
		p->value = read_string(r);
		break;
	}
}

bool prop_next(struct reader *r, struct prop *ret)
{
	if (r->failed || r->at == r->end)
		return false;
	const uint8_t *start = r->at;
	struct prop p = { 0 };
	uint32_t id = read_varint(r);
	if (id >= PROP_IDS) {
		r->failed = true;
		return false;
	}
	p.id = (uint8_t)id;
	read_value(r, rows[id].kind, &p);
	p.raw = edged_slice(start, (size_t)(r->at - start));
	if (r->failed)
		return false;
	*ret = p;
	return true;
}

void props_init(struct props *props)
{
	*props = (struct props){ .receive_max = UINT16_MAX, .request_problem = 1, .max_packet = UINT32_MAX };
}

/* Where the value goes; properties that a client never sends to a server are only checked. */
static void keep(struct props *ps, const struct prop *p)
{
	uint8_t u8 = (uint8_t)p->number;
	uint16_t u16 = (uint16_t)p->number;
	switch ((enum prop_id)p->id) {
	case PROP_FORMAT:
		ps->format = u8;
		break;
	case PROP_MESSAGE_EXPIRY:
		ps->message_expiry = p->number;
		break;
	case PROP_CONTENT_TYPE:
		ps->content_type = p->bytes;
		break;
	case PROP_RESPONSE_TOPIC:
		ps->response_topic = p->bytes;
		break;
	case PROP_CORRELATION:
		ps->correlation = p->bytes;
		break;
	case PROP_SUBSCRIPTION_ID:
		ps->subscription_id = p->number;
		break;
	case PROP_SESSION_EXPIRY:
		ps->session_expiry = p->number;
		break;
	case PROP_ASSIGNED_ID:
		ps->assigned_id = p->bytes;
		break;
	case PROP_SERVER_KEEP_ALIVE:
		ps->server_keep_alive = u16;
		break;
	case PROP_AUTH_METHOD:
		ps->auth_method = p->bytes;
		break;
	case PROP_AUTH_DATA:
		ps->auth_data = p->bytes;
		break;
	case PROP_REQUEST_PROBLEM:
		ps->request_problem = u8;
		break;
	case PROP_WILL_DELAY:
		ps->will_delay = p->number;
		break;
	case PROP_REQUEST_RESPONSE:
		ps->request_response = u8;
		break;
	case PROP_REASON:
		ps->reason = p->bytes;
		break;
	case PROP_RECEIVE_MAX:
		ps->receive_max = u16;
		break;
	case PROP_ALIAS_MAX:
		ps->alias_max = u16;
		break;
	case PROP_ALIAS:
		ps->alias = u16;
		break;
	case PROP_MAX_PACKET:
		ps->max_packet = p->number;
		break;
	case PROP_USER:
		ps->users++;
		break;
	case PROP_RESPONSE_INFO:
	case PROP_SERVER_REFERENCE:
	case PROP_MAX_QOS:
	case PROP_RETAIN_AVAILABLE:
	case PROP_WILDCARD_AVAILABLE:
	case PROP_SUBSCRIPTION_ID_AVAILABLE:
	case PROP_SHARED_AVAILABLE:
	case PROP_IDS:
		break;
	}
}

static int judge(const struct props *ps, const struct prop *p, unsigned owner, unsigned max_users)
{
	const struct row *row = &rows[p->id];
	if (!(row->packets >> owner & 1))
		return PROPS_PROTOCOL;
	if (p->id == PROP_USER)
		return ps->users < max_users ? PROPS_OK : PROPS_TOO_MANY;
	/* The server may put several subscription identifiers into a PUBLISH; all else is there once. */
	if (props_have(ps, p->id) && !(p->id == PROP_SUBSCRIPTION_ID && owner == 3))
		return PROPS_PROTOCOL;
	if ((row->flag && p->number > 1) || (row->nonzero && p->number == 0))
		return PROPS_PROTOCOL;
	return PROPS_OK;
}

int props_read(struct reader *r, unsigned owner, unsigned max_users, struct props *ret)
{
	props_init(ret);
	uint32_t n = read_varint(r);
	ret->raw = read_bytes(r, n);
	if (r->failed)
		return PROPS_MALFORMED;
	struct reader in = reader(ret->raw.ptr, ret->raw.len);
	struct prop p;
	while (prop_next(&in, &p)) {
		int reason = judge(ret, &p, owner, max_users);
		if (reason)
			return reason;
		ret->present |= UINT64_C(1) << p.id;
		keep(ret, &p);
	}
	return in.failed ? PROPS_MALFORMED : PROPS_OK;
}

static bool forwarded(uint8_t id)
{
	return id == PROP_FORMAT || id == PROP_CONTENT_TYPE || id == PROP_RESPONSE_TOPIC ||
	       id == PROP_CORRELATION || id == PROP_USER;
}

size_t props_forward_size(struct edged_slice raw)
{
	struct reader r = reader(raw.ptr, raw.len);
	struct prop p;
	size_t n = 0;
	while (prop_next(&r, &p))
		if (forwarded(p.id))
			n += p.raw.len;
	return n;
}

void props_forward(struct edged_slice raw, struct writer *w)
{
	struct reader r = reader(raw.ptr, raw.len);
	struct prop p;
	while (prop_next(&r, &p))
		if (forwarded(p.id))
			write_bytes(w, p.raw.ptr, p.raw.len);
}
