/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trie of topic levels, on which subscriptions and retained messages are built. Pure; one owner.
 *
 * Nodes of all levels live in one hash table under (parent, level), so that a node costs no table of its own
 * and a step down is one probe. The hash is keyed: no client can choose levels that collide.
 */
#ifndef BROKER_TRIE_H
#define BROKER_TRIE_H

#include "topic.h"

enum { TRIE_PLUS = 1, TRIE_HASH = 2 };

/* First member of its users' nodes; the level's text lies behind the user's node. */
struct trie_node {
	struct trie_node *parent; /* NULL: the root */
	uint32_t children;
	uint16_t len;
	uint8_t wild; /* which of "+" and "#" are among its children */
	uint8_t mark; /* the user's: there is room for it here */
};

struct trie {
	struct trie_node **slots; /* open addressing */
	size_t size;              /* slots */
	size_t count;             /* nodes without the root */
	size_t node_size;
	struct trie_node *root;
	uint64_t key[2];
};

/* node_size: of the user's node; new ones are zeroed. -ENOMEM. */
int trie_init(struct trie *trie, size_t node_size, const uint64_t key[2]);
void trie_fini(struct trie *trie); /* all nodes but the root have been dropped */
struct trie_node *trie_child(
        const struct trie *trie, const struct trie_node *parent, struct edged_slice level);
/* Finds or makes the child; *ret_new says which. NULL: no memory. */
struct trie_node *trie_child_add(
        struct trie *trie, struct trie_node *parent, struct edged_slice level, bool *ret_new);
/* Frees a node that has no children. */
void trie_drop(struct trie *trie, struct trie_node *node);
struct edged_slice trie_level(const struct trie *trie, const struct trie_node *node);
/* The path from the root, written so that it ends at out + size; its length. What has no room is cut off in
 * front. */
size_t trie_path(const struct trie *trie, const struct trie_node *node, char *out, size_t size);

/* A keyed hash of short texts, also for other tables. */
uint64_t keyed_hash(const uint64_t key[2], uint64_t seed, struct edged_slice text);

#endif
