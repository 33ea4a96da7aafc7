/* SPDX-License-Identifier: Apache-2.0 */
#include "stored.h"

#include "client.h"
#include "queue.h"
#include "shard.h"

static bool held_back(const struct session *s)
{
	return s->flight && s->flight->stored && !s->client->stored_left;
}

/* Only QoS 1 is given up: QoS 2 may be half done. */
static uint32_t stale_at(const struct session *s)
{
	uint32_t retry = s->shard->broker->limits.retry;
	if (!retry || !s->flight || !s->flight->count || flight_at(s->flight, 0)->qos != 1)
		return EXPIRY_NEVER;
	return flight_at(s->flight, 0)->since + retry;
}

uint32_t stored_due(const struct session *s)
{
	uint32_t stale = stale_at(s);
	return held_back(s) && s->client->stored_at < stale ? s->client->stored_at : stale;
}

void stored_begin(struct session *s)
{
	const struct limits *limits = &s->shard->broker->limits;
	struct flight *f = s->flight;
	s->client->stored_left = (uint16_t)limits->stored;
	if (f && limits->stored)
		f->stored = f->count;
	for (uint32_t i = 0; f && limits->retry && i < f->count; i++)
		flight_at(f, i)->since = shard_now(s->shard);
}

void stored_spent(struct session *s)
{
	if (!held_back(s))
		return;
	/* Not in the second that begins now, of which a part may already be in use. */
	s->client->stored_at = shard_now(s->shard) + 2;
	session_watch(s);
}

void stored_alarm(struct session *s)
{
	uint32_t now = shard_now(s->shard);
	bool room = false, more = held_back(s) && s->client->stored_at <= now;
	for (; stale_at(s) <= now; room = true)
		queue_give_up(s);
	if (more)
		s->client->stored_left = (uint16_t)s->shard->broker->limits.stored;
	if (more || room)
		session_pump(s);
	if (more && s->client && held_back(s)) /* all in one go, as this second began */
		s->client->stored_at = now + 1;
}
