/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CONNACK = 2, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK = 9, ROOM = 4096 };

struct packet {
	uint8_t bytes[ROOM];
	size_t n;
};

static void add(struct packet *p, const void *bytes, size_t n)
{
	assert(p->n + n <= ROOM);
	if (n)
		memcpy(p->bytes + p->n, bytes, n);
	p->n += n;
}

static void add_u8(struct packet *p, uint8_t v)
{
	add(p, &v, 1);
}

static void add_u16(struct packet *p, uint16_t v)
{
	add_u8(p, (uint8_t)(v >> 8));
	add_u8(p, (uint8_t)v);
}

static void add_text(struct packet *p, const char *text)
{
	add_u16(p, (uint16_t)strlen(text));
	add(p, text, strlen(text));
}

/* The head in front of what is there. */
static void finish(struct packet *p, uint8_t first)
{
	struct packet whole = { .n = 0 };
	size_t n = p->n;
	add_u8(&whole, first);
	do {
		add_u8(&whole, (uint8_t)((n & 127) | (n > 127 ? 128 : 0)));
		n >>= 7;
	} while (n);
	add(&whole, p->bytes, p->n);
	*p = whole;
}

static void say(struct client *c, const void *bytes, size_t n)
{
	if (c->peer)
		fake_send(c->peer, bytes, n, 0);
}

static void say_ack(struct client *c, uint8_t type, uint16_t id)
{
	struct packet p = { .n = 0 };
	add_u16(&p, id);
	finish(&p, (uint8_t)(type << 4 | (type == PUBREL ? 2 : 0)));
	say(c, p.bytes, p.n);
}

/* --- coming and going ------------------------------------------------------------------------------------------------------ */

void client_lost(struct client *c)
{
	c->peer = NULL;
	c->joined = false;
	c->in_len = 0;
	c->subscribes = 0;
}

void client_join(struct client *c, struct fake_peer *peer)
{
	struct packet p = { .n = 0 };
	client_lost(c);
	c->peer = peer;
	add_text(&p, "MQTT");
	add_u8(&p, 4);
	add_u8(&p, 0); /* the session stays */
	add_u16(&p, 0);
	add_text(&p, c->name);
	finish(&p, 0x10);
	say(c, p.bytes, p.n);
}

void client_leave(struct client *c, bool politely)
{
	if (c->peer && politely)
		say(c, "\xe0\0", 2);
	else if (c->peer)
		fake_hang_up(c->peer);
	client_lost(c);
}

void client_free(struct client *c)
{
	for (unsigned i = 0; i < c->own_count; i++)
		free(c->own[i].packet);
	free(c->in);
	*c = (struct client){ 0 };
}

/* --- what it says ---------------------------------------------------------------------------------------------------------- */

static uint16_t new_id(struct client *c)
{
	c->next_id = c->next_id == UINT16_MAX ? 1 : c->next_id + 1;
	return c->next_id;
}

void client_subscribe(struct client *c, const char *filter, uint8_t qos)
{
	struct packet p = { .n = 0 };
	add_u16(&p, new_id(c));
	add_text(&p, filter);
	add_u8(&p, qos);
	finish(&p, 0x82);
	c->subscribes++;
	say(c, p.bytes, p.n);
}

bool client_publish(struct client *c, const char *topic, const void *payload, size_t n, uint8_t qos,
        bool retain, uint64_t tag)
{
	struct packet p = { .n = 0 };
	uint16_t id = qos ? new_id(c) : 0;
	if (!c->joined || (qos && c->own_count == CLIENT_OPEN))
		return false;
	add_text(&p, topic);
	if (qos)
		add_u16(&p, id);
	add(&p, payload, n);
	finish(&p, (uint8_t)(0x30 | qos << 1 | retain));
	if (qos) {
		struct client_own *own = &c->own[c->own_count++];
		*own = (struct client_own){
			.id = id, .qos = qos, .packet = malloc(p.n), .len = p.n, .tag = tag
		};
		assert(own->packet);
		memcpy(own->packet, p.bytes, p.n);
	}
	say(c, p.bytes, p.n);
	return true;
}

static void say_again(struct client *c)
{
	for (unsigned i = 0; i < c->own_count; i++) {
		struct client_own *own = &c->own[i];
		if (own->received) {
			say_ack(c, PUBREL, own->id);
			continue;
		}
		own->packet[0] |= 8; /* DUP */
		c->again(c, own->tag);
		say(c, own->packet, own->len);
	}
}

