/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_host.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "edged/cap_config.h"
#include "edged/cap_log.h"
#include "edged/cap_loop.h"
#include "edged/cap_metrics.h"
#include "fake_auth.h"
#include "fake_http.h"
#include "fake_private.h"
#include "fake_words.h"
#include "fake_work.h"
#include "heap.h"

/* --- log, config, metrics -------------------------------------------------------------------------------------------------- */

static int64_t config_integer(struct edged_host *host, const char *name)
{
	return fake_setting(fake(host)->settings, fake(host)->plugin->settings, name);
}

static const char *config_string(struct edged_host *host, const char *name)
{
	return fake_text(fake(host)->settings, fake(host)->plugin->settings, name);
}

static struct edged_slice config_json(struct edged_host *host, const char *name)
{
	return fake_json(fake(host)->plugin->settings, name);
}

static const struct edged_config_1 config_cap = { .struct_size = sizeof(config_cap),
	.string = config_string,
	.integer = config_integer,
	.json = config_json };

static int64_t *figure(struct edged_host *host, enum edged_metric_type type, const char *name,
        const char *labels, const char *help)
{
	(void)type;
	(void)help;
	struct fake_host *f = fake(host);
	assert(f->figure_count < MAX_FIGURES);
	snprintf(f->figures[f->figure_count].name, 100, "%s{%s}", name, labels ? labels : "");
	return &f->figures[f->figure_count++].word;
}

static const struct edged_metrics_1 metrics_cap = { sizeof(metrics_cap), figure };

static const int64_t *find_figure(const struct fake_host *host, const char *name, const char *labels)
{
	char full[100];
	snprintf(full, sizeof(full), "%s{%s}", name, labels ? labels : "");
	for (size_t i = 0; i < host->figure_count; i++)
		if (strcmp(host->figures[i].name, full) == 0)
			return &host->figures[i].word;
	return NULL;
}

bool fake_has_figure(const struct fake_host *host, const char *name, const char *labels)
{
	return find_figure(host, name, labels) != NULL;
}

int64_t fake_figure(const struct fake_host *host, const char *name, const char *labels)
{
	const int64_t *word = find_figure(host, name, labels);
	if (word)
		return *word;
	fprintf(stderr, "no figure %s{%s}\n", name, labels ? labels : "");
	abort();
}

/* --- loops ------------------------------------------------------------------------------------------------------------------ */

static unsigned loop_count(struct edged_host *host)
{
	return fake(host)->loops;
}

static unsigned loop_self(struct edged_host *host)
{
	return fake(host)->loop;
}

static uint64_t loop_now(struct edged_host *host)
{
	return fake(host)->now;
}

static struct edged_timer *timer_new(struct edged_host *host, void (*fire)(void *arg), void *arg)
{
	struct edged_timer *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	*t = (struct edged_timer){ fake(host)->timers, fake(host), fake(host)->loop, fire, arg, 0 };
	return fake(host)->timers = t;
}

static void timer_set(struct edged_timer *t, uint64_t ms)
{
	assert(t->host->loop == t->loop);
	t->due = t->host->now + ms + (ms == 0);
}

static void timer_cancel(struct edged_timer *t)
{
	t->due = 0;
}

static void timer_free(struct edged_timer *t)
{
	if (!t)
		return;
	struct edged_timer **at = &t->host->timers;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	free(t);
}

static int add_call(
        struct call **at, unsigned loop, void (*fn)(void *arg), void (*drop)(void *arg), void *arg)
{
	struct call *call = malloc(sizeof(*call));
	if (!call)
		return -ENOMEM;
	*call = (struct call){ NULL, loop, fn, drop, arg };
	while (*at)
		at = &(*at)->next;
	*at = call;
	return 0;
}

static int loop_post(
        struct edged_host *host, unsigned loop, void (*fn)(void *arg), void (*drop)(void *arg), void *arg)
{
	assert(loop < fake(host)->loops);
	return add_call(&fake(host)->posts, loop, fn, drop, arg);
}

