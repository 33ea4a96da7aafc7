/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients may do, when a plugin decides that (edged/cap_auth.h). A session whose client has an identity is judged
 * at CONNECT, at each PUBLISH and filter, and at each delivery, with its right of that moment; a message of such a
 * client goes to nobody any more once its author may not publish it. Decisions are kept for as long as nothing changes;
 * when something does, live sessions are judged anew at once.
 *
 * Without a plugin that decides nobody has an identity, and all of this is one comparison for each message.
 */
#ifndef BROKER_RIGHTS_H
#define BROKER_RIGHTS_H

#include "shard.h"

#define DECISIONS 16 /* of one session, about topics */

/* Whose session it is. */
struct standing {
	struct edged_identity *who; /* held; NULL: it is not judged, or not known yet after a start */
	uint32_t swept;             /* the generation in which it was judged as a whole */
	struct decision {
		uint64_t hash;       /* of action and topic */
		uint32_t generation; /* 0: none */
		bool yes;
	} decisions[DECISIONS];
	uint16_t principal_len;
	char principal[];
};

/* Takes over the reference to the identity; without one the name says who it is. NULL: no memory (the reference is
 * dropped). */
struct standing *standing_new(
        const struct broker *broker, struct edged_identity *who, struct edged_slice principal);
void standing_free(const struct broker *broker, struct standing *standing);
/* Empty: nobody in particular, an operator. */
struct edged_slice standing_principal(const struct standing *standing);

/* Of the session's client, now. 1, 0, or -EAGAIN: nobody there to ask. Without an identity it is 1. */
int rights_ask(const struct session *session, enum edged_action action, struct edged_slice resource);
/* May it publish? 0, or the reason for its acknowledgement. *ret_author goes into the message. */
uint8_t rights_publish(
        struct session *session, struct edged_slice topic, bool retain, struct author *ret_author);
/* May the message still go out, as far as its author is concerned? As rights_ask(). */
int rights_stands(const struct broker *broker, const struct message *message);
/* May messages on that topic go to the session? As rights_ask(). */
int rights_receive(struct session *session, struct edged_slice topic);
int rights_judge_delivery(struct session *session, const struct message *message);

/* May this message go to this session now? */
static inline int rights_deliver(struct session *session, const struct message *message)
{
	if (__builtin_expect(!session->standing && !message->authored, 1))
		return 1;
	return rights_judge_delivery(session, message);
}

/* Rights may have changed: all sessions are judged anew, each shard on its own loop. Main loop. */
void rights_changed(void *broker);

#endif
