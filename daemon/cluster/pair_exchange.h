/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What two nodes say to each other to pair (ALPN "edged-pair/1", mutual TLS 1.3 in which neither trusts the other yet). A
 * trusted node, on which the code was typed, dials the new one, which shows it:
 *
 *     typed -> shown    SHARE   the initiator's share (32 bytes)
 *     shown -> typed    SHARE   the responder's (32)
 *     typed -> shown    TAG     proof that it has the key, so typed the code (64)
 *     shown -> typed    TAG     the other way round (64)
 *     typed -> shown    TOKEN   an invite (cluster/token.h), with which the new node joins as with any
 *     shown -> typed    RESULT  how that ended: HTTP status (2 bytes, 0: it has joined), and why
 *
 * or at any time REFUSED with a reason (1) and how many tries the code has left (1). Frames are type (1), length (2,
 * big-endian), body. The key is CPace's (cluster/cpace.h), of the code, both nodes' ids and keying material of this TLS
 * session (tls-exporter, RFC 9266): shares and tags that were passed on, kept or sent back fit nowhere else. Up to the
 * tags this is a state machine without I/O; what follows is up to its user.
 */
#ifndef CLUSTER_PAIR_EXCHANGE_H
#define CLUSTER_PAIR_EXCHANGE_H

#include "base/buf.h"
#include "cluster/cpace.h"
#include "cluster/pair_code.h"

#define PAIR_PROTOCOL     "edged-pair/1"
#define PAIR_EXPORT_LABEL "EXPORTER-Channel-Binding"

enum { PAIR_EXPORT = 32, PAIR_BODY_MAX = 1024, PAIR_HEAD = 3 };

enum pair_type { PAIR_SHARE = 1, PAIR_TAG, PAIR_TOKEN, PAIR_RESULT, PAIR_REFUSED };

enum pair_reason {
	PAIR_NO_CODE = 1, /* none is open: not asked for, used, run out, or dead after too many tries */
	PAIR_BUSY,        /* another exchange is under way */
	PAIR_TOO_SOON,    /* after the one before */
	PAIR_WRONG_CODE,
};

struct pair_frame {
	enum pair_type type;
	struct edged_slice body;
};
/* Bytes of the frame at the front, 0: it is not whole yet; -EPROTO. */
EDGED_MUST_CHECK ssize_t pair_frame_read(struct edged_slice bytes, struct pair_frame *ret);
EDGED_MUST_CHECK int pair_frame_write(struct buf *out, enum pair_type type, struct edged_slice body);

struct pair_binding {
	const char *typed_id, *shown_id; /* ids of the nodes, as TLS proved them */
	uint8_t exported[PAIR_EXPORT];   /* of the TLS session, for PAIR_EXPORT_LABEL */
};

/* Secret; wiped by pair_exchange_fini(). */
struct pair_exchange {
	bool shown;
	enum pair_type wants; /* PAIR_TOKEN: both sides have proven themselves */
	uint8_t session[PAIR_EXPORT], scalar[CPACE_SCALAR], isk[CPACE_ISK];
	uint8_t own[CPACE_POINT], theirs[CPACE_POINT];
};
/* Appends what is to be sent first, if it is this side's turn. -EIO. */
EDGED_MUST_CHECK int pair_exchange_init(struct pair_exchange *exchange, bool shown, const char *code,
        const struct pair_binding *binding, struct buf *out);
void pair_exchange_fini(struct pair_exchange *exchange);
/* Takes a SHARE or TAG and appends the answer. PAIR_PROVEN: this was the last of them, and fits. -EACCES: the other side
 * does not know the code; -EINVAL: its share is none; -EPROTO: this is not its turn. Break off then. */
#define PAIR_PROVEN 1
EDGED_MUST_CHECK int pair_exchange_take(
        struct pair_exchange *exchange, const struct pair_frame *frame, struct buf *out);

#endif
