/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "retained.h"

enum { EMPTY, MESSAGE, GRAVE }; /* trie.mark */

struct node {
	struct trie_node trie;
	struct node *child; /* the first of its children */
	struct node *next, **link;
	union {
		struct message *message; /* MESSAGE */
		uint64_t buried;         /* GRAVE: when it was deleted */
	} u;
};

static struct message *message_of(const struct node *node)
{
	return node->trie.mark == MESSAGE ? node->u.message : NULL;
}

static struct node *parent_of(const struct node *node)
{
	return (struct node *)node->trie.parent;
}

static void prune(struct retained *retained, struct node *node)
{
	while (node->trie.parent && node->trie.mark == EMPTY && !node->child) {
		struct node *parent = parent_of(node);
		*node->link = node->next;
		if (node->next)
			node->next->link = node->link;
		trie_drop(&retained->trie, &node->trie);
		node = parent;
	}
}

/* What was here: a message, a grave, or nothing. */
static void forget(struct retained *retained, struct node *node)
{
	struct message *m = message_of(node);
	if (m) {
		retained->count--;
		retained->bytes -= message_size(m);
		message_unref(m);
	}
	retained->buried -= node->trie.mark == GRAVE;
	retained->version++;
	node->trie.mark = EMPTY;
}

int retained_init(struct retained *retained, const uint64_t key[2])
{
	*retained = (struct retained){ 0 };
	return trie_init(&retained->trie, sizeof(struct node), key);
}

void retained_fini(struct retained *retained)
{
	if (!retained->trie.root)
		return;
	struct node *root = (struct node *)retained->trie.root, *node = root;
	while (root->child || node != root) {
		while (node->child)
			node = node->child;
		forget(retained, node);
		prune(retained, node);
		node = root;
	}
	trie_fini(&retained->trie);
}

static struct node *add_path(struct retained *retained, struct edged_slice topic)
{
	struct levels l = levels(topic);
	struct edged_slice level;
	struct node *node = (struct node *)retained->trie.root;
	while (levels_next(&l, &level)) {
		bool is_new;
		struct node *next =
		        (struct node *)trie_child_add(&retained->trie, &node->trie, level, &is_new);
		if (!next) {
			prune(retained, node);
			return NULL;
		}
		if (is_new) {
			next->next = node->child;
			next->link = &node->child;
			if (next->next)
				next->next->link = &next->next;
			node->child = next;
		}
		node = next;
	}
	return node;
}

static struct node *find(const struct retained *retained, struct edged_slice topic)
{
	struct levels l = levels(topic);
	struct edged_slice level;
	struct trie_node *node = retained->trie.root;
	while (node && levels_next(&l, &level))
		node = trie_child(&retained->trie, node, level);
	return (struct node *)node;
}

int retained_set(struct retained *retained, struct message *message)
{
	struct node *node = add_path(retained, message_topic(message));
	if (!node)
		return -ENOMEM;
	message_ref(message);
	forget(retained, node);
	node->u.message = message;
	node->trie.mark = MESSAGE;
	retained->count++;
	retained->bytes += message_size(message);
	return 0;
}

struct message *retained_get(const struct retained *retained, struct edged_slice topic)
{
	const struct node *node = find(retained, topic);
	return node ? message_of(node) : NULL;
}

bool retained_remove(struct retained *retained, struct edged_slice topic)
{
	struct node *node = find(retained, topic);
	if (!node || !message_of(node))
		return false;
	forget(retained, node);
	prune(retained, node);
	return true;
}

int retained_bury(struct retained *retained, struct edged_slice topic, uint64_t stamp)
{
	struct node *node = add_path(retained, topic);
	if (!node)
		return -ENOMEM;
	forget(retained, node);
	node->u.buried = stamp;
	node->trie.mark = GRAVE;
	retained->buried++;
	return 0;
}

void retained_unbury(struct retained *retained, struct edged_slice topic)
{
	struct node *node = find(retained, topic);
	if (!node || node->trie.mark != GRAVE)
		return;
	forget(retained, node);
	prune(retained, node);
}

