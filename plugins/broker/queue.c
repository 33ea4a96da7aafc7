/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "client.h"
#include "inside.h"
#include "persist.h"
#include "queue.h"
#include "rights.h"
#include "shard.h"
#include "stored.h"
#include "trace_packet.h"

static void queue_bytes(const struct session *s, int64_t by)
{
	__atomic_fetch_add(&s->shard->broker->queued, by, __ATOMIC_RELAXED);
	edged_metric_add(s->shard->broker->figures.queued_bytes, by);
}

static void count_dropped(const struct session *s, const struct message *m, int64_t *figure, const char *why)
{
	count_one(figure);
	if (tracing(s->shard->broker))
		trace_dropped(s, m, why);
}

/* The bytes of retained messages are counted where they are kept. */
static void count_line(struct session *s, struct backlog *b, int64_t items, int64_t live_bytes)
{
	b->bytes += (size_t)live_bytes;
	queue_bytes(s, items * (int64_t)sizeof(struct waiting) + live_bytes);
}

/* Takes one out that is first or last, and maybe live. */
static void drop_waiting(struct session *s, struct backlog *b, const struct waiting *w, bool live)
{
	count_line(s, b, -1, live ? -(int64_t)message_size(w->message) : 0);
	b->live -= live;
	message_unref(w->message);
	free(w->more_ids);
}

static void drop_first(struct session *s, struct backlog *b)
{
	bool live = b->count - b->next <= b->live;
	drop_waiting(s, b, &b->items[b->next++], live);
}

static void drop_last(struct session *s, struct backlog *b)
{
	drop_waiting(s, b, &b->items[--b->count], b->live > 0);
}

static void backlog_free(struct session *s)
{
	struct backlog *b = s->backlog;
	if (!b)
		return;
	while (b->next < b->count)
		drop_last(s, b);
	free(b->items);
	free(b);
	s->backlog = NULL;
}

void queue_fini(struct session *s)
{
	backlog_free(s);
	if (!s->flight)
		return;
	queue_bytes(s, -(int64_t)s->flight->bytes);
	for (uint32_t i = 0; i < s->flight->count; i++)
		if (flight_at(s->flight, i)->stored)
			home_add(s->shard->broker->home, -ENTRY_LIVE);
	flight_free(s->flight);
	s->flight = NULL;
}

void queue_rewind(struct session *s)
{
	backlog_free(s);
	if (s->flight)
		flight_rewind(s->flight);
}

/* Subscription identifiers: one is the usual case. */
static int keep_ids(const struct delivery *d, uint32_t *ret_id, uint32_t **ret_more)
{
	*ret_id = d->id_count ? d->ids[0] : 0;
	*ret_more = NULL;
	if (d->id_count < 2)
		return 0;
	uint32_t *more = *ret_more = malloc(d->id_count * sizeof(uint32_t));
	if (!more)
		return -ENOMEM;
	more[0] = (uint32_t)d->id_count - 1;
	memcpy(more + 1, d->ids + 1, (d->id_count - 1) * sizeof(uint32_t));
	return 0;
}

/* How many they are. */
static size_t give_ids(uint32_t id, const uint32_t *more, uint32_t ids[1 + MAX_SUBSCRIPTIONS])
{
	ids[0] = id;
	if (!more)
		return id != 0;
	memcpy(ids + 1, more + 1, more[0] * sizeof(uint32_t));
	return 1 + more[0];
}

static void take_out(struct session *s, uint32_t i)
{
	struct entry *e = flight_at(s->flight, i);
	if (e->message) {
		s->flight->bytes -= message_size(e->message);
		queue_bytes(s, -(int64_t)message_size(e->message));
	}
	if (e->stored)
		persist_entry_gone(s, e);
	flight_remove(s->flight, i);
}

int queue_restore(struct session *s, struct message *m, struct record *record)
{
	if (!s->flight && !(s->flight = flight_new()))
		return -ENOMEM;
	/* The end of an older one could not be written, and its packet id was used again. */
	for (uint32_t i = 0; record->id && i < s->flight->count; i++)
		if (flight_at(s->flight, i)->id == record->id) {
			take_out(s, i);
			break;
		}
	struct entry *e = flight_push(s->flight);
	if (!e)
		return -ENOMEM;
	*e = (struct entry){
		.seq = record->seq, .id = record->id, .qos = record->qos, .state = record->state
	};
	e->retain = record->retain;
	e->stored = true;
	home_add(s->shard->broker->home, ENTRY_LIVE);
	uint32_t ids[MAX_SUBSCRIPTIONS];
	struct delivery d = { .ids = ids };
	while (read_left(&record->ids) && d.id_count < MAX_SUBSCRIPTIONS)
		ids[d.id_count++] = (uint32_t)read_varint64(&record->ids);
	if (keep_ids(&d, &e->subscription_id, &e->more_ids)) {
		flight_remove(s->flight, s->flight->count - 1);
		return -ENOMEM;
	}
	if (m && e->state != ENTRY_RELEASED) {
		e->message = message_ref(m);
		s->flight->bytes += message_size(m);
		queue_bytes(s, (int64_t)message_size(m));
	}
	return 0;
}

