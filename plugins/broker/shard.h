/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A shard: the part of the broker that one loop owns. Sessions live on the shard their client id hashes to, with their
 * subscriptions; nothing of a shard is touched by another loop. What must cross goes in parcels (parcel.h).
 *
 * Retained messages and subscribers inside the process belong to shard 0, the main loop.
 */
#ifndef BROKER_SHARD_H
#define BROKER_SHARD_H

#include "broker.h"
#include "rate.h"
#include "removal.h"
#include "retained.h"
#include "session.h"
#include "turn.h"

struct parcel;

/* One receiver of the message being published. */
struct match {
	struct target *target;
	uint32_t id;        /* subscription identifier, 0: none */
	uint32_t more;      /* 1 + place of the next identifier in shard->more, 0: none */
	uint8_t qos, least; /* at most, and at least */
	bool retain_as_published;
};

struct more_id {
	uint32_t id, next;
};

struct shard {
	struct broker *broker;
	unsigned index;
	struct client *clients; /* connections, also those without a session yet */
	struct session_table sessions;
	struct subs subs;
	struct retained retained; /* shard 0 */
	struct alarms alarms;
	struct rate_gate gate;
	uint32_t relieved; /* s: when pressure_relieve() last looked */
	struct edged_timer *timer;
	uint32_t timer_due;
	struct turn *turn;         /* being filled */
	struct turn *first, *last; /* ended, waiting for the store or other shards; in order */
	bool unsaved;              /* some sessions are, and the disk was full when it was last asked */
	struct touched *touched;   /* written for since the last commit */
	uint32_t touched_count, touched_size;
	struct removals removals;
	struct compacting compacting;
	uint32_t interest_epoch; /* see interest.h */
	uint32_t match_seq;
	struct match *matches;
	size_t match_size;
	struct more_id *more;
	size_t more_count, more_size;
	struct parcel **parcels; /* being filled, one for each other shard */
	/* Read by other shards: */
	uint32_t wanted;  /* atomic: subscriptions */
	uint32_t durable; /* atomic: durable sessions */
	bool sweeping;    /* atomic: rights have changed, and its sessions will be judged anew */
	bool sys_wanted;  /* atomic: somebody subscribed to $SYS/... */
};

int shard_new(struct broker *broker, unsigned index, struct shard **ret);
void shard_free(struct shard *shard);
/* On the shard's own loop: makes its timer. */
int shard_start(struct shard *shard);
void shard_stop(struct shard *shard);

/* The shard that owns a client id. */
unsigned shard_of(const struct broker *broker, struct edged_slice client_id);
uint32_t shard_now(const struct shard *shard); /* seconds of the loop's clock */
/* Sets the session's alarm and the timer behind it. */
void shard_alarm(struct shard *shard, struct session *session, uint32_t due);
void shard_alarm_cancel(struct shard *shard, struct session *session);
/* Tells the others how many subscriptions there are. */
void shard_subs_changed(struct shard *shard, int64_t by);

#endif
