/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_model.h"

#include <string.h>
#include "../../plugins/broker/codec.h"

/* --- topics ---------------------------------------------------------------------------------------------------------------- */

const char *const model_topics[TOPICS] = { "a", "b", "a/b", "/a", "$aws/a" };
const char *const model_filters[FILTERS] = { "a", "b", "a/b", "a/#", "#", "+", "+/+", "$aws/a", "$share/g/#",
	"$share/g/a/#", "$share/h/+", "$share/h/a/b" };

bool model_is_shared(uint8_t filter)
{
	return strncmp(model_filters[filter], "$share/", 7) == 0;
}

/* Section 4.7.1. */
static bool levels_match(const char *filter, const char *topic)
{
	size_t f = strcspn(filter, "/"), t = strcspn(topic, "/");
	if (strcmp(filter, "#") == 0)
		return true;
	if (!(f == 1 && *filter == '+') && (f != t || memcmp(filter, topic, f) != 0))
		return false;
	filter += f;
	topic += t;
	if (*topic == '\0')
		return *filter == '\0' || strcmp(filter, "/#") == 0;
	return *filter && levels_match(filter + 1, topic + 1);
}

static bool matches(uint8_t filter, uint8_t topic)
{
	const char *f = model_filters[filter], *t = model_topics[topic];
	if (model_is_shared(filter))
		f = strchr(f + 7, '/') + 1;
	if (*t == '$' && (*f == '+' || *f == '#')) /* 4.7.2-1 */
		return false;
	return levels_match(f, t);
}

/* --- what a session has ---------------------------------------------------------------------------------------------------- */

void model_init(struct model *m)
{
	memset(m, 0, sizeof(*m));
	m->storing = true;
	for (unsigned i = 0; i < TOPICS; i++)
		m->retained[i] = NOBODY;
}

bool model_has_room(const struct model *m)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		if (m->sessions[i].count + 16 > QUEUE || m->sessions[i].answer_count + 4 > ANSWERS ||
		        m->sessions[i].incoming_count + 2 > INCOMING)
			return false;
	return m->message_count + 32 < MESSAGES && m->share_count + 16 < SHARES;
}

uint16_t model_message(struct model *m, const struct model_message *message)
{
	m->messages[m->message_count] = *message;
	return (uint16_t)m->message_count++;
}

static uint8_t lower(uint8_t a, uint8_t b)
{
	return a < b ? a : b;
}

static bool expired(const struct model *m, uint16_t message)
{
	return m->messages[message].expires && m->messages[message].expires <= m->now;
}

static bool durable(const struct model_session *s)
{
	return s->exists && s->expiry > 0;
}

static struct model_entry *add_entry(
        struct model *m, struct model_session *s, uint16_t message, const struct model_look *look)
{
	struct model_entry *e = &s->queue[s->count++];
	*e = (struct model_entry){ .message = message, .look = *look, .serial = ++m->serial };
	return e;
}

static void take_out(struct model_session *s, unsigned i)
{
	s->count--;
	memmove(&s->queue[i], &s->queue[i + 1], (s->count - i) * sizeof(s->queue[0]));
}

/* Messages on the way: those that the receive maximum counts. */
static unsigned under_way(const struct model_session *s)
{
	unsigned n = 0;
	for (unsigned i = 0; i < s->count; i++)
		n += s->queue[i].sent && s->queue[i].look.qos;
	return n;
}

/* There is no room, or what came live has its place behind something for which there is none: retained messages that a new
 * subscription brings. It keeps that place when they expire; nothing says how soon a message has to go. */
static bool may_wait(const struct model *m, const struct model_session *s, uint8_t qos, bool held)
{
	bool behind = held || qos;
	for (unsigned i = 0; i < s->count; i++)
		behind |= (s->queue[i].retained || s->queue[i].look.qos) && !s->queue[i].sent &&
		          s->queue[i].state != EXPIRED;
	for (unsigned i = 0; i < m->share_count; i++) /* it may have one of these */
		behind |= !m->shares[i].taken && m->shares[i].member[s - m->sessions];
	return behind && under_way(s) >= s->window;
}