uint32_t session_purge(struct session *s)
{
	uint32_t count = s->backlog ? s->backlog->count - s->backlog->next : 0;
	if (s->backlog && !s->backlog->blocked) {
		backlog_free(s);
	} else if (s->backlog) {
		while (s->backlog->count > s->backlog->next)
			drop_last(s, s->backlog);
	}
	for (uint32_t i = s->flight ? s->flight->count : 0; i-- > 0;) {
		if (flight_at(s->flight, i)->state != ENTRY_QUEUED)
			continue;
		take_out(s, i);
		count++;
	}
	if (s->inside)
		inside_dropped(s, count);
	return count;
}

void queue_give_up(struct session *s)
{
	const struct entry *e = flight_at(s->flight, 0);
	count_dropped(s, e->message, s->shard->broker->figures.dropped_expired, "not-acknowledged");
	take_out(s, 0);
}

bool queue_drop_oldest(struct session *s)
{
	for (uint32_t i = s->flight->sent; i < s->flight->count; i++)
		if (flight_at(s->flight, i)->state == ENTRY_QUEUED) {
			take_out(s, i);
			return true;
		}
	return false;
}

static bool queue_full(struct session *s, const struct message *m)
{
	if (s->inside)
		return inside_full(s, m);
	const struct broker *broker = s->shard->broker;
	const struct flight *f = s->flight;
	return f->count - f->sent - f->ahead >=
	               broker->limits.queue_messages + (s->client ? s->client->window : 0u) ||
	       (f->bytes && f->bytes + message_size(m) > broker->limits.queue_bytes);
}

/* A retained message that a durable session gets has no row among the queued messages: it gets a copy that has. */
static struct message *storable(struct broker *broker, struct message *m)
{
	if (m->row)
		return message_ref(m);
	struct message *copy = message_copy(m);
	if (copy && persist_message(broker, copy)) {
		message_unref(copy);
		return NULL;
	}
	return copy;
}

static int push(struct session *s, const struct delivery *d)
{
	struct message *m = s->row ? storable(s->shard->broker, d->message) : message_ref(d->message);
	struct entry *e = m ? flight_push(s->flight) : NULL;
	if (!e || keep_ids(d, &e->subscription_id, &e->more_ids)) {
		if (e)
			flight_remove(s->flight, s->flight->count - 1);
		message_unref(m);
		return -ENOMEM;
	}
	e->message = m;
	e->seq = s->row ? broker_row(s->shard->broker) : 0;
	e->qos = d->qos;
	e->retain = d->retain;
	if (s->shard->broker->limits.retry)
		e->since = shard_now(s->shard);
	s->flight->bytes += message_size(m);
	queue_bytes(s, (int64_t)message_size(m));
	return 0;
}

static int deliver_queued(struct session *s, const struct delivery *d, bool *ret_saved)
{
	struct figures *figures = &s->shard->broker->figures;
	if (!s->flight && !(s->flight = flight_new())) {
		count_dropped(s, d->message, figures->dropped_memory, "no-memory");
		return -ENOMEM;
	}
	if (queue_full(s, d->message)) {
		count_dropped(s, d->message, figures->dropped_queue, "queue-full");
		return -ENOSPC;
	}
	if (push(s, d)) {
		count_dropped(s, d->message, figures->dropped_memory, "no-memory");
		return -ENOMEM;
	}
	session_pump(s);
	if (!s->row)
		return 0;
	*ret_saved = true;
	struct entry *last = s->flight->count ? flight_at(s->flight, s->flight->count - 1) : NULL;
	int r = last && last->message && !last->stored && persist_entry(s, last) ? -EIO : 0;
	if (s->inside)
		inside_changed(s);
	return r;
}

