/* layers: plugins/broker testlib base */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole broker under clients that the input drives. Two of them behave as real ones do that keep their own state
 * (and know what they may expect); a third says whatever bytes come. In between: commits that succeed and fail, loops,
 * connections that break, readers that stop reading, the clock, and crashes.
 *
 * Whatever happens: no crash and no leak; no QoS 2 message twice; what was acknowledged at QoS 1 or 2 reaches each
 * durable session that had subscribed; messages of one publisher come in order. After a commit has failed, the
 * order and "once" are not asked for: a client of MQTT 3 cannot be told that its message was taken and not kept.
 */
#include <stdlib.h>
#include "../../plugins/broker/codec.h"
#include "fake_host.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern const struct edged_plugin edged_plugin_v1;

enum { ACTORS = 2, MESSAGES = 200, OPEN = 64, STEPS = 400, LONG = 60000 };

struct waiting { /* an acknowledgement to be sent, or a publication not yet acknowledged */
	uint8_t type, qos;
	bool sent; /* PUBREL was */
	uint16_t id;
	unsigned message;
};

struct due { /* what this actor knows of a message of anybody */
	bool asked, due, got, got_once;
	unsigned life; /* of its session when it was published */
};

struct actor {
	const char *id;
	struct fake_peer *peer;
	uint8_t version;
	bool joined, blocked, durable, expect_present, subscribed, fresh;
	unsigned life; /* counts sessions */
	uint8_t *in;
	size_t in_len;
	struct waiting owed[OPEN], out[OPEN];
	unsigned owed_count, out_count;
	uint16_t held[OPEN]; /* QoS 2 ids taken, not released */
	unsigned held_count;
	uint16_t next_id;
	struct due due[MESSAGES];
	unsigned newest[ACTORS][3]; /* by publisher and QoS */
};

struct world {
	const uint8_t *at, *end;
	struct fake_disk *disk;
	struct fake_host *host;
	struct actor actors[ACTORS];
	struct fake_peer *stranger;
	unsigned loops, messages;
	bool failed; /* a commit */
	uint8_t publisher[MESSAGES], qos[MESSAGES];
	struct fake_setting settings[6];
};

static uint8_t next(struct world *w)
{
	return w->at < w->end ? *w->at++ : 0;
}

/* The payload is a number that only we can make, so that the stranger cannot speak for an actor. */
static uint64_t mix(uint64_t v)
{
	return ((v + 1) * UINT64_C(0x9e3779b97f4a7c15)) ^ UINT64_C(0x5bf03635dea1d3c7);
}

static bool unmix(struct edged_slice payload, unsigned count, unsigned *ret)
{
	uint64_t v;
	if (payload.len < sizeof(v))
		return false;
	memcpy(&v, payload.ptr, sizeof(v));
	v = (v ^ UINT64_C(0x5bf03635dea1d3c7)) * UINT64_C(0xf1de83e19937733d) - 1; /* the inverse */
	*ret = (unsigned)v;
	return v < count;
}

static void send_bytes(struct actor *a, const struct writer *w, const uint8_t *bytes)
{
	MUST(!w->failed);
	if (a->peer && !fake_closed(a->peer))
		fake_send(a->peer, bytes, (size_t)(w->at - bytes), 0);
}

/* --- the life of an actor ------------------------------------------------------------------------------------------------------ */

/* Its session is gone, and all that it might have expected. */
static void new_life(struct actor *a)
{
	a->life++;
	a->subscribed = a->expect_present = false;
	a->out_count = a->held_count = 0;
	memset(a->newest, 0, sizeof(a->newest));
}

static void lose_connection(struct actor *a)
{
	a->joined = a->blocked = false;
	a->peer = NULL;
	a->in_len = a->owed_count = 0;
	if (!a->durable)
		new_life(a);
}