uint64_t retained_stamp(const struct retained *retained, struct edged_slice topic)
{
	const struct node *node = find(retained, topic);
	if (!node || node->trie.mark == EMPTY)
		return 0;
	return node->trie.mark == GRAVE ? node->u.buried : node->u.message->stamp;
}

void retained_each_buried(const struct retained *retained,
        int (*each)(void *arg, struct edged_slice topic, uint64_t stamp), void *arg)
{
	char text[UINT16_MAX];
	for (size_t i = 0; retained->buried && i < retained->trie.size; i++) {
		const struct node *node = (const struct node *)retained->trie.slots[i];
		if (!node || node->trie.mark != GRAVE)
			continue;
		size_t n = trie_path(&retained->trie, &node->trie, text, sizeof(text));
		if (each(arg, edged_slice(text + sizeof(text) - n, n), node->u.buried))
			return;
	}
}

/* --- finding by filter: a walk in pre-order, with the rest of the filter for each depth on a small stack ---
 */

#define MAX_DEPTH 256 /* topics are never deeper: the limit of levels has this as its maximum */

struct walk {
	const struct retained *retained;
	int (*found)(void *arg, struct message *message);
	void *arg;
};

static bool hidden(const struct retained *retained, const struct node *node)
{
	struct edged_slice level = trie_level(&retained->trie, &node->trie);
	return !parent_of(node)->trie.parent && level.len && level.ptr[0] == '$';
}

/* Everything from `top` down. Iterative: depth is the clients' choice. */
static int walk_all(const struct walk *w, const struct node *top)
{
	const struct node *node = top;
	while (true) {
		bool skip = node->trie.parent && node != top && hidden(w->retained, node);
		if (!skip && message_of(node) && w->found(w->arg, message_of(node)))
			return 1;
		if (!skip && node->child) {
			node = node->child;
			continue;
		}
		while (node != top && !node->next)
			node = parent_of(node);
		if (node == top)
			return 0;
		node = node->next;
	}
}

/* One frame: children of `node` still to be looked at under "+", with what is left of the filter after it. */
struct frame_at {
	const struct node *next;
	struct levels rest;
};

/* Follows the filter down from `node` as far as its levels are plain. Returns non-zero to stop; pushes a
 * frame on "+". */
static int descend(const struct walk *w, const struct node *node, struct levels rest, struct frame_at *frames,
        size_t *depth)
{
	struct edged_slice level;
	while (levels_next(&rest, &level)) {
		if (edged_slice_is(level, "#"))
			return walk_all(w, node);
		if (edged_slice_is(level, "+")) {
			if (*depth < MAX_DEPTH)
				frames[(*depth)++] = (struct frame_at){ node->child, rest };
			return 0;
		}
		node = (const struct node *)trie_child(&w->retained->trie, &node->trie, level);
		if (!node)
			return 0;
	}
	struct message *m = message_of(node);
	return m ? w->found(w->arg, m) : 0;
}

void retained_match(const struct retained *retained, struct edged_slice filter,
        int (*found)(void *arg, struct message *message), void *arg)
{
	struct walk w = { retained, found, arg };
	struct frame_at frames[MAX_DEPTH];
	size_t depth = 0;
	if (descend(&w, (const struct node *)retained->trie.root, levels(filter), frames, &depth))
		return;
	while (depth) {
		struct frame_at *top = &frames[depth - 1];
		const struct node *node = top->next;
		if (!node) {
			depth--;
			continue;
		}
		top->next = node->next;
		if (!hidden(retained, node) && descend(&w, node, top->rest, frames, &depth))
			return;
	}
}

void retained_each(
        const struct retained *retained, int (*found)(void *arg, struct message *message), void *arg)
{
	const struct node *root = (const struct node *)retained->trie.root;
	struct walk w = { retained, found, arg };
	for (const struct node *node = root->child; node; node = node->next)
		if (walk_all(&w, node))
			return;
}
