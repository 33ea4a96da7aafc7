/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability "edged.channel/1", offered by the broker: what plugins of one name on different nodes of an account say to each
 * other. The broker only joins the two sides: plugins that have something to say open a channel, and one plugin, the carrier, brings
 * it to the other nodes, over the connection that carries messages between subscribers. Without a carrier no node is ever
 * there.
 *
 * What is said to a node arrives there once and in order, also in the order of messages and subscriptions: who hears something on
 * a channel hears all subscriptions that were made over there before. It is lost when the connection ends, which both sides are
 * told. Nodes that hear it are of this account and have proven it.
 *
 * Main loop only. Functions take the capability's own `ctx` first. Ids of nodes and slices are borrowed for the time of a
 * call.
 */
#ifndef EDGED_CAP_CHANNEL_H
#define EDGED_CAP_CHANNEL_H

#include "edged/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDGED_CHANNEL_1 "edged.channel/1"

/* say() took the bytes, but the node is slow: wait for room() before more is said that can wait. */
#define EDGED_CHANNEL_FULL 1

/* Of who has a channel open. All may be called from within say() of another channel, and may call say(). */
struct edged_channel_handler {
	uint32_t struct_size;
	/* A node is connected, whether or not anybody has this channel open over there. */
	void (*joined)(void *arg, const char *node);
	void (*parted)(void *arg, const char *node);
	void (*heard)(void *arg, const char *node, struct edged_slice bytes);
	/* After EDGED_CHANNEL_FULL; sometimes also without. */
	void (*room)(void *arg, const char *node);
};

/* Of the carrier. */
struct edged_channel_carrier {
	uint32_t struct_size;
	/* As edged_channel_1.say(). */
	int (*say)(void *arg, const char *node, struct edged_slice name, struct edged_slice bytes);
};

struct edged_channel_1 {
	uint32_t struct_size;
	void *ctx;
	/* Opens the channel of that name, 1..30 bytes, usually the plugin's. joined() is called from within for nodes that are
	 * there. -EEXIST: it is open; -ENOSPC: 16 are; -EINVAL: the name, or a member of the handler is missing. */
	EDGED_MUST_CHECK int (*open)(
	        void *ctx, const char *name, const struct edged_channel_handler *handler, void *arg);
	/* Nothing of it is called any more. For the plugin's stop(). */
	void (*close)(void *ctx, const char *name);
	/* 0, EDGED_CHANNEL_FULL; nothing was taken: -EHOSTUNREACH: the node is not connected; -EMSGSIZE: longer than it takes
	 * (mesh.message over there). Both sides may have said things that the other one has not heard yet. */
	EDGED_MUST_CHECK int (*say)(void *ctx, const char *node, const char *name, struct edged_slice bytes);
	/* --- for the carrier --- */
	/* There is one: -EEXIST. NULL ends it, after parted() for all nodes. */
	int (*carry)(void *ctx, const struct edged_channel_carrier *carrier, void *arg);
	/* 1000 nodes at most; of more, nobody is told. */
	void (*joined)(void *ctx, const char *node);
	void (*parted)(void *ctx, const char *node); /* one that is not there is fine */
	void (*heard)(void *ctx, const char *node, struct edged_slice name, struct edged_slice bytes);
	void (*room)(void *ctx, const char *node);
};

#ifdef __cplusplus
}
#endif

#endif
