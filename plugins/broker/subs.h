/* SPDX-License-Identifier: Apache-2.0 */
/* The subscriptions of one shard, found by topic. Pure; one owner. */
#ifndef BROKER_SUBS_H
#define BROKER_SUBS_H

#include "trie.h"

/* Who gets messages: a session, or a subscriber inside this process. Embedded by those. */
struct target {
	uint32_t seen; /* the match that came last to it, for merging overlapping subscriptions */
	uint32_t seen_at;
	uint8_t kind; /* the owner's business */
	struct sub *first;
	uint32_t count; /* subscriptions */
};

struct sub_node;

struct sub {
	struct sub_node *node;
	struct target *target;
	struct sub *next, **link; /* of its node or group */
	struct sub *sibling;      /* next of its target */
	struct sub_group *group;  /* shared subscription, or NULL */
	uint32_t id;              /* subscription identifier, 0: none */
	uint8_t options;          /* OPT_... of codec.h */
};

/* Members of a shared subscription take turns. */
struct sub_group {
	struct sub_group *next;
	struct sub *subs;
	struct sub_node *node;
	uint32_t turn;
	uint32_t number; /* filter_number() */
	uint16_t len;
	char name[];
};

struct sub_node {
	struct trie_node node;
	struct sub *subs;
	struct sub_group *groups;
};

struct subs {
	struct trie trie;
	size_t count;            /* subscriptions */
	struct sub_node **found; /* room for a match */
	size_t found_size;
	char last
	        [128]; /* the topic that was matched last, and how many nodes were found, unless there was a change */
	size_t last_len;
	int last_count;
	bool strict; /* "a/#" does not match "a" */
	/* Told of each subscription that begins (1) or ends (-1); one that changes does both. NULL: nobody. */
	void (*changed)(void *arg, const struct sub *sub, int by);
	void *arg;
};

/* -ENOMEM. */
int subs_init(struct subs *subs, const uint64_t key[2]);
void subs_fini(struct subs *subs); /* all subscriptions have been removed */

#define SUBS_REPLACED 1
/* Adds or changes the target's subscription: 0 and SUBS_REPLACED give *ret; -ENOMEM. */
int subs_add(struct subs *subs, struct target *target, const struct filter *filter, uint8_t options,
        uint32_t id, struct sub **ret);
struct sub *subs_find(const struct subs *subs, const struct target *target, const struct filter *filter);
void subs_remove(struct subs *subs, struct sub *sub);
void subs_remove_all(struct subs *subs, struct target *target);

/* The nodes whose filter matches: their number and *ret, valid until the next call. -ENOMEM. */
int subs_match(struct subs *subs, struct edged_slice topic, struct sub_node *const **ret);
/* Tells of all there are, with 1. */
void subs_each(const struct subs *subs, void (*each)(void *arg, const struct sub *sub, int by), void *arg);
/* The text of a subscription's filter, "$share/..." included, into `out` of at least 65,535 bytes; its
 * length. */
size_t subs_text(const struct subs *subs, const struct sub *sub, char *out, size_t size);

/* What a member of a group is, for a message; a far one stands for the members on another node. */
enum member_state { MEMBER_BARRED, MEMBER_FAR_AWAY, MEMBER_AWAY, MEMBER_FAR, MEMBER_PRESENT };
/* The member whose turn it is: the next one among those that are in the best state. NULL: all are barred. */
const struct sub *sub_group_take_turn(
        struct sub_group *group, enum member_state (*judge)(void *arg, const struct sub *sub), void *arg);

#endif