static int backlog_room(struct session *s, uint32_t more)
{
	if (!s->backlog && !(s->backlog = calloc(1, sizeof(*s->backlog))))
		return -ENOMEM;
	struct backlog *b = s->backlog;
	if (more > UINT32_MAX / 4 - b->count)
		return -ENOSPC;
	if (b->count + more <= b->size)
		return 0;
	if (b->next > b->size / 2) { /* a line that is never empty does not grow for ever */
		b->count -= b->next;
		memmove(b->items, b->items + b->next, b->count * sizeof(*b->items));
		b->next = 0;
		return backlog_room(s, more);
	}
	uint32_t size = b->size ? b->size : 8;
	while (size < b->count + more)
		size *= 2;
	struct waiting *items = realloc(b->items, size * sizeof(*items));
	if (!items)
		return -ENOMEM;
	b->items = items;
	b->size = size;
	return 0;
}

int session_line_up(struct session *s, struct message *const *messages, uint32_t n, uint8_t qos, uint32_t id)
{
	const struct broker *broker = s->shard->broker;
	const struct backlog *line = s->backlog;
	uint32_t before = line ? line->count - line->next - line->live : 0;
	/* Who subscribes again and again, and does not read, is not given more than there is. */
	if (before && before + n > broker->limits.retained_messages) {
		edged_metric_add(broker->figures.dropped_queue, n);
		return -ENOSPC;
	}
	int r = backlog_room(s, n);
	if (r)
		return r;
	struct backlog *b = s->backlog;
	struct waiting *at = &b->items[b->count - b->live];
	memmove(at + n, at, b->live * sizeof(*at));
	for (uint32_t i = 0; i < n; i++) {
		uint8_t lower = messages[i]->qos < qos ? messages[i]->qos : qos;
		at[i] = (struct waiting){ message_ref(messages[i]), NULL, id, lower, true };
	}
	b->count += n;
	count_line(s, b, n, 0);
	return 0;
}

int session_block(struct session *s)
{
	int r = backlog_room(s, 0);
	if (!r)
		s->backlog->blocked++;
	return r;
}

void session_unblock(struct session *s)
{
	s->backlog->blocked--;
	session_pump(s);
}

static int line_up_live(struct session *s, const struct delivery *d)
{
	const struct limits *limits = &s->shard->broker->limits;
	const struct backlog *line = s->backlog;
	size_t size = message_size(d->message);
	if (line->live >= limits->queue_messages ||
	        (line->bytes && line->bytes + size > limits->queue_bytes)) {
		count_dropped(s, d->message, s->shard->broker->figures.dropped_queue, "queue-full");
		return -ENOSPC;
	}
	int r = backlog_room(s, 1);
	if (r)
		return r;
	struct backlog *b = s->backlog;
	struct waiting w = { .qos = d->qos, .retain = d->retain };
	if (keep_ids(d, &w.subscription_id, &w.more_ids))
		return -ENOMEM;
	w.message = message_ref(d->message);
	b->items[b->count++] = w;
	b->live++;
	count_line(s, b, 1, (int64_t)size);
	session_pump(s); /* what it waits for may have expired */
	return 0;
}

int session_deliver(struct session *s, const struct delivery *d, bool *ret_saved)
{
	struct client *c = s->client;
	if (d->qos == 0 && (!c || c->muted || c->closing))
		return 0;
	/* What waits is judged again when it goes out. */
	int right = rights_deliver(s, d->message);
	if (right == 0 || (right < 0 && d->qos == 0))
		return 0;
	/* What must be durable goes to the queue at once, the rest keeps its place behind retained messages. */
	if (s->backlog && !(s->row && d->qos))
		return line_up_live(s, d);
	if (d->qos)
		return deliver_queued(s, d, ret_saved);
	if (client_has_room(c)) {
		(void)client_send(c, d, 0, false);
		return 0;
	}
	count_dropped(s, d->message, s->shard->broker->figures.dropped_slow, "slow");
	return 0;
}

/* --- sending ----------------------------------------------------------------------------------------------------------- */

static bool send_entry(struct session *s, struct entry *e, bool dup)
{
	uint32_t ids[1 + MAX_SUBSCRIPTIONS];
	size_t n = give_ids(e->subscription_id, e->more_ids, ids);
	struct delivery d = { e->message, e->qos, e->retain, ids, n };
	e->state = ENTRY_SENT;
	return client_send(s->client, &d, e->id, dup);
}

/* QoS 2 to a durable session: the packet id must be on the disk before the message is sent, or a crash in between
 * would make it a second message. */
static void save(struct session *s, struct entry *e, enum entry_state state)
{
	struct todo todo = { .kind = TODO_SAVED, .session = s, .id = e->id };
	e->state = (uint8_t)state;
	e->saving = persist_entry(s, e) == 0 && turn_wrote(s->shard) == 0 && turn_todo(s->shard, &todo) == 0;
}

