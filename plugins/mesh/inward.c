/* SPDX-License-Identifier: Apache-2.0 */
#include "inward.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "epochs.h"
#include "outward.h"

enum { NO_LOCAL = 4, AS_PUBLISHED = 8, RETAINED_NEVER = 0x20 }; /* options of SUBSCRIBE */
enum { REASON_NOT_TAKEN = 0x83 };                               /* implementation specific error */

/* --- what is owed ---------------------------------------------------------------------------------------------------------- */

/* All that was handed to the broker up to something is durable, or it could not be stored. */
static void kept(void *arg, int result)
{
	struct peer *p = arg;
	if (result)
		window_forget(&p->window);
	if (p->stale) {
		p->stale--;
		return;
	}
	if (result == -ECANCELED) /* the session is being closed */
		return;
	if (result) {
		peer_fail(p,
		        "our own broker could not store a message: %s; it stays there until there is room",
		        strerror(-result));
		p->stale--; /* this one */
		return;
	}
	struct due due = p->due[p->due_first];
	p->due_first = (p->due_first + 1) & (p->due_size - 1);
	p->due_count--;
	outward_ack(p, &(struct mesh_ack){ due.kind, due.reason, due.id });
}

/* For one more; most nodes never say anything that is to be acknowledged. */
static bool reserve(struct peer *p)
{
	if (p->due_count < p->due_size)
		return true;
	uint32_t size = p->due_size ? 2 * p->due_size : 16;
	struct due *due = malloc(size * sizeof(*due));
	if (!due)
		return false;
	for (uint32_t i = 0; i < p->due_count; i++)
		due[i] = p->due[(p->due_first + i) & (p->due_size - 1)];
	free(p->due);
	p->due = due;
	p->due_size = size;
	p->due_first = 0;
	return true;
}

static void owe(struct peer *p, uint8_t kind, uint16_t id, uint8_t reason)
{
	p->due[(p->due_first + p->due_count++) & (p->due_size - 1)] = (struct due){ id, kind, reason };
}

void inward_reset(struct peer *p)
{
	p->stale += p->due_count;
	p->due_count = p->due_first = 0;
	told_fini(&p->told);
}

/* Owed once all before it is: release() of an id that nobody has waits for just that. */
static void owe_later(struct peer *p, uint8_t kind, uint16_t id, uint8_t reason)
{
	const struct edged_session_1 *session = p->mesh->session;
	int r = session->release(session->ctx, p->session, kind == ACK_PUBCOMP ? id : 0, kept, p);
	if (r)
		peer_fail(p, "our own broker could not store what has to be kept: %s", strerror(-r));
	else
		owe(p, kind, id, reason);
}

/* --- messages -------------------------------------------------------------------------------------------------------------- */

static void refuse(struct peer *p, const struct mesh_message *m, int64_t *figure)
{
	count_one(figure);
	if (m->qos)
		owe_later(p, m->qos == 1 ? ACK_PUBACK : ACK_PUBREC, m->id, REASON_NOT_TAKEN);
}

static int hand_in(struct peer *p, const struct mesh_message *m)
{
	const struct edged_session_1 *session = p->mesh->session;
	const struct edged_session_message message = { .struct_size = sizeof(message),
		.topic = m->topic,
		.payload = m->payload,
		.props = m->props,
		.expiry = m->expiry,
		.qos = m->newer ? 1 : m->qos, /* also for subscribers who are away */
		.retain = m->retain,
		.stamp = m->stamp,
		.newer = m->newer,
		.share = m->share };
	uint64_t had = m->newer ? session->retained_version(session->ctx) : 0;
	int r = session->publish(
	        session->ctx, p->session, &message, m->qos == 2 ? m->id : 0, m->qos ? kept : NULL, p);
	if (m->newer && session->retained_version(session->ctx) != had)
		p->sync.learned = true;
	return r;
}

