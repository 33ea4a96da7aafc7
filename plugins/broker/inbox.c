/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "inbox.h"
#include "rights.h"

#define MAX_LOCAL 4096  /* subscriptions inside the process */
#define MAX_TURN  65536 /* messages of one turn for those that do not pause: they go at its end */

struct letter {
	struct letter *next;
	struct message *message;
	uint32_t lost; /* so many were dropped in front of it */
	uint8_t qos;
	bool retain;
};

struct item {
	edged_handle to;
	struct message *message;
	uint32_t lost;
	uint8_t qos;
	bool retain;
};

struct slot {
	struct local *local;
	uint32_t generation;
};

struct inbox {
	struct broker *broker;
	struct slot *slots;
	uint32_t slot_count;
	struct item *items; /* of this turn */
	uint32_t count, size;
	bool resumed; /* somebody has: look through the slots */
};

/* --- subscribers -------------------------------------------------------------------------------------------------------- */

edged_handle inbox_handle(const struct local *local)
{
	return (uint64_t)local->inbox->slots[local->slot].generation << 32 | (local->slot + 1);
}

struct local *inbox_find(const struct inbox *inbox, edged_handle handle)
{
	uint32_t slot = (uint32_t)handle - 1;
	if (slot >= inbox->slot_count || inbox->slots[slot].generation != handle >> 32)
		return NULL;
	return inbox->slots[slot].local;
}

