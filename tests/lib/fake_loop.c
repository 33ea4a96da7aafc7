/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define POSTS_MAX 4096 /* at once; a ring needs no memory while allocations are made to fail */

struct fake_post {
	void (*fn)(void *arg);
	void *arg;
};

struct fake_loop {
	pthread_mutex_t mutex;
	pthread_cond_t posted;
	struct fake_post ring[POSTS_MAX];
	unsigned first, count, total;
};

static __thread struct fake_loop *current;

struct fake_loop *fake_loop_new(void)
{
	struct fake_loop *loop = calloc(1, sizeof(*loop));
	if (!loop)
		abort();
	pthread_mutex_init(&loop->mutex, NULL);
	pthread_cond_init(&loop->posted, NULL);
	return loop;
}

void fake_loop_free(struct fake_loop *loop)
{
	pthread_cond_destroy(&loop->posted);
	pthread_mutex_destroy(&loop->mutex);
	if (current == loop)
		current = NULL;
	free(loop);
}

void fake_loop_enter(struct fake_loop *loop)
{
	current = loop;
}

void *fake_loop_self(void)
{
	return current;
}

void fake_loop_post(void *arg_loop, void (*fn)(void *arg), void *arg)
{
	struct fake_loop *loop = arg_loop;
	pthread_mutex_lock(&loop->mutex);
	if (loop->count == POSTS_MAX)
		abort();
	loop->ring[(loop->first + loop->count++) % POSTS_MAX] = (struct fake_post){ fn, arg };
	loop->total++;
	pthread_cond_signal(&loop->posted);
	pthread_mutex_unlock(&loop->mutex);
}

static bool take(struct fake_loop *loop, struct fake_post *ret)
{
	if (!loop->count)
		return false;
	*ret = loop->ring[loop->first];
	loop->first = (loop->first + 1) % POSTS_MAX;
	loop->count--;
	return true;
}

void fake_loop_run_waiting(struct fake_loop *loop)
{
	struct fake_post post;
	for (;;) {
		pthread_mutex_lock(&loop->mutex);
		bool some = take(loop, &post);
		pthread_mutex_unlock(&loop->mutex);
		if (!some)
			return;
		post.fn(post.arg);
	}
}

void fake_loop_run_until(struct fake_loop *loop, const bool *flag)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	while (!*flag) {
		pthread_mutex_lock(&loop->mutex);
		while (!loop->count)
			if (pthread_cond_timedwait(&loop->posted, &loop->mutex, &until) == ETIMEDOUT) {
				fprintf(stderr, "fake_loop: nothing was posted for 20 s\n");
				abort();
			}
		pthread_mutex_unlock(&loop->mutex);
		fake_loop_run_waiting(loop);
	}
}

unsigned fake_loop_posts(const struct fake_loop *loop)
{
	return loop->total;
}
