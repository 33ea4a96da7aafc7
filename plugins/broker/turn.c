/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "client.h"
#include "parcel.h"
#include "persist.h"
#include "queue.h"
#include "shard.h"
#include "stamp.h"

/* A QoS 2 message is on the disk, or cannot be. */
static void settle_incoming(struct session *s, uint16_t id, int result, bool resends)
{
	struct incoming *in = flight_incoming(s->flight, id);
	struct client *client = in && in->again && !s->dead ? s->client : NULL;
	if (in)
		in->again = false;
	if (client && result && client->version != MQTT_5)
		client_close(client, REASON_QUOTA);
	else if (client)
		client_send_ack(client, PUBREC, id, result ? REASON_QUOTA : REASON_OK);
	if (in && (!result || resends))
		in->kept = result ? INCOMING_FAILED : INCOMING_KEPT;
	else if (in)
		persist_incoming_refused(s, id);
}

static void acknowledge(const struct todo *todo, struct client *client, int result)
{
	struct session *session = todo->session;
	session->unanswered--;
	if (todo->packet == PUBACK && todo->epoch == session->epoch)
		session->unacked--;
	uint8_t reason = result ? REASON_QUOTA : todo->reason;
	/* Who gets to hear "no" may use the id for another message. Else the message comes again, and is known: see
	 * store_again(). (With several loops the others do not know it; it may come twice then.) */
	bool resends = session->row && session->version != MQTT_5 && session->shard->broker->shard_count == 1;
	if (todo->packet == PUBREC && session->flight)
		settle_incoming(session, todo->id, result, resends);
	if (result && todo->packet == PUBCOMP && session->flight)
		(void)flight_add_incoming(session->flight, todo->id, INCOMING_KEPT); /* it was not released */
	if (!client)
		return;
	/* It has no way to hear "no", and sends the packet again when it is back. */
	if (result && (client->version != MQTT_5 || todo->packet == PUBCOMP))
		client_close(client, REASON_QUOTA);
	else
		client_send_ack(client, todo->packet, todo->id, reason);
	client_relieved(client);
}

static void send_codes(const struct todo *todo, struct client *client, int result)
{
	if (client && result) {
		client_close(client, REASON_QUOTA); /* what it blocked goes with the connection */
	} else if (client) {
		client_write(client, todo->arg, todo->bytes);
		if (todo->reason)
			session_unblock(todo->session);
	}
	free(todo->arg);
}

static void run(const struct todo *todo, int result)
{
	struct session *session = todo->session;
	struct client *client = NULL;
	if (session && !session->dead && session->epoch == todo->epoch)
		client = session->client;
	switch ((enum todo_kind)todo->kind) {
	case TODO_ACK:
		acknowledge(todo, client, result);
		break;
	case TODO_CODES:
		send_codes(todo, client, result);
		break;
	case TODO_CONNACK:
		if (client)
			client_accepted(client, result);
		break;
	case TODO_SAVED:
		if (!session->dead)
			session_saved(session, todo->id, result);
		break;
	case TODO_CALL:
		todo->fn(todo->arg, result);
		break;
	case TODO_ANSWER: /* was run by answer_parcels() */
		break;
	}
	if (session)
		session_release(session);
}

/* A message that another shard refused (-ENOBUFS) is the publisher's business only. */
static int not_stored(const struct turn *turn)
{
	return turn->result == -ENOBUFS ? 0 : turn->result;
}

/* What a commit that failed should have stored is still not on the disk: the next write for that session stores all
 * of it again, so that nothing acknowledged later hangs in the air. */
static void settle(struct turn *turn)
{
	for (uint32_t i = 0; i < turn->touched_count; i++) {
		struct touched *t = &turn->touched[i];
		if (not_stored(turn))
			turn->shard->unsaved = t->session->unsaved = true;
		else if (t->whole)
			t->session->unsaved = false;
		session_release(t->session);
	}
	free(turn->touched);
}

void turn_touch(struct session *session)
{
	struct shard *shard = session->shard;
	if (session->touched)
		return;
	if (shard->touched_count == shard->touched_size) {
		uint32_t size = shard->touched_size ? shard->touched_size * 2 : 16;
		struct touched *touched = realloc(shard->touched, size * sizeof(*touched));
		if (!touched)
			return; /* only if that commit fails, too, something is missing */
		shard->touched = touched;
		shard->touched_size = size;
	}
	session->touched = true;
	session_hold(session);
	shard->touched[shard->touched_count++] = (struct touched){ session, false };
}

/* The writes since the last commit belong to this turn. */
static void take_touched(struct shard *shard, struct turn *turn)
{
	for (uint32_t i = 0; i < shard->touched_count; i++) {
		struct touched *t = &shard->touched[i];
		t->whole = t->session->whole;
		t->session->touched = t->session->whole = false;
	}
	turn->touched = shard->touched;
	turn->touched_count = shard->touched_count;
	shard->touched = NULL;
	shard->touched_count = shard->touched_size = 0;
}

/* The disk takes something again: what it lacks goes there now, since sessions may not be written for long. */
static void catch_up(struct shard *shard)
{
	shard->unsaved = false;
	if (persist_unsaved(shard) || turn_wrote(shard))
		shard->unsaved = true;
}

