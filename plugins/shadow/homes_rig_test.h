/* SPDX-License-Identifier: Apache-2.0 */
/* Several nodes with the stores, channels, clocks and timers that homes_test.c gives them. What waits happens in any order. */
#ifndef SHADOW_HOMES_RIG_TEST_H
#define SHADOW_HOMES_RIG_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peers.h"
#include "pull.h"

enum { NODES = 3, ROWS = 64, EVENTS = 512, KEYS = 4, SHADOWS = 3 };

struct row {
	char table[16], key[SHADOW_KEY_MAX];
	size_t key_len, len;
	char *value;
};

/* Something that is still to happen: a store calls back, or a frame arrives. */
struct event {
	void (*done)(void *arg, int result);
	void (*found)(void *arg, int result, struct edged_slice value);
	int (*row)(void *arg, struct edged_slice key, struct edged_slice value);
	void *arg;
	int from; /* node; of a frame */
	struct row rows[8];
	size_t count;
	char *bytes; /* of a frame, or of what was found */
	size_t len;
};

struct queue {
	struct event *events[EVENTS];
	size_t count;
};

struct edged_timer {
	void (*fire)(void *arg);
	void *arg;
	uint64_t at;
	bool set;
};

static struct node {
	struct edged_host host; /* first */
	char id[HOME_ID + 1];
	struct edged_channel_1 channel;
	const struct edged_channel_handler *handler;
	void *handler_arg;
	struct row rows[ROWS];
	struct queue store, frames[NODES]; /* from each */
	struct edged_timer timers[8];
	size_t timer_count;
	struct others *others;
	struct asks *asks;
	struct peers *peers;
	struct service *service;
	unsigned published;
} nodes[NODES];
static bool cut[NODES][NODES];
static int keeper; /* -1: none */
static int64_t seconds;
static uint64_t milliseconds;
static int64_t figure;
static uint32_t chance;
static bool full; /* channels are */

static struct node *node_of(struct edged_host *host)
{
	return (struct node *)host;
}

static uint32_t roll(uint32_t n)
{
	chance = chance * 1664525 + 1013904223;
	return (chance >> 8) % n;
}

/* --- the store ----------------------------------------------------------------------------------------------------------- */

static struct event *add(struct queue *queue)
{
	assert_true(queue->count < EVENTS);
	struct event *event = calloc(1, sizeof(*event));
	assert_non_null(event);
	queue->events[queue->count++] = event;
	return event;
}

static struct row *find_row(struct node *node, const char *table, struct edged_slice key)
{
	for (size_t i = 0; i < ROWS; i++) {
		struct row *row = &node->rows[i];
		if (row->value && strcmp(row->table, table) == 0 &&
		        edged_slice_eq(key, edged_slice(row->key, row->key_len)))
			return row;
	}
	return NULL;
}

static int put(struct edged_host *host, const char *table, struct edged_slice key, struct edged_slice value)
{
	struct node *node = node_of(host);
	struct row *row = find_row(node, table, key);
	for (size_t i = 0; !row; i++) {
		assert_true(i < ROWS);
		if (!node->rows[i].value)
			row = &node->rows[i];
	}
	free(row->value);
	snprintf(row->table, sizeof(row->table), "%s", table);
	memcpy(row->key, key.ptr, key.len);
	row->key_len = key.len;
	row->value = malloc(value.len + 1);
	assert_non_null(row->value);
	memcpy(row->value, value.ptr, value.len);
	row->len = value.len;
	return 0;
}

static int del(struct edged_host *host, const char *table, struct edged_slice key)
{
	struct row *row = find_row(node_of(host), table, key);
	if (row) {
		free(row->value);
		*row = (struct row){ 0 };
	}
	return 0;
}

static int commit(struct edged_host *host, void (*done)(void *arg, int result), void *arg)
{
	struct event *event = add(&node_of(host)->store);
	event->done = done;
	event->arg = arg;
	return 0;
}

static void fill(struct event *event, const void *bytes, size_t n)
{
	event->bytes = malloc(n + 1);
	assert_non_null(event->bytes);
	memcpy(event->bytes, bytes, n);
	event->len = n;
}

static int get(struct edged_host *host, const char *table, struct edged_slice key,
        void (*found)(void *arg, int result, struct edged_slice value), void *arg)
{
	const struct row *row = find_row(node_of(host), table, key);
	struct event *event = add(&node_of(host)->store);
	event->found = found;
	event->arg = arg;
	if (row)
		fill(event, row->value, row->len);
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	size_t n = x->key_len < y->key_len ? x->key_len : y->key_len;
	int order = memcmp(x->key, y->key, n);
	return order ? order : (int)x->key_len - (int)y->key_len;
}

