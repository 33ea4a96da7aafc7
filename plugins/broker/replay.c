/* SPDX-License-Identifier: Apache-2.0 */
#include "replay.h"

#include <errno.h>
#include <string.h>

#include "index.h"
#include "persist.h"
#include "queue.h"
#include "shard.h"

struct kept { /* an entry, as its last record said */
	struct session *session;
	uint64_t seq, at; /* at: the how-manieth record it was */
	size_t len;
	char bytes[];
};

struct replay {
	struct broker *broker;
	struct session *(*session_of)(void *arg, uint64_t row);
	void *arg;
	struct index messages; /* number, 0: struct message */
	struct index entries;  /* session, number: struct kept */
	struct index anew;     /* session, 0: struct kept, behind which its entries count */
	uint64_t at;
	unsigned strange;
	uint64_t highest;
};

struct replay *replay_new(
        struct broker *broker, struct session *(*session_of)(void *arg, uint64_t row), void *arg)
{
	struct replay *replay = calloc(1, sizeof(*replay));
	if (!replay)
		return NULL;
	replay->broker = broker;
	replay->session_of = session_of;
	replay->arg = arg;
	return replay;
}

void replay_free(struct replay *replay)
{
	if (!replay)
		return;
	for (size_t i = 0; i < replay->entries.size; i++)
		free(replay->entries.slots[i].value);
	for (size_t i = 0; i < replay->anew.size; i++)
		free(replay->anew.slots[i].value);
	for (size_t i = 0; i < replay->messages.size; i++)
		message_unref(replay->messages.slots[i].value);
	index_fini(&replay->entries);
	index_fini(&replay->anew);
	index_fini(&replay->messages);
	free(replay);
}

static void note(struct replay *replay, uint64_t number)
{
	if (number > replay->highest)
		replay->highest = number;
}

static int keep_message(struct replay *replay, const struct record *record)
{
	void *old;
	struct message *m = read_message(replay->broker, record->body);
	if (!m) {
		replay->strange++;
		return 0;
	}
	message_settle(m, replay->broker->home, record->message);
	int r = index_set(&replay->messages, m->row, 0, m, &old);
	message_unref(r ? m : old);
	return r;
}

static int keep(
        struct replay *replay, struct index *index, const struct record *record, struct edged_slice bytes)
{
	void *old;
	struct session *s = replay->session_of(replay->arg, record->session);
	if (!s)
		return 0;
	struct kept *kept = malloc(sizeof(*kept) + bytes.len);
	if (!kept)
		return -ENOMEM;
	*kept = (struct kept){ s, record->seq, replay->at, bytes.len };
	memcpy(kept->bytes, bytes.ptr, bytes.len);
	int r = index_set(index, record->session, record->seq, kept, &old);
	free(r ? kept : old);
	return r;
}

static bool is_over(const struct replay *replay, const struct kept *kept)
{
	const struct kept *anew = index_get(&replay->anew, kept->session->row, 0);
	return anew && kept->at < anew->at;
}

static int keep_incoming(struct replay *replay, const struct record *record)
{
	struct session *s = replay->session_of(replay->arg, record->session);
	if (s && !s->flight && !(s->flight = flight_new()))
		return -ENOMEM;
	if (s && record->type == RECORD_INCOMING_GONE)
		(void)flight_drop_incoming(s->flight, record->id);
	else if (s && !flight_incoming(s->flight, record->id))
		return flight_add_incoming(s->flight, record->id, INCOMING_KEPT);
	return 0;
}

int replay_record(struct replay *replay, struct edged_slice bytes)
{
	struct record record;
	if (!read_record(bytes, &record)) {
		replay->strange++;
		return 0;
	}
	replay->at++;
	note(replay, record.session);
	note(replay, record.seq);
	note(replay, record.message);
	switch (record.type) {
	case RECORD_MESSAGE:
		return keep_message(replay, &record);
	case RECORD_ENTRY:
		return keep(replay, &replay->entries, &record, bytes);
	case RECORD_ENTRY_GONE:
		if (!record.seq)
			return keep(replay, &replay->anew, &record, bytes);
		free(index_take(&replay->entries, record.session, record.seq));
		return 0;
	case RECORD_INCOMING:
	case RECORD_INCOMING_GONE:
		return keep_incoming(replay, &record);
	}
	return 0;
}

/* --- in the end ---------------------------------------------------------------------------------------------------------- */

static int by_session_and_number(const void *a, const void *b)
{
	const struct kept *const *x = a, *const *y = b;
	uint64_t p = (*x)->session->row, q = (*y)->session->row;
	if (p == q) {
		p = (*x)->seq;
		q = (*y)->seq;
	}
	return p < q ? -1 : p > q;
}

static int restore(struct replay *replay, const struct kept *kept)
{
	struct record record;
	(void)read_record(edged_slice(kept->bytes, kept->len), &record);
	struct message *m = record.message ? index_get(&replay->messages, record.message, 0) : NULL;
	if (!m && record.message) { /* it was damaged */
		replay->strange++;
		return 0;
	}
	return queue_restore(kept->session, m, &record);
}

int replay_finish(struct replay *replay, unsigned *ret_strange, uint64_t *ret_highest)
{
	size_t n = 0;
	struct kept **all = malloc((replay->entries.count + 1) * sizeof(struct kept *));
	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < replay->entries.size; i++)
		if (replay->entries.slots[i].value && !is_over(replay, replay->entries.slots[i].value))
			all[n++] = replay->entries.slots[i].value;
	qsort(all, n, sizeof(struct kept *), by_session_and_number);
	int r = 0;
	for (size_t i = 0; i < n && !r; i++)
		r = restore(replay, all[i]);
	free(all);
	*ret_strange = replay->strange;
	*ret_highest = replay->highest;
	return r;
}