static void connect_actor(struct world *w, struct actor *a, bool clean, bool durable)
{
	uint8_t bytes[64];
	struct writer p = writer(bytes, sizeof(bytes));
	lose_connection(a);
	if (a->version != MQTT_5)
		clean = !durable;
	if (clean)
		new_life(a);
	a->durable = durable;
	write_u8(&p, 0x10);
	write_u8(&p, a->version == MQTT_5 ? 22 : 13);
	write_binary(&p, edged_str("MQTT"));
	write_u8(&p, a->version);
	write_u8(&p, clean ? 2 : 0);
	write_u16(&p, 0);
	if (a->version == MQTT_5) {
		write_u8(&p, 8);
		write_u8(&p, PROP_SESSION_EXPIRY);
		write_u32(&p, durable ? LONG : 0);
		write_u8(&p, PROP_RECEIVE_MAX);
		write_u16(&p, (uint16_t)(1 + (w->loops * 7 & 15)));
	}
	write_binary(&p, edged_str(a->id));
	a->peer = fake_connect(w->host, next(w) % w->loops, true);
	send_bytes(a, &p, bytes);
}

static void put_publish(struct actor *a, const struct waiting *out, bool dup, size_t pad)
{
	static uint8_t bytes[70000];
	uint64_t number = mix(out->message);
	struct outgoing o = { .version = a->version, .qos = out->qos, .dup = dup, .id = out->id };
	o.topic = edged_str("m/x");
	o.payload_len = sizeof(number) + pad;
	struct writer p = writer(bytes, sizeof(bytes));
	write_publish_start(&p, &o);
	write_bytes(&p, o.topic.ptr, o.topic.len);
	write_publish_middle(&p, &o);
	write_bytes(&p, &number, sizeof(number));
	memset(p.at, 'x', pad);
	p.at += pad;
	send_bytes(a, &p, bytes);
}

static void put_ack(struct actor *a, uint8_t type, uint16_t id)
{
	uint8_t bytes[8];
	struct writer p = writer(bytes, sizeof(bytes));
	write_ack(&p, a->version, type, id, 0);
	send_bytes(a, &p, bytes);
}

static void on_connack(struct actor *a, const struct frame *f)
{
	MUST(f->len >= 2 && !a->joined);
	bool present = f->body[0] & 1;
	if (f->body[1])
		return;
	a->joined = true;
	MUST(present || !a->expect_present);
	if (!present) {
		unsigned life = a->life;
		new_life(a);
		a->life = life + 1;
		return;
	}
	for (unsigned i = 0; i < a->out_count; i++) {
		if (a->out[i].sent)
			put_ack(a, PUBREL, a->out[i].id);
		else
			put_publish(a, &a->out[i], true, 0);
	}
}

static void on_message(struct world *w, struct actor *a, const struct publish *p)
{
	unsigned n;
	if (p->qos == 2) {
		for (unsigned i = 0; i < a->held_count; i++)
			if (a->held[i] == p->id)
				return; /* we have it */
		if (a->held_count < OPEN)
			a->held[a->held_count++] = p->id;
	}
	if (!unmix(p->payload, w->messages, &n))
		return;
	struct due *due = &a->due[n];
	MUST(p->qos <= w->qos[n]);
	MUST(!(p->qos == 2 && due->got_once && due->life == a->life && !w->failed));
	due->got_once |= p->qos == 2;
	unsigned *newest = &a->newest[w->publisher[n]][p->qos];
	if (!due->got && due->asked && due->life == a->life && !w->failed) {
		MUST(*newest <= n);
		*newest = n;
	}
	due->got = true;
}

static void owe(struct actor *a, uint8_t type, uint16_t id)
{
	if (a->owed_count < OPEN)
		a->owed[a->owed_count++] = (struct waiting){ .type = type, .id = id };
	else
		lose_connection(a);
}

static void on_publish(struct world *w, struct actor *a, const struct frame *f)
{
	struct publish p;
	MUST(parse_publish(f, a->version, 100, &p) == 0);
	on_message(w, a, &p);
	if (p.qos)
		owe(a, p.qos == 1 ? PUBACK : PUBREC, p.id);
}