/* --- what it hears --------------------------------------------------------------------------------------------------------- */

static void forget_own(struct client *c, unsigned i)
{
	uint64_t tag = c->own[i].tag;
	free(c->own[i].packet);
	c->own_count--;
	memmove(c->own + i, c->own + i + 1, (c->own_count - i) * sizeof(c->own[0]));
	c->done(c, tag);
}

static void take_ack(struct client *c, uint8_t type, uint16_t id)
{
	unsigned i = 0;
	while (i < c->own_count && c->own[i].id != id)
		i++;
	if (i == c->own_count) {
		if (type == PUBREC)
			say_ack(c, PUBREL, id);
		return;
	}
	if (type == PUBREC) {
		c->own[i].received = true;
		say_ack(c, PUBREL, id);
	} else if ((type == PUBACK) == (c->own[i].qos == 1)) {
		forget_own(c, i);
	} else {
		c->wrong = "an acknowledgement that does not fit the message";
	}
}

static bool holds(const struct client *c, uint16_t id)
{
	for (unsigned i = 0; i < c->held_count; i++)
		if (c->held[i] == id)
			return true;
	return false;
}

static void release(struct client *c, uint16_t id)
{
	for (unsigned i = 0; i < c->held_count; i++)
		if (c->held[i] == id)
			c->held[i--] = c->held[--c->held_count];
}

static void take_publish(struct client *c, uint8_t flags, const uint8_t *body, size_t n)
{
	struct client_message m = { .qos = flags >> 1 & 3, .retain = flags & 1, .dup = flags & 8 };
	size_t at = 2 + ((size_t)body[0] << 8 | body[1]);
	uint16_t id = 0;
	m.topic = (const char *)body + 2;
	m.topic_len = at - 2;
	if (m.qos) {
		id = (uint16_t)(body[at] << 8 | body[at + 1]);
		at += 2;
	}
	m.payload = body + at;
	m.len = n - at;
	if (m.qos < 2 || !holds(c, id))
		c->got(c, &m);
	if (m.qos == 2 && !holds(c, id)) {
		assert(c->held_count < CLIENT_OPEN);
		c->held[c->held_count++] = id;
	}
	if (m.qos)
		say_ack(c, m.qos == 1 ? PUBACK : PUBREC, id);
}

static void take(struct client *c, uint8_t first, const uint8_t *body, size_t n)
{
	switch (first >> 4) {
	case CONNACK:
		c->joined = body[1] == 0;
		if (!c->joined)
			c->wrong = "a CONNECT was refused";
		else
			say_again(c);
		break;
	case PUBLISH:
		take_publish(c, first & 15, body, n);
		break;
	case PUBACK:
	case PUBREC:
	case PUBCOMP:
		take_ack(c, first >> 4, (uint16_t)(body[0] << 8 | body[1]));
		break;
	case PUBREL:
		release(c, (uint16_t)(body[0] << 8 | body[1]));
		say_ack(c, PUBCOMP, (uint16_t)(body[0] << 8 | body[1]));
		break;
	case SUBACK:
		c->subscribes--;
		if (body[2] > 2)
			c->wrong = "a SUBSCRIBE was refused";
		break;
	default:
		c->wrong = "a packet of a type that it did not ask for";
	}
}

/* Size of the packet at the beginning, 0: not all of it is there. */
static size_t size_of(const uint8_t *bytes, size_t n, size_t *ret_head)
{
	size_t len = 0, at = 1;
	for (unsigned shift = 0;; shift += 7) {
		if (at >= n)
			return 0;
		len |= (size_t)(bytes[at] & 127) << shift;
		if (!(bytes[at++] & 128))
			break;
	}
	*ret_head = at;
	return at + len <= n ? at + len : 0;
}

void client_look(struct client *c)
{
	if (!c->peer)
		return;
	struct edged_slice more = fake_take(c->peer);
	size_t size, head, used = 0;
	c->in = realloc(c->in, c->in_len + more.len + 1);
	assert(c->in);
	if (more.len)
		memcpy(c->in + c->in_len, more.ptr, more.len);
	c->in_len += more.len;
	while (c->peer && (size = size_of(c->in + used, c->in_len - used, &head))) {
		take(c, c->in[used], c->in + used + head, size - head);
		used += size;
	}
	if (used) {
		c->in_len -= used;
		memmove(c->in, c->in + used, c->in_len);
	}
	if (c->peer && fake_closed(c->peer))
		client_lost(c);
}
