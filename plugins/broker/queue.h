/* SPDX-License-Identifier: Apache-2.0 */
/* What a session has to get: delivering, queueing, sending as there is room, and the client's acknowledgements. */
#ifndef BROKER_QUEUE_H
#define BROKER_QUEUE_H

#include "persist.h"
#include "session.h"

/* Gives it a message: sent, queued, or dropped and counted. 0; -ENOSPC when it was refused for a limit. *ret_saved
 * becomes true when something was written for it, that an acknowledgement has to wait for. */
int session_deliver(struct session *session, const struct delivery *delivery, bool *ret_saved);
/* Lines up retained messages for a new subscription, in front of what is live. -ENOMEM; -ENOSPC: so many wait already, from
 * earlier ones, that they were dropped and counted. */
int session_line_up(
        struct session *session, struct message *const *messages, uint32_t n, uint8_t qos, uint32_t id);
/* What is lined up waits until it is unblocked (or the connection ends). -ENOMEM. */
int session_block(struct session *session);
void session_unblock(struct session *session);
/* Sends what there is room for. */
void session_pump(struct session *session);

/* Acknowledgements of what it was sent; a reason for the answer (0, or packet id not found). */
uint8_t session_puback(struct session *session, uint16_t id);
uint8_t session_pubrec(struct session *session, uint16_t id, uint8_t reason);
uint8_t session_pubcomp(struct session *session, uint16_t id);
/* The store has what a QoS 2 message was waiting for, or (result below zero) could not take it: the connection ends,
 * and the next one tries again. */
void session_saved(struct session *session, uint16_t id, int result);
/* What was not sent yet goes; messages on their way stay, for the client may have them. How many went. */
uint32_t session_purge(struct session *session);

/* The oldest message, sent or not, has waited for too long. */
void queue_give_up(struct session *session);
/* The oldest message that was never sent goes; false when there is none. */
bool queue_drop_oldest(struct session *session);

/* Everything goes from memory; the store keeps it. */
void queue_fini(struct session *session);
/* The connection is gone: what was sent is to be sent again, what was lined up is dropped. */
void queue_rewind(struct session *session);
/* An entry read from the store; message may be NULL when it was released. -ENOMEM. */
int queue_restore(struct session *session, struct message *message, struct record *record);

#endif
