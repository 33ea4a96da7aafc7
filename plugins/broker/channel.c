/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 16, NAME_MAX_BYTES = 30, NODES = 1000, NODE_ID = 64 };

struct channel {
	char name[NAME_MAX_BYTES + 1]; /* "": not open */
	const struct edged_channel_handler *handler;
	void *arg;
};

struct channels {
	struct edged_channel_1 capability;
	const struct edged_channel_carrier *carrier; /* NULL: none */
	void *carrier_arg;
	struct channel open[CHANNELS];
	char (*nodes)[NODE_ID]; /* that are there, in order */
	size_t count, size;
};

static struct channel *find(struct channels *all, struct edged_slice name)
{
	for (size_t i = 0; i < CHANNELS; i++)
		if (*all->open[i].name && edged_slice_is(name, all->open[i].name))
			return &all->open[i];
	return NULL;
}

/* Where that node is, or belongs. */
static size_t place(const struct channels *all, const char *node)
{
	size_t low = 0, high = all->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(all->nodes[middle], node) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_there(const struct channels *all, size_t at, const char *node)
{
	return at < all->count && strcmp(all->nodes[at], node) == 0;
}

static bool make_room(struct channels *all)
{
	if (all->count < all->size)
		return true;
	size_t size = all->size ? all->size * 2 : 8;
	char(*nodes)[NODE_ID] = size <= 2 * NODES ? realloc(all->nodes, size * sizeof(*nodes)) : NULL;
	if (!nodes)
		return false;
	all->nodes = nodes;
	all->size = size;
	return true;
}

/* --- those who talk ---------------------------------------------------------------------------------------------------------- */

static int open_channel(void *ctx, const char *name, const struct edged_channel_handler *handler, void *arg)
{
	struct channels *all = ctx;
	size_t n = strlen(name);
	if (n == 0 || n > NAME_MAX_BYTES || !handler->joined || !handler->parted || !handler->heard ||
	        !handler->room)
		return -EINVAL;
	if (find(all, edged_str(name)))
		return -EEXIST;
	struct channel *free_one = NULL;
	for (size_t i = 0; i < CHANNELS && !free_one; i++)
		if (!*all->open[i].name)
			free_one = &all->open[i];
	if (!free_one)
		return -ENOSPC;
	*free_one = (struct channel){ .handler = handler, .arg = arg };
	memcpy(free_one->name, name, n + 1);
	for (size_t i = 0; i < all->count; i++)
		handler->joined(arg, all->nodes[i]);
	return 0;
}

static void close_channel(void *ctx, const char *name)
{
	struct channel *channel = find(ctx, edged_str(name));
	if (channel)
		*channel = (struct channel){ 0 };
}

static int say(void *ctx, const char *node, const char *name, struct edged_slice bytes)
{
	const struct channels *all = ctx;
	if (!all->carrier || !is_there(all, place(all, node), node))
		return -EHOSTUNREACH;
	return all->carrier->say(all->carrier_arg, node, edged_str(name), bytes);
}

/* --- who carries it ---------------------------------------------------------------------------------------------------------- */

static void joined(void *ctx, const char *node)
{
	struct channels *all = ctx;
	size_t at = place(all, node), n = strlen(node);
	if (n == 0 || n >= NODE_ID || is_there(all, at, node) || all->count >= NODES || !make_room(all))
		return;
	memmove(all->nodes + at + 1, all->nodes + at, (all->count - at) * sizeof(*all->nodes));
	memcpy(all->nodes[at], node, n + 1);
	all->count++;
	for (size_t i = 0; i < CHANNELS; i++)
		if (*all->open[i].name)
			all->open[i].handler->joined(all->open[i].arg, node);
}

static void parted(void *ctx, const char *node)
{
	struct channels *all = ctx;
	char id[NODE_ID];
	size_t at = place(all, node);
	if (!is_there(all, at, node))
		return;
	memcpy(id, all->nodes[at], sizeof(id));
	all->count--;
	memmove(all->nodes + at, all->nodes + at + 1, (all->count - at) * sizeof(*all->nodes));
	for (size_t i = 0; i < CHANNELS; i++)
		if (*all->open[i].name)
			all->open[i].handler->parted(all->open[i].arg, id);
}

static void heard(void *ctx, const char *node, struct edged_slice name, struct edged_slice bytes)
{
	const struct channel *channel = find(ctx, name);
	if (channel)
		channel->handler->heard(channel->arg, node, bytes);
}

static void room(void *ctx, const char *node)
{
	const struct channels *all = ctx;
	for (size_t i = 0; i < CHANNELS; i++)
		if (*all->open[i].name)
			all->open[i].handler->room(all->open[i].arg, node);
}

static int carry(void *ctx, const struct edged_channel_carrier *carrier, void *arg)
{
	struct channels *all = ctx;
	if (carrier && all->carrier)
		return -EEXIST;
	while (all->count && !carrier)
		parted(all, all->nodes[all->count - 1]);
	all->carrier = carrier;
	all->carrier_arg = arg;
	return 0;
}

/* --- life ---------------------------------------------------------------------------------------------------------------------- */

int channels_new(struct channels **ret)
{
	struct channels *all = calloc(1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	all->capability = (struct edged_channel_1){ .struct_size = sizeof(struct edged_channel_1),
		.ctx = all,
		.open = open_channel,
		.close = close_channel,
		.say = say,
		.carry = carry,
		.joined = joined,
		.parted = parted,
		.heard = heard,
		.room = room };
	*ret = all;
	return 0;
}

void channels_free(struct channels *channels)
{
	if (channels)
		free(channels->nodes);
	free(channels);
}

const struct edged_channel_1 *channels_capability(const struct channels *channels)
{
	return &channels->capability;
}
