/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_peer.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000 };

struct packet {
	uint8_t bytes[1024];
	size_t len;
};

static void put(struct packet *p, const void *bytes, size_t n)
{
	if (n > sizeof(p->bytes) - p->len)
		return;
	memcpy(p->bytes + p->len, bytes, n);
	p->len += n;
}

static void put_u16(struct packet *p, size_t v)
{
	put(p, (const uint8_t[]){ (uint8_t)(v >> 8), (uint8_t)v }, 2);
}

static void put_text(struct packet *p, const char *text)
{
	put_u16(p, strlen(text));
	put(p, text, strlen(text));
}

static void put_properties(struct packet *p, const struct mqtt_peer *peer)
{
	if (peer->version == 5)
		put(p, "", 1);
}

static bool send_packet(struct mqtt_peer *peer, uint8_t first, const struct packet *body)
{
	uint8_t bytes[1100] = { first };
	size_t n = 1, len = body->len;
	if (peer->fd < 0)
		return false;
	do {
		bytes[n++] = (uint8_t)((len & 127) | (len > 127 ? 128 : 0));
		len >>= 7;
	} while (len);
	memcpy(bytes + n, body->bytes, body->len);
	n += body->len;
	for (size_t sent = 0; sent < n;) {
		ssize_t r = send(peer->fd, bytes + sent, n - sent, MSG_NOSIGNAL);
		if (r <= 0)
			return false;
		sent += (size_t)r;
	}
	return true;
}

static void acknowledge(struct mqtt_peer *peer, uint8_t first, const uint8_t *id)
{
	struct packet p = { .len = 0 };
	put(&p, id, 2);
	if (!peer->answers_not)
		(void)send_packet(peer, first, &p);
}

static void on_publish(struct mqtt_peer *peer, uint8_t first, const uint8_t *body, size_t len)
{
	struct mqtt_got got = { .qos = first >> 1 & 3, .retain = first & 1 };
	if (len < 2)
		return;
	got.topic_len = (size_t)(body[0] << 8 | body[1]);
	got.topic = (const char *)body + 2;
	size_t at = 2 + got.topic_len;
	const uint8_t *id = body + at;
	at += got.qos ? 2 : 0;
	if (peer->version == 5 && at < len)
		at += 1u + body[at]; /* there are never many */
	if (at > len)
		return;
	got.payload = (const char *)body + at;
	got.payload_len = len - at;
	if (peer->got)
		peer->got(peer->arg, &got);
	if (got.qos)
		acknowledge(peer, got.qos == 1 ? 0x40 : 0x50, id);
}

static void on_answer(struct mqtt_peer *peer, uint8_t type, uint16_t id)
{
	peer->answered |= type == peer->wanted && id == peer->wanted_id;
}

static void on_packet(struct mqtt_peer *peer, uint8_t first, const uint8_t *body, size_t len)
{
	uint16_t id = len < 2 ? 0 : (uint16_t)(body[0] << 8 | body[1]);
	switch (first >> 4) {
	case 2:
		peer->present = body[0] & 1;
		peer->reason = body[1];
		on_answer(peer, 2, 0);
		break;
	case 3:
		on_publish(peer, first, body, len);
		break;
	case 5: /* PUBREC */
		if (len > 2 && body[2] >= 0x80)
			on_answer(peer, 7, id);
		else
			acknowledge(peer, 0x62, body);
		break;
	case 6: /* PUBREL */
		acknowledge(peer, 0x70, body);
		break;
	default:
		on_answer(peer, first >> 4, id);
		break;
	}
}

static size_t take_packet(struct mqtt_peer *peer)
{
	size_t len = 0, at = 1;
	for (unsigned shift = 0;; shift += 7, at++) {
		if (at >= peer->have || shift > 21)
			return 0;
		len |= (size_t)(peer->in[at] & 127) << shift;
		if (!(peer->in[at] & 128))
			break;
	}
	at++;
	if (at + len > peer->have)
		return 0;
	on_packet(peer, peer->in[0], peer->in + at, len);
	return at + len;
}