static int take_slot(struct inbox *inbox, struct local *local)
{
	for (uint32_t i = 0; i < inbox->slot_count; i++) {
		if (inbox->slots[i].local)
			continue;
		inbox->slots[i].local = local;
		local->slot = i;
		return 0;
	}
	uint32_t count = inbox->slot_count ? inbox->slot_count * 2 : 16;
	if (count > MAX_LOCAL)
		return -ENOSPC;
	struct slot *slots = realloc(inbox->slots, count * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (uint32_t i = inbox->slot_count; i < count; i++)
		slots[i] = (struct slot){ NULL, 1 };
	local->slot = inbox->slot_count;
	slots[local->slot].local = local;
	inbox->slots = slots;
	inbox->slot_count = count;
	return 0;
}

int inbox_enter(struct inbox *inbox, struct local *local)
{
	local->inbox = inbox;
	local->last = &local->first;
	return take_slot(inbox, local);
}

static void charge(struct local *local, int64_t by)
{
	struct broker *broker = local->inbox->broker;
	local->bytes += (size_t)by;
	__atomic_fetch_add(&broker->queued, by, __ATOMIC_RELAXED);
	edged_metric_add(broker->figures.queued_bytes, by);
}

/* The first letter of its queue; the message is the caller's. */
static struct item take_letter(struct local *local)
{
	struct letter *letter = local->first;
	struct item item = { inbox_handle(local), letter->message, letter->lost, letter->qos,
		letter->retain };
	local->first = letter->next;
	if (!local->first)
		local->last = &local->first;
	local->count--;
	charge(local, -(int64_t)message_size(letter->message));
	free(letter);
	return item;
}

void inbox_leave(struct local *local)
{
	struct inbox *inbox = local->inbox;
	struct shard *shard = inbox->broker->shards[0];
	int64_t count = local->target.count;
	subs_remove_all(&shard->subs, &local->target);
	shard_subs_changed(shard, -count);
	while (local->first)
		message_unref(take_letter(local).message);
	inbox->slots[local->slot].local = NULL;
	inbox->slots[local->slot].generation++;
	free(local);
}

/* --- delivering --------------------------------------------------------------------------------------------------------- */

static struct edged_slice property(struct edged_slice props, enum prop_id id)
{
	struct reader r = reader(props.ptr, props.len);
	struct prop p;
	while (prop_next(&r, &p))
		if (p.id == id)
			return p.bytes;
	return edged_slice(NULL, 0);
}

static bool is_utf8(struct edged_slice props)
{
	struct reader r = reader(props.ptr, props.len);
	struct prop p;
	while (prop_next(&r, &p))
		if (p.id == PROP_FORMAT)
			return p.number == 1;
	return false;
}

/* User properties without the identifier bytes, into `out` of at least props.len bytes. */
static struct edged_slice user_properties(struct edged_slice props, uint8_t *out)
{
	struct reader r = reader(props.ptr, props.len);
	struct writer w = writer(out, props.len);
	struct prop p;
	while (prop_next(&r, &p))
		if (p.id == PROP_USER)
			write_bytes(&w, p.raw.ptr + 1, p.raw.len - 1);
	return edged_slice(out, (size_t)(w.at - out));
}

static void deliver(struct local *local, const struct item *item)
{
	struct message *m = item->message;
	struct edged_slice props = message_props(m);
	uint8_t small[256], *users = small;
	if (rights_stands(local->inbox->broker, m) <= 0)
		return;
	if (message_over(m) || (props.len > sizeof(small) && !(users = malloc(props.len)))) {
		count_one(local->inbox->broker->figures.dropped_expired);
		return;
	}
	uint64_t now = m->expires ? wall_ms() : 0;
	struct edged_message message = {
		.struct_size = sizeof(message),
		.topic = message_topic(m),
		.payload = message_payload(m),
		.qos = item->qos,
		.retain = item->retain,
		.will = m->will,
		.publisher = message_publisher(m),
		.expiry = m->expires ? (uint32_t)((m->expires - now + 999) / 1000) : 0,
		.content_type = property(props, PROP_CONTENT_TYPE),
		.response_topic = property(props, PROP_RESPONSE_TOPIC),
		.correlation = property(props, PROP_CORRELATION),
		.user_properties = user_properties(props, users),
		.blob = &m->blob,
		.lost = item->lost,
		.utf8 = is_utf8(props),
	};
	local->deliver(local->arg, &message);
	if (users != small)
		free(users);
}

static void drop(struct local *local)
{
	local->lost++;
	count_one(local->inbox->broker->figures.dropped_slow);
}

static bool full(const struct local *local, const struct message *m, uint8_t qos)
{
	struct broker *broker = local->inbox->broker;
	if (local->count >= broker->limits.queue_messages ||
	        (local->bytes && local->bytes + message_size(m) > broker->limits.queue_bytes))
		return true;
	if (qos) /* it has been accepted, see publish.c */
		return false;
	pressure_update(broker);
	if (pressure_of(broker) < PRESSURE_KEEP)
		return false;
	pressure_count(broker, PRESSURE_KEEP);
	return true;
}

/* Into its own queue. */
static int keep(struct local *local, struct message *m, uint8_t qos, bool retain)
{
	struct letter *letter = full(local, m, qos) ? NULL : malloc(sizeof(*letter));
	if (!letter) {
		drop(local);
		return -ENOSPC;
	}
	*letter = (struct letter){ NULL, message_ref(m), local->lost, qos, retain };
	local->lost = 0;
	*local->last = letter;
	local->last = &letter->next;
	local->count++;
	charge(local, (int64_t)message_size(m));
	return 0;
}

/* What waited for one that has resumed. It may pause again, or leave, in the middle. */
static void drain(const struct inbox *inbox, uint32_t slot)
{
	struct local *local = inbox->slots[slot].local;
	edged_handle handle = local ? inbox_handle(local) : 0;
	while (local && local->first && !local->paused) {
		struct item item = take_letter(local);
		deliver(local, &item);
		message_unref(item.message);
		local = inbox_find(inbox, handle);
	}
}

/* At the end of the turn. What the deliveries bring about waits for the next. */
static void deliver_all(void *arg)
{
	struct inbox *inbox = arg;
	struct item *items = inbox->items;
	uint32_t count = inbox->count;
	bool resumed = inbox->resumed;
	inbox->items = NULL;
	inbox->count = inbox->size = 0;
	inbox->resumed = false;
	for (uint32_t i = 0; resumed && i < inbox->slot_count; i++)
		drain(inbox, i);
	for (uint32_t i = 0; i < count; i++) {
		struct local *local = inbox_find(inbox, items[i].to);
		if (local && (local->paused || local->first)) {
			(void)keep(local, items[i].message, items[i].qos, items[i].retain);
		} else if (local) {
			items[i].lost = local->lost;
			local->lost = 0;
			deliver(local, &items[i]);
		}
		message_unref(items[i].message);
	}
	free(items);
}

static int schedule(struct inbox *inbox)
{
	if (inbox->count || inbox->resumed)
		return 0;
	return inbox->broker->loop->defer(inbox->broker->host, deliver_all, inbox);
}

static int add_item(struct inbox *inbox, const struct item *item)
{
	if (inbox->count >= MAX_TURN)
		return -ENOSPC;
	if (inbox->count == inbox->size) {
		uint32_t size = inbox->size ? inbox->size * 2 : 16;
		struct item *items = realloc(inbox->items, size * sizeof(*items));
		if (!items)
			return -ENOMEM;
		inbox->items = items;
		inbox->size = size;
	}
	int r = schedule(inbox);
	if (r)
		return r;
	inbox->items[inbox->count++] = *item;
	message_ref(item->message);
	return 0;
}

int inbox_put(struct local *local, const struct delivery *d)
{
	if (local->paused)
		return keep(local, d->message, d->qos, d->retain);
	struct item item = { inbox_handle(local), d->message, 0, d->qos, d->retain };
	int r = add_item(local->inbox, &item);
	if (r)
		drop(local);
	return r;
}

void inbox_pause(struct local *local)
{
	local->paused = true;
}

int inbox_resume(struct local *local)
{
	int r = local->first ? schedule(local->inbox) : 0;
	if (r)
		return r;
	local->inbox->resumed |= local->first != NULL;
	local->paused = false;
	return 0;
}

/* --- life ---------------------------------------------------------------------------------------------------------------- */

int inbox_new(struct broker *broker, struct inbox **ret)
{
	struct inbox *inbox = calloc(1, sizeof(*inbox));
	if (!inbox)
		return -ENOMEM;
	inbox->broker = broker;
	*ret = inbox;
	return 0;
}

void inbox_free(struct inbox *inbox)
{
	if (!inbox)
		return;
	inbox->broker->loop->defer_cancel(inbox->broker->host, inbox);
	for (uint32_t i = 0; i < inbox->count; i++)
		message_unref(inbox->items[i].message);
	free(inbox->items);
	for (uint32_t i = 0; i < inbox->slot_count; i++)
		if (inbox->slots[i].local)
			inbox_leave(inbox->slots[i].local);
	free(inbox->slots);
	free(inbox);
}
