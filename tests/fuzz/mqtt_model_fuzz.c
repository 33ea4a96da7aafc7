/* layers: plugins/broker testlib base */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole broker beside a model of it (mqtt_model.h). The input chooses what two or three well-behaved clients do, when
 * the store commits, when time passes and when the broker crashes; all that it sends is held against the model at once, and
 * when nothing is under way, all that it owes must have come. Bytes that make no sense are mqtt_session_fuzz.c's.
 *
 * Input: one byte of options, then a byte for the action and one or more for its details, see step(). To watch a find:
 * EDGED_FUZZ_SHOW=1 build-fuzz/fuzz/mqtt_model_fuzz FILE
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "../../plugins/broker/codec.h"
#include "fake_host.h"
#include "mqtt_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern const struct edged_plugin edged_plugin_v1;

enum { OPEN = 24, STEPS = 300, SERIALS = 4096, TICK = 20000, SOON = 30, LONG = 100000, INFLIGHT = 5 };

struct own { /* a message of this client that is not acknowledged yet */
	uint16_t id, message;
	bool received; /* PUBREC came */
};

struct debt { /* an acknowledgement that it will send */
	uint8_t type;
	uint16_t id;
};

struct client {
	const char *name;
	struct fake_peer *peer, *old; /* old: cut off by the new one */
	bool joined, present, old_joined;
	uint8_t version; /* always the same: what two subscriptions bring looks alike before MQTT 5 */
	uint8_t *in;
	size_t in_len;
	uint16_t next_id;
	struct own own[OPEN];
	struct debt debts[2 * OPEN];
	struct {
		uint16_t id;
		uint32_t serial;
	} held[OPEN]; /* QoS 2 messages that it has, not released */
	unsigned own_count, debt_count, held_count;
	bool got[SERIALS]; /* QoS 2 */
};

struct world {
	const uint8_t *at, *end;
	struct fake_disk *disk;
	struct fake_host *host;
	unsigned loops, clients;
	struct model model, saved;
	struct client client[CLIENTS];
	struct fake_setting settings[5];
};

static uint64_t wall; /* ms */

/* Instead of libc's, for the objects in this program: the broker's clock stands still until an input moves it. */
int clock_gettime(clockid_t id, struct timespec *t)
{
	(void)id;
	*t = (struct timespec){ .tv_sec = (time_t)(wall / 1000), .tv_nsec = (long)(wall % 1000) * 1000000 };
	return 0;
}

static uint8_t next(struct world *w)
{
	return w->at < w->end ? *w->at++ : 0;
}

/* For who looks into a find. */
static bool shown;

static void show(const struct client *c, const char *what, const void *bytes, size_t n)
{
	if (!shown)
		return;
	fprintf(stderr, "%-5s %-16s", c ? c->name : "", what);
	for (size_t i = 0; i < n; i++)
		fprintf(stderr, " %02x", ((const uint8_t *)bytes)[i]);
	fputc('\n', stderr);
}

static void judge(const struct client *c, const char *wrong)
{
	if (!wrong)
		return;
	fprintf(stderr, "%s: %s\n", c ? c->name : "the broker", wrong);
	abort();
}

static void must(const struct client *c, bool what, const char *wrong)
{
	judge(c, what ? NULL : wrong);
}

/* --- what a client sends --------------------------------------------------------------------------------------------------- */

static void say(struct client *c, const struct writer *p, const uint8_t *bytes)
{
	must(c, !p->failed, "the test has no room for a packet");
	show(c, "says", bytes, (size_t)(p->at - bytes));
	fake_send(c->peer, bytes, (size_t)(p->at - bytes), 0);
}

/* Type and flags, then the body with its length. */
static void say_packet(struct client *c, uint8_t first, const struct writer *body, const uint8_t *body_bytes)
{
	uint8_t bytes[200];
	struct writer p = writer(bytes, sizeof(bytes));
	must(c, !body->failed, "the test has no room for a body");
	write_u8(&p, first);
	write_varint(&p, (uint32_t)(body->at - body_bytes));
	write_bytes(&p, body_bytes, (size_t)(body->at - body_bytes));
	say(c, &p, bytes);
}

