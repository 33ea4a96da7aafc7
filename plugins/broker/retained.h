/* SPDX-License-Identifier: Apache-2.0 */
/* Retained messages by topic, found by filter. Pure; one owner. Holds one reference to each message. */
#ifndef BROKER_RETAINED_H
#define BROKER_RETAINED_H

#include "message.h"
#include "trie.h"

struct retained {
	struct trie trie;
	size_t count;     /* messages */
	size_t bytes;     /* of topics, payloads and properties */
	size_t buried;    /* topics */
	uint64_t version; /* another one after each change */
	uint64_t swept;   /* wall ms: when those were last looked through */
};

int retained_init(struct retained *retained, const uint64_t key[2]); /* -ENOMEM */
void retained_fini(struct retained *retained);
/* Keeps a message (takes a reference) in place of the former one of its topic. -ENOMEM. */
int retained_set(struct retained *retained, struct message *message);
struct message *retained_get(const struct retained *retained, struct edged_slice topic);
bool retained_remove(struct retained *retained, struct edged_slice topic); /* was there one? */

/* What was deleted is remembered as a stamp, so that an older message of that topic does not come back from another node. -ENOMEM */
int retained_bury(struct retained *retained, struct edged_slice topic, uint64_t stamp);
void retained_unbury(struct retained *retained, struct edged_slice topic);
/* Of the message, or of its deletion; 0: neither. */
uint64_t retained_stamp(const struct retained *retained, struct edged_slice topic);
/* All that was deleted. each() returns non-zero to hear no more; it changes nothing here. */
void retained_each_buried(const struct retained *retained,
        int (*each)(void *arg, struct edged_slice topic, uint64_t stamp), void *arg);

/* Calls found() for each message whose topic matches. found returns non-zero to hear no more; it changes
 * nothing here. */
void retained_match(const struct retained *retained, struct edged_slice filter,
        int (*found)(void *arg, struct message *message), void *arg);
/* All of them, in no order: for listings. */
void retained_each(
        const struct retained *retained, int (*found)(void *arg, struct message *message), void *arg);

#endif
