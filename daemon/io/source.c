/* SPDX-License-Identifier: Apache-2.0 */
#include "io/source.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/list.h"
#include "base/map.h"
#include "io/listen_spec.h"

#define KEPT_MAX    4096 /* sources without a connection that are remembered for their rate */
#define KEPT_FOR_MS 1000 /* by then the rate allows a full burst again, and nothing is left to remember */
#define TOKEN       1000 /* a token in the unit that it refills by: one for each ms and allowed accept per second */

struct source {
	struct stream_owner owner;
	struct sources *all;
	struct list idle; /* in all->idle while it has no connection, longest first */
	unsigned connections;
	uint64_t tokens, seen_ms;
	bool exempt;
	uint8_t key_len;
	uint8_t key[9];
};

struct sources {
	pthread_mutex_t lock;
	struct listener_limits limits;
	struct map map; /* key -> struct source */
	struct list idle;
	struct source exempt; /* those without limits of their own: loopback, proxies before their header */
	unsigned connections;
	bool freed; /* waits for the last connection */
};

static void destroy(struct sources *all)
{
	for (struct map_entry *e = map_first(&all->map); e; e = map_next(&all->map, e))
		free(map_value(e));
	map_fini(&all->map);
	pthread_mutex_destroy(&all->lock);
	free(all);
}

static void forget(struct source *source)
{
	list_remove(&source->idle);
	map_remove(&source->all->map, edged_slice(source->key, source->key_len));
	free(source);
}

void sources_give_back(struct stream_owner *owner)
{
	struct source *source = CONTAINER_OF(owner, struct source, owner);
	struct sources *all = source->all;
	pthread_mutex_lock(&all->lock);
	all->connections--;
	if (--source->connections == 0 && !source->exempt) {
		list_append(&all->idle, &source->idle);
		if (all->map.count > KEPT_MAX + all->limits.connections)
			forget(list_first(&all->idle, struct source, idle));
	}
	bool last = all->freed && all->connections == 0;
	pthread_mutex_unlock(&all->lock);
	if (last)
		destroy(all);
}

void sources_gone(struct stream_owner *owner, int reason)
{
	(void)reason;
	sources_give_back(owner);
}

void sources_set_limits(struct sources *all, const struct listener_limits *limits)
{
	pthread_mutex_lock(&all->lock);
	all->limits = *limits;
	pthread_mutex_unlock(&all->lock);
}

int sources_new(const struct listener_limits *limits, struct sources **ret)
{
	struct sources *all = calloc(1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	pthread_mutex_init(&all->lock, NULL);
	all->limits = *limits;
	map_init(&all->map);
	list_init(&all->idle);
	all->exempt = (struct source){ .owner.gone = sources_gone, .all = all, .exempt = true };
	*ret = all;
	return 0;
}

void sources_free(struct sources *all)
{
	if (!all)
		return;
	pthread_mutex_lock(&all->lock);
	all->freed = true;
	bool last = all->connections == 0;
	pthread_mutex_unlock(&all->lock);
	if (last)
		destroy(all);
}

static size_t make_key(const struct sockaddr_storage *address, uint8_t key[9])
{
	if (address->ss_family == AF_UNIX) {
		key[0] = 0; /* a proxy that speaks for itself */
		return 1;
	}
	if (address->ss_family == AF_INET) {
		key[0] = 4;
		memcpy(key + 1, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
		return 5;
	}
	const struct in6_addr *in6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	bool mapped = IN6_IS_ADDR_V4MAPPED(in6);
	key[0] = mapped ? 4 : 6;
	memcpy(key + 1, mapped ? in6->s6_addr + 12 : in6->s6_addr, mapped ? 4 : 8);
	return mapped ? 5 : 9;
}

static int find(
        struct sources *all, const struct sockaddr_storage *address, uint64_t now, struct source **ret)
{
	uint8_t key[9];
	size_t n = make_key(address, key);
	*ret = map_get(&all->map, edged_slice(key, n));
	if (*ret)
		return 0;
	struct source *source = calloc(1, sizeof(*source));
	if (!source)
		return -ENOMEM;
	*source = (struct source){
		.owner.gone = sources_gone, .all = all, .key_len = (uint8_t)n, .seen_ms = now
	};
	source->tokens = (uint64_t)all->limits.accepts_per_second * TOKEN;
	memcpy(source->key, key, n);
	list_init(&source->idle);
	if (map_add(&all->map, edged_slice(key, n), source)) {
		free(source);
		return -ENOMEM;
	}
	list_append(&all->idle, &source->idle);
	*ret = source;
	return 0;
}

static void forget_old(struct sources *all, uint64_t now)
{
	for (struct source *oldest; (oldest = list_first(&all->idle, struct source, idle));) {
		if (now - oldest->seen_ms < KEPT_FOR_MS)
			return;
		forget(oldest);
	}
}

static int charge(struct source *source, uint64_t now)
{
	const struct listener_limits *limits = &source->all->limits;
	if (source->exempt)
		return 0;
	if (source->connections >= limits->connections_per_source)
		return -EMFILE;
	uint64_t full = (uint64_t)limits->accepts_per_second * TOKEN;
	uint64_t more = (now - source->seen_ms) * limits->accepts_per_second;
	source->tokens = source->tokens + more > full ? full : source->tokens + more;
	source->seen_ms = now;
	if (source->tokens < TOKEN)
		return -EAGAIN;
	source->tokens -= TOKEN;
	return 0;
}

int sources_take(struct sources *all, const struct sockaddr_storage *address, bool exempt, uint64_t now,
        struct stream_owner **ret)
{
	struct source *source = exempt ? &all->exempt : NULL;
	pthread_mutex_lock(&all->lock);
	forget_old(all, now);
	int r = all->connections >= all->limits.connections ? -ENOSPC : 0;
	if (!r && !exempt)
		r = find(all, address, now, &source);
	if (!r)
		r = charge(source, now);
	if (!r) {
		all->connections++;
		if (source->connections++ == 0 && !source->exempt)
			list_remove(&source->idle);
		*ret = &source->owner;
	}
	pthread_mutex_unlock(&all->lock);
	return r;
}
