/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another node: the messages for it, which are the queue of a durable session of our own broker (edged.session/1), and the
 * connection with it. peer.c has its life, outward.c what goes to it, inward.c what comes from it. Main loop only.
 *
 * There is one connection for both directions. The node whose id is lower dials; the other one does when nobody has come for
 * a while, as when only one of them can be reached. A new connection takes the place of an old one.
 */
#ifndef MESH_PEER_H
#define MESH_PEER_H

#include "frames.h"
#include "mesh.h"
#include "sync.h"
#include "window.h"

enum peer_state {
	PEER_AWAY,     /* the cluster does not see it */
	PEER_WAITING,  /* for it to dial, or for the next attempt */
	PEER_DIALLING, /* TCP and TLS */
	PEER_GREETING, /* its filters have not all come */
	PEER_CONNECTED
};

/* An acknowledgement that is owed to it, when what it promises is durable: they become so in the order in which they came. */
struct due {
	uint16_t id;
	uint8_t kind, reason;
};

struct peer {
	struct mesh *mesh;
	char id[MESH_ID + 1];
	struct figures *figures;
	int64_t dropped_before; /* by its queue, before this session was opened */
	edged_handle session, dial;
	enum peer_state state;
	bool there;                  /* the cluster sees it */
	uint64_t seen_ms;            /* loop's clock: when it did last */
	uint64_t next_ms;            /* when it is dialled */
	unsigned failures;           /* in a row */
	uint64_t since;              /* wall ms: of this state */
	char error[300];             /* the last one */
	uint64_t error_at;           /* wall ms */
	struct conn *conn;           /* see peer.c */
	struct edged_stream *stream; /* NULL: not connected */
	int detached;                /* by our broker: what for; to be dealt with */
	/* of this connection */
	uint64_t heard_ms, connected_ms;
	uint64_t unheard_ms; /* when it was told something, and has said nothing since; 0: nothing is open */
	bool greeted;
	struct mesh_hello hello; /* its */
	struct told told;
	bool told_wide; /* more than our broker allows: it gets all */
	struct sync sync;
	/* inward */
	struct window window;
	struct due *due; /* a ring of due_size, a power of two */
	uint32_t due_first, due_count, due_size, due_most;
	uint32_t stale; /* promises of former connections, still to come */
};

/* Handler of the protocol; self is the mesh. */
extern const struct edged_stream_handler peer_handler;

int peer_new(struct mesh *mesh, const char *node_id,
        struct peer **ret); /* -ENOMEM, or what edged.session/1 says */
/* forget: what waits for it goes, too. */
void peer_free(struct peer *peer, bool forget);
/* Every second, or when all is quiet more rarely. True: it has been away for so long that it is to be forgotten. */
bool peer_tick(struct peer *peer);
/* Is it to be looked at in a second? */
bool peer_is_busy(const struct peer *peer);
/* The connection ends, and the next attempt is due after a while. */
__attribute__((format(printf, 2, 3))) void peer_fail(struct peer *peer, const char *format, ...);
void peer_write(struct peer *peer, const void *bytes, size_t n);
void peer_pong(struct peer *peer);
/* All that it has to say has come: messages may go. */
void peer_ready(struct peer *peer);
const char *peer_state_name(const struct peer *peer);
/* Shows its queue in /metrics. */
void peer_show(struct peer *peer);
uint64_t peer_wall_ms(void);

#endif