static void say_ack(struct client *c, uint8_t type, uint16_t id, uint8_t reason)
{
	uint8_t bytes[8];
	struct writer p = writer(bytes, sizeof(bytes));
	write_ack(&p, c->version, type, id, reason);
	say(c, &p, bytes);
}

static void write_number(struct writer *p, const struct model_message *message, uint16_t n)
{
	if (!message->empty)
		write_u16(p, n);
}

static void say_publish(struct world *w, struct client *c, uint16_t n, uint16_t id, bool dup)
{
	const struct model_message *message = &w->model.messages[n];
	uint8_t bytes[64];
	struct writer p = writer(bytes, sizeof(bytes));
	write_binary(&p, edged_str(model_topics[message->topic]));
	if (message->qos)
		write_u16(&p, id);
	if (c->version == MQTT_5) {
		write_u8(&p, message->expires ? 5 : 0);
		if (message->expires) {
			write_u8(&p, PROP_MESSAGE_EXPIRY);
			write_u32(&p, SOON);
		}
	}
	write_number(&p, message, n);
	say_packet(c, (uint8_t)(PUBLISH << 4 | dup << 3 | message->qos << 1 | message->retain), &p, bytes);
}

static void owe(struct client *c, uint8_t type, uint16_t id)
{
	must(c, c->debt_count < 2 * OPEN, "more to acknowledge than the window holds");
	c->debts[c->debt_count++] = (struct debt){ type, id };
}

/* --- what a client hears --------------------------------------------------------------------------------------------------- */

static void forget_session(struct client *c)
{
	c->own_count = c->held_count = 0;
	memset(c->got, 0, sizeof(c->got));
}

static void lose_connection(struct client *c)
{
	c->peer = NULL;
	c->joined = false;
	c->in_len = c->debt_count = 0;
}

/* The same packet once more; its time begins anew, so it is another message for the model. */
static uint16_t again(struct world *w, uint16_t n)
{
	struct model_message message = w->model.messages[n];
	if (!message.expires)
		return n;
	message.expires = wall + SOON * 1000;
	return model_message(&w->model, &message);
}

/* Section 4.4: what was not acknowledged goes again, in order. */
static void on_connack(struct world *w, struct client *c, uint8_t who)
{
	c->joined = true;
	if (!c->present)
		forget_session(c);
	for (unsigned i = 0; i < c->own_count; i++) {
		struct own *own = &c->own[i];
		if (own->received) {
			model_pubrel(&w->model, who, own->id);
			say_ack(c, PUBREL, own->id, 0);
		} else {
			own->message = again(w, own->message);
			model_publish(&w->model, who, own->message, own->id);
			say_publish(w, c, own->message, own->id, true);
		}
	}
}

/* Exactly once: 4.3.3. */
static void on_qos2(struct client *c, uint16_t id, uint32_t serial)
{
	for (unsigned i = 0; i < c->held_count; i++)
		if (c->held[i].id == id) {
			must(c, c->held[i].serial == serial, "a packet id for another message [4.3.3-3]");
			return;
		}
	must(c, serial < SERIALS && !c->got[serial], "a message of QoS 2 twice [4.3.3]");
	must(c, c->held_count < OPEN, "more of QoS 2 than the window holds");
	c->got[serial] = true;
	c->held[c->held_count].id = id;
	c->held[c->held_count++].serial = serial;
}

static uint8_t topic_of(const struct client *c, struct edged_slice topic)
{
	uint8_t i = 0;
	while (i < TOPICS && !edged_slice_is(topic, model_topics[i]))
		i++;
	must(c, i < TOPICS, "a topic that nobody published to");
	return i;
}

