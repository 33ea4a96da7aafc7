/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared subscriptions when there are several loops: their members, wherever they live, in one table behind a lock. The
 * shard that publishes picks one member of each group that matches, and its message goes to that member's shard. With
 * one loop the groups are in the shard's own subscriptions, and nothing here is used.
 */
#ifndef BROKER_SHARED_H
#define BROKER_SHARED_H

#include <pthread.h>
#include "session.h"

struct broker;
struct member;

struct shared {
	pthread_mutex_t lock;
	struct subs subs;
	uint32_t count; /* atomic: subscriptions */
};

/* Who gets a message. */
struct pick {
	struct pick *next;
	unsigned shard;
	uint32_t id; /* subscription identifier, 0: none */
	uint8_t qos;
	bool retain_as_published;
	uint16_t len;
	char client[]; /* its id */
};

int shared_init(struct shared *shared, const uint64_t key[2]); /* -ENOMEM */
void shared_fini(struct shared *shared);
/* The session's subscriptions, as they come and go; from its loop. -ENOMEM. */
int shared_add(struct session *session, const struct filter *filter, uint8_t options, uint32_t id);
void shared_remove(struct session *session, const struct filter *filter);
void shared_forget(struct session *session);
/* Members that are connected come first, those that stand for other nodes after our own. */
void shared_present(struct session *session, bool present);
/* Members that may not have a message are passed over: the session belongs to somebody else now. */
void shared_standing(struct session *session);
/* From any loop: one pick for each group that matches and has a member that may have it; malloc'ed. share: only groups with this
 * number, and no members on other nodes; 0: all. -ENOMEM. */
int shared_match(struct broker *broker, struct edged_slice topic, uint32_t share, struct pick **ret);
void picks_free(struct pick *picks);

#endif
