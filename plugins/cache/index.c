/* SPDX-License-Identifier: Apache-2.0 */
#include "index.h"

#include <endian.h>
#include <search.h>
#include <stdlib.h>

enum { ROW_VERSION = 1, ROW_NUMBERS = 4 };

static int compare(const void *a, const void *b)
{
	struct edged_slice x = ((const struct object *)a)->key, y = ((const struct object *)b)->key;
	int order = memcmp(x.ptr, y.ptr, x.len < y.len ? x.len : y.len);
	return order ? order : (x.len > y.len) - (x.len < y.len);
}

void index_init(struct index *index)
{
	*index = (struct index){ 0 };
	TAILQ_INIT(&index->use);
}

void index_clear(struct index *index)
{
	while (!TAILQ_EMPTY(&index->use))
		index_remove(index, TAILQ_FIRST(&index->use));
}

struct object *index_find(const struct index *index, struct edged_slice key)
{
	const struct object wanted = { .key = key };
	struct object **found = tfind(&wanted, &index->tree, compare);
	return found ? *found : NULL;
}

struct object *index_add(struct index *index, const struct object *object)
{
	struct object *copy = malloc(sizeof(*copy) + object->key.len);
	if (!copy)
		return NULL;
	*copy = *object;
	memcpy(copy + 1, object->key.ptr, object->key.len);
	copy->key.ptr = (const char *)(copy + 1);
	if (!tsearch(copy, &index->tree, compare)) {
		free(copy);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&index->use, copy, use);
	index->count++;
	index->bytes += copy->bytes;
	return copy;
}

void index_use(struct index *index, struct object *object)
{
	TAILQ_REMOVE(&index->use, object, use);
	TAILQ_INSERT_TAIL(&index->use, object, use);
}

void index_remove(struct index *index, struct object *object)
{
	tdelete(object, &index->tree, compare);
	TAILQ_REMOVE(&index->use, object, use);
	index->count--;
	index->bytes -= object->bytes;
	free(object);
}

/* --- the row of the store ---------------------------------------------------------------------------------------------------- */

size_t object_write(const struct object *object, uint8_t ret[OBJECT_ROW_MAX])
{
	const uint64_t numbers[ROW_NUMBERS] = { htobe64(object->tag), htobe64(object->stored_ms),
		htobe64(object->expires_ms), htobe64(object->bytes) };
	size_t type = strlen(object->type);
	ret[0] = ROW_VERSION;
	memcpy(ret + 1, numbers, sizeof(numbers));
	memcpy(ret + 1 + sizeof(numbers), object->type, type);
	return 1 + sizeof(numbers) + type;
}

bool object_read(struct edged_slice row, struct object *ret)
{
	uint64_t numbers[ROW_NUMBERS];
	if (row.len < 1 + sizeof(numbers) || row.len > OBJECT_ROW_MAX || row.ptr[0] != ROW_VERSION)
		return false;
	size_t type = row.len - 1 - sizeof(numbers);
	memcpy(numbers, row.ptr + 1, sizeof(numbers));
	ret->tag = be64toh(numbers[0]);
	ret->stored_ms = be64toh(numbers[1]);
	ret->expires_ms = be64toh(numbers[2]);
	ret->bytes = be64toh(numbers[3]);
	memcpy(ret->type, row.ptr + 1 + sizeof(numbers), type);
	ret->type[type] = '\0';
	return true;
}