static void read_properties(const struct client *c, struct reader *r, struct model_heard *h)
{
	uint32_t n = read_varint(r);
	struct edged_slice bytes = read_bytes(r, n);
	struct reader props = reader(bytes.ptr, bytes.len);
	struct prop prop;
	while (prop_next(&props, &prop)) {
		if (prop.id == PROP_SUBSCRIPTION_ID) {
			must(c, h->look.id_count < IDS, "too many subscription identifiers");
			h->look.ids[h->look.id_count++] = prop.number;
			continue;
		}
		must(c, prop.id == PROP_MESSAGE_EXPIRY, "a property that nobody gave");
		h->has_expiry = true;
		h->expiry = prop.number;
	}
	must(c, !props.failed, "properties that make no sense");
}

static void on_publish(struct world *w, struct client *c, uint8_t who, const struct frame *f)
{
	struct reader r = reader(f->body, f->len);
	struct model_heard h = { .dup = f->flags & 8, .message = NOBODY };
	h.look.qos = f->flags >> 1 & 3;
	h.look.retain = f->flags & 1;
	h.topic = topic_of(c, read_string(&r));
	if (h.look.qos)
		h.id = read_u16(&r);
	if (c->version == MQTT_5)
		read_properties(c, &r, &h);
	if (read_left(&r))
		h.message = read_u16(&r);
	must(c, !r.failed && !read_left(&r), "a PUBLISH that makes no sense");
	uint32_t serial = 0;
	judge(c, model_hear(&w->model, who, &h, &serial));
	if (h.look.qos == 2)
		on_qos2(c, h.id, serial);
	if (h.look.qos)
		owe(c, h.look.qos == 1 ? PUBACK : PUBREC, h.id);
}

static void on_pubrel(struct world *w, struct client *c, uint8_t who, uint16_t id)
{
	judge(c, model_hear_pubrel(&w->model, who, id));
	for (unsigned i = 0; i < c->held_count; i++)
		if (c->held[i].id == id)
			c->held[i] = c->held[--c->held_count];
	owe(c, PUBCOMP, id);
}

/* Its own message has been acknowledged. */
static void on_ack(struct client *c, uint8_t type, uint16_t id)
{
	unsigned i = 0;
	while (i < c->own_count && c->own[i].id != id)
		i++;
	must(c, i < c->own_count, "an acknowledgement of what was not sent");
	if (type == PUBREC) {
		c->own[i].received = true;
		owe(c, PUBREL, id);
		return;
	}
	c->own_count--;
	memmove(&c->own[i], &c->own[i + 1], (c->own_count - i) * sizeof(c->own[0]));
}

static void on_packet(struct world *w, struct client *c, uint8_t who, const struct frame *f)
{
	struct reader r = reader(f->body, f->len);
	uint16_t id = f->type == CONNACK || f->type == PUBLISH ? 0 : read_u16(&r);
	uint8_t code = 0;
	must(c, c->joined || f->type == CONNACK, "something before CONNACK [3.2.0-1]");
	switch (f->type) {
	case CONNACK:
		code = read_u8(&r);
		must(c, read_u8(&r) == 0, "refused");
		judge(c, model_hear_answer(&w->model, who, CONNACK, 0, code));
		on_connack(w, c, who);
		return;
	case PUBLISH:
		on_publish(w, c, who, f);
		return;
	case PUBREL:
		on_pubrel(w, c, who, id);
		return;
	case SUBACK:
	case UNSUBACK:
		if (f->len > 2)
			code = f->body[f->len - 1];
		judge(c, model_hear_answer(&w->model, who, f->type, id, code));
		return;
	case PUBACK:
	case PUBREC:
	case PUBCOMP:
		judge(c, model_hear_answer(&w->model, who, f->type, id, f->len > 2 ? f->body[2] : 0));
		on_ack(c, f->type, id);
		return;
	default:
		must(c, false, "a packet that nobody asked for");
	}
}

