/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "trie.h"

/* Both halves of the product of 128 bits, folded. */
static uint64_t mix(uint64_t a, uint64_t b)
{
#ifdef __SIZEOF_INT128__
	__extension__ typedef unsigned __int128 wide;
	wide p = (wide)a * b;
	return (uint64_t)p ^ (uint64_t)(p >> 64);
#else
	uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
	uint64_t low = a0 * b0, middle = a1 * b0 + (low >> 32), other = a0 * b1 + (uint32_t)middle;
	uint64_t high = a1 * b1 + (middle >> 32) + (other >> 32);
	return (other << 32 | (uint32_t)low) ^ high;
#endif
}

static uint64_t load(const char *p, size_t n)
{
	uint64_t v = 0;
	memcpy(&v, p, n);
	return v;
}

uint64_t keyed_hash(const uint64_t key[2], uint64_t seed, struct edged_slice text)
{
	uint64_t h = seed ^ key[0];
	const char *p = text.ptr;
	size_t n = text.len;
	for (; n >= 8; p += 8, n -= 8)
		h = mix(h ^ load(p, 8), key[1]);
	h = mix(h ^ (n ? load(p, n) : 0), key[1] ^ (uint64_t)text.len << 1);
	return mix(h, key[0] | 1);
}

struct edged_slice trie_level(const struct trie *trie, const struct trie_node *node)
{
	return edged_slice((const char *)node + trie->node_size, node->len);
}

static uint32_t child_hash(const struct trie *trie, const struct trie_node *parent, struct edged_slice level)
{
	return (uint32_t)keyed_hash(trie->key, (uintptr_t)parent, level);
}

struct trie_node *trie_child(
        const struct trie *trie, const struct trie_node *parent, struct edged_slice level)
{
	if (parent->children == 0)
		return NULL;
	size_t mask = trie->size - 1;
	for (size_t i = child_hash(trie, parent, level) & mask; trie->slots[i]; i = (i + 1) & mask) {
		struct trie_node *node = trie->slots[i];
		if (node->parent == parent && edged_slice_eq(trie_level(trie, node), level))
			return node;
	}
	return NULL;
}

/* Hashed anew each time: a node that kept its hash would be larger, and moving nodes is rare. */
static uint32_t node_hash(const struct trie *trie, const struct trie_node *node)
{
	return child_hash(trie, node->parent, trie_level(trie, node));
}

static void place(const struct trie *trie, struct trie_node **slots, size_t size, struct trie_node *node)
{
	size_t i = node_hash(trie, node) & (size - 1);
	while (slots[i])
		i = (i + 1) & (size - 1);
	slots[i] = node;
}

static int resize(struct trie *trie, size_t size)
{
	struct trie_node **slots = calloc(size, sizeof(struct trie_node *));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < trie->size; i++)
		if (trie->slots[i])
			place(trie, slots, size, trie->slots[i]);
	free(trie->slots);
	trie->slots = slots;
	trie->size = size;
	return 0;
}

/* Takes the node out and closes the gap, so that no probe ends too early. */
static void unplace(struct trie *trie, const struct trie_node *node)
{
	size_t mask = trie->size - 1, gap = node_hash(trie, node) & mask;
	while (trie->slots[gap] != node)
		gap = (gap + 1) & mask;
	for (size_t i = (gap + 1) & mask; trie->slots[i]; i = (i + 1) & mask) {
		size_t home = node_hash(trie, trie->slots[i]) & mask;
		if (((i - home) & mask) >= ((i - gap) & mask)) {
			trie->slots[gap] = trie->slots[i];
			gap = i;
		}
	}
	trie->slots[gap] = NULL;
}

static uint8_t wild(struct edged_slice level)
{
	return edged_slice_is(level, "+") ? TRIE_PLUS : edged_slice_is(level, "#") ? TRIE_HASH : 0;
}

struct trie_node *trie_child_add(
        struct trie *trie, struct trie_node *parent, struct edged_slice level, bool *ret_new)
{
	struct trie_node *node = trie_child(trie, parent, level);
	*ret_new = !node;
	if (node)
		return node;
	if ((trie->count + 1) * 4 > trie->size * 3 && resize(trie, trie->size * 2))
		return NULL;
	node = calloc(1, trie->node_size + level.len);
	if (!node)
		return NULL;
	node->parent = parent;
	node->len = (uint16_t)level.len;
	if (level.len)
		memcpy((char *)node + trie->node_size, level.ptr, level.len);
	place(trie, trie->slots, trie->size, node);
	parent->children++;
	parent->wild |= wild(level);
	trie->count++;
	return node;
}

void trie_drop(struct trie *trie, struct trie_node *node)
{
	unplace(trie, node);
	node->parent->children--;
	node->parent->wild &= (uint8_t)~wild(trie_level(trie, node));
	trie->count--;
	free(node);
	if (trie->size > 1024 && trie->count * 8 < trie->size)
		(void)resize(trie, trie->size / 2); /* without memory it stays as it is */
}

int trie_init(struct trie *trie, size_t node_size, const uint64_t key[2])
{
	*trie = (struct trie){ .size = 64, .node_size = node_size, .key = { key[0], key[1] } };
	trie->slots = calloc(trie->size, sizeof(struct trie_node *));
	trie->root = calloc(1, node_size);
	if (trie->slots && trie->root)
		return 0;
	trie_fini(trie);
	return -ENOMEM;
}

void trie_fini(struct trie *trie)
{
	free(trie->slots);
	free(trie->root);
	*trie = (struct trie){ 0 };
}

size_t trie_path(const struct trie *trie, const struct trie_node *node, char *out, size_t size)
{
	size_t at = size;
	for (const struct trie_node *n = node; n->parent && at >= n->len + 1u; n = n->parent) {
		if (n != node)
			out[--at] = '/';
		at -= n->len;
		struct edged_slice level = trie_level(trie, n);
		memcpy(out + at, level.ptr, level.len);
	}
	return size - at;
}
