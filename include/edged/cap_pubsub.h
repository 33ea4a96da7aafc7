/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability "edged.pubsub/1", offered by the broker: publish and subscribe without a socket.
 *
 * Topics and filters are those of MQTT (OASIS MQTT 5.0, section 4.7), "$" rules and wildcards included. Main loop only.
 * Functions take the capability's own `ctx` first, then the calling plugin's host.
 */
#ifndef EDGED_CAP_PUBSUB_H
#define EDGED_CAP_PUBSUB_H

#include "edged/blob.h"
#include "edged/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDGED_PUBSUB_1 "edged.pubsub/1"

/* A message; the slices are borrowed for the time of the call. Absent properties are empty or 0. */
struct edged_message {
	uint32_t struct_size;
	struct edged_slice topic;
	struct edged_slice payload;
	uint8_t qos;                  /* 0..2: as published; for a subscriber the lower of it and its own */
	bool retain;                  /* publish: keep it. Delivered: it comes from the retained store. */
	bool will;                    /* it is somebody's last will; set by the broker */
	struct edged_slice publisher; /* client id of the publisher; empty when a plugin published */
	uint32_t expiry;              /* MQTT 5 message expiry in seconds, 0: never */
	struct edged_slice content_type;   /* MQTT 5, UTF-8 */
	struct edged_slice response_topic; /* MQTT 5 */
	struct edged_slice correlation;    /* MQTT 5 correlation data */
	/* MQTT 5 user properties in the wire form of the specification (section 3.3.2.3.7, without the identifier
	 * bytes): name and value as length-prefixed strings, repeated. */
	struct edged_slice user_properties;
	/* Delivered: what all slices but user_properties point into. A subscriber that needs the message beyond the call takes
	 * a reference (edged_blob_ref) instead of a copy, keeps the slices, and gives it back (edged_blob_unref) on any
	 * loop, at the latest in its own stop(). NULL when published: publish() copies once, for all receivers. */
	struct edged_blob *blob;
	/* Delivered: so many messages of this subscription were dropped in front of this one, for want of room. */
	uint32_t lost;
	bool utf8; /* MQTT 5 payload format indicator: the payload is UTF-8 text */
};

struct edged_pubsub_1 {
	uint32_t struct_size;
	void *ctx;
	/* Publish. done (may be NULL) is called exactly once when the call returned 0: with 0 when the message was taken
	 * and everything that must be durable about it (QoS above 0, retained) is on the disk, or with a negative errno.
	 * -EINVAL: not a valid topic name; -EMSGSIZE: over the packet limit; -ENOBUFS: over the queue limit. */
	EDGED_MUST_CHECK int (*publish)(void *ctx, struct edged_host *host,
	        const struct edged_message *message, void (*done)(void *arg, int result), void *arg);
	/* deliver() for each message that matches, in order, never from within subscribe(). Retained messages that match
	 * come first. Returns 0 and *ret, or -EINVAL (not a valid filter), -ENOSPC (limit). */
	EDGED_MUST_CHECK int (*subscribe)(void *ctx, struct edged_host *host, const char *filter, uint8_t qos,
	        void (*deliver)(void *arg, const struct edged_message *message), void *arg,
	        edged_handle *ret);
	/* Nothing is delivered after it returned. -ENOENT: no such subscription. */
	int (*unsubscribe)(void *ctx, struct edged_host *host, edged_handle subscription);
	/* Would anybody get a message on this topic right now? For messages that are costly to make. */
	bool (*wanted)(void *ctx, struct edged_host *host, struct edged_slice topic);
	/* Back-pressure: nothing is delivered from pause() (also called within deliver()) until resume(). Meanwhile messages
	 * wait, as references, within the broker's limits.queue_messages and limits.queue_bytes, as those of a
	 * client do; beyond them new ones are dropped, counted in `lost`, and a publisher of QoS 1 or 2 whose only
	 * receiver this was hears so (-ENOBUFS; MQTT 5: 0x97). What waited comes first, in order, after resume(), never
	 * from within it. -ENOENT: no such subscription. */
	int (*pause)(void *ctx, struct edged_host *host, edged_handle subscription);
	int (*resume)(void *ctx, struct edged_host *host, edged_handle subscription);
	/* Is a client of that id connected right now? */
	bool (*connected)(void *ctx, struct edged_host *host, struct edged_slice client_id);
	/* Tells of what anybody here is subscribed to: clients that are connected or away, plugins. changed(): so many
	 * subscriptions (1 or -1) to this filter ("$share/GROUP/FILTER" for shared ones) at this QoS begin; those that there are
	 * come first. Never from within, and soon after the subscription itself. `changed` NULL ends it: not called any
	 * more. One at a time: -EEXIST; -ENOMEM, -ENOSPC. */
	int (*interest)(void *ctx, struct edged_host *host,
	        void (*changed)(void *arg, struct edged_slice filter, uint8_t qos, int by), void *arg);
};

#ifdef __cplusplus
}
#endif

#endif
