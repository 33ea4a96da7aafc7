/* SPDX-License-Identifier: Apache-2.0 */
#include "home.h"

#include <pthread.h>
#include <stdlib.h>

#include "broker.h"

struct home {
	uint32_t refs;        /* atomic */
	pthread_mutex_t lock; /* of broker: it ends while other loops still send */
	struct broker *broker;
};

struct home *home_new(struct broker *broker)
{
	struct home *home = calloc(1, sizeof(*home));
	if (!home)
		return NULL;
	home->refs = 1;
	home->broker = broker;
	pthread_mutex_init(&home->lock, NULL);
	return home;
}

struct home *home_ref(struct home *home)
{
	__atomic_fetch_add(&home->refs, 1, __ATOMIC_RELAXED);
	return home;
}

void home_unref(struct home *home)
{
	if (!home || __atomic_sub_fetch(&home->refs, 1, __ATOMIC_ACQ_REL))
		return;
	pthread_mutex_destroy(&home->lock);
	free(home);
}

void home_close(struct home *home)
{
	if (!home)
		return;
	pthread_mutex_lock(&home->lock);
	home->broker = NULL;
	pthread_mutex_unlock(&home->lock);
}

void home_forget(struct home *home, uint64_t row)
{
	uint8_t key[8];
	struct writer w = writer(key, sizeof(key));
	write_u64(&w, row);
	pthread_mutex_lock(&home->lock);
	const struct broker *b = home->broker;
	if (b && b->store->del(b->host, "messages", edged_slice(key, sizeof(key))))
		/* The next start finds it without a reader, and removes it. */
		count_one(b->figures.store_failures);
	pthread_mutex_unlock(&home->lock);
}