bool mqtt_read(struct mqtt_peer *peer, int ms)
{
	struct pollfd poller = { .fd = peer->fd, .events = POLLIN };
	if (peer->fd < 0)
		return false;
	if (poll(&poller, 1, ms) <= 0)
		return true;
	ssize_t n = recv(peer->fd, peer->in + peer->have, sizeof(peer->in) - peer->have, 0);
	if (n <= 0) {
		mqtt_close(peer, false);
		return false;
	}
	peer->have += (size_t)n;
	size_t used;
	while (peer->fd >= 0 && (used = take_packet(peer)) != 0) {
		peer->have -= used;
		memmove(peer->in, peer->in + used, peer->have);
	}
	return true;
}

static bool wait_answer(struct mqtt_peer *peer, uint8_t type, uint16_t id)
{
	peer->wanted = type;
	peer->wanted_id = id;
	peer->answered = false;
	for (int i = 0; i < PATIENCE_MS / 100; i++) {
		bool open = mqtt_read(peer, 100);
		if (peer->answered || !open)
			return peer->answered;
	}
	return false;
}

bool mqtt_open(struct mqtt_peer *peer, const char *path, const char *name, uint8_t version, bool clean,
        bool durable, const char *will)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct packet p = { .len = 0 };
	peer->have = 0;
	peer->version = version;
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	peer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(peer->fd, (struct sockaddr *)&to, sizeof(to))) {
		mqtt_close(peer, false);
		return false;
	}
	if (version != 5)
		clean = !durable;
	put_text(&p, "MQTT");
	put(&p, &version, 1);
	put(&p, (const uint8_t[]){ (uint8_t)((clean ? 2 : 0) | (will ? 0x0c : 0)), 0, 0 }, 3);
	if (version == 5)
		put(&p, durable ? "\5\x11\0\0\x0e\x10" : "\0", durable ? 6 : 1);
	put_text(&p, name);
	if (will) {
		put_properties(&p, peer);
		put_text(&p, will);
		put_text(&p, "will");
	}
	bool open = send_packet(peer, 0x10, &p) && wait_answer(peer, 2, 0) && peer->reason == 0;
	if (!open)
		mqtt_close(peer, false);
	return open;
}

void mqtt_close(struct mqtt_peer *peer, bool politely)
{
	const struct packet empty = { .len = 0 };
	if (peer->fd < 0)
		return;
	if (politely)
		(void)send_packet(peer, 0xe0, &empty);
	close(peer->fd);
	peer->fd = -1;
}

static uint16_t next_id(struct mqtt_peer *peer)
{
	if (++peer->id == 0)
		peer->id = 1;
	return peer->id;
}

bool mqtt_subscribe(struct mqtt_peer *peer, const char *filter, uint8_t qos)
{
	struct packet p = { .len = 0 };
	put_u16(&p, next_id(peer));
	put_properties(&p, peer);
	put_text(&p, filter);
	put(&p, &qos, 1);
	return send_packet(peer, 0x82, &p) && wait_answer(peer, 9, peer->id);
}

bool mqtt_unsubscribe(struct mqtt_peer *peer, const char *filter)
{
	struct packet p = { .len = 0 };
	put_u16(&p, next_id(peer));
	put_properties(&p, peer);
	put_text(&p, filter);
	return send_packet(peer, 0xa2, &p) && wait_answer(peer, 11, peer->id);
}

bool mqtt_publish_soon(
        struct mqtt_peer *peer, const char *topic, const char *payload, uint8_t qos, bool retain)
{
	struct packet p = { .len = 0 };
	put_text(&p, topic);
	if (qos)
		put_u16(&p, next_id(peer));
	put_properties(&p, peer);
	put(&p, payload, strlen(payload));
	return send_packet(peer, (uint8_t)(0x30 | qos << 1 | retain), &p);
}

bool mqtt_publish(struct mqtt_peer *peer, const char *topic, const char *payload, uint8_t qos, bool retain)
{
	if (!mqtt_publish_soon(peer, topic, payload, qos, retain))
		return false;
	return !qos || wait_answer(peer, qos == 1 ? 4 : 7, peer->id);
}
