/* SPDX-License-Identifier: Apache-2.0 */
#include "message.h"

#include "home.h"
#include "record.h"

static void message_free(struct edged_blob *blob)
{
	struct message *m = (struct message *)blob;
	if (m->row) {
		home_add(m->home, -(int64_t)message_bytes_max(m));
		home_unref(m->home);
	}
	const struct author *author = message_author(m);
	if (author)
		author->auth->drop(author->who);
	free(m);
}

void message_settle(struct message *m, struct home *home, uint64_t row)
{
	m->home = home_ref(home);
	home_add(home, (int64_t)message_bytes_max(m));
	m->row = row;
}

/* Fixed header and topic length in front of the topic. */
static void write_head(struct message *m)
{
	uint32_t body = 2u + m->topic_len + m->payload_len;
	m->packet_at = (uint8_t)(MESSAGE_HEAD - 2 - 1 - varint_size(body));
	struct writer w = writer(m->blob.data + m->packet_at, MESSAGE_HEAD);
	write_u8(&w, PUBLISH << 4);
	write_varint(&w, body);
	write_u16(&w, m->topic_len);
}

struct message *message_new(const struct message_parts *p)
{
	size_t props = props_forward_size(p->props);
	size_t n = MESSAGE_HEAD + p->topic.len + p->payload.len + props + p->publisher.len;
	if (p->topic.len > UINT16_MAX || p->publisher.len > UINT16_MAX || n > VARINT_MAX)
		return NULL;
	size_t author = p->author.who ? ((n + 7) & ~(size_t)7) - n + sizeof(struct author) : 0;
	struct message *m = malloc(sizeof(*m) + n + author);
	if (!m)
		return NULL;
	*m = (struct message){
		.blob = { 1, (uint32_t)n, message_free, (uint8_t *)(m + 1) },
		.arrived = p->arrived,
		.expires = p->expires,
		.stamp = p->stamp,
		.payload_len = (uint32_t)p->payload.len,
		.topic_len = (uint16_t)p->topic.len,
		.publisher_len = (uint16_t)p->publisher.len,
		.qos = p->qos,
		.retain = p->retain,
		.will = p->will,
		.authored = p->author.who != NULL,
	};
	if (m->authored) {
		*message_author(m) = p->author;
		(void)p->author.auth->hold(p->author.who);
	}
	write_head(m);
	struct writer w = writer(m->blob.data + MESSAGE_HEAD, n - MESSAGE_HEAD);
	write_bytes(&w, p->topic.ptr, p->topic.len);
	write_bytes(&w, p->payload.ptr, p->payload.len);
	props_forward(p->props, &w);
	write_bytes(&w, p->publisher.ptr, p->publisher.len);
	return m;
}

struct message *message_copy(const struct message *m)
{
	struct message_parts parts = {
		.topic = message_topic(m),
		.payload = message_payload(m),
		.publisher = message_publisher(m),
		.props = message_props(m),
		.arrived = m->arrived,
		.expires = m->expires,
		.stamp = m->stamp,
		.qos = m->qos,
		.retain = m->retain,
		.will = m->will,
	};
	if (m->authored)
		parts.author = *message_author(m);
	return message_new(&parts);
}