static void acknowledged(struct world *w, unsigned message)
{
	for (unsigned i = 0; i < ACTORS; i++) {
		struct actor *to = &w->actors[i];
		struct due *due = &to->due[message];
		if (due->asked && due->life == to->life && to->durable)
			due->due = true;
	}
}

static void on_ack(struct world *w, struct actor *a, const struct frame *f)
{
	struct ack ack;
	MUST(parse_ack(f, a->version, 100, &ack) == 0);
	if (f->type == PUBREL) {
		for (unsigned i = 0; i < a->held_count; i++)
			if (a->held[i] == ack.id)
				a->held[i] = a->held[--a->held_count];
		owe(a, PUBCOMP, ack.id);
		return;
	}
	unsigned i = 0;
	while (i < a->out_count && a->out[i].id != ack.id)
		i++;
	if (i == a->out_count)
		return;
	struct waiting *out = &a->out[i];
	bool end = f->type == PUBACK || f->type == PUBCOMP || ack.reason >= 0x80;
	if (f->type != PUBCOMP && ack.reason < 0x80)
		acknowledged(w, out->message);
	if (f->type == PUBREC && !end) {
		out->sent = true;
		put_ack(a, PUBREL, ack.id);
	}
	if (end) {
		memmove(out, out + 1, (a->out_count - i - 1) * sizeof(*out));
		a->out_count--;
	}
}

static void on_packet(struct world *w, struct actor *a, const struct frame *f)
{
	switch (f->type) {
	case CONNACK:
		on_connack(a, f);
		break;
	case PUBLISH:
		MUST(a->joined);
		on_publish(w, a, f);
		break;
	case PUBACK:
	case PUBREC:
	case PUBREL:
	case PUBCOMP:
		MUST(a->joined);
		on_ack(w, a, f);
		break;
	case SUBACK:
		if (f->body[f->len - 1] < 3) {
			a->subscribed = true;
			a->expect_present = a->durable;
		}
		break;
	case DISCONNECT:
		MUST(a->version == MQTT_5);
		break;
	default:
		abort();
	}
}

/* Reads all that has come; false: nothing. */
static bool listen_to(struct world *w, struct actor *a)
{
	if (!a->peer || a->blocked)
		return false;
	struct edged_slice got = fake_take(a->peer);
	a->in = realloc(a->in, a->in_len + got.len + 1);
	MUST(a->in);
	memcpy(a->in + a->in_len, got.len ? got.ptr : "", got.len);
	a->in_len += got.len;
	struct frame f;
	struct fake_peer *peer = a->peer;
	size_t used = 0;
	int r = FRAME_MORE;
	while (a->peer == peer && (r = frame_read(a->in + used, a->in_len - used, VARINT_MAX, &f)) == 0) {
		on_packet(w, a, &f);
		used += f.size;
	}
	MUST(r == FRAME_MORE || r == 0);
	if (a->peer != peer)
		return true;
	a->in_len -= used;
	memmove(a->in, a->in + used, a->in_len);
	if (fake_closed(peer))
		lose_connection(a);
	return got.len > 0;
}

/* --- what the input may ask for ---------------------------------------------------------------------------------------------------- */

static void publish(struct world *w, struct actor *a, uint8_t how)
{
	uint8_t qos = how % 3;
	if (!a->joined || a->out_count == OPEN || w->messages == MESSAGES)
		return;
	unsigned n = w->messages++;
	w->publisher[n] = (uint8_t)(a - w->actors);
	w->qos[n] = qos;
	for (unsigned i = 0; i < ACTORS; i++) {
		w->actors[i].due[n].asked = qos && w->actors[i].subscribed;
		w->actors[i].due[n].life = w->actors[i].life;
	}
	struct waiting out = { .qos = qos, .message = n };
	bool used = true;
	while (qos && used) {
		out.id = ++a->next_id ? a->next_id : ++a->next_id;
		used = false;
		for (unsigned i = 0; i < a->out_count; i++)
			used |= a->out[i].id == out.id;
	}
	if (qos)
		a->out[a->out_count++] = out;
	put_publish(a, &out, false, how > 0xf0 ? 60000 : how > 0xc0 ? 2000 : 0);
}

