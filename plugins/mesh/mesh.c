/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin: its tables and its life, and which other nodes there are. */
#include "mesh.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "../broker/topic.h"
#include "epochs.h"
#include "outward.h"
#include "peer.h"
#include "rest.h"

enum {
	TICK_MS = 1000,  /* while something is under way with some node */
	REST_MS = 10000, /* while all is quiet: who comes, goes or says something wakes us */
};
#define DAY (24 * 3600 * INT64_C(1000))

static const struct edged_setting settings[] = {
	{ "topics", EDGED_TYPE_STRINGS, "[\"#\", \"$aws/#\"]", 0, TRAVEL_FILTERS, NULL, NULL,
	        "filters of the topics whose messages go to other nodes and are taken from them; others stay "
	        "on "
	        "the node where they are published" },
	{ "queue.messages", EDGED_TYPE_INT, "10000", 0, 1000000, "messages", NULL,
	        "messages of QoS 1 and 2 that wait for one other node" },
	{ "queue.bytes", EDGED_TYPE_SIZE, "\"16M\"", 1024, 1073741824, "bytes", NULL,
	        "bytes of messages that wait for one other node" },
	{ "queue.when_full", EDGED_TYPE_CHOICE, "\"drop-new\"", 0, 0, NULL, "drop-new|drop-old",
	        "which messages are dropped when a queue is full; never those on the way" },
	{ "nodes", EDGED_TYPE_INT, "500", 1, 1000, "nodes", NULL,
	        "other nodes that messages go to and come from; those beyond are left out" },
	{ "in_flight", EDGED_TYPE_INT, "1000", 1, 10000, "messages", NULL,
	        "messages of QoS 1 and 2 on the way to one node, and from it, at once" },
	{ "message", EDGED_TYPE_SIZE, "\"1M\"", 1024, 16777216, "bytes", NULL,
	        "the longest message that is taken from another node, topic and properties included" },
	{ "filters", EDGED_TYPE_INT, "200", 1, 1000, "filters", NULL,
	        "different filters of this node's subscribers that other nodes are told; when there are "
	        "more, all messages come here and are sorted out here; and as many shared ones, of which "
	        "further ones get what is published here only" },
	{ "keep", EDGED_TYPE_DURATION, "\"7d\"", 60000, 365 * DAY, "ms", NULL,
	        "how long messages are kept for a node that is away" },
	{ .name = NULL },
};

/* --- which nodes there are --------------------------------------------------------------------------------------------------- */

