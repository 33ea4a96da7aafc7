/* SPDX-License-Identifier: Apache-2.0 */
#include "outward.h"

#include <errno.h>
#include "epochs.h"

#define COPY_MAX 2048 /* a message up to this size is written as one piece */

/* --- filters --------------------------------------------------------------------------------------------------------------- */

/* FILTERS frames that are being written, to one node or to all that are connected. */
struct telling {
	struct mesh *mesh;
	struct peer *peer; /* NULL: all */
	size_t used;
	uint8_t body[FILTERS_BODY];
};

static void tell(const struct telling *t, const void *bytes, size_t n)
{
	if (t->peer)
		peer_write(t->peer, bytes, n);
	for (size_t i = 0; !t->peer && i < t->mesh->peer_count; i++)
		peer_write(t->mesh->peers[i], bytes, n);
}

static void tell_body(struct telling *t)
{
	uint8_t head[FRAME_HEAD];
	struct writer w = writer(head, sizeof(head));
	if (!t->used)
		return;
	write_frame_head(&w, FRAME_FILTERS, t->used);
	tell(t, head, sizeof(head));
	tell(t, t->body, t->used);
	t->used = 0;
}

static void tell_filter(void *arg, struct edged_slice filter, uint8_t level)
{
	struct telling *t = arg;
	if (t->used + FILTER_HEAD + filter.len > sizeof(t->body))
		tell_body(t);
	struct writer w = writer(t->body + t->used, sizeof(t->body) - t->used);
	write_filter(&w, filter, level);
	t->used += FILTER_HEAD + filter.len;
}

static void tell_end(struct telling *t)
{
	const struct interest *interest = t->mesh->interest;
	const struct mesh_complete complete = { interest_count(interest), interest_digest(interest) };
	uint8_t bytes[FRAME_HEAD + COMPLETE_BODY];
	struct writer w = writer(bytes, sizeof(bytes));
	tell_body(t);
	write_mesh_complete(&w, &complete);
	tell(t, bytes, sizeof(bytes));
}

void outward_greet(struct peer *p)
{
	const struct mesh *m = p->mesh;
	const struct mesh_hello hello = { m->settings.in_flight, m->settings.message,
		epochs_ours(m, p->session) };
	uint8_t bytes[FRAME_HEAD + HELLO_BODY];
	struct writer w = writer(bytes, sizeof(bytes));
	struct telling t = { .mesh = p->mesh, .peer = p };
	write_mesh_hello(&w, &hello);
	peer_write(p, bytes, sizeof(bytes));
	interest_each(m->interest, tell_filter, &t);
	tell_end(&t);
}

void outward_changes(struct mesh *m)
{
	struct telling t = { .mesh = m };
	if (!interest_flush(m->interest, tell_filter, &t))
		return;
	tell_end(&t);
}

/* --- messages -------------------------------------------------------------------------------------------------------------- */

static void write_message(struct peer *p, const struct mesh_message *m)
{
	uint8_t bytes[COPY_MAX];
	struct writer w = writer(bytes, sizeof(bytes));
	write_mesh_message_head(&w, m);
	size_t head = (size_t)(w.at - bytes);
	const struct edged_slice parts[] = { m->topic, m->props, m->payload };
	bool small = head + m->topic.len + m->props.len + m->payload.len <= sizeof(bytes);
	if (!small)
		peer_write(p, bytes, head);
	for (size_t i = 0; i < 3; i++) {
		if (!parts[i].len)
			continue;
		if (small)
			write_bytes(&w, parts[i].ptr, parts[i].len);
		else
			peer_write(p, parts[i].ptr, parts[i].len);
	}
	if (small)
		peer_write(p, bytes, (size_t)(w.at - bytes));
}

