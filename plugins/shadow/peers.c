/* SPDX-License-Identifier: Apache-2.0 */
#include "peers.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "away.h"
#include "pull.h"
#include "push.h"

/* --- memory -------------------------------------------------------------------------------------------------------------- */

struct peers_memory {
	LIST_ENTRY(peers_memory) link;
	max_align_t bytes[];
};

void *peers_alloc(struct peers *peers, size_t n)
{
	struct peers_memory *memory = calloc(1, sizeof(*memory) + n);
	if (!memory)
		return NULL;
	LIST_INSERT_HEAD(&peers->memory, memory, link);
	return memory->bytes;
}

void peers_release(void *bytes)
{
	struct peers_memory *memory =
	        (struct peers_memory *)((char *)bytes - offsetof(struct peers_memory, bytes));
	LIST_REMOVE(memory, link);
	free(memory);
}

/* --- saying -------------------------------------------------------------------------------------------------------------- */

static bool make_room(struct peers *peers, size_t n)
{
	if (n <= peers->scratch_size)
		return true;
	uint8_t *more = realloc(peers->scratch, n);
	if (!more)
		return false;
	peers->scratch = more;
	peers->scratch_size = n;
	return true;
}

int peer_say(struct peer *peer, const struct frame *frame)
{
	struct peers *peers = peer->peers;
	const struct edged_channel_1 *channel = peers->deps.channel;
	size_t n = make_room(peers, frame_size(frame))
	                   ? frame_write(frame, peers->scratch, peers->scratch_size)
	                   : 0;
	if (n == 0)
		return -ENOMEM;
	int r = channel->say(channel->ctx, peer->home->id, PEERS_CHANNEL, edged_slice(peers->scratch, n));
	if (r == -EMSGSIZE && !peers->size_told) {
		peers->size_told = true;
		peers->deps.service.log->log(peers->deps.service.host, EDGED_WARNING,
		        "node %.8s does not take the %zu bytes about %s: see mesh.message there; told once",
		        peer->home->id, n, *frame->name.thing ? frame->name.thing : "shadows");
	}
	return r;
}

static void hello(struct peer *peer, bool begins)
{
	const struct frame frame = { .type = FRAME_HELLO, .wants = peer->peers->keeper, .begins = begins };
	if (peer->joined)
		(void)peer_say(peer, &frame); /* who cannot hear it parts */
}

/* --- who is there -------------------------------------------------------------------------------------------------------- */

bool peer_available(const struct home *home)
{
	const struct peer *peer = home->peer;
	return peer && peer->joined && peer->greeted && peer->there;
}

static struct peer *get(struct peers *peers, const char *node)
{
	struct home *home = others_home(peers->deps.others, edged_str(node));
	if (!home || home->peer)
		return home ? home->peer : NULL;
	struct peer *peer = calloc(1, sizeof(*peer));
	if (!peer)
		return NULL;
	*peer = (struct peer){ .peers = peers, .home = home, .there = true };
	home->peer = peer;
	LIST_INSERT_HEAD(&peers->list, peer, link);
	return peer;
}

/* A home is away. Who keeps copies may have begun just now, and have none of it; who kept them before helps. */
static void relay_all(struct peers *peers)
{
	struct peer *peer;
	if (peers->keeper || !others_copies(peers->deps.others))
		return;
	LIST_FOREACH(peer, &peers->list, link)
	if (peer->keeper)
		push_relay(peer);
}

/* Its plugin is gone, or began anew: nothing that it was asked for comes any more. */
static void lose(struct peer *peer)
{
	pull_end(peer);
	push_end(peer);
	peer->greeted = peer->keeper = peer->behind = false;
	asks_end(peer->peers->deps.asks, peer->home);
}

static void joined(void *arg, const char *node)
{
	struct peer *peer = get(arg, node);
	if (!peer)
		return;
	peer->joined = peer->there = true;
	hello(peer, true);
}

static void parted(void *arg, const char *node)
{
	struct peer *peer = get(arg, node);
	if (!peer)
		return;
	peer->joined = false;
	lose(peer);
	relay_all(peer->peers);
}

static void greet(struct peer *peer, const struct frame *frame)
{
	bool keeper = frame->wants;
	if (frame->begins) {
		lose(peer);
		hello(peer, false);
	}
	bool first = !peer->greeted;
	peer->greeted = true;
	if (first)
		pull_begin(peer);
	if (keeper && !peer->keeper) {
		peer->keeper = true;
		push_relay(peer);
	}
	peer->keeper = keeper;
}

static void heard(void *arg, const char *node, struct edged_slice bytes)
{
	struct peer *peer = get(arg, node);
	struct frame frame;
	if (!peer || !frame_read(bytes, &frame))
		return;
	if (!peer->greeted && frame.type != FRAME_HELLO)
		return;
	switch (frame.type) {
	case FRAME_HELLO:
		greet(peer, &frame);
		break;
	case FRAME_SYNC:
		push_page(peer, &frame);
		break;
	case FRAME_PAGE:
		pull_page(peer, &frame);
		break;
	case FRAME_HAVE:
		pull_have(peer, &frame);
		break;
	case FRAME_WANT:
		push_copies(peer, &frame);
		break;
	case FRAME_COPY:
		pull_copy(peer, &frame);
		break;
	case FRAME_BEHIND:
		pull_begin(peer);
		break;
	case FRAME_REQUEST:
		push_answer(peer, &frame);
		break;
	case FRAME_ANSWER: {
		struct shadow_error error = { .code = frame.code };
		const struct shadow_outcome outcome = { &error, frame.number, frame.body, frame.seconds };
		snprintf(error.message, sizeof(error.message), "%.*s", EDGED_SLICE_FMT(frame.text));
		asks_answer(peer->peers->deps.asks, peer->home, frame.id, &outcome);
		break;
	}
	case FRAME_GOODBYE:
		lose(peer);
		break;
	}
}

