/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

struct map_entry {
	struct map_entry *next;
	uint64_t hash;
	void *value;
	size_t len;
	char key[];
};

static uint64_t seed[2];
static pthread_once_t seeded = PTHREAD_ONCE_INIT;

static void make_seed(void)
{
	if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		abort();
}

static inline uint64_t rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

#define SIP_ROUND                                                                                            \
	do {                                                                                                 \
		v0 += v1, v1 = rotl(v1, 13), v1 ^= v0, v0 = rotl(v0, 32);                                    \
		v2 += v3, v3 = rotl(v3, 16), v3 ^= v2;                                                       \
		v0 += v3, v3 = rotl(v3, 21), v3 ^= v0;                                                       \
		v2 += v1, v1 = rotl(v1, 17), v1 ^= v2, v2 = rotl(v2, 32);                                    \
	} while (0)

uint64_t map_hash(struct edged_slice key)
{
	pthread_once(&seeded, make_seed);
	uint64_t v0 = seed[0] ^ 0x736f6d6570736575u, v1 = seed[1] ^ 0x646f72616e646f6du;
	uint64_t v2 = seed[0] ^ 0x6c7967656e657261u, v3 = seed[1] ^ 0x7465646279746573u;
	const unsigned char *p = (const unsigned char *)key.ptr;
	size_t words = key.len / 8;
	uint64_t m;
	for (size_t i = 0; i < words; i++, p += 8) {
		memcpy(&m, p, 8);
		v3 ^= m;
		SIP_ROUND;
		SIP_ROUND;
		v0 ^= m;
	}
	m = (uint64_t)key.len << 56;
	for (size_t i = 0; i < key.len % 8; i++)
		m |= (uint64_t)p[i] << (8 * i);
	v3 ^= m;
	SIP_ROUND;
	SIP_ROUND;
	v0 ^= m;
	v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		SIP_ROUND;
	return v0 ^ v1 ^ v2 ^ v3;
}

void map_init(struct map *map)
{
	*map = (struct map){ 0 };
}

void map_fini(struct map *map)
{
	if (!map)
		return;
	for (size_t i = 0; i < map->size; i++)
		for (struct map_entry *e = map->buckets[i], *next; e; e = next) {
			next = e->next;
			free(e);
		}
	free(map->buckets);
	*map = (struct map){ 0 };
}

static struct map_entry **find(const struct map *map, struct edged_slice key, uint64_t hash)
{
	struct map_entry **at = &map->buckets[hash & (map->size - 1)];
	for (; *at; at = &(*at)->next)
		if ((*at)->hash == hash && edged_slice_eq(edged_slice((*at)->key, (*at)->len), key))
			break;
	return at;
}

void *map_get(const struct map *map, struct edged_slice key)
{
	if (!map->count)
		return NULL;
	struct map_entry *e = *find(map, key, map_hash(key));
	return e ? e->value : NULL;
}

static int grow(struct map *map)
{
	size_t size = map->size ? map->size * 2 : 16;
	struct map_entry **buckets = calloc(size, sizeof(struct map_entry *));
	if (!buckets)
		return -ENOMEM;
	for (size_t i = 0; i < map->size; i++)
		for (struct map_entry *e = map->buckets[i], *next; e; e = next) {
			next = e->next;
			e->next = buckets[e->hash & (size - 1)];
			buckets[e->hash & (size - 1)] = e;
		}
	free(map->buckets);
	map->buckets = buckets;
	map->size = size;
	return 0;
}

int map_add(struct map *map, struct edged_slice key, void *value)
{
	if (map->count >= map->size) {
		int r = grow(map);
		if (r)
			return r;
	}
	uint64_t hash = map_hash(key);
	struct map_entry **at = find(map, key, hash);
	if (*at)
		return -EEXIST;
	struct map_entry *e = malloc(sizeof(*e) + key.len + 1);
	if (!e)
		return -ENOMEM;
	*e = (struct map_entry){ .hash = hash, .value = value, .len = key.len };
	if (key.len)
		memcpy(e->key, key.ptr, key.len);
	e->key[key.len] = '\0';
	*at = e;
	map->count++;
	return 0;
}

int map_set(struct map *map, struct edged_slice key, void *value, void **ret_old)
{
	struct map_entry *e = map->count ? *find(map, key, map_hash(key)) : NULL;
	if (!e) {
		int r = map_add(map, key, value);
		if (!r && ret_old)
			*ret_old = NULL;
		return r;
	}
	if (ret_old)
		*ret_old = e->value;
	e->value = value;
	return 0;
}

void *map_remove(struct map *map, struct edged_slice key)
{
	if (!map->count)
		return NULL;
	struct map_entry **at = find(map, key, map_hash(key));
	struct map_entry *e = *at;
	if (!e)
		return NULL;
	void *value = e->value;
	*at = e->next;
	free(e);
	map->count--;
	return value;
}

static struct map_entry *first_from(const struct map *map, size_t bucket)
{
	for (; bucket < map->size; bucket++)
		if (map->buckets[bucket])
			return map->buckets[bucket];
	return NULL;
}

struct map_entry *map_first(const struct map *map)
{
	return first_from(map, 0);
}

struct map_entry *map_next(const struct map *map, const struct map_entry *entry)
{
	return entry->next ? entry->next : first_from(map, (size_t)(entry->hash & (map->size - 1)) + 1);
}

struct edged_slice map_key(const struct map_entry *entry)
{
	return edged_slice(entry->key, entry->len);
}

void *map_value(const struct map_entry *entry)
{
	return entry->value;
}