/* In strict mode a message that is sent again has another packet id, as one that never was: AWS IoT sends no DUP. */
static bool send_anew(struct session *s, struct entry *e)
{
	if (e->qos != 1 || s->inside || !s->shard->broker->strict)
		return false;
	uint16_t id = flight_take_id(s->flight);
	if (id)
		e->id = id;
	return true;
}

/* The next entry that was not sent yet. False: it was dropped, its place is free. */
static bool start_entry(struct session *s, struct entry *e)
{
	bool fresh = e->state == ENTRY_QUEUED || e->state == ENTRY_SAVED;
	if (fresh && message_over(e->message)) {
		count_dropped(s, e->message, s->shard->broker->figures.dropped_expired, "expired");
		if (s->inside)
			inside_dropped(s, 1);
		return false;
	}
	switch ((enum entry_state)e->state) {
	case ENTRY_QUEUED:
		e->id = flight_take_id(s->flight);
		if (e->qos == 2 && s->row) {
			save(s, e, ENTRY_SAVING);
			return true;
		}
		return send_entry(s, e, false);
	case ENTRY_SAVED:
		return send_entry(s, e, false);
	case ENTRY_SENT:
		return send_entry(s, e, !send_anew(s, e));
	case ENTRY_RELEASED:
		client_send_ack(s->client, PUBREL, e->id, 0);
		return true;
	case ENTRY_SAVING:
	case ENTRY_RELEASING:
		if (!e->saving)
			save(s, e, e->state);
		return true;
	}
	return true;
}

/* The message itself is needed no more. */
static void release(struct session *s, struct entry *e)
{
	s->flight->bytes -= message_size(e->message);
	queue_bytes(s, -(int64_t)message_size(e->message));
	struct message *m = e->message;
	e->message = NULL;
	if (s->row)
		save(s, e, ENTRY_RELEASING);
	else
		e->state = ENTRY_RELEASED;
	message_unref(m);
}

/* One that must not go out. QoS 2 that may have been sent before is completed without being sent again: the client may
 * know the packet id, which must not come to mean another message. False: its place is free. */
static bool withhold(struct session *s, struct entry *e)
{
	if (e->qos != 2 || e->state != ENTRY_SENT)
		return false;
	release(s, e);
	if (e->state == ENTRY_RELEASED)
		client_send_ack(s->client, PUBREL, e->id, 0);
	return true;
}

/* Entry i, which counts as sent by now. False: it was dropped. */
static bool pump_entry(struct session *s, uint32_t i, int right)
{
	struct entry *e = flight_at(s->flight, i);
	bool there = right ? start_entry(s, e) : withhold(s, e);
	if (!there)
		take_out(s, i);
	return there;
}

static int right_to(struct session *s, uint32_t i)
{
	const struct entry *e = flight_at(s->flight, i);
	return e->message ? rights_deliver(s, e->message) : 1;
}

static bool room_for_more(const struct session *s)
{
	return s->flight->sent + s->flight->ahead < s->client->window && client_has_room(s->client);
}

/* Stored entries, as many as may be sent now, and what came after them. */
static void pump_stored(struct session *s)
{
	struct flight *f = s->flight;
	bool sent = false;
	int right = 1;
	while (f->stored && s->client->stored_left && room_for_more(s) &&
	        (right = right_to(s, f->sent)) >= 0) {
		uint32_t i = f->sent;
		flight_next_stored(f);
		if (!pump_entry(s, i, right))
			continue;
		s->client->stored_left--;
		sent = true;
	}
	if (sent)
		stored_spent(s);
	while (f->stored && right >= 0) {
		uint32_t i = f->sent + f->stored + f->ahead;
		if (i == f->count || !room_for_more(s) || (right = right_to(s, i)) < 0)
			return;
		f->ahead++;
		(void)pump_entry(s, i, right);
	}
}

static void pump_queue(struct session *s)
{
	struct flight *f = s->flight;
	if (f->stored)
		pump_stored(s);
	if (f->stored)
		return;
	while (f->sent < f->count && f->sent < s->client->window && client_has_room(s->client)) {
		int right = right_to(s, f->sent);
		if (right < 0)
			return;
		uint32_t i = f->sent++;
		(void)pump_entry(s, i, right);
	}
}

/* A retained message that was replaced while it waited, and whose successor went ahead (see session_deliver()). */
static bool overtaken(const struct session *s, const struct waiting *w)
{
	return s->row && w->qos && w->retain && s->shard->index == 0 &&
	       retained_get(&s->shard->retained, message_topic(w->message)) != w->message;
}

