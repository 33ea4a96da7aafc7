/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "publish.h"
#include "pubsub.h"

#define MAX_LOCAL   4096  /* subscriptions inside the process */
#define MAX_WAITING 65536 /* messages to be delivered to them: they go at the end of each turn */

struct local {
	struct target target; /* first member */
	struct pubsub *pubsub;
	void (*deliver)(void *arg, const struct edged_message *message);
	void *arg;
	uint32_t slot;
};

struct slot {
	struct local *local;
	uint32_t generation;
};

struct item {
	edged_handle to;
	struct message *message;
	uint8_t qos;
	bool retain;
};

struct pubsub {
	struct edged_pubsub_1 capability;
	struct broker *broker;
	struct slot *slots;
	uint32_t slot_count;
	struct item *items;
	uint32_t count, size;
};

static struct shard *home(const struct pubsub *pubsub)
{
	return pubsub->broker->shards[0];
}

static edged_handle handle_of(const struct pubsub *pubsub, const struct local *local)
{
	return (uint64_t)pubsub->slots[local->slot].generation << 32 | (local->slot + 1);
}

static struct local *find(const struct pubsub *pubsub, edged_handle handle)
{
	uint32_t slot = (uint32_t)handle - 1;
	if (slot >= pubsub->slot_count || pubsub->slots[slot].generation != handle >> 32)
		return NULL;
	return pubsub->slots[slot].local;
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

static void deliver(const struct local *local, const struct item *item)
{
	const struct message *m = item->message;
	uint8_t small[256], *users = small;
	if (message_expired(m, wall_ms()) ||
	        (m->props_len > sizeof(small) && !(users = malloc(m->props_len)))) {
		count_one(local->pubsub->broker->figures.dropped_expired);
		return;
	}
	struct edged_slice props = message_props(m);
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
	};
	local->deliver(local->arg, &message);
	if (users != small)
		free(users);
}

/* At the end of the turn. What the deliveries bring about waits for the next. */
static void deliver_all(void *arg)
{
	struct pubsub *pubsub = arg;
	struct item *items = pubsub->items;
	uint32_t count = pubsub->count;
	pubsub->items = NULL;
	pubsub->count = pubsub->size = 0;
	for (uint32_t i = 0; i < count; i++) {
		const struct local *local = find(pubsub, items[i].to);
		if (local)
			deliver(local, &items[i]);
		message_unref(items[i].message);
	}
	free(items);
}

static int add_item(struct pubsub *pubsub, const struct item *item)
{
	if (pubsub->count >= MAX_WAITING)
		return -ENOBUFS;
	if (pubsub->count == pubsub->size) {
		uint32_t size = pubsub->size ? pubsub->size * 2 : 16;
		struct item *items = realloc(pubsub->items, size * sizeof(*items));
		if (!items)
			return -ENOMEM;
		pubsub->items = items;
		pubsub->size = size;
	}
	if (pubsub->count == 0) {
		int r = pubsub->broker->loop->defer(pubsub->broker->host, deliver_all, pubsub);
		if (r)
			return r;
	}
	pubsub->items[pubsub->count++] = *item;
	message_ref(item->message);
	return 0;
}

void pubsub_queue(struct shard *shard, struct target *target, const struct delivery *d)
{
	const struct local *local = (const struct local *)target;
	struct item item = { handle_of(local->pubsub, local), d->message, d->qos, d->retain };
	if (add_item(local->pubsub, &item))
		count_one(shard->broker->figures.dropped_slow);
}

/* --- publishing --------------------------------------------------------------------------------------------------------- */

static void write_text(struct writer *w, enum prop_id id, struct edged_slice text)
{
	if (!text.len)
		return;
	write_u8(w, (uint8_t)id);
	write_binary(w, text);
}

