/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "inbox.h"
#include "publish.h"
#include "pubsub.h"
#include "trace_packet.h"

struct pubsub {
	struct edged_pubsub_1 capability;
	struct broker *broker;
	struct inbox *inbox;
};

static struct shard *home(const struct pubsub *pubsub)
{
	return pubsub->broker->shards[0];
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
	if (m->utf8) {
		write_u8(w, PROP_FORMAT);
		write_u8(w, 1);
	}
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
        const struct author *author, void (*done)(void *arg, int result), void *arg)
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
		.author = *author,
	};
	struct outcome outcome;
	count_one(pubsub->broker->figures.received[m->qos]);
	if (tracing(pubsub->broker))
		trace_message(pubsub->broker, &parts, "plugin");
	int r = shard_publish(home(pubsub), &parts, NULL, &outcome);
	if (r)
		return r == -ENOSPC ? -ENOBUFS : r;
	if (outcome.refused && !outcome.wait && outcome.receivers <= 1)
		return -ENOBUFS;
	struct todo todo = { .kind = TODO_CALL, .fn = done, .arg = arg };
	r = done ? turn_todo(home(pubsub), &todo) : 0;
	if (outcome.alone)
		turn_close(home(pubsub));
	return r;
}

int pubsub_publish(struct pubsub *pubsub, const struct edged_message *message, const struct author *author,
        void (*done)(void *arg, int result), void *arg)
{
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
		r = publish_with(pubsub, &m, edged_slice(bytes, (size_t)(w.at - bytes)), author, done, arg);
	if (bytes != small)
		free(bytes);
	return r;
}

static int publish(void *ctx, struct edged_host *host, const struct edged_message *message,
        void (*done)(void *arg, int result), void *arg)
{
	static const struct author nobody = { .who = NULL };
	(void)host;
	return pubsub_publish(ctx, message, &nobody, done, arg);
}

static bool wanted(void *ctx, struct edged_host *host, struct edged_slice topic)
{
	(void)host;
	struct pubsub *pubsub = ctx;
	return topic.len && shard_wanted(home(pubsub), topic);
}

/* --- subscribing -------------------------------------------------------------------------------------------------------- */

struct retained_for {
	struct local *local;
	uint8_t qos;
};

static int queue_retained(void *arg, struct message *m)
{
	const struct retained_for *to = arg;
	struct delivery d = { m, m->qos < to->qos ? m->qos : to->qos, true, NULL, 0 };
	(void)inbox_put(to->local, &d);
	return 0;
}

static int add_local(struct pubsub *pubsub, const struct filter *filter, uint8_t qos, struct local *local)
{
	struct shard *shard = home(pubsub);
	struct sub *sub;
	int r = subs_add(&shard->subs, &local->target, filter, qos, 0, &sub);
	if (r)
		return r;
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
	local->deliver = deliver_fn;
	local->arg = arg;
	int r = inbox_enter(pubsub->inbox, local);
	if (r) {
		free(local);
		return r;
	}
	r = add_local(pubsub, &filter, qos, local);
	if (r) {
		inbox_leave(local);
		return r;
	}
	*ret = inbox_handle(local);
	return 0;
}

static int unsubscribe(void *ctx, struct edged_host *host, edged_handle subscription)
{
	(void)host;
	struct local *local = inbox_find(((struct pubsub *)ctx)->inbox, subscription);
	if (!local)
		return -ENOENT;
	inbox_leave(local);
	return 0;
}

static int pause_delivery(void *ctx, struct edged_host *host, edged_handle subscription)
{
	(void)host;
	struct local *local = inbox_find(((struct pubsub *)ctx)->inbox, subscription);
	if (!local)
		return -ENOENT;
	inbox_pause(local);
	return 0;
}

static int resume_delivery(void *ctx, struct edged_host *host, edged_handle subscription)
{
	(void)host;
	struct local *local = inbox_find(((struct pubsub *)ctx)->inbox, subscription);
	return local ? inbox_resume(local) : -ENOENT;
}

static bool connected(void *ctx, struct edged_host *host, struct edged_slice client_id)
{
	(void)host;
	return presence_find(((struct pubsub *)ctx)->broker, client_id);
}

static int interest(void *ctx, struct edged_host *host,
        void (*changed)(void *arg, struct edged_slice filter, uint8_t qos, int by), void *arg)
{
	(void)host;
	return interest_watch(((struct pubsub *)ctx)->broker, changed, arg);
}

/* --- life ---------------------------------------------------------------------------------------------------------------- */

int pubsub_new(struct broker *broker, struct pubsub **ret)
{
	struct pubsub *pubsub = calloc(1, sizeof(*pubsub));
	int r = pubsub ? inbox_new(broker, &pubsub->inbox) : -ENOMEM;
	if (r) {
		free(pubsub);
		return r;
	}
	pubsub->broker = broker;
	pubsub->capability = (struct edged_pubsub_1){
		.struct_size = sizeof(struct edged_pubsub_1),
		.ctx = pubsub,
		.publish = publish,
		.subscribe = subscribe,
		.unsubscribe = unsubscribe,
		.wanted = wanted,
		.pause = pause_delivery,
		.resume = resume_delivery,
		.connected = connected,
		.interest = interest,
	};
	*ret = pubsub;
	return 0;
}

void pubsub_free(struct pubsub *pubsub)
{
	if (!pubsub)
		return;
	inbox_free(pubsub->inbox);
	free(pubsub);
}

const struct edged_pubsub_1 *pubsub_capability(struct pubsub *pubsub)
{
	return &pubsub->capability;
}
