/* SPDX-License-Identifier: Apache-2.0 */
/* Records of one kind in memory, in the order of their names. Each is JSON text; whoever wants to look inside parses it. */
#ifndef THINGS_TABLE_H
#define THINGS_TABLE_H

#include <jansson.h>
#include "policy.h"

struct record {
	char *text; /* a JSON object, as it is stored */
	size_t len;
	struct policy *policy; /* of a policy: compiled; NULL when it cannot be */
	int64_t ends; /* of a certificate: s since 1970; 0: not looked at yet, below: it cannot be read */
	char name[];
};

struct table {
	struct record **list;
	size_t count, size;
};

void table_fini(struct table *table);
struct record *table_find(const struct table *table, struct edged_slice name);
/* The first whose name is greater; the end is table->count. An empty name: the first of all. */
size_t table_after(const struct table *table, struct edged_slice name);
/* Room for `more`, so that as many table_set() do not fail. */
int table_reserve(struct table *table, size_t more);
/* Takes the record; one of the same name is freed. */
void table_set(struct table *table, struct record *record);
void table_remove(struct table *table, struct edged_slice name);

/* -ENOMEM */
int record_new(struct edged_slice name, struct edged_slice text, struct record **ret);
void record_free(struct record *record);
/* The object, to be freed with json_decref(); NULL: no memory. */
json_t *record_json(const struct record *record);
/* Might the text have this string in it? Never false when it has: spares the parsing. */
bool record_mentions(const struct record *record, struct edged_slice word);

#endif
