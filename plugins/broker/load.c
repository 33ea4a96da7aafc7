/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "load.h"
#include "persist.h"
#include "replay.h"
#include "rights.h"
#include "shard.h"
#include "stamp.h"

/* What was read so far; the arrays are sorted by row, to be searched when later tables refer to them. */
struct load {
	struct broker *broker;
	void (*done)(struct broker *broker, int result, const char *why);
	struct session **sessions;
	size_t session_count, session_size;
	struct replay *replay;
	uint64_t highest; /* row */
	unsigned table, damaged, strange;
	int result;
};

static int append(void *array, size_t *count, size_t *size, void *item)
{
	void ***items = array;
	if (*count == *size) {
		size_t more = *size ? *size * 2 : 64;
		void **p = realloc(*items, more * sizeof(void *));
		if (!p)
			return -ENOMEM;
		*items = p;
		*size = more;
	}
	(*items)[(*count)++] = item;
	return 0;
}

static void note_row(struct load *load, uint64_t row)
{
	if (row > load->highest)
		load->highest = row;
}

/* A row that makes no sense goes, so that it is met only once. */
static int discard(struct load *load, const char *table, struct edged_slice key)
{
	load->damaged++;
	return load->broker->store->del(load->broker->host, table, key);
}

static struct session *session_of_row(void *arg, uint64_t row)
{
	const struct load *load = arg;
	size_t low = 0, high = load->session_count;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (load->sessions[mid]->row == row)
			return load->sessions[mid];
		if (load->sessions[mid]->row < row)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* --- one function for each table ------------------------------------------------------------------------------------------ */

/* It was connected when the daemon died. */
static bool cut_off(const struct session_row *row)
{
	return row->expiry != EXPIRY_NEVER && row->away_since == 0;
}

/* Seconds that are left of a session's life. One that was cut off is away from now on. */
static uint32_t time_left(const struct session_row *row)
{
	uint64_t now = wall_ms();
	if (row->expiry == EXPIRY_NEVER || cut_off(row) || row->away_since > now)
		return row->expiry;
	uint64_t gone = (now - row->away_since) / 1000;
	return gone < row->expiry ? row->expiry - (uint32_t)gone : 0;
}

static int read_session(struct load *load, struct edged_slice key, struct edged_slice value)
{
	struct broker *broker = load->broker;
	struct session_row row;
	if (!read_session_row(value, &row) || !utf8_valid(key))
		return discard(load, "sessions", key);
	struct shard *shard = broker->shards[shard_of(broker, key)];
	struct session *s = session_new(shard, key);
	if (!s)
		return -ENOMEM;
	s->row = row.row;
	s->expiry = row.expiry;
	s->version = row.version;
	if (row.principal.len && !(s->standing = standing_new(broker, NULL, row.principal)))
		return -ENOMEM;
	__atomic_fetch_add(&shard->durable, 1, __ATOMIC_RELAXED);
	s->ends = session_ends(shard_now(shard), time_left(&row));
	s->unsaved = cut_off(&row);
	note_row(load, row.row);
	return append(&load->sessions, &load->session_count, &load->session_size, s);
}

static int by_row(const void *a, const void *b)
{
	const struct session *const *x = a, *const *y = b;
	return (*x)->row < (*y)->row ? -1 : (*x)->row > (*y)->row;
}

static int read_sub(struct load *load, struct edged_slice key, struct edged_slice value)
{
	struct sub_row row;
	struct filter filter;
	struct sub *sub;
	struct session *s = NULL;
	if (read_sub_row(key, value, &row) && filter_parse(row.filter, &load->broker->limits.topic, &filter))
		s = session_of_row(load, row.session);
	if (!s)
		return discard(load, "subs", key);
	int r = subs_add(&s->shard->subs, &s->target, &filter, row.options, row.id, &sub);
	if (r == 0)
		shard_subs_changed(s->shard, 1);
	if (r >= 0 && filter.group.len && load->broker->shard_count > 1)
		r = shared_add(s, &filter, row.options, row.id);
	return r < 0 ? r : 0;
}

static int read_retained(struct load *load, struct edged_slice key, struct edged_slice value)
{
	struct message *m = read_message(load->broker, value);
	if (!m)
		return discard(load, "retained", key);
	if (!m->payload_len && !m->stamp) {
		message_unref(m);
		return discard(load, "retained", key);
	}
	struct retained *retained = &load->broker->shards[0]->retained;
	stamp_restore(load->broker, m->stamp);
	int r = m->payload_len ? retained_set(retained, m) : retained_bury(retained, key, m->stamp);
	message_unref(m);
	return r;
}

static int read_user(struct load *load, struct edged_slice key, struct edged_slice value)
{
	struct credential credential;
	if (!read_user_row(value, &credential) || !user_name_valid(key))
		return discard(load, "users", key);
	return users_set(&load->broker->users, key, &credential);
}

static int read_clock(struct load *load, struct edged_slice key, struct edged_slice value)
{
	uint64_t reserved;
	if (!read_clock_row(value, &reserved))
		return discard(load, "clock", key);
	stamp_restore_reserved(load->broker, reserved);
	return 0;
}

/* --- the sequence ---------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int (*read)(struct load *load, struct edged_slice key, struct edged_slice value);
} tables[] = {
	{ "sessions", read_session },
	{ "subs", read_sub },
	{ "retained", read_retained },
	{ "users", read_user },
	{ "clock", read_clock },
};
enum { TABLES = sizeof(tables) / sizeof(tables[0]) };

/* Sessions that have ended meanwhile go. */
static void settle(struct load *load)
{
	struct broker *broker = load->broker;
	broker->next_row = load->highest + 1;
	for (size_t i = 0; i < load->session_count; i++) {
		struct session *s = load->sessions[i];
		if (s->ends != EXPIRY_NEVER)
			shard_alarm(s->shard, s, s->ends);
	}
	const struct retained *retained = &broker->shards[0]->retained;
	edged_metric_set(broker->figures.retained_messages, (int64_t)retained->count);
	edged_metric_set(broker->figures.retained_bytes, (int64_t)retained->bytes);
	if (load->damaged)
		broker->log->log(broker->host, EDGED_WARNING, "%u stored rows made no sense and were removed",
		        load->damaged);
	if (load->strange)
		broker->log->log(broker->host, EDGED_WARNING,
		        "%u records of queued messages made no sense and were left out", load->strange);
	if (load->session_count || retained->count)
		broker->log->log(broker->host, EDGED_INFO, "%zu sessions and %zu retained messages restored",
		        load->session_count, retained->count);
}

static void go_on(struct load *load)
{
	settle(load);
	load->done(load->broker, 0, NULL);
}

static void noted(void *arg, int result)
{
	struct load *load = arg;
	const struct broker *broker = load->broker;
	for (size_t i = 0; i < load->session_count && !result; i++)
		load->sessions[i]->unsaved = false;
	if (result) {
		count_one(broker->figures.store_failures);
		broker->log->log(broker->host, EDGED_WARNING,
		        "since when clients are away could not be stored (%s): their sessions live longer if "
		        "the daemon dies again",
		        strerror(-result));
	}
	go_on(load);
}

/* A session that was cut off is away from now on, also if the daemon dies again: or one that dies often would keep it for
 * ever. What cannot be stored now goes with the next write for that session. */
static void note_away(struct load *load)
{
	const struct broker *broker = load->broker;
	bool any = false;
	int r = 0;
	for (size_t i = 0; i < load->session_count && !r; i++) {
		struct session *s = load->sessions[i];
		any |= s->unsaved;
		r = s->unsaved ? persist_session_row(s) : 0;
	}
	if (!any)
		go_on(load);
	else if (r || (r = broker->store->commit(broker->host, noted, load)) != 0)
		noted(load, r);
}

static int row(void *arg, struct edged_slice key, struct edged_slice value)
{
	struct load *load = arg;
	load->result = tables[load->table].read(load, key, value);
	return load->result;
}

static void finish(struct load *load, int result)
{
	if (result)
		load->done(load->broker, result,
		        "the stored sessions and messages could not be read; see the log of the store");
	else
		note_away(load);
}

static int record(void *arg, struct edged_slice bytes)
{
	struct load *load = arg;
	load->result = replay_record(load->replay, bytes);
	return load->result;
}

static void replayed(void *arg, int result)
{
	struct load *load = arg;
	uint64_t highest = 0;
	if (!result)
		result = load->result;
	if (!result)
		result = replay_finish(load->replay, &load->strange, &highest);
	note_row(load, highest);
	finish(load, result);
}

static void read_log(struct load *load)
{
	const struct broker *broker = load->broker;
	int r = -ENOMEM;
	load->replay = replay_new(load->broker, session_of_row, load);
	if (load->replay)
		r = broker->store->replay(broker->host, MESSAGE_LOG, record, replayed, load);
	if (r)
		finish(load, r);
}

static void next_table(struct load *load);

static void end(void *arg, int result)
{
	struct load *load = arg;
	if (!result)
		result = load->result;
	if (load->table == 0 && load->session_count)
		qsort(load->sessions, load->session_count, sizeof(struct session *), by_row);
	if (result)
		finish(load, result);
	else if (++load->table == TABLES)
		read_log(load);
	else
		next_table(load);
}

static void next_table(struct load *load)
{
	struct edged_slice all = edged_slice(NULL, 0);
	const struct broker *broker = load->broker;
	int r = broker->store->scan(broker->host, tables[load->table].name, all, all, 0, row, end, load);
	if (r)
		finish(load, r);
}

int load_start(struct broker *broker, void (*done)(struct broker *broker, int result, const char *why))
{
	struct load *load = calloc(1, sizeof(*load));
	if (!load)
		return -ENOMEM;
	load->broker = broker;
	load->done = done;
	broker->load = load;
	struct edged_slice all = edged_slice(NULL, 0);
	return broker->store->scan(broker->host, tables[0].name, all, all, 0, row, end, load);
}

void load_free(struct load *load)
{
	if (!load)
		return;
	replay_free(load->replay);
	free(load->sessions);
	free(load);
}