/* Reads all that has come; false: nothing. */
static bool listen_to(struct world *w, uint8_t who)
{
	struct client *c = &w->client[who];
	if (!c->peer)
		return false;
	struct edged_slice got = fake_take(c->peer);
	c->in = realloc(c->in, c->in_len + got.len + 1);
	must(c, c->in, "no memory");
	memcpy(c->in + c->in_len, got.len ? got.ptr : "", got.len);
	c->in_len += got.len;
	struct frame f;
	size_t used = 0;
	int r;
	while ((r = frame_read(c->in + used, c->in_len - used, VARINT_MAX, &f)) == 0) {
		show(c, "  hears", c->in + used, f.size);
		on_packet(w, c, who, &f);
		used += f.size;
	}
	must(c, r == FRAME_MORE, "bytes that are no packet");
	c->in_len -= used;
	memmove(c->in, c->in + used, c->in_len);
	must(c, !fake_closed(c->peer), "the connection was closed");
	return got.len > 0;
}

/* The one that was cut off: 3.1.4-3. */
static void listen_to_old(struct client *c)
{
	if (!c->old)
		return;
	struct edged_slice got = fake_take(c->old);
	struct frame f = { 0 };
	must(c, fake_closed(c->old), "two connections of one client [3.1.4-3]");
	if (c->old_joined && c->version == MQTT_5) {
		int r = frame_read((const uint8_t *)got.ptr, got.len, VARINT_MAX, &f);
		must(c, r == 0 && f.size == got.len && f.type == DISCONNECT && f.body[0] == REASON_TAKEN_OVER,
		        "taken over without a word");
	} else {
		must(c, got.len == 0, "words for one that is cut off");
	}
	c->old = NULL;
}

static void listen_to_all(struct world *w)
{
	for (unsigned i = 0; i < w->clients; i++)
		listen_to_old(&w->client[i]);
	for (bool more = true; more;) {
		more = false;
		for (uint8_t i = 0; i < w->clients; i++)
			more |= listen_to(w, i);
	}
}

/* --- what the input may ask for -------------------------------------------------------------------------------------------- */

static uint16_t new_message(struct world *w, uint8_t who, uint8_t what, uint8_t how)
{
	struct model_message message = { .publisher = who, .topic = what % TOPICS, .qos = how % 3 };
	message.retain = how & 0x10;
	message.empty = (how & 0x60) == 0x60;
	/* Empty ones look all alike, and so they are. */
	if ((how & 0x80) && !message.empty && w->client[who].version == MQTT_5)
		message.expires = wall + SOON * 1000;
	return model_message(&w->model, &message);
}

static struct model_will choose_will(struct world *w, uint8_t who, uint8_t what, uint8_t how)
{
	struct model_will will = { .on = how & 0x80 };
	if (!will.on)
		return will;
	will.message = new_message(w, who, what, how & 0x7f);
	will.delay = w->client[who].version == MQTT_5 && (what & 0x80) ? SOON : 0;
	return will;
}

static void write_will(
        const struct world *w, const struct client *c, struct writer *p, const struct model_will *will)
{
	const struct model_message *message = &w->model.messages[will->message];
	if (!will->on)
		return;
	if (c->version == MQTT_5) {
		write_u8(p, 5);
		write_u8(p, PROP_WILL_DELAY);
		write_u32(p, will->delay);
	}
	write_binary(p, edged_str(model_topics[message->topic]));
	write_u16(p, message->empty ? 0 : 2);
	write_number(p, message, will->message);
}