/* The properties as an MQTT 5 client would have sent them. */
static int write_props(struct writer *w, const struct edged_message *m)
{
	const struct edged_slice texts[] = { m->content_type, m->response_topic };
	for (size_t i = 0; i < 2; i++)
		if (!utf8_valid(texts[i]))
			return -EINVAL;
	write_text(w, PROP_CONTENT_TYPE, m->content_type);
	write_text(w, PROP_RESPONSE_TOPIC, m->response_topic);
	write_text(w, PROP_CORRELATION, m->correlation);
	struct reader users = reader(m->user_properties.ptr, m->user_properties.len);
	while (read_left(&users) && !users.failed) {
		struct edged_slice name = read_string(&users), value = read_string(&users);
		write_u8(w, PROP_USER);
		write_binary(w, name);
		write_binary(w, value);
	}
	return users.failed || w->failed ? -EINVAL : 0;
}

static int judge(const struct broker *broker, const struct edged_message *m, size_t props)
{
	if (!utf8_valid(m->topic) || !topic_valid(m->topic, &broker->limits.topic) || m->qos > 2)
		return -EINVAL;
	if (m->topic.len + m->payload.len + props > broker->limits.packet)
		return -EMSGSIZE;
	return 0;
}

static int publish_with(struct pubsub *pubsub, const struct edged_message *m, struct edged_slice props,
        void (*done)(void *arg, int result), void *arg)
{
	uint64_t now = wall_ms();
	struct message_parts parts = {
		.topic = m->topic,
		.payload = m->payload,
		.publisher = m->publisher,
		.props = props,
		.arrived = now,
		.expires = m->expiry ? now + m->expiry * UINT64_C(1000) : 0,
		.qos = m->qos,
		.retain = m->retain,
	};
	struct outcome outcome;
	count_one(pubsub->broker->figures.received[m->qos]);
	int r = shard_publish(home(pubsub), &parts, NULL, &outcome);
	if (r)
		return r == -ENOSPC ? -ENOBUFS : r;
	if (outcome.refused && !outcome.wait && outcome.receivers <= 1)
		return -ENOBUFS;
	struct todo todo = { .kind = TODO_CALL, .fn = done, .arg = arg };
	return done ? turn_todo(home(pubsub), &todo) : 0;
}

static int publish(void *ctx, struct edged_host *host, const struct edged_message *message,
        void (*done)(void *arg, int result), void *arg)
{
	(void)host;
	struct pubsub *pubsub = ctx;
	struct edged_message m = { 0 };
	memcpy(&m, message, message->struct_size < sizeof(m) ? message->struct_size : sizeof(m));
	/* The users' identifiers are one byte for at least four of theirs. */
	size_t room = 16 + m.content_type.len + m.response_topic.len + m.correlation.len +
	              m.user_properties.len * 5 / 4;
	int r = judge(pubsub->broker, &m, room - 16);
	if (r)
		return r;
	uint8_t small[512], *bytes = room <= sizeof(small) ? small : malloc(room);
	if (!bytes)
		return -ENOMEM;
	struct writer w = writer(bytes, room);
	r = write_props(&w, &m);
	if (!r)
		r = publish_with(pubsub, &m, edged_slice(bytes, (size_t)(w.at - bytes)), done, arg);
	if (bytes != small)
		free(bytes);
	return r;
}

static bool wanted(void *ctx, struct edged_host *host, struct edged_slice topic)
{
	(void)host;
	struct pubsub *pubsub = ctx;
	return topic.len && shard_wanted(home(pubsub), topic);
}

/* --- subscribing -------------------------------------------------------------------------------------------------------- */