static void add_answer(struct model_session *s, struct model_answer answer)
{
	if (s->answer_count < ANSWERS)
		s->answers[s->answer_count++] = answer;
}

static void add_look(struct model_look *look, const struct model_sub *sub)
{
	look->qos = sub->qos > look->qos ? sub->qos : look->qos;
	if (sub->id && look->id_count < IDS)
		look->ids[look->id_count++] = sub->id;
}

/* --- publishing ------------------------------------------------------------------------------------------------------------ */

/*
 * One copy for each session, however many of its subscriptions match, at the highest of their QoS with all their identifiers:
 * section 3.3.4 allows that or a copy for each; README promises it. If they disagree about retain as published, either will do.
 */
static bool give(struct model *m, uint8_t who, uint16_t n, bool *ret_stored)
{
	const struct model_message *message = &m->messages[n];
	struct model_session *s = &m->sessions[who];
	struct model_look look = { 0 };
	bool any = false, as_published = false, not_as_published = false;
	for (uint8_t f = 0; f < FILTERS; f++) {
		const struct model_sub *sub = &s->subs[f];
		if (!sub->on || model_is_shared(f) || !matches(f, message->topic))
			continue;
		if (sub->no_local && message->publisher == who) /* 3.8.3-3 */
			continue;
		any = true;
		as_published |= sub->retain_as_published;
		not_as_published |= !sub->retain_as_published;
		add_look(&look, sub);
	}
	if (!any)
		return false;
	look.qos = lower(look.qos, message->qos); /* 3.8.4-8 */
	if (message->retain && as_published)      /* 3.3.1-12, -13 */
		look.retain = not_as_published || s->version != MQTT_5 ? EITHER : YES;
	*ret_stored |= durable(s) && look.qos;
	bool held = may_wait(m, s, look.qos, false);
	if (look.qos || s->connected) /* for who is away QoS 0 may be kept (3.1.2.4), and is not */
		add_entry(m, s, n, &look)->held = held;
	return true;
}

/* Section 4.8.2: one of the members. README: one that is connected, if there is any. */
static bool share(struct model *m, uint8_t filter, uint16_t n)
{
	const struct model_message *message = &m->messages[n];
	struct model_share share = { .message = n };
	bool any = false, present = false;
	for (uint8_t i = 0; i < CLIENTS; i++)
		present |= m->sessions[i].subs[filter].on && m->sessions[i].connected;
	for (uint8_t i = 0; i < CLIENTS; i++) {
		const struct model_session *s = &m->sessions[i];
		const struct model_sub *sub = &s->subs[filter];
		struct model_look *look = &share.look[i];
		if (!sub->on)
			continue;
		any = true;
		share.member[i] = !present || s->connected;
		add_look(look, sub);
		look->qos = lower(look->qos, message->qos);
		if (message->retain && sub->retain_as_published)
			look->retain = s->version == MQTT_5 ? YES : EITHER;
		share.optional |= share.member[i] && !s->connected && look->qos == 0;
		share.held |= share.member[i] && may_wait(m, s, look->qos, false);
	}
	if (any)
		m->shares[m->share_count++] = share;
	return any;
}

/* The message that was retained and may still wait for new subscribers is not the one any more: it may come or not. */
static void retain(struct model *m, uint16_t n, bool *ret_stored)
{
	const struct model_message *message = &m->messages[n];
	for (unsigned c = 0; c < CLIENTS; c++)
		for (unsigned i = 0; i < m->sessions[c].count; i++) {
			struct model_entry *e = &m->sessions[c].queue[i];
			e->optional |= e->retained && m->messages[e->message].topic == message->topic &&
			               e->state == WAITING;
		}
	*ret_stored |= !message->empty || m->retained[message->topic] != NOBODY;
	m->retained[message->topic] = message->empty ? NOBODY : n; /* 3.3.1-5, -6 */
}

