/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "subs.h"

/* Removes the node and its ancestors as far as nothing needs them. */
static void prune(struct subs *subs, struct sub_node *at)
{
	while (at->node.parent && !at->subs && !at->groups && at->node.children == 0) {
		struct trie_node *parent = at->node.parent;
		trie_drop(&subs->trie, &at->node);
		at = (struct sub_node *)parent;
	}
}

static struct sub_node *child(
        const struct subs *subs, const struct sub_node *parent, struct edged_slice level)
{
	return (struct sub_node *)trie_child(&subs->trie, &parent->node, level);
}

static struct sub_node *root(const struct subs *subs)
{
	return (struct sub_node *)subs->trie.root;
}

int subs_init(struct subs *subs, const uint64_t key[2])
{
	*subs = (struct subs){ .found_size = 64 };
	subs->found = calloc(subs->found_size, sizeof(struct sub_node *));
	if (subs->found && trie_init(&subs->trie, sizeof(struct sub_node), key) == 0)
		return 0;
	free(subs->found);
	return -ENOMEM;
}

void subs_fini(struct subs *subs)
{
	free(subs->found);
	trie_fini(&subs->trie);
}

/* --- adding and removing
 * -------------------------------------------------------------------------------------------- */

static struct sub_node *node_for(struct subs *subs, struct edged_slice filter)
{
	struct levels l = levels(filter);
	struct edged_slice level;
	struct trie_node *node = subs->trie.root;
	while (levels_next(&l, &level)) {
		bool is_new;
		struct trie_node *next = trie_child_add(&subs->trie, node, level, &is_new);
		if (!next) {
			prune(subs, (struct sub_node *)node);
			return NULL;
		}
		node = next;
	}
	return (struct sub_node *)node;
}

static struct sub_group *group_find(const struct sub_node *node, struct edged_slice name)
{
	for (struct sub_group *g = node->groups; g; g = g->next)
		if (edged_slice_eq(edged_slice(g->name, g->len), name))
			return g;
	return NULL;
}

static struct sub_group *group_add(struct sub_node *node, const struct filter *filter)
{
	struct edged_slice name = filter->group;
	struct sub_group *group = group_find(node, name);
	if (group)
		return group;
	group = calloc(1, sizeof(*group) + name.len);
	if (!group)
		return NULL;
	group->number = filter_number(filter);
	group->len = (uint16_t)name.len;
	memcpy(group->name, name.ptr, name.len);
	group->node = node;
	group->next = node->groups;
	node->groups = group;
	return group;
}

static void group_drop(struct sub_group *group)
{
	struct sub_group **at = &group->node->groups;
	while (*at != group)
		at = &(*at)->next;
	*at = group->next;
	free(group);
}

struct sub *subs_find(const struct subs *subs, const struct target *target, const struct filter *filter)
{
	struct levels l = levels(filter->filter);
	struct edged_slice level;
	const struct sub_node *node = root(subs);
	while (node && levels_next(&l, &level))
		node = child(subs, node, level);
	if (!node)
		return NULL;
	/* A client has few subscriptions, a node may have many: look through the shorter list's owner. */
	for (struct sub *sub = target->first; sub; sub = sub->sibling) {
		if (sub->node != node || (sub->group != NULL) != (filter->group.len > 0))
			continue;
		if (!sub->group ||
		        edged_slice_eq(edged_slice(sub->group->name, sub->group->len), filter->group))
			return sub;
	}
	return NULL;
}

static void link_sub(struct sub **head, struct sub *sub)
{
	sub->next = *head;
	sub->link = head;
	if (sub->next)
		sub->next->link = &sub->next;
	*head = sub;
}

static int sub_new(struct sub_node *node, const struct filter *filter, struct sub **ret)
{
	struct sub *sub = calloc(1, sizeof(*sub));
	if (!sub)
		return -ENOMEM;
	if (filter->group.len) {
		sub->group = group_add(node, filter);
		if (!sub->group) {
			free(sub);
			return -ENOMEM;
		}
	}
	sub->node = node;
	link_sub(sub->group ? &sub->group->subs : &node->subs, sub);
	*ret = sub;
	return 0;
}

static void tell(const struct subs *subs, const struct sub *sub, int by)
{
	if (subs->changed)
		subs->changed(subs->arg, sub, by);
}

int subs_add(struct subs *subs, struct target *target, const struct filter *filter, uint8_t options,
        uint32_t id, struct sub **ret)
{
	struct sub *sub = subs_find(subs, target, filter);
	int result = SUBS_REPLACED;
	if (!sub) {
		struct sub_node *node = node_for(subs, filter->filter);
		if (!node)
			return -ENOMEM;
		if (sub_new(node, filter, &sub)) {
			prune(subs, node);
			return -ENOMEM;
		}
		sub->target = target;
		sub->sibling = target->first;
		target->first = sub;
		target->count++;
		subs->count++;
		subs->last_len = 0;
		result = 0;
	} else {
		tell(subs, sub, -1);
	}
	sub->options = options;
	sub->id = id;
	tell(subs, sub, 1);
	*ret = sub;
	return result;
}

void subs_remove(struct subs *subs, struct sub *sub)
{
	tell(subs, sub, -1);
	struct sub **at = &sub->target->first;
	while (*at != sub)
		at = &(*at)->sibling;
	*at = sub->sibling;
	sub->target->count--;
	*sub->link = sub->next;
	if (sub->next)
		sub->next->link = sub->link;
	if (sub->group && !sub->group->subs)
		group_drop(sub->group);
	subs->count--;
	subs->last_len = 0;
	prune(subs, sub->node);
	free(sub);
}