static int loop_defer(struct edged_host *host, void (*fn)(void *arg), void *arg)
{
	for (const struct call *call = fake(host)->deferred; call; call = call->next)
		if (call->fn == fn && call->arg == arg)
			return 0;
	return add_call(&fake(host)->deferred, fake(host)->loop, fn, NULL, arg);
}

static void defer_cancel(struct edged_host *host, void *arg)
{
	for (struct call **at = &fake(host)->deferred; *at;) {
		struct call *call = *at;
		if (call->arg != arg) {
			at = &call->next;
			continue;
		}
		*at = call->next;
		free(call);
	}
}

static const struct edged_loop_1 loop_cap = {
	.struct_size = sizeof(loop_cap),
	.loop_count = loop_count,
	.loop_self = loop_self,
	.now = loop_now,
	.timer_new = timer_new,
	.timer_set = timer_set,
	.timer_cancel = timer_cancel,
	.timer_free = timer_free,
	.post = loop_post,
	.defer = loop_defer,
	.defer_cancel = defer_cancel,
};

/* --- streams ---------------------------------------------------------------------------------------------------------------- */

struct fake_peer { /* also the stream */
	struct fake_peer *next;
	struct fake_host *host;
	struct edged_peer peer;
	const struct edged_stream_handler *handler;
	void *conn;
	unsigned loop, to;
	uint8_t *in, *out;
	size_t in_len, in_seen, out_len, out_taken, low, high, read_limit;
	uint64_t deadline;
	void (*arrived)(void *conn);
	bool open, closing, paused, moving, blocked, was_full, full_end;
	int reason;
};

static struct fake_peer *peer_of(const struct edged_stream *stream)
{
	return (struct fake_peer *)(uintptr_t)stream;
}

static int stream_serve(
        struct edged_host *host, const char *protocol, const struct edged_stream_handler *handler, void *self)
{
	(void)protocol; /* a host's plugin has one */
	fake(host)->handler = handler;
	fake(host)->handler_self = self;
	return 0;
}

static size_t stream_queued(const struct edged_stream *stream)
{
	const struct fake_peer *p = peer_of(stream);
	return p->blocked ? p->out_len - p->out_taken : 0;
}

static int stream_write(struct edged_stream *stream, const void *bytes, size_t n)
{
	struct fake_peer *p = peer_of(stream);
	assert(p->host->loop == p->loop && !p->moving);
	if (!p->open || p->closing)
		return -EPIPE;
	if (stream_queued(stream) > 4 * p->high) {
		p->closing = true;
		p->reason = -ENOBUFS;
		return -ENOBUFS;
	}
	if (n)
		heap_append(&p->out, &p->out_len, bytes, n);
	p->was_full |= stream_queued(stream) > p->high;
	return 0;
}

static int stream_write_blob(struct edged_stream *stream, struct edged_blob *blob, size_t offset, size_t n)
{
	assert(offset + n <= blob->len);
	return stream_write(stream, blob->data + offset, n);
}

static void stream_set_marks(struct edged_stream *stream, size_t low, size_t high)
{
	peer_of(stream)->low = low;
	peer_of(stream)->high = high;
}

static bool stream_is_full(const struct edged_stream *stream)
{
	return stream_queued(stream) > peer_of(stream)->high;
}

static void stream_set_read_limit(struct edged_stream *stream, size_t n)
{
	peer_of(stream)->read_limit = n;
}

static void stream_pause(struct edged_stream *stream)
{
	peer_of(stream)->paused = true;
}

static void stream_resume(struct edged_stream *stream)
{
	peer_of(stream)->paused = false;
	peer_of(stream)->in_seen = 0;
}

static void stream_deadline(struct edged_stream *stream, uint64_t ms)
{
	peer_of(stream)->deadline = ms ? peer_of(stream)->host->now + ms : 0;
}