static bool distribute(struct model *m, uint16_t n, bool *ret_stored)
{
	bool any = false;
	for (uint8_t i = 0; i < CLIENTS; i++)
		any |= m->sessions[i].exists && give(m, i, n, ret_stored);
	for (uint8_t f = 0; f < FILTERS; f++)
		if (model_is_shared(f) && matches(f, m->messages[n].topic))
			any |= share(m, f, n);
	if (m->messages[n].retain)
		retain(m, n, ret_stored);
	return any;
}

static int find_incoming(const struct model_session *s, uint16_t id)
{
	for (unsigned i = 0; i < s->incoming_count; i++)
		if (s->incoming[i].id == id)
			return (int)i;
	return -1;
}

void model_publish(struct model *m, uint8_t who, uint16_t n, uint16_t id)
{
	struct model_session *s = &m->sessions[who];
	uint8_t qos = m->messages[n].qos;
	struct model_answer answer = { .type = qos == 2 ? PUBREC : PUBACK, .id = id };
	int known = qos == 2 ? find_incoming(s, id) : -1;
	if (known >= 0) { /* 4.3.3-10: nobody gets it again */
		answer.no_match = true;
		answer.stored = durable(s) && !s->incoming[known].stored;
		add_answer(s, answer);
		return;
	}
	if (qos == 2) {
		s->incoming[s->incoming_count].stored = false;
		s->incoming[s->incoming_count++].id = id;
		answer.stored = durable(s);
	}
	answer.no_match = !distribute(m, n, &answer.stored);
	if (qos)
		add_answer(s, answer);
}

void model_pubrel(struct model *m, uint8_t who, uint16_t id)
{
	struct model_session *s = &m->sessions[who];
	struct model_answer answer = { .type = PUBCOMP, .id = id };
	int known = find_incoming(s, id);
	if (known >= 0) {
		s->incoming[known] = s->incoming[--s->incoming_count];
		answer.stored = durable(s);
	} else {
		answer.code = REASON_ID_NOT_FOUND;
	}
	add_answer(s, answer);
}

/* --- connections ----------------------------------------------------------------------------------------------------------- */

static void publish_will(struct model *m, const struct model_will *will)
{
	bool stored = false;
	if (will->on)
		(void)distribute(m, will->message, &stored);
}

static void end_session(struct model *m, uint8_t who)
{
	struct model_session *s = &m->sessions[who];
	struct model_will will = s->will;
	for (unsigned i = 0; i < m->share_count; i++)
		m->shares[i].optional |=
		        m->shares[i].member[who]; /* 4.8.2: what was sent to it may go with it */
	memset(s, 0, sizeof(*s));
	publish_will(m, &will); /* 3.1.2-8: not later than the session's end */
}

/* What was on its way is to be sent again, what QoS 0 and retained messages had not come need not come any more. */
static void rewind_queue(struct model_session *s)
{
	for (unsigned i = s->count; i-- > 0;) {
		struct model_entry *e = &s->queue[i];
		e->sent = false;
		e->optional |= e->retained && e->state == WAITING;
		if (e->look.qos == 0)
			take_out(s, i);
	}
}

void model_part(struct model *m, uint8_t who, bool with_will)
{
	struct model_session *s = &m->sessions[who];
	if (!s->connected)
		return;
	s->connected = false;
	s->answer_count = 0;
	s->away = m->now;
	s->will.on &= with_will; /* 3.1.2-10 */
	rewind_queue(s);
	for (unsigned i = 0; i < m->share_count; i++)
		m->shares[i].optional |= m->shares[i].member[who] && m->shares[i].look[who].qos == 0;
	if (s->expiry == 0) {
		end_session(m, who);
	} else if (s->will.on && s->will.delay == 0) {
		struct model_will will = s->will;
		s->will.on = false;
		publish_will(m, &will);
	}
}