static int scan(struct edged_host *host, const char *table, struct edged_slice from, struct edged_slice to,
        size_t limit, int (*row)(void *arg, struct edged_slice key, struct edged_slice value),
        void (*end)(void *arg, int result), void *arg)
{
	struct node *node = node_of(host);
	struct event *event = add(&node->store);
	struct row first = { .key_len = from.len };
	(void)to;
	(void)limit; /* more than there are here */
	if (from.len)
		memcpy(first.key, from.ptr, from.len);
	event->row = row;
	event->done = end;
	event->arg = arg;
	for (size_t i = 0; i < ROWS; i++) {
		const struct row *r = &node->rows[i];
		if (!r->value || strcmp(r->table, table) != 0 || by_key(r, &first) < 0)
			continue;
		assert_true(event->count < 8);
		event->rows[event->count] = *r;
		event->rows[event->count].value = malloc(r->len + 1);
		assert_non_null(event->rows[event->count].value);
		memcpy(event->rows[event->count].value, r->value, r->len);
		event->count++;
	}
	qsort(event->rows, event->count, sizeof(event->rows[0]), by_key);
	return 0;
}

/* --- the rest ------------------------------------------------------------------------------------------------------------ */

static int publish(void *ctx, struct edged_host *host, const struct edged_message *message,
        void (*done)(void *arg, int result), void *arg)
{
	(void)ctx;
	(void)message;
	(void)done;
	(void)arg;
	node_of(host)->published++;
	return 0;
}

static bool wanted(void *ctx, struct edged_host *host, struct edged_slice topic)
{
	(void)ctx;
	(void)host;
	(void)topic;
	return true;
}

__attribute__((format(printf, 3, 4))) static void log_nothing(
        struct edged_host *host, enum edged_level level, const char *format, ...)
{
	(void)host;
	(void)level;
	(void)format;
}

static int64_t *one_figure(struct edged_host *host, enum edged_metric_type type, const char *name,
        const char *labels, const char *help)
{
	(void)host;
	(void)type;
	(void)name;
	(void)labels;
	(void)help;
	return &figure;
}

static uint64_t loop_now(struct edged_host *host)
{
	(void)host;
	return milliseconds;
}

static struct edged_timer *timer_new(struct edged_host *host, void (*fire)(void *arg), void *arg)
{
	struct node *node = node_of(host);
	struct edged_timer *timer = &node->timers[node->timer_count++];
	*timer = (struct edged_timer){ .fire = fire, .arg = arg };
	return timer;
}

static void timer_set(struct edged_timer *timer, uint64_t ms)
{
	timer->at = milliseconds + ms;
	timer->set = true;
}

static void timer_cancel(struct edged_timer *timer)
{
	timer->set = false;
}

static void timer_free(struct edged_timer *timer)
{
	timer->set = false;
}

static int64_t now(void)
{
	return seconds;
}

static const char *node_id(struct edged_host *host)
{
	return node_of(host)->id;
}

static const struct edged_host_1 host_1 = { .struct_size = sizeof(host_1), .node_id = node_id };
static const struct edged_store_1 store = {
	.struct_size = sizeof(store), .put = put, .del = del, .commit = commit, .get = get, .scan = scan
};
static const struct edged_pubsub_1 pubsub = {
	.struct_size = sizeof(pubsub), .publish = publish, .wanted = wanted
};
static const struct edged_loop_1 loop = { .struct_size = sizeof(loop),
	.now = loop_now,
	.timer_new = timer_new,
	.timer_set = timer_set,
	.timer_cancel = timer_cancel,
	.timer_free = timer_free };
static const struct edged_log_1 log_1 = { sizeof(log_1), log_nothing };
static const struct edged_metrics_1 metrics = { sizeof(metrics), one_figure };

static void peers_of(struct edged_host *host, void (*each)(void *arg, const char *id, bool there), void *arg)
{
	int self = (int)(node_of(host) - nodes);
	for (int i = 0; i < NODES; i++)
		if (i != self)
			each(arg, nodes[i].id, !cut[self][i]);
}

static void holders_of(
        struct edged_host *host, const char *role, void (*each)(void *arg, const char *id), void *arg)
{
	(void)host;
	assert_string_equal(role, "cache");
	if (keeper >= 0)
		each(arg, nodes[keeper].id);
}

static const struct edged_node_1 node_1 = {
	.struct_size = sizeof(node_1), .peers = peers_of, .holders = holders_of
};