static int take_slot(struct pubsub *pubsub, struct local *local)
{
	for (uint32_t i = 0; i < pubsub->slot_count; i++) {
		if (pubsub->slots[i].local)
			continue;
		pubsub->slots[i].local = local;
		local->slot = i;
		return 0;
	}
	uint32_t count = pubsub->slot_count ? pubsub->slot_count * 2 : 16;
	if (count > MAX_LOCAL)
		return -ENOSPC;
	struct slot *slots = realloc(pubsub->slots, count * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (uint32_t i = pubsub->slot_count; i < count; i++)
		slots[i] = (struct slot){ NULL, 1 };
	local->slot = pubsub->slot_count;
	slots[local->slot].local = local;
	pubsub->slots = slots;
	pubsub->slot_count = count;
	return 0;
}

static void remove_local(struct local *local)
{
	struct pubsub *pubsub = local->pubsub;
	struct shard *shard = home(pubsub);
	int64_t count = local->target.count;
	subs_remove_all(&shard->subs, &local->target);
	shard_subs_changed(shard, -count);
	pubsub->slots[local->slot].local = NULL;
	pubsub->slots[local->slot].generation++;
	free(local);
}

struct retained_for {
	struct local *local;
	uint8_t qos;
};

static int queue_retained(void *arg, struct message *m)
{
	const struct retained_for *to = arg;
	struct delivery d = { m, m->qos < to->qos ? m->qos : to->qos, true, NULL, 0 };
	pubsub_queue(home(to->local->pubsub), &to->local->target, &d);
	return 0;
}

static int add_local(struct pubsub *pubsub, const struct filter *filter, uint8_t qos, struct local *local)
{
	int r = take_slot(pubsub, local);
	if (r)
		return r;
	struct shard *shard = home(pubsub);
	struct sub *sub;
	r = subs_add(&shard->subs, &local->target, filter, qos, 0, &sub);
	if (r) {
		pubsub->slots[local->slot].local = NULL;
		return r;
	}
	shard_subs_changed(shard, 1);
	struct retained_for to = { local, qos };
	if (!filter->group.len)
		retained_match(&shard->retained, filter->filter, queue_retained, &to);
	return 0;
}

static int subscribe(void *ctx, struct edged_host *host, const char *text, uint8_t qos,
        void (*deliver_fn)(void *arg, const struct edged_message *message), void *arg, edged_handle *ret)
{
	(void)host;
	struct pubsub *pubsub = ctx;
	struct filter filter;
	if (qos > 2 || !utf8_valid(edged_str(text)) ||
	        !filter_parse(edged_str(text), &pubsub->broker->limits.topic, &filter))
		return -EINVAL;
	struct local *local = calloc(1, sizeof(*local));
	if (!local)
		return -ENOMEM;
	local->target.kind = TARGET_LOCAL;
	local->pubsub = pubsub;
	local->deliver = deliver_fn;
	local->arg = arg;
	int r = add_local(pubsub, &filter, qos, local);
	if (r) {
		free(local);
		return r;
	}
	*ret = handle_of(pubsub, local);
	return 0;
}

static int unsubscribe(void *ctx, struct edged_host *host, edged_handle subscription)
{
	(void)host;
	struct local *local = find(ctx, subscription);
	if (!local)
		return -ENOENT;
	remove_local(local);
	return 0;
}

/* --- life ---------------------------------------------------------------------------------------------------------------- */

int pubsub_new(struct broker *broker, struct pubsub **ret)
{
	struct pubsub *pubsub = calloc(1, sizeof(*pubsub));
	if (!pubsub)
		return -ENOMEM;
	pubsub->broker = broker;
	pubsub->capability = (struct edged_pubsub_1){
		.struct_size = sizeof(struct edged_pubsub_1),
		.ctx = pubsub,
		.publish = publish,
		.subscribe = subscribe,
		.unsubscribe = unsubscribe,
		.wanted = wanted,
	};
	*ret = pubsub;
	return 0;
}

void pubsub_free(struct pubsub *pubsub)
{
	if (!pubsub)
		return;
	pubsub->broker->loop->defer_cancel(pubsub->broker->host, pubsub);
	for (uint32_t i = 0; i < pubsub->count; i++)
		message_unref(pubsub->items[i].message);
	free(pubsub->items);
	for (uint32_t i = 0; i < pubsub->slot_count; i++)
		if (pubsub->slots[i].local)
			remove_local(pubsub->slots[i].local);
	free(pubsub->slots);
	free(pubsub);
}

const struct edged_pubsub_1 *pubsub_capability(struct pubsub *pubsub)
{
	return &pubsub->capability;
}