static void stream_close(struct edged_stream *stream)
{
	struct fake_peer *p = peer_of(stream);
	assert(p->host->loop == p->loop && !p->moving);
	if (!p->closing)
		p->reason = -ECANCELED;
	p->closing = true;
}

static uint64_t stream_waiting(struct edged_host *host)
{
	uint64_t bytes = 0;
	for (const struct fake_peer *p = fake(host)->peers; p; p = p->next)
		bytes += p->open && p->blocked ? p->out_len - p->out_taken : 0;
	return bytes;
}

static void stream_message_end(struct edged_stream *stream)
{
	(void)stream;
}

static const struct edged_peer *stream_peer(const struct edged_stream *stream)
{
	return &peer_of(stream)->peer;
}

static int stream_move(struct edged_stream *stream, unsigned loop, void (*arrived)(void *conn))
{
	struct fake_peer *p = peer_of(stream);
	p->moving = true;
	p->to = loop;
	p->arrived = arrived;
	return 0;
}

static const struct edged_stream_1 stream_cap = {
	.struct_size = sizeof(stream_cap),
	.serve = stream_serve,
	.write = stream_write,
	.write_blob = stream_write_blob,
	.queued = stream_queued,
	.set_marks = stream_set_marks,
	.is_full = stream_is_full,
	.set_read_limit = stream_set_read_limit,
	.pause = stream_pause,
	.resume = stream_resume,
	.deadline = stream_deadline,
	.close = stream_close,
	.abort = stream_close,
	.peer = stream_peer,
	.move = stream_move,
	.message_end = stream_message_end,
	.waiting = stream_waiting,
};

static void show_bytes(struct fake_peer *p)
{
	uint8_t *exact = fake_copy(p->in, p->in_len);
	ssize_t used = p->handler->data(p->conn, exact, p->in_len);
	free(exact);
	if (used < 0) {
		p->closing = true;
		return;
	}
	assert((size_t)used <= p->in_len);
	p->in_len -= (size_t)used;
	memmove(p->in, p->in + used, p->in_len);
	if (p->in_len > p->read_limit)
		p->closing = true;
}

/* One thing that can happen to the peer, false: nothing. */
static bool step_peer(struct fake_peer *p)
{
	struct fake_host *f = p->host;
	if (!p->open)
		return false;
	if (p->moving) {
		f->loop = p->loop = p->to;
		p->moving = false;
		p->arrived(p->conn);
		p->in_seen = 0;
		return true;
	}
	f->loop = p->loop;
	if (p->closing) {
		p->open = false;
		p->handler->closed(p->conn, p->reason);
		return true;
	}
	if (p->was_full && stream_queued((struct edged_stream *)p) < p->low) {
		p->was_full = false;
		p->handler->drained(p->conn);
		return true;
	}
	if (!p->paused && p->in_len && p->in_len != p->in_seen) {
		show_bytes(p);
		p->in_seen = p->in_len;
		return true;
	}
	return false;
}

static bool step_call(struct fake_host *f, struct call **list)
{
	struct call *call = *list;
	if (!call)
		return false;
	*list = call->next;
	f->loop = call->loop;
	call->fn(call->arg);
	free(call);
	return true;
}

/* The batches whose joint has failed fail. All parts of a joint are there: fake_run() has delivered all posts. */
static void fail_joints(struct op *ops)
{
	for (struct op *end = ops, *start; end; end = end->next) {
		if (!end->joint || !end->joint->failed)
			continue;
		start = ops;
		for (struct op *op = ops; op != end; op = op->next)
			if (op->loop == end->loop && op->kind == OP_COMMIT)
				start = op->next;
		for (struct op *op = start; op != end->next; op = op->next)
			op->failed |= op->loop == end->loop;
	}
}

#define ALL UINT_MAX