bool model_connect(struct model *m, uint8_t who, const struct model_connect *how)
{
	struct model_session *s = &m->sessions[who];
	model_part(m, who, true); /* 3.1.4-3 */
	bool present = s->exists && !how->clean;
	if (!present) /* 3.1.2-4, -6 */
		end_session(m, who);
	s->exists = s->connected = true;
	s->version = how->version;
	s->window = how->window;
	s->expiry = how->expiry;
	s->will = how->will; /* 3.1.3-9: one that was delayed is not sent */
	add_answer(s, (struct model_answer){ .type = CONNACK,
	                      .code = present && how->version != MQTT_3_1,
	                      .stored = !present && m->on_disk[who] });
	return present;
}

/* --- subscriptions --------------------------------------------------------------------------------------------------------- */

/* Section 3.8.3.1. With no local one's own retained message may stay away (3.8.3-3) or come: it is not "forwarded" now. */
static void send_retained(struct model *m, uint8_t who, uint8_t filter)
{
	struct model_session *s = &m->sessions[who];
	const struct model_sub *sub = &s->subs[filter];
	for (uint8_t t = 0; t < TOPICS; t++) {
		int n = m->retained[t];
		if (n == NOBODY || !matches(filter, t) || expired(m, (uint16_t)n))
			continue;
		struct model_look look = { .retain = YES }; /* 3.3.1-8 */
		add_look(&look, sub);
		look.qos = lower(look.qos, m->messages[n].qos);
		struct model_entry *e = add_entry(m, s, (uint16_t)n, &look);
		e->retained = e->unordered = true;
		e->optional = sub->no_local && m->messages[n].publisher == who;
	}
}

void model_subscribe(struct model *m, uint8_t who, uint8_t filter, const struct model_sub *sub,
        uint8_t handling, uint16_t id)
{
	struct model_session *s = &m->sessions[who];
	bool is_new = !s->subs[filter].on;
	s->subs[filter] = *sub; /* 3.8.4-3 */
	s->subs[filter].on = true;
	add_answer(
	        s, (struct model_answer){ .type = SUBACK, .id = id, .code = sub->qos, .stored = durable(s) });
	if (!model_is_shared(filter) && (handling == 0 || (handling == 1 && is_new)))
		send_retained(m, who, filter);
}

/* What is buffered may be delivered (3.10.4). */
void model_unsubscribe(struct model *m, uint8_t who, uint8_t filter, uint16_t id)
{
	struct model_session *s = &m->sessions[who];
	bool was = s->subs[filter].on;
	memset(&s->subs[filter], 0, sizeof(s->subs[filter]));
	for (unsigned i = 0; i < s->count; i++)
		s->queue[i].optional |= was && s->queue[i].state == WAITING &&
		                        matches(filter, m->messages[s->queue[i].message].topic);
	for (unsigned i = 0; i < m->share_count; i++)
		m->shares[i].optional |= m->shares[i].member[who] && model_is_shared(filter) &&
		                         matches(filter, m->messages[m->shares[i].message].topic);
	add_answer(s, (struct model_answer){ .type = UNSUBACK,
	                      .id = id,
	                      .code = was ? 0 : REASON_NO_SUBSCRIPTION,
	                      .stored = was && durable(s) });
}

/* --- acknowledgements of clients ------------------------------------------------------------------------------------------- */

static struct model_entry *find_id(struct model_session *s, uint16_t id)
{
	for (unsigned i = 0; i < s->count; i++)
		if (s->queue[i].look.qos && s->queue[i].state != WAITING && s->queue[i].id == id)
			return &s->queue[i];
	return NULL;
}

void model_acknowledge(struct model *m, uint8_t who, uint8_t type, uint16_t id, bool refused)
{
	struct model_session *s = &m->sessions[who];
	struct model_entry *e = find_id(s, id);
	if (!e)
		return;
	if (type != PUBREC || refused) {
		take_out(s, (unsigned)(e - s->queue));
		return;
	}
	if (e->state == RELEASED)
		return;
	e->state = RELEASED; /* 4.3.3-4: PUBREL */
	e->sent = e->optional = false;
}

