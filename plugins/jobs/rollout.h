/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to executions without their devices: they are queued, as fast as their job says; they end with their time, with
 * their job, or because their thing is not meant any more. It is done in small batches, one after the other, and a restart
 * goes on with what is left: the state of a job says what is to be done. Main loop.
 */
#ifndef JOBS_ROLLOUT_H
#define JOBS_ROLLOUT_H

#include "edged/cap_metrics.h"
#include "edged/cap_things.h"
#include "ledger.h"

struct rollout {
	struct ledger *ledger;
	const struct edged_things_1 *registry;
	size_t most; /* executions of all jobs */
	struct edged_timer *timer;
	uint64_t armed; /* ms of CLOCK_MONOTONIC; 0: not */
	bool sweeping;  /* a batch is on its way to the disk */
	int64_t *queued, *timed_out, *jobs, *executions, *waiting;
};

/* -ENOMEM */
int rollout_init(struct rollout *rollout, struct ledger *ledger, const struct edged_things_1 *registry,
        const struct edged_metrics_1 *metrics, size_t most);
/* Follows the registry. -ENOMEM */
int rollout_start(struct rollout *rollout);
void rollout_stop(struct rollout *rollout);

/* There may be something to do at once. */
void rollout_wake(struct rollout *rollout);
/* A time-out was set. */
void rollout_wake_at(struct rollout *rollout, uint64_t mono);
/* A job whose last execution has ended is completed. */
bool rollout_settle(struct rollout *rollout, struct batch *batch, struct job *job);

/* Things that the targets of a new job mean, into job->waiting. -ENOSPC: more executions than there may be; -ENOMEM. */
int rollout_expand(struct rollout *rollout, struct job *job);

#endif