/* commits: so many at most, and what was written before them; what no commit() followed waits. ALL: everything, but what no
 * commit() followed cannot fail. Reads are answered in any case. */
static void run_ops(struct fake_host *f, int result, unsigned commits)
{
	struct op *ops = fake_take_ops(f), *kept = NULL, **keep = &kept;
	unsigned to_come[MAX_LOOPS] = { 0 };
	for (const struct op *op = ops; op; op = op->next)
		to_come[op->loop] += op->kind == OP_COMMIT;
	fail_joints(ops);
	while (ops) {
		struct op *op = ops;
		ops = op->next;
		op->next = NULL;
		bool reads = op->kind == OP_SCAN || op->kind == OP_REPLAY;
		bool follows = to_come[op->loop] || (commits == ALL && !result);
		if ((!commits || !follows) && !reads) {
			*keep = op;
			keep = &op->next;
			continue;
		}
		to_come[op->loop] -= op->kind == OP_COMMIT;
		commits -= op->kind == OP_COMMIT && commits != ALL;
		fake_run_op(f, op, op->failed ? -EIO : result);
		fake_free_op(op);
	}
	fake_give_back(f, kept);
}

bool fake_run(struct fake_host *f)
{
	bool more = true, any = false;
	for (; more; any |= more) {
		more = false;
		for (struct fake_peer *p = f->peers; p; p = p->next)
			while (step_peer(p))
				more = true;
		while (step_call(f, &f->deferred))
			more = true;
		while (step_call(f, &f->posts))
			more = true;
		bool scans = false;
		for (const struct op *op = f->ops; op; op = op->next)
			scans |= op->kind == OP_SCAN || op->kind == OP_REPLAY;
		if (scans || (f->auto_commit && f->ops)) {
			run_ops(f, 0, f->auto_commit ? ALL : 0);
			more = true;
		}
	}
	f->loop = 0;
	return any;
}

/* Nothing of a batch that failed is kept: the disk, and what has been queued meanwhile. */
static void look_again(struct fake_host *f)
{
	fake_rows_free(&f->view);
	f->view = fake_rows_copy(&f->disk->rows);
	for (const struct op *op = f->ops; op; op = op->next) {
		struct edged_slice value = edged_slice(op->value, op->value_len);
		if (op->kind == OP_PUT || op->kind == OP_DEL)
			fake_apply(&f->view, op->table, edged_slice(op->key, op->key_len),
			        op->kind == OP_PUT ? &value : NULL);
	}
}

void fake_commit_some(struct fake_host *f, int result, unsigned commits)
{
	fake_run(f);
	run_ops(f, result, commits);
	if (result)
		look_again(f);
	fake_run(f);
}

void fake_commit(struct fake_host *f, int result)
{
	fake_commit_some(f, result, ALL);
}

void fake_auto_commit(struct fake_host *f, bool on)
{
	f->auto_commit = on;
	fake_run(f);
}

size_t fake_writes(const struct fake_host *f)
{
	return f->writes;
}

static void fire_due(struct fake_host *f)
{
	for (struct fake_peer *p = f->peers; p; p = p->next) {
		if (!p->open || !p->deadline || p->deadline > f->now)
			continue;
		p->deadline = 0;
		p->closing = true;
		p->reason = -ETIMEDOUT;
	}
	struct edged_timer *t = f->timers;
	while (t) {
		if (!t->due || t->due > f->now) {
			t = t->next;
			continue;
		}
		t->due = 0;
		f->loop = t->loop;
		t->fire(t->arg);
		t = f->timers; /* it may have freed any of them */
	}
}

void fake_sleep(struct fake_host *f, uint64_t ms)
{
	for (uint64_t end = f->now + ms; f->now < end;) {
		uint64_t step = end - f->now < 250 ? end - f->now : 250;
		if (end - f->now > 600000) /* nobody looks closely at long sleeps */
			step = 60000;
		f->now += step;
		fire_due(f);
		fake_run(f);
	}
}