/* --- time and crashes ------------------------------------------------------------------------------------------------------ */

static bool is_due(const struct model *m, const struct model_session *s, uint32_t seconds)
{
	return !s->connected && s->exists && s->away + seconds * UINT64_C(1000) <= m->now;
}

void model_pass(struct model *m, uint64_t ms)
{
	m->now += ms;
	for (uint8_t c = 0; c < CLIENTS; c++) {
		struct model_session *s = &m->sessions[c];
		if (s->will.on && is_due(m, s, s->will.delay)) {
			struct model_will will = s->will;
			s->will.on = false;
			publish_will(m, &will);
		}
		if (is_due(m, s, s->expiry))
			end_session(m, c); /* 3.1.2-23 */
	}
	for (uint8_t c = 0; c < CLIENTS; c++)
		for (unsigned i = m->sessions[c].count; i-- > 0;) {
			struct model_entry *e = &m->sessions[c].queue[i];
			if (!expired(m, e->message) || e->state != WAITING)
				continue;
			if (e->unsure) /* it may have been sent: then it may be sent again */
				e->optional = true;
			else if (e->look.qos == 2 && durable(&m->sessions[c]))
				e->state = EXPIRED;
			else
				take_out(&m->sessions[c], i); /* 3.3.2-5 */
		}
	for (unsigned i = 0; i < m->share_count; i++)
		m->shares[i].optional |= expired(m, m->shares[i].message);
}

/* Wills of those who were connected or away are lost: 3.1.2.5 leaves them for later, without an end. */
void model_crash(struct model *m, const struct model *saved)
{
	uint32_t serial = m->serial;
	uint64_t now = m->now;
	unsigned count = m->message_count;
	struct model_message messages[MESSAGES];
	memcpy(messages, m->messages, sizeof(messages));
	*m = *saved;
	memcpy(m->messages, messages, sizeof(messages));
	m->message_count = count;
	m->serial = serial;
	m->now = now;
	for (uint8_t c = 0; c < CLIENTS; c++) {
		struct model_session *s = &m->sessions[c];
		s->will.on = false;
		if (s->connected) /* its time begins with the first start after that, and the disk knows it */
			s->away = now;
		s->connected = false;
		s->answer_count = 0;
		rewind_queue(s);
		if (s->exists && (s->expiry == 0 || is_due(m, s, s->expiry)))
			end_session(m, c);
		for (unsigned i = 0; i < s->count; i++) {
			struct model_entry *e = &s->queue[i];
			e->unsure = true;
			if (e->look.qos == 1 || e->state == EXPIRED)
				e->state = WAITING; /* another packet id will do */
		}
	}
	for (unsigned i = 0; i < m->share_count; i++) {
		m->shares[i].unsure = true;
		for (unsigned c = 0; c < CLIENTS; c++)
			m->shares[i].optional |= m->shares[i].member[c] && m->shares[i].look[c].qos == 0;
	}
	model_pass(m, 0);
}

/* --- what the broker sends ------------------------------------------------------------------------------------------------- */

static bool same_ids(const struct model_look *a, const struct model_look *b)
{
	bool used[IDS] = { false };
	if (a->id_count != b->id_count)
		return false;
	for (unsigned i = 0; i < a->id_count; i++) {
		unsigned k = 0;
		while (k < b->id_count && (used[k] || a->ids[i] != b->ids[k]))
			k++;
		if (k == b->id_count)
			return false;
		used[k] = true;
	}
	return true;
}

static bool looks_like(const struct model_look *want, const struct model_look *got, uint8_t version)
{
	return want->qos == got->qos && (want->retain == EITHER || want->retain == got->retain) &&
	       (version != MQTT_5 || same_ids(want, got)); /* 3.3.4-3, -4 */
}

static bool is_message(const struct model *m, uint16_t n, const struct model_heard *h)
{
	const struct model_message *message = &m->messages[n];
	if (message->topic != h->topic)
		return false;
	return message->empty ? h->message == NOBODY : h->message == n;
}