/* Where it is, or belongs. */
static size_t place(const struct mesh *m, const char *id)
{
	size_t low = 0, high = m->peer_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(m->peers[middle]->id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct peer *mesh_find(const struct mesh *m, const char *id)
{
	size_t at = place(m, id);
	return at < m->peer_count && strcmp(m->peers[at]->id, id) == 0 ? m->peers[at] : NULL;
}

void mesh_wake(struct mesh *m)
{
	if (m->resting && m->tick)
		m->loop->timer_set(m->tick, TICK_MS);
	m->resting = false;
}

void mesh_look(struct mesh *m)
{
	if (!m->due && m->tick)
		m->loop->timer_set(m->tick, 0);
	m->resting = false;
	m->due = true;
}

static void interest_changed(void *arg, struct edged_slice filter, uint8_t qos, int by);

/* Sessions for other nodes have to be there before: theirs are none of our subscriptions. */
static int ask_interest(struct mesh *m)
{
	int r = m->asked ? 0 : m->pubsub->interest(m->pubsub->ctx, m->host, interest_changed, m);
	m->asked |= r == 0;
	return r;
}

static int make_room(struct mesh *m)
{
	if (m->peer_count >= m->settings.nodes)
		return -ENOSPC;
	if (m->peer_count < m->peer_size)
		return 0;
	size_t size = m->peer_size ? m->peer_size * 2 : 8;
	struct peer **peers = realloc(m->peers, size * sizeof(*peers));
	if (!peers)
		return -ENOMEM;
	m->peers = peers;
	m->peer_size = size;
	return 0;
}

static void remove_peer(struct mesh *m, size_t i, bool for_good)
{
	struct peer *p = m->peers[i];
	m->peer_count--;
	memmove(m->peers + i, m->peers + i + 1, (m->peer_count - i) * sizeof(p));
	edged_metric_set(m->nodes_figure, (int64_t)m->peer_count);
	peer_free(p, for_good);
}

static int add_peer(struct mesh *m, const char *id, struct peer **ret)
{
	size_t at = place(m, id);
	int r = make_room(m);
	if (!r)
		r = peer_new(m, id, ret);
	if (r)
		return r;
	memmove(m->peers + at + 1, m->peers + at, (m->peer_count - at) * sizeof(*m->peers));
	m->peers[at] = *ret;
	m->peer_count++;
	edged_metric_set(m->nodes_figure, (int64_t)m->peer_count);
	if (m->begun)
		r = ask_interest(m);
	if (r)
		remove_peer(m, at, false);
	return r;
}

struct peer *mesh_peer(struct mesh *m, const char *id)
{
	struct peer *p = mesh_find(m, id);
	if (p || strlen(id) != MESH_ID)
		return p;
	int r = add_peer(m, id, &p);
	if (r == 0)
		return p;
	edged_metric_add(m->refused_figure, 1);
	if (!m->full_told)
		m->log->log(m->host, EDGED_ERROR,
		        "no messages go to node %.8s and none come from it: %s; %u nodes are the most "
		        "(mesh.nodes)",
		        id, strerror(-r), m->settings.nodes);
	m->full_told = true;
	return NULL;
}

static void forget(struct mesh *m, size_t i)
{
	struct peer *p = m->peers[i];
	m->log->log(m->host, EDGED_NOTICE,
	        "node %.8s has been away for too long: the %lld messages that wait for it go", p->id,
	        (long long)(figure(p->figures->waiting) + figure(p->figures->in_flight)));
	remove_peer(m, i, true);
}

static void see(void *arg, const char *node_id, bool there)
{
	struct mesh *m = arg;
	struct peer *p = there ? mesh_peer(m, node_id) : NULL;
	if (p)
		p->there = true;
}

static void tick(void *arg)
{
	struct mesh *m = arg;
	bool busy = false;
	for (size_t i = 0; i < m->peer_count; i++)
		m->peers[i]->there = false;
	m->node->peers(m->host, see, m);
	m->due = false;
	for (size_t i = m->peer_count; i-- > 0;) {
		bool gone = peer_tick(m->peers[i]);
		busy |= peer_is_busy(m->peers[i]);
		if (gone)
			forget(m, i);
	}
	m->resting = !busy && !m->due;
	if (m->peer_count && !m->due) /* a node that knows no other one sleeps */
		m->loop->timer_set(m->tick, busy ? TICK_MS : REST_MS);
}

static void look(void *arg)
{
	mesh_look(arg);
}

/* --- our interest ------------------------------------------------------------------------------------------------------------- */

static void tell_changes(void *arg)
{
	struct mesh *m = arg;
	outward_changes(m);
	uint32_t untold = interest_untold(m->interest);
	if (untold && !m->untold)
		m->log->log(m->host, EDGED_WARNING,
		        "other nodes are told of %u shared subscriptions at most (mesh.filters); members of "
		        "%u more get only "
		        "what is published here",
		        m->settings.filters, untold);
	m->untold = untold != 0;
}

static void interest_changed(void *arg, struct edged_slice filter, uint8_t qos, int by)
{
	struct mesh *m = arg;
	if (!filter_travels(filter))
		return;
	int r = interest_change(m->interest, filter, qos, by);
	if (!r)
		r = m->loop->defer(m->host, tell_changes, m);
	if (r)
		m->log->log(m->host, EDGED_ERROR,
		        "other nodes are not told of the subscription to \"%.*s\": %s",
		        EDGED_SLICE_FMT(filter), strerror(-r));
}

/* --- REST --------------------------------------------------------------------------------------------------------------------- */

static int serve_peers(void *self, edged_handle request)
{
	struct mesh *m = self;
	char *json = rest_peers(m);
	int r = json ? m->http->reply(m->host, request, 200, "application/json", edged_str(json)) : -ENOMEM;
	free(json);
	return r;
}

static const struct edged_route routes[] = {
	{ "GET", "/mesh/v1/peers", serve_peers,
	        "The nodes that messages go to and come from, and what waits for them", NULL, 0, 0 },
	{ 0 },
};

/* --- settings ------------------------------------------------------------------------------------------------------------------ */

static const struct topic_limits any_topic = { UINT16_MAX, UINT16_MAX };

/* The filters among a section's, as JSON; the slices point into it. */
static int read_travel(json_t *list, struct travel *ret, char *why, size_t why_size)
{
	size_t i;
	json_t *item;
	ret->count = 0;
	json_array_foreach(list, i, item)
	{
		struct edged_slice text = edged_slice(json_string_value(item), json_string_length(item));
		struct filter filter;
		if (!filter_parse(text, &any_topic, &filter) || filter.group.len ||
		        ret->count == TRAVEL_FILTERS) {
			snprintf(why, why_size, "\"topics\" has \"%.*s\", which is no topic filter",
			        EDGED_SLICE_FMT(text));
			return -EINVAL;
		}
		ret->filters[ret->count++] = text;
	}
	return 0;
}

static int check(struct edged_slice config, char *why, size_t why_size)
{
	struct travel travel;
	json_t *root = json_loadb(config.ptr, config.len, 0, NULL);
	int r = read_travel(json_object_get(root, "topics"), &travel, why, why_size);
	json_decref(root);
	return r;
}

static int configure(struct mesh *m)
{
	const struct edged_config_1 *c = m->config;
	struct edged_slice topics = c->json(m->host, "topics");
	char why[200];
	m->settings = (struct mesh_settings){
		.in_flight = (uint16_t)c->integer(m->host, "in_flight"),
		.nodes = (uint32_t)c->integer(m->host, "nodes"),
		.message = (uint32_t)c->integer(m->host, "message"),
		.filters = (uint32_t)c->integer(m->host, "filters"),
		.queue_messages = (uint32_t)c->integer(m->host, "queue.messages"),
		.queue_bytes = (uint64_t)c->integer(m->host, "queue.bytes"),
		.drop_oldest = strcmp(c->string(m->host, "queue.when_full"), "drop-old") == 0,
		.keep_ms = (uint64_t)c->integer(m->host, "keep"),
	};
	m->topics = json_loadb(topics.ptr, topics.len, 0, NULL);
	return read_travel(m->topics, &m->settings.travel, why, sizeof(why));
}

/* --- life ---------------------------------------------------------------------------------------------------------------------- */

static void destroy(void *self)
{
	struct mesh *m = self;
	interest_free(m->interest);
	words_free(m->figures);
	epochs_free(m);
	free(m->peers);
	json_decref(m->topics);
	free(m);
}

static int create(struct edged_host *host, void **ret_self)
{
	struct mesh *m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->host = host;
	m->log = edged_cap(host, EDGED_LOG_1);
	m->loop = edged_cap(host, EDGED_LOOP_1);
	m->config = edged_cap(host, EDGED_CONFIG_1);
	m->http = edged_cap(host, EDGED_HTTP_1);
	m->metrics = edged_cap(host, EDGED_METRICS_1);
	m->stream = edged_cap(host, EDGED_STREAM_1);
	m->dial = edged_cap(host, EDGED_DIAL_1);
	m->store = edged_cap(host, EDGED_STORE_1);
	m->session = edged_cap(host, EDGED_SESSION_1);
	m->pubsub = edged_cap(host, EDGED_PUBSUB_1);
	m->node = edged_cap(host, EDGED_NODE_1);
	m->channel = edged_cap(host, EDGED_CHANNEL_1);
	m->nodes_figure = m->metrics->figure(host, EDGED_GAUGE, "mesh_nodes", NULL,
	        "Other nodes that messages go to and come from, those that are away included");
	m->refused_figure = m->metrics->figure(host, EDGED_COUNTER, "mesh_nodes_refused_total", NULL,
	        "Times that there was no room for one more node");
	snprintf(m->id, sizeof(m->id), "%s", host->v1->node_id(host));
	int r = configure(m);
	if (!r)
		r = interest_new(m->settings.filters, &m->interest);
	if (r) {
		destroy(m);
		return r;
	}
	*ret_self = m;
	return 0;
}

static void find_old(void *arg, const char *name)
{
	(void)mesh_peer(arg, name + strlen("mesh/"));
}

/* Sessions of former times are there before anybody is asked for subscriptions: theirs are none of ours. */
static int begin(struct mesh *m)
{
	m->tick = m->loop->timer_new(m->host, tick, m);
	if (!m->tick)
		return -ENOMEM;
	m->session->names(m->session->ctx, "mesh/", find_old, m);
	m->begun = true;
	int r = m->peer_count ? ask_interest(m) : 0;
	if (!r)
		r = m->channel->carry(m->channel->ctx, &outward_carrier, m);
	if (!r)
		r = m->stream->serve(m->host, MESH_PROTOCOL, &peer_handler, m);
	if (!r)
		r = m->node->watch(m->host, look, m);
	if (!r)
		look(m);
	return r;
}

static void loaded(struct mesh *m, int result)
{
	int r = result ? result : begin(m);
	m->host->v1->started(m->host, r, r ? "the store, or another plugin, is in the way" : NULL);
}

static int start(void *self)
{
	struct mesh *m = self;
	m->loaded = loaded;
	int r = epochs_load(m);
	return r ? r : EDGED_LATER;
}

static void stop(void *self)
{
	struct mesh *m = self;
	if (m->asked)
		(void)m->pubsub->interest(m->pubsub->ctx, m->host, NULL, NULL);
	m->loop->defer_cancel(m->host, m);
	m->loop->timer_free(m->tick);
	m->tick = NULL;
	while (m->peer_count)
		remove_peer(m, m->peer_count - 1, false);
	(void)m->channel->carry(m->channel->ctx, NULL, NULL);
}

static const char *const needs[] = { EDGED_LOG_1, EDGED_LOOP_1, EDGED_CONFIG_1, EDGED_HTTP_1, EDGED_METRICS_1,
	EDGED_STREAM_1, EDGED_DIAL_1, EDGED_STORE_1, EDGED_SESSION_1, EDGED_PUBSUB_1, EDGED_CHANNEL_1,
	EDGED_NODE_1, NULL };

EDGED_PLUGIN(.name = "mesh", .version = EDGED_VERSION, .summary = "Messages between the nodes of a cluster",
        .needs = needs, .settings = settings, .check = check, .routes = routes, .create = create,
        .start = start, .stop = stop, .destroy = destroy);
