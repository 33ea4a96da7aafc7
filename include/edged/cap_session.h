/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability "edged.session/1", offered by the broker: a durable MQTT session inside the process, for a plugin that carries
 * messages to and from somewhere else, such as another broker.
 *
 * It is what a client with clean start 0 has, without a socket: subscriptions, a queue of messages at QoS 1 and 2 with packet
 * ids, and the packet ids of QoS 2 messages that come in. All of it is in the store before the broker acknowledges anything
 * that depends on it, and survives kill -9. The plugin is the client's side of MQTT 5.0 section 4.3: it acknowledges what
 * it was given once the other side has it, and gets it again when it attaches anew before it did.
 *
 * Main loop only. Functions take the capability's own `ctx` first. A plugin closes its sessions in its stop().
 */
#ifndef EDGED_CAP_SESSION_H
#define EDGED_CAP_SESSION_H

#include "edged/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDGED_SESSION_1 "edged.session/1"

/* A message on its way in or out; slices are borrowed for the time of the call. */
struct edged_session_message {
	uint32_t struct_size;
	struct edged_slice topic;
	struct edged_slice payload;
	struct edged_slice publisher; /* delivered: client id of the publisher, or empty */
	/* MQTT 5 properties in wire form (section 2.2.2.2, without the length in front). Delivered: payload format, content
	 * type, response topic, correlation data, user properties, as far as there are. Published: others are ignored. */
	struct edged_slice props;
	uint32_t expiry; /* seconds that are left, 0: never */
	uint8_t qos;     /* 0..2 */
	bool retain;
	/* Delivered at QoS 1 and 2: the broker's own number of the message, the same whenever it comes again, also after a
	 * restart, and never used for another one. */
	uint64_t number;
	/* Retained messages: which of two is the newer one, on all nodes that pass it on; the deletion of one (no payload)
	 * has one, too. Wall clock in ms since 1970, shifted left by 16, and a count. Published: 0 is now. */
	uint64_t stamp;
	bool newer; /* published: only when it is newer than what is retained here; then it was missed */
	/* Between nodes (`apart`): not 0, it is for one member of the shared subscription of this number, which is made of its
	 * group and filter and the same everywhere. Published: for a member on this node, or for nobody when there is none any
	 * more; never retained. */
	uint32_t share;
};

/* All are called from within the broker's own work, or a call to it: they may call flow() and figures(), nothing else of the
 * capability. */
struct edged_session_handler {
	uint32_t struct_size;
	/* To be sent on. id: packet id, 0 at QoS 0; again: it was delivered before under this id. False: it is dealt with, no
	 * acknowledgement will come. */
	bool (*deliver)(void *arg, const struct edged_session_message *message, uint16_t id, bool again);
	/* QoS 2: pubrec() for this id is on the disk, so PUBREL may be sent; pubcomp() is to follow. Also for ids of an
	 * earlier attachment. */
	void (*release)(void *arg, uint16_t id);
	/* The session was detached by the broker: -EIO, the store could not take what has to be kept; -ECANCELED, somebody
	 * ended the connection by REST. */
	void (*detached)(void *arg, int reason);
	/* Its queue has grown, or was made smaller by others. May be NULL. */
	void (*queued)(void *arg);
};

struct edged_session_options {
	uint32_t struct_size;
	/* 1..64 of [a-zA-Z0-9._/-], beginning with the plugin's name and a slash. Its client id is "$plugin/" and this. */
	const char *name;
	/* The queue, without what is on the way; beyond them new messages are dropped, or the oldest that are not on the
	 * way. The broker's limits.memory holds as well. */
	uint32_t queue_messages;
	uint64_t queue_bytes;
	bool drop_oldest;
	/* Split horizon, for sessions that stand for nodes of one group: what comes in through such a session is for this
	 * node's own subscribers. It goes into no other one, and shared subscriptions get none of it but what names them
	 * (`share`). Such a session alone may have shared subscriptions: it is a member for those on its node, whose turn
	 * comes when no member here is connected. They are no subscribers that edged_pubsub_1.interest() would tell of. Retained messages go to all such sessions, whatever they
	 * are subscribed to, and wait for them also at QoS 0 (as QoS 1). */
	bool apart;
};

struct edged_session_figures {
	uint32_t struct_size; /* set by the caller */
	uint32_t waiting;     /* messages not yet delivered, or to be delivered again */
	uint32_t in_flight;   /* delivered, not acknowledged */
	uint64_t bytes;       /* of both */
	uint64_t dropped;     /* since open(): for want of room, expired, or purged by REST */
	uint64_t acknowledged;
	uint64_t number; /* of the session: one that was ended and made anew has another one */
};