/* Empty ones of a topic cannot be told apart. */
static bool looks_the_same(const struct model *m, uint16_t a, uint16_t b)
{
	const struct model_message *x = &m->messages[a], *y = &m->messages[b];
	return a == b || (x->empty && y->empty && x->topic == y->topic);
}

/* Once more: 4.4.0-1, with the same packet id. */
static struct model_entry *find_sent(struct model *m, struct model_session *s, const struct model_heard *h)
{
	for (unsigned i = 0; i < s->count; i++) {
		struct model_entry *e = &s->queue[i];
		if (e->state == SENT && !e->sent && e->id == h->id && is_message(m, e->message, h) &&
		        looks_like(&e->look, &h->look, s->version))
			return e;
	}
	return NULL;
}

static bool may_take(const struct model *m, const struct model_share *s, uint16_t n, uint8_t who,
        const struct model_look *look)
{
	return looks_the_same(m, s->message, n) && s->member[who] &&
	       looks_like(&s->look[who], look, m->sessions[who].version);
}

/* What comes to `who` as this share may be something that need not come, and then the share is still to come. */
static bool may_be_another(
        const struct model *m, const struct model_share *s, uint8_t who, const struct model_look *look)
{
	const struct model_session *taker = &m->sessions[who];
	for (unsigned i = 0; i < taker->count; i++) {
		const struct model_entry *e = &taker->queue[i];
		if (e->state == WAITING && e->optional && looks_the_same(m, e->message, s->message) &&
		        looks_like(&e->look, look, taker->version))
			return true;
	}
	return false;
}

/* Finds a share that this may be; who has taken it gets another, if that is possible. What must be taken comes first. */
static bool take_share(
        struct model *m, uint16_t n, uint8_t who, const struct model_look *look, bool optional, bool *seen)
{
	for (unsigned k = 0; k < (optional ? 2 : 1) * m->share_count; k++) {
		unsigned i = k % m->share_count;
		struct model_share *s = &m->shares[i];
		if (seen[i] || s->optional != (k >= m->share_count) || !may_take(m, s, n, who, look))
			continue;
		seen[i] = true;
		if (s->taken && !take_share(m, s->message, s->taker, &s->taken_as, optional, seen) &&
		        !s->doubt)
			continue;
		s->taken = true;
		s->doubt = may_be_another(m, s, who, look);
		s->taker = who;
		s->taken_as = *look;
		return true;
	}
	return false;
}

/* What came for a subscription that was new may have been one of these as well, and then need not come for that one. */
static void doubt_shares(struct model *m, uint8_t who, uint16_t n, const struct model_look *look)
{
	for (unsigned i = 0; i < m->share_count; i++)
		m->shares[i].optional |= !m->shares[i].taken && may_take(m, &m->shares[i], n, who, look);
}

/* At QoS 2 it may have begun before a crash: then it goes on, expired or not. */
static struct model_entry *find_share(
        struct model *m, uint8_t who, const struct model_heard *h, bool optional)
{
	for (unsigned i = 0; i < m->share_count; i++) {
		bool seen[SHARES] = { false };
		uint16_t n = m->shares[i].message;
		if (m->shares[i].optional != optional || !is_message(m, n, h) ||
		        (expired(m, n) && !(m->shares[i].unsure && h->look.qos == 2)) ||
		        !take_share(m, n, who, &h->look, optional, seen))
			continue;
		struct model_entry *e = add_entry(m, &m->sessions[who], n, &h->look);
		e->unordered = true;
		e->unsure = optional || m->shares[i].unsure; /* it may be an old one */
		return e;
	}
	return NULL;
}

/* 4.6.0-5, -6: in the order of its publisher, at each QoS. */
static bool in_order(const struct model *m, const struct model_session *s, const struct model_entry *e)
{
	for (const struct model_entry *before = s->queue; before < e; before++)
		if (!before->sent && !before->optional && !before->unordered && !e->unordered &&
		        before->state != RELEASED && before->state != EXPIRED &&
		        before->look.qos == e->look.qos &&
		        m->messages[before->message].publisher == m->messages[e->message].publisher)
			return false;
	return true;
}