/* One that waits in the backlog. False: no room now. */
static bool pump_waiting(struct session *s, const struct waiting *w)
{
	uint32_t ids[1 + MAX_SUBSCRIPTIONS];
	struct delivery d = { w->message, w->qos, w->retain, ids,
		give_ids(w->subscription_id, w->more_ids, ids) };
	bool saved = false;
	if (!client_has_room(s->client))
		return false;
	if (message_over(w->message) || overtaken(s, w))
		return true;
	int right = rights_deliver(s, w->message);
	if (right <= 0)
		return right == 0; /* or it waits for the one who decides */
	if (w->qos == 0) {
		(void)client_send(s->client, &d, 0, false);
		return true;
	}
	if (s->flight && s->flight->count - s->flight->stored >= s->client->window)
		return false;
	(void)deliver_queued(s, &d, &saved);
	if (saved)
		(void)turn_wrote(s->shard);
	return true;
}

void session_pump(struct session *s)
{
	if (!s->client || s->client->muted || s->client->closing)
		return;
	if (s->flight)
		pump_queue(s);
	struct backlog *b = s->backlog;
	if (!b || b->blocked)
		return;
	s->backlog = NULL; /* so that nothing delivered here lines up again */
	while (b->next < b->count && pump_waiting(s, &b->items[b->next]))
		drop_first(s, b);
	s->backlog = b;
	if (b->next == b->count)
		backlog_free(s);
}

/* --- acknowledgements ----------------------------------------------------------------------------------------------------- */

static int64_t find_sent(const struct session *s, uint16_t id, uint8_t qos, enum entry_state state)
{
	int64_t i = s->flight ? flight_find(s->flight, id) : -1;
	if (i < 0)
		return -1;
	const struct entry *e = flight_at(s->flight, (uint32_t)i);
	return e->qos == qos && e->state == state ? i : -1;
}

uint8_t session_puback(struct session *s, uint16_t id)
{
	int64_t i = find_sent(s, id, 1, ENTRY_SENT);
	if (i < 0)
		return REASON_ID_NOT_FOUND;
	take_out(s, (uint32_t)i);
	session_pump(s);
	return 0;
}

uint8_t session_pubrec(struct session *s, uint16_t id, uint8_t reason)
{
	int64_t i = find_sent(s, id, 2, ENTRY_SENT);
	if (i < 0) {
		i = find_sent(s, id, 2, ENTRY_RELEASED);
		if (i >= 0) {
			client_send_ack(s->client, PUBREL, id, 0);
			return 0;
		}
		return find_sent(s, id, 2, ENTRY_RELEASING) >= 0 ? 0 : REASON_ID_NOT_FOUND;
	}
	if (reason >= 0x80) { /* it does not want it: that ends the exchange */
		take_out(s, (uint32_t)i);
		session_pump(s);
		return 0;
	}
	struct entry *e = flight_at(s->flight, (uint32_t)i);
	release(s, e);
	if (e->state == ENTRY_RELEASED)
		client_send_ack(s->client, PUBREL, id, 0);
	return 0;
}

uint8_t session_pubcomp(struct session *s, uint16_t id)
{
	int64_t i = find_sent(s, id, 2, ENTRY_RELEASED);
	if (i < 0)
		return REASON_ID_NOT_FOUND;
	take_out(s, (uint32_t)i);
	session_pump(s);
	return 0;
}

void session_saved(struct session *s, uint16_t id, int result)
{
	struct flight *f = s->flight;
	for (uint32_t i = 0; f && i < f->count; i++) {
		struct entry *e = flight_at(f, i);
		if (e->id != id || (e->state != ENTRY_SAVING && e->state != ENTRY_RELEASING))
			continue;
		e->saving = false;
		if (result) {
			if (s->client)
				client_close(s->client, REASON_QUOTA);
			return;
		}
		e->state = e->state == ENTRY_SAVING ? ENTRY_SAVED : ENTRY_RELEASED;
		int right = e->message && s->client ? rights_deliver(s, e->message) : 1;
		if (right == 0) {
			take_out(s, i);
			session_pump(s);
			return;
		}
		if (right < 0) {
			client_close(s->client, REASON_QUOTA); /* it stays where it is for when it is back */
			return;
		}
		if (s->client && !s->client->muted && !s->client->closing && flight_is_sent(f, i) &&
		        !start_entry(s, e)) {
			take_out(s, i);
			session_pump(s);
		}
		return;
	}
}
