/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <errno.h>
#include <stdlib.h>

static int compare(const char *name, struct edged_slice other)
{
	size_t n = strlen(name);
	int r = other.len ? memcmp(name, other.ptr, n < other.len ? n : other.len) : 0;
	return r ? r : (n > other.len) - (n < other.len);
}

/* The first that is not smaller. */
static size_t place(const struct table *table, struct edged_slice name)
{
	size_t low = 0, high = table->count;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (compare(table->list[mid]->name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool is_at(const struct table *table, size_t at, struct edged_slice name)
{
	return at < table->count && compare(table->list[at]->name, name) == 0;
}

void table_fini(struct table *table)
{
	for (size_t i = 0; i < table->count; i++)
		record_free(table->list[i]);
	free(table->list);
	*table = (struct table){ 0 };
}

struct record *table_find(const struct table *table, struct edged_slice name)
{
	size_t at = place(table, name);
	return is_at(table, at, name) ? table->list[at] : NULL;
}

size_t table_after(const struct table *table, struct edged_slice name)
{
	size_t at = place(table, name);
	return name.len && is_at(table, at, name) ? at + 1 : at;
}

int table_reserve(struct table *table, size_t more)
{
	if (table->count + more <= table->size)
		return 0;
	size_t size = table->size * 2 + more + 8;
	struct record **list = realloc(table->list, size * sizeof(*list));
	if (!list)
		return -ENOMEM;
	table->list = list;
	table->size = size;
	return 0;
}

void table_set(struct table *table, struct record *record)
{
	struct edged_slice name = edged_str(record->name);
	size_t at = place(table, name);
	if (is_at(table, at, name)) {
		record_free(table->list[at]);
	} else {
		memmove(table->list + at + 1, table->list + at, (table->count - at) * sizeof(*table->list));
		table->count++;
	}
	table->list[at] = record;
}

void table_remove(struct table *table, struct edged_slice name)
{
	size_t at = place(table, name);
	if (!is_at(table, at, name))
		return;
	record_free(table->list[at]);
	memmove(table->list + at, table->list + at + 1, (--table->count - at) * sizeof(*table->list));
}

int record_new(struct edged_slice name, struct edged_slice text, struct record **ret)
{
	struct record *record = calloc(1, sizeof(*record) + name.len + 1);
	if (!record)
		return -ENOMEM;
	record->text = malloc(text.len + 1);
	if (!record->text) {
		free(record);
		return -ENOMEM;
	}
	memcpy(record->name, name.ptr, name.len);
	if (text.len)
		memcpy(record->text, text.ptr, text.len);
	record->text[text.len] = '\0';
	record->len = text.len;
	*ret = record;
	return 0;
}

void record_free(struct record *record)
{
	if (!record)
		return;
	policy_unref(record->policy);
	free(record->text);
	free(record);
}

json_t *record_json(const struct record *record)
{
	return json_loadb(record->text, record->len, 0, NULL);
}

bool record_mentions(const struct record *record, struct edged_slice word)
{
	return word.len == 0 || memmem(record->text, record->len, word.ptr, word.len) != NULL;
}