size_t fake_timers(const struct fake_host *f)
{
	size_t n = 0;
	for (const struct edged_timer *t = f->timers; t; t = t->next)
		n += t->due != 0;
	return n;
}

/* --- clients ---------------------------------------------------------------------------------------------------------------- */

struct fake_peer *fake_connect(struct fake_host *f, unsigned loop, bool trusted)
{
	/* loopback: so that the rates of strangers do not concern it */
	const struct edged_peer who = { .address = "192.0.2.1:1",
		.listener = "mqtt=*:1883",
		.uid = -1,
		.loopback = trusted,
		.trusted = trusted };
	return fake_connect_as(f, loop, &who, 0);
}

static struct fake_peer *connect_to(struct fake_host *f, unsigned loop, const struct edged_peer *who,
        uint32_t age, const struct edged_stream_handler *handler, void *self)
{
	heap_spare(true);
	struct fake_peer *p = calloc(1, sizeof(*p));
	heap_spare(false);
	assert(p && handler);
	p->host = f;
	p->peer = *who;
	p->peer.struct_size = sizeof(p->peer);
	p->peer.accepted_ms = (uint32_t)f->now - age;
	p->handler = handler;
	p->loop = loop;
	p->low = p->read_limit = 65536;
	p->high = 262144;
	p->open = true;
	p->next = f->peers;
	f->peers = p;
	f->loop = loop;
	if (handler->open(self, (struct edged_stream *)p, &p->conn))
		p->open = false;
	fake_run(f);
	return p;
}

struct fake_peer *fake_connect_as(
        struct fake_host *f, unsigned loop, const struct edged_peer *who, uint32_t age)
{
	return connect_to(f, loop, who, age, f->handler, f->handler_self);
}

struct fake_peer *fake_dialled(struct fake_host *f, const struct edged_peer *who,
        const struct edged_stream_handler *handler, void *self)
{
	struct fake_peer *p = connect_to(f, 0, who, 0, handler, self);
	return p->open ? p : NULL;
}

void fake_send(struct fake_peer *p, const void *bytes, size_t n, size_t piece)
{
	const uint8_t *from = bytes;
	while (n) {
		size_t part = piece && piece < n ? piece : n;
		heap_append(&p->in, &p->in_len, from, part);
		from += part;
		n -= part;
		fake_run(p->host);
	}
}

struct edged_slice fake_take(struct fake_peer *p)
{
	struct edged_slice s = edged_slice(p->out ? p->out + p->out_taken : NULL, p->out_len - p->out_taken);
	p->out_taken = p->out_len;
	return s;
}

bool fake_closed(const struct fake_peer *p)
{
	return !p->open;
}

void fake_hang_up(struct fake_peer *p)
{
	p->closing = true;
	p->reason = -ECONNRESET;
	fake_run(p->host);
}

void fake_block(struct fake_peer *p, bool on)
{
	p->blocked = on;
	if (!on)
		fake_run(p->host);
}

unsigned fake_loop_of(const struct fake_peer *p)
{
	return p->loop;
}

/* --- life ------------------------------------------------------------------------------------------------------------------- */

static const void *find_cap(struct edged_host *host, const char *name)
{
	const struct fake_others *others = &fake(host)->others;
	const void *cap = others->find ? others->find(others->arg, name) : NULL;
	if (cap)
		return cap;
	static const struct {
		const char *name;
		const void *cap;
	} caps[] = {
		{ EDGED_LOG_1, &fake_log },
		{ EDGED_CONFIG_1, &config_cap },
		{ EDGED_METRICS_1, &metrics_cap },
		{ EDGED_LOOP_1, &loop_cap },
		{ EDGED_STORE_1, &fake_store_cap },
		{ EDGED_STREAM_1, &stream_cap },
		{ EDGED_HTTP_1, &fake_http_cap },
		{ EDGED_AUTH_1, &fake_auth_cap },
		{ EDGED_WORK_1, &fake_work_cap },
	};
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++)
		if (strcmp(caps[i].name, name) == 0)
			return caps[i].cap;
	return NULL;
}