static int open_channel(void *ctx, const char *name, const struct edged_channel_handler *handler, void *arg)
{
	struct node *node = ctx;
	int self = (int)(node - nodes);
	assert_string_equal(name, PEERS_CHANNEL);
	node->handler = handler;
	node->handler_arg = arg;
	for (int i = 0; i < self; i++) { /* the later one of two joins both */
		handler->joined(arg, nodes[i].id);
		nodes[i].handler->joined(nodes[i].handler_arg, node->id);
	}
	return 0;
}

static void close_channel(void *ctx, const char *name)
{
	(void)name;
	((struct node *)ctx)->handler = NULL;
}

static int say(void *ctx, const char *id, const char *name, struct edged_slice bytes)
{
	int self = (int)((struct node *)ctx - nodes);
	(void)name;
	for (int i = 0; i < NODES; i++) {
		if (strcmp(nodes[i].id, id) != 0)
			continue;
		if (cut[self][i])
			return -EHOSTUNREACH;
		struct event *event = add(&nodes[i].frames[self]);
		event->from = self;
		fill(event, bytes.ptr, bytes.len);
		return full ? EDGED_CHANNEL_FULL : 0;
	}
	return -EHOSTUNREACH;
}

/* --- what happens -------------------------------------------------------------------------------------------------------- */

static void event_free(struct event *event)
{
	for (size_t i = 0; i < event->count; i++)
		free(event->rows[i].value);
	free(event->bytes);
	free(event);
}

static struct event *take(struct queue *queue)
{
	struct event *event = queue->events[0];
	memmove(queue->events, queue->events + 1, --queue->count * sizeof(queue->events[0]));
	return event;
}

static void run_store(struct node *node)
{
	struct event *event = take(&node->store);
	bool more = true;
	for (size_t i = 0; i < event->count && more; i++) {
		const struct row *row = &event->rows[i];
		more = event->row(event->arg, edged_slice(row->key, row->key_len),
		               edged_slice(row->value, row->len)) == 0;
	}
	if (event->found)
		event->found(event->arg, event->bytes ? 0 : -ENOENT, edged_slice(event->bytes, event->len));
	else if (event->done)
		event->done(event->arg, 0);
	event_free(event);
}

static void run_frame(struct node *node, int from)
{
	struct event *event = take(&node->frames[from]);
	if (node->handler)
		node->handler->heard(
		        node->handler_arg, nodes[from].id, edged_slice(event->bytes, event->len));
	event_free(event);
}

/* One of the things that may happen next; false: nothing may. */
static bool happen(void)
{
	unsigned first = roll(NODES * (NODES + 1));
	for (unsigned i = 0; i < NODES * (NODES + 1); i++) {
		unsigned k = (first + i) % (NODES * (NODES + 1));
		struct node *node = &nodes[k / (NODES + 1)];
		unsigned which = k % (NODES + 1);
		if (which == NODES && node->store.count) {
			run_store(node);
			return true;
		}
		if (which < NODES && node->frames[which].count) {
			run_frame(node, (int)which);
			return true;
		}
	}
	return false;
}

static void settle(void)
{
	while (happen())
		;
}

static void wait_ms(uint64_t ms)
{
	milliseconds += ms;
	for (int i = 0; i < NODES; i++)
		for (size_t t = 0; t < nodes[i].timer_count; t++) {
			struct edged_timer *timer = &nodes[i].timers[t];
			if (!timer->set || timer->at > milliseconds)
				continue;
			timer->set = false;
			timer->fire(timer->arg);
		}
}

static void part(int a, int b)
{
	if (cut[a][b])
		return;
	cut[a][b] = cut[b][a] = true;
	while (nodes[a].frames[b].count)
		event_free(take(&nodes[a].frames[b]));
	while (nodes[b].frames[a].count)
		event_free(take(&nodes[b].frames[a]));
	nodes[a].handler->parted(nodes[a].handler_arg, nodes[b].id);
	nodes[b].handler->parted(nodes[b].handler_arg, nodes[a].id);
	peers_look(nodes[a].peers);
	peers_look(nodes[b].peers);
}

static void join(int a, int b)
{
	if (!cut[a][b])
		return;
	cut[a][b] = cut[b][a] = false;
	nodes[a].handler->joined(nodes[a].handler_arg, nodes[b].id);
	nodes[b].handler->joined(nodes[b].handler_arg, nodes[a].id);
	peers_look(nodes[a].peers);
	peers_look(nodes[b].peers);
}

static void look_all(void)
{
	for (int i = 0; i < NODES; i++)
		peers_look(nodes[i].peers);
}

#endif