static void pay(struct actor *a, unsigned n)
{
	for (; n && a->owed_count && a->joined; n--) {
		struct waiting owed = a->owed[0];
		a->owed_count--;
		memmove(a->owed, a->owed + 1, a->owed_count * sizeof(owed));
		put_ack(a, owed.type, owed.id);
	}
}

static void subscribe(struct actor *a, uint8_t qos)
{
	if (!a->joined)
		return;
	uint8_t bytes[16] = "\x82\x08\0\1\0\3m/#", five[16] = "\x82\x09\0\1\0\0\3m/#";
	uint8_t *packet = a->version == MQTT_5 ? five : bytes;
	size_t n = a->version == MQTT_5 ? 10 : 9;
	packet[n] = qos;
	if (!fake_closed(a->peer))
		fake_send(a->peer, packet, n + 1, 0);
}

static void crash(struct world *w)
{
	fake_host_free(w->host, false);
	w->stranger = NULL;
	for (unsigned i = 0; i < ACTORS; i++)
		lose_connection(&w->actors[i]);
	w->loops = 1 + next(w) % 3;
	w->host = fake_host_new(&edged_plugin_v1, w->disk, w->loops, w->settings);
	MUST(w->host);
}

/* The stranger: a connection, then any bytes, or a usual packet with one byte changed. */
static void stranger(struct world *w, uint8_t how)
{
	static const struct {
		const char *bytes;
		size_t n;
	} usual[] = {
#define P(text) { text, sizeof(text) - 1 }
		P("\x82\x08\0\1\0\3m/#\2"),
		P("\x82\x0a\0\1\0\5$SYS#\2"),
		P("\x82\x11\0\1\0\x0c$share/g/m/#\2"),
		P("\x82\x0d\0\1\2\x0b\5\0\5m/x/#\1"),
		P("\xa2\7\0\1\0\3m/#"),
		P("\x33\x07\0\3m/x\0\1x"),
		P("\x35\x0b\0\3m/x\0\2\3\x23\0\1x"),
		P("\x34\x0b\0\3m/y\0\2\3\x23\0\1x"),
		P("\x30\x07\0\0\3\x23\0\1y"),
		P("\x62\2\0\2\x40\2\0\1\x50\2\0\1\x70\2\0\1"),
		P("\xe0\2\4\0"),
		P("\xe0\0"),
		P("\xf0\0"),
		P("\xc0\0"),
#undef P
	};
	if (!w->stranger || fake_closed(w->stranger)) {
		w->stranger = fake_connect(w->host, how % w->loops, how & 0x80);
		if (how & 1)
			fake_send(w->stranger, "\x10\x1b\0\4MQTT\5\6\0\2\5\x11\0\0\0\x09\0\1x\0\0\3m/w\0\1z",
			        29, 0);
		else
			fake_send(w->stranger, "\x10\x0d\0\4MQTT\4\0\0\2\0\1x", 15, 0);
		return;
	}
	uint8_t bytes[64];
	size_t n = how & 31;
	if (how & 0x20) {
		size_t which = next(w) % (sizeof(usual) / sizeof(usual[0]));
		n = usual[which].n;
		memcpy(bytes, usual[which].bytes, n);
		bytes[next(w) % n] ^= next(w);
	} else {
		for (size_t i = 0; i < n; i++)
			bytes[i] = next(w);
	}
	fake_send(w->stranger, bytes, n, how & 0x40 ? 1 : 0);
	if (!fake_closed(w->stranger))
		(void)fake_take(w->stranger);
}

static void commit(struct world *w, int result)
{
	w->failed |= result != 0;
	fake_commit(w->host, result);
}

