/* SPDX-License-Identifier: Apache-2.0 */
#include "frames.h"

#include <errno.h>
#include "interest.h"

enum { FLAG_QOS = 3, FLAG_RETAIN = 4, FLAG_NEWER = 8, FLAG_SHARE = 16 };

int mesh_frame_read(const uint8_t *bytes, size_t n, size_t most, struct mesh_frame *ret)
{
	struct reader r = reader(bytes, n);
	uint32_t len = read_u32(&r);
	uint8_t type = read_u8(&r);
	if (r.failed)
		return FRAME_PARTIAL;
	if (len > most)
		return -EMSGSIZE;
	if (read_left(&r) < len)
		return FRAME_PARTIAL;
	*ret = (struct mesh_frame){ type, read_bytes(&r, len), FRAME_HEAD + len };
	return 0;
}

void write_frame_head(struct writer *w, enum frame_type type, size_t body)
{
	write_u32(w, (uint32_t)body);
	write_u8(w, (uint8_t)type);
}

/* All of it was there, and no more. */
static bool whole(const struct reader *r)
{
	return !r->failed && read_left(r) == 0;
}

void write_mesh_hello(struct writer *w, const struct mesh_hello *h)
{
	write_frame_head(w, FRAME_HELLO, HELLO_BODY);
	write_u16(w, h->window);
	write_u32(w, h->most);
	write_u64(w, h->epoch);
}

/* What later versions append is left unread. */
bool read_mesh_hello(struct edged_slice body, struct mesh_hello *ret)
{
	struct reader r = reader(body.ptr, body.len);
	ret->window = read_u16(&r);
	ret->most = read_u32(&r);
	ret->epoch = read_u64(&r);
	return !r.failed && ret->window > 0;
}

void write_filter(struct writer *w, struct edged_slice filter, uint8_t level)
{
	write_u8(w, level);
	write_binary(w, filter);
}

bool read_filter(struct reader *r, struct edged_slice *ret, uint8_t *ret_level)
{
	if (r->failed || read_left(r) == 0)
		return false;
	*ret_level = read_u8(r);
	*ret = read_string(r);
	r->failed |= *ret_level > LEVEL_QOS2 || ret->len == 0;
	return !r->failed;
}

void write_mesh_complete(struct writer *w, const struct mesh_complete *c)
{
	write_frame_head(w, FRAME_COMPLETE, COMPLETE_BODY);
	write_u32(w, c->count);
	write_u64(w, c->digest);
}

bool read_mesh_complete(struct edged_slice body, struct mesh_complete *ret)
{
	struct reader r = reader(body.ptr, body.len);
	ret->count = read_u32(&r);
	ret->digest = read_u64(&r);
	return whole(&r);
}

void write_mesh_message_head(struct writer *w, const struct mesh_message *m)
{
	size_t fixed = MESSAGE_FIXED - (m->share ? 0 : 4);
	write_frame_head(w, FRAME_MESSAGE, fixed + m->topic.len + m->props.len + m->payload.len);
	write_u8(w, (uint8_t)(m->qos | (m->retain ? FLAG_RETAIN : 0) | (m->newer ? FLAG_NEWER : 0) |
	                      (m->share ? FLAG_SHARE : 0)));
	write_u16(w, m->id);
	write_u64(w, m->number);
	write_u32(w, m->expiry);
	write_u64(w, m->stamp);
	write_u16(w, (uint16_t)m->topic.len);
	write_u32(w, (uint32_t)m->props.len);
	if (m->share)
		write_u32(w, m->share);
}

bool read_mesh_message(struct edged_slice body, struct mesh_message *ret)
{
	struct reader r = reader(body.ptr, body.len);
	uint8_t flags = read_u8(&r);
	ret->qos = flags & FLAG_QOS;
	ret->retain = flags & FLAG_RETAIN;
	ret->newer = flags & FLAG_NEWER;
	ret->id = read_u16(&r);
	ret->number = read_u64(&r);
	ret->expiry = read_u32(&r);
	ret->stamp = read_u64(&r);
	size_t topic = read_u16(&r), props = read_u32(&r);
	ret->share = flags & FLAG_SHARE ? read_u32(&r) : 0;
	ret->topic = read_bytes(&r, topic);
	ret->props = read_bytes(&r, props);
	ret->payload = read_bytes(&r, read_left(&r));
	if (r.failed || (flags & FLAG_SHARE && !ret->share) || ret->qos > 2 ||
	        flags > (FLAG_QOS | FLAG_RETAIN | FLAG_NEWER | FLAG_SHARE))
		return false;
	return (ret->qos > 0) == (ret->id > 0) && (!ret->share || !ret->newer) &&
	       (!ret->newer || (ret->retain && !ret->qos));
}

void write_mesh_ping(struct writer *w, uint64_t sum)
{
	write_frame_head(w, FRAME_PING, PING_BODY);
	write_u64(w, sum);
}

bool read_mesh_ping(struct edged_slice body, uint64_t *ret_sum)
{
	struct reader r = reader(body.ptr, body.len);
	*ret_sum = read_u64(&r);
	return whole(&r);
}

void write_mesh_digest(struct writer *w, const uint64_t parts[DIGEST_PARTS])
{
	write_frame_head(w, FRAME_DIGEST, DIGEST_BODY);
	for (size_t i = 0; i < DIGEST_PARTS; i++)
		write_u64(w, parts[i]);
}

bool read_mesh_digest(struct edged_slice body, uint64_t ret[DIGEST_PARTS])
{
	struct reader r = reader(body.ptr, body.len);
	for (size_t i = 0; i < DIGEST_PARTS; i++)
		ret[i] = read_u64(&r);
	return whole(&r);
}

void write_mesh_channel_head(struct writer *w, struct edged_slice name, size_t bytes)
{
	write_frame_head(w, FRAME_CHANNEL, 1 + name.len + bytes);
	write_u8(w, (uint8_t)name.len);
	write_bytes(w, name.ptr, name.len);
}

bool read_mesh_channel(struct edged_slice body, struct edged_slice *ret_name, struct edged_slice *ret_bytes)
{
	struct reader r = reader(body.ptr, body.len);
	size_t n = read_u8(&r);
	*ret_name = read_bytes(&r, n);
	*ret_bytes = read_bytes(&r, read_left(&r));
	return !r.failed && n > 0 && n <= CHANNEL_NAME_MAX;
}

void write_mesh_ack(struct writer *w, const struct mesh_ack *a)
{
	write_frame_head(w, FRAME_ACK, ACK_BODY);
	write_u8(w, a->kind);
	write_u16(w, a->id);
	write_u8(w, a->reason);
}

bool read_mesh_ack(struct edged_slice body, struct mesh_ack *ret)
{
	struct reader r = reader(body.ptr, body.len);
	ret->kind = read_u8(&r);
	ret->id = read_u16(&r);
	ret->reason = read_u8(&r);
	return whole(&r) && ret->kind >= ACK_PUBACK && ret->kind <= ACK_PUBCOMP && ret->id;
}
