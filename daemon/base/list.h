/* SPDX-License-Identifier: Apache-2.0 */
/* A doubly linked list through a member of its elements. The head is a node that links to itself when empty. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include "base/cleanup.h" /* CONTAINER_OF */

struct list {
	struct list *prev, *next;
};

static inline void list_init(struct list *node)
{
	node->prev = node->next = node;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_insert_before(struct list *place, struct list *node)
{
	node->prev = place->prev;
	node->next = place;
	place->prev->next = node;
	place->prev = node;
}

static inline void list_append(struct list *head, struct list *node)
{
	list_insert_before(head, node);
}

static inline void list_prepend(struct list *head, struct list *node)
{
	list_insert_before(head->next, node);
}

/* Removing a node that is in no list, but initialised, is fine. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#define list_entry(node, type, member) CONTAINER_OF(node, type, member)
#define list_first(head, type, member) (list_empty(head) ? NULL : list_entry((head)->next, type, member))

/* list_each (node, &head) { struct thing *t = list_entry(node, struct thing, link); ... } */
#define list_each(node, head) for (struct list *node = (head)->next; node != (head); node = node->next)
/* The same, when the body may remove `node` itself. */
#define list_each_safe(node, head)                                                                           \
	for (struct list *node = (head)->next, *node##_next = node->next; node != (head);                    \
	        node = node##_next, node##_next = node->next)

#endif