void subs_remove_all(struct subs *subs, struct target *target)
{
	while (target->first)
		subs_remove(subs, target->first);
}

void subs_each(const struct subs *subs, void (*each)(void *arg, const struct sub *sub, int by), void *arg)
{
	for (size_t i = 0; i < subs->trie.size; i++) {
		const struct sub_node *node = (const struct sub_node *)subs->trie.slots[i];
		for (const struct sub *sub = node ? node->subs : NULL; sub; sub = sub->next)
			each(arg, sub, 1);
		for (const struct sub_group *g = node ? node->groups : NULL; g; g = g->next)
			for (const struct sub *sub = g->subs; sub; sub = sub->next)
				each(arg, sub, 1);
	}
}

/* --- matching
 * ----------------------------------------------------------------------------------------------------- */

/* The found array holds results from the front; the nodes of the level being walked are kept behind them in
 * two more thirds of the same array. None of the three can hold more than there are nodes. */
static int found_reserve(struct subs *subs)
{
	size_t want = 3 * (subs->trie.count + 1);
	if (want <= subs->found_size)
		return 0;
	while (want > subs->found_size)
		subs->found_size *= 2;
	free(subs->found);
	subs->found = malloc(subs->found_size * sizeof(struct sub_node *));
	if (subs->found)
		return 0;
	subs->found_size = 1;
	return -ENOMEM;
}

static size_t note(struct sub_node **out, size_t n, struct sub_node *node)
{
	if (node && (node->subs || node->groups))
		out[n++] = node;
	return n;
}

static struct sub_node *wild_child(
        const struct subs *subs, const struct sub_node *parent, uint8_t which, struct edged_slice level)
{
	return parent->node.wild & which ? child(subs, parent, level) : NULL;
}

static int walk(struct subs *subs, struct edged_slice topic)
{
	const struct edged_slice plus = edged_str("+"), hash = edged_str("#");
	size_t third = subs->trie.count + 1, n = 0, width = 1;
	struct sub_node **now = subs->found + third, **next = now + third;
	now[0] = root(subs);
	struct levels l = levels(topic);
	struct edged_slice level;
	bool first = topic.ptr[0] == '$';
	while (width && levels_next(&l, &level)) {
		size_t w = 0;
		for (size_t i = 0; i < width; i++) {
			struct sub_node *exact = child(subs, now[i], level);
			struct sub_node *any = first ? NULL : wild_child(subs, now[i], TRIE_PLUS, plus);
			if (!first)
				n = note(subs->found, n, wild_child(subs, now[i], TRIE_HASH, hash));
			if (exact)
				next[w++] = exact;
			if (any)
				next[w++] = any;
		}
		struct sub_node **t = now;
		now = next;
		next = t;
		width = w;
		first = false;
	}
	for (size_t i = 0; i < width; i++) {
		n = note(subs->found, n, now[i]);
		if (!subs->strict)
			n = note(subs->found, n, wild_child(subs, now[i], TRIE_HASH, hash));
	}
	return (int)n;
}

int subs_match(struct subs *subs, struct edged_slice topic, struct sub_node *const **ret)
{
	/* Who publishes much does so on few topics: what was found for the last one is still there. */
	if (subs->last_len && edged_slice_eq(topic, edged_slice(subs->last, subs->last_len))) {
		*ret = subs->found;
		return subs->last_count;
	}
	subs->last_len = 0;
	if (found_reserve(subs))
		return -ENOMEM;
	subs->last_count = walk(subs, topic);
	if (topic.len <= sizeof(subs->last)) {
		memcpy(subs->last, topic.ptr, topic.len);
		subs->last_len = topic.len;
	}
	*ret = subs->found;
	return subs->last_count;
}

size_t subs_text(const struct subs *subs, const struct sub *sub, char *out, size_t size)
{
	size_t n = 0;
	if (sub->group && sub->group->len + 8u <= size) {
		memcpy(out, "$share/", 7);
		memcpy(out + 7, sub->group->name, sub->group->len);
		n = 7u + sub->group->len;
		out[n++] = '/';
	}
	size_t path = trie_path(&subs->trie, &sub->node->node, out + n, size - n);
	memmove(out + n, out + size - path, path);
	return n + path;
}

const struct sub *sub_group_take_turn(
        struct sub_group *group, enum member_state (*judge)(void *arg, const struct sub *sub), void *arg)
{
	uint32_t count = 0, at = 0;
	for (const struct sub *sub = group->subs; sub; sub = sub->next)
		count++;
	const struct sub *first[MEMBER_PRESENT + 1] = { NULL }, *next[MEMBER_PRESENT + 1] = { NULL };
	uint32_t turn = group->turn++ % count;
	for (const struct sub *sub = group->subs; sub; sub = sub->next, at++) {
		enum member_state state = judge(arg, sub);
		if (!first[state])
			first[state] = sub;
		if (!next[state] && at >= turn)
			next[state] = sub;
	}
	enum member_state best = MEMBER_PRESENT;
	while (best > MEMBER_FAR_AWAY && !first[best])
		best--;
	return next[best] ? next[best] : first[best];
}