/* It comes again, and is none that was here. */
static void not_taken(struct peer *p, int error)
{
	window_forget(&p->window);
	peer_fail(p, "our own broker could not take a message: %s; it stays there until there is room",
	        strerror(-error));
}

static void take_message(struct peer *p, const struct mesh_message *m)
{
	count_one(p->figures->received);
	if (!topic_travels(&p->mesh->settings.travel, m->topic)) {
		refuse(p, m, p->figures->dropped_stays_in);
		return;
	}
	if (m->qos == 1 && window_meet(&p->window, m->number, m->share, m->topic, m->payload)) {
		count_one(p->figures->duplicates);
		owe_later(p, ACK_PUBACK, m->id, 0);
		return;
	}
	int r = hand_in(p, m);
	if (r == -EINVAL || r == -EMSGSIZE)
		refuse(p, m, p->figures->dropped_invalid);
	else if (r && m->qos)
		not_taken(p, r);
	else if (m->qos)
		owe(p, m->qos == 1 ? ACK_PUBACK : ACK_PUBREC, m->id, 0);
}

/* --- filters --------------------------------------------------------------------------------------------------------------- */

static void take_hello(struct peer *p, struct edged_slice body)
{
	if (p->greeted || !read_mesh_hello(body, &p->hello)) {
		peer_fail(p, "its greeting makes no sense; does it run the same version?");
		return;
	}
	p->greeted = true;
	window_begin(&p->window);
}

static void take_filters(struct peer *p, struct edged_slice body)
{
	struct reader r = reader(body.ptr, body.len);
	struct edged_slice filter;
	uint8_t level;
	int error = 0;
	while (!error && read_filter(&r, &filter, &level))
		error = told_set(&p->told, filter, level);
	if (error || r.failed)
		peer_fail(p, "its filters cannot be taken: %s",
		        error ? strerror(-error) : "they make no sense");
}

static uint8_t options_of(uint8_t level)
{
	return (uint8_t)(level - LEVEL_QOS0) | NO_LOCAL | AS_PUBLISHED | RETAINED_NEVER;
}

static int subscribe(struct peer *p, const char *const *filters, const uint8_t *levels, uint32_t count)
{
	const struct edged_session_1 *session = p->mesh->session;
	uint8_t options[TOLD_MOST];
	for (uint32_t i = 0; i < count; i++)
		options[i] = options_of(levels[i]);
	return session->subscribe(session->ctx, p->session, filters, options, count);
}

/* As many as our broker allows; else what covers them all. */
static int subscribe_all(struct peer *p)
{
	static const uint8_t levels[INTEREST_WIDE_COUNT] = { LEVEL_QOS2, LEVEL_QOS2 };
	int r = subscribe(p, (const char *const *)p->told.filters, p->told.levels, p->told.count);
	p->told_wide = r == -ENOSPC;
	return p->told_wide ? subscribe(p, interest_wide, levels, INTEREST_WIDE_COUNT) : r;
}

/* What comes new before what goes: nothing is missed where one filter takes the place of others. */
static int subscribe_changes(struct peer *p)
{
	const struct edged_session_1 *session = p->mesh->session;
	const struct told *told = &p->told;
	int r = 0;
	for (uint32_t i = 0; i < told->changed_count && !r; i++) {
		uint8_t level = told_level(told, edged_str(told->changed[i]));
		if (level)
			r = session->subscribe_one(
			        session->ctx, p->session, told->changed[i], options_of(level));
	}
	for (uint32_t i = 0; i < told->changed_count && !r; i++)
		if (!told_level(told, edged_str(told->changed[i])))
			r = session->unsubscribe_one(session->ctx, p->session, told->changed[i]);
	return r; /* -ENOENT: one that changed twice */
}

/* Only what has changed, as a rule: a node hears of each change on each of the others. */
static int subscribe_to_told(struct peer *p)
{
	int r = p->told.noted && !p->told_wide ? subscribe_changes(p) : -ENOSPC;
	if (r)
		r = subscribe_all(p);
	if (!r)
		told_settled(&p->told);
	return r;
}