/* If it is open which of them comes, it is open for each. */
static void blur(const struct model *m, struct model_session *s)
{
	for (unsigned i = 0; i < s->count; i++)
		for (unsigned k = 0; k < i && m->messages[s->queue[i].message].empty; k++) {
			struct model_entry *a = &s->queue[i], *b = &s->queue[k];
			if (a->state == WAITING && b->state == WAITING && a->optional != b->optional &&
			        looks_the_same(m, a->message, b->message))
				a->optional = b->optional = true;
		}
}

/* One like this that may come now: the first, but rather one that can only look like this. *ret_early: there is one that would
 * come too early. */
static struct model_entry *find_waiting(
        struct model *m, struct model_session *s, const struct model_heard *h, bool optional, bool *ret_early)
{
	struct model_entry *found = NULL;
	for (unsigned i = 0; i < s->count; i++) {
		struct model_entry *e = &s->queue[i];
		if (e->state != WAITING || e->optional != optional || !is_message(m, e->message, h) ||
		        !looks_like(&e->look, &h->look, s->version))
			continue;
		if (!in_order(m, s, e))
			*ret_early = true;
		else if (e->look.retain != EITHER)
			return e;
		else if (!found)
			found = e;
	}
	return found;
}

static const char *judge_expiry(const struct model *m, const struct model_session *s,
        const struct model_entry *e, const struct model_heard *h)
{
	uint64_t expires = m->messages[e->message].expires;
	if (s->version != MQTT_5)
		return NULL;
	if (h->has_expiry != (expires != 0))
		return "message expiry interval left out or made up";
	uint64_t left = expires > m->now ? (expires - m->now) / 1000 : 0;
	return !expires || h->expiry == left ? NULL
	                                     : "not what is left of the message expiry interval [3.3.2-6]";
}

/* At QoS 1 and 2. */
static const char *judge_id(struct model_session *s, const struct model_entry *e, const struct model_heard *h)
{
	if (h->id == 0)
		return "no packet id [2.2.1-4]";
	for (unsigned i = 0; i < s->count; i++)
		if (&s->queue[i] != e && s->queue[i].state != WAITING && s->queue[i].id == h->id)
			return "a packet id that is in use [2.2.1-4]";
	if (e->state == SENT && !h->dup)
		return "sent again without DUP [3.3.1-1]";
	if (e->state == WAITING && h->dup && !e->unsure)
		return "DUP, but it is the first time";
	return under_way(s) < s->window ? NULL : "more than the receive maximum [3.3.4-9]";
}

const char *model_hear(struct model *m, uint8_t who, const struct model_heard *h, uint32_t *ret_serial)
{
	struct model_session *s = &m->sessions[who];
	blur(m, s);
	struct model_entry *e = find_sent(m, s, h);
	bool early = false;
	/* Several may look the same: what must come counts first, unless others would have to come before it. */
	for (int optional = 0; optional <= 1 && !e; optional++) {
		e = find_waiting(m, s, h, optional, &early);
		if (e && e->retained)
			doubt_shares(m, who, e->message, &h->look);
		if (!e)
			e = find_share(m, who, h, optional);
	}
	if (!e)
		return early ? "out of order [4.6.0-5]" : "a message that is not due, or not like this";
	if (!in_order(m, s, e))
		return "out of order [4.6.0-5]";
	const char *wrong = judge_expiry(m, s, e, h);
	*ret_serial = e->serial;
	if (e->look.qos == 0) {
		take_out(s, (unsigned)(e - s->queue));
		return wrong ? wrong : h->dup ? "DUP at QoS 0 [3.3.1-2]" : NULL;
	}
	if (!wrong)
		wrong = judge_id(s, e, h);
	e->state = SENT;
	e->sent = true;
	e->optional = false;
	e->id = h->id;
	return wrong;
}

