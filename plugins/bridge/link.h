/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A link: one bridge at work. Its queue towards the other broker is a durable session of our own broker (edged.session/1), and
 * it is the client of a session over there. link.c has its life and connection, outward.c what goes out, inward.c what
 * comes in. Main loop only.
 */
#ifndef BRIDGE_LINK_H
#define BRIDGE_LINK_H

#include "edged/cap_dial.h"
#include "edged/cap_log.h"
#include "edged/cap_loop.h"
#include "edged/cap_metrics.h"
#include "edged/cap_pubsub.h"
#include "edged/cap_session.h"
#include "edged/cap_store.h"
#include "figures.h"
#include "guard.h"
#include "packets.h"
#include "settings.h"

enum link_state {
	LINK_PAUSED,     /* somebody said so */
	LINK_WAITING,    /* for the next attempt */
	LINK_CONNECTING, /* TCP and TLS */
	LINK_GREETING,   /* CONNECT was sent */
	LINK_CONNECTED
};

struct link_deps {
	struct edged_host *host;
	const struct edged_log_1 *log;
	const struct edged_loop_1 *loop;
	const struct edged_stream_1 *stream;
	const struct edged_dial_1 *dial;
	const struct edged_session_1 *session;
	const struct edged_pubsub_1 *pubsub;
	const struct edged_store_1 *store;
	char node[MARK_ID + 1]; /* the beginning of our node's id */
};

/* An acknowledgement that is owed to the other broker: they go out in the order in which the packets came. */
struct debt {
	uint16_t id;
	uint8_t packet, reason;
	bool ready; /* what it promises is durable */
};

struct link {
	const struct link_deps *deps;
	struct bridge_settings settings;
	struct figures *figures; /* they outlive the link */
	int64_t dropped_before;  /* by its queue, before this link */
	edged_handle session;
	enum link_state state;
	uint64_t since;    /* wall ms: of this state, as people see it */
	unsigned failures; /* attempts in a row that failed */
	uint64_t attempts; /* all */
	uint64_t next;     /* wall ms: next attempt; 0: none is due */
	char error[400];   /* the last one, "" for none */
	char logged[400];  /* the last one that was logged: the same again is not */
	uint64_t error_at; /* wall ms */
	struct edged_timer *timer;
	edged_handle dial;
	struct former *former;
	struct conn *conn;           /* see link.c */
	struct edged_stream *stream; /* NULL: not connected */
	bool bridge_bit;             /* to be tried */
	bool was_connected;          /* in this life */
	bool stopping;
	int detached; /* by our broker: what for; to be dealt with */
	/* of this connection */
	struct welcome welcome;
	char remote_node[MARK_ID + 1];
	uint64_t connected_at, sent_at, heard_at; /* of the loop's clock */
	uint16_t keep_alive;                      /* s */
	bool pinged;
	bool held;          /* reading is paused until acknowledgements are out */
	struct debt *debts; /* a ring */
	uint32_t debt_first, debt_count, debt_size;
	uint32_t open;  /* QoS 2 messages that are durable here and wait for PUBREL */
	uint32_t stale; /* promises of former connections, still to come */
	uint32_t promised;
	struct guard *guard; /* NULL: there is no need for one */
};

/* Opens its session and begins. Takes the settings (empties them) unless it fails. -ENOMEM, or what edged.session/1 says. */
int link_new(const struct link_deps *deps, struct bridge_settings *settings, struct figures *figures,
        struct link **ret);
/* forget: its queue goes, too. */
void link_free(struct link *link, bool forget);
void link_pause(struct link *link);
void link_resume(struct link *link);
void link_move(struct link *link, enum link_state state);
const char *link_state_name(const struct link *link);
uint64_t link_wall_ms(void);
/* A bridge's state, "1" or "0", retained on a topic of ours as other brokers tell of their bridges; "" takes it away. */
void link_tell(const struct link_deps *deps, const char *name, const char *text);

/* The connection ends, and the next attempt is due after a while. The sentence says what, why, and what to do. */
__attribute__((format(printf, 2, 3))) void link_fail(struct link *link, const char *format, ...);
void link_write(struct link *link, const void *bytes, size_t n);
void link_write_ack(struct link *link, uint8_t packet, uint16_t id, uint8_t reason);
/* Shows the queue in /metrics. */
void link_show(struct link *link);

#endif