struct edged_session_1 {
	uint32_t struct_size;
	void *ctx;
	/* Finds or makes the session of that name; it is detached. A message that matches its subscriptions is kept from the
	 * start of the broker on, also before open(), then within limits.memory alone. -EEXIST: it is open; -EINVAL: the
	 * name or a member of the handler is missing; -ENOSPC: limits.plugin_sessions are open; -ENOMEM, or the store's
	 * error. */
	EDGED_MUST_CHECK int (*open)(void *ctx, const struct edged_session_options *options,
	        const struct edged_session_handler *handler, void *arg, edged_handle *ret);
	/* Other limits from now on; what is over them is not dropped but waits. */
	int (*limit)(void *ctx, edged_handle session, const struct edged_session_options *options);
	/* Its subscriptions are these from now on, and no others. options[i]: QoS, no local, retain as published and retain
	 * handling as in SUBSCRIBE (section 3.8.3.1). -EINVAL: filters[*] is none; -ENOSPC: limits.subscriptions. */
	EDGED_MUST_CHECK int (*subscribe)(void *ctx, edged_handle session, const char *const *filters,
	        const uint8_t *options, size_t count);
	/* Deliveries begin, at the end of the turn; at most `window` are on the way at once. anew: the other side knows
	 * nothing of this session, so QoS 2 packet ids that came in are forgotten. Attached already: the window changes. */
	EDGED_MUST_CHECK int (*attach)(void *ctx, edged_handle session, uint16_t window, bool anew);
	/* Deliveries end; what was not acknowledged will come again. */
	void (*detach)(void *ctx, edged_handle session);
	/* There is no room (QoS 0 is dropped, the rest waits), or there is again. */
	void (*flow)(void *ctx, edged_handle session, bool room);
	/* The other side's answers to what was delivered. reason: of MQTT 5, 0 from others; from 0x80 on PUBREC ends the
	 * exchange, also for a message that was sent on at a lower QoS. -ENOENT: no message of that id and QoS waits for
	 * such an answer. */
	int (*puback)(void *ctx, edged_handle session, uint16_t id);
	int (*pubrec)(void *ctx, edged_handle session, uint16_t id, uint8_t reason);
	int (*pubcomp)(void *ctx, edged_handle session, uint16_t id);
	/* What came from the other side. id: its packet id at QoS 2 (one that is known is not published again), else 0.
	 * done (may be NULL) is called once when 0 was returned, in the order of the calls: with 0 when all that must be durable is, or
	 * a negative errno, -ECANCELED when the session was closed meanwhile. -EINVAL: no topic name; -EMSGSIZE:
	 * limits.packet; -ENOSPC, -ENOMEM: not taken, try later. */
	EDGED_MUST_CHECK int (*publish)(void *ctx, edged_handle session,
	        const struct edged_session_message *message, uint16_t id, void (*done)(void *arg, int result),
	        void *arg);
	/* PUBREL came: done(0) when the id is forgotten for good, so that PUBCOMP may be sent. */
	EDGED_MUST_CHECK int (*release)(
	        void *ctx, edged_handle session, uint16_t id, void (*done)(void *arg, int result), void *arg);
	int (*figures)(void *ctx, edged_handle session, struct edged_session_figures *ret);
	/* Gives the handle back; the session stays and goes on keeping messages. */
	void (*close)(void *ctx, edged_handle session);
	/* Ends a session that is not open, with all it has. -EBUSY: it is open; -ENOENT. */
	int (*forget)(void *ctx, const char *name);
	/* The names of all sessions that begin with `prefix`, open or not. Only forget() may be called from each(). */
	void (*names)(void *ctx, const char *prefix, void (*each)(void *arg, const char *name), void *arg);
	/* Tells of what is retained on a topic, or (topic empty) on all, in no order: messages, and what was deleted lately while
	 * there were sessions that are apart (without payload). Nothing of the capability may be called from each(). */
	void (*retained)(void *ctx, struct edged_slice topic,
	        void (*each)(void *arg, const struct edged_session_message *message), void *arg);
	/* One subscription more, or another QoS of it; else as subscribe(). It costs a look at those that
	 * there are, where subscribe() has that for each. */
	EDGED_MUST_CHECK int (*subscribe_one)(
	        void *ctx, edged_handle session, const char *filter, uint8_t options);
	/* One less. -ENOENT: it was none. */
	int (*unsubscribe_one)(void *ctx, edged_handle session, const char *filter);
	/* Another number after each change of what retained() tells of, but for what has expired. */
	uint64_t (*retained_version)(void *ctx);
};

#ifdef __cplusplus
}
#endif

#endif
