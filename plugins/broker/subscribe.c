/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "lifecycle.h"
#include "parcel.h"
#include "persist.h"
#include "queue.h"
#include "rights.h"
#include "shard.h"
#include "strict.h"
#include "subscribe.h"

#define FILTER_MAX 2048 /* bytes: the longest topic, and the name of a group */

/* What is being worked on: one packet. */
struct request {
	struct client *client;
	uint8_t *codes;
	unsigned count;
	bool wrote;
};

static uint8_t judge(const struct client *c, struct edged_slice text, uint8_t options, struct filter *ret)
{
	const struct broker *broker = c->broker;
	if (!filter_parse(text, &broker->limits.topic, ret) || (broker->strict && !strict_filter(text)))
		return REASON_FILTER;
	if (ret->group.len && (options & OPT_NO_LOCAL))
		return REASON_PROTOCOL;
	if (c->session->target.count >= broker->limits.subscriptions &&
	        !subs_find(&c->shard->subs, &c->session->target, ret))
		return REASON_QUOTA;
	return 0;
}

/* Retain handling (section 3.8.3.1): always, for a new subscription, never. */
static bool wants_retained(const struct filter *filter, uint8_t options, bool is_new)
{
	unsigned handling = options >> 4 & 3;
	return !filter->group.len && (handling == 0 || (handling == 1 && is_new));
}

static void drop(struct session *s, struct sub *sub)
{
	subs_remove(&s->shard->subs, sub);
	shard_subs_changed(s->shard, -1);
}

static uint8_t judge_rights(const struct session *s, struct edged_slice text)
{
	int r = rights_ask(s, EDGED_SUBSCRIBE, text);
	if (r > 0)
		return 0;
	count_one(s->shard->broker->figures.denied[DENIED_SUBSCRIBE]);
	return r ? REASON_QUOTA : REASON_NOT_AUTHORIZED;
}

static uint8_t subscribe(struct request *q, struct edged_slice text, uint8_t options, uint32_t id)
{
	struct client *c = q->client;
	struct session *s = c->session;
	struct filter filter;
	struct sub *sub;
	uint8_t reason = judge(c, text, options, &filter);
	if (!reason)
		reason = judge_rights(s, text);
	if (reason)
		return reason;
	if (c->bridge)
		options |= OPT_RETAIN_AS_PUBLISHED | (filter.group.len ? 0 : OPT_NO_LOCAL);
	if (s->row && persist_sub(s, text, options, id))
		return REASON_QUOTA;
	q->wrote |= s->row != 0;
	int r = subs_add(&c->shard->subs, &s->target, &filter, options, id, &sub);
	if (r < 0) {
		if (s->row && persist_sub_gone(s, text))
			count_one(c->broker->figures.store_failures);
		return REASON_QUOTA;
	}
	if (r == 0)
		shard_subs_changed(c->shard, 1);
	if (filter.group.len && c->broker->shard_count > 1 && shared_add(s, &filter, options, id)) {
		if (r == 0)
			drop(s, sub);
		return REASON_QUOTA;
	}
	if (wants_retained(&filter, options, r == 0) &&
	        (!c->broker->strict || strict_retained(filter.filter)) &&
	        retained_ask(s, filter.filter, options & OPT_QOS, id) == -ENOMEM)
		count_one(c->broker->figures.dropped_memory);
	return options & OPT_QOS;
}

static uint8_t unsubscribe(struct request *q, struct edged_slice text)
{
	struct client *c = q->client;
	struct session *s = c->session;
	struct filter filter;
	if (!filter_parse(text, &c->broker->limits.topic, &filter))
		return REASON_FILTER;
	struct sub *sub = subs_find(&c->shard->subs, &s->target, &filter);
	bool write = s->row && (sub || removals_in_doubt(&c->shard->removals));
	if (write && persist_sub_gone(s, text))
		return REASON_QUOTA;
	q->wrote |= write;
	if (!sub)
		return REASON_NO_SUBSCRIPTION;
	drop(s, sub);
	shared_remove(s, &filter);
	return 0;
}

/* The answer goes out when what it promises is durable, and before the retained messages. */
static int answer(const struct request *q, enum packet_type type, uint16_t id)
{
	struct client *c = q->client;
	struct session *s = c->session;
	size_t room = 8 + q->count;
	uint8_t *bytes = malloc(room);
	if (!bytes)
		return REASON_UNSPECIFIED;
	struct writer w = writer(bytes, room);
	write_codes(&w, c->version, type, id, q->codes, q->count);
	if ((size_t)(w.at - bytes) > c->max_packet) {
		free(bytes);
		return REASON_TOO_LARGE;
	}
	if (!q->wrote) {
		client_write(c, bytes, (size_t)(w.at - bytes));
		free(bytes);
		session_pump(s);
		return 0;
	}
	struct todo todo = { .kind = TODO_CODES, .session = s, .epoch = s->epoch, .arg = bytes };
	todo.bytes = (uint32_t)(w.at - bytes);
	if (s->backlog && session_block(s) == 0)
		todo.reason = 1;
	if (turn_wrote(c->shard) || turn_todo(c->shard, &todo)) {
		free(bytes);
		return REASON_UNSPECIFIED;
	}
	return 0;
}

static int receive(struct client *c, const struct frame *frame)
{
	struct filters f;
	int r = parse_filters(frame, c->version, c->broker->limits.user_properties, &f);
	if (!r && c->broker->strict && f.options)
		r = strict_subscribe(c->version, &f);
	if (r)
		return r == STRICT_SILENCE ? 0 : r;
	struct request q = { .client = c };
	q.codes = malloc(f.count);
	if (!q.codes)
		return REASON_UNSPECIFIED;
	struct edged_slice filter;
	uint8_t options;
	while (!r && filters_next(&f, &filter, &options)) {
		uint8_t code = f.options ? subscribe(&q, filter, options, f.props.subscription_id)
		                         : unsubscribe(&q, filter);
		if (code == REASON_PROTOCOL)
			r = code;
		q.codes[q.count++] = code;
	}
	if (!r)
		r = answer(&q, f.options ? SUBACK : UNSUBACK, f.id);
	if (!r)
		lifecycle_filters(c, frame, q.codes);
	free(q.codes);
	return r;
}

int receive_subscribe(struct client *c, const struct frame *frame)
{
	return receive(c, frame);
}

int receive_unsubscribe(struct client *c, const struct frame *frame)
{
	return receive(c, frame);
}

/* The row may stay when the disk is full: it is judged again whenever the session comes back. */
static void remove_denied(struct session *s, struct sub *sub, struct edged_slice text)
{
	struct filter filter;
	count_one(s->shard->broker->figures.denied[DENIED_SUBSCRIBE]);
	if (s->row && (persist_sub_gone(s, text) || turn_wrote(s->shard)))
		count_one(s->shard->broker->figures.store_failures);
	drop(s, sub);
	if (filter_parse(text, &s->shard->broker->limits.topic, &filter))
		shared_remove(s, &filter);
}

void subscriptions_judge(struct session *s)
{
	char text[FILTER_MAX];
	for (struct sub *sub = s->target.first, *next; sub; sub = next) {
		next = sub->sibling;
		struct edged_slice filter =
		        edged_slice(text, subs_text(&s->shard->subs, sub, text, sizeof(text)));
		if (rights_ask(s, EDGED_SUBSCRIBE, filter) == 0)
			remove_denied(s, sub, filter);
	}
}