static void say_connect(
        struct world *w, struct client *c, const struct model_connect *how, uint16_t receive_max)
{
	const struct model_message *will = &w->model.messages[how->will.message];
	uint8_t bytes[100], flags = how->clean ? 2 : 0;
	struct writer p = writer(bytes, sizeof(bytes));
	if (how->will.on)
		flags |= (uint8_t)(4 | will->qos << 3 | will->retain << 5);
	write_binary(&p, edged_str(how->version == MQTT_3_1 ? "MQIsdp" : "MQTT"));
	write_u8(&p, how->version);
	write_u8(&p, flags);
	write_u16(&p, 0);
	if (how->version == MQTT_5) {
		write_u8(&p, 8);
		write_u8(&p, PROP_SESSION_EXPIRY);
		write_u32(&p, how->expiry);
		write_u8(&p, PROP_RECEIVE_MAX);
		write_u16(&p, receive_max);
	}
	write_binary(&p, edged_str(c->name));
	write_will(w, c, &p, &how->will);
	say_packet(c, CONNECT << 4, &p, bytes);
}

static void connect_client(struct world *w, uint8_t who, uint8_t how)
{
	static const uint32_t expiries[] = { 0, SOON, LONG, LONG };
	static const uint16_t windows[] = { 1, 2, 65535, 65535 };
	struct client *c = &w->client[who];
	uint8_t what = next(w), will = next(w);
	struct model_connect m = { .version = c->version, .clean = how & 1 };
	uint16_t receive_max = windows[how >> 5 & 3];
	c->old = c->peer;
	c->old_joined = c->joined;
	lose_connection(c);
	if (m.clean)
		forget_session(c);
	m.expiry = m.version == MQTT_5 ? expiries[how >> 3 & 3] : m.clean ? 0 : 7 * 24 * 3600;
	m.window = m.version == MQTT_5 && receive_max < INFLIGHT ? receive_max : INFLIGHT;
	m.will = choose_will(w, who, what, will);
	c->present = model_connect(&w->model, who, &m);
	c->peer = fake_connect(w->host, (how >> 7) % w->loops, true);
	say_connect(w, c, &m, receive_max);
}

static uint16_t new_id(struct client *c)
{
	for (bool used = true; used;) {
		used = ++c->next_id == 0;
		for (unsigned i = 0; i < c->own_count; i++)
			used |= c->own[i].id == c->next_id;
	}
	return c->next_id;
}

static void publish(struct world *w, uint8_t who, uint8_t what, uint8_t how)
{
	struct client *c = &w->client[who];
	if (!c->joined || c->own_count == OPEN)
		return;
	uint16_t n = new_message(w, who, what, how), id = 0;
	if (w->model.messages[n].qos) {
		id = new_id(c);
		c->own[c->own_count++] = (struct own){ .id = id, .message = n };
	}
	model_publish(&w->model, who, n, id);
	say_publish(w, c, n, id, false);
}

static void subscribe(struct world *w, uint8_t who, uint8_t what, uint8_t how)
{
	struct client *c = &w->client[who];
	if (!c->joined)
		return;
	uint8_t bytes[64], filter = what % FILTERS, handling = 0;
	struct model_sub sub = { .qos = how % 3 };
	struct writer p = writer(bytes, sizeof(bytes));
	uint16_t id = new_id(c);
	write_u16(&p, id);
	if (c->version == MQTT_5) {
		sub.id = how >> 6;
		handling = (what >> 6) % 3;
		sub.no_local = (how & 8) && !model_is_shared(filter); /* 3.8.3-4 */
		sub.retain_as_published = how & 0x10;
		write_u8(&p, sub.id ? 2 : 0);
		if (sub.id) {
			write_u8(&p, PROP_SUBSCRIPTION_ID);
			write_u8(&p, (uint8_t)sub.id);
		}
	}
	write_binary(&p, edged_str(model_filters[filter]));
	write_u8(&p, (uint8_t)(sub.qos | sub.no_local << 2 | sub.retain_as_published << 3 | handling << 4));
	model_subscribe(&w->model, who, filter, &sub, handling, id);
	say_packet(c, SUBSCRIBE << 4 | 2, &p, bytes);
}

