/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session: what a client id has, connected or not. It lives on the shard that its id hashes to.
 *
 * A session whose `row` is not 0 is durable: it, its subscriptions and its messages at QoS 1 and 2 are in the store.
 */
#ifndef BROKER_SESSION_H
#define BROKER_SESSION_H

#include "alarm.h"
#include "flight.h"
#include "subs.h"

enum { TARGET_SESSION, TARGET_LOCAL };

#define EXPIRY_NEVER UINT32_MAX

struct client;
struct member;
struct shard;
struct standing;

/* A message on its way to one receiver. */
struct delivery {
	struct message *message;
	uint8_t qos;
	bool retain;
	const uint32_t *ids; /* subscription identifiers */
	size_t id_count;
};

/* Deliveries that wait in line: retained messages after a subscription, and what came behind them. */
struct waiting {
	struct message *message;
	uint32_t *more_ids; /* as in struct entry */
	uint32_t subscription_id;
	uint8_t qos;
	bool retain;
};

struct backlog {
	struct waiting *items;
	uint32_t next, count, size;
	uint32_t live;    /* so many at the end are no retained ones */
	size_t bytes;     /* of these */
	uint32_t blocked; /* by so many: an answer to come, a SUBACK to be sent first */
};

struct session {
	struct target target; /* first member */
	struct alarm alarm;   /* see session_watch() while connected; else expiry or the delayed will */
	struct shard *shard;
	struct client *client; /* NULL: away */
	struct member *member; /* of shared subscriptions, see shared.h; or NULL */
	struct flight *flight; /* NULL: nothing ever queued */
	struct backlog *backlog;
	struct standing *standing; /* whose it is, see rights.h; NULL: nobody's in particular */
	struct session *chain;     /* of the table */
	struct message *will;
	uint64_t row;
	uint32_t will_delay;
	uint32_t will_due;   /* while away, in seconds of the shard's clock */
	uint32_t ends;       /* likewise; while connected, when the connection does */
	uint32_t left;       /* when it went away, likewise; 0: before the start */
	uint32_t expiry;     /* s */
	uint32_t epoch;      /* which connection it is on */
	uint32_t compacted;  /* the last compaction that has been through it */
	uint32_t holds;      /* references from work that waits */
	uint16_t unanswered; /* acknowledgements that wait for a commit: later ones wait behind them */
	uint16_t unacked;    /* of them, PUBACKs for this connection */
	uint16_t opened;     /* by a plugin: its place in the table of these and one, see inside_impl.h */
	uint16_t id_len;
	uint8_t version;
	bool touched; /* see turn_touch() */
	bool unsaved; /* a commit failed: the disk may lack some of it, until all of it has been written and is durable */
	bool whole;  /* all of it is written since the last commit */
	bool dead;   /* ended; freed with its last hold */
	bool inside; /* its client is a plugin, see inside.h */
	bool apart;  /* split horizon, see edged/cap_session.h */
	char id[];
};

struct session_table {
	struct session **buckets;
	size_t size, count;
};

void session_table_fini(struct session_table *table); /* empty by now */
struct session *session_find(const struct shard *shard, struct edged_slice id);
/* A new volatile session in the shard's table, counted. NULL: no memory. */
struct session *session_new(struct shard *shard, struct edged_slice id);
/* Ends it: gone from table, trie and store. Publishes its will if it has one. The client has been detached. */
void session_end(struct session *session);
/* Forgets the session without touching the store, when the plugin ends. */
void session_free(struct session *session);

/* When a session ends that has so many seconds left; in seconds of the shard's clock. */
static inline uint32_t session_ends(uint32_t now, uint32_t left)
{
	return left > UINT32_MAX - now ? EXPIRY_NEVER : now + left;
}

static inline struct edged_slice session_id(const struct session *session)
{
	return edged_slice(session->id, session->id_len);
}

static inline void session_hold(struct session *session)
{
	session->holds++;
}
void session_release(struct session *session);

/* The connection ended. with_will: not in order, the will is due (after its delay). */
void session_detach(struct session *session, bool with_will);
/* Its alarm has gone off. */
void session_alarm(struct session *session);
/* Sets the alarm of a connected session for what comes first: silence beyond the keep-alive, the end of the connection, or
 * what stored_due() says. */
void session_watch(struct session *session);

#endif