static void room(void *arg, const char *node)
{
	struct peer *peer = get(arg, node);
	if (peer && peer->greeted)
		push_room(peer);
}

/* --- what the cluster says ----------------------------------------------------------------------------------------------- */

struct look {
	struct peers *peers;
	bool keeper;
};

static void see(void *arg, const char *node, bool there)
{
	struct peers *peers = arg;
	struct peer *peer;
	LIST_FOREACH(peer, &peers->list, link)
	if (there && strcmp(peer->home->id, node) == 0)
		peer->there = true;
}

static void hold(void *arg, const char *node)
{
	struct look *look = arg;
	look->keeper |= strcmp(node, look->peers->id) == 0;
}

/* Copies of a former keeper stay for a while: the new one may want those of nodes that are away. */
static void purge(void *arg)
{
	struct peers *peers = arg;
	if (!peers->keeper)
		others_drop_copies(peers->deps.others);
}

static void keep(struct peers *peers, bool keeper)
{
	const struct edged_loop_1 *loop = peers->deps.service.loop;
	struct peer *peer;
	LIST_FOREACH(peer, &peers->list, link)
	pull_end(peer); /* until now copies were as their homes' */
	peers->keeper = keeper;
	if (keeper)
		loop->timer_cancel(peers->purge);
	else if (others_copies(peers->deps.others))
		loop->timer_set(peers->purge, peers->deps.keep_ms);
	LIST_FOREACH(peer, &peers->list, link)
	{
		hello(peer, false);
		pull_begin(peer);
	}
}

void peers_look(struct peers *peers)
{
	const struct edged_node_1 *node = peers->deps.node;
	struct edged_host *host = peers->deps.service.host;
	struct look look = { .peers = peers };
	struct peer *peer;
	LIST_FOREACH(peer, &peers->list, link)
	{
		peer->was = peer->there;
		peer->there = false;
	}
	node->peers(host, see, peers);
	LIST_FOREACH(peer, &peers->list, link)
	{
		if (peer->there && !peer->was)
			pull_begin(peer);
		if (peer->there || !peer->was)
			continue;
		pull_end(peer);
		asks_end(peers->deps.asks, peer->home);
		relay_all(peers);
	}
	if (EDGED_HAS(node, holders))
		node->holders(host, "cache", hold, &look);
	if (look.keeper != peers->keeper)
		keep(peers, look.keeper);
}

/* --- life ---------------------------------------------------------------------------------------------------------------- */

static const struct edged_channel_handler handler = {
	.struct_size = sizeof(handler), .joined = joined, .parted = parted, .heard = heard, .room = room
};

int peers_new(const struct peers_deps *deps, struct peers **ret)
{
	struct peers *peers = calloc(1, sizeof(*peers));
	if (!peers)
		return -ENOMEM;
	peers->deps = *deps;
	peers->away = (struct away){ .ctx = peers,
		.run = away_run,
		.names = away_names,
		.things = away_things,
		.changed = push_changed };
	peers->id = deps->service.host->v1->node_id(deps->service.host);
	LIST_INIT(&peers->list);
	LIST_INIT(&peers->memory);
	peers->copy_reads = deps->service.metrics->figure(deps->service.host, EDGED_COUNTER,
	        "shadow_copy_reads_total", NULL, "Requests answered with a copy that is kept here");
	peers->purge = deps->service.loop->timer_new(deps->service.host, purge, peers);
	if (!peers->purge) {
		free(peers);
		return -ENOMEM;
	}
	*ret = peers;
	return 0;
}

int peers_start(struct peers *peers, struct service *service)
{
	const struct edged_channel_1 *channel = peers->deps.channel;
	peers->service = service;
	if (others_copies(peers->deps.others))
		peers->deps.service.loop->timer_set(peers->purge, peers->deps.keep_ms);
	int r = channel->open(channel->ctx, PEERS_CHANNEL, &handler, peers);
	if (!r)
		peers_look(peers);
	return r;
}

void peers_stop(struct peers *peers)
{
	const struct edged_channel_1 *channel = peers->deps.channel;
	struct peer *peer;
	LIST_FOREACH(peer, &peers->list, link)
	{
		if (peer->joined)
			(void)peer_say(peer, &(struct frame){ .type = FRAME_GOODBYE });
		peer->joined = false;
		pull_end(peer);
	}
	channel->close(channel->ctx, PEERS_CHANNEL);
	asks_end(peers->deps.asks, NULL);
	peers->deps.service.loop->timer_cancel(peers->purge);
}

void peers_free(struct peers *peers)
{
	struct peer *peer;
	if (!peers)
		return;
	while (!LIST_EMPTY(&peers->memory))
		peers_release(LIST_FIRST(&peers->memory)->bytes);
	while ((peer = LIST_FIRST(&peers->list))) {
		LIST_REMOVE(peer, link);
		free(peer->relayed);
		free(peer->wants);
		free(peer);
	}
	peers->deps.service.loop->timer_free(peers->purge);
	free(peers->scratch);
	free(peers);
}
