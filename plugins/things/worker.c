/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct job {
	struct job *next;
	struct worker *worker;
	void (*work)(void *arg);
	void (*done)(void *arg);
	void (*drop)(void *arg);
	void *arg;
};

struct worker {
	struct edged_host *host;
	const struct edged_loop_1 *loop;
	size_t most, waiting;
	pthread_t thread;
	bool runs;
	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t wake;
	struct job *first, **last;
	bool ending;
};

int worker_new(struct edged_host *host, const struct edged_loop_1 *loop, size_t most, struct worker **ret)
{
	struct worker *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = (struct worker){ .host = host, .loop = loop, .most = most };
	w->last = &w->first;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	*ret = w;
	return 0;
}

static void deliver(void *arg)
{
	struct job *job = arg;
	job->worker->waiting--;
	job->done(job->arg);
	free(job);
}

static void drop(void *arg)
{
	struct job *job = arg;
	job->drop(job->arg);
	free(job);
}

/* The next job; NULL: it is over. */
static struct job *take(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	while (!w->first && !w->ending)
		pthread_cond_wait(&w->wake, &w->lock);
	struct job *job = w->ending ? NULL : w->first;
	if (job) {
		w->first = job->next;
		if (!w->first)
			w->last = &w->first;
	}
	pthread_mutex_unlock(&w->lock);
	return job;
}

static void *run(void *arg)
{
	struct worker *w = arg;
	for (struct job *job; (job = take(w)) != NULL;) {
		job->work(job->arg);
		/* There is always room for so few posts; if there were none, whoever waits runs into its time limit. */
		if (w->loop->post(w->host, 0, deliver, drop, job))
			drop(job);
	}
	return NULL;
}

/* Signals are for the daemon's own threads. */
static int start(struct worker *w)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = -pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	w->runs = r == 0;
	return r ? -EAGAIN : 0;
}

int worker_do(struct worker *w, void (*work)(void *arg), void (*done)(void *arg), void (*drop_arg)(void *arg),
        void *arg)
{
	if (w->waiting >= w->most)
		return -ENOSPC;
	struct job *job = malloc(sizeof(*job));
	int r = job ? 0 : -ENOMEM;
	if (!r && !w->runs)
		r = start(w);
	if (r) {
		free(job);
		return r;
	}
	*job = (struct job){ NULL, w, work, done, drop_arg, arg };
	w->waiting++;
	pthread_mutex_lock(&w->lock);
	*w->last = job;
	w->last = &job->next;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	return 0;
}

void worker_stop(struct worker *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	if (w->runs)
		pthread_join(w->thread, NULL);
	w->runs = false;
	while (w->first) {
		struct job *job = w->first;
		w->first = job->next;
		drop(job);
	}
	w->last = &w->first;
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	worker_stop(w);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