static int attach(struct peer *p)
{
	struct mesh *m = p->mesh;
	uint16_t window = m->settings.in_flight < p->hello.window ? m->settings.in_flight : p->hello.window;
	bool anew = !epochs_same(m, p->id, p->hello.epoch);
	if (anew)
		window_forget(&p->window);
	return m->session->attach(m->session->ctx, p->session, window, anew);
}

static void take_complete(struct peer *p, struct edged_slice body)
{
	struct mesh_complete complete;
	bool first = p->state == PEER_GREETING;
	if (!read_mesh_complete(body, &complete) || complete.count != p->told.count ||
	        complete.digest != p->told.digest) {
		peer_fail(p, "what it told of its filters does not add up; all of it comes again");
		return;
	}
	int r = subscribe_to_told(p);
	if (!r && first)
		r = attach(p);
	if (r)
		peer_fail(p, "its filters cannot be kept: %s", strerror(-r));
	else if (first)
		peer_ready(p);
}

/* --- frames ---------------------------------------------------------------------------------------------------------------- */

static void take_ack(struct peer *p, struct edged_slice body)
{
	struct mesh_ack ack;
	if (!read_mesh_ack(body, &ack))
		peer_fail(p, "it sent an acknowledgement that makes no sense");
	else if (ack.kind == ACK_PUBREL)
		owe_later(p, ACK_PUBCOMP, ack.id, 0);
	else
		outward_acked(p, &ack);
}

static void take_message_frame(struct peer *p, struct edged_slice body)
{
	struct mesh_message m;
	if (!read_mesh_message(body, &m))
		peer_fail(p, "it sent a message that makes no sense");
	else
		take_message(p, &m);
}

static void take_digest(struct peer *p, struct edged_slice body)
{
	uint64_t parts[DIGEST_PARTS];
	if (!read_mesh_digest(body, parts))
		peer_fail(p, "it sent a digest that makes no sense");
	else
		sync_digest(p, parts);
}

static void take_channel(struct peer *p, struct edged_slice body)
{
	const struct edged_channel_1 *channel = p->mesh->channel;
	struct edged_slice name, bytes;
	if (!read_mesh_channel(body, &name, &bytes))
		peer_fail(p, "it sent something for a plugin that makes no sense");
	else
		channel->heard(channel->ctx, p->id, name, bytes);
}

static void take_ping(struct peer *p, struct edged_slice body)
{
	uint64_t sum;
	peer_pong(p);
	if (read_mesh_ping(body, &sum))
		sync_compare(p, sum);
}

/* Until both sides have told all their filters nothing else may come. Types that are not known are of later versions. */
void inward_frame(struct peer *p, const struct mesh_frame *f)
{
	if (f->type != FRAME_HELLO && !p->greeted) {
		peer_fail(p, "it does not greet; does it run the same version?");
		return;
	}
	if (p->due_count + p->stale >= p->due_most || !reserve(p)) {
		peer_fail(p, "it sends more than it may before there are acknowledgements, or than there is "
		             "memory for");
		return;
	}
	switch (f->type) {
	case FRAME_HELLO:
		take_hello(p, f->body);
		break;
	case FRAME_FILTERS:
		take_filters(p, f->body);
		break;
	case FRAME_COMPLETE:
		take_complete(p, f->body);
		break;
	case FRAME_MESSAGE:
		take_message_frame(p, f->body);
		break;
	case FRAME_ACK:
		take_ack(p, f->body);
		break;
	case FRAME_DIGEST:
		take_digest(p, f->body);
		break;
	case FRAME_CHANNEL:
		take_channel(p, f->body);
		break;
	case FRAME_PING:
		take_ping(p, f->body);
		break;
	case FRAME_SYNCED:
		sync_done(p);
		break;
	}
}