static void step(struct world *w)
{
	uint8_t op = next(w), arg = next(w);
	struct actor *a = &w->actors[op >> 7];
	switch (op & 15) {
	case 0:
		connect_actor(w, a, arg & 1, !(arg & 2));
		break;
	case 1:
		subscribe(a, 1 + (arg & 1));
		break;
	case 2:
	case 3:
		publish(w, a, arg);
		break;
	case 4:
		(void)listen_to(w, a);
		pay(a, arg & 7);
		break;
	case 5:
	case 6:
		commit(w, 0);
		break;
	case 7:
		commit(w, arg & 1 ? -28 : -5);
		break;
	case 8:
		if (a->peer && !fake_closed(a->peer))
			fake_hang_up(a->peer);
		break;
	case 9:
		a->blocked = a->peer && (arg & 1);
		if (a->peer)
			fake_block(a->peer, a->blocked);
		break;
	case 10:
		fake_sleep(w->host, (uint64_t)arg * 100);
		break;
	case 11:
		if (arg & 1)
			crash(w);
		break;
	case 12:
		if (a->joined && !fake_closed(a->peer))
			fake_send(a->peer, "\xe0\0", 2, 0);
		break;
	default:
		stranger(w, arg);
		break;
	}
}

/* Everybody comes back and reads until nothing comes any more; then all that is due must have come. */
static void finish(struct world *w)
{
	fake_auto_commit(w->host, true);
	for (unsigned i = 0; i < ACTORS; i++)
		if (w->actors[i].peer)
			fake_block(w->actors[i].peer, w->actors[i].blocked = false);
	for (unsigned round = 0; round < 8; round++) {
		for (unsigned i = 0; i < ACTORS; i++) {
			struct actor *a = &w->actors[i];
			(void)listen_to(w, a);
			if (!a->joined && a->durable)
				connect_actor(w, a, false, true);
		}
		for (bool more = true; more;) {
			more = false;
			for (unsigned i = 0; i < ACTORS; i++) {
				more |= listen_to(w, &w->actors[i]) || w->actors[i].owed_count;
				pay(&w->actors[i], OPEN);
			}
		}
	}
	for (unsigned i = 0; i < ACTORS; i++) {
		struct actor *a = &w->actors[i];
		MUST(!a->durable || a->joined);
		for (unsigned n = 0; n < w->messages; n++)
			MUST(!a->due[n].due || a->due[n].got || a->due[n].life != a->life);
	}
	MUST(fake_figure(w->host, "broker_queued_bytes", NULL) >= 0);
	MUST(fake_figure(w->host, "broker_connections", NULL) <= 4);
	MUST(fake_figure(w->host, "broker_sessions", NULL) <= 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world world; /* large */
	struct world *w = &world;
	*w = (struct world){ .at = data, .end = data + size };
	uint8_t how = next(w);
	w->loops = 1 + how % 3;
	w->settings[0] = (struct fake_setting){ "limits.queue_messages", 100000 };
	w->settings[1] = (struct fake_setting){ "limits.queue_bytes", 1 << 30 };
	w->settings[2] = (struct fake_setting){ "limits.memory", INT64_C(1) << 32 };
	w->settings[3] = (struct fake_setting){ "limits.inflight", how & 4 ? 1 : how & 8 ? 3 : 100 };
	w->settings[4] = (struct fake_setting){ "limits.receive_old", how & 16 ? OPEN : 1000 };
	w->disk = fake_disk_new();
	w->host = fake_host_new(&edged_plugin_v1, w->disk, w->loops, w->settings);
	MUST(w->host);
	for (unsigned i = 0; i < ACTORS; i++) {
		w->actors[i].id = i ? "b" : "a";
		w->actors[i].version = how & 0x20 << i ? MQTT_5 : MQTT_3_1_1;
	}
	for (unsigned i = 0; i < STEPS && w->at < w->end; i++)
		step(w);
	finish(w);
	fake_host_free(w->host, how & 0x80);
	fake_disk_free(w->disk);
	for (unsigned i = 0; i < ACTORS; i++)
		free(w->actors[i].in);
	return 0;
}
