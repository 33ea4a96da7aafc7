/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jobs service: what devices ask, over MQTT or HTTP, and what operators do with jobs. An answer comes once what it tells is
 * on the disk. Main loop.
 */
#ifndef JOBS_SERVICE_H
#define JOBS_SERVICE_H

#include "../shadow/busy.h"
#include "request.h"
#include "rollout.h"

struct service;

struct service_deps {
	struct edged_host *host;
	const struct edged_log_1 *log;
	const struct edged_loop_1 *loop;
	const struct edged_store_1 *store;
	const struct edged_pubsub_1 *pubsub;
	const struct edged_metrics_1 *metrics;
	const struct edged_things_1 *registry;
	struct details_limits details;
	size_t jobs, executions;
	unsigned in_flight;                    /* requests of one thing */
	int64_t (*wall)(void);                 /* seconds since 1970 */
	void (*loaded)(void *arg, int result); /* the store was read for the first time */
	void *arg;
};

/* Reads the store, then calls loaded(). */
int service_new(const struct service_deps *deps, struct service **ret);
int service_start(struct service *service);
/* Nothing happens by itself any more. */
void service_stop(struct service *service);
/* Call when the store calls back no more. Requests that wait are answered with JOBS_INTERNAL, but for those over MQTT. */
void service_free(struct service *service);

/* NULL while it is being read. */
const struct book *service_book(const struct service *service);

/* --- devices --- */

/* How a request ended: error->code JOBS_DONE and the body, or the refusal; valid during the call. */
typedef void jobs_answer(void *arg, const struct jobs_error *error, struct edged_slice body);

struct jobs_call {
	enum jobs_verb verb;
	struct edged_slice thing, job; /* as sent; job may be JOBS_NEXT */
	struct edged_slice payload;
	struct edged_slice topic; /* of the request: the outcome goes below it; empty: it goes to answer() */
	jobs_answer *answer;      /* NULL with a topic */
	void *arg;
};
void service_run(struct service *service, const struct jobs_call *call);

/* --- operators --- */

/* Each calls done() once when it returned 0: with 0 when it is on the disk, or a negative errno. -EBUSY: the store is being read;
 * -ENOMEM. */

/* Takes the job, which is valid but for what follows. -EEXIST; -ENOSPC: more than there may be. */
EDGED_MUST_CHECK int service_create(
        struct service *service, struct job *job, void (*done)(void *arg, int result), void *arg);
/* Its pending executions end, those in progress only by force. -EALREADY: it is not in progress (unless by force: there is nothing
 * to end). The comment may be NULL. */
EDGED_MUST_CHECK int service_cancel(struct service *service, struct job *job, bool force, const char *comment,
        void (*done)(void *arg, int result), void *arg);
/* -EINPROGRESS: it is in progress, or something of it is, and this is not by force. */
EDGED_MUST_CHECK int service_delete(
        struct service *service, struct job *job, bool force, void (*done)(void *arg, int result), void *arg);
/* -EALREADY: it has ended; -EINPROGRESS: it is in progress, and this is not by force. */
EDGED_MUST_CHECK int service_cancel_execution(struct service *service, struct execution *execution,
        bool force, void (*done)(void *arg, int result), void *arg);

#endif