static void unsubscribe(struct world *w, uint8_t who, uint8_t what)
{
	struct client *c = &w->client[who];
	if (!c->joined)
		return;
	uint8_t bytes[64], filter = what % FILTERS;
	struct writer p = writer(bytes, sizeof(bytes));
	uint16_t id = new_id(c);
	write_u16(&p, id);
	if (c->version == MQTT_5)
		write_u8(&p, 0);
	write_binary(&p, edged_str(model_filters[filter]));
	model_unsubscribe(&w->model, who, filter, id);
	say_packet(c, UNSUBSCRIBE << 4 | 2, &p, bytes);
}

/* refuse: MQTT 5 clients may say no to a message; that ends the exchange. */
static void pay_one(struct world *w, uint8_t who, unsigned which, bool refuse)
{
	struct client *c = &w->client[who];
	struct debt debt = c->debts[which];
	c->debt_count--;
	memmove(&c->debts[which], &c->debts[which + 1], (c->debt_count - which) * sizeof(debt));
	refuse &= c->version == MQTT_5 && (debt.type == PUBACK || debt.type == PUBREC);
	if (debt.type == PUBREL)
		model_pubrel(&w->model, who, debt.id);
	else
		model_acknowledge(&w->model, who, debt.type, debt.id, refuse);
	for (unsigned i = 0; refuse && i < c->held_count; i++)
		if (c->held[i].id == debt.id) {
			c->got[c->held[i].serial] =
			        false; /* it is not the owner (4.3.3): after a crash it may come anew */
			c->held[i] = c->held[--c->held_count];
		}
	say_ack(c, debt.type, debt.id, refuse ? REASON_IMPLEMENTATION : 0);
}

/* Acknowledgements, the oldest first (4.6.0-2), or in any order, which the broker has to bear. */
static void pay(struct world *w, uint8_t who, uint8_t how)
{
	struct client *c = &w->client[who];
	for (unsigned n = how & 7; n && c->debt_count && c->joined; n--)
		pay_one(w, who, how & 8 ? (how >> 4) % c->debt_count : 0, (how & 0xc0) == 0xc0);
}

static void disconnect(struct world *w, uint8_t who, uint8_t how)
{
	struct client *c = &w->client[who];
	struct model_session *s = &w->model.sessions[who];
	if (!c->joined)
		return;
	bool with_will = c->version == MQTT_5 && (how & 1);
	if (c->version == MQTT_5 && (how & 2)) {
		uint8_t bytes[] = { 0xe0, 7, with_will ? REASON_WITH_WILL : 0, 5, PROP_SESSION_EXPIRY, 0, 0,
			0, how & 4 ? SOON : 0 };
		if (s->expiry == 0) /* 3.14.2-2 */
			bytes[8] = 0;
		s->expiry = bytes[8];
		model_part(&w->model, who, with_will);
		fake_send(c->peer, bytes, sizeof(bytes), 0);
	} else {
		const uint8_t bytes[] = { 0xe0, with_will, REASON_WITH_WILL };
		model_part(&w->model, who, with_will);
		fake_send(c->peer, bytes, 2u + with_will, 0);
	}
	show(c, "disconnects", &how, 1);
	must(c, fake_closed(c->peer) && fake_take(c->peer).len == 0,
	        "not closed after DISCONNECT [3.14.4-3]");
	lose_connection(c);
}

static void hang_up(struct world *w, uint8_t who)
{
	struct client *c = &w->client[who];
	if (!c->peer)
		return;
	show(c, "hangs up", NULL, 0);
	model_part(&w->model, who, true);
	fake_hang_up(c->peer);
	lose_connection(c);
}

/* With what was committed; with another number of loops, maybe. */
static void crash(struct world *w, uint8_t how)
{
	show(NULL, "crash", &how, 1);
	fake_host_free(w->host, false);
	for (unsigned i = 0; i < w->clients; i++)
		lose_connection(&w->client[i]);
	model_crash(&w->model, &w->saved);
	w->loops = 1 + (how & 1);
	w->host = fake_host_new(&edged_plugin_v1, w->disk, w->loops, w->settings);
	must(NULL, w->host, "it does not start again");
	fake_sleep(w->host, 10); /* what has ended goes */
	w->model.storing = true;
}

