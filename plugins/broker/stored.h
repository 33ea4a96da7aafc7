/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What waited for a client, once it is back: at most `rates.stored_messages` a second go out, while new messages go out at
 * once beside them. And what waits for a client that is there, but does not acknowledge it: in strict mode it is dropped
 * in the end. On the session's loop; both are off by default, and cost nothing then.
 */
#ifndef BROKER_STORED_H
#define BROKER_STORED_H

#include "session.h"

/* A client has come to the session: all that is there has waited for it. */
void stored_begin(struct session *session);
/* Its alarm has gone off: more may go out, and what has waited too long is dropped. */
void stored_alarm(struct session *session);
/* When that is to be done next, in seconds of the shard's clock; EXPIRY_NEVER: there is nothing to do. */
uint32_t stored_due(const struct session *session);
/* Some was sent, and no more may be for now. */
void stored_spent(struct session *session);

#endif
