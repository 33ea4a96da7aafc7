/* SPDX-License-Identifier: Apache-2.0 */
/* What pairing.c, pairing_shown.c and pairing_typed.c share. Nobody else includes this and their headers. */
#ifndef CLUSTER_PAIRING_IMPL_H
#define CLUSTER_PAIRING_IMPL_H

#include "cluster/pair_exchange.h"
#include "cluster/pairing.h"
#include "io/dial.h"

enum { PAIRING_ADDRESSES = 8 };

/* One stream of either side. */
struct pair_conn {
	struct pairing *pairing;
	struct edged_stream *stream;
	struct pair_exchange exchange;
	struct buf early; /* what came before it was on the main loop */
	bool arrived;     /* it is there */
	bool proven;      /* both sides know the code */
	bool over;        /* nothing more is taken */
};

/* As the new node. */
struct pairing_shown {
	char code[PAIR_CODE + 1]; /* "": none is open */
	uint64_t until_ms, next_ms;
	unsigned tries_left;
	struct pair_conn *conn; /* the exchange under way */
	bool joining;           /* with what it brought; goes on when the stream has ended */
};

/* As the trusted node. */
struct pairing_typed {
	edged_handle request; /* 0: nothing is under way */
	char code[PAIR_CODE + 1];
	char node_id[NODE_ID_LEN + 1]; /* "": whoever answers and knows the code */
	char addresses[PAIRING_ADDRESSES][64];
	unsigned address_count;
	struct dial *dial;
	struct pair_conn *conn;
	struct deferred again; /* dials the other addresses */
};

struct pairing {
	struct pairing_deps deps;
	struct pairing_shown shown;
	struct pairing_typed typed;
	struct pairing_counts counts;
};

uint64_t pairing_now(const struct pairing *pairing);
/* Sends a frame and forgets it; what cannot be sent ends the stream. */
void pair_conn_send(const struct pair_conn *conn, enum pair_type type, struct edged_slice body);
/* Sends what waits in `out`, and empties it. */
void pair_conn_flush(const struct pair_conn *conn, struct buf *out);
/* Makes the keys. The first frame is appended to `out`. */
EDGED_MUST_CHECK int pair_conn_begin(struct pair_conn *conn, bool shown, const char *code, struct buf *out);
/* Shows `take` each whole frame; returns as a stream handler's data(). */
EDGED_MUST_CHECK ssize_t pair_conn_frames(struct pair_conn *conn, const uint8_t *bytes, size_t n,
        int (*take)(struct pair_conn *conn, const struct pair_frame *frame));
void pair_conn_free(struct pair_conn *conn);

#endif
