/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker as a whole: what its parts share. It is split into shards, one for each loop; see shard.h.
 */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H

#include "edged/cap_auth.h"
#include "edged/cap_config.h"
#include "edged/cap_http.h"
#include "edged/cap_log.h"
#include "edged/cap_loop.h"
#include "edged/cap_metrics.h"
#include "edged/cap_pubsub.h"
#include "edged/cap_store.h"
#include "edged/cap_stream.h"
#include "edged/cap_work.h"
#include "compact.h"
#include "home.h"
#include "interest.h"
#include "penalty.h"
#include "presence.h"
#include "pressure.h"
#include "rate.h"
#include "record.h"
#include "shared.h"
#include "topic.h"
#include "users.h"

/* From the configuration; see the table in broker.c. */
struct limits {
	struct topic_limits topic;
	struct rate_limits rates;
	size_t packet, memory, queue_bytes, retained_bytes;
	unsigned client_id, subscriptions, user_properties, inflight, receive, receive_old, queue_messages,
	        clients, sessions, plugin_sessions, retained_messages, aliases, streams;
	uint64_t connect_ms, sys_ms;
	unsigned stored;         /* messages a second, of those that waited for a client; 0: any */
	uint32_t session_expiry; /* s */
	uint32_t websocket;      /* s that a connection over WebSocket lasts, 0: for ever */
	uint32_t retry;          /* s for which a message waits for a client that is there, 0: for ever */
	uint16_t keep_alive;     /* s, 0: no limit */
};

/* What a plugin that decides has said no to; DENIED_AUTHOR: messages of those who may not publish them any more. */
enum { DENIED_CONNECT, DENIED_PUBLISH, DENIED_SUBSCRIBE, DENIED_RECEIVE, DENIED_AUTHOR, DENIED_COUNT };

/* Words in /metrics. */
struct figures {
	int64_t *connections, *sessions, *subscriptions, *retained_messages, *retained_bytes, *queued_bytes,
	        *streams, *traces;
	int64_t *received[3], *sent[3];
	int64_t *connects, *refused, *taken_over, *malformed, *kept_dead, *login_failures;
	int64_t *dropped_slow, *dropped_queue, *dropped_size, *dropped_expired, *dropped_quota,
	        *dropped_memory;
	int64_t *store_failures, *compactions;
	int64_t *rate_refused[RATE_CONNECTS], *rate_ended, *paused, *pauses;
	int64_t *rate_client, *rate_shared[RATE_SHARES];
	int64_t *memory, *pressure, *shed[PRESSURE_STEPS];
	int64_t *foreign, *denied[DENIED_COUNT];
};

struct shard;
struct pubsub;
struct channels;
struct insides;
struct sse;
struct load;
struct dataplane;
struct sys;
struct trace;

struct broker {
	struct edged_host *host;
	const struct edged_log_1 *log;
	const struct edged_loop_1 *loop;
	const struct edged_config_1 *config;
	const struct edged_stream_1 *stream;
	const struct edged_http_1 *http;
	const struct edged_metrics_1 *metrics;
	const struct edged_store_1 *store;
	const struct edged_auth_1 *auth;
	const struct edged_work_1 *work;
	const uint32_t *generation; /* of rights */
	struct limits limits;
	bool strict; /* see strict.h */
	struct figures figures;
	struct home *home; /* what stored messages and entries take */
	struct shard **shards;
	unsigned shard_count;
	struct users users;
	struct rates rates;
	uint64_t pressure_said; /* atomic: ms, when the log was last told */
	uint8_t pressure;       /* atomic: enum pressure */
	bool relieving;         /* atomic: pressure_relieve() is going from shard to shard */
	struct shared shared;   /* with several loops */
	struct presence presence;
	uint64_t stamp, stamp_reserved; /* atomic: the newest, and what is on the disk, see stamp.h */
	uint64_t key[2];                /* of the hash tables */
	uint64_t next_row; /* atomic: keys in the store, of sessions, messages and queue entries */
	struct compaction compaction;
	struct interest interest; /* main loop */
	int64_t clients;          /* atomic: connected */
	int64_t queued;           /* atomic: bytes in the queues of all sessions */
	unsigned starting;        /* main loop: shards that are not up yet */
	struct penalties penalties;
	struct pubsub *pubsub;
	struct insides *insides;
	struct channels *channels;
	struct sse *sse;
	struct dataplane *dataplane;
	struct load *load;
	struct sys *sys;
	struct trace *trace;
	uint32_t tracing; /* atomic: open traces */
};

/* A key that no row in the store has. Any loop. */
static inline uint64_t broker_row(struct broker *broker)
{
	return __atomic_fetch_add(&broker->next_row, 1, __ATOMIC_RELAXED);
}

static inline void count_one(int64_t *figure)
{
	edged_metric_add(figure, 1);
}

static inline enum pressure pressure_of(const struct broker *broker)
{
	return (enum pressure)__atomic_load_n(&broker->pressure, __ATOMIC_RELAXED);
}

#endif