const char *model_hear_pubrel(struct model *m, uint8_t who, uint16_t id)
{
	struct model_entry *e = find_id(&m->sessions[who], id);
	if (!e || e->state != RELEASED)
		return "PUBREL without PUBREC [4.3.3]";
	if (e->sent)
		return "PUBREL twice [4.4.0-1]";
	e->sent = true;
	return NULL;
}

const char *model_hear_answer(struct model *m, uint8_t who, uint8_t type, uint16_t id, uint8_t code)
{
	struct model_session *s = &m->sessions[who];
	bool any_order = type == SUBACK || type == UNSUBACK;
	unsigned i = 0;
	while (i < s->answer_count && (s->answers[i].type != type || (any_order && s->answers[i].id != id)))
		i++;
	if (i == s->answer_count)
		return "an answer to nothing";
	struct model_answer a = s->answers[i];
	s->answer_count--;
	memmove(&s->answers[i], &s->answers[i + 1], (s->answer_count - i) * sizeof(a));
	if (a.id != id)
		return "answered out of order [4.6.0-2, -3, -4]";
	bool has_code = s->version == MQTT_5 || type == SUBACK || type == CONNACK;
	if (has_code && code != a.code && !(a.no_match && code == REASON_NO_MATCH))
		return "answered with another code";
	return a.stored && !m->storing ? "confirmed before it was on the disk [README]" : NULL;
}

/* --- nothing is under way -------------------------------------------------------------------------------------------------- */

static const char *judge_session(const struct model *m, struct model_session *s)
{
	blur(m, s);
	if (s->answer_count)
		return "not answered";
	for (unsigned i = 0; i < s->count && s->connected; i++) {
		struct model_entry *e = &s->queue[i];
		if (e->sent || e->optional || e->state == EXPIRED)
			continue;
		e->held |= may_wait(m, s, e->look.qos, e->held);
		if (!may_wait(m, s, e->look.qos, e->held))
			return e->state == RELEASED ? "no PUBREL [4.3.3, 4.4.0-1]" : "a message did not come";
	}
	return NULL;
}

/* Somebody has it whom it cannot reach now. */
static bool is_held(const struct model *m, struct model_share *share)
{
	bool held = false;
	for (unsigned c = 0; c < CLIENTS; c++) {
		const struct model_session *s = &m->sessions[c];
		held |= share->member[c] &&
		        (!s->connected || may_wait(m, s, share->look[c].qos, share->held));
	}
	share->held |= held;
	return held;
}

/* What was put down to a share that need not be taken (any more, or yet) was maybe this one. */
static bool take_over(struct model *m, unsigned to, bool *seen)
{
	struct model_share *s = &m->shares[to];
	seen[to] = true;
	for (unsigned i = 0; i < m->share_count; i++) {
		struct model_share *from = &m->shares[i], old = *from;
		if (seen[i] || !old.taken || !may_take(m, s, old.message, old.taker, &old.taken_as))
			continue;
		if (old.optional || is_held(m, from))
			from->taken = false;
		else if (!take_over(m, i, seen))
			continue;
		s->taken = true;
		s->taker = old.taker;
		s->taken_as = old.taken_as;
		return true;
	}
	return false;
}

const char *model_settled(struct model *m)
{
	for (unsigned c = 0; c < CLIENTS; c++) {
		struct model_session *s = &m->sessions[c];
		const char *wrong = s->exists ? judge_session(m, s) : NULL;
		m->on_disk[c] = durable(s);
		if (wrong)
			return wrong;
		for (unsigned i = 0; i < s->incoming_count; i++)
			s->incoming[i].stored = true;
	}
	for (unsigned i = 0; i < m->share_count; i++) {
		bool seen[SHARES] = { false };
		if (!m->shares[i].taken && !m->shares[i].optional && !is_held(m, &m->shares[i]) &&
		        !take_over(m, i, seen))
			return "no member of a shared subscription got a message [4.8.2]";
	}
	return NULL;
}