static void pass(struct world *w, unsigned ticks)
{
	for (; ticks; ticks--) {
		show(NULL, "time passes", NULL, 0);
		wall += TICK;
		fake_sleep(w->host, TICK);
		model_pass(&w->model, TICK);
		listen_to_all(w);
	}
}

/* All is written, and nothing more comes. */
static void settle(struct world *w)
{
	listen_to_all(w);
	if (!w->model.storing)
		return;
	fake_auto_commit(w->host, true);
	listen_to_all(w);
	fake_auto_commit(w->host, false);
	judge(NULL, model_settled(&w->model));
	show(NULL, "settled", NULL, 0);
	w->saved = w->model;
}

static void step(struct world *w)
{
	uint8_t op = next(w), arg = next(w), who = (uint8_t)((op >> 4) % w->clients);
	bool room = model_has_room(&w->model);
	switch (op & 15) {
	case 0:
	case 1:
		if (room)
			connect_client(w, who, arg);
		break;
	case 2:
	case 3:
		if (room)
			subscribe(w, who, arg, next(w));
		break;
	case 4:
		if (room)
			unsubscribe(w, who, arg);
		break;
	case 5:
	case 6:
	case 7:
		if (room)
			publish(w, who, arg, next(w));
		break;
	case 8:
	case 9:
		pay(w, who, arg);
		break;
	case 10:
		disconnect(w, who, arg);
		break;
	case 11:
		hang_up(w, who);
		break;
	case 12:
		w->model.storing = arg & 1;
		break;
	case 13:
		crash(w, arg);
		break;
	case 14:
		pass(w, 1 + (arg & 1));
		break;
	default:
		return;
	}
	settle(w);
}

/* Who has a session comes back for all of it. */
static void finish(struct world *w)
{
	w->model.storing = true;
	settle(w);
	for (uint8_t i = 0; i < w->clients; i++) {
		struct client *c = &w->client[i];
		struct model_session *s = &w->model.sessions[i];
		if (s->exists && !s->connected && model_has_room(&w->model))
			connect_client(w, i, 2 << 3);
		settle(w);
		for (unsigned round = 0; round < QUEUE && c->debt_count; round++) {
			pay(w, i, 7);
			settle(w);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world world; /* large */
	struct world *w = &world;
	memset(w, 0, sizeof(*w));
	w->at = data;
	w->end = data + size;
	uint8_t options = next(w);
	w->loops = 1 + (options & 1);
	w->clients = 2 + (options >> 1 & 1);
	w->settings[0] = (struct fake_setting){ "limits.inflight", INFLIGHT };
	model_init(&w->model);
	for (unsigned i = 0; i < CLIENTS; i++) {
		static const char *const names[CLIENTS] = { "x", "yy", "zzz" };
		static const uint8_t versions[] = { MQTT_5, MQTT_3_1_1, MQTT_5, MQTT_3_1 };
		w->client[i].name = names[i];
		w->client[i].version = versions[options >> (3 + 2 * i) & 3];
	}
	shown = getenv("EDGED_FUZZ_SHOW") != NULL;
	w->model.now = wall = UINT64_C(1700000000000);
	w->saved = w->model;
	w->disk = fake_disk_new();
	w->host = fake_host_new(&edged_plugin_v1, w->disk, w->loops, w->settings);
	must(NULL, w->host, "it does not start");
	for (unsigned i = 0; i < STEPS && w->at < w->end; i++)
		step(w);
	finish(w);
	fake_host_free(w->host, options & 4);
	fake_disk_free(w->disk);
	for (unsigned i = 0; i < CLIENTS; i++)
		free(w->client[i].in);
	return 0;
}