/* False: it does not go. */
static bool send_message(struct peer *p, const struct edged_session_message *message, struct mesh_message *m)
{
	m->number = message->number;
	m->expiry = message->expiry;
	m->retain = message->retain;
	m->stamp = message->stamp;
	m->share = message->share;
	m->topic = message->topic;
	m->props = message->props;
	m->payload = message->payload;
	if (!topic_travels(&p->mesh->settings.travel, m->topic)) {
		count_one(p->figures->dropped_stays_out);
		return false;
	}
	if (MESSAGE_FIXED + m->topic.len + m->props.len + m->payload.len > p->hello.most) {
		count_one(p->figures->dropped_size);
		return false;
	}
	write_message(p, m);
	count_one(p->figures->sent);
	return true;
}

static bool deliver(void *arg, const struct edged_session_message *message, uint16_t id, bool again)
{
	struct peer *p = arg;
	struct mesh_message m = { .id = id, .qos = message->qos };
	(void)again; /* the number tells */
	if (!send_message(p, message, &m))
		return false;
	if (p->stream && p->mesh->stream->is_full(p->stream))
		p->mesh->session->flow(p->mesh->session->ctx, p->session, false);
	return m.qos != 0;
}

void outward_missed(struct peer *p, const struct edged_session_message *message)
{
	struct mesh_message m = { .newer = true };
	(void)send_message(p, message, &m);
}

static void release(void *arg, uint16_t id)
{
	outward_ack(arg, &(struct mesh_ack){ ACK_PUBREL, 0, id });
}

/* The broker is in the midst of something: peer_tick() deals with it. */
static void detached(void *arg, int reason)
{
	struct peer *p = arg;
	p->detached = reason;
	mesh_wake(p->mesh);
}

static void queued(void *arg)
{
	const struct peer *p = arg;
	mesh_wake(p->mesh);
}

const struct edged_session_handler outward_handler = { .struct_size = sizeof(outward_handler),
	.deliver = deliver,
	.release = release,
	.detached = detached,
	.queued = queued };

/* --- what plugins say ------------------------------------------------------------------------------------------------------ */

/* Subscriptions that were made before go before. */
static int say(void *arg, const char *node, struct edged_slice name, struct edged_slice bytes)
{
	struct mesh *m = arg;
	struct peer *p = mesh_find(m, node);
	uint8_t head[FRAME_HEAD + CHANNEL_HEAD];
	struct writer w = writer(head, sizeof(head));
	if (!p || p->state != PEER_CONNECTED || !p->stream)
		return -EHOSTUNREACH;
	if (name.len > CHANNEL_NAME_MAX || 1 + name.len + bytes.len > p->hello.most)
		return -EMSGSIZE;
	outward_changes(m);
	write_mesh_channel_head(&w, name, bytes.len);
	peer_write(p, head, (size_t)(w.at - head));
	peer_write(p, bytes.ptr, bytes.len);
	return m->stream->is_full(p->stream) ? EDGED_CHANNEL_FULL : 0;
}

const struct edged_channel_carrier outward_carrier = { .struct_size = sizeof(outward_carrier), .say = say };

/* --- acknowledgements ------------------------------------------------------------------------------------------------------ */

void outward_ack(struct peer *p, const struct mesh_ack *ack)
{
	uint8_t bytes[FRAME_HEAD + ACK_BODY];
	struct writer w = writer(bytes, sizeof(bytes));
	write_mesh_ack(&w, ack);
	peer_write(p, bytes, sizeof(bytes));
}

/* What is not known any more was dropped here meanwhile. */
void outward_acked(struct peer *p, const struct mesh_ack *ack)
{
	const struct edged_session_1 *session = p->mesh->session;
	int known = ack->kind == ACK_PUBACK ? session->puback(session->ctx, p->session, ack->id)
	            : ack->kind == ACK_PUBREC
	                    ? session->pubrec(session->ctx, p->session, ack->id, ack->reason)
	                    : session->pubcomp(session->ctx, p->session, ack->id);
	if (known == 0 && ack->reason >= 0x80)
		count_one(p->figures->dropped_refused);
}