/* Runs what belongs to the turns that are complete, in order. */
static void complete(struct shard *shard)
{
	while (shard->first && shard->first->pending == 0) {
		struct turn *turn = shard->first;
		shard->first = turn->next;
		if (!shard->first)
			shard->last = NULL;
		if (not_stored(turn)) {
			count_one(shard->broker->figures.store_failures);
			stamp_reserve_again(shard->broker);
		}
		removals_done(shard, turn->removals, not_stored(turn));
		settle(turn);
		for (uint32_t i = 0; i < turn->count; i++)
			run(&turn->todos[i], turn->result);
		if (shard->unsaved && turn->dirty && !turn->result)
			catch_up(shard);
		free(turn->todos);
		free(turn);
	}
}

void turn_report(struct turn *turn, int result)
{
	if (result && !not_stored(turn))
		turn->result = result;
	turn->pending--;
	complete(turn->shard);
}

static void answer_parcels(struct turn *turn, int result)
{
	for (uint32_t i = 0; i < turn->count; i++) {
		struct todo *todo = &turn->todos[i];
		void (*fn)(void *arg, int result) = todo->kind == TODO_ANSWER ? todo->fn : NULL;
		if (!fn)
			continue;
		todo->fn = NULL;
		fn(todo->arg, result);
	}
}

static void committed(void *arg, int result)
{
	answer_parcels(arg, result);
	turn_report(arg, result);
}

static int commit(const struct broker *broker, struct turn *turn)
{
	if (turn->joint)
		return broker->store->commit_joint(broker->host, turn->joint, committed, turn);
	return broker->store->commit(broker->host, committed, turn);
}

static void turn_end(void *arg)
{
	struct shard *shard = arg;
	struct turn *turn = shard->turn;
	shard->turn = NULL;
	parcels_post(shard, turn);
	if (!turn)
		return;
	if (shard->last)
		shard->last->next = turn;
	else
		shard->first = turn;
	shard->last = turn;
	if (turn->dirty) {
		turn->pending++;
		turn->removals = removals_take(shard);
		take_touched(shard, turn);
		int r = commit(shard->broker, turn);
		if (r)
			committed(turn, r);
		compact_check(shard);
	} else {
		answer_parcels(turn, 0);
	}
	complete(shard);
}

static struct turn *current(struct shard *shard)
{
	if (shard->turn)
		return shard->turn;
	struct turn *turn = calloc(1, sizeof(*turn));
	if (!turn)
		return NULL;
	turn->shard = shard;
	if (shard->broker->loop->defer(shard->broker->host, turn_end, shard)) {
		free(turn);
		return NULL;
	}
	return shard->turn = turn;
}

void turn_close(struct shard *shard)
{
	if (!shard->turn)
		return;
	shard->broker->loop->defer_cancel(shard->broker->host, shard);
	turn_end(shard);
}

void turn_close_joint(struct shard *shard, struct edged_joint *joint)
{
	struct turn *turn = current(shard);
	if (!turn) {
		shard->broker->store->leave_joint(shard->broker->host, joint);
		return;
	}
	turn->dirty = true;
	turn->joint = joint;
	turn_close(shard);
}

int turn_wrote(struct shard *shard)
{
	struct turn *turn = current(shard);
	if (!turn)
		return -ENOMEM;
	turn->dirty = true;
	return 0;
}

int turn_todo(struct shard *shard, const struct todo *todo)
{
	struct turn *turn = current(shard);
	if (!turn)
		return -ENOMEM;
	if (turn->count == turn->size) {
		uint32_t size = turn->size ? turn->size * 2 : 8;
		struct todo *todos = realloc(turn->todos, size * sizeof(*todos));
		if (!todos)
			return -ENOMEM;
		turn->todos = todos;
		turn->size = size;
	}
	turn->todos[turn->count++] = *todo;
	if (todo->session)
		session_hold(todo->session);
	return 0;
}

int turn_start(struct shard *shard)
{
	return current(shard) ? 0 : -ENOMEM;
}

static void turn_free(struct turn *turn)
{
	for (uint32_t i = 0; i < turn->count; i++) {
		if (turn->todos[i].kind == TODO_CODES)
			free(turn->todos[i].arg);
		if (turn->todos[i].fn)
			turn->todos[i].fn(turn->todos[i].arg, -ECANCELED);
		if (turn->todos[i].session)
			session_release(turn->todos[i].session);
	}
	free(turn->todos);
	removals_free(turn->removals);
	settle(turn);
	free(turn);
}

void turns_free(struct shard *shard)
{
	removals_free(shard->removals.queued);
	removals_free(shard->removals.failed);
	for (uint32_t i = 0; i < shard->touched_count; i++)
		session_release(shard->touched[i].session);
	free(shard->touched);
	shard->touched = NULL;
	shard->touched_count = 0;
	if (shard->turn) {
		shard->broker->loop->defer_cancel(shard->broker->host, shard);
		turn_free(shard->turn);
		shard->turn = NULL;
	}
	while (shard->first) {
		struct turn *next = shard->first->next;
		turn_free(shard->first);
		shard->first = next;
	}
	shard->last = NULL;
}