static void started(struct edged_host *host, int result, const char *why)
{
	fake(host)->started = result;
	if (why)
		fprintf(stderr, "start: %s\n", why);
}

static const char *folder(struct edged_host *host)
{
	(void)host;
	return "/nonexistent";
}

static const char *node_id(struct edged_host *host)
{
	return fake(host)->others.node_id;
}

static const struct edged_host_1 host_v1 = { sizeof(host_v1), find_cap, started, folder, node_id };

static void free_host(struct fake_host *f)
{
	fake_auth_forget(f);
	fake_rows_free(&f->view);
	for (struct op *op = fake_take_ops(f), *next; op; op = next) {
		next = op->next;
		fake_free_op(op);
	}
	while (f->peers) {
		struct fake_peer *p = f->peers;
		f->peers = p->next;
		free(p->in);
		free(p->out);
		free(p);
	}
	while (f->timers)
		timer_free(f->timers);
	while (f->deferred)
		defer_cancel(&f->host, f->deferred->arg);
	free(f);
}

struct fake_host *fake_host_new(const struct edged_plugin *plugin, struct fake_disk *disk, unsigned loops,
        const struct fake_setting *settings)
{
	return fake_host_among(plugin, disk, loops, settings, &(struct fake_others){ 0 });
}

struct fake_host *fake_host_among(const struct edged_plugin *plugin, struct fake_disk *disk, unsigned loops,
        const struct fake_setting *settings, const struct fake_others *others)
{
	struct fake_host *f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	assert(loops <= MAX_LOOPS);
	f->host.v1 = &host_v1;
	f->others = *others;
	f->plugin = plugin;
	f->settings = settings;
	f->disk = disk;
	f->view = fake_rows_copy(&disk->rows);
	f->last_op = &f->ops;
	f->loops = loops;
	f->now = 1000000;
	f->started = 1;
	int r = plugin->create(&f->host, &f->self);
	if (!r)
		r = plugin->start(f->self);
	if (r == EDGED_LATER) {
		fake_run(f);
		if (f->started == 1) /* it waits for the disk */
			fake_commit(f, disk->start_result);
		r = f->started;
	}
	if (r == 0)
		return f;
	if (f->self) {
		plugin->stop(f->self);
		plugin->destroy(f->self);
	}
	free_host(f);
	return NULL;
}

static void end_host(struct fake_host *f)
{
	while (f->posts) {
		struct call *call = f->posts;
		f->posts = call->next;
		if (call->drop)
			call->drop(call->arg);
		free(call);
	}
	f->plugin->destroy(f->self);
	free_host(f);
}

/* With the end of the streams that it closes. */
static void stop_plugin(struct fake_host *f)
{
	f->plugin->stop(f->self);
	for (struct fake_peer *p = f->peers; p; p = p->next)
		if (p->open && p->closing)
			(void)step_peer(p);
}

void fake_host_free(struct fake_host *f, bool stop)
{
	f->loop = 0;
	if (stop) {
		fake_commit(f, 0);
		stop_plugin(f);
	}
	end_host(f);
}

void fake_host_lose(struct fake_host *f)
{
	f->loop = 0;
	stop_plugin(f);
	/* Those that the plugin has not begun to look at, too, as the daemon does. */
	for (struct fake_peer *p = f->peers; p; p = p->next)
		if (p->open) {
			p->open = false;
			p->handler->closed(p->conn, -ESHUTDOWN);
		}
	end_host(f);
}

void *fake_others_of(struct edged_host *host)
{
	return fake(host)->others.arg;
}

struct edged_host *fake_host_of(struct fake_host *f)
{
	return &f->host;
}

void *fake_self(struct fake_host *f)
{
	return f->self;
}
